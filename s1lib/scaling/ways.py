"""How every way to spend thinking tokens is drawn: alike in all figures and for the paper's curves.

draw_ways(points, ax, "total_tokens")        # a line per `series`, each with its band
mark_natural_stop(points, ax)                # a dotted line where the model stops by itself
accuracy_axis(ax, y=0.12)                    # when everything is drawn
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from s1lib.drawing.plots import BLUE, GREEN, ORANGE, RED, note

# Colour, marker and line. A dashed line with hollow markers is a prompt's limit held by force.
WAYS = {
    "budget forcing": (BLUE, "o", "-"),
    "sequential": (BLUE, "v", ":"),
    "majority vote": (ORANGE, "s", "--"),
    "tree search": (GREEN, "^", "-."),
    "TCC": (ORANGE, "s", "-"),
    "TCC+BF": (ORANGE, "s", "--"),
    "SCC": (GREEN, "^", "-"),
    "SCC+BF": (GREEN, "^", "--"),
    "CCC": (RED, "D", "-"),
    "fits every cap": (BLUE, "o", "-"),
    "all, rejected = wrong": (ORANGE, "s", "--"),
    "forced answers": (BLUE, "o", "-"),
    "plain truncation": (ORANGE, "s", "--"),
    "Waits": (GREEN, "^", "-."),
}


def draw_ways(data: pd.DataFrame, ax: Axes, x: str, *, alpha: float) -> None:
    """A line per `series` of accuracy against `x`, with its interval as a band of so much colour.

    A single point has an error bar. A series is a name of WAYS, with the model in parentheses where
    it matters. Legends leave the model to the caption.
    """
    for series, part in data.groupby("series", sort=False):
        way = series.partition(" (")[0]
        color, marker, line = WAYS[way]
        part = part.sort_values(x)
        fill = "white" if way.endswith("+BF") else color
        style = {"color": color, "marker": marker, "linestyle": line, "markerfacecolor": fill}
        ax.plot(part[x], part["accuracy"], label=way, **style)
        if len(part) > 1:
            band(ax, part[x], part, color, alpha=alpha)
        else:  # a band of one point would have no width
            bar = [part["accuracy"] - part["low"], part["high"] - part["accuracy"]]
            ax.errorbar(part[x], part["accuracy"], yerr=bar, color=color, elinewidth=1.2, capsize=3)


def band(ax: Axes, x: pd.Series, part: pd.DataFrame, color: str, alpha: float) -> None:
    """The interval from low to high along a curve."""
    # points of a run that has none are columns without a type
    along, low, high = (column.astype(float) for column in (x, part["low"], part["high"]))
    ax.fill_between(along, low, high, color=color, alpha=alpha, linewidth=0)


def mark_natural_stop(data: pd.DataFrame, ax: Axes) -> None:
    """A dotted line where the model stops by itself, if that is among the points."""
    for tokens in data["thinking_tokens"][data["label"] == "natural stop"].unique():
        ax.axvline(tokens, color="0.6", linestyle=":", linewidth=1.2, zorder=0)
        upright = {"offset": (6, 0), "rotation": 90, "va": "bottom", "color": "0.4"}
        note(ax, "natural stop", tokens, 0.03, xycoords=("data", "axes fraction"), **upright)


def accuracy_axis(ax: Axes, **margins: float) -> None:
    """Accuracy in % with room at the curve, and for labels above 100."""
    ax.margins(**margins)
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, -4), min(high, 109))
    ax.set_ylabel("accuracy (%)")
