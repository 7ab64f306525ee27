"""The site of a profile: the claims, every figure and table, the notebooks, a trace viewer.

    build(load_profile("toy"))      # -> outputs/toy/html/index.html

The folder is whole in itself: it opens from the file system and needs no network. What a model
wrote reaches a page through escaping or as text that a script sets, never as HTML.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment, PackageLoader

from s1lib.evaluation.benchmarks import readable_questions
from s1lib.keeping.files import ArtifactError, atomic_directory, iter_jsonl
from s1lib.profile import ROOT, Profile
from s1lib.site import notebook_page, trace_viewer
from s1lib.site.reading_aids import readable
from s1lib.site.stage_results import Stage, collect

VERDICTS = {"holds": "yes", "does not hold": "no", "inconclusive": "open"}
BESIDE = ("course", "glossary")  # of docs/, what is in the navigation of every page
SOLVED = "_solutions.html"  # ends the name of the page with a notebook's solutions


@dataclass(frozen=True)
class Sources:
    """What becomes a page: executed notebooks, their executed solutions, and documents."""

    notebooks: list[Path]
    solutions: list[Path]
    documents: list[Path]

    @property
    def pages(self) -> dict[str, str]:
        """The page of each by the name under which the others link to it."""
        found = {path.name: f"{path.stem}.html" for path in (*self.notebooks, *self.documents)}
        return found | {f"solutions/{path.name}": path.stem + SOLVED for path in self.solutions}


def build(profile: Profile) -> Path:
    """Write the site of `profile` anew and return its index.html.

    Raises ArtifactError when no notebook has been executed yet, or a file the site reads is cut.
    """
    documents = (ROOT / "docs").glob("*.md")
    sources = Sources(
        notebooks=_executed(profile.outputs / "notebooks"),
        solutions=_executed(profile.outputs / "solutions"),
        documents=sorted(documents, key=lambda path: (path.stem not in BESIDE, path.stem)),
    )
    if not sources.notebooks:
        raise ArtifactError(
            f"no executed notebook in {profile.outputs / 'notebooks'}: "
            f"run `make reproduce PROFILE={profile.name}` first"
        )
    blocks = {"trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(loader=PackageLoader("s1lib.site"), autoescape=True, **blocks)
    beside = [path for path in sources.documents if path.stem in BESIDE]
    nav = [(path.stem, sources.pages[path.name]) for path in (*sources.notebooks, *beside)]
    environment.globals.update(profile=profile, nav=nav, code_style=notebook_page.style())

    with atomic_directory(profile.outputs / "html") as site:
        # the viewer first: it adds itself to the navigation of every page
        viewer = _viewer(environment, profile, site)
        stages = [collect(profile.outputs, path.stem, site) for path in sources.notebooks]
        _write_pages(environment, sources, stages, site)

        results = [result for stage in stages for result in stage.results]
        claims = next((result.table for result in results if result.name == "claims"), None)
        index = {"title": "claims, figures, tables", "stages": stages, "claims": claims}
        index |= {"viewer": viewer, "verdicts": VERDICTS, "sources": sources}
        _write(environment, "index.html", site / "index.html", **index)
    return profile.outputs / "html" / "index.html"


def _write_pages(
    environment: Environment, sources: Sources, stages: list[Stage], site: Path
) -> None:
    """Write the page of every notebook, solution, document and HTML file of a stage."""
    narrow = {words: file for stage in stages for words, file in stage.narrow.items()}
    pages = sources.pages

    def write(name: str, title: str, body: str, *, cards: bool = False, **around: object) -> None:
        shown = readable(body, pages=pages, narrow=narrow, cards=cards)
        _write(environment, "notebook.html", site / name, title=title, shown=shown, **around)

    # a notebook leads to its neighbours and its solutions, solutions lead back
    order = [None, *sources.notebooks, None]
    for before, path, after in zip(order[:-2], sources.notebooks, order[2:], strict=True):
        around = {"before": before, "after": after, "solved": pages.get(f"solutions/{path.name}")}
        write(pages[path.name], path.stem, notebook_page.body(path), **around)
    for path in sources.solutions:
        title, tasks = f"{path.stem}: solutions", pages.get(path.name)
        write(path.stem + SOLVED, title, notebook_page.body(path), tasks=tasks)

    for path in sources.documents:
        write(pages[path.name], path.stem, notebook_page.body(path), cards=True)
    for picture in (ROOT / "docs").glob("*.png"):
        shutil.copy(picture, site)
    for path in (path for stage in stages for path in stage.pages):
        write(path.name, path.stem, _texts(path), cards=True)


def _executed(folder: Path) -> list[Path]:
    """The finished notebooks of a folder. A failed one has a second suffix."""
    return sorted(path for path in folder.glob("*.ipynb") if path.suffixes == [".ipynb"])


def _write(environment: Environment, template: str, path: Path, **values: object) -> None:
    text = environment.get_template(template).render(page=path.name, **values)
    path.write_text(text, encoding="utf-8")


def _texts(path: Path) -> str:
    """What a page of `s1lib.evaluation.audit` holds, whose cells are texts of models."""
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    return "".join(str(part) for part in soup.find_all(["h1", "p", "table"], recursive=False))


def _viewer(environment: Environment, profile: Profile, site: Path) -> str:
    """Write the viewer and its data and return its page, or "" without records.

    The data are one script per benchmark, since a page from the file system may load scripts but
    not JSON.
    """
    benchmarks = list(trace_viewer.benchmarks(_records(profile), readable_questions(profile)))
    if not benchmarks:
        return ""
    (site / "traces").mkdir()
    for number, benchmark in enumerate(benchmarks):
        # ASCII, so that no character ends a line of JavaScript
        text = f"received({number},{json.dumps(benchmark, separators=(',', ':'))})\n"
        (site / "traces" / f"{number}.js").write_text(text, encoding="ascii")
    names = [f"{benchmark['name']} ({benchmark['role']})" for benchmark in benchmarks]
    shown = {"names": names, "opening": trace_viewer.opening(benchmarks)}
    environment.globals["nav"].append(("traces", "traces.html"))
    _write(environment, "viewer.html", site / "traces.html", title="traces", **shown)
    return "traces.html"


def _records(profile: Profile) -> Iterator[dict]:
    for path in sorted((profile.outputs / "04_evaluation" / "records").glob("*.jsonl")):
        yield from iter_jsonl(path)
