"""What the figures plot, as tidy tables: this run's points and the paper's, in the same columns.

Accuracies and interval limits in %, tokens per problem. Intervals are Wilson's over problems unless the docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from s1lib.drawing.intervals import wilson
from s1lib.profile import Profile
from s1lib.published.paper_numbers import load
from s1lib.scaling import effects
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.records import MAIN, Records

THIS, PAPER = "this run", "paper"
CURVE = ["source", "benchmark", "role", "series", "label", "thinking_tokens", "accuracy", "low", "high", "n"]


def run_points(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Every run on every benchmark: accuracy with its interval, mean tokens, how thinking ended (shares in %)."""
    means = ["thinking_tokens", "answer_tokens", "total_tokens", "decoded_tokens"]
    grouped = records.problems.groupby(["benchmark", "run"], sort=False, observed=True)
    shares = ["correct", "forced", "natural", "accepted", "within"]
    table = grouped[means + shares].mean()
    table[shares] *= 100
    table["n"], table["samples"] = grouped.size(), grouped["samples"].sum()
    table["low"], table["high"] = _wilson(table["correct"], table["n"], alpha)
    table["rejected"] = 100 - table.pop("accepted")
    table = table.rename(columns={"correct": "accuracy"}).reset_index()
    roles = records.benchmarks.set_index("benchmark")["role"]
    table.insert(1, "role", table["benchmark"].map(roles))
    about = records.runs[["model", "method", "label", "max_thinking", "waits", "wait", "temperature", "limit"]]
    table = table.join(about, on="run")
    place = {name: number for number, name in enumerate(records.benchmarks["benchmark"])}
    return table.sort_values(["benchmark", "run"], key=lambda c: c.map(place) if c.name == "benchmark" else c).reset_index(drop=True)


def _wilson(accuracy: pd.Series | np.ndarray, n: pd.Series | float, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    low, high = wilson(np.asarray(accuracy) / 100 * np.asarray(n), n, alpha=alpha)
    return 100 * low, 100 * high


def scaling_points(records: Records, *, model: str = MAIN, alpha: float = 0.05) -> pd.DataFrame:
    """Figures 1 and 4a: the budgets up to the natural stop, and from there the Waits; then the paper's points."""
    return pd.concat([_forced(records, model, alpha)[CURVE], paper_points()], ignore_index=True)


def _forced(records: Records, model: str, alpha: float) -> pd.DataFrame:
    """The runs of budget forcing in the order of the curve, series "budgets" and "waits"."""
    budgets, waits = records.budgets(model), records.waits(model=model)
    names = {run: f"{limit:.0f}" for run, limit in records.runs["limit"][budgets].items()}
    names |= dict.fromkeys(records.natural(model), "natural stop")
    names |= {run: f"W{number:.0f}" for run, number in records.runs["waits"][waits].items()}
    table = run_points(records, alpha=alpha).set_index("run")
    table = pd.concat([table[table.index == run].assign(label=name) for run, name in names.items()]) if names else table[:0]
    return table.assign(source=THIS, series=np.where(table.index.isin(waits), "waits", "budgets"))


def paper_points() -> pd.DataFrame:
    """Figure 1 as published; on AIME24 Figure 4a, which tells budgets and Waits apart. No intervals: the paper gives none."""
    one, four = load("figure1"), load("figure4a")
    one = one[one["benchmark"] != "AIME24"].assign(series="budgets", label="")
    four["label"] = ["" if np.isnan(waits) else f"W{waits:.0f}" for waits in four["waits"]]
    table = pd.concat([four.assign(benchmark="AIME24"), one])
    return table.assign(source=PAPER, role=table["benchmark"]).reindex(columns=CURVE)


def parallel_points(records: Records, votes: Sequence[int], *, alpha: float = 0.05) -> pd.DataFrame:
    """Figures 4b and 7: accuracy against total tokens (thinking and answer, per problem): budget forcing, majority votes, tree search.

    The votes' accuracy is the mean over all subsets of k samples; their intervals are Wilson's with n = problems.
    """
    columns = ["benchmark", "role", "series", "label", "total_tokens", "accuracy", "low", "high", "n"]
    rows = [_forced(records, MAIN, alpha).assign(series="budget forcing")[columns]]
    for benchmark in records.benchmarks.itertuples():
        for run in records.runs.index[records.runs["method"] == "majority"]:
            try:
                accuracy, tokens = effects.parallel(Bench(records, benchmark.benchmark), run, votes)
            except Missing:
                continue
            part = pd.DataFrame({"total_tokens": tokens.mean(), "accuracy": 100 * accuracy.mean(), "n": len(accuracy)})
            part["low"], part["high"] = _wilson(part["accuracy"], part["n"], alpha)
            part["series"] = f"majority vote ({records.runs['model'][run]})"
            part["label"] = [f"k={k}" for k in part.index]
            rows.append(part.assign(benchmark=benchmark.benchmark, role=benchmark.role))
    table = run_points(records, alpha=alpha)
    trees = table[table["method"] == "tree_search"].sort_values("total_tokens", kind="stable")
    rows.append(trees.assign(series="tree search (" + trees["model"] + ")", label=trees["label"].str.replace("width ", "w="))[columns])
    return pd.concat(rows, ignore_index=True)


def paper_parallel_points() -> pd.DataFrame:
    """Figure 4b as published (GPQA-Diamond), total tokens per problem instead of over its 198 problems."""
    table = load("figure4b")
    table["label"] = ["" if np.isnan(k) else f"k={k:.0f}" for k in table["k"]]
    return table.assign(total_tokens=table["total_tokens"] / 198, role="GPQA-Diamond", low=np.nan, high=np.nan)


def paper_tree_points() -> pd.DataFrame:
    """Figure 7 as published (AIME24): step-conditional control in sequence, 16 votes and a tree of width 16; thinking tokens only."""
    table = load("figure7")
    k = table["k"].map("k={:.0f}".format).where(~table["series"].eq("REBASE"), table["k"].map("w={:.0f}".format))
    table["label"] = k.where(table["k"].notna(), "")
    return table.assign(total_tokens=table["thinking_tokens"], role="AIME24", low=np.nan, high=np.nan)


def rejection_points(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Figure 6: accuracy against average thinking tokens by cap, then the paper's.

    Two readings: only the problems that fit every cap (paired, what the paper could do by sampling without end), and all
    problems with a rejection counted as wrong.
    """
    runs, rows = records.find(method="rejection"), []
    for benchmark in records.benchmarks.itertuples():
        bench = Bench(records, benchmark.benchmark)
        having = bench.having(runs)
        accepted = effects.always_accepted(bench, having) if having else []
        for run in having:
            for series, only in (("fits every cap", accepted), ("all, rejected = wrong", None)):
                correct, tokens, kept = (bench.frame([run], value)[run] for value in ("correct", "thinking_tokens", "accepted"))
                tokens = tokens.where(kept > 0)  # a rejection has no thinking of its own
                if only is not None:
                    correct, tokens = correct.reindex(only), tokens.reindex(only)
                row = {
                    "source": THIS,
                    "benchmark": bench.name,
                    "role": benchmark.role,
                    "series": series,
                    "label": records.runs["label"][run],
                }
                rows.append({**row, "thinking_tokens": tokens.mean(), "accuracy": 100 * correct.mean(), "n": len(correct)})
    ours = pd.DataFrame(rows, columns=CURVE)
    ours["low"], ours["high"] = _wilson(ours["accuracy"].astype(float), ours["n"].astype(float), alpha)
    paper = load("figure6")
    paper = paper.assign(source=PAPER, role="AIME24", series="paper", label=paper["cap"].map("cap {}".format))
    return pd.concat([ours, paper.reindex(columns=CURVE)], ignore_index=True)


def load_trainings(profile: Profile) -> pd.DataFrame:
    """model, examples, limit (tokens), cut (examples), steps, minutes of notebook 02's trainings; no rows when it left none."""
    path = profile.outputs / "02_sft" / "trainings.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["model", "examples", "limit", "cut", "steps", "minutes"])


def efficiency_points(records: Records, trainings: pd.DataFrame, *, alpha: float = 0.05) -> pd.DataFrame:
    """Figure 2 (right): training examples against accuracy at the natural stop; the base model at its best, with 0 examples."""
    table, rows = run_points(records, alpha=alpha), []
    examples = {"base": 0, **trainings.set_index("model")["examples"].to_dict()}
    for benchmark in records.benchmarks.itertuples():
        bench = Bench(records, benchmark.benchmark)
        for model, number in examples.items():
            try:
                run = effects.best_base(bench) if model == "base" else bench.natural(model)
            except Missing:
                continue
            found = table[(table["benchmark"] == bench.name) & (table["run"] == run)]
            rows.append(found[["benchmark", "role", "model", "label", "accuracy", "low", "high", "n"]].assign(examples=number))
    columns = ["benchmark", "role", "model", "examples", "label", "accuracy", "low", "high", "n"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def paper_efficiency_points() -> pd.DataFrame:
    """Figure 2 (right) as published (MATH500), and the base model from Table 1 with 0 examples; no intervals given."""
    base = load("table1").query("model == 'Qwen2.5-32B-Instruct' and benchmark == 'MATH500'").assign(examples=0)
    table = pd.concat([base, load("figure2_right").dropna(subset="examples")], ignore_index=True)
    return table.assign(role=table["benchmark"], low=np.nan, high=np.nan)
