"""Tables that the paper does not have: its curve taken apart, all pairs of runs, what can be shown.

Taken apart it is because of a critique (arXiv 2507.14419): truncation makes the curve.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from s1lib.drawing.intervals import wilson
from s1lib.evaluation.run_names import NATURAL
from s1lib.scaling import effects, metrics, points
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.records import Records
from s1lib.scaling.table_cells import benches, effect_cells


def truncation_table(
    records: Records, *, resamples: int = 10_000, alpha: float = 0.05
) -> pd.DataFrame:
    """Budget forcing against plain truncation of the same traces at every budget.

    cut: % of traces that the budget cuts.
    forced, truncated: accuracy in % with a forced answer, and when what was cut has none.
    difference: what the forced answers add in points, with its paired bootstrap interval.
    """
    rows = []
    for bench, _ in benches(records, resamples):
        runs = bench.having(records.budgets()[:-1])  # all but the natural stop
        if not runs:
            rows.append({"benchmark": bench.name, "n": 0, "note": "no budgets"})
        for run in runs:
            forced, natural = (
                100 * bench.column(run, name).mean() for name in ("correct", "natural")
            )
            row = {"benchmark": bench.name, "budget": records.runs["limit"][run]}
            row |= {"cut": 100 - natural, "forced": forced}
            row |= effect_cells(alpha, effects.forced_answers, bench, run)
            rows.append({**row, "truncated": forced - row["difference"]})
    measured = ["cut", "forced", "truncated", "difference", "low", "high", "n"]
    return pd.DataFrame(rows, columns=["benchmark", "budget", *measured, "note"])


def truncation_points(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """s1's curve taken apart: plain truncation, forced answers on the same traces, and Waits.

    The Waits begin at the natural stop, where the other two end. Accuracies in % with Wilson's
    interval over problems.
    """
    # what is merely truncated has an answer only where its thinking ended in time
    ended = records.samples["correct"] & (records.samples["finish"] == "natural")
    truncated = replace(records, samples=records.samples.assign(correct=ended))
    budgets, waits = records.budgets(), [*records.natural(), *records.waits()]

    names = records.runs["label"].to_dict() | dict.fromkeys(records.natural(), NATURAL)
    names |= {run: f"W{records.runs['waits'][run]:.0f}" for run in records.waits()}

    parts = []
    for series, some, runs in (
        ("plain truncation", truncated, budgets),
        ("forced answers", records, budgets),
        ("Waits", records, waits),
    ):
        table = points.run_points(some, alpha=alpha).set_index("run")
        part = table.loc[[run for run in runs if run in table.index]]
        part = part.assign(series=series, label=part.index.map(names))
        parts.append(part[[*points.WHERE, "thinking_tokens", *points.ACCURACY]])
    return pd.concat(parts, ignore_index=True)


def pairs_table(records: Records, *, resamples: int = 10_000, alpha: float = 0.05) -> pd.DataFrame:
    """Accuracy of every run minus that of every other, in points, with paired intervals.

    All pairs of a benchmark are compared on the problems that all of its runs have.
    """
    methods = records.runs["method"].str.replace("_", " ")
    names = records.runs["model"] + ", " + methods + ": " + records.runs["label"]
    columns = ["benchmark", "first", "second", "difference", "low", "high", "n"]
    parts = [pd.DataFrame(columns=columns)]
    for bench, _ in benches(records, resamples):
        parts += _pairs(bench, names, alpha)
    return pd.concat(parts[1:] or parts, ignore_index=True)[columns]


def _pairs(bench: Bench, names: pd.Series, alpha: float) -> list[pd.DataFrame]:
    """For each run of a benchmark but the last, its comparison with those that follow."""
    runs = sorted(bench.present)
    try:
        _, replicas, correct = bench.paired(runs)
    except Missing:
        return []
    accuracy, draws = 100 * correct.mean(axis=0), 100 * bench.resampled(correct)
    bases = tuple(base for base, _ in replicas)
    weights = metrics.replica_weights(bases, resamples=bench.resamples)

    # one table a run: a row for each of some thousand pairs would take longer than the figures
    parts = []
    for place, run in enumerate(runs[:-1]):
        rest = slice(place + 1, None)
        apart = accuracy[:, rest] - accuracy[:, [place]]
        drawn = metrics.over_seeds(draws[..., rest] - draws[..., [place]], apart, weights)
        low, high = np.quantile(drawn, [alpha / 2, 1 - alpha / 2], axis=0)
        part = {"benchmark": bench.name, "first": names[run], "second": names[runs[rest]].to_list()}
        part |= {"difference": apart.mean(axis=0), "low": low, "high": high}
        parts.append(pd.DataFrame({**part, "n": len(correct)}))
    return parts


def detectable_table(
    records: Records, *, waits: int = 2, alpha: float = 0.05, power: float = 0.8
) -> pd.DataFrame:
    """How small a paired difference each benchmark can show with this power, in points.

    half_width: of Wilson's interval at 50 %.
    discordant: % of problems on which the natural stop and `waits` Waits disagree.
    detectable: the smallest difference that would be found at that share.
    """
    rows = []
    problems = records.benchmarks.set_index("benchmark")["problems"]
    for bench, _ in benches(records, resamples=1):
        n = int(problems[bench.name])
        low, high = wilson(n / 2, n, alpha=alpha)
        row = {"benchmark": bench.name, "problems": n, "half_width": 50 * (high - low), "note": ""}

        # how often two runs disagree is only known where both are among the records
        try:
            both = bench.paired([bench.natural(), bench.waits("Wait", waits)]).values
            discordant = 100 * np.mean(both[..., 0] != both[..., 1])
            smallest = metrics.minimal_detectable_difference(
                n, discordant=discordant / 100, alpha=alpha, power=power
            )
            row |= {"discordant": discordant, "detectable": smallest}
            if np.isnan(smallest):
                row["note"] = "not even if all disagreements went one way"
        except Missing as reason:
            row["note"] = str(reason)
        rows.append(row)

    columns = ["benchmark", "problems", "half_width", "discordant", "detectable", "note"]
    return pd.DataFrame(rows, columns=columns)
