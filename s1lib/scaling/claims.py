"""The claims table: what the paper claims, and what the data of this run say to it.

    table = claims_table(records, waits=2, votes=(1, 2, 4, 8, 16))
    table[table["declared"]]          # one row per claim: the comparison declared beforehand

Every claim names, before the data are seen, its comparison, its direction and where it is judged:
on the hard benchmark where the paper argues on AIME24, on the mean over all benchmarks otherwise.
The other rows are for the reader. The rules of a verdict:

- greater / less: *holds* when the 95 % interval lies wholly on the claimed side of 0, *does not
  hold* when it lies wholly on the other side, else *inconclusive*.
- equal: *holds* when the interval lies within ± the margin, *does not hold* when it lies wholly
  outside, else *inconclusive*.
- always / not always (Control): the samples themselves decide, and one broken limit breaks it.

Nothing is corrected for the number of claims, so that about one in twenty true null effects will
look like one in either direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from s1lib.profile import CUT
from s1lib.scaling import claimed_effects, effects, metrics, published_effects
from s1lib.scaling.effects import Bench, Effect, Missing
from s1lib.scaling.records import Records

HOLDS, FAILS, OPEN, NOT_AVAILABLE = "holds", "does not hold", "inconclusive", "n/a"
ALL, HARD = "all", "AIME24"
MARGIN = 5.0  # points within which two training sets count as equal
MEASURED = ["effect", "low", "high", "unit", "n", "p", "test"]
COLUMNS = ["claim", "benchmark", "verdict", *MEASURED, "paper", "paper_source", "note", "declared"]


@dataclass(frozen=True)
class Claim:
    """A claim, its effect in this run and in the paper (by role of the benchmark), and its rule.

    direction: "greater" | "less" | "equal" | "always" | "not always".
    judged: ALL, or the role of the one benchmark that counts.
    """

    text: str
    effect: Callable[[Bench], Effect]
    paper: Callable[[str], float]
    paper_source: str
    direction: str = "greater"
    unit: str = "points"
    judged: str = ALL
    test: str = "paired bootstrap; McNemar exact"


def claims(*, waits: int = 2, votes: Sequence[int] = (1, 2, 4, 8, 16)) -> list[Claim]:
    """The paper's claims in its order.

    waits: how many are compared where one number must be. votes: the k of the majority votes.
    """
    curve = {"unit": "points per doubling", "test": "paired bootstrap"}
    return [
        Claim(
            "Accuracy rises with the budget, up to the natural stop",
            claimed_effects.rises,
            published_effects.rises,
            "Figure 1",
            **curve,
        ),
        Claim(
            f'Ignoring the end of thinking {waits} times ("Wait") '
            "raises accuracy beyond the natural stop",
            partial(claimed_effects.extends, waits=waits),
            partial(published_effects.extends, waits=waits),
            "Table 5",
            judged=HARD,
        ),
        Claim(
            "Then it flattens: a Wait adds less at the end than at the start",
            claimed_effects.flattens,
            published_effects.flattens,
            "Figure 4a, log",
            "less",
            "points per Wait",
            HARD,
            "paired bootstrap",
        ),
        _control("Budget forcing keeps every limit", "budget_forcing", "BF", "always"),
        _control("Token-conditional control does not keep its limits", "token_conditional", "TCC"),
        _control("Step-conditional control does not keep its limits", "step_conditional", "SCC"),
        Claim(
            "Rejection sampling scales inversely",
            claimed_effects.rejection,
            published_effects.rejection,
            "Figure 6",
            "less",
            judged=HARD,
            **curve,
        ),
        _curation("s1K beats a set of the same size: random", "random"),
        _curation("s1K beats a set of the same size: diverse", "diverse"),
        _curation("s1K beats a set of the same size: longest", "longest"),
        _curation(f"s1K is as good as the full pool (within {MARGIN:.0f} points)", "full", "equal"),
        Claim(
            "Whole traces teach more than cut ones",
            partial(claimed_effects.curation, other=CUT),
            published_effects.lengths,
            "Table 8",
        ),
        Claim(
            f"Sequential scaling ({waits} × Wait) beats a majority vote at equal tokens",
            partial(claimed_effects.equal_tokens, waits=waits, votes=votes),
            published_effects.equal_tokens,
            "Figure 4b",
            test="paired bootstrap",
        ),
        *(_string(other, waits) for other in ("Hmm", "Alternatively", "")),
        Claim(
            "Fine-tuning on the traces lifts the base model",
            claimed_effects.lifts,
            published_effects.lifts,
            "Table 1",
        ),
    ]


def _control(text: str, method: str, short: str, direction: str = "not always") -> Claim:
    effect = partial(effects.controlled, method=method)
    paper = partial(published_effects.control, method=short)
    return Claim(text, effect, paper, "Table 3", direction, "% within", test="count")


def _curation(text: str, other: str, direction: str = "greater") -> Claim:
    effect = partial(claimed_effects.curation, other=other)
    paper = partial(published_effects.curation, other=other)
    return Claim(text, effect, paper, "Table 2", direction)


def _string(other: str, waits: int) -> Claim:
    name = f'"{other}"' if other else "no string"
    effect = partial(claimed_effects.strings, other=other, waits=waits)
    paper = partial(published_effects.strings, other=other)
    return Claim(f'"Wait" beats {name}, {waits} times each', effect, paper, "Table 4")


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
    counted = f"paired bootstrap ({resamples:,})"
    return table.assign(test=table["test"].str.replace("paired bootstrap", counted))


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
    row = _row(
        claim,
        ALL,
        pooled,
        float(np.mean(given)) if given else np.nan,
        alpha,
        declared=claim.judged == ALL,
    )
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
