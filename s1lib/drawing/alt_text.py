"""What a figure shows, in words, for a reader who cannot see it."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

LONGEST = 300  # characters: about what a screen reader says in twenty seconds
FEW = 8  # names that are listed, of panels or ticks


def alt_text(fig: Figure) -> str:
    """What is plotted against what and from where to where, then the caption.

    It is made from a drawn figure alone and has at most 300 characters. Panels that share both
    axis labels are one sentence. Without axes the words in the figure follow its caption.
    """
    plotted: dict[tuple[str, str], list[Axes]] = {}
    for ax in fig.axes:
        if ax.axison and ax.has_data():
            plotted.setdefault((ax.get_xlabel(), ax.get_ylabel()), []).append(ax)

    sentences = [_plotted(axes) for axes in plotted.values()]
    written = [] if plotted else [text.get_text() for ax in fig.axes for text in ax.texts]
    text = " ".join([*sentences, fig.get_supxlabel(), *written])
    return shorten(text.replace("\\$", "$"), LONGEST, placeholder=" …")


def _plotted(axes: list[Axes]) -> str:
    """One sentence about panels that have the same axis labels."""
    y = _extent([ax.yaxis for ax in axes], [ax.dataLim.intervaly for ax in axes])
    x = _extent([ax.xaxis for ax in axes], [ax.dataLim.intervalx for ax in axes])
    titles = _list(ax.get_title() for ax in axes)
    return f"{y} against {x}: {titles}." if titles else f"{y} against {x}."


def _extent(axes: list[Axis], intervals: list[np.ndarray]) -> str:
    """The label of an axis and the range of its data, or the names at its ticks."""
    label = axes[0].get_label_text()
    ticks = [tick.get_text() for axis in axes for tick in axis.get_ticklabels()]
    if any(tick[:1].isalpha() for tick in ticks):
        return f"{label} ({_list(ticks)})" if label else _list(ticks)
    low, high = (_number(end) for end in (np.min(intervals), np.max(intervals)))
    return f"{label or 'values'} from {low} to {high}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _list(names: Iterable[str]) -> str:
    found = [name for name in dict.fromkeys(names) if name]
    return ", ".join(found[:FEW]) + (" …" if len(found) > FEW else "")
