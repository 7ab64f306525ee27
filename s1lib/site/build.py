"""outputs/<profile>/html: the claims table, every figure and table, the executed notebooks, a trace viewer.

    build(load_profile("toy"))      # -> outputs/toy/html/index.html

The folder is whole in itself: it opens from the file system, needs no network and can be copied or sent as it is. What a
model wrote reaches a page through jinja2's escaping or as text that a script sets, never as HTML.
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
from s1lib.site import notebook_page as notebook
from s1lib.site import trace_viewer as traces

COPIED = (".png", ".pdf", ".csv", ".md", ".tex")
LARGEST = 2 << 20  # bytes; a larger data file is left where it is
VERDICTS = {"holds": "yes", "does not hold": "no", "inconclusive": "open"}
_PIPE = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Result:
    """One figure or table of a stage. files: {suffix without dot: path relative to the site}."""

    name: str
    title: str
    files: dict[str, str]
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
    """Write the site of `profile` anew; returns its index.html.

    Raises ArtifactError when no notebook has been executed yet, or a file the site reads is cut.
    """
    sources = [path for path in sorted((profile.outputs / "notebooks").glob("*.ipynb")) if path.suffixes == [".ipynb"]]
    if not sources:
        raise ArtifactError(f"no executed notebook in {profile.outputs / 'notebooks'}: run `make reproduce PROFILE={profile.name}` first")
    environment = Environment(loader=PackageLoader("s1lib.site"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(code_style=notebook.style(), verdicts=VERDICTS)
    environment.globals.update(profile=profile, nav=[(path.stem, f"{path.stem}.html") for path in sources])
    with atomic_directory(profile.outputs / "html") as site:
        viewer = _viewer(environment, profile, site)
        for path in sources:
            _write(environment, "notebook.html", site / f"{path.stem}.html", title=path.stem, body=notebook.body(path))
        stages = [_stage(profile.outputs, path.stem, site) for path in sources]
        claims = next((result.table for stage in stages for result in stage.results if result.name == "claims"), None)
        _write(environment, "index.html", site / "index.html", title="claims, figures, tables", stages=stages, claims=claims, viewer=viewer)
    return profile.outputs / "html" / "index.html"


def _write(environment: Environment, template: str, path: Path, **values: object) -> None:
    path.write_text(environment.get_template(template).render(page=path.name, **values), encoding="utf-8")


# ---- figures and tables ------------------------------------------------------------------------------------------------


def _stage(outputs: Path, name: str, site: Path) -> Stage:
    """Copies what the stage left beside its manifest and describes it; figures before tables, both in the order of the paper."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted((outputs / name).glob("*.*")):
        if path.suffix in COPIED and path.stat().st_size <= LARGEST:
            found.setdefault(path.name.removesuffix(path.suffix), {})[path.suffix[1:]] = path
    results = [_result(stem, files, name, site) for stem, files in found.items() if {"png", "md"} & set(files)]
    results.sort(key=lambda result: ("png" not in result.files, _order(result.name)))
    return Stage(name, re.sub(r"^\d+_", "", name).replace("_", " "), f"{name}.html", results)


def _result(stem: str, files: dict[str, Path], stage: str, site: Path) -> Result:
    folder = site / "files" / stage
    folder.mkdir(parents=True, exist_ok=True)
    for path in files.values():
        shutil.copyfile(path, folder / path.name)
    table = read_markdown(files["md"].read_text(encoding="utf-8")) if "md" in files else None
    return Result(stem, title(stem), {suffix: f"files/{stage}/{path.name}" for suffix, path in files.items()}, table)


def title(stem: str) -> str:
    """A file's name in words: "figure4b_sequential_parallel" -> "Figure 4b: sequential parallel"."""
    stem = stem.removesuffix("_figure")
    found = re.fullmatch(r"(figure|table)(\d+[a-z]?)_(.+)", stem)
    words = f"{found[1].capitalize()} {found[2]}: {found[3]}" if found else stem.capitalize()
    return words.replace("_", " ")


def _order(stem: str) -> tuple:
    number = re.match(r"(?:figure|table)(\d+)", stem)
    return (int(number[1]) if number else 99, stem)


def read_markdown(text: str) -> Table:
    """A table that `s1lib.drawing.plots.markdown` wrote."""
    lines = [[cell.strip().replace("\\|", "|") for cell in _PIPE.split(line)[1:-1]] for line in text.splitlines()]
    return Table(lines[0], lines[2:]) if len(lines) > 1 else Table([], [])


# ---- traces ------------------------------------------------------------------------------------------------------------


def _viewer(environment: Environment, profile: Profile, site: Path) -> str:
    """The viewer and its data, one script per benchmark (a page from the file system may load scripts, not JSON); "" without records."""
    benchmarks = list(traces.benchmarks(_records(profile), _questions(profile)))
    if not benchmarks:
        return ""
    (site / "traces").mkdir()
    for number, benchmark in enumerate(benchmarks):
        text = json.dumps(benchmark, separators=(",", ":"))  # ASCII, so that no character ends a line of JavaScript
        (site / "traces" / f"{number}.js").write_text(f"received({number},{text})\n", encoding="ascii")
    names = [f"{benchmark['name']} ({benchmark['role']})" for benchmark in benchmarks]
    environment.globals["nav"].append(("traces", "traces.html"))
    _write(environment, "viewer.html", site / "traces.html", title="traces", names=names)
    return "traces.html"


def _records(profile: Profile) -> Iterator[dict]:
    for path in sorted((profile.outputs / "04_evaluation" / "records").glob("*.jsonl")):
        yield from iter_jsonl(path)


def _questions(profile: Profile) -> dict[tuple[str, str], str]:
    """(benchmark, problem id) -> question, where the test set can be read on this machine."""
    questions = {}
    for benchmark in profile.evaluation.benchmarks:
        try:
            problems = load_benchmark(profile, benchmark)
        except (HubError, TableError):
            continue
        questions |= {(benchmark.name, problem.id): problem.question for problem in problems}
    return questions
