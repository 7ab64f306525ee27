"""The paper's own value of each effect, computed from s1lib/published/paper by benchmark role; NaN where it gives none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from s1lib.published.paper_numbers import load
from s1lib.scaling import metrics

SEQUENTIAL, PARALLEL = "s1-32B, budget forcing", "Qwen2.5-32B-Instruct, majority vote"


def _accuracy(table: pd.DataFrame, role: str, **where: object) -> float:
    for name, value in {"benchmark": role, **where}.items():
        table = table[table[name] == value]
    return float(table["accuracy"].iloc[0]) if len(table) else np.nan


def rises(role: str) -> float:
    """Points per doubling over Figure 1; on AIME24 without the Waits, which only Figure 4a tells apart."""
    points = load("figure1")
    points = points[points["benchmark"] == role]
    if role == "AIME24":
        points = load("figure4a").query("series == 'budgets'")
    return float(metrics.slope(points["thinking_tokens"].to_numpy(), points["accuracy"].to_numpy()))


def extends(role: str, *, waits: int) -> float:
    table = load("table5")
    return _accuracy(table, role, model="s1", waits=waits) - _accuracy(table, role, model="s1", waits=0)


def flattens(role: str) -> float:
    """Points per Wait, the step from 4 to 6 minus that from 0 to 1, from the authors' log."""
    accuracy = load("figure4a_log").set_index("waits")["accuracy"]
    return (accuracy[6] - accuracy[4]) / 2 - (accuracy[1] - accuracy[0]) if role == "AIME24" else np.nan


def control(role: str, *, method: str) -> float:
    return float(load("table3").set_index("method")["control"][method]) if role == "AIME24" else np.nan


def rejection(role: str) -> float:
    points = load("figure6")
    return float(metrics.slope(points["thinking_tokens"].to_numpy(), points["accuracy"].to_numpy())) if role == "AIME24" else np.nan


def curation(role: str, *, other: str) -> float:
    table = load("table2")
    return _accuracy(table, role, set="s1") - _accuracy(table, role, set=other)


def lengths(role: str) -> float:
    table = load("table8")
    return _accuracy(table, role, cut_percent=0) - _accuracy(table, role, sequence_length=4096)


def equal_tokens(role: str) -> float:
    """s1's middle point on GPQA against the vote at the same total tokens."""
    if role != "GPQA-Diamond":
        return np.nan
    series = dict(iter(load("figure4b").groupby("series")))
    point, votes = series[SEQUENTIAL].iloc[1], series[PARALLEL]
    return float(point["accuracy"] - np.interp(np.log2(point["total_tokens"]), np.log2(votes["total_tokens"]), votes["accuracy"]))


def strings(role: str, *, other: str) -> float:
    table = load("table4").query("waits == 2")
    return _accuracy(table, role, string="Wait") - _accuracy(table, role, string=other)


def lifts(role: str) -> float:
    table = load("table1")
    return _accuracy(table, role, model="s1 without BF") - _accuracy(table, role, model="Qwen2.5-32B-Instruct")
