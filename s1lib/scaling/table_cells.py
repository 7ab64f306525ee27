"""Parts of several tables: the cells of an effect, and this run's rows above the paper's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from s1lib.scaling import metrics
from s1lib.scaling.effects import Bench, Effect, Missing
from s1lib.scaling.records import Records

THIS, PAPER = "this run", "paper"
EFFECT = ["difference", "low", "high", "p", "n"]


def benches(records: Records, resamples: int) -> Iterator[tuple[Bench, str]]:
    """Every benchmark with its role, in the order of the paper's tables."""
    for row in records.benchmarks.itertuples():
        yield Bench(records, row.benchmark, resamples), row.role


def effect_cells(alpha: float, measure: Callable[..., Effect], *what: object) -> dict:
    """The effect `measure(*what)` as cells of a row, or the reason why there is none in `note`."""
    try:
        effect = measure(*what)
    except Missing as reason:
        return {**dict.fromkeys(EFFECT, np.nan), "n": 0, "note": str(reason)}
    low, high = metrics.interval(effect.draws, alpha=alpha)
    cells = (effect.value, low, high, effect.p, effect.n)
    return {**dict(zip(EFFECT, cells, strict=True)), "note": ""}


def stacked(ours: pd.DataFrame, paper: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """This run's rows, then the published ones, told apart by the column `source`."""
    both = [
        table.reindex(columns=columns).assign(source=name)
        for name, table in ((THIS, ours), (PAPER, paper))
        if len(table)
    ]
    return pd.concat(both, ignore_index=True)[["source", *columns]]
