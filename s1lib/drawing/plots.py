"""The look of every figure and table, and how they reach the disk.

    theme()                                              # once, at the top of a notebook
    fig, axes = panels(3)
    figures.some_figure(data, axes[0])                   # (DataFrame, ax) -> ax
    legend(fig)                                          # above the panels, off the data
    caption(fig, "toy profile, n = 300 problems, 95 % Wilson intervals")
    save_figure(fig, out / "figure1_scaling", data)      # .png, .pdf and .csv of what is plotted
    save_table(table, out / "table2_ablations")          # .csv, .md and .tex

Benchmarks keep one order, colour and marker throughout. The colours are Okabe and Ito's, which
colour-blind readers can tell apart. Markers repeat the distinction in print.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from s1lib.drawing.alt_text import alt_text
from s1lib.drawing.narrow import WIDE, save_narrow, write_caption, write_legend
from s1lib.drawing.table_text import NOT_AVAILABLE, as_text, latex, markdown
from s1lib.keeping.files import atomic_path, write_text

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PINK, YELLOW, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#7A7A7A"
PALETTE = (BLUE, ORANGE, GREEN, RED, SKY, PINK, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ROLES = ("AIME24", "MATH500", "GPQA-Diamond", "AIME25")  # in the order of the paper's tables


def theme() -> None:
    """Set seaborn's theme for every figure that follows, and let tables show whole sentences."""
    pd.set_option("display.max_colwidth", None)
    look = {"context": "notebook", "style": "whitegrid", "palette": PALETTE}
    seaborn.set_theme(**look, font="DejaVu Sans", font_scale=0.9)
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 160,
            "pdf.fonttype": 42,  # text stays text
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titleweight": "bold",
            "axes.edgecolor": "0.4",
            "grid.color": "0.9",
            "lines.linewidth": 1.8,
            "legend.frameon": False,
            "figure.constrained_layout.h_pad": 0.08,  # inches
        }
    )


def role_style(role: str) -> dict[str, Any]:
    """Colour and marker of a benchmark by the paper's benchmark that it stands for.

    Any other benchmark is grey and has a cross.
    """
    place = ROLES.index(role) if role in ROLES else len(PALETTE) - 1
    return {"color": PALETTE[place], "marker": MARKERS[place]}


def panel_title(benchmark: str, role: str) -> str:
    """The name of a benchmark, and the paper's benchmark that it stands for if it is another."""
    return benchmark if benchmark == role else f"{benchmark} (as {role})"


def panels(
    columns: int,
    rows: int = 1,
    *,
    wrap: int | None = None,
    width: float = 3.9,
    height: float = 3.4,
    sharey: bool = False,
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes [rows, columns], or [columns] for one row, each of so many inches.

    wrap: so many panels in a row, the others below them. The axes are [columns] all the same.
    Without any column the figure says that there is nothing to show.
    """
    if not columns:
        fig, one = panels(1, width=width, height=height)
        not_available(one[0], "not run in this profile")
        return fig, np.empty((0,) if rows == 1 else (rows, 0), dtype=object)
    across = min(wrap or columns, columns)
    down = -(-columns // across) * rows
    shape = {"figsize": (width * across, height * down), "squeeze": False, "sharey": sharey}
    fig, axes = plt.subplots(down, across, layout="constrained", **shape)
    if rows > 1:
        return fig, axes
    for left_over in axes.flat[columns:]:
        left_over.remove()
    return fig, axes.ravel()[:columns]


def legend(fig: Figure) -> None:
    """One legend above all panels, which names every line once and lies on no data."""
    write_legend(fig, columns=WIDE)


def caption(fig: Figure, text: str) -> None:
    """Write `text` under the figure. It should name the profile, n and the kind of interval."""
    write_caption(fig, text)


def token_axis(ax: Axes, *, label: str = "average thinking tokens") -> Axes:
    """A log2 x axis whose ticks are written out in tokens, as 64, 128, 256 or 500, 1K, 2K.

    Call it after plotting, since the ticks depend on what is drawn.
    """
    ax.set_xscale("log", base=2)
    low, high = ax.get_xlim()
    unit = 1 if high < 2000 else 1000.0 if high < 1e6 else 1e6
    powers = np.arange(np.ceil(np.log2(low / unit)), np.floor(np.log2(high / unit)) + 1)
    ticks = unit * 2.0 ** powers[:: max(1, round(len(powers) / 6))]
    if len(ticks) < 3:  # a narrow range has no powers of two
        ticks = MaxNLocator(nbins=6, steps=[1, 2, 3, 4, 5, 10]).tick_values(low, high)
        ticks = ticks[(low <= ticks) & (ticks <= high)]

    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    written = "{:.0f}".format if unit == 1 else count
    ax.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: written(tokens)))
    ax.set_xlabel(label + " (log scale)")
    return ax


def count(value: float) -> str:
    """A number of tokens, short: 96, 1.5K, 229K, 8.1M."""
    for size, letter in ((1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def note(
    ax: Axes, text: str, x: float, y: float, *, offset: tuple[float, float] = (0, 8), **options: Any
) -> None:
    """A small label at a data point, `offset` points away.

    Its white outline keeps it readable where a line runs behind it.
    """
    options = {"ha": "center", "va": "center", "fontsize": "x-small", "color": "0.2", **options}
    label = ax.annotate(text, (x, y), xytext=offset, textcoords="offset points", **options)
    label.set_path_effects([withStroke(linewidth=2.5, foreground="white", alpha=0.85)])


def guesses(axes: Iterable[Axes], benchmarks: pd.DataFrame, *, options: int = 4) -> None:
    """A thin line at the accuracy of a guess among `options`, in the panels of choice questions."""
    for ax, kind in zip(axes, benchmarks["kind"], strict=True):
        if kind == "choice" and ax.has_data():
            share, (low, high) = 100 / options, ax.get_ylim()
            ax.axhline(share, color="0.55", linewidth=0.9, zorder=0)
            ax.set_ylim(min(low, share - 4), max(high, share + 4))
            place = {"xycoords": ("axes fraction", "data"), "ha": "right", "color": "0.4"}
            note(ax, "guess", 0.99, share, offset=(0, 6), **place)


def not_available(ax: Axes, reason: str) -> Axes:
    """An empty panel that says why it is empty."""
    text = textwrap.fill(f"{NOT_AVAILABLE}: {reason}", 32)
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, color="0.4")
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def save_figure(fig: Figure, path_stem: Path | str, data: pd.DataFrame) -> Figure:
    """Write `path_stem`.png, .pdf and .csv, which holds `data`, what is plotted.

    A figure with panels side by side also gets `path_stem`-narrow.png, in which they are below each
    other, for a phone. Each is written atomically, and the same figure gives the same bytes. The
    PNG and what a notebook shows of the figure carry its `alt_text`.
    """
    stem = Path(path_stem)
    save_narrow(fig, stem.with_name(stem.name + "-narrow.png"))
    fig.draw_without_rendering()
    fig.set_layout_engine("none")  # laid out once: the layout costs as much as the drawing

    alt = alt_text(fig)
    fig._repr_mimebundle_ = lambda **_: ({}, {"image/png": {"alt": alt}})  # Jupyter asks for it
    png = {"Software": None, "Description": alt}
    for suffix, metadata in ((".png", png), (".pdf", {"CreationDate": None})):
        with atomic_path(stem.with_name(stem.name + suffix)) as temporary:
            fig.savefig(temporary, metadata=metadata)
    write_text(stem.with_name(stem.name + ".csv"), data.to_csv(index=False))
    return fig


def save_table(table: pd.DataFrame, path_stem: Path | str, *, digits: int = 1) -> pd.DataFrame:
    """Write `path_stem`.csv in full precision, .md and .tex rounded, and return it as text.

    A missing value reads "n/a" in all of them.
    """
    stem = Path(path_stem)
    shown = as_text(table, digits=digits)
    write_text(stem.with_name(stem.name + ".csv"), table.to_csv(index=False, na_rep=NOT_AVAILABLE))
    write_text(stem.with_name(stem.name + ".md"), markdown(shown))
    write_text(stem.with_name(stem.name + ".tex"), latex(shown))
    return shown
