"""The paper's own value of each effect, from s1lib/published/paper, for one benchmark of the paper.

A value is NaN where the paper gives none.
"""

from __future__ import annotations

import numpy as np

from s1lib.published.paper_numbers import load
from s1lib.scaling import metrics

SEQUENTIAL, PARALLEL = "s1-32B, budget forcing", "Qwen2.5-32B-Instruct, majority vote"


def published(name: str, column: str = "accuracy", **where: object) -> float:
    """The cell of a published table in the row that `where` picks."""
    table = load(name)
    for key, value in where.items():
        table = table[table[key] == value]
    return float(table[column].iloc[0]) if len(table) else np.nan


def rises(role: str) -> float:
    """Points per doubling over Figure 1. Only Figure 4a, AIME24, tells the Waits apart."""
    points = load("figure1").query("benchmark == @role")
    if role == "AIME24":
        points = load("figure4a").query("series == 'budgets'")
    return float(metrics.slope(points["thinking_tokens"], points["accuracy"]))


def extends(role: str, *, waits: int) -> float:
    """So many Waits minus none (Table 5)."""
    with_waits, without = (
        published("table5", benchmark=role, model="s1", waits=number) for number in (waits, 0)
    )
    return with_waits - without


def loses_nothing(role: str, *, waits: int) -> float:
    """Four Waits, the most of Table 5, minus so many."""
    return extends(role, waits=4) - extends(role, waits=waits)


def adds_less(role: str) -> float:
    """Points per Wait: the step from 4 to 6 minus that from 0 to 1, from the authors' log."""
    accuracy = load("figure4a_log").set_index("waits")["accuracy"]
    last, first = (accuracy[6] - accuracy[4]) / 2, accuracy[1] - accuracy[0]
    return last - first if role == "AIME24" else np.nan


def control(role: str, *, method: str) -> float:
    """Control of a method in % (Table 3)."""
    return published("table3", "control", method=method) if role == "AIME24" else np.nan


def beyond_limits(role: str, *, method: str) -> float:
    """% of the runs of a method whose average breaks the limit (Table 3)."""
    return 100 - control(role, method=method)


def rejection(role: str) -> float:
    """Points per doubling over the caps of Figure 6."""
    points = load("figure6")
    slope = metrics.slope(points["thinking_tokens"], points["accuracy"])
    return float(slope) if role == "AIME24" else np.nan


def curation(role: str, *, other: str) -> float:
    """s1K minus another training set (Table 2)."""
    s1, another = (published("table2", benchmark=role, set=name) for name in ("s1", other))
    return s1 - another


def lengths(role: str) -> float:
    """Training on whole traces minus training on those cut at 4,096 tokens (Table 8)."""
    whole = published("table8", benchmark=role, cut_percent=0)
    return whole - published("table8", benchmark=role, sequence_length=4096)


def equal_tokens(role: str) -> float:
    """s1's middle point on GPQA against the vote at the same total tokens."""
    if role != "GPQA-Diamond":
        return np.nan
    series = dict(iter(load("figure4b").groupby("series")))
    point, votes = series[SEQUENTIAL].iloc[1], series[PARALLEL]
    at, tokens = np.log2(point["total_tokens"]), np.log2(votes["total_tokens"])
    return float(point["accuracy"] - np.interp(at, tokens, votes["accuracy"]))


def strings(role: str, *, other: str) -> float:
    """The string "Wait" minus another one, appended twice each (Table 4)."""
    wait, another = (
        published("table4", benchmark=role, waits=2, string=string) for string in ("Wait", other)
    )
    return wait - another


def lifts(role: str) -> float:
    """s1 without budget forcing minus its base model (Table 1)."""
    models = ("s1 without BF", "Qwen2.5-32B-Instruct")
    tuned, base = (published("table1", benchmark=role, model=model) for model in models)
    return tuned - base
