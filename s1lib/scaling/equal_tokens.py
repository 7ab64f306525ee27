"""The training sets compared twice: each at its own natural stop, and at equal thinking tokens.

The claims on training sets are about natural stops, where models of other sets think for other
lengths. What is left of a difference when s1 thinks as long as the other model, this table says.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from s1lib.scaling import effects, metrics
from s1lib.scaling.claimed_effects import curation_at_equal_tokens
from s1lib.scaling.claims import ALL
from s1lib.scaling.effects import Bench, Effect, Missing
from s1lib.scaling.records import Records
from s1lib.scaling.table_cells import benches
from s1lib.scaling.training_tables import trained_sets

NATURAL, EQUAL = "natural stops, points", "equal tokens, points"
COLUMNS = ["set", "benchmark", "s1, tokens", "set, tokens", NATURAL, EQUAL, "note"]


def sets_at_equal_tokens(
    records: Records, *, resamples: int = 10_000, alpha: float = 0.05
) -> pd.DataFrame:
    """s1 minus every other set, on each benchmark and on their mean, as in the claims.

    Differences are texts, "+3.1 [0.2, 6.0]", with 1 - alpha intervals over problems and seeds. At
    equal tokens s1 is read off its own curve of budgets and Waits.
    """
    rows = []
    for name in trained_sets(records):
        found = [_one(bench, name) for bench, _ in benches(records, resamples)]
        several = [row for row in found if row["n"]]
        if len(several) > 1:
            pooled = {key: effects.pool([row[key] for row in several]) for key in (NATURAL, EQUAL)}
            tokens = {key: np.mean([row[key] for row in several]) for key in COLUMNS[2:4]}
            found.append({"set": name, "benchmark": ALL, **tokens, **pooled, "note": ""})
        rows += found
    table = pd.DataFrame(rows, columns=COLUMNS)
    for key in (NATURAL, EQUAL):
        table[key] = [_text(cell, alpha) for cell in table[key]]
    return table


def _one(bench: Bench, name: str) -> dict:
    """A row of one benchmark, with the effects themselves in it."""
    row = {"set": name, "benchmark": bench.name, "n": 0, "note": ""}
    try:
        ours, theirs = bench.natural(), bench.natural(name)
        natural = effects.difference(bench, theirs, ours)
        equal = curation_at_equal_tokens(bench, name)
    except Missing as reason:
        return {**row, "note": str(reason)}
    tokens = bench.frame([ours, theirs], "thinking_tokens").mean()
    row |= {"s1, tokens": tokens[ours], "set, tokens": tokens[theirs]}
    return {**row, NATURAL: natural, EQUAL: equal, "n": natural.n, "note": equal.note}


def _text(cell: Effect | float, alpha: float) -> str:
    if not isinstance(cell, Effect):
        return "n/a"
    low, high = metrics.interval(cell.draws, alpha=alpha)
    return f"{cell.value:+.1f} [{low:.1f}, {high:.1f}]"
