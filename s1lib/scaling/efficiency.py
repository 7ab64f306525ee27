"""Sample efficiency: accuracy by the number of training examples (Figure 2, right).

    data = efficiency_points(records, trainings)
    figures.each(sample_efficiency, data, axes, records.benchmarks)

Where a profile asks for several sizes (`curation.sizes`), s1 and random are two lines that meet in
the full pool. Every other training set has one size, and is a point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from s1lib.drawing.plots import BLUE, ORANGE, count, not_available, note, role_style
from s1lib.profile import grown
from s1lib.published.paper_numbers import load
from s1lib.scaling import effects, points
from s1lib.scaling.effects import Missing
from s1lib.scaling.figures import accuracy_axis
from s1lib.scaling.pairing import REPLICA
from s1lib.scaling.records import Records
from s1lib.scaling.table_cells import benches
from s1lib.scaling.ways import band

APART = 0.16  # inches between training sets of one size
WHERE = ["benchmark", "role", "model", "examples", "label"]
MEASURED = ["accuracy", "low", "high", "n", "seeds", "lowest", "highest"]
ENDS = ("base", "full")  # without any example, and with all of them, where the lines meet
LINES = {
    "s1": {"color": BLUE, "marker": "o", "linestyle": "-", "label": "drawn like s1"},
    "random": {"color": ORANGE, "marker": "s", "linestyle": "--", "label": "random"},
}


def efficiency_points(
    records: Records, trainings: pd.DataFrame, *, alpha: float = 0.05
) -> pd.DataFrame:
    """Training examples against accuracy in % at the natural stop, a row per benchmark and model.

    The base model counts with 0 examples and at its best, with or without thinking. low and high
    are Wilson's interval of the mean over seeds, lowest and highest the seeds' own accuracies.
    """
    examples = {"base": 0, **dict(trainings[["model", "examples"]].to_numpy())}
    rows = []
    for bench, _ in benches(records, resamples=1):
        for model, number in examples.items():
            try:
                run = effects.best_base(bench) if model == "base" else bench.natural(model)
            except Missing:
                continue
            rows.append({"benchmark": bench.name, "run": run, "examples": number})

    # the accuracy of each training, over all problems
    where = ["benchmark", "run"]
    each = 100 * records.problems.groupby([*where, *REPLICA])["correct"].mean()
    seeds = each.groupby(where).agg(seeds="size", lowest="min", highest="max").reset_index()

    chosen = pd.DataFrame(rows, columns=[*where, "examples"]).astype({"run": "int64"})
    table = points.run_points(records, alpha=alpha).merge(seeds, on=where)
    return chosen.merge(table, on=where)[[*WHERE, *MEASURED]]


def paper_efficiency_points(*, alpha: float = 0.05) -> pd.DataFrame:
    """The points as published (MATH500), and the base model from Table 1."""
    base = load("table1").query("model == 'Qwen2.5-32B-Instruct' and benchmark == 'MATH500'")
    figure = load("figure2_right").dropna(subset="examples")
    table = pd.concat([base.assign(examples=0), figure], ignore_index=True)
    return points.with_interval(table.assign(role=table["benchmark"]), alpha)


def sample_efficiency(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 2 (right): accuracy against the number of training examples, 0 the base model.

    A line's band goes from the lowest to the highest training, and is Wilson's where there is one.
    Beside lines stand the base model and the full pool alone.
    """
    if data.empty:
        return not_available(ax, "no trainings, or no records of what was trained")
    data = data.sort_values(["examples", "accuracy"], ignore_index=True)
    lines = _lines(data)
    alone = data[data["model"].isin(ENDS)].reset_index(drop=True) if lines else data

    # a logarithmic axis that has a place for the base model's 0
    sizes = sorted({*pd.concat([alone, *lines.values()])["examples"]})
    smallest = min([size for size in sizes if size] or [1])
    ax.set_xscale("symlog", linthresh=max(1, smallest), linscale=0.5 if lines else 1)
    ax.set_xticks(sizes, [count(size) for size in sizes], fontsize="small")
    ax.minorticks_off()

    for name, part in lines.items():
        ax.plot(part["examples"], part["accuracy"], **LINES[name])
        if part["seeds"].max() > 1:
            part = part.assign(low=part["lowest"], high=part["highest"])
        band(ax, part["examples"], part, LINES[name]["color"], alpha=0.15)

    # points that are moved aside do not scale the axes, so the intervals do
    for limit in ("low", "high"):
        ax.update_datalim(alone[["examples", limit]].to_numpy(dtype=float))
    accuracy_axis(ax, x=0.12 if lines else 0.25, y=0.25)
    style = {"color": "0.2", "marker": "D"} if lines else role_style(data["role"].iloc[0])
    _side_by_side(alone, ax, style)
    ax.set_xlabel("training examples (log scale)")
    return ax


def intervals(data: pd.DataFrame) -> str:
    """What the bars and bands of `sample_efficiency` are, for its caption."""
    if not _lines(data):
        return "Wilson, bars"
    if data["seeds"].max() > 1:
        return "bars: Wilson; bands: from the lowest to the highest training"
    return "Wilson, bars and bands"


def _lines(data: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The points of the sets that have several sizes, each with the full pool as its end."""
    like = data["model"].map(grown)
    several = [name for name in LINES if data.loc[like == name, "examples"].nunique() > 1]
    return {name: data[(like == name) | (data["model"] == "full")] for name in several}


def _side_by_side(data: pd.DataFrame, ax: Axes, style: dict[str, Any]) -> None:
    """Sets of one size beside each other in the order of their accuracy, with their names."""
    middle = np.mean(ax.get_ylim())
    group = data.groupby("examples")["accuracy"]
    aside = group.cumcount() - (group.transform("size") - 1) / 2
    alone = group.transform("size") == 1
    for point, steps, single in zip(data.itertuples(), aside, alone, strict=True):
        at = ax.transData + ScaledTranslation(APART * steps, 0, ax.figure.dpi_scale_trans)
        bar = [[point.accuracy - point.low], [point.high - point.accuracy]]
        look = {"fmt": style["marker"], "color": style["color"], "elinewidth": 1.2}
        ax.errorbar(point.examples, point.accuracy, yerr=bar, transform=at, **look)

        # the name: beside a set that stands alone, else upright where the axes have room
        named, upright = (ax, point.model, point.examples), {"rotation": 90}
        if single:
            note(*named, point.accuracy, offset=(7, 0), ha="left")
        elif point.accuracy < middle:
            note(*named, point.high, offset=(72 * APART * steps, 5), va="bottom", **upright)
        else:
            note(*named, point.low, offset=(72 * APART * steps, -5), va="top", **upright)
