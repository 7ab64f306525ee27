"""Tables as text: cells for the screen, GitHub Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

NOT_AVAILABLE = "n/a"

# Columns that mean the same in every table. The limits low and high of an interval have the unit
# of what they stand beside.
_SHARES = ("accuracy", "performance", "paper_performance", "control", "control_samples")
_SHARES += ("paper_control", "truncated", "forced", "ours", "official", "discordant")
UNITS = {
    **dict.fromkeys(_SHARES, "%"),
    **dict.fromkeys(
        ("difference", "paper_difference", "net", "half_width", "detectable"), "points"
    ),
    **dict.fromkeys(("scaling", "slope", "paper_scaling"), "points per doubling"),
}

# What LaTeX reads as its own, and a few signs that not every font of it has.
_LATEX = {
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"×": r"$\times$", "→": r"$\to$", "±": r"$\pm$", "Δ": r"$\Delta$", "·": r"$\cdot$"},
    **{"−": "$-$", "<": "$<$", ">": "$>$", "\n": " "},
}


def as_text(table: pd.DataFrame, *, digits: int = 1) -> pd.DataFrame:
    """Every cell as a string: floats rounded, whole numbers whole, missing values "n/a".

    The columns `p` and `p_holm` have three digits, and those of UNITS get their unit into the head.
    """
    shown = pd.DataFrame(index=table.index)
    for name, column in table.items():
        places = 3 if name in ("p", "p_holm") else digits
        head = f"{name}, {UNITS[name]}" if name in UNITS else name
        shown[head] = column.astype(object).map(lambda value, places=places: _cell(value, places))
    return shown


def _cell(value: Any, digits: int) -> str:
    if value is None or (np.isscalar(value) and pd.isna(value)):
        return NOT_AVAILABLE
    if not isinstance(value, float):
        return str(value)
    least = 10.0**-digits
    if digits == 3 and 0 <= value < least:
        return f"< {least:g}"
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no minus before a zero


def markdown(shown: pd.DataFrame) -> str:
    """A table of strings as GitHub Markdown."""
    rows: list[Sequence[str]] = [list(shown.columns), ["---"] * shown.shape[1]]
    rows += list(shown.itertuples(index=False))
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def latex(shown: pd.DataFrame) -> str:
    """A table of strings as a LaTeX tabular for the booktabs package. Cells print as they are."""
    rows = [list(shown.columns), *shown.itertuples(index=False)]
    escaped = str.maketrans(_LATEX)
    head, *body = [
        " & ".join(str(cell).translate(escaped) for cell in row) + r" \\" for row in rows
    ]
    numbers = [shown[name].str.fullmatch(r"(< )?-?\d[\d.]*|n/a").all() for name in shown]
    columns = "".join("r" if number else "l" for number in numbers)
    top = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule"]
    return "\n".join([*top, *body, r"\bottomrule", r"\end{tabular}", ""])
