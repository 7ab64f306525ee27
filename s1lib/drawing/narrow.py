"""The same figure for a phone: its panels below each other instead of side by side."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from s1lib.keeping.files import atomic_path

WIDE, NARROW = 4, 2  # columns of a legend above the panels


def wrapped(fig: Figure, text: str) -> str:
    """A caption broken into lines that are as long as the figure is wide."""
    return textwrap.fill(" ".join(text.split()), width=int(15 * fig.get_size_inches()[0]))


def save_narrow(fig: Figure, path: Path) -> None:
    """Write a figure with panels side by side as one column of panels, and leave it as it was.

    A figure that is a single column already is not written: it is narrow enough.
    """
    axes = [ax for ax in fig.axes if ax.get_subplotspec() is not None]
    if not any(ax.get_subplotspec().colspan.start for ax in axes):
        return
    before = [ax.get_subplotspec() for ax in axes]
    labelled = [ax.yaxis.get_tick_params().get("labelleft", True) for ax in axes]
    size = fig.get_size_inches().copy()

    # column by column, so that a benchmark's own panel and the paper's stay together
    grid = before[0].get_gridspec()
    one = fig.add_gridspec(len(axes), 1)
    for row, ax in enumerate(sorted(axes, key=_column_first)):
        ax.set_subplotspec(one[row, 0])
        ax.tick_params(labelleft=True)  # panels that share an axis had one label for all
    _set_columns(fig, NARROW)
    _resize(fig, size[0] / grid.ncols, size[1] / grid.nrows * len(axes))
    with atomic_path(path) as temporary:
        fig.savefig(temporary, metadata={"Software": None})

    for ax, place, label in zip(axes, before, labelled, strict=True):
        ax.set_subplotspec(place)
        ax.tick_params(labelleft=label)
    _set_columns(fig, WIDE)
    _resize(fig, *size)


def _column_first(ax: Axes) -> tuple[int, int]:
    place = ax.get_subplotspec()
    return place.colspan.start, place.rowspan.start


def _set_columns(fig: Figure, most: int) -> None:
    for legend in fig.legends:
        legend.set_ncols(min(most, len(legend.get_texts())))


def _resize(fig: Figure, width: float, height: float) -> None:
    """Change the size in inches, and with it the line breaks of the caption."""
    fig.set_size_inches(width, height)
    fig.supxlabel(wrapped(fig, fig.get_supxlabel()))
