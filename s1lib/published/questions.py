"""Questions and answers of a published table, read by its entry.

    for found in answered(entry):
        found.question, found.answer, found.kind

A question's id is that of the official scripts, the first 16 digits of its sha256. It does not
depend on the order of rows.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from string import ascii_uppercase
from typing import Any, NamedTuple

from s1lib.chat import lettered
from s1lib.grading import extract_answer
from s1lib.published.cells import text_of
from s1lib.published.entries import BRACES, Entry, column_and_item
from s1lib.published.hub import local_copy
from s1lib.published.table_files import Row, TableError, read_rows

SHORT = 60  # characters; a reference answer of one line up to this length is graded by program
_LETTER = re.compile(r"\(?([A-J])[).]?")
_GOLD_LETTER = re.compile(r"\(?([A-Za-z])\)?[.:]?")

Texts = Mapping[str, str | None]  # what an entry reads of one row; what is absent is None


class Question(NamedTuple):
    """One row of a published table.

    place: where it stands. texts: what its entry reads. question: empty when the row has none, with
    its options below it when it is a choice. kind: how the answer is graded.
    """

    place: str
    texts: Texts
    question: str
    answer: str
    kind: str


def answered(entry: Entry) -> Iterator[Question]:
    """Yield the questions of the entry's table with their answers.

    A kind that the entry does not say is read off the answer. Raises TableError that names the row
    when an option is null or the answer to a choice is no letter.
    """
    for place, texts, question in questions(entry):
        yield _answered(entry, place, texts, question)


def question_of(entry: Entry, row: Row, place: str) -> Question:
    """The question of one row that stands at `place`, as `answered` reads it.

    Raises TableError as well for a row without a column of the entry.
    """
    where = f"{entry.at}, {place}"
    if missing := sorted(entry.columns - set(row)):
        raise TableError(f"{where}: column {missing[0]!r} is missing")
    return _answered(entry, place, *_asked(entry, row, where))


def questions(entry: Entry) -> Iterator[tuple[str, Texts, str]]:
    """Yield (place, texts, question) with the entry's `where`, `limit` and `clean` applied."""
    rows = _kept(entry)
    if entry.limit is not None:
        every = list(rows)
        rows = iter(random.Random(0).sample(every, min(entry.limit, len(every))))
    for place, row in rows:
        yield place, *_asked(entry, row, f"{entry.at}, {place}")


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


def gold_letter(answer: str, where: str) -> str:
    """The letter of a choice's gold answer, which tables write as B, b, (B), B. or B).

    Raises TableError that begins with `where` when it is no letter.
    """
    found = _GOLD_LETTER.fullmatch(answer.strip())
    if not found:
        raise TableError(
            f"{where}: the answer {answer!r} to a choice is not the letter of an option; "
            "write it as A, B, C, …"
        )
    return found[1].upper()


def fill(text: str, texts: Texts) -> str:
    """`text` with every {column} filled in, where what is absent is empty."""
    return BRACES.sub(lambda found: texts[found[1]] or "", text).strip()


def _asked(entry: Entry, row: Row, where: str) -> tuple[Texts, str]:
    """What the entry reads of a row, and the question in it."""
    texts = {name: _text(row, name, where) for name in entry.fields}
    question = fill(entry.question, texts)
    for pattern, replacement in entry.clean.items():
        question = re.sub(pattern, replacement, question)
    return texts, question.strip()


def _answered(entry: Entry, place: str, texts: Texts, question: str) -> Question:
    answer, kind = fill(entry.answer, texts), entry.kind
    if entry.choices and question:
        question, answer = _with_choices(question, texts, entry, place)
    elif kind == "choice" and answer:
        answer = gold_letter(answer, f"{entry.at}, {place}")
    if not kind:
        answer, kind = reference_answer(answer)
    return Question(place, texts, question, answer, kind)


def _kept(entry: Entry) -> Iterator[tuple[str, Row]]:
    """The rows that `where` accepts, which may hold anything in the columns that are not text."""
    path = local_copy("dataset", entry.at, entry.files)
    if entry.get and not path.exists():
        raise TableError(f"{path} does not exist, and no hub has it: {entry.get}")
    for place, row in read_rows(path, columns=entry.columns, files=entry.files):
        if missing := sorted(entry.columns - set(row)):
            has = ", ".join(sorted(map(str, row))) or "none"
            raise TableError(
                f"{path}, {place}: column {missing[0]!r} is missing; there are: {has}; "
                "correct its entry (sources.yaml, test_sets.yaml)"
            )
        where = f"{entry.at}, {place}"
        if all(_accepts(wanted, _cell(row, name, where)) for name, wanted in entry.where.items()):
            yield place, row


def _accepts(wanted: Any, value: Any) -> bool:
    """Whether a cell is what an entry's `where` asks for.

    wanted: a list of values of which it is one, {not: such a list}, or {most: a number}.
    """
    if isinstance(wanted, Mapping) and "not" in wanted:
        return not _accepts(wanted["not"], value)
    try:
        if isinstance(wanted, Mapping):
            return float(value) <= wanted["most"]
        # A CSV holds "5" where a JSON file holds 5.
        text = text_of(value, "", "")
        return value in wanted or text in [text_of(item, "", "") for item in wanted]
    except (TypeError, ValueError, TableError):  # no number, or no text
        return False


def _text(row: Row, name: str, place: str) -> str | None:
    """The text of one field of an entry in one row."""
    column, item = column_and_item(name)
    if item != "*":
        return text_of(_cell(row, name, place), column, place)
    values = row[column] if isinstance(row[column], list) else [row[column]]
    return "\n".join(text_of(each, column, place) or "" for each in values)


def _cell(row: Row, name: str, place: str) -> Any:
    """A row's value in a column, or one item of its list, or under one key of its dict."""
    column, item = column_and_item(name)
    value = row[column]
    if item is None:
        return value
    if item.isdecimal():
        values = value if isinstance(value, list) else [value]
        return values[int(item)] if int(item) < len(values) else None
    if not isinstance(value, dict | None):
        kind = type(value).__name__
        raise TableError(f"{place}: column {column!r} holds {kind}, which has no key {item!r}")
    return (value or {}).get(item)


def _with_choices(question: str, texts: Texts, entry: Entry, place: str) -> tuple[str, str]:
    """The question with its options below it, and the letter of the right one.

    The order is drawn from the question itself, so that the order of rows does not matter.
    """
    options = []
    for column in (entry.choices["right"], *entry.choices["wrong"]):
        if texts[column] is None:
            raise TableError(f"{entry.at}, {place}: the option in column {column!r} is null")
        options.append(texts[column].strip())
    order = random.Random(question_id(question)).sample(range(len(options)), len(options))
    letter = ascii_uppercase[order.index(0)]
    return question + lettered(options[index] for index in order), letter
