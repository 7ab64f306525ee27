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

from s1lib.drawing.plots import save_table
from s1lib.keeping.files import ArtifactError
from s1lib.profile import ROOT, Profile
from s1lib.site import trace_viewer
from s1lib.site.build import build
from s1lib.site.notebook_page import body
from s1lib.site.stage_results import read_markdown, title

TAKE_OVER = "document.title='taken'"
HOSTILE = f'</script><script>{TAKE_OVER}</script><img src=x onerror="{TAKE_OVER}">\U0001f600 '
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
# Reports, from inside a page, how wide it is and what it shows.
PROBE = """<script>
const all = query => [...document.querySelectorAll(query)];
addEventListener("load", () => setTimeout(() => parent.postMessage(JSON.stringify({
  page: location.pathname.split("/").pop(),
  width: innerWidth, needed: document.documentElement.scrollWidth,
  title: document.title, text: document.body.innerText,
  marks: all("#thinking mark, #answer mark").map(mark => mark.textContent),
  buttons: all("#points button").length, inside: all("#thinking *:not(mark)").length,
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


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    profile = Profile(
        name="p", description="for a test", outputs_root=str(tmp_path_factory.mktemp("outputs"))
    )
    write_records(
        profile.outputs / "04_evaluation", forced(synthetic_records(problems=3, samples=2))
    )
    shown = new_code_cell("print('<b>')", outputs=[new_output("stream", text="<b>read me")])
    cells = [
        new_markdown_cell("# Scaling\n\nThe mean of $f(a)$ over\n\n$$\\frac{1}{2}\\sum_a f(a).$$"),
        shown,
    ]
    (profile.outputs / "notebooks").mkdir()
    for name in ("04_evaluation", "05_scaling_analysis", "05_scaling_analysis.failed"):
        nbformat.write(new_notebook(cells=cells), profile.outputs / "notebooks" / f"{name}.ipynb")
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
    (stage / "figure1_scaling.png").write_bytes(b"not looked at")
    return profile


@pytest.fixture(scope="module")
def site(profile):
    return build(profile).parent


def test_without_an_executed_notebook_the_site_is_one_clear_error(tmp_path):
    with pytest.raises(ArtifactError, match="no executed notebook in"):
        build(Profile(name="p", outputs_root=str(tmp_path)))


def test_the_claims_come_first_and_every_link_leads_to_a_file_of_the_site(site):
    assert sorted(path.name for path in site.iterdir()) == [
        "04_evaluation.html",
        "05_scaling_analysis.html",
        "files",
        "index.html",
        "traces",
        "traces.html",
    ]
    index = (site / "index.html").read_text()
    assert (
        index.index("It | rises &lt;b&gt;")
        < index.index("figure1_scaling.png")
        < index.index("Table 3: methods")
    )
    for page in site.glob("*.html"):
        for link in re.findall(r'(?:href|src)="([^"#]*)"', page.read_text()):
            assert link.startswith("data:") or (site / link).exists(), link


def test_a_notebook_is_a_page_with_its_output_escaped_and_its_formulas_set(site):
    page = (site / "05_scaling_analysis.html").read_text()
    assert "&lt;b&gt;read me" in page
    assert page.count('<img class="formula"') == 2 and "$$" not in page


def test_the_formulas_of_the_last_notebook_are_pictures_not_source():
    page = body(ROOT / "notebooks" / "05_scaling_analysis.ipynb")
    assert page.count('<span class="display">') == 1 and page.count('<img class="formula"') >= 4
    assert not re.search(r"<code>[^<]*\\[a-z]", page)


def test_a_second_build_replaces_the_first(profile, site):
    (site / "left over.html").touch()
    assert not (build(profile).parent / "left over.html").exists()


def test_a_site_without_records_has_no_viewer(tmp_path, profile):
    shutil.copytree(profile.outputs / "notebooks", tmp_path / "p" / "notebooks")
    index = build(Profile(name="p", outputs_root=str(tmp_path)))
    assert "notebook 05_scaling_analysis has not been run" in index.read_text()
    assert not (index.parent / "traces.html").exists()


def test_marks_stand_where_the_record_says_counted_as_javascript_counts():
    rows = [
        row
        for row in synthetic_records(problems=1, samples=1)
        if row["parameters"].get("waits") == 1
    ]
    (row,) = [row for row in rows if row["benchmark"] == "hard"]
    row |= {"thinking": "\U0001f600\nWait, 3 Wait", "forced_spans": [[2, 6]]}
    (benchmark,) = trace_viewer.benchmarks([row], {})
    (series,) = benchmark["problems"][0]["series"]
    assert series["points"][0]["forced"] == [[3, 7]]


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


def test_a_string_starts_at_the_natural_stop_and_goes_on_in_the_number_of_waits():
    rows = [row for row in synthetic_records(problems=1, samples=1) if row["benchmark"] == "hard"]
    found = trace_viewer.series(rows)
    assert next(iter(found)) == "s1 · budgets"
    assert [row["waits_used"] for row in found["s1 · “Wait”"]] == [0, 1, 2, 4, 6]
    assert [row["parameters"]["max_thinking"] for row in found["s1 · budgets"]] == [
        16,
        32,
        48,
        64,
        96,
        None,
    ]


def test_names_of_files_become_titles():
    assert title("figure4b_sequential_parallel") == "Figure 4b: sequential parallel"
    assert title("table2_ablations_figure") == "Table 2: ablations"
    assert title("main_table") == "Main table"
    assert read_markdown("| a | b |\n| --- | --- |\n| x\\|y | 1 |\n").rows == [["x|y", "1"]]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_in_a_browser_nothing_is_wider_than_a_phone_or_fetched_and_traces_are_text(site, tmp_path):
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    for page in ("index.html", "traces.html", "05_scaling_analysis.html"):
        (copy / page).write_text((copy / page).read_text().replace("</main>", "</main>" + PROBE))
    frames = [
        f'<iframe src="site/{page}" width="{width}" height="900"></iframe>'
        for width in (390, 1280)
        for page in ("index.html", "traces.html#0/0/1/2", "05_scaling_analysis.html")
    ]
    collect = (
        "<script>onmessage = event => { const pre = document.createElement('pre');"
        " pre.textContent = event.data; document.body.append(pre) }</script>"
    )
    (tmp_path / "all.html").write_text(
        f"<!doctype html><meta charset=utf-8><body>{collect}{''.join(frames)}"
    )
    command = [
        CHROMIUM,
        *FLAGS.split(),
        f"--user-data-dir={tmp_path / 'user'}",
        "--virtual-time-budget=8000",
    ]
    dumped = subprocess.run(
        [*command, "--dump-dom", f"file://{tmp_path}/all.html"],
        capture_output=True,
        text=True,
        timeout=180,
    ).stdout
    reports = [
        json.loads(html.unescape(text)) for text in re.findall(r"(?s)<pre>(.*?)</pre>", dumped)
    ]
    assert len(reports) == len(frames)
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
