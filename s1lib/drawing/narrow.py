"""The same figure for a phone: its panels, legend and caption in one narrow column."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from s1lib.keeping.files import atomic_path

WIDE, NARROW = 6, 2  # columns of a legend above the panels


def save_narrow(fig: Figure, path: Path) -> None:
    """Write a figure with panels side by side as one column of panels, and leave it as it was.

    A figure that is a single column already is not written: it is narrow enough.
    """
    axes = [ax for ax in fig.axes if ax.get_subplotspec() is not None]
    if not any(ax.get_subplotspec().colspan.start for ax in axes):
        return
    before = [ax.get_subplotspec() for ax in axes]
    labelled = [ax.yaxis.get_tick_params().get("labelleft", True) for ax in axes]
    size, grid = fig.get_size_inches().copy(), before[0].get_gridspec()

    one = fig.add_gridspec(len(axes), 1)
    for row, ax in enumerate(axes):
        ax.set_subplotspec(one[row, 0])
        ax.tick_params(labelleft=True)  # panels that share an axis had one label for all
    height = size[1] / grid.nrows * len(axes)
    _resize(fig, size[0] / grid.ncols, height, columns=NARROW)
    with atomic_path(path) as temporary:
        fig.savefig(temporary, metadata={"Software": None})

    for ax, place, label in zip(axes, before, labelled, strict=True):
        ax.set_subplotspec(place)
        ax.tick_params(labelleft=label)
    _resize(fig, *size, columns=WIDE)


def _resize(fig: Figure, width: float, height: float, *, columns: int) -> None:
    """Change the size in inches, and with it the legend and the line breaks of the caption."""
    fig.set_size_inches(width, height)
    if fig.legends:
        write_legend(fig, columns=columns)
    write_caption(fig, fig.get_supxlabel())


def write_legend(fig: Figure, *, columns: int) -> None:
    """Replace the figure's legend by one of so many columns, which names every line once."""
    for old in list(fig.legends):
        old.remove()
    named: dict[str, Any] = {}
    for ax in fig.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        look = {"loc": "outside upper center", "fontsize": "small"}
        fig.legend(named.values(), named.keys(), ncols=min(columns, len(named)), **look)


def write_caption(fig: Figure, text: str) -> None:
    """Write `text` under the figure, in lines as long as the figure is wide."""
    lines = textwrap.fill(" ".join(text.split()), width=int(15 * fig.get_size_inches()[0]))
    fig.supxlabel(lines, fontsize="small", color="0.3", x=0.01, ha="left")
