"""The site of a profile: the claims, every figure and table, the notebooks, a trace viewer.

    build(load_profile("toy"))      # -> outputs/toy/html/index.html

The folder is whole in itself: it opens from the file system and needs no network. What a model
wrote reaches a page through jinja2's escaping or as text that a script sets, never as HTML.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader

from s1lib.evaluation.benchmarks import load_benchmark
from s1lib.keeping.files import ArtifactError, atomic_directory, iter_jsonl
from s1lib.profile import Profile
from s1lib.published.hub import HubError
from s1lib.published.table_files import TableError
from s1lib.site import notebook_page, trace_viewer

COPIED = (".png", ".pdf", ".csv", ".md", ".tex")
LARGEST = 2 << 20  # bytes; a larger data file is left where it is
VERDICTS = {"holds": "yes", "does not hold": "no", "inconclusive": "open"}
_PIPE = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Result:
    """One figure or table of a stage."""

    name: str
    title: str
    files: dict[str, str]  # path relative to the site by suffix without its dot
    table: Table | None = None


@dataclass(frozen=True)
class Table:
    """Cells as a notebook showed them."""

    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Stage:
    name: str
    title: str
    page: str  # the executed notebook, "" when there is none
    results: list[Result]


def build(profile: Profile) -> Path:
    """Write the site of `profile` anew and return its index.html.

    Raises ArtifactError when no notebook has been executed yet, or a file the site reads is cut.
    """
    notebooks = profile.outputs / "notebooks"
    sources = sorted(path for path in notebooks.glob("*.ipynb") if path.suffixes == [".ipynb"])
    if not sources:
        raise ArtifactError(
            f"no executed notebook in {notebooks}: "
            f"run `make reproduce PROFILE={profile.name}` first"
        )
    blocks = {"trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(loader=PackageLoader("s1lib.site"), autoescape=True, **blocks)
    environment.globals.update(code_style=notebook_page.style(), verdicts=VERDICTS)
    pages = [(path.stem, f"{path.stem}.html") for path in sources]
    environment.globals.update(profile=profile, nav=pages)

    with atomic_directory(profile.outputs / "html") as site:
        # the viewer first: it adds itself to the navigation of every page
        viewer = _viewer(environment, profile, site)
        for path in sources:
            body, target = notebook_page.body(path), site / f"{path.stem}.html"
            _write(environment, "notebook.html", target, title=path.stem, body=body)

        stages = [_stage(profile.outputs, path.stem, site) for path in sources]
        results = [result for stage in stages for result in stage.results]
        claims = next((result.table for result in results if result.name == "claims"), None)
        shown = {"title": "claims, figures, tables", "stages": stages, "claims": claims}
        _write(environment, "index.html", site / "index.html", viewer=viewer, **shown)
    return profile.outputs / "html" / "index.html"


def _write(environment: Environment, template: str, path: Path, **values: object) -> None:
    text = environment.get_template(template).render(page=path.name, **values)
    path.write_text(text, encoding="utf-8")


def _stage(outputs: Path, name: str, site: Path) -> Stage:
    """Copy what the stage left beside its manifest and describe it.

    Figures come before tables, both in the order of the paper.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in sorted((outputs / name).glob("*.*")):
        if path.suffix in COPIED and path.stat().st_size <= LARGEST:
            found.setdefault(path.name.removesuffix(path.suffix), {})[path.suffix[1:]] = path
    results = [
        _result(stem, files, name, site)
        for stem, files in found.items()
        if {"png", "md"} & set(files)
    ]
    results.sort(key=lambda result: ("png" not in result.files, _order(result.name)))
    words = re.sub(r"^\d+_", "", name).replace("_", " ")
    return Stage(name, words, f"{name}.html", results)


def _result(stem: str, files: dict[str, Path], stage: str, site: Path) -> Result:
    folder = site / "files" / stage
    folder.mkdir(parents=True, exist_ok=True)
    for path in files.values():
        shutil.copyfile(path, folder / path.name)
    links = {suffix: f"files/{stage}/{path.name}" for suffix, path in files.items()}
    table = read_markdown(files["md"].read_text(encoding="utf-8")) if "md" in files else None
    return Result(stem, title(stem), links, table)


def title(stem: str) -> str:
    """A file's name in words, as "Figure 4b: sequential parallel"."""
    stem = stem.removesuffix("_figure")
    found = re.fullmatch(r"(figure|table)(\d+[a-z]?)_(.+)", stem)
    words = f"{found[1].capitalize()} {found[2]}: {found[3]}" if found else stem.capitalize()
    return words.replace("_", " ")


def _order(stem: str) -> tuple:
    number = re.match(r"(?:figure|table)(\d+)", stem)
    return (int(number[1]) if number else 99, stem)


def read_markdown(text: str) -> Table:
    """A table that `s1lib.drawing.table_text.markdown` wrote."""
    rows = [_PIPE.split(line)[1:-1] for line in text.splitlines()]
    rows = [[cell.strip().replace("\\|", "|") for cell in row] for row in rows]
    return Table(rows[0], rows[2:]) if len(rows) > 1 else Table([], [])


def _viewer(environment: Environment, profile: Profile, site: Path) -> str:
    """Write the viewer and its data and return its page, or "" without records.

    The data are one script per benchmark, since a page from the file system may load scripts but
    not JSON.
    """
    benchmarks = list(trace_viewer.benchmarks(_records(profile), _questions(profile)))
    if not benchmarks:
        return ""
    (site / "traces").mkdir()
    for number, benchmark in enumerate(benchmarks):
        # ASCII, so that no character ends a line of JavaScript
        text = f"received({number},{json.dumps(benchmark, separators=(',', ':'))})\n"
        (site / "traces" / f"{number}.js").write_text(text, encoding="ascii")
    names = [f"{benchmark['name']} ({benchmark['role']})" for benchmark in benchmarks]
    environment.globals["nav"].append(("traces", "traces.html"))
    _write(environment, "viewer.html", site / "traces.html", title="traces", names=names)
    return "traces.html"


def _records(profile: Profile) -> Iterator[dict]:
    for path in sorted((profile.outputs / "04_evaluation" / "records").glob("*.jsonl")):
        yield from iter_jsonl(path)


def _questions(profile: Profile) -> dict[tuple[str, str], str]:
    """Questions by benchmark and problem id, where the test set can be read on this machine."""
    questions = {}
    for benchmark in profile.evaluation.benchmarks:
        try:
            problems = load_benchmark(profile, benchmark)
        except (HubError, TableError):
            continue
        questions |= {(benchmark.name, problem.id): problem.question for problem in problems}
    return questions
