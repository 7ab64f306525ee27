"""A cell of a table as text: what is absent, what is a value, and what is refused.

    text_of(0, "answer", "row 1")       # "0": what is falsy is a value
    text_of(None, "answer", "row 1")    # None: absent, as NaN and an empty list are

| cell                        | text                                                           |
|-----------------------------|----------------------------------------------------------------|
| text                        | itself, and every cell of a CSV is text: `1.10`, `007`, `NA`   |
| null, NaN, empty list       | absent                                                         |
| whole number, boolean       | all its digits, and `True` or `False`                          |
| other number                | as JSON spells it, else its shortest form: `0.1`, `42.0`       |
| list of one                 | what is in it, as s1K keeps its traces                         |
| list of several             | refused: the entry says which one, `{column[0]}`, or all of    |
|                             | them as lines, `{column[*]}`                                   |
| dict, bytes, date, infinity | refused: no text says reliably what it meant                   |
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from s1lib.published.table_files import TableError


def text_of(value: Any, column: str, place: str) -> str | None:
    """The text of a cell, or None when it is absent.

    column and place (file and row) are named in the TableError that refuses what is no text.
    """
    where = f"{place}: column {column!r}"
    if isinstance(value, str):
        # JSON may spell half a surrogate pair, which no file can hold.
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list) and len(value) > 1:
        raise TableError(
            f"{where} holds {len(value)} values, and one is needed; an entry can name it: "
            f"{{{column}[0]}} is the first, {{{column}[*]}} all of them as lines"
        )
    if isinstance(value, list):
        return text_of(value[0], column, place) if value else None
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    if not isinstance(value, bool | int | float | Decimal):
        raise TableError(f"{where} holds {type(value).__name__}, not text")
    if math.isinf(value):
        raise TableError(f"{where} holds an infinite number, which is no answer")
    return format(value, "f") if isinstance(value, Decimal) else str(value)
