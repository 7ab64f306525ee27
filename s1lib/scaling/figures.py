"""The paper's figures: each one function (DataFrame, ax) -> ax over what points.py and tables.py return.

    fig, axes = panels(3)
    figures.each(figures.scaling, points, axes, records.benchmarks)      # one panel per benchmark

A panel without data says why instead of failing. Order, colours and markers of the benchmarks are those of s1lib.drawing.plots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from s1lib.drawing.plots import BLUE, GREEN, GREY, MARKERS, ORANGE, PALETTE, not_available, note, notes, role_style, token_axis


def each(
    draw: Callable[..., Axes], data: pd.DataFrame, axes: Sequence[Axes], benchmarks: pd.DataFrame, *, by: str = "benchmark", **options: Any
) -> None:
    """One panel per row of `benchmarks`, its rows of `data` drawn by `draw`; by="role" picks the paper's counterpart."""
    for ax, benchmark in zip(axes, benchmarks.itertuples(), strict=True):
        wanted = getattr(benchmark, by)
        draw(data[data[by] == wanted], ax, **options)
        title = benchmark.benchmark if benchmark.benchmark == benchmark.role else f"{benchmark.benchmark} (as {benchmark.role})"
        ax.set_title(title if by == "benchmark" else f"paper: {wanted}")


def scaling(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figures 1 and 4a, one benchmark: accuracy against average thinking tokens; solid: budgets, dashed and hollow: Waits.

    data: thinking_tokens, accuracy, low, high (NaN: no band), series ("budgets" | "waits"), label, role.
    """
    data = data[data["thinking_tokens"] > 0]
    if data.empty:
        return not_available(ax, "no runs of budget forcing")
    style = role_style(data["role"].iloc[0])
    budgets, waits = (data[data["series"] == series].sort_values("thinking_tokens") for series in ("budgets", "waits"))
    ax.plot(budgets["thinking_tokens"], budgets["accuracy"], **style, markersize=6, label="budgets")
    extended = pd.concat([budgets.tail(1), waits])
    if len(waits):
        ax.plot(extended["thinking_tokens"], extended["accuracy"], color=style["color"], linestyle="--", zorder=1)
        ax.plot(
            waits["thinking_tokens"], waits["accuracy"], **style, linestyle="none", markerfacecolor="white", markersize=7, label="Waits"
        )
    for part in (budgets, extended):
        ax.fill_between(
            part["thinking_tokens"], part["low"].astype(float), part["high"].astype(float), color=style["color"], alpha=0.15, linewidth=0
        )
    for stop in data[data["label"] == "natural stop"].itertuples():
        ax.axvline(stop.thinking_tokens, color="0.6", linestyle=":", linewidth=1.2, zorder=0)
        note(
            ax,
            "natural stop",
            stop.thinking_tokens,
            0.03,
            xycoords=("data", "axes fraction"),
            offset=(6, 0),
            rotation=90,
            va="bottom",
            color="0.4",
        )
    ax.margins(y=0.12)
    ax.set_ylabel("accuracy (%)")
    token_axis(ax)
    notes(ax, waits[["label", "thinking_tokens", "accuracy"]].itertuples(index=False, name=None))
    return ax


def sequential_parallel(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 4b, one benchmark: accuracy against total tokens per problem, one line per series, labels at some points."""
    if data.empty:
        return not_available(ax, "no runs")
    for place, (series, part) in enumerate(data.groupby("series", sort=False)):
        part = part.sort_values("total_tokens")
        color = PALETTE[place]
        ax.plot(
            part["total_tokens"], part["accuracy"], marker=MARKERS[place], color=color, linestyle=("-", "--", "-.")[place % 3], label=series
        )
        ax.fill_between(part["total_tokens"], part["low"].astype(float), part["high"].astype(float), color=color, alpha=0.13, linewidth=0)
    ax.margins(y=0.15)
    ax.set_ylabel("accuracy (%)")
    ax.legend(loc="lower right", fontsize="x-small")
    token_axis(ax, label="total tokens per problem")
    named = data[data["label"].str.match(r"k=|W|w=")]
    notes(ax, named[["label", "total_tokens", "accuracy"]].itertuples(index=False, name=None))
    return ax


def methods(data: pd.DataFrame, ax: Axes) -> Axes:
    """Accuracy against average thinking tokens, one benchmark, one line per `series` of control.curves: who spreads out, and who rises?"""
    data = data[data["thinking_tokens"] > 0]
    if data.empty:
        return not_available(ax, "no runs with a limit")
    for place, (series, part) in enumerate(data.groupby("series", sort=False)):
        part, color = part.sort_values("thinking_tokens"), PALETTE[place % len(PALETTE)]
        style = {"marker": MARKERS[place % len(MARKERS)], "markersize": 5, "linestyle": "--" if series.endswith("+BF") else "-"}
        ax.plot(part["thinking_tokens"], part["accuracy"], color=color, label=series, **style)
        ax.fill_between(
            part["thinking_tokens"], part["low"].astype(float), part["high"].astype(float), color=color, alpha=0.08, linewidth=0
        )
    ax.margins(y=0.12)
    ax.set_ylabel("accuracy (%)")
    ax.legend(fontsize="x-small")
    return token_axis(ax)


def rejection(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 6, one benchmark: accuracy against average thinking tokens of what was accepted, caps written at the points."""
    data = data[data["thinking_tokens"] > 0]
    if data.empty:
        return not_available(ax, "no rejection sampling, or nothing accepted")
    for place, (series, part) in enumerate(data.groupby("series", sort=False)):
        part = part.sort_values("thinking_tokens")
        x, y, color = part["thinking_tokens"], part["accuracy"].astype(float), PALETTE[place]
        errors = [y - part["low"].astype(float), part["high"].astype(float) - y]
        ax.errorbar(
            x, y, yerr=errors, marker=MARKERS[place], color=color, linestyle=("-", "--")[place % 2], capsize=3, elinewidth=1, label=series
        )
    ax.margins(x=0.12, y=0.15)
    ax.set_ylabel("accuracy (%)")
    ax.legend(fontsize="x-small")
    token_axis(ax)
    data = data.assign(cap=data["label"].str.removeprefix("cap "), accuracy=data["accuracy"].astype(float))
    places = data.groupby(["thinking_tokens", "accuracy"], sort=False)["cap"]  # caps that accept the same traces share a place
    notes(ax, ((", ".join(dict.fromkeys(caps)), *place) for place, caps in places))
    return ax


def differences(data: pd.DataFrame, ax: Axes, *, name: str) -> Axes:
    """Differences in points with their intervals, one row per `name`; hollow squares: the paper's (with its interval, if any).

    data: `name`, difference, low, high, and optionally paper_difference, paper_low, paper_high. For Tables 2 and 4.
    """
    data = data.dropna(subset="difference").reset_index(drop=True)
    if data.empty:
        return not_available(ax, "nothing to compare")
    rows = np.arange(len(data))[::-1]
    spans = [data["difference"] - data["low"], data["high"] - data["difference"]]
    ax.axvline(0, color="0.5", linewidth=1)
    ax.errorbar(data["difference"], rows + 0.12, xerr=spans, fmt="o", color=BLUE, capsize=3, label="this run")
    published = data.get("paper_difference", pd.Series(np.nan, index=data.index))
    if "paper_low" in data:
        ax.hlines(rows - 0.16, data["paper_low"], data["paper_high"], color=GREY, linewidth=1.2)
    ax.plot(published, rows - 0.16, "s", color=GREY, markerfacecolor="white", label="paper")
    ax.set_yticks(rows, data[name])
    ax.set_ylim(-0.6, len(data) - 0.4)
    ax.set_xlabel("difference in accuracy (points)")
    return ax


def sample_efficiency(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 2 (right), one benchmark: accuracy against the number of training examples (0: the base model)."""
    if data.empty:
        return not_available(ax, "no trainings, or no records of what was trained")
    style = role_style(data["role"].iloc[0])
    data = data.sort_values(["examples", "accuracy"])
    errors = [data["accuracy"] - data["low"], data["high"] - data["accuracy"]]
    ax.errorbar(data["examples"], data["accuracy"], yerr=errors, fmt=style["marker"], color=style["color"], capsize=3)
    for place, point in zip(data.groupby("examples").cumcount(ascending=False), data.itertuples(), strict=True):
        x, align = ((7, "left"), (-7, "right"))[place % 2]
        note(ax, point.model, point.examples, point.accuracy, offset=(x, 0), ha=align)
    sizes = sorted(set(data["examples"]))
    ax.set_xscale("symlog", linthresh=max(1, min([size for size in sizes if size] or [1])))
    ax.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    ax.minorticks_off()
    ax.margins(x=0.25, y=0.15)
    ax.set_xlabel("training examples (log scale)")
    ax.set_ylabel("accuracy (%)")
    return ax


def transitions(data: pd.DataFrame, ax: Axes) -> Axes:
    """What each further Wait does, one benchmark: answers mended (up), spoilt (down, hatched), and the balance."""
    data = data.dropna(subset="step") if "step" in data else data[:0]
    if data.empty:
        return not_available(ax, "fewer than two numbers of Waits")
    x, n = np.arange(len(data)), data["n"].to_numpy()
    mended, spoilt = (100 * data[name].to_numpy(dtype=float) / n for name in ("wrong_to_right", "right_to_wrong"))
    ax.bar(x, mended, color=GREEN, width=0.6, label="wrong → right")
    ax.bar(x, -spoilt, color=ORANGE, width=0.6, hatch="///", edgecolor="white", label="right → wrong")
    ax.plot(x, mended - spoilt, "D", color="black", markersize=5, label="balance")
    ax.axhline(0, color="0.4", linewidth=1)
    ax.set_xticks(x, data["step"], fontsize="small")
    ax.set_ylabel("problems (%)")
    return ax
