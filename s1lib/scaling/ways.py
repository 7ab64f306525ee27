"""How every way to spend thinking tokens is drawn: alike in all figures and for the paper's curves.

draw_ways(points, ax, "total_tokens")        # a line per `series`, each with its band
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from s1lib.drawing.plots import BLUE, GREEN, ORANGE, RED

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
