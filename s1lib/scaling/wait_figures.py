"""Figures of what a Wait does and of the curve taken apart, as `figures`: (DataFrame, ax) -> ax."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from s1lib.drawing.labels import notes
from s1lib.drawing.plots import BLUE, GREEN, ORANGE, SKY, not_available, note, token_axis
from s1lib.scaling.after_waits import KINDS
from s1lib.scaling.ways import accuracy_axis, draw_ways, mark_natural_stop

# Colour and hatch of what the text after a Wait does.
LOOKS = dict(zip(KINDS, ((BLUE, ""), (SKY, "..."), ("0.8", "")), strict=True))


def transitions(data: pd.DataFrame, ax: Axes) -> Axes:
    """Answers that each further Wait mends (up) and breaks (down, hatched), and the balance."""
    data = data.dropna(subset="step")
    if data.empty:
        return not_available(ax, "fewer than two numbers of Waits")
    x, mended, broken = np.arange(len(data)), data["wrong_to_right"], data["right_to_wrong"]
    hatched = {"color": ORANGE, "hatch": "///", "edgecolor": "white"}
    ax.bar(x, mended, color=GREEN, width=0.6, label="wrong → right")
    ax.bar(x, -broken, width=0.6, label="right → wrong", **hatched)
    ax.plot(x, data["net"], "D", color="black", markersize=5, label="balance")
    ax.axhline(0, color="0.4", linewidth=1)
    ax.set_xticks(x, data["step"], fontsize="small")
    ax.margins(y=0.1)
    ax.set_ylabel("problems (%)")
    return ax


def texts(data: pd.DataFrame, ax: Axes) -> Axes:
    """What the model does after each further Wait, stacked, with the tokens that a Wait adds."""
    data = data.dropna(subset=KINDS)
    if data.empty:
        return not_available(ax, "no texts after a Wait")
    x, below = np.arange(len(data)), np.zeros(len(data))
    for kind, (color, hatch) in LOOKS.items():
        look = {"color": color, "hatch": hatch, "edgecolor": "white", "width": 0.6}
        ax.bar(x, data[kind], bottom=below, label=kind, **look)
        below += data[kind].to_numpy()

    for place, tokens in zip(x, data["tokens"], strict=True):
        note(ax, f"+{tokens:,.0f}", place, 100)
    ax.set_xticks(x, data["step"], fontsize="small")
    ax.set_ylim(0, 112)
    ax.set_yticks(range(0, 101, 25))
    ax.set_ylabel("texts after a Wait (%)")
    return ax


def truncation(data: pd.DataFrame, ax: Axes) -> Axes:
    """Forced answers, plain truncation and Waits against thinking tokens, on one axis."""
    data = data[data["thinking_tokens"] > 0]
    if data.empty:
        return not_available(ax, "no runs of budget forcing")
    x, y = "thinking_tokens", "accuracy"
    draw_ways(data, ax, x, alpha=0.13)
    mark_natural_stop(data, ax)

    # labels last: they look for free places on axes that are scaled
    accuracy_axis(ax, y=0.2)
    token_axis(ax)
    numbered = data[data["label"].str.match("W")]
    notes(ax, numbered[["label", x, y]].itertuples(index=False, name=None))
    return ax
