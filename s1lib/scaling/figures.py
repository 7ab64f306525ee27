"""The paper's figures, each a function (DataFrame, ax) -> ax of points or of a table.

    fig, axes = panels(3)
    figures.each(figures.scaling, points, axes, records.benchmarks)      # one panel per benchmark

A panel without data says why instead of failing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from s1lib.drawing.bubbles import bubbles
from s1lib.drawing.labels import notes
from s1lib.drawing.plots import (
    BLUE,
    GREY,
    not_available,
    note,
    panel_title,
    role_style,
    token_axis,
)
from s1lib.scaling.table_cells import seed_columns
from s1lib.scaling.ways import accuracy_axis, band, draw_ways, mark_natural_stop


def each(
    draw: Callable[..., Axes],
    data: pd.DataFrame,
    axes: Sequence[Axes],
    benchmarks: pd.DataFrame,
    *,
    by: str = "benchmark",
    **options: Any,
) -> None:
    """One panel per row of `benchmarks`. by="role" draws the paper's counterpart of each."""
    for ax, benchmark in zip(axes, benchmarks.itertuples(), strict=True):
        draw(data[data[by] == getattr(benchmark, by)], ax, **options)
        ours = panel_title(benchmark.benchmark, benchmark.role)
        ax.set_title(ours if by == "benchmark" else f"paper: {benchmark.role}")


def replicas(data: pd.DataFrame, ax: Axes) -> Axes:
    """A thin line per training, to be drawn before the mean that `scaling` draws (Figure 1)."""
    for _, one in data[data["thinking_tokens"] > 0].groupby("replica"):
        color = role_style(one["role"].iloc[0])["color"]
        x, y = one.sort_values("thinking_tokens")[["thinking_tokens", "accuracy"]].to_numpy().T
        ax.plot(x, y, color=color, linewidth=0.8, alpha=0.5, zorder=0)
    return ax


def scaling(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figures 1 and 4a: accuracy against average thinking tokens on one benchmark.

    Budgets are solid, Waits hollow and dashed, the natural stop a dotted line.
    """
    data = data[data["thinking_tokens"] > 0]
    if data.empty:
        return not_available(ax, "no runs of budget forcing")
    style = role_style(data["role"].iloc[0])
    color = style["color"]
    data = data.sort_values("thinking_tokens")
    budgets, waits = (data[data["series"] == series] for series in ("budgets", "waits"))
    extended = pd.concat([budgets.tail(1), waits])  # the Waits go on where the budgets end

    x, y = "thinking_tokens", "accuracy"
    ax.plot(budgets[x], budgets[y], **style, markersize=6)
    if len(waits):
        ax.plot(extended[x], extended[y], color=color, linestyle="--", zorder=1)
        hollow = {"linestyle": "none", "markerfacecolor": "white", "markersize": 7}
        ax.plot(waits[x], waits[y], **style, **hollow)
    for part in (budgets, extended):
        band(ax, part[x], part, color, alpha=0.15)

    mark_natural_stop(data, ax)

    # labels last: they look for free places on axes that are scaled
    accuracy_axis(ax, y=0.12)
    token_axis(ax)
    notes(ax, waits[["label", x, y]].itertuples(index=False, name=None))
    return ax


def sequential_parallel(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figures 4b and 7: accuracy against total tokens per problem, one line per `series`."""
    if data.empty:
        return not_available(ax, "no runs")
    x, y = "total_tokens", "accuracy"
    draw_ways(data, ax, x, alpha=0.13)
    accuracy_axis(ax, x=0.08, y=0.12)
    token_axis(ax, label="total tokens per problem")
    named = data[data["label"].str.match(r"k=|W|w=")]
    notes(ax, named[["label", x, y]].itertuples(index=False, name=None))
    return ax


def methods(data: pd.DataFrame, ax: Axes) -> Axes:
    """The curve of every way to control thinking: who spreads out along the axis, who rises?"""
    data = data[data["thinking_tokens"] > 0]
    if data.empty:
        return not_available(ax, "no runs with a limit")
    draw_ways(data, ax, "thinking_tokens", alpha=0.08)
    accuracy_axis(ax, y=0.12)
    return token_axis(ax)


def rejection(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 6: accuracy against average thinking tokens of the accepted trace, caps at points."""
    numbers = dict.fromkeys(("accuracy", "low", "high"), float)
    data = data[data["thinking_tokens"] > 0].astype(numbers)
    if data.empty:
        return not_available(ax, "no rejection sampling, or nothing accepted")
    x, y = "thinking_tokens", "accuracy"
    draw_ways(data, ax, x, alpha=0.13)
    accuracy_axis(ax, x=0.12, y=0.12)
    token_axis(ax, label="thinking tokens, accepted trace")

    # caps that accept the same traces share a place and a label
    places = data.assign(cap=data["label"].str.removeprefix("cap ")).groupby([x, y], sort=False)
    notes(ax, ((", ".join(dict.fromkeys(caps)), *place) for place, caps in places["cap"]))

    # the two readings of this run stand on different problems where some fit no cap
    sizes = data.groupby("series", sort=False)["n"].min()
    if sizes.nunique() > 1:
        text = f"{sizes.min():.0f} of {sizes.max():.0f} fit every cap"
        note(ax, text, 0.98, 0.02, xycoords="axes fraction", offset=(0, 0), ha="right", va="bottom")
    return ax


def differences(data: pd.DataFrame, ax: Axes, *, name: str) -> Axes:
    """Tables 2 and 4: differences in points with their intervals, one row per cell of `name`.

    Small dots are single trainings, where there are several. Hollow squares are the paper's, with
    their intervals where the table has any.
    """
    data = data.dropna(subset="difference").reset_index(drop=True)
    if data.empty:
        return not_available(ax, "nothing to compare")

    # the first row of the table on top, the paper's value just below this run's
    rows = np.arange(len(data))[::-1]
    errors = [data["difference"] - data["low"], data["high"] - data["difference"]]
    ours = {"fmt": "o", "color": BLUE, "capsize": 3, "label": "this run"}
    ax.axvline(0, color="0.5", linewidth=1)
    for seed in seed_columns(data):
        ax.plot(data[seed], rows + 0.3, ".", color=BLUE, markersize=5, alpha=0.6)
    ax.errorbar(data["difference"], rows + 0.12, xerr=errors, **ours)

    if "paper_low" in data:
        span = (data["paper_low"], data["paper_high"])
        ax.hlines(rows - 0.16, *span, color=GREY, linewidth=1.2)
    square = {"color": GREY, "markerfacecolor": "white", "label": "paper"}
    ax.plot(data["paper_difference"], rows - 0.16, "s", **square)

    ax.set_yticks(rows, data[name])
    ax.set_ylim(-0.6, len(data) - 0.4)
    ax.set_xlabel("difference in accuracy (points)")
    return ax


def domains(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 2 (left): one bubble per domain of a training set, its area the questions."""
    return bubbles(data[~data["domain"].str.startswith("total")], ax, count="questions")


def prompts(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 10: what conditional control adds to a question, and the countdown of steps."""
    if data.empty:
        return not_available(ax, "no formats")
    ax.set_axis_off()
    for place, row in enumerate(data.itertuples()):
        countdown = f"\n…\n{row.countdown}\n{{step}}\n…" if row.countdown else ""
        text, x = "{question}\n" + row.prompt + countdown, place / len(data)
        common = {"va": "top", "transform": ax.transAxes}
        ax.text(x, 1, row.method, fontweight="bold", **common)
        ax.text(x, 0.85, text, family="monospace", fontsize="small", **common)
    return ax
