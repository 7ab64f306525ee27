"""The paper's own numbers: `load("table3")` reads published/paper/table3.csv."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

import pandas as pd

from s1lib.errors import S1Error

PAPER = Path(__file__).parent / "paper"


class UnknownReferenceError(S1Error):
    """There is no such table or figure. The message names the nearest."""


def names() -> list[str]:
    """The names that `load` knows."""
    return sorted(path.stem for path in PAPER.glob("*.csv"))


def load(name: str) -> pd.DataFrame:
    """The published numbers of one figure or table, such as "figure1" or "table12".

    Accuracies are in %, differences in points, lengths in tokens. A text cell that is empty reads
    "". Raises UnknownReferenceError.
    """
    return _read(name).copy()


@cache
def _read(name: str) -> pd.DataFrame:
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1, cutoff=0)
        hint = f"; did you mean {close[0]!r}?" if close else f" in {PAPER}"
        raise UnknownReferenceError(f"no reference data {name!r}{hint}")

    # A column of notes of which all are empty is read as numbers, hence the three names.
    table = pd.read_csv(PAPER / f"{name}.csv")
    for column in {"source", "how", "note", *table.select_dtypes(exclude="number").columns}:
        table[column] = table[column].astype(object).where(table[column].notna(), "")
    return table
