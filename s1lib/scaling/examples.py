"""Example traces (Figures 3 and 5): where forced strings stand in a trace, a problem that a Wait mends, and how to draw it.

rows = read_jsonl(profile.stage("04_evaluation") / "records" / "hard-s1-budget_forcing.jsonl")
annotated(mended(rows, waits=1), ax)
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes

from s1lib.chat import FINAL_ANSWER
from s1lib.drawing.plots import YELLOW, not_available

WIDTH, LINES = 78, 44  # characters and lines of a drawn trace
LINE = 1.35  # line height in font sizes
ADVANCE = 0.602  # width of a character of DejaVu Sans Mono, in font sizes


def forced_spans(row: dict, shorter: Iterable[dict]) -> list[tuple[int, int]]:
    """Where appended strings stand in the thinking, as [start, end) in characters: as recorded, else what the texts prove.

    A string occurs as often as it was appended: all of them. Otherwise one stands exactly where the trace with one Wait
    fewer (in `shorter`, the records of the same problem) ended. The rest cannot be told from what the model wrote itself.
    """
    if row.get("forced_spans") is not None:
        return [tuple(span) for span in row["forced_spans"]]
    text, string = row["thinking"], row["parameters"].get("wait")
    if not row["waits_used"] or not string:
        return []
    spans = [found.span() for found in re.finditer(re.escape(string), text)]
    if len(spans) == row["waits_used"]:
        return spans
    ends = {len(other["thinking"]) for other in shorter if other["waits_used"] < row["waits_used"] and text.startswith(other["thinking"])}
    return [span for span in spans if len(text[: span[0]].rstrip("\n")) in ends]


def pieces(row: dict, shorter: Iterable[dict] = ()) -> pd.DataFrame:
    """A record's thinking and answer in order: text, part ("thinking" | "answer"), forced (appended, not written by the model)."""
    found, at = [], 0
    for start, end in forced_spans(row, shorter):
        found += [(row["thinking"][at:start], "thinking", False), (row["thinking"][start:end], "thinking", True)]
        at = end
    found.append((row["thinking"][at:], "thinking", False))
    prefix = FINAL_ANSWER if row["finish"] == "forced" and row["answer"].startswith(FINAL_ANSWER) else ""
    found += [(prefix, "answer", True), (row["answer"].removeprefix(prefix), "answer", False)]
    return pd.DataFrame([piece for piece in found if piece[0]], columns=["text", "part", "forced"])


def mended(rows: Sequence[dict], *, waits: int = 1) -> pd.DataFrame:
    """The shortest trace of s1 that is wrong at its natural stop and right after `waits` Waits, as `pieces`; empty when there is none.

    An example of what a Wait can do, chosen for it as the paper's Figure 3 is: how often that happens is in the transitions table.
    """
    of: dict[str, dict[int, dict]] = {}
    for row in rows:
        wanted = row["model"] == "s1" and row["method"] == "budget_forcing" and row["parameters"].get("max_thinking") is None
        if wanted and (not row["waits_used"] or row["parameters"].get("wait") == "Wait"):
            of.setdefault(row["problem_id"], {})[row["waits_used"]] = row
    both = [points for points in of.values() if {0, waits} <= set(points)]
    found = [points for points in both if not points[0]["correct"] and points[waits]["correct"]]
    if not found:
        return pd.DataFrame(columns=["text", "part", "forced"])
    best = min(found, key=lambda points: (points[waits]["thinking_tokens"], points[waits]["problem_id"]))
    shown = pieces(best[waits], best.values())
    answers = {"natural stop": best[0]["extracted"], f"{waits} × Wait": best[waits]["extracted"]}
    shown.attrs = {"problem": best[0]["problem_id"], "right": best[0]["gold"], **answers}
    return shown


def annotated(data: pd.DataFrame, ax: Axes, *, fontsize: float = 8) -> Axes:
    """Figures 3 and 5: one trace as text, what was appended on yellow, the answer under a line. data: as from `pieces`.

    Drawn from the top left corner in `fontsize` points; lines longer than 78 characters are broken, after 44 lines it ends with "…".
    """
    if data.empty:
        return not_available(ax, "no such trace in the records")
    ax.set_axis_off()
    row = column = 0
    for part, some in data.groupby("part", sort=False):
        if part == "answer":
            row, column = row + 2, 0
            ax.annotate(
                "answer",
                (0, 1),
                (0, -LINE * fontsize * row),
                xycoords="axes fraction",
                textcoords="offset points",
                color="0.4",
                va="top",
                fontsize=fontsize,
            )
            row += 1
        for piece in some.itertuples():
            for at, line in enumerate(_lines(piece.text, column)):
                row, column = (row + 1, 0) if at else (row, column)
                if row >= LINES:
                    _write(ax, "…", LINES, 0, fontsize, forced=False)
                    return ax
                _write(ax, line, row, column, fontsize, forced=piece.forced)
                column += len(line)
    return ax


def _lines(text: str, column: int) -> list[str]:
    """`text` broken to WIDTH, its first line going on behind `column` characters."""
    first, *rest = text.split("\n")
    broken = textwrap.wrap(" " * column + first, WIDTH, drop_whitespace=False, replace_whitespace=False) or [" " * column]
    whole = [broken[0][column:], *broken[1:]]
    for line in rest:
        whole += textwrap.wrap(line, WIDTH, drop_whitespace=False, replace_whitespace=False) or [""]
    return whole


def _write(ax: Axes, text: str, row: int, column: int, fontsize: float, *, forced: bool) -> None:
    style = {"bbox": {"facecolor": YELLOW, "edgecolor": "none", "pad": 1}, "fontweight": "bold"} if forced else {}
    place = (ADVANCE * fontsize * column, -LINE * fontsize * row)
    ax.annotate(
        text.replace("$", r"\$"),
        (0, 1),
        place,
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        family="monospace",
        fontsize=fontsize,
        **style,
    )
