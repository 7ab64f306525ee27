"""Questions and answers of a published table, read by its entry.

    for row, question, answer, kind in answered(entry):
        ...

A question's id is that of the official scripts, the first 16 digits of its sha256. It does not
depend on the order of rows.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from s1lib.chat import lettered
from s1lib.grading import extract_answer
from s1lib.published.entries import BRACES, Entry
from s1lib.published.hub import local_copy
from s1lib.published.table_files import TableError, read_rows

SHORT = 60  # characters; a reference answer of one line up to this length is graded by program
_LETTER = re.compile(r"\(?([A-J])[).]?")


def answered(entry: Entry) -> Iterator[tuple[dict, str, str, str]]:
    """Yield (row, question, answer, kind) for every row of the entry's table.

    A kind that the entry does not say is read off the answer.
    """
    for row, question in questions(entry):
        answer, kind = fill(entry.answer, row), entry.kind
        if entry.choices:
            question, answer = _with_choices(question, row, entry.choices)
        if not kind:
            answer, kind = reference_answer(answer)
        yield row, question, answer, kind


def questions(entry: Entry) -> Iterator[tuple[dict, str]]:
    """Yield (row, question) with the entry's `where`, `limit` and `clean` applied."""
    rows = _kept(entry, local_copy("dataset", entry.at))
    if entry.limit is not None:
        every = list(rows)
        rows = iter(random.Random(0).sample(every, min(entry.limit, len(every))))
    for row in rows:
        question = fill(entry.question, row)
        for pattern, replacement in entry.clean.items():
            question = re.sub(pattern, replacement, question)
        yield row, question.strip()


def question_id(question: str) -> str:
    """The id of a question: 16 hexadecimal digits of its sha256."""
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def reference_answer(solution: str) -> tuple[str, str]:
    """The answer in a published solution, and how it is graded.

    It is the boxed or named answer, or a short solution as it stands. Anything longer stays whole,
    for a judge.
    """
    solution = solution.strip()
    found = extract_answer(solution)
    if not found and len(solution) <= SHORT and "\n" not in solution:
        found = solution
    if letter := _LETTER.fullmatch(found or ""):
        return letter[1], "choice"
    return (found, "math") if found else (solution, "open")


def fill(text: str, row: Mapping[str, Any]) -> str:
    """`text` with every {column} filled in from `row`.

    A null is empty, and a list is its elements as lines.
    """

    def cell(value: Any) -> str:
        if isinstance(value, list | tuple):
            return "\n".join(map(cell, value))
        return "" if value is None else str(value)

    filled = BRACES.sub(lambda found: cell(row[found[1]]), text)

    # JSON may spell half a surrogate pair, which no file can hold.
    return filled.encode("utf-8", "replace").decode().strip()


def _kept(entry: Entry, path: Path) -> Iterator[dict]:
    """The rows that `where` accepts, once every column that is read is there and holds text."""
    for place, row in read_rows(path, columns=entry.columns, files=entry.files):
        if not isinstance(row, dict):
            raise TableError(f"{path}, {place}: expected columns, found {type(row).__name__}")
        if missing := sorted(entry.columns - set(row)):
            has = ", ".join(sorted(map(str, row))) or "none"
            raise TableError(
                f"{path}, {place}: column {missing[0]!r} is missing; there are: {has}; "
                "correct its entry (sources.yaml, test_sets.yaml)"
            )
        for name, value in row.items():
            if name in entry.columns and isinstance(value, bytes | dict):
                kind = type(value).__name__
                raise TableError(f"{path}, {place}: column {name!r} holds {kind}, not text")
        if all(_accepts(wanted, row[name]) for name, wanted in entry.where.items()):
            yield row


def _accepts(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, Mapping):
        return str(value).isdigit() and int(value) <= wanted["most"]
    return value in wanted


def _with_choices(
    question: str, row: Mapping[str, Any], choices: Mapping[str, Any]
) -> tuple[str, str]:
    """The question with its options below it, and the letter of the right one.

    The order is drawn from the question itself, so that the order of rows does not matter.
    """
    options = [str(row[name]).strip() for name in (choices["right"], *choices["wrong"])]
    order = random.Random(question_id(question)).sample(range(len(options)), len(options))
    letter = ascii_uppercase[order.index(0)]
    return question + lettered(options[index] for index in order), letter
