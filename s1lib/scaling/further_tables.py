"""Tables that the paper does not have: two critiques of it, all pairs of runs, what can be shown.

The critiques are those of arXiv 2507.14419.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from s1lib.drawing.intervals import wilson
from s1lib.scaling import effects, metrics
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.records import Records
from s1lib.scaling.table_cells import benches, effect_cells

GRADES = ["wrong_to_right", "right_to_wrong", "right_to_right", "wrong_to_wrong"]


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


def transitions_table(records: Records) -> pd.DataFrame:
    """Changes of the grades from each number of Waits to the next.

    changed_wrong: answers that changed from one wrong value to another.
    net: what the step gains in points, with the exact McNemar p over all samples.
    """
    rows = []
    for benchmark, samples in records.samples.groupby("benchmark", observed=True):
        present = set(samples["run"])
        runs = [run for run in [*records.natural(), *records.waits()] if run in present]
        if len(runs) < 2:
            note = "fewer than two numbers of Waits"
            rows.append({"benchmark": benchmark, "n": 0, "note": note})
        for before, after in pairwise(runs):
            names = (f"W{records.runs['waits'][run]:.0f}" for run in (before, after))
            row = {"benchmark": benchmark, "step": " → ".join(names)}
            rows.append({**row, **_transition(samples, before, after)})
    counts = [*GRADES, "changed_wrong", "net", "p", "n"]
    return pd.DataFrame(rows, columns=["benchmark", "step", *counts, "note"])


def _transition(samples: pd.DataFrame, before: int, after: int) -> dict:
    """Counts over the samples that two runs have in common."""
    key = ["problem_id", "seed", "sample"]
    parts = (samples[samples["run"] == run] for run in (before, after))
    first, second = (part[[*key, "correct", "extracted"]] for part in parts)
    both = first.merge(second, on=key, suffixes=("", "_after"))

    # an answer that could not be read equals another that could not
    was, now = both["correct"].astype(bool), both["correct_after"].astype(bool)
    changed = both["extracted"].fillna("") != both["extracted_after"].fillna("")
    masks = (~was & now, was & ~now, was & now, ~was & ~now)
    gained, lost, kept_right, kept_wrong = (int(mask.sum()) for mask in masks)
    return {
        **dict(zip(GRADES, (gained, lost, kept_right, kept_wrong), strict=True)),
        "changed_wrong": int((masks[-1] & changed).sum()),
        "net": 100 * (gained - lost) / len(both) if len(both) else np.nan,
        "p": metrics.mcnemar_p(gained, lost),
        "n": len(both),
        "note": "",
    }


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
        correct = 100 * bench.frame(runs).to_numpy()
    except Missing:
        return []
    accuracy, draws = correct.mean(axis=0), bench.weights(len(correct)) @ correct

    # one table a run: a row for each of some thousand pairs would take longer than the figures
    parts = []
    for place, run in enumerate(runs[:-1]):
        rest = slice(place + 1, None)
        low, high = np.quantile(
            draws[:, rest] - draws[:, [place]], [alpha / 2, 1 - alpha / 2], axis=0
        )
        part = {"benchmark": bench.name, "first": names[run], "second": names[runs[rest]].to_list()}
        part |= {"difference": accuracy[rest] - accuracy[place], "low": low, "high": high}
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
            both = bench.frame([bench.natural(), bench.waits("Wait", waits)]).to_numpy()
            discordant = 100 * np.mean(both[:, 0] != both[:, 1])
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
