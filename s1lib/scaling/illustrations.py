"""Figures without a curve: the domains of a training set (Figure 2, left) and the prompts of conditional control (Figure 10)."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from s1lib.drawing.bubbles import bubbles
from s1lib.drawing.plots import not_available


def domains(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 2, left: one bubble per domain, its area the number of questions. data: domain, questions (domains_table, one source)."""
    data = data[(data["questions"] > 0) & ~data["domain"].str.startswith("total")]
    return not_available(ax, "no domains") if data.empty else bubbles(data, ax, count="questions")


def prompts(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 10: what conditional control adds to a question, and the countdown that steps carry. data: method, prompt, countdown."""
    if data.empty:
        return not_available(ax, "no formats")
    ax.set_axis_off()
    rows = [
        (row.method, "{question}\n" + row.prompt + (f"\n…\n{row.countdown}\n{{step}}\n…" if row.countdown else ""))
        for row in data.itertuples()
    ]
    for place, (method, text) in enumerate(rows):
        x = place / len(rows)
        ax.text(x, 1, method, fontweight="bold", va="top", transform=ax.transAxes)
        ax.text(x, 0.85, text, family="monospace", fontsize="small", va="top", transform=ax.transAxes)
    return ax
