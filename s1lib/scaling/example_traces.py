"""Example traces (Figures 3 and 5): a problem that a Wait mends, and how to draw its trace.

rows = read_jsonl(profile.stage("04_evaluation") / "records" / "hard-s1-budget_forcing.jsonl")
annotated(mended(rows, waits=1), ax)
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from s1lib.chat import FINAL_ANSWER
from s1lib.drawing.plots import YELLOW, not_available

WIDTH, LINES = 78, 44  # characters and lines of a drawn trace
LINE = 1.35  # line height in font sizes
ADVANCE = 0.602  # width of a character of DejaVu Sans Mono, in font sizes
TEXT = {"family": "monospace"}
FORCED = {"bbox": {"facecolor": YELLOW, "edgecolor": "none", "pad": 1}, "fontweight": "bold"}
PIECE = ["text", "part", "forced"]


def pieces(row: dict) -> pd.DataFrame:
    """A record's text in order: text, part ("thinking" | "answer"), forced (appended to it)."""
    thinking, answer = row["thinking"], row["answer"]
    found, at = [], 0
    for start, end in row["forced_spans"]:
        found.append((thinking[at:start], "thinking", False))
        found.append((thinking[start:end], "thinking", True))
        at = end
    found.append((thinking[at:], "thinking", False))

    # a forced stop also appends the first words of the answer
    forced = row["finish"] == "forced" and answer.startswith(FINAL_ANSWER)
    prefix = FINAL_ANSWER if forced else ""
    found += [(prefix, "answer", True), (answer.removeprefix(prefix), "answer", False)]
    return pd.DataFrame([piece for piece in found if piece[0]], columns=PIECE)


def mended(rows: Sequence[dict], *, waits: int = 1) -> pd.DataFrame:
    """The shortest trace of s1 that is wrong at its natural stop and right after `waits` Waits.

    As `pieces`, with the problem and its answers in `attrs`. Empty when there is none. It is chosen
    for what a Wait can do, as the paper's Figure 3 is: the transitions table says how often.
    """
    # each problem's natural stop and its traces with Waits, by the number of Waits
    traces: dict[str, dict[int, dict]] = {}
    for row in rows:
        asked = row["parameters"]
        if row["model"] != "s1" or row["method"] != "budget_forcing":
            continue
        waited = not row["waits_used"] or asked.get("wait") == "Wait"
        if asked.get("max_thinking") is None and waited:
            traces.setdefault(row["problem_id"], {})[row["waits_used"]] = row

    both = [(found[0], found[waits]) for found in traces.values() if {0, waits} <= set(found)]
    both = [(before, after) for before, after in both if not before["correct"] and after["correct"]]
    if not both:
        return pd.DataFrame(columns=PIECE)

    before, after = min(both, key=lambda pair: (pair[1]["thinking_tokens"], pair[1]["problem_id"]))
    shown = pieces(after)
    shown.attrs = {
        "problem": before["problem_id"],
        "right": before["gold"],
        "natural stop": before["extracted"],
        f"{waits} × Wait": after["extracted"],
    }
    return shown


def annotated(data: pd.DataFrame, ax: Axes, *, fontsize: float = 8) -> Axes:
    """Figures 3 and 5: one trace as text, what was appended on yellow, the answer under a line.

    data: as from `pieces`. Lines longer than 78 characters are broken, and after 44 lines the text
    ends with "…".
    """
    if data.empty:
        return not_available(ax, "no such trace in the records")
    ax.set_axis_off()
    row = column = 0
    for part, some in data.groupby("part", sort=False):
        # the answer begins two lines below the thinking, under its name
        if part == "answer":
            row, column = row + 2, 0
            _write(ax, "answer", row, 0, fontsize, color="0.4")
            row += 1

        for piece in some.itertuples():
            for at, line in enumerate(_lines(piece.text, column)):
                row, column = (row + 1, 0) if at else (row, column)
                if row >= LINES:
                    _write(ax, "…", LINES, 0, fontsize, **TEXT)
                    return ax
                _write(ax, line, row, column, fontsize, **TEXT, **(FORCED if piece.forced else {}))
                column += len(line)
    return ax


def _lines(text: str, column: int) -> list[str]:
    """`text` broken to WIDTH, its first line going on behind `column` characters."""
    first, *rest = text.split("\n")
    broken = _broken(" " * column + first) or [" " * column]
    whole = [broken[0][column:], *broken[1:]]
    for line in rest:
        whole += _broken(line) or [""]
    return whole


def _broken(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, drop_whitespace=False, replace_whitespace=False)


def _write(ax: Axes, text: str, row: int, column: int, fontsize: float, **style: object) -> None:
    """Text at a row and column of a page that begins in the upper left corner of the axes."""
    place = (ADVANCE * fontsize * column, -LINE * fontsize * row)
    corner = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
    ax.annotate(text.replace("$", r"\$"), (0, 1), place, fontsize=fontsize, **corner, **style)
