"""Declarative entries: which columns of a published table are the question, its answer and the rest.

    entry = entry_for("Idavidrein/gpqa@main", section(TEST_SETS, "test_sets").values(), own={"id", "question", "answer"})
    for row, question, answer, kind in answered(entry): ...

Entries are written in YAML: `s1lib/test_sets.yaml` for what is evaluated on and kept out of training,
`s1lib/curation/sources.yaml` for what is trained on. A question's id is that of the official scripts, the first 16 digits
of its sha256, and so does not depend on the order of rows.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import yaml

from s1lib.chat import lettered
from s1lib.grading import extract_answer
from s1lib.profile import is_hub_id, split_revision
from s1lib.published.hub import local_copy
from s1lib.published.table_files import TableError, columns_of, read_rows

TEST_SETS = Path(__file__).with_name("test_sets.yaml")
KINDS = ("math", "choice", "open")  # graded by value, by letter, by a judge
SHORT = 60  # characters; a reference answer of one line up to this length is graded by program
_LETTER = re.compile(r"\(?([A-J])[).]?")
_BRACES = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Entry:
    """One table; the keys are explained at the top of curation/sources.yaml. count: rows that there must be."""

    at: str
    source: str = ""
    files: str = "**/*"
    question: str = "{question}"
    answer: str = ""
    trace: str = ""
    attempt: str = ""
    domain: str = ""
    kind: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    clean: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Any] | None = None
    limit: int | None = None
    count: int | None = None
    published_as: tuple[str, ...] = ()
    verified: bool = True

    @property
    def columns(self) -> set[str]:
        """Every column that the entry reads."""
        texts = (self.question, self.answer, self.trace, self.attempt, self.domain, self.source)
        named = {name for text in texts for name in _BRACES.findall(text)} | set(self.where)
        return named | ({self.choices["right"], *self.choices["wrong"]} if self.choices else set())


def section(path: Path, name: str) -> Any:
    """Entries of one section of a YAML file: a list of them, or a mapping by name. Raises TableError."""
    try:
        found = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(name)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise TableError(f"{path}: not a YAML file of sources: {' '.join(str(error).split())}") from None
    if not found:
        raise TableError(f"{path}: no section {name!r}; see s1lib/curation/sources.yaml for the form")
    if isinstance(found, dict):
        return {key: _entry(values, f"{path}, {key}") for key, values in found.items()}
    return [_entry(values, f"{path}, {name}[{index}]") for index, values in enumerate(found)]


def entry_for(reference: str, known: Iterable[Entry], *, own: Collection[str]) -> tuple[Path, Entry | None]:
    """The local copy of `reference`, a hub id or a path, and the entry that reads it.

    A hub id is looked up by its name, anything else by its columns. None: the table has the columns `own`, or no entry fits
    it. Raises TableError or HubError, in one line.
    """
    known, path = list(known), local_copy("dataset", reference)
    entry = named(reference, known)
    found = columns_of(path, entry.files if entry else "**/*")
    if found >= set(own):
        return path, None
    if not entry:
        entry = next((dataclasses.replace(entry, files="**/*", count=None) for entry in known if entry.columns <= found), None)
    return path, entry and dataclasses.replace(entry, at=str(path))


def named(reference: str, known: Iterable[Entry]) -> Entry | None:
    """The entry of a hub id, whatever its revision."""
    name = split_revision(reference)[0] if is_hub_id(reference) else None
    return next((dataclasses.replace(entry, at=reference) for entry in known if split_revision(entry.at)[0] == name), None)


def answered(entry: Entry) -> Iterator[tuple[dict, str, str, str]]:
    """(row, question, answer, kind) of the entry's table; a kind that the entry does not say is read off the answer."""
    for row, question in questions(entry):
        answer, kind = fill(entry.answer, row), entry.kind
        if entry.choices:
            question, answer = _with_choices(question, row, entry.choices)
        if not kind:
            answer, kind = reference_answer(answer)
        yield row, question, answer, kind


def questions(entry: Entry) -> Iterator[tuple[dict, str]]:
    """The entry's rows with their question, `where`, `clean` and `limit` applied."""
    path = local_copy("dataset", entry.at)
    rows = _kept(entry, path)
    if entry.limit is not None:
        every = list(rows)
        rows = iter(random.Random(0).sample(every, min(entry.limit, len(every))))
    for row in rows:
        question = fill(entry.question, row)
        for pattern, replacement in entry.clean.items():
            question = re.sub(pattern, replacement, question)
        yield row, question.strip()


def question_id(question: str) -> str:
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def reference_answer(solution: str) -> tuple[str, str]:
    """(answer, kind) of a published solution: the boxed or named answer in it, a short one as it is, else the whole for a judge."""
    found = extract_answer(solution) or (solution.strip() if len(solution.strip()) <= SHORT and "\n" not in solution.strip() else "")
    letter = _LETTER.fullmatch(found)
    if letter:
        return letter[1], "choice"
    return (found, "math") if found else (solution.strip(), "open")


def fill(text: str, row: Mapping[str, Any]) -> str:
    """`text` with every {column} filled in; what is null is empty, lists are lines (a list of one trace is that trace)."""

    def cell(value: Any) -> str:
        if isinstance(value, list | tuple):
            return "\n".join(map(cell, value))
        return "" if value is None else str(value)

    filled = _BRACES.sub(lambda found: cell(row[found[1]]), text)
    return filled.encode("utf-8", "replace").decode().strip()  # JSON may spell half a surrogate pair, which no file can hold


def _kept(entry: Entry, path: Path) -> Iterator[dict]:
    for place, row in read_rows(path, columns=entry.columns, files=entry.files):
        if not isinstance(row, dict):
            raise TableError(f"{path}, {place}: expected columns, found {type(row).__name__}")
        missing = sorted(entry.columns - set(row))
        if missing:
            has = ", ".join(sorted(map(str, row))) or "none"
            raise TableError(
                f"{path}, {place}: column {missing[0]!r} is missing; there are: {has}; correct its entry (sources.yaml, test_sets.yaml)"
            )
        for name, value in row.items():
            if name in entry.columns and isinstance(value, bytes | dict):
                raise TableError(f"{path}, {place}: column {name!r} holds {type(value).__name__}, not text")
        if all(_accepts(wanted, row[name]) for name, wanted in entry.where.items()):
            yield row


def _accepts(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, Mapping):
        return str(value).isdigit() and int(value) <= wanted["most"]
    return value in wanted


def _with_choices(question: str, row: Mapping[str, Any], choices: Mapping[str, Any]) -> tuple[str, str]:
    """The question with its options in an order drawn from the question itself, whatever the order of rows, and the right letter."""
    options = [str(row[name]).strip() for name in (choices["right"], *choices["wrong"])]
    order = random.Random(question_id(question)).sample(range(len(options)), len(options))
    return question + lettered(options[index] for index in order), ascii_uppercase[order.index(0)]


def _entry(values: Any, where: str) -> Entry:
    known = {field.name for field in dataclasses.fields(Entry)}
    if not isinstance(values, dict) or "at" not in values:
        raise TableError(f"{where}: an entry needs the key 'at'")
    if unknown := sorted(set(values) - known):
        raise TableError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
    entry = Entry(**{**values, "published_as": tuple(values.get("published_as", ()))})
    if entry.kind not in ("", *KINDS):
        raise TableError(f"{where}: kind {entry.kind!r} is unknown; write {', '.join(map(repr, KINDS))}")
    return entry
