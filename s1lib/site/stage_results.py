"""The figures, tables and pages that a notebook left beside its manifest."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

COPIED = (".png", ".pdf", ".csv", ".md", ".tex")
NARROW = "-narrow"  # at the end of a figure's name: its version for a phone
LARGEST = 2 << 20  # bytes; a larger data file is left where it is
_PIPE = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Table:
    """Cells as a notebook showed them."""

    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Result:
    """One figure or table of a stage."""

    name: str
    title: str
    files: dict[str, str]  # path relative to the site, by suffix without its dot or "narrow"
    alt: str = ""  # what a figure shows, in words
    table: Table | None = None


@dataclass(frozen=True)
class Stage:
    """What one notebook left, figures before tables, both in the order of the paper."""

    name: str
    title: str
    results: list[Result]
    pages: list[Path]  # HTML files of the stage, which the site renders anew

    @property
    def narrow(self) -> dict[str, str]:
        """The narrow version of each figure that has one, by what the figure shows in words."""
        found = [result for result in self.results if "narrow" in result.files]
        return {result.alt: result.files["narrow"] for result in found}


def collect(outputs: Path, name: str, site: Path) -> Stage:
    """Copy what the stage left into the folder of the site and describe it."""
    found: dict[str, dict[str, Path]] = {}
    small = [p for p in sorted((outputs / name).glob("*.*")) if p.stat().st_size <= LARGEST]
    for path in small:
        stem = path.name.removesuffix(path.suffix)
        if path.suffix == ".png" and stem.endswith(NARROW):
            found.setdefault(stem.removesuffix(NARROW), {})["narrow"] = path
        elif path.suffix in COPIED:
            found.setdefault(stem, {})[path.suffix[1:]] = path

    results = [
        _result(stem, files, name, site)
        for stem, files in found.items()
        if {"png", "md"} & set(files)
    ]
    results.sort(key=lambda result: ("png" not in result.files, _order(result.name)))
    words = re.sub(r"^\d+_", "", name).replace("_", " ")
    return Stage(name, words, results, [path for path in small if path.suffix == ".html"])


def _result(stem: str, files: dict[str, Path], stage: str, site: Path) -> Result:
    folder = site / "files" / stage
    folder.mkdir(parents=True, exist_ok=True)
    for path in files.values():
        shutil.copyfile(path, folder / path.name)
    links = {kind: f"files/{stage}/{path.name}" for kind, path in files.items()}

    alt = _description(files["png"], stem) if "png" in files else ""
    table = read_markdown(files["md"].read_text(encoding="utf-8")) if "md" in files else None
    return Result(stem, title(stem), links, alt, table)


def _description(png: Path, stem: str) -> str:
    """What the figure shows, as `save_figure` wrote it into the file."""
    with Image.open(png) as image:
        return image.info.get("Description") or f"{title(stem)}. Its numbers are in the CSV file."


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
