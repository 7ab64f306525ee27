"""The claims table: what the data of this run say to each of the paper's claims.

    table = claims_table(records, waits=2, votes=(1, 2, 4, 8, 16))
    table[table["declared"]]          # one row per claim: the comparison declared beforehand

The rows that are not declared are for the reader. The rules of a verdict:

- greater / less: *holds* when the 95 % interval lies wholly on the claimed side of 0, *does not
  hold* when it lies wholly on the other side, else *inconclusive*.
- equal: *holds* when the interval lies within ± the margin, *does not hold* when it lies wholly
  outside, else *inconclusive*.
- always / not always (Control): the samples themselves decide, and one broken limit breaks it.
- *n/a* when the records lack what is compared, or when two strings gave the same traces.

Nothing is corrected for the number of claims, so that about one in twenty true null effects will
look like one in either direction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from s1lib.scaling import effects, metrics
from s1lib.scaling.claims import ALL, BOOTSTRAP, MARGIN, Claim, claims
from s1lib.scaling.effects import Bench, Effect, Missing
from s1lib.scaling.records import Records

HOLDS, FAILS, OPEN, NOT_AVAILABLE = "holds", "does not hold", "inconclusive", "n/a"
MEASURED = ["effect", "low", "high", "unit", "n", "p", "test"]
COLUMNS = ["claim", "benchmark", "verdict", *MEASURED, "paper", "paper_source", "note", "declared"]


def verdict(direction: str, value: float, low: float, high: float) -> str:
    """The rules at the top of this file for an effect bounded by `low` and `high`."""
    if direction in ("always", "not always"):
        return HOLDS if (value >= 100) == (direction == "always") else FAILS
    if np.isnan([value, low, high]).any():
        return NOT_AVAILABLE
    if direction == "equal":
        outside = low > MARGIN or high < -MARGIN
        return HOLDS if low >= -MARGIN and high <= MARGIN else FAILS if outside else OPEN
    if direction == "less":
        low, high = -high, -low
    return HOLDS if low > 0 else FAILS if high < 0 else OPEN


def claims_table(
    records: Records,
    *,
    waits: int = 2,
    votes: Sequence[int] = (1, 2, 4, 8, 16),
    resamples: int = 10_000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Every claim on every benchmark and on their mean ("all"). `declared` marks what counts.

    Effects are in the row's unit with 1 - alpha intervals and the paper's value beside them. What
    the records do not hold is n/a with the reason in `note`.
    """
    roles = records.benchmarks.set_index("benchmark")["role"]
    benches = [(Bench(records, name, resamples, seed), role) for name, role in roles.items()]
    listed = claims(waits=waits, votes=votes)
    rows = [row for claim in listed for row in _rows(claim, benches, alpha)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    counted = f"{BOOTSTRAP} ({resamples:,})"
    return table.assign(test=table["test"].str.replace(BOOTSTRAP, counted))


def _rows(claim: Claim, benches: Sequence[tuple[Bench, str]], alpha: float) -> list[dict]:
    """The rows of one claim: each benchmark, and their mean."""
    rows, found, missing = [], [], []
    paper = {role: claim.paper(role) for _, role in benches}
    for bench, role in benches:
        try:
            effect = claim.effect(bench)
            found.append(effect)
        except Missing as reason:
            effect = str(reason)
            missing.append(effect)
        judged = claim.judged == role
        rows.append(_row(claim, bench.name, effect, paper[role], alpha, declared=judged))

    # a claim is declared once, also where its benchmark is not part of the run
    if claim.judged != ALL and not any(row["declared"] for row in rows):
        reason = f"no benchmark in the role of {claim.judged}, where this claim is judged"
        value = claim.paper(claim.judged)
        rows.append(_row(claim, claim.judged, reason, value, alpha, declared=True))

    # the mean is over the benchmarks that have the effect, and names what the others lack
    reasons = "; ".join(dict.fromkeys(missing))
    pooled = effects.pool(found) if found else reasons or "no benchmark"
    given = [value for value in paper.values() if not np.isnan(value)]
    mean = float(np.mean(given)) if given else np.nan
    row = _row(claim, ALL, pooled, mean, alpha, declared=claim.judged == ALL)
    if found and missing:
        row["note"] = "; ".join(filter(None, [row["note"], f"left out: {reasons}"]))
    return [*rows, row]


def _row(
    claim: Claim,
    benchmark: str,
    effect: Effect | str,
    paper: float,
    alpha: float,
    *,
    declared: bool,
) -> dict:
    """One row of the table. An effect that is a text is the reason why there is none."""
    row = {
        "claim": claim.text,
        "benchmark": benchmark,
        "unit": claim.unit,
        "test": claim.test,
        "paper": paper,
        "paper_source": "" if np.isnan(paper) else claim.paper_source,
        "declared": declared,
    }
    if isinstance(effect, str):
        return {**row, "n": 0, "verdict": NOT_AVAILABLE, "note": effect}
    low, high = metrics.interval(effect.draws, alpha=alpha)
    judged = verdict(claim.direction, effect.value, low, high)
    measured = {"effect": effect.value, "low": low, "high": high, "n": effect.n, "p": effect.p}
    return {**row, **measured, "verdict": judged, "note": effect.note}
