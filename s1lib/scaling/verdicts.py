"""The claims table: what the data of this run say to each of the paper's claims.

    table = claims_table(records, waits=2, votes=(1, 2, 4, 8, 16))
    table[table["declared"]]          # one row per claim: the comparison declared beforehand

The rules of a verdict stand at the top of claims.yaml, the model of the effects in effects.py. The
rows that are not declared are for the reader. `p` is that of each row alone, and `p_holm` is
adjusted for the number of claims that the records can test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from s1lib.scaling import effects, metrics
from s1lib.scaling.claims import ALL, Claim, Rule, claims
from s1lib.scaling.effects import Bench, Effect, Missing
from s1lib.scaling.records import Records
from s1lib.scaling.table_cells import seed_list

DECIMALS = 9  # of the numbers that a verdict compares
HOLDS, FAILS, OPEN, NOT_AVAILABLE = "holds", "does not hold", "inconclusive", "n/a"
MEASURED = ["effect", "low", "high", "matters", "unit", "by seed", "n", "p", "p_holm"]
PAPER = ["paper", "paper_source"]
COLUMNS = ["claim", "benchmark", "verdict", *MEASURED, "kind", "test", *PAPER, "note", "declared"]


def verdict(
    direction: str,
    matters: float,
    value: float,
    low: float,
    high: float,
    by_seed: Iterable[float] = (),
) -> str:
    """The rules at the top of claims.yaml for an effect bounded by `low` and `high`.

    by_seed: the effect of each seed alone.
    """
    if direction == "always":
        return HOLDS if round(value, DECIMALS) >= 100 else FAILS
    if np.isnan([value, low, high]).any():
        return NOT_AVAILABLE
    # no rounding of floating point decides, neither at 0 nor at what matters
    value, low, high, *each = (round(number, DECIMALS) for number in (value, low, high, *by_seed))
    if direction == "not worse":
        return HOLDS if low > -matters else FAILS if high < -matters else OPEN
    if direction == "less":
        value, low, high, each = -value, -high, -low, [-number for number in each]
    if low > 0 and value >= matters and not any(number < 0 for number in each):
        return HOLDS
    return FAILS if high < matters else OPEN


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

    # one family of tests: the comparisons that were declared
    declared = table["declared"]
    p = table.loc[declared, "p"].to_numpy(dtype=float)
    table.loc[declared, "p_holm"] = metrics.holm(p)
    return table


def _rows(claim: Claim, benches: Sequence[tuple[Bench, str]], alpha: float) -> list[dict]:
    """The rows of one claim: each benchmark, and their mean."""
    rows, found, missing = [], [], []
    judged = claim.rule.judged
    paper = {role: claim.paper(role) for _, role in benches}
    for bench, role in benches:
        try:
            effect = claim.effect(bench)
            found.append(effect)
        except Missing as reason:
            effect = str(reason)
            missing.append(effect)
        declared = judged == role
        rows.append(_row(claim.rule, bench.name, effect, paper[role], alpha, declared=declared))

    # a claim is declared once, also where its benchmark is not part of the run
    if judged != ALL and not any(row["declared"] for row in rows):
        reason = f"no benchmark in the role of {judged}, where this claim is judged"
        rows.append(_row(claim.rule, judged, reason, claim.paper(judged), alpha, declared=True))

    # the mean is over the benchmarks that have the effect, and names what the others lack
    reasons = "; ".join(dict.fromkeys(missing))
    pooled = effects.pool(found) if found else reasons or "no benchmark"
    given = [value for value in paper.values() if not np.isnan(value)]
    mean = float(np.mean(given)) if given else np.nan
    row = _row(claim.rule, ALL, pooled, mean, alpha, declared=judged == ALL)
    if found and missing:
        row["note"] = "; ".join(filter(None, [row["note"], f"left out: {reasons}"]))
    return [*rows, row]


def _row(
    rule: Rule,
    benchmark: str,
    effect: Effect | str,
    paper: float,
    alpha: float,
    *,
    declared: bool,
) -> dict:
    """One row of the table. An effect that is a text is the reason why there is none."""
    row = {
        "claim": rule.claim,
        "benchmark": benchmark,
        "matters": rule.matters,
        "unit": rule.unit,
        "kind": rule.kind,
        "test": rule.test,
        "paper": paper,
        "paper_source": "" if np.isnan(paper) else rule.paper_source,
        "by seed": "",
        "p": np.nan,
        "p_holm": np.nan,
        "declared": declared,
    }
    if isinstance(effect, str):
        return {**row, "n": 0, "verdict": NOT_AVAILABLE, "note": effect}

    low, high = metrics.interval(effect.draws, alpha=alpha)
    each = effect.by_seed.values()
    row |= {"effect": effect.value, "low": low, "high": high, "n": effect.n}
    row["verdict"] = verdict(rule.direction, rule.matters, effect.value, low, high, each)

    # the null hypothesis lies where the direction says that the claim would begin to fail
    if rule.direction != "always":
        null = -rule.matters if rule.direction == "not worse" else 0.0
        row["p"] = effect.p_value(null)

    # what one training shows may be that training, and what one base model shows may be that model
    if len(each) > 1:
        row["by seed"] = seed_list(effect.by_seed)
    bases = {base for base, _ in effect.by_seed}
    alone = "one training" if len(each) == 1 else "one base" if len(bases) == 1 else ""
    return {**row, "note": "; ".join(filter(None, [alone, effect.note]))}
