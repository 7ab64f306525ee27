"""Example traces (Figures 3 and 5): a problem that a Wait mends, and how to draw its trace.

rows = read_jsonl(profile.outputs / "04_evaluation/records/hard-s1-budget_forcing.jsonl")
data = posed(mended(rows), readable_questions(profile), "hard")
fig, axes = panels(1, width=6, height=inches(data))
annotated(data, axes[0])
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes

from s1lib.chat import FINAL_ANSWER
from s1lib.drawing.plots import YELLOW, not_available
from s1lib.scaling.after_waits import by_trace

WIDTH, LINES = 72, 44  # characters and lines of a drawn trace
WHOLE = 500  # characters of a piece that is drawn whole: of a longer one the middle is left out
FONT, LINE = 8, 1.35  # font size in points, line height in font sizes
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
    for what a Wait can do, as the paper's Figure 3 is: `after_waits.waits_table` says how often.
    """
    pairs = [(one[0], one[waits]) for one in by_trace(rows).values() if {0, waits} <= set(one)]
    mends = [(was, now) for was, now in pairs if not was["correct"] and now["correct"]]
    if not mends:
        return pd.DataFrame(columns=PIECE)

    before, after = min(mends, key=lambda pair: (pair[1]["thinking_tokens"], pair[1]["problem_id"]))
    shown = pieces(after)
    shown.attrs = {
        "problem": before["problem_id"],
        "right": before["gold"],
        "natural stop": before["extracted"],
        f"{waits} × Wait": after["extracted"],
    }
    return shown


def posed(
    data: pd.DataFrame, questions: Mapping[tuple[str, str], str], benchmark: str
) -> pd.DataFrame:
    """An example with its question, where that is known, before it and the right answer behind it.

    questions: by benchmark and problem id.
    """
    if data.empty:
        return data
    asked = questions.get((benchmark, data.attrs["problem"]), "")
    before = pd.DataFrame([(asked, "question", False)] if asked else [], columns=PIECE)
    behind = pd.DataFrame([(str(data.attrs["right"]), "right answer", False)], columns=PIECE)
    shown = pd.concat([before, data, behind], ignore_index=True)
    shown.attrs = data.attrs
    return shown


def inches(data: pd.DataFrame) -> float:
    """The height of a figure that holds the whole trace, its title and a caption."""
    rows = [row for _, row, _, _ in _places(data)]
    return 1 + (max(rows, default=3) + 1) * LINE * FONT / 72


def annotated(data: pd.DataFrame, ax: Axes) -> Axes:
    """Figures 3 and 5: one trace as text, its parts under their names, what was appended on yellow.

    data: as from `pieces` or `posed`. Lines longer than 72 characters are broken, of a piece of
    more than 500 the middle is left out, and after 44 lines the text ends with "…".
    """
    if data.empty:
        return not_available(ax, "no such trace in the records")
    ax.set_axis_off()
    corner = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
    for text, row, column, style in _places(data):
        place = (ADVANCE * FONT * column, -LINE * FONT * row)
        ax.annotate(text.replace("$", r"\$"), (0, 1), place, fontsize=FONT, **corner, **style)
    return ax


def _places(data: pd.DataFrame) -> Iterator[tuple[str, int, int, dict]]:
    """Each line of a drawn trace with its row, its first column and its style."""
    row = column = 0
    for part, some in data.groupby("part", sort=False):
        # a part begins two lines below the last one, under its name
        if row or part != "thinking":
            row, column = row + 2 if row else row, 0
            yield part, row, 0, {"color": "0.4"}
            row += 1

        for piece in some.itertuples():
            for at, line in enumerate(_lines(_shortened(piece.text), column)):
                row, column = (row + 1, 0) if at else (row, column)
                if row >= LINES:
                    yield "…", LINES, 0, TEXT
                    return
                yield line, row, column, {**TEXT, **(FORCED if piece.forced else {})}
                column += len(line)


def _shortened(text: str) -> str:
    """A long text without its middle."""
    if len(text) <= WHOLE:
        return text
    half = WHOLE // 2
    return f"{text[:half]}\n[… {len(text) - WHOLE:,} characters …]\n{text[-half:]}"


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
