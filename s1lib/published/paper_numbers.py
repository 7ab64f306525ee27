"""The paper's own numbers: `load("table3")` reads published/paper/table3.csv."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

import pandas as pd

from s1lib.errors import S1Error

PAPER = Path(__file__).parent / "paper"


class UnknownReferenceError(S1Error):
    """There is no such table or figure; the message names the nearest."""


def names() -> list[str]:
    return sorted(path.stem for path in PAPER.glob("*.csv"))


def load(name: str) -> pd.DataFrame:
    """The published numbers of one figure or table ("figure1", "figure2_right", "table12", ...), tidy.

    Accuracies in %, differences in points, tokens in tokens; text cells that are empty read "". Raises UnknownReferenceError.
    """
    return _read(name).copy()


@cache
def _read(name: str) -> pd.DataFrame:
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1, cutoff=0)
        raise UnknownReferenceError(f"no reference data {name!r}" + (f"; did you mean {close[0]!r}?" if close else f" in {PAPER}"))
    table = pd.read_csv(PAPER / f"{name}.csv")
    texts = ["source", "how", "note", *table.select_dtypes(exclude="number").columns]
    return table.assign(**{column: table[column].astype(object).where(table[column].notna(), "") for column in dict.fromkeys(texts)})
