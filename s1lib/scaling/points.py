"""The points of the figures as tidy tables: this run's and the paper's in the same columns.

Accuracies and their limits in %, tokens per problem, each the mean over the replicas of a run
(pairing.py). Intervals are Wilson's over problems. The
paper prints none for its curves, so that those of its points are computed here from the number of
its problems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from s1lib.drawing.intervals import wilson
from s1lib.published.entries import problems_of
from s1lib.published.paper_numbers import load
from s1lib.scaling import effects
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.pairing import REPLICA, replica_name
from s1lib.scaling.problem_means import TRIES
from s1lib.scaling.records import Records
from s1lib.scaling.table_cells import PAPER, THIS
from s1lib.scaling.vote_curve import vote_curve

WHERE = ["benchmark", "role", "series", "label"]
ACCURACY = ["accuracy", "low", "high", "n"]
CURVE = ["source", *WHERE, "thinking_tokens", *ACCURACY]
TOTAL = [*WHERE, "total_tokens", *ACCURACY]
TOKENS = ["thinking_tokens", "answer_tokens", "total_tokens", "decoded_tokens"]
SHARES = ["correct", "forced", "natural", "accepted", "within"]
FITS, REJECTED = "fits every cap", "all, rejected = wrong"  # two readings of rejection sampling


def run_points(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Every run on every benchmark: accuracy, mean tokens, and how thinking ended in %."""
    grouped = records.averages.groupby(["benchmark", "run"], sort=False)
    table = grouped[TOKENS + SHARES].mean()
    table[SHARES] *= 100
    table["n"], table["samples"] = grouped.size(), grouped["samples"].sum()
    table["low"], table["high"] = _wilson(table["correct"], table["n"], alpha)
    table["rejected"] = 100 - table.pop("accepted")
    table = table.rename(columns={"correct": "accuracy"}).reset_index()

    names = records.benchmarks["benchmark"].to_list()
    roles = records.benchmarks.set_index("benchmark")["role"]
    table.insert(1, "role", table["benchmark"].map(roles))
    about = ["model", "method", "label", "max_thinking", "waits", "wait", "temperature", "limit"]
    table = table.join(records.runs[about], on="run")
    order = table["benchmark"].map(names.index)
    return table.iloc[np.lexsort((table["run"], order))].reset_index(drop=True)


def _wilson(
    accuracy: pd.Series, n: pd.Series | float, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    low, high = wilson(np.asarray(accuracy) / 100 * np.asarray(n), n, alpha=alpha)
    return 100 * low, 100 * high


def scaling_points(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Figures 1 and 4a: budgets up to the natural stop, Waits from there, the paper's points."""
    ours = _forcing(records, alpha)[CURVE]
    return pd.concat([ours, paper_points(alpha=alpha)], ignore_index=True)


def replica_points(records: Records) -> pd.DataFrame:
    """The curve of s1 in each of its replicas, without intervals. No rows where there is one."""
    curve, key = _forcing(records, alpha=0.05).reset_index(), ["benchmark", "run"]
    grouped = records.problems.groupby([*key, *REPLICA])[["thinking_tokens", "correct"]]
    each = grouped.mean().reset_index().rename(columns={"correct": "accuracy"})
    each["accuracy"] *= 100
    table = curve[["source", *WHERE, "run"]].merge(each, on=key)

    replicas = list(zip(table["base_seed"], table["sft_seed"], strict=True))
    table["replica"] = [replica_name(one, replicas) for one in replicas]
    table = table.drop(columns=["run", *REPLICA])
    return table if len(set(replicas)) > 1 else table[:0]


def _forcing(records: Records, alpha: float) -> pd.DataFrame:
    """The runs of s1's budget forcing in the order of the curve, series "budgets" and "waits"."""
    budgets, waits = records.budgets(), records.waits()
    names = {run: f"{limit:.0f}" for run, limit in records.runs["limit"][budgets].items()}
    names |= dict.fromkeys(records.natural(), "natural stop")
    names |= {run: f"W{number:.0f}" for run, number in records.runs["waits"][waits].items()}

    table = run_points(records, alpha=alpha).set_index("run")
    series = np.where(table.index.isin(waits), "waits", "budgets")
    table = table.assign(source=THIS, series=series, label=table.index.map(names))
    return table.loc[[run for run in names if run in table.index]]


def paper_points(*, alpha: float = 0.05) -> pd.DataFrame:
    """Figure 1 as published, on AIME24 Figure 4a, which tells budgets and Waits apart."""
    one, four = load("figure1"), load("figure4a")
    one = one[one["benchmark"] != "AIME24"].assign(series="budgets", label="")
    four["label"] = ["" if np.isnan(waits) else f"W{waits:.0f}" for waits in four["waits"]]
    # the last point before the Waits has the accuracy that Table 5 gives for no budget forcing
    four.loc[four.index[four["series"] == "budgets"][-1], "label"] = "natural stop"
    table = pd.concat([four.assign(benchmark="AIME24"), one])
    return with_interval(table.assign(role=table["benchmark"]), alpha).reindex(columns=CURVE)


def with_interval(table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Published points with a column `role`, and the intervals of so many problems."""
    table = table.assign(source=PAPER, n=table["role"].map(problems_of))
    table["low"], table["high"] = _wilson(table["accuracy"], table["n"], alpha)
    return table


def parallel_points(records: Records, votes: Sequence[int], *, alpha: float = 0.05) -> pd.DataFrame:
    """Figures 4b and 7: accuracy against total tokens of forcing, votes and tree search.

    Total tokens are those of thinking and answers of all samples. A vote's accuracy is the mean
    over all subsets of k samples, and its interval is that of so many problems.
    """
    rows = [_forcing(records, alpha).assign(series="budget forcing")[TOTAL]]

    # a point per k, where every problem has as many samples
    for benchmark in records.benchmarks.itertuples():
        for run in records.runs.index[records.runs["method"] == "majority"]:
            try:
                accuracy, tokens = vote_curve(Bench(records, benchmark.benchmark), run, votes)
            except Missing:
                continue
            where = {"benchmark": benchmark.benchmark, "role": benchmark.role}
            series = f"majority vote ({records.runs['model'][run]})"
            part = pd.DataFrame({"total_tokens": tokens.mean(), "accuracy": 100 * accuracy.mean()})
            part = part.assign(n=len(accuracy), series=series, **where)
            part["low"], part["high"] = _wilson(part["accuracy"], part["n"], alpha)
            rows.append(part.assign(label=[f"k={k}" for k in part.index])[TOTAL])

    # a point per width of the tree
    table = run_points(records, alpha=alpha)
    trees = table[table["method"] == "tree_search"].sort_values("total_tokens", kind="stable")
    labels = trees["label"].str.replace("width ", "w=")
    rows.append(trees.assign(series="tree search (" + trees["model"] + ")", label=labels)[TOTAL])
    return pd.concat(rows, ignore_index=True)


def paper_parallel_points(*, alpha: float = 0.05) -> pd.DataFrame:
    """Figure 4b as published (GPQA-Diamond), in total tokens per problem."""
    table = load("figure4b").assign(role="GPQA-Diamond")
    table["label"] = ["" if np.isnan(k) else f"k={k:.0f}" for k in table["k"]]
    table["total_tokens"] = table["total_tokens"] / table["role"].map(problems_of)
    # "s1-32B, budget forcing" is written as this run's series are
    table["series"] = table["series"].str.replace(r"(.*), (.*)", r"\2 (\1)", regex=True)
    return with_interval(table, alpha)


def paper_tree_points(*, alpha: float = 0.05) -> pd.DataFrame:
    """Figure 7 as published (AIME24): limits in steps, 16 votes, REBASE. Thinking tokens alone."""
    table = load("figure7").assign(role="AIME24")
    letters = np.where(table["series"] == "REBASE", "w", "k")
    pairs = zip(letters, table["k"], strict=True)
    table["label"] = ["" if np.isnan(k) else f"{letter}={k:.0f}" for letter, k in pairs]
    table["series"] = table["series"].replace("REBASE", "tree search (REBASE)")
    return with_interval(table.assign(total_tokens=table["thinking_tokens"]), alpha)


def rejection_points(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Figure 6: accuracy against average thinking tokens by cap, then the paper's.

    Two readings: only the problems that fit every cap (paired, as in the paper, which samples
    without end), and all problems with a rejection counted as wrong. Thinking tokens are those of
    the accepted trace. The column spent_thinking_tokens counts all tries, where records have it.
    """
    rows = []
    for benchmark in records.benchmarks.itertuples():
        bench = Bench(records, benchmark.benchmark)
        runs = bench.having(records.find(method="rejection"))
        accepted = effects.always_accepted(bench, runs) if runs else []
        for run in runs:
            label = records.runs["label"][run]
            about = {"benchmark": bench.name, "role": benchmark.role, "label": label}
            own = records.averages.query("benchmark == @bench.name and run == @run")
            own = own.set_index("problem_id")
            # a rejection has no thinking of its own
            own["thinking_tokens"] = own["thinking_tokens"].where(own["accepted"] > 0)

            readings = {FITS: accepted, REJECTED: own.index}
            for series, only in readings.items():
                kept = own.reindex(only)
                point = {name: kept[name].mean() for name in ("thinking_tokens", TRIES)}
                point |= {"accuracy": 100 * kept["correct"].mean(), "n": len(only)}
                rows.append({**about, "series": series, **point})

    # Wilson's interval needs numbers also where there is no run at all
    ours = pd.DataFrame(rows, columns=[*CURVE, TRIES]).assign(source=THIS)
    measured = ours[["accuracy", "n"]].astype(float)
    ours["low"], ours["high"] = _wilson(measured["accuracy"], measured["n"], alpha)
    labels = load("figure6")["cap"].map("cap {}".format)
    paper = with_interval(load("figure6").assign(role="AIME24", series=FITS, label=labels), alpha)
    table = pd.concat([ours, paper.reindex(columns=CURVE)], ignore_index=True)
    return table if table[TRIES].notna().any() else table.drop(columns=TRIES)
