"""Slides of every executed notebook: its tagged cells, with reveal.js in the file itself.

    write_slides(profile, reveal)       # -> outputs/toy/slides/03_budget_forcing.html, …

A cell tagged `slide` begins a slide and one tagged `slide-more` goes on with it. All other cells
are left out. A deck is one file, and needs no network. The outputs are those of the run.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader

from s1lib.errors import S1Error
from s1lib.keeping.files import ArtifactError, atomic_directory
from s1lib.profile import Profile
from s1lib.site import notebook_page

if TYPE_CHECKING:
    from nbformat import NotebookNode

SLIDE, MORE = "slide", "slide-more"  # tags of cells
REVEAL = ("dist/reset.css", "dist/reveal.css", "dist/reveal.js")


class SlidesError(S1Error):
    """There are no slides to write, or no reveal.js to show them."""


def write_slides(profile: Profile, reveal: Path) -> list[Path]:
    """Write one deck for each executed notebook that has slides, all anew, and return their paths.

    reveal: a folder with the `dist` of reveal.js. Raises ArtifactError where no notebook has been
    executed, and SlidesError where reveal.js or every slide is missing.
    """
    import nbformat

    missing = [name for name in REVEAL if not (reveal / name).exists()]
    if missing:
        raise SlidesError(f"no reveal.js in {reveal} ({', '.join(missing)}): use `make slides`")
    sources = [profile.outputs / "notebooks" / f"{name}.ipynb" for name in profile.notebooks]
    executed = [path for path in sources if path.exists()]
    if not executed:
        raise ArtifactError(
            f"no executed notebook in {profile.outputs}: "
            f"run `make reproduce PROFILE={profile.name}` first"
        )

    environment = Environment(loader=PackageLoader("s1lib.site"), autoescape=True)
    template = environment.get_template("slides.html")
    shared = {"reveal": [(reveal / name).read_text(encoding="utf-8") for name in REVEAL]}
    shared |= {"profile": profile, "code_style": notebook_page.style()}

    place = profile.outputs / "slides"
    written = []
    with atomic_directory(place) as work:
        for path in executed:
            slides = slides_of(nbformat.read(path, as_version=4))
            if slides:
                bodies = [notebook_page.body_of(slide) for slide in slides]
                text = template.render(title=path.stem, slides=bodies, **shared)
                (work / f"{path.stem}.html").write_text(text, encoding="utf-8")
                written.append(place / f"{path.stem}.html")
        if not written:
            raise SlidesError(f"no cell is tagged `{SLIDE}` in {executed[0].parent}")
    return written


def slides_of(notebook: NotebookNode) -> list[NotebookNode]:
    """The slides of a notebook, each as a notebook of its cells.

    The code that only draws a figure is left out beside the figure.
    """
    from nbformat.v4 import new_notebook

    tagged = [cell for cell in notebook.cells if {SLIDE, MORE} & _tags(cell)]
    for cell in tagged:
        cell.metadata["transient"] = {"remove_source": _draws(cell)}
    starts = [number for number, cell in enumerate(tagged) if SLIDE in _tags(cell)]
    return [
        new_notebook(cells=tagged[start:end], metadata=notebook.metadata)
        for start, end in pairwise([*starts, len(tagged)])
    ]


def _tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", ()))


def _draws(cell: NotebookNode) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
