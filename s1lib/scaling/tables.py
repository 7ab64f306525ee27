"""The paper's tables from records: functions DataFrame -> DataFrame; `s1lib.drawing.plots.save_table` writes them as CSV and Markdown.

Accuracies and differences in % and points. What a run does not hold is missing ("n/a" when saved) with the reason in `note`;
the columns `paper…` hold the published value of the benchmark whose role this one plays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from s1lib.drawing.intervals import wilson
from s1lib.published.paper_numbers import load
from s1lib.scaling import control, effects, metrics, points
from s1lib.scaling.effects import Bench, Effect, Missing
from s1lib.scaling.records import MAIN, Records

SETS = ("random", "diverse", "longest", "full")
METHODS = {"budget_forcing": "BF", **control.NAMES, "rejection": "RS"}


def _benches(records: Records, resamples: int) -> list[tuple[Bench, str]]:
    return [(Bench(records, row.benchmark, resamples), row.role) for row in records.benchmarks.itertuples()]


def _effect(measure: Callable[[], Effect], alpha: float) -> dict:
    """An effect as the cells of a row; its reason when there is none."""
    try:
        effect = measure()
    except Missing as reason:
        return {"difference": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "n": 0, "note": str(reason)}
    low, high = metrics.interval(effect.draws, alpha=alpha)
    return {"difference": effect.value, "low": low, "high": high, "p": effect.p, "n": effect.n, "note": ""}


def _published(name: str, role: str, columns: Sequence[str], **where: object) -> list[float]:
    """Cells of one published row, NaN where there is none."""
    table = load(name)
    for column, value in {**({"benchmark": role} if "benchmark" in table else {}), **where}.items():
        table = table[table[column] == value]
    return [float(table[column].iloc[0]) if len(table) else np.nan for column in columns]


def accuracy_table(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Table 1's rows of this run: every model without thinking or at its natural stop, and s1 with Waits (paper: Tables 1, 2, 5)."""
    table = points.run_points(records, alpha=alpha)
    unforced = table["limit"].isna() & table["method"].isin(["direct", "budget_forcing"]) & table["waits"].eq(0)
    table = table[unforced | table["run"].isin([*records.natural(), *records.waits()])]
    order = {name: place for place, name in enumerate([*dict.fromkeys(table["benchmark"]), "base", MAIN, *SETS])}
    table = table.sort_values(["benchmark", "model", "waits"], key=lambda c: c if c.name == "waits" else c.map(order), kind="stable")
    table["paper"] = [_published_accuracy(row) for row in table.itertuples()]
    return table[["benchmark", "model", "label", "accuracy", "low", "high", "n", "thinking_tokens", "paper"]].reset_index(drop=True)


def _published_accuracy(row: tuple) -> float:
    if row.model == "base":
        return _published("table1", row.role, ["accuracy"], model="Qwen2.5-32B-Instruct")[0]
    if row.model == MAIN:
        return _published("table5", row.role, ["accuracy"], model="s1", waits=row.waits)[0]
    return _published("table2", row.role, ["accuracy"], set=row.model)[0]


def ablations_table(records: Records, *, resamples: int = 10_000, alpha: float = 0.05) -> pd.DataFrame:
    """Table 2: each training set at its natural stop; the difference *to s1* with its paired bootstrap interval."""
    others = set(records.runs["model"][records.runs["method"] == "budget_forcing"]) - {MAIN, "base", *SETS}
    models = [MAIN, *SETS, *sorted(others)]
    table, rows = points.run_points(records, alpha=alpha).set_index(["benchmark", "run"]), []
    for bench, role in _benches(records, resamples):
        for model in models:
            accuracy, low, high = _published("table2", role, ["accuracy", "low", "high"], set=model)
            row = {"set": model, "benchmark": bench.name, "accuracy": np.nan}
            try:
                row["accuracy"] = table["accuracy"][bench.name, bench.natural(model)]
                cells = _effect(lambda bench=bench, model=model: effects.difference(bench, bench.natural(), bench.natural(model)), alpha)
                row |= (
                    cells
                    if model != MAIN
                    else {**cells, "difference": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "note": "reference"}
                )
            except Missing as reason:
                row["note"] = str(reason)
            paper = accuracy - _published("table2", role, ["accuracy"], set=MAIN)[0] if model != MAIN else np.nan
            rows.append({**row, "paper": accuracy, "paper_difference": paper, "paper_low": low, "paper_high": high})
    columns = [
        "set",
        "benchmark",
        "accuracy",
        "difference",
        "low",
        "high",
        "p",
        "n",
        "paper",
        "paper_difference",
        "paper_low",
        "paper_high",
    ]
    return pd.DataFrame(rows, columns=[*columns, "note"])


def strings_table(
    records: Records, *, strings: Sequence[str], waits: int = 2, resamples: int = 10_000, alpha: float = 0.05
) -> pd.DataFrame:
    """Table 4: the end of thinking ignored `waits` times with each string; the difference to *not ignoring it*, paired."""
    table, rows = points.run_points(records, alpha=alpha).set_index(["benchmark", "run"]), []
    for bench, role in _benches(records, resamples):
        for string in strings:
            paper, none = (_published("table4", role, ["accuracy"], waits=n, string=s)[0] for n, s in ((2, string), (0, "")))
            row = {"string": string or "(nothing)", "benchmark": bench.name, "accuracy": np.nan}
            row |= _effect(lambda bench=bench, string=string: _against_natural(bench, string, waits), alpha)
            if row["n"]:
                row["accuracy"] = table["accuracy"][bench.name, effects.string_run(bench, string, waits)]
            rows.append({**row, "paper": paper, "paper_difference": paper - none})
    columns = ["string", "benchmark", "accuracy", "difference", "low", "high", "p", "n", "paper", "paper_difference", "note"]
    return pd.DataFrame(rows, columns=columns)


def _against_natural(bench: Bench, string: str, waits: int) -> Effect:
    return effects.difference(bench, bench.natural(), effects.string_run(bench, string, waits))


def methods_table(records: Records, *, resamples: int = 10_000, alpha: float = 0.05) -> pd.DataFrame:
    """Table 3 for every method in the records that has a curve.

    control: % of runs whose average thinking keeps the limit (the paper's); control_samples: % of samples that keep it.
    scaling: points per doubling of thinking tokens, mean over all pairs of runs (the paper's); slope: least squares, with its
    interval. performance: best accuracy in %, rejected samples counted as wrong. runs: with a limit, and all.
    """
    present = [method for method in METHODS if (records.runs["method"] == method).any()]
    present += sorted(set(records.runs["method"]) - {*METHODS, "direct", "majority", "tree_search"})
    rows = [
        {"method": method, "benchmark": bench.name, **_method(bench, method, alpha), **_table3(method, role)}
        for bench, role in _benches(records, resamples)
        for method in present
    ]
    columns = ["method", "benchmark", "control", "control_samples", "scaling", "slope", "low", "high", "performance", "limits", "runs", "n"]
    return pd.DataFrame(rows, columns=[*columns, "paper_control", "paper_scaling", "paper_performance", "note"])


def _table3(method: str, role: str) -> dict:
    known = role == "AIME24" and method in METHODS
    cells = _published("table3", role, ["control", "scaling", "performance"], method=METHODS[method]) if known else [np.nan] * 3
    return dict(zip(("paper_control", "paper_scaling", "paper_performance"), cells, strict=True))


def _method(bench: Bench, method: str, alpha: float) -> dict:
    records = bench.records
    forcing = method == "budget_forcing"
    runs = [*records.budgets(), *records.waits()] if forcing else records.find(method=method, model=None)
    runs = bench.having(runs)
    if not runs:
        return {"runs": 0, "note": f"no records of {method}"}
    limits = records.runs["limit"][runs].to_numpy()
    tokens = [_thinking(bench, run) for run in runs]
    row = {"control": metrics.control(np.array(tokens), limits), "runs": len(runs), "limits": int((~np.isnan(limits)).sum()), "note": ""}
    row["performance"] = metrics.performance(np.array([100 * bench.frame([run]).to_numpy().mean() for run in runs]))
    only = effects.always_accepted(bench, runs) if method == "rejection" else None
    if only is not None:
        row["note"] = f"scaling over the {len(only)} problems that fit every cap"
    try:
        if method == "class_conditional":
            row["control"] = control.class_control(bench)
        effect = effects.slope(bench, runs, only=only)
        row |= dict(zip(("low", "high"), metrics.interval(effect.draws, alpha=alpha), strict=True))
        row |= {"slope": effect.value, "n": effect.n, "scaling": effects.slope(bench, runs, statistic=metrics.scaling, only=only).value}
        row["control_samples"] = effects.controlled(bench, method).value
    except Missing as reason:
        row["note"] = "; ".join(filter(None, [row["note"], str(reason)]))
    return row


def _thinking(bench: Bench, run: int) -> float:
    """Average thinking tokens of a run over what it accepted."""
    tokens, accepted = (bench.frame([run], value)[run] for value in ("thinking_tokens", "accepted"))
    return float(tokens[accepted > 0].mean())


def pairs_table(records: Records, *, resamples: int = 10_000, alpha: float = 0.05) -> pd.DataFrame:
    """Every pair of runs on the problems that all of them have: accuracy of the second minus that of the first, in points, paired."""
    names = records.runs["model"] + ", " + records.runs["method"].str.replace("_", " ") + ": " + records.runs["label"]
    parts = []
    for bench, _ in _benches(records, resamples):
        runs = sorted(bench.present)
        try:
            accuracy, draws, n = effects.all_differences(bench, runs)
        except Missing:
            continue
        for place, run in enumerate(runs[:-1]):
            low, high = np.quantile(draws[:, place + 1 :] - draws[:, [place]], [alpha / 2, 1 - alpha / 2], axis=0)
            about = {"benchmark": bench.name, "first": names[run], "second": names[runs[place + 1 :]].to_list()}
            parts.append(pd.DataFrame({**about, "difference": accuracy[place + 1 :] - accuracy[place], "low": low, "high": high, "n": n}))
    columns = ["benchmark", "first", "second", "difference", "low", "high", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def truncation_table(records: Records, *, resamples: int = 10_000, alpha: float = 0.05) -> pd.DataFrame:
    """Budget forcing against plain truncation of the same traces at every budget (the critique of arXiv 2507.14419).

    cut: % of traces that the budget cuts. forced, truncated: accuracy in % with a forced answer, and when what was cut has
    none; difference in points with its paired bootstrap interval.
    """
    rows = []
    for bench, _ in _benches(records, resamples):
        runs = bench.having(records.budgets()[:-1])  # all but the natural stop
        if not runs:
            rows.append({"benchmark": bench.name, "n": 0, "note": "no budgets"})
        for run in runs:
            forced, natural = (100 * bench.frame([run], value)[run].mean() for value in ("correct", "natural"))
            row = {"benchmark": bench.name, "budget": records.runs["limit"][run], "cut": 100 - natural, "forced": forced}
            row |= _effect(lambda bench=bench, run=run: effects.forced_answers(bench, run), alpha)
            rows.append({**row, "truncated": forced - row["difference"]})
    return pd.DataFrame(rows, columns=["benchmark", "budget", "cut", "forced", "truncated", "difference", "low", "high", "n", "note"])


def transitions_table(records: Records, *, wait: str = "Wait") -> pd.DataFrame:
    """What each Wait does to the answers (the critique of arXiv 2507.14419): right to wrong, wrong to right, and answers that
    change without a change of grade; from each number of Waits to the next, samples paired.
    """
    rows = []
    for benchmark in records.benchmarks["benchmark"]:
        samples = records.samples[records.samples["benchmark"] == benchmark]
        runs = [run for run in [*records.natural(), *records.waits(wait)] if (samples["run"] == run).any()]
        if len(runs) < 2:
            rows.append({"benchmark": benchmark, "n": 0, "note": f"fewer than two numbers of {wait}s"})
        for before, after in pairwise(runs):
            rows.append({"benchmark": benchmark, "step": _step(records, before, after), **_transition(samples, before, after)})
    columns = [
        "benchmark",
        "step",
        "wrong_to_right",
        "right_to_wrong",
        "right_to_right",
        "wrong_to_wrong",
        "changed_wrong",
        "net",
        "p",
        "n",
    ]
    return pd.DataFrame(rows, columns=[*columns, "note"])


def _step(records: Records, before: int, after: int) -> str:
    return f"W{records.runs['waits'][before]:.0f} → W{records.runs['waits'][after]:.0f}"


def _transition(samples: pd.DataFrame, before: int, after: int) -> dict:
    key = ["problem_id", "seed", "sample"]
    first, second = (samples[samples["run"] == run][[*key, "correct", "extracted"]] for run in (before, after))
    both = first.merge(second, on=key, suffixes=("", "_after"))
    was, now = both["correct"].astype(bool), both["correct_after"].astype(bool)
    changed = both["extracted"].fillna("") != both["extracted_after"].fillna("")
    gained, lost = int((~was & now).sum()), int((was & ~now).sum())
    row = {
        "wrong_to_right": gained,
        "right_to_wrong": lost,
        "right_to_right": int((was & now).sum()),
        "wrong_to_wrong": int((~was & ~now).sum()),
    }
    net = 100 * (gained - lost) / len(both) if len(both) else np.nan
    return {
        **row,
        "changed_wrong": int((~was & ~now & changed).sum()),
        "net": net,
        "p": metrics.mcnemar_p(gained, lost),
        "n": len(both),
        "note": "",
    }


def detectable_table(records: Records, *, waits: int = 2, alpha: float = 0.05, power: float = 0.8) -> pd.DataFrame:
    """How small a difference each benchmark can show: points, paired, with this power, at the share of problems on which the
    natural stop and `waits` Waits disagree; and the half-width of Wilson's interval at 50 %.
    """
    rows = []
    for bench, _ in _benches(records, resamples=1):
        n = int(records.benchmarks.set_index("benchmark")["problems"][bench.name])
        low, high = wilson(n / 2, n, alpha=alpha)
        row = {"benchmark": bench.name, "problems": n, "half_width": 50 * (high - low), "note": ""}
        try:
            both = bench.frame([bench.natural(), effects.string_run(bench, "Wait", waits)]).to_numpy()
            row["discordant"] = 100 * np.mean(both[:, 0] != both[:, 1])
            row["detectable"] = metrics.minimal_detectable_difference(n, discordant=row["discordant"] / 100, alpha=alpha, power=power)
            if np.isnan(row["detectable"]):
                row["note"] = "not even if all disagreements went one way"
        except Missing as reason:
            row["note"] = str(reason)
        rows.append(row)
    return pd.DataFrame(rows, columns=["benchmark", "problems", "half_width", "discordant", "detectable", "note"])
