"""Tables 3 and 12 to 14: the ways to control how long a model thinks.

BF is budget forcing, RS rejection sampling, and TCC, SCC and CCC are token-, step- and
class-conditional control, "+BF" where budget forcing holds the limit.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from s1lib.published.paper_numbers import load
from s1lib.scaling import effects, metrics, points
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.published_effects import published
from s1lib.scaling.records import Records
from s1lib.scaling.table_cells import PAPER, THIS, benches

CONDITIONAL = {
    "token_conditional": "TCC",
    "token_conditional_forced": "TCC+BF",
    "step_conditional": "SCC",
    "step_conditional_forced": "SCC+BF",
    "class_conditional": "CCC",
}
METHODS = {"budget_forcing": "BF", **CONDITIONAL, "rejection": "RS"}
WITHOUT_CURVE = {"direct", "majority", "tree_search"}
METRICS = ["control", "control_samples", "scaling", "slope", "low", "high", "performance"]
TABLE_3 = ["control", "scaling", "performance"]
SPENT = ["thinking_tokens", "answer_tokens", "accuracy", "low", "high", "n"]


def methods_table(
    records: Records, *, resamples: int = 10_000, alpha: float = 0.05
) -> pd.DataFrame:
    """Table 3 for every method in the records that has a curve.

    control: % of runs whose average thinking keeps the limit (the paper's, which counts a limit of
        steps as 100 tokens a step).
    control_samples: % of samples that keep it, a limit of steps counted in steps.
    scaling: points per doubling of thinking tokens, mean over all pairs of runs (the paper's).
    slope: the same by least squares, with its interval low, high.
    performance: best accuracy in %, where a rejected sample is wrong.
    limits, runs: the number of runs with a limit, and of all.
    """
    present = set(records.runs["method"]) - WITHOUT_CURVE
    methods = [name for name in METHODS if name in present] + sorted(present - set(METHODS))

    rows = []
    for bench, role in benches(records, resamples):
        for method in methods:
            row = {"method": method, "benchmark": bench.name, **_method(bench, method, alpha)}
            if role == "AIME24" and method in METHODS:  # the benchmark of Table 3
                for cell in TABLE_3:
                    row[f"paper_{cell}"] = published("table3", cell, method=METHODS[method])
            rows.append(row)
    paper = [f"paper_{cell}" for cell in TABLE_3]
    columns = ["method", "benchmark", *METRICS, "limits", "runs", "n", *paper, "note"]
    return pd.DataFrame(rows, columns=columns)


def _method(bench: Bench, method: str, alpha: float) -> dict:
    """The cells of one method on one benchmark. `note` says what the records do not hold."""
    records = bench.records
    runs = records.find(method=method, model=None)
    if method == "budget_forcing":
        runs = [*records.budgets(), *records.waits()]
    runs = bench.having(runs)
    if not runs:
        return {"runs": 0, "note": f"no records of {method}"}

    # what needs no curve: averages of what was accepted against limits, and the best run
    limits = records.runs["limit"][runs].to_numpy()
    tokens = np.array([_average_thinking(bench, run) for run in runs])
    accuracy = np.array([100 * bench.column(run).to_numpy().mean() for run in runs])
    row = {
        "control": metrics.control(tokens, limits),
        "performance": metrics.performance(accuracy),
        "limits": int((~np.isnan(limits)).sum()),
        "runs": len(runs),
    }
    if row["limits"]:
        row["control_samples"] = effects.controlled(bench, method).value

    # a curve: for rejection sampling over the problems that every cap accepted
    only = effects.always_accepted(bench, runs) if method == "rejection" else None
    notes = [] if only is None else [f"scaling over the {len(only)} problems that fit every cap"]
    try:
        if method == "class_conditional":
            row["control"] = class_control(bench)
        effect = effects.slope(bench, runs, only=only)
        row["low"], row["high"] = metrics.interval(effect.draws, alpha=alpha)
        row |= {"slope": effect.value, "n": effect.n}
        row["scaling"] = effects.slope(bench, runs, statistic=metrics.scaling, only=only).value
    except Missing as reason:
        notes.append(str(reason))
    return {**row, "note": "; ".join(notes)}


def _average_thinking(bench: Bench, run: int) -> float:
    """Average thinking tokens of a run over what it accepted."""
    tokens, accepted = bench.column(run, "thinking_tokens"), bench.column(run, "accepted")
    return float(tokens[accepted > 0].mean())


def class_control(bench: Bench) -> float:
    """Control of classes in % (Table 3): "short" must think less than the default, "long" more."""
    tokens = []
    for length in ("short", "none", "long"):
        found = bench.records.find(model=None, method="class_conditional", length=length)
        if not bench.having(found):
            raise Missing("no runs that ask for short, long and neither")
        tokens.append(bench.column(bench.having(found)[0], "thinking_tokens").to_numpy().mean())
    short, default, long = tokens
    return 100 * float(np.mean([short < default, long > default]))


def token_table(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Table 12: limit in tokens stated in the prompt, what was used, accuracy."""
    paper = load("table12").assign(benchmark="AIME24")
    return _beside(_conditional(records, "token_conditional", alpha), paper, ["limit"])


def step_table(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Table 13: limit in steps, steps used, tokens per step without the countdown, accuracy."""
    ours = _conditional(records, "step_conditional", alpha).drop(columns="limit")
    ours = ours.rename(columns={"steps": "limit", "steps_used": "steps"})
    ours["tokens_per_step"] = ours["thinking_tokens"] / ours["steps"].where(ours["steps"] > 0)
    paper = load("table13").assign(benchmark="AIME24").rename(columns={"limit_steps": "limit"})
    return _beside(ours, paper, ["limit", "steps", "tokens_per_step"])


def class_table(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Table 14: asked to think for a short time, a long time, or for neither."""
    ours = _conditional(records, "class_conditional", alpha).rename(columns={"length": "class"})
    return _beside(ours, load("table14").assign(method="CCC"), ["class"])


def _conditional(records: Records, method: str, alpha: float) -> pd.DataFrame:
    """The runs of a conditional method, alone and forced, with what was asked and used."""
    table = points.run_points(records, alpha=alpha).join(
        records.runs[["steps", "length"]], on="run"
    )
    table = table[table["method"].isin([method, f"{method}_forced"])]
    grouped = records.averages.groupby(["benchmark", "run"])
    table = table.join(grouped["steps_used"].mean(), on=["benchmark", "run"])
    return table.assign(method=table["method"].map(CONDITIONAL))


def _beside(ours: pd.DataFrame, paper: pd.DataFrame, asked: list[str]) -> pd.DataFrame:
    """This run's rows by benchmark, method and what was asked, above the published ones."""
    columns = ["source", "benchmark", "method", *asked, *SPENT]
    place = {name: at for at, name in enumerate(ours["benchmark"].unique())}
    ours = ours.sort_values(["method", asked[0]], kind="stable")
    ours = ours.sort_values("benchmark", key=lambda names: names.map(place), kind="stable")
    if ours.empty:
        ours = pd.DataFrame({"benchmark": ["not run in this profile"]})
    both = [ours.assign(source=THIS), paper.assign(source=PAPER)]
    return pd.concat([table.reindex(columns=columns) for table in both], ignore_index=True)


def curves(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Accuracy against average thinking tokens of budget forcing and every conditional method."""
    table = points.run_points(records, alpha=alpha)
    forcing = table["run"].isin([*records.budgets(), *records.waits()])
    series = table["method"].map(CONDITIONAL).mask(forcing, "budget forcing")
    table = table.assign(series=series).dropna(subset="series")
    order = ["budget forcing", *CONDITIONAL.values()]
    table = table.sort_values("series", key=lambda names: names.map(order.index), kind="stable")
    return table[points.CURVE[1:]].reset_index(drop=True)
