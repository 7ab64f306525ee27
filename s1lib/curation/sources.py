"""Pools and test sets from the hub or a local copy: one declarative entry per table, in sources.yaml (paper, table 7).

    pool = open_pool("simplescaling/s1K@main")       # or a path: the toy's pool, a parquet file, a folder, a .yaml of sources
    pool = open_pool("s1lib/curation/sources.yaml")  # the 16 sources themselves: questions without traces
    tests = read_questions("simplescaling/aime24_nofigures@main")

A question's id is that of the official scripts, the first 16 digits of its sha256; a repeated question gets "-2", so that
de-duplication can show it. Missing traces and answers become empty text: the quality filter counts them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from s1lib.chat import extract_answer
from s1lib.curation.pool import COLUMNS, KINDS, OPTIONAL, PoolError, Sample, as_samples
from s1lib.curation.tables import columns_of, read_rows
from s1lib.hub import local_copy
from s1lib.profile import ROOT, is_hub_id, split_revision

SOURCES = Path(__file__).with_name("sources.yaml")
SHORT = 60  # characters; a reference answer of one line up to this length is graded by program
_LETTER = re.compile(r"\(?([A-J])[).]?")
_BRACES = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Entry:
    """One table; the keys are explained at the top of sources.yaml."""

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
    published_as: tuple[str, ...] = ()
    verified: bool = True

    @property
    def columns(self) -> set[str]:
        """Every column that the entry reads."""
        texts = (self.question, self.answer, self.trace, self.attempt, self.domain, self.source)
        named = {name for text in texts for name in _BRACES.findall(text)} | set(self.where)
        return named | ({self.choices["right"], *self.choices["wrong"]} if self.choices else set())


def open_pool(reference: str, *, log: Callable[[str], None] = print) -> list[Sample]:
    """The samples of a pool: a file or folder with a pool's own columns, a published one (by its columns), a hub id, or a .yaml of sources.

    Raises PoolError or HubError, in one line, when something does not fit or cannot be reached.
    """
    if reference.endswith((".yaml", ".yml")):
        return collect(_section(ROOT / reference, "sources"), log=log)
    path = local_copy("dataset", reference)
    known = _section(SOURCES, "pools").values()
    named = [entry for entry in known if is_hub_id(reference) and split_revision(entry.at)[0] == split_revision(reference)[0]]
    files = named[0].files if named else "**/*"
    found = columns_of(path, files)
    if not found >= set(COLUMNS) - set(OPTIONAL):
        fitting = named or [entry for entry in known if entry.columns <= found]
        if fitting:
            return collect([dataclasses.replace(fitting[0], at=str(path))], log=log)
    return as_samples(path, read_rows(path, columns=set(COLUMNS)))


def collect(entries: Iterable[Entry], *, log: Callable[[str], None] = print) -> list[Sample]:
    """The samples of all `entries`, one after the other, with a line for each."""
    samples: list[Sample] = []
    ids: Counter[str] = Counter()
    for entry in entries:
        before, dropped = len(samples), 0
        for sample in _samples(entry):
            if not sample.question:
                dropped += 1
                continue
            ids[sample.id] += 1
            samples.append(sample if ids[sample.id] == 1 else dataclasses.replace(sample, id=f"{sample.id}-{ids[sample.id]}"))
        log(f"{entry.at}: {len(samples) - before:,} questions" + (f", {dropped:,} rows without one left out" if dropped else ""))
    if not samples:
        raise PoolError("the sources hold no question")
    return samples


def read_questions(reference: str) -> dict[str, str]:
    """Questions of a test set by their ids: a hub id or a name of sources.yaml's `tests`, or a local table (column question or problem)."""
    tests = _section(SOURCES, "tests")
    if reference in tests:
        return {question_id(question): question for question in _questions(tests[reference])}
    known = [entry for entry in tests.values() if is_hub_id(reference) and split_revision(reference)[0] == split_revision(entry.at)[0]]
    if known:
        return {question_id(question): question for question in _questions(dataclasses.replace(known[0], at=reference))}
    path = local_copy("dataset", reference)
    found = {}
    for place, row in read_rows(path):
        question = isinstance(row, dict) and (row.get("question") or row.get("problem"))
        if not isinstance(question, str):
            raise PoolError(f"{path}, {place}: column 'question' (or 'problem') is missing; decontamination needs every test question")
        found[str(row.get("id") or question_id(question))] = question
    return found


def question_id(question: str) -> str:
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def reference_answer(solution: str) -> tuple[str, str]:
    """(answer, kind) of a published solution: the boxed or named answer in it, a short one as it is, else the whole for a judge."""
    found = extract_answer(solution) or (solution.strip() if len(solution.strip()) <= SHORT and "\n" not in solution.strip() else "")
    letter = _LETTER.fullmatch(found)
    if letter:
        return letter[1], "choice"
    return (found, "math") if found else (solution.strip(), "open")


# ---- from rows to samples ----------------------------------------------------------------------------------------------


def _samples(entry: Entry) -> Iterator[Sample]:
    published = _published() if "{" in entry.source else {}
    for row, question in _rows(entry):
        answer, kind = _fill(entry.answer, row), entry.kind
        if entry.choices:
            question, answer = _with_choices(question, row, entry.choices)
        if not kind:
            answer, kind = reference_answer(answer)
        source = _fill(entry.source, row)
        source = next((name for start, name in published.items() if source.startswith(start)), source)
        texts = (_fill(text, row) for text in (entry.domain, entry.trace, entry.attempt))
        yield Sample(question_id(question), question, answer, source, *texts, kind=kind)


def _questions(entry: Entry) -> Iterator[str]:
    yield from (question for _, question in _rows(entry))


def _rows(entry: Entry) -> Iterator[tuple[dict, str]]:
    """The entry's rows with their question, `where`, `clean` and `limit` applied."""
    path = local_copy("dataset", entry.at)
    rows = _kept(entry, path)
    if entry.limit is not None:
        every = list(rows)
        rows = iter(random.Random(0).sample(every, min(entry.limit, len(every))))
    for row in rows:
        question = _fill(entry.question, row)
        for pattern, replacement in entry.clean.items():
            question = re.sub(pattern, replacement, question)
        yield row, question.strip()


def _kept(entry: Entry, path: Path) -> Iterator[dict]:
    for place, row in read_rows(path, columns=entry.columns, files=entry.files):
        if not isinstance(row, dict):
            raise PoolError(f"{path}, {place}: expected columns, found {type(row).__name__}")
        missing = sorted(entry.columns - set(row))
        if missing:
            has = ", ".join(sorted(map(str, row))) or "none"
            raise PoolError(f"{path}, {place}: column {missing[0]!r} is missing; there are: {has}; correct the entry in sources.yaml")
        for name, value in row.items():
            if name in entry.columns and isinstance(value, bytes | dict):
                raise PoolError(f"{path}, {place}: column {name!r} holds {type(value).__name__}, not text")
        if all(_accepts(wanted, row[name]) for name, wanted in entry.where.items()):
            yield row


def _accepts(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, Mapping):
        return str(value).isdigit() and int(value) <= wanted["most"]
    return value in wanted


def _fill(text: str, row: Mapping[str, Any]) -> str:
    """`text` with every {column} filled in; what is null is empty, lists are lines (a list of one trace is that trace)."""

    def cell(value: Any) -> str:
        if isinstance(value, list | tuple):
            return "\n".join(map(cell, value))
        return "" if value is None else str(value)

    filled = _BRACES.sub(lambda found: cell(row[found[1]]), text)
    return filled.encode("utf-8", "replace").decode().strip()  # JSON may spell half a surrogate pair, which no file can hold


def _with_choices(question: str, row: Mapping[str, Any], choices: Mapping[str, Any]) -> tuple[str, str]:
    """The question with its options listed as the paper's GPQA prompts list them, in an order drawn from the question, and the letter."""
    options = [str(row[name]).strip() for name in (choices["right"], *choices["wrong"])]
    order = random.Random(question_id(question)).sample(range(len(options)), len(options))
    listed = "\n".join(f"{'ABCDEFGHIJ'[place]}) {options[index]}" for place, index in enumerate(order))
    return f"{question}\n\n{listed}", "ABCDEFGHIJ"[order.index(0)]


# ---- the file of entries -----------------------------------------------------------------------------------------------


def _published() -> dict[str, str]:
    """Beginning of a published pool's source_type -> name in table 7."""
    return {start: entry.source for entry in _section(SOURCES, "sources") for start in entry.published_as}


def _section(path: Path, name: str) -> Any:
    """Entries of one section of a sources file: a list of them (sources), or a mapping by name (pools, tests)."""
    try:
        section = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(name)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise PoolError(f"{path}: not a YAML file of sources: {' '.join(str(error).split())}") from None
    if not section:
        raise PoolError(f"{path}: no section {name!r}; see {SOURCES.name} of s1lib/curation for the form")
    if isinstance(section, dict):
        return {key: _entry(values, f"{path}, {key}") for key, values in section.items()}
    return [_entry(values, f"{path}, {name}[{index}]") for index, values in enumerate(section)]


def _entry(values: Any, where: str) -> Entry:
    known = {field.name for field in dataclasses.fields(Entry)}
    if not isinstance(values, dict) or "at" not in values:
        raise PoolError(f"{where}: an entry needs the key 'at'")
    if unknown := sorted(set(values) - known):
        raise PoolError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
    entry = Entry(**{**values, "published_as": tuple(values.get("published_as", ()))})
    if entry.kind not in ("", *KINDS):
        raise PoolError(f"{where}: kind {entry.kind!r} is unknown; write {', '.join(map(repr, KINDS))}")
    return entry
