"""The page of `s1 compare`: the table of both runs, and every problem on which they differ."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader

from s1lib.drawing.table_text import as_text
from s1lib.keeping.files import write_text
from s1lib.scaling.comparison import Comparison


def write_comparison(found: Comparison, names: tuple[str, str], directory: Path) -> Path:
    """Write compare.html, compare.csv and compare_flips.csv into `directory`, and return the page.

    Answers are a model's text and reach the page through jinja2's escaping.
    """
    environment = Environment(loader=PackageLoader("s1lib.site"), autoescape=True)
    tables = {"runs": as_text(found.runs), "flips": as_text(found.flips, digits=2)}
    page = environment.get_template("compare.html").render(
        title=f"{names[0]} beside {names[1]}", names=names, **tables
    )
    write_text(directory / "compare.csv", found.runs.to_csv(index=False))
    write_text(directory / "compare_flips.csv", found.flips.to_csv(index=False))
    write_text(directory / "compare.html", page)
    return directory / "compare.html"
