"""Parts of several tables: the cells of an effect, and this run's rows above the paper's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from s1lib.scaling import metrics
from s1lib.scaling.effects import Bench, Effect, Missing
from s1lib.scaling.pairing import Replica, number_of, replica_name
from s1lib.scaling.records import Records

THIS, PAPER = "this run", "paper"
REPLICA_NAME = re.compile(r"base \d+|(base \d+, )?seed \d+")
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
    numbers = effect.value, low, high, effect.p_value(), effect.n
    cells = dict(zip(EFFECT, numbers, strict=True))
    return {**cells, **seed_cells(effect), "note": ""}


def seed_cells(effect: Effect) -> dict[str, float]:
    """A column per replica with its own effect, where there are several: "seed 0", "base 1"."""
    each = effect.by_seed
    return {replica_name(one, each): each[one] for one in each} if len(each) > 1 else {}


def seed_columns(table: Iterable[str]) -> list[str]:
    """Those of some columns that `seed_cells` made, in their order."""
    return [name for name in table if REPLICA_NAME.fullmatch(name)]


def seed_list(by_seed: Mapping[Replica, float]) -> str:
    """The effects of several replicas in one cell: "3 seeds: +2.1, +4.0, +1.5".

    A stroke parts the seeds of one base from those of the next.
    """
    bases: dict[int, list[str]] = {}
    for (base, _), value in by_seed.items():
        bases.setdefault(base, []).append(f"{value:+.1f}")
    each = [", ".join(seeds) for seeds in bases.values()]
    apart = ", " if len(bases) == len(by_seed) else " | "
    return f"{number_of(by_seed)}: {apart.join(each)}"


def stacked(ours: pd.DataFrame, paper: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """This run's rows, then the published ones, told apart by the column `source`."""
    both = [
        table.reindex(columns=columns).assign(source=name)
        for name, table in ((THIS, ours), (PAPER, paper))
        if len(table)
    ]
    return pd.concat(both, ignore_index=True)[["source", *columns]]
