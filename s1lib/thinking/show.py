"""Traces to look at: one in colour, many as a table, a sweep as a curve (figure 4a)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd
from IPython.display import HTML
from matplotlib.axes import Axes

from s1lib.chat import ChatFormat
from s1lib.drawing.plots import BLUE, YELLOW, note, token_axis
from s1lib.thinking.budget import Budget, Trace

BOX = "white-space:pre-wrap;font-family:monospace;line-height:1.5;padding:8px 12px;"
BOX += "border-left:4px solid #888"
MARK = f"background:{YELLOW};color:#000;padding:0 2px;border-radius:3px"


def show_trace(trace: Trace, chat: ChatFormat) -> HTML:
    """The assistant's turn, what budget forcing appended on yellow, and a line of its counts."""
    pieces = [
        f'<mark style="{MARK}">{escape(text)}</mark>' if appended else escape(text)
        for text, appended in trace.spans(chat)
    ]
    turn = f'<div style="{BOX}">{"".join(pieces)}</div>'
    return HTML(f'{turn}<div style="color:#666">{trace.counts()}</div>')


def tabulate(sweeps: Sequence[dict[Budget, Trace]], chat: ChatFormat) -> pd.DataFrame:
    """One row per problem (numbered) and point of its sweep, with the answer text to grade."""
    return pd.DataFrame(
        {
            "problem": number,
            "max_thinking": point.max_thinking,
            "waits": point.waits,
            "thinking_tokens": trace.thinking_tokens,
            "decoded_tokens": trace.decoded_tokens,
            "finish": trace.finish,
            "answer": trace.texts(chat)[1],
        }
        for number, traces in enumerate(sweeps)
        for point, trace in traces.items()
    )


def draw_sweep(points: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 4a: accuracy against average thinking tokens, budgets and Waits as two lines.

    points: thinking_tokens (only those above 0 are drawn), accuracy (%), waits (0 is a budget),
    and where there are intervals their low and high (%).
    """
    points = points[points["thinking_tokens"] > 0].sort_values("thinking_tokens")
    kinds = ((False, "-", BLUE, "budgets"), (True, "--", "white", "Waits"))
    for waits, line, fill, label in kinds:
        some = points[(points["waits"] > 0) == waits]
        around = None
        if "low" in some:
            around = [some["accuracy"] - some["low"], some["high"] - some["accuracy"]]
        style = {"color": BLUE, "marker": "o", "linestyle": line, "markerfacecolor": fill}
        style |= {"capsize": 2, "elinewidth": 0.9, "label": label}
        ax.errorbar(some["thinking_tokens"], some["accuracy"], yerr=around, **style)

    # Their labels stand above and below the line in turn, those below at two distances, so that
    # they do not meet.
    for place, point in enumerate(points[points["waits"] > 0].itertuples()):
        offset = (0, (10, -12, 10, -22)[place % 4])
        note(ax, f"{point.waits:.0f}×", point.thinking_tokens, point.accuracy, offset=offset)

    ax.set(ylim=(-3, 103), ylabel="accuracy (%)")
    ax.legend(loc="upper left")
    return token_axis(ax)
