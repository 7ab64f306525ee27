"""The site of a profile: whole, safe to open, and readable at phone and desktop width."""

import html
import json
import re
import shutil
import subprocess

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from synthetic_records import synthetic_records, write_records

from s1lib.drawing.alt_text import alt_text
from s1lib.drawing.plots import caption, panels, save_figure, save_table
from s1lib.evaluation import audit
from s1lib.keeping.files import ArtifactError
from s1lib.profile import ROOT, Profile
from s1lib.site import trace_viewer
from s1lib.site.build import build
from s1lib.site.notebook_page import body
from s1lib.site.reading_aids import LONG, SHOWN, readable
from s1lib.site.stage_results import read_markdown, title

TAKE_OVER = "document.title='taken'"
HOSTILE = f'</script><script>{TAKE_OVER}</script><img src=x onerror="{TAKE_OVER}">\U0001f600 '
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
# Reports, from inside a page, how wide it is and what it shows. What stands after a "?" in
# its address is done first: an outcome chosen in the viewer's filter, or "open" for all folds.
PROBE = """<script>
const all = query => [...document.querySelectorAll(query)];
const asked = decodeURIComponent(location.search.slice(1));
const ask = () => {
  const filter = document.getElementById("outcome");
  if (asked === "open") all("details").forEach(each => { each.open = true; });
  else if (asked) { filter.value = asked; filter.dispatchEvent(new Event("change")); }
};
addEventListener("load", () => setTimeout(ask, 100));
addEventListener("load", () => setTimeout(() => parent.postMessage(JSON.stringify({
  page: location.pathname.split("/").pop(),
  width: innerWidth, needed: document.documentElement.scrollWidth,
  title: document.title, text: document.body.innerText,
  marks: all("#thinking mark, #answer mark").map(mark => mark.textContent),
  buttons: all("#points button").length,
  problems: all("#problem option").map(option => option.textContent),
  outcomes: all("#outcome option").map(option => option.textContent),
  chosen: all("select").map(select => select.value), inside: all("#thinking *:not(mark)").length,
  loaded: performance.getEntriesByType("resource").map(each => each.name) }), "*"), 200))
</script>"""


def forced(rows):
    """Texts with a Wait in them; the first problem's are hostile."""
    for row in rows:
        waits = row["waits_used"]
        start = HOSTILE if row["problem_id"].endswith("-0") else ""
        row["thinking"] = start + "a: 1+1=2\nresult 2" + "\nWait, again\nresult 2" * waits
        row["forced_spans"] = [list(found.span()) for found in re.finditer("Wait", row["thinking"])]
        label = "Final Answer" if row["finish"] == "forced" else "Answer"
        row["answer"] = f"{label}: {row['extracted']}"
    return rows


def write_notebook(path, *cells):
    """Markdown cells for strings."""
    cells = [new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)


def figure():
    fig, (ax,) = panels(1)
    ax.plot([16, 64], [0, 50])
    ax.set(xlabel="tokens", ylabel="accuracy")
    caption(fig, "p profile, n = 3 < 4")
    return fig


LINES = [f"step {n}\n" for n in range(LONG + 1)]
NOTEBOOK = (
    "# Scaling\n\nThe mean of $f(a)$ over\n\n$$\\frac{1}{2}\\sum_a f(a).$$",
    "## 1. The records\n\nSee [rules](../docs/official_rules.md#training-appendix-d), "
    "[solved](solutions/05_scaling_analysis.ipynb) and [code](../s1lib/errors.py).",
    new_code_cell("print('<b>')", outputs=[new_output("stream", text="<b>read me")]),
    new_code_cell("train()", outputs=[new_output("stream", text=line) for line in LINES]),
    "## Quiz\n\n1. Why?\n\n<details><summary>Answer</summary>\n\nIt is **so**.\n\n</details>",
    new_code_cell("1 + 1", metadata={"tags": ["by-hand", "slide"]}),
    "## Exercises",
    new_code_cell("records  # count them", metadata={"tags": ["exercise"]}),
)


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    profile = Profile(
        name="p", description="for a test", outputs_root=str(tmp_path_factory.mktemp("outputs"))
    )
    write_records(
        profile.outputs / "04_evaluation", forced(synthetic_records(problems=3, samples=2))
    )
    for name in ("04_evaluation", "05_scaling_analysis", "05_scaling_analysis.failed"):
        write_notebook(profile.outputs / "notebooks" / f"{name}.ipynb", *NOTEBOOK)
    task = "# 05 · Solutions\n\n[The exercises](../05_scaling_analysis.ipynb)"
    write_notebook(profile.outputs / "solutions" / "05_scaling_analysis.ipynb", task)
    claims = pd.DataFrame(
        {
            "claim": ["It | rises <b>"],
            "verdict": ["holds"],
            "effect": [12.5],
            "note": ["a note of many words " * 20],
        }
    )
    stage = profile.stage("05_scaling_analysis")
    save_table(claims, stage / "claims")
    save_table(pd.DataFrame({f"column {n}": [1.0] for n in range(30)}), stage / "table3_methods")
    save_figure(figure(), stage / "figure1_scaling", pd.DataFrame())
    shutil.copy(stage / "figure1_scaling.png", stage / "figure1_scaling-narrow.png")
    page = audit.page(pd.DataFrame({"answer": [HOSTILE] * (LONG + 1)}), title="unread")
    (profile.outputs / "04_evaluation" / "unread.html").write_text(page, encoding="utf-8")
    return profile


@pytest.fixture(scope="module")
def site(profile):
    return build(profile).parent


def test_without_an_executed_notebook_the_site_is_one_clear_error(tmp_path):
    with pytest.raises(ArtifactError, match="no executed notebook in"):
        build(Profile(name="p", outputs_root=str(tmp_path)))


def test_the_claims_come_first_then_figures_then_tables(site):
    documents = {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    documents |= {path.name for path in (ROOT / "docs").glob("*.png")}
    assert {path.name for path in site.iterdir()} - documents == {
        "04_evaluation.html",
        "05_scaling_analysis.html",
        "05_scaling_analysis_solutions.html",
        "files",
        "index.html",
        "traces",
        "traces.html",
        "unread.html",
    }
    index = (site / "index.html").read_text()
    assert (
        index.index("It | rises &lt;b&gt;")
        < index.index("figure1_scaling.png")
        < index.index("Table 3: methods")
    )
    assert 'href="unread.html"' in index and 'href="official_rules.html"' in index


def test_every_link_leads_to_a_file_of_the_site_and_to_a_place_in_it(site):
    texts = {path.name: path.read_text() for path in site.glob("*.html")}
    for name, text in texts.items():
        for link, anchor in re.findall(r'(?:href|src|srcset)="([^"#]*)(?:#([^"]*))?"', text):
            if not link.startswith(("data:", "https:")):
                assert not link or (site / link).exists(), (name, link)
                assert not anchor or f'id="{anchor}"' in texts[link or name], (name, link, anchor)


def test_every_image_has_words_that_are_not_its_file_name(site):
    images = [
        img for path in site.glob("*.html") for img in re.findall("<img[^>]*>", path.read_text())
    ]
    words = [html.unescape(re.search('alt="([^"]*)"', image)[1]) for image in images]
    assert alt_text(figure()) in words and "n = 3 < 4" in alt_text(figure())
    assert all(each.strip() and "figure1_scaling" not in each for each in words), words


def test_a_notebook_is_a_page_with_its_output_escaped_and_its_formulas_set(site):
    page = (site / "05_scaling_analysis.html").read_text()
    assert "&lt;b&gt;read me" in page
    assert page.count('class="formula"') == 2 and "$$" not in page


def test_the_formulas_of_the_last_notebook_are_pictures_not_source():
    page = body(ROOT / "notebooks" / "05_scaling_analysis.ipynb")
    assert page.count('<span class="display">') == 1 and page.count('<img class="formula"') >= 4
    assert not re.search(r"<code>[^<]*\\[a-z]", page)


def test_a_notebook_page_has_contents_neighbours_and_live_links(site):
    page = (site / "05_scaling_analysis.html").read_text()
    contents = re.search(r'(?s)<nav aria-label="Contents".*?</nav>', page)[0]
    assert re.findall('href="([^"]*)"', contents) == ["#1-the-records", "#quiz", "#exercises"]
    assert page.index("<h1>") < page.index(contents) < page.index("The mean of")
    assert 'href="04_evaluation.html" rel="prev"' in page and 'rel="next"' not in page
    assert 'href="05_scaling_analysis_solutions.html">solved' in page
    assert 'href="official_rules.html#training-appendix-d"' in page
    assert "and code." in page  # a file that is not on the site is no link
    solved = (site / "05_scaling_analysis_solutions.html").read_text()
    assert 'href="05_scaling_analysis.html">The exercises' in solved


def test_cells_to_work_on_are_labelled_and_answers_stay_folded(site):
    page = (site / "05_scaling_analysis.html").read_text()
    labels = re.findall(r'(?s)celltag_(\S+?)[ "].*?<p class="label">(.*?)</p>', page)
    assert labels == [("by-hand", "by hand"), ("exercise", "exercise: start here")]
    assert re.search(r"(?s)<details><summary>Answer</summary>\s*<p>It is <strong>so", page)


def test_a_long_log_shows_its_first_lines_and_hides_none_for_good(site):
    page = (site / "05_scaling_analysis.html").read_text()
    (fold,) = re.findall(r'(?s)<div class="fold">(.*?)</details></div>', page)
    shown, more = fold.split('<span class="more">')
    assert shown.count("step") == SHOWN and more.count("step") == LONG + 1 - SHOWN
    assert f"<summary>all {LONG + 1} lines</summary>" in more


def test_a_long_table_folds_where_it_is_an_aside_alone():
    rows = pd.DataFrame({"n": range(LONG + 1)}).to_html(index=False)
    folded = readable(rows, pages={}, narrow={})
    assert folded.count('<tr class="more">') == LONG + 1 - SHOWN
    assert folded.count('class="wide"') == 1 and f"all {LONG + 1} rows" in folded
    cards = readable(rows, pages={}, narrow={}, cards=True)
    assert "more" not in cards and cards.count('data-name="n"') == LONG + 1


def test_a_bar_in_the_code_of_a_table_is_shown_as_on_github(site):
    page = (site / "official_rules.html").read_text()
    assert "&lt;|im_start|&gt;think" in page and "\\|" not in page


def test_a_phone_takes_the_narrow_version_of_a_figure(site):
    taken = (
        'media="(max-width: 40rem)" srcset="files/05_scaling_analysis/figure1_scaling-narrow.png"'
    )
    assert taken in (site / "index.html").read_text()
    inline = '<img alt="a curve" src="data:,"/>'
    page = readable(inline, pages={}, narrow={"a curve": "files/narrow.png"})
    assert re.search(r"<picture><source[^>]*files/narrow.png[^>]*/>" + inline, page)


def test_what_a_model_wrote_is_text_on_the_pages_of_answers(site):
    page = (site / "unread.html").read_text()
    assert TAKE_OVER in html.unescape(page) and f"<script>{TAKE_OVER}" not in page
    assert page.count("&lt;img src=x") == LONG + 1 and "more" not in page.partition("<h1>")[2]


def test_a_second_build_replaces_the_first(profile, site):
    (site / "left over.html").touch()
    assert not (build(profile).parent / "left over.html").exists()


def test_a_site_without_records_has_no_viewer(tmp_path, profile):
    shutil.copytree(profile.outputs / "notebooks", tmp_path / "p" / "notebooks")
    index = build(Profile(name="p", outputs_root=str(tmp_path)))
    assert "notebook 05_scaling_analysis has not been run" in index.read_text()
    assert not (index.parent / "traces.html").exists()


def test_every_text_comes_out_of_the_shared_ones(profile):
    rows = forced(synthetic_records(problems=2, samples=1))
    for benchmark in trace_viewer.benchmarks(rows, {}):
        texts = {row["thinking"] for row in rows if row["benchmark"] == benchmark["name"]}
        shown = set()
        for problem in benchmark["problems"]:
            assert len(problem["texts"]) < 3
            for point in (point for each in problem["series"] for point in each["points"]):
                units = problem["texts"][point["text"]].encode("utf-16-le")[: 2 * point["length"]]
                shown.add(units.decode("utf-16-le"))
        assert shown == texts


def test_names_of_files_become_titles():
    assert title("figure4b_sequential_parallel") == "Figure 4b: sequential parallel"
    assert title("table2_ablations_figure") == "Table 2: ablations"
    assert title("main_table") == "Main table"
    assert read_markdown("| a | b |\n| --- | --- |\n| x\\|y | 1 |\n").rows == [["x|y", "1"]]


@pytest.fixture(scope="module")
def browse(site, tmp_path_factory):
    """What pages report of themselves in a browser, by frames of (page, width)."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    folder = tmp_path_factory.mktemp("browser")
    shutil.copytree(site, folder / "site")
    for page in (folder / "site").glob("*.html"):
        page.write_text(page.read_text().replace("</main>", "</main>" + PROBE))

    def reports(frames):
        collect = (
            "<script>onmessage = event => { const pre = document.createElement('pre');"
            " pre.textContent = event.data; document.body.append(pre) }</script>"
        )
        shown = "".join(
            f'<iframe src="site/{page}" width="{width}" height="900"></iframe>'
            for page, width in frames
        )
        all_pages = folder / "all.html"
        all_pages.write_text(f"<!doctype html><meta charset=utf-8><body>{collect}{shown}")
        command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={folder / 'user'}"]
        command += ["--virtual-time-budget=8000", "--dump-dom", f"file://{all_pages}"]
        dumped = subprocess.run(command, capture_output=True, text=True, timeout=180).stdout
        found = [json.loads(html.unescape(s)) for s in re.findall(r"(?s)<pre>(.*?)</pre>", dumped)]
        assert len(found) == len(frames)
        return found

    return reports


def test_in_a_browser_nothing_is_wider_than_a_phone_or_fetched_and_traces_are_text(browse):
    pages = ["index.html", "traces.html#0/0/1/2", "05_scaling_analysis.html", "unread.html"]
    pages += ["05_scaling_analysis_solutions.html", "official_rules.html"]
    reports = browse([(page, width) for width in (390, 1280) for page in pages])
    for report in reports:
        assert report["needed"] <= report["width"], report["page"]
        assert all(
            name.startswith("file:") for name in report["loaded"] if not name.startswith("data:")
        )
        assert "taken" not in report["title"]
    assert all(
        "It | rises <b>" in report["text"] for report in reports if report["page"] == "index.html"
    )
    viewers = [report for report in reports if report["page"] == "traces.html"]
    assert all(
        report["marks"] == ["Wait"] * 2 and report["inside"] == 0 and report["buttons"] == 5
        for report in viewers
    ), viewers
    assert all(
        "<img src=x" in report["text"] and "thinking tokens" in report["text"] for report in viewers
    )


def test_in_a_browser_the_viewer_opens_on_a_mended_problem_and_the_filter_finds_others(browse):
    opened, filtered = browse([("traces.html", 390), ("traces.html?never right", 390)])
    assert opened["chosen"] == ["0", "", "0", "1"]
    assert opened["outcomes"] == ["all (3)", "mended (1)", "never right (1)", "always right (1)"]
    assert opened["problems"] == [
        "hard-0 · mended",
        "hard-1 · always right",
        "hard-2 · never right",
    ]
    assert "✓ right" in opened["text"] and opened["marks"] == ["Wait"] * 2

    assert filtered["chosen"] == ["0", "never right", "2", "1"]
    assert filtered["problems"] == ["hard-2 · never right"]
    assert "✗ wrong" in filtered["text"] and filtered["marks"] == []


def test_in_a_browser_a_long_log_is_folded_until_it_is_opened(browse):
    folded, opened = browse([("04_evaluation.html", 390), ("04_evaluation.html?open", 390)])
    last = f"step {LONG}"
    assert "step 0" in folded["text"] and last not in folded["text"] and last in opened["text"]
