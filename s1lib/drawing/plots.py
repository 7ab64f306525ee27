"""The look of every figure and table, and how they reach the disk; shared by all notebooks.

    theme()                                              # once, at the top of a notebook
    fig, axes = panels(3)
    figures.some_figure(data, axes[0])                   # (DataFrame, ax) -> ax
    caption(fig, "toy profile, n = 300 problems, 95 % Wilson intervals")
    save_figure(fig, out / "figure1_scaling", data)      # .png, .pdf and .csv of what is plotted
    save_table(table, out / "table2_ablations")          # .csv, .md and .tex; returns the table as shown

Benchmarks keep one order, colour, marker and line style throughout. The colours are Okabe and Ito's (safe for
colour-blind readers); their greys differ, and marker and line style repeat the distinction.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from s1lib.keeping.files import atomic_path, write_text

BLUE, ORANGE, GREEN, RED, SKY, PINK, YELLOW, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#7A7A7A"
PALETTE = (BLUE, ORANGE, GREEN, RED, SKY, PINK, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ROLES = ("AIME24", "MATH500", "GPQA-Diamond", "AIME25")  # the paper's benchmarks, in the order of its tables
NOT_AVAILABLE = "n/a"


def theme() -> None:
    """Set seaborn's theme for every figure that follows, and let tables show whole sentences."""
    pd.set_option("display.max_colwidth", None)
    seaborn.set_theme(context="notebook", style="whitegrid", palette=PALETTE, font="DejaVu Sans", font_scale=0.9)
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
    """Colour and marker of a benchmark, by the paper's benchmark it stands for; grey and a cross for any other."""
    place = ROLES.index(role) if role in ROLES else len(PALETTE) - 1
    return {"color": PALETTE[place], "marker": MARKERS[place]}


def panels(columns: int, rows: int = 1, *, width: float = 3.9, height: float = 3.4, sharey: bool = False) -> tuple[Figure, np.ndarray]:
    """A figure of rows x columns axes, each `width` x `height` inches, and the axes as an array [rows, columns] ([columns] for one row)."""
    fig, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), layout="constrained", squeeze=False, sharey=sharey)
    return fig, axes[0] if rows == 1 else axes


def caption(fig: Figure, text: str) -> None:
    """Write `text` under the figure: profile, n and the kind of interval belong there."""
    inches = fig.get_size_inches()[0]
    fig.supxlabel("\n".join(textwrap.wrap(text, width=int(inches * 15))), fontsize="small", color="0.3", x=0.01, ha="left")


def token_axis(ax: Axes, *, label: str = "average thinking tokens") -> Axes:
    """A log2 x axis whose ticks are written out in tokens (64, 128, 256; 500, 1K, 2K; 250K, 500K, 1M). Call it after plotting."""
    ax.set_xscale("log", base=2)
    low, high = ax.get_xlim()
    unit = 1 if high < 2000 else 1000.0 if high < 1e6 else 1e6
    powers = np.arange(np.ceil(np.log2(low / unit)), np.floor(np.log2(high / unit)) + 1)
    ticks = unit * 2.0 ** powers[:: max(1, round(len(powers) / 6))]
    if len(ticks) < 3:  # a narrow range: round numbers instead of powers of two
        ticks = _round_numbers(low, high)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: f"{tokens:.0f}" if unit == 1 else count(tokens)))
    ax.set_xlabel(label + " (log scale)")
    return ax


def _round_numbers(low: float, high: float) -> np.ndarray:
    step = 10.0 ** np.floor(np.log10(high - low))
    while (high - low) / step > 5:
        step *= 2
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step


def count(value: float) -> str:
    """A number of tokens, short: 96, 1.5K, 229K, 8.1M."""
    for size, letter in ((1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def note(ax: Axes, text: str, x: float, y: float, *, offset: tuple[float, float] = (0, 8), **options: Any) -> None:
    """A small label at a data point, `offset` points away, outlined in white so that lines behind it do not hide it."""
    options = {"ha": "center", "va": "center", "fontsize": "x-small", "color": "0.2", **options}
    label = ax.annotate(text, (x, y), xytext=offset, textcoords="offset points", **options)
    label.set_path_effects([withStroke(linewidth=2.5, foreground="white", alpha=0.85)])


def notes(ax: Axes, labels: Iterable[tuple[str, float, float]], **options: Any) -> None:
    """Labels at data points, each in the first free place around its point: clear of other labels and of every marker drawn.

    Call it when everything is plotted and the axes are scaled. A label that had to move away gets a thin line to its point.
    """
    ax.autoscale_view()
    to_points = 72 / ax.figure.dpi  # everything below in typographic points
    height = FontProperties(size=options.get("fontsize", "x-small")).get_size_in_points()
    drawn = [line.get_xydata() for line in ax.get_lines() if line.get_marker() not in ("None", "", None)]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in to_points * ax.transData.transform(np.concatenate(drawn or [np.empty((0, 2))]))]
    for text, x, y in labels:
        at = to_points * ax.transData.transform((x, y))
        width = 0.65 * height * len(text)
        places = [(dx * (width / 2 + reach / 2), dy * (height / 2 + reach)) for reach in REACHES for dx, dy in AROUND]
        boxes = [_around(at + place, width, height) for place in places]
        best = min(range(len(places)), key=lambda place: sum(_overlap(boxes[place], other) for other in taken))
        taken.append(boxes[best])
        far = {"arrowprops": {"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "shrinkB": 3}} if best >= len(AROUND) else {}
        note(ax, text, x, y, offset=places[best], **far, **options)


AROUND = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]
REACHES = (5, 12, 20)  # points between a label and its marker


def _around(centre: np.ndarray, width: float, height: float) -> tuple[float, float, float, float]:
    return (centre[0] - width / 2, centre[1] - height / 2, centre[0] + width / 2, centre[1] + height / 2)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The area that two boxes (left, bottom, right, top) share."""
    return max(0.0, min(one[2], other[2]) - max(one[0], other[0])) * max(0.0, min(one[3], other[3]) - max(one[1], other[1]))


def not_available(ax: Axes, reason: str) -> Axes:
    """An empty panel that says why it is empty, so that a figure with missing data still renders."""
    ax.text(0.5, 0.5, textwrap.fill(f"{NOT_AVAILABLE}: {reason}", 32), ha="center", va="center", transform=ax.transAxes, color="0.4")
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def save_figure(fig: Figure, path_stem: Path | str, data: pd.DataFrame) -> Figure:
    """Write `path_stem`.png, .pdf and .csv (`data`, what is plotted), each atomically; the same figure gives the same bytes."""
    stem = Path(path_stem)
    fig.draw_without_rendering()
    fig.set_layout_engine("none")  # laid out once: the layout costs as much as the drawing
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        with atomic_path(stem.with_name(stem.name + suffix)) as temporary:
            fig.savefig(temporary, metadata=metadata)
    write_text(stem.with_name(stem.name + ".csv"), data.to_csv(index=False))
    return fig


# Columns that mean the same in every table; an interval (low, high) has the unit of what it stands beside.
UNITS = {
    **dict.fromkeys(("accuracy", "performance", "paper_performance", "control", "control_samples", "paper_control"), "%"),
    **dict.fromkeys(("truncated", "forced", "ours", "official", "discordant"), "%"),
    **dict.fromkeys(("difference", "paper_difference", "net", "half_width", "detectable"), "points"),
    **dict.fromkeys(("scaling", "slope", "paper_scaling"), "points per doubling"),
}


def save_table(table: pd.DataFrame, path_stem: Path | str, *, digits: int = 1) -> pd.DataFrame:
    """Write `path_stem`.csv (full precision), .md and .tex (both rounded); return the table as text for display.

    A missing value reads "n/a" in all; the reason stands in the table's `note` column.
    """
    stem = Path(path_stem)
    shown = as_text(table, digits=digits)
    write_text(stem.with_name(stem.name + ".csv"), table.to_csv(index=False, na_rep=NOT_AVAILABLE))
    write_text(stem.with_name(stem.name + ".md"), markdown(shown))
    write_text(stem.with_name(stem.name + ".tex"), latex(shown))
    return shown


def as_text(table: pd.DataFrame, *, digits: int = 1) -> pd.DataFrame:
    """Every cell as a string: floats rounded (a column `p` to three digits), whole numbers whole, missing values "n/a".

    The columns of UNITS get theirs in the head; the csv keeps plain names.
    """
    shown = table.apply(lambda column: column.astype(object).map(lambda value: _cell(value, 3 if column.name == "p" else digits)))
    return shown.rename(columns={name: f"{name}, {unit}" for name, unit in UNITS.items()})


def _cell(value: Any, digits: int) -> str:
    if value is None or (np.isscalar(value) and pd.isna(value)):
        return NOT_AVAILABLE
    if not isinstance(value, float):
        return str(value)
    least = 10.0**-digits
    return f"< {least:g}" if digits == 3 and 0 <= value < least else f"{value:.{digits}f}"


def markdown(shown: pd.DataFrame) -> str:
    """A table of strings as GitHub Markdown."""
    rows: list[Sequence[str]] = [list(shown.columns), ["---"] * shown.shape[1], *shown.itertuples(index=False)]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |\n" for row in rows)


# What LaTeX reads as its own; tables also hold a few signs that not every font of it has.
_LATEX = {"\\": r"\textbackslash{}", **{sign: "\\" + sign for sign in "&%$#_{}"}, "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"×": r"$\times$", "→": r"$\to$", "±": r"$\pm$", "−": "$-$", "<": "$<$", ">": "$>$", "·": r"$\cdot$", "Δ": r"$\Delta$", "\n": " "}


def latex(shown: pd.DataFrame) -> str:
    """A table of strings as a LaTeX tabular for the booktabs package; everything in a cell is text."""
    rows = [[_latex(cell) for cell in row] for row in ([*shown.columns], *shown.itertuples(index=False))]
    head, *body = [" & ".join(row) + r" \\" for row in rows]
    numbers = [shown[name].str.fullmatch(r"(< )?-?\d[\d.]*|n/a").all() for name in shown]
    columns = "".join("r" if number else "l" for number in numbers)
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", ""])


def _latex(cell: Any) -> str:
    return str(cell).translate(str.maketrans(_LATEX))
