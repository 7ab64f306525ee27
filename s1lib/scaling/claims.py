"""The claims table: what the paper claims, and what the data of this run say to it.

    table = claims_table(records, waits=2, votes=(1, 2, 4, 8, 16))
    table[table["declared"]]          # one row per claim: the comparison that was declared beforehand

Verdicts. Every claim names, before the data are seen, its comparison, its direction and where it is judged (the hard
benchmark where the paper argues on AIME24, the mean over all benchmarks otherwise); the other rows are for the reader.
- greater / less: *holds* when the 95 % interval lies wholly on the claimed side of 0, *does not hold* when it lies wholly
  on the other side, *inconclusive* otherwise.
- equal: *holds* when the interval lies within ± the margin, *does not hold* when it lies wholly outside, else *inconclusive*.
- always / not always (Control): decided by the samples themselves; one broken limit is a broken limit.
There is no correction for the number of claims: about one in twenty true null effects will look like one in either direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from s1lib.profile import CUT
from s1lib.scaling import effects, metrics
from s1lib.scaling import paper_effects as published
from s1lib.scaling.effects import Bench, Effect, Missing
from s1lib.scaling.records import Records

HOLDS, FAILS, OPEN, NOT_AVAILABLE = "holds", "does not hold", "inconclusive", "n/a"
ALL, HARD = "all", "AIME24"
MARGIN = 5.0  # points within which two training sets count as equal
COLUMNS = ["claim", "benchmark", "verdict", "effect", "low", "high", "unit", "n", "p", "test", "paper", "paper_source", "note", "declared"]


@dataclass(frozen=True)
class Claim:
    """direction: "greater" | "less" | "equal" | "always" | "not always"; judged: ALL or the role of one benchmark."""

    text: str
    effect: Callable[[Bench], Effect]
    paper: Callable[[str], float]  # the paper's value by benchmark role; NaN where it gives none
    paper_source: str
    direction: str = "greater"
    unit: str = "points"
    judged: str = ALL
    test: str = "paired bootstrap"


def claims(*, waits: int = 2, votes: Sequence[int] = (1, 2, 4, 8, 16)) -> list[Claim]:
    """The paper's claims in its order. waits: how many are compared where one number must be; votes: the k of majority votes."""
    per_doubling, mcnemar = "points per doubling", "paired bootstrap; McNemar exact"
    listed = [
        Claim("Accuracy rises with the budget, up to the natural stop", effects.rises, published.rises, "Figure 1", unit=per_doubling),
        Claim(
            f'Ignoring the end of thinking {waits} times ("Wait") raises accuracy beyond the natural stop',
            partial(effects.extends, waits=waits),
            partial(published.extends, waits=waits),
            "Table 5",
            judged=HARD,
            test=mcnemar,
        ),
        Claim(
            "Then it flattens: a Wait adds less at the end than at the start",
            effects.flattens,
            published.flattens,
            "Figure 4a, log",
            "less",
            "points per Wait",
            HARD,
        ),
        Claim(
            "Budget forcing keeps every limit",
            partial(effects.controlled, method="budget_forcing"),
            partial(published.control, method="BF"),
            "Table 3",
            "always",
            "% within",
            test="count",
        ),
    ]
    for method, short in (("token_conditional", "TCC"), ("step_conditional", "SCC")):
        effect, paper = partial(effects.controlled, method=method), partial(published.control, method=short)
        text = f"{method.replace('_', '-').capitalize()} control does not keep its limits"
        listed.append(Claim(text, effect, paper, "Table 3", "not always", "% within", test="count"))
    text = "Rejection sampling scales inversely"
    listed.append(Claim(text, effects.rejection, published.rejection, "Figure 6", "less", per_doubling, HARD))
    for other in ("random", "diverse", "longest"):
        effect, paper = partial(effects.curation, other=other), partial(published.curation, other=other)
        listed.append(Claim(f"s1K beats a set of the same size: {other}", effect, paper, "Table 2", test=mcnemar))
    effect, paper = partial(effects.curation, other="full"), partial(published.curation, other="full")
    listed.append(Claim(f"s1K is as good as the full pool (within {MARGIN:.0f} points)", effect, paper, "Table 2", "equal", test=mcnemar))
    whole = partial(effects.curation, other=CUT)
    listed.append(Claim("Whole traces teach more than cut ones", whole, published.lengths, "Table 8", test=mcnemar))
    listed.append(
        Claim(
            f"Sequential scaling ({waits} × Wait) beats a majority vote at equal tokens",
            partial(effects.equal_tokens, waits=waits, votes=votes),
            published.equal_tokens,
            "Figure 4b",
        )
    )
    for other in ("Hmm", "Alternatively", ""):
        name = f'"{other}"' if other else "no string"
        effect, paper = partial(effects.strings, other=other, waits=waits), partial(published.strings, other=other)
        listed.append(Claim(f'"Wait" beats {name}, {waits} times each', effect, paper, "Table 4", test=mcnemar))
    listed.append(Claim("Fine-tuning on the traces lifts the base model", effects.lifts, published.lifts, "Table 1", test=mcnemar))
    return listed


def verdict(direction: str, value: float, low: float, high: float) -> str:
    """The rules of the module's first lines; `low` and `high` bound the effect."""
    if direction in ("always", "not always"):
        return HOLDS if (value >= 100) == (direction == "always") else FAILS
    if np.isnan([value, low, high]).any():
        return NOT_AVAILABLE
    if direction == "equal":
        return HOLDS if low >= -MARGIN and high <= MARGIN else FAILS if low > MARGIN or high < -MARGIN else OPEN
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
    """Every claim on every benchmark and on their mean ("all"); `declared` marks the row that counts.

    Effects in the row's unit with 1 - alpha intervals, n in problems, the paper's value beside it. What the records do not
    hold is n/a with the reason in `note`.
    """
    benches = [(Bench(records, row.benchmark, resamples, seed), row.role) for row in records.benchmarks.itertuples()]
    rows = [row for claim in claims(waits=waits, votes=votes) for row in _rows(claim, benches, alpha)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["test"] = table["test"].str.replace("paired bootstrap", f"paired bootstrap ({resamples:,})")
    return table


def _rows(claim: Claim, benches: Sequence[tuple[Bench, str]], alpha: float) -> list[dict]:
    rows, found, missing = [], [], []
    paper = {role: claim.paper(role) for _, role in benches}
    for bench, role in benches:
        try:
            effect = claim.effect(bench)
            found.append(effect)
        except Missing as reason:
            effect = str(reason)
            missing.append(effect)
        rows.append(_row(claim, bench.name, effect, paper[role], alpha, declared=claim.judged == role))
    if claim.judged != ALL and not any(row["declared"] for row in rows):
        reason = f"no benchmark in the role of {claim.judged}, where this claim is judged"
        rows.append(_row(claim, claim.judged, reason, claim.paper(claim.judged), alpha, declared=True))
    reasons = "; ".join(dict.fromkeys(missing)) or "no benchmark"
    pooled = effects.pool(found) if found else reasons
    given = [value for value in paper.values() if not np.isnan(value)]
    mean = float(np.mean(given)) if given else np.nan
    rows.append(_row(claim, ALL, pooled, mean, alpha, declared=claim.judged == ALL, left_out=reasons if found and missing else ""))
    return rows


def _row(claim: Claim, benchmark: str, effect: Effect | str, paper: float, alpha: float, *, declared: bool, left_out: str = "") -> dict:
    row = {"claim": claim.text, "benchmark": benchmark, "unit": claim.unit, "test": claim.test, "paper": paper, "declared": declared}
    row["paper_source"] = claim.paper_source if not np.isnan(paper) else ""
    if isinstance(effect, str):
        return {**row, "effect": np.nan, "low": np.nan, "high": np.nan, "n": 0, "p": np.nan, "verdict": NOT_AVAILABLE, "note": effect}
    low, high = metrics.interval(effect.draws, alpha=alpha)
    note = "; ".join(part for part in (effect.note, f"left out: {left_out}" if left_out else "") if part)
    judged = verdict(claim.direction, effect.value, low, high)
    return {**row, "effect": effect.value, "low": low, "high": high, "n": effect.n, "p": effect.p, "verdict": judged, "note": note}
