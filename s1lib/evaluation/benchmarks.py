"""Test sets -> problems: those of test_sets.yaml by hub id or local copy, or JSON lines of our own.

One object per line: {"id": …, "question": …, "answer": …, "kind": "math" | "choice", "options": […]}; `kind` may be left
to the profile, `options` belongs to a choice whose question does not list them yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from string import ascii_uppercase

from s1lib.chat import lettered
from s1lib.keeping.hashes import hash_of
from s1lib.profile import Benchmark, Profile
from s1lib.published.entries import TEST_SETS, Entry, answered, entry_for, question_id, section
from s1lib.published.table_files import TableError, read_rows

COLUMNS = ("id", "question", "answer")
KINDS = ("math", "choice")


class BenchmarkError(TableError):
    """A test set cannot be used; the message says which file and line, and what is wrong."""


@dataclass(frozen=True)
class Problem:
    """question: the prompt as the model sees it. gold: the answer, for a choice its letter."""

    id: str
    question: str
    gold: str
    kind: str


def load_benchmark(profile: Profile, benchmark: Benchmark) -> list[Problem]:
    """The problems of one of the profile's benchmarks, the first `limit` of them, in the order of the table.

    Raises HubError (not to be had), TableError (missing or damaged), or BenchmarkError: a column missing, an id twice, a
    gold letter without option, another number of problems than the entry in test_sets.yaml says, another checksum than the
    profile says.
    """
    known = section(TEST_SETS, "test_sets").values()
    path, entry = entry_for(profile.resolve(benchmark.path), (e for e in known if e.answer or e.choices), own=COLUMNS)
    problems: dict[str, Problem] = {}
    for place, problem in _published(entry) if entry else _own(path, benchmark.kind):
        if problem.id in problems:
            raise BenchmarkError(f"{path}, {place}: the id {problem.id!r} is there twice")
        problems[problem.id] = problem
    if not problems:
        raise BenchmarkError(f"{path} holds no problem")
    if entry and entry.count not in (None, len(problems)):
        raise BenchmarkError(f"{path} holds {len(problems)} problems and should hold {entry.count}: correct `files` in {TEST_SETS.name}")
    chosen = list(problems.values())[: benchmark.limit]
    if benchmark.sha256 not in ("", found := checksum(chosen)):
        raise BenchmarkError(f"{path}: the checksum is {found}, the profile says {benchmark.sha256}: another version of it?")
    return chosen


def checksum(problems: Iterable[Problem]) -> str:
    """A key of all problems and their order: what is asked, the gold answers and how they are graded."""
    return hash_of([astuple(problem) for problem in problems])


def _published(entry: Entry) -> Iterator[tuple[str, Problem]]:
    for number, (_, question, gold, kind) in enumerate(answered(entry), start=1):
        yield f"row {number}", Problem(question_id(question), question, gold, kind)


def _own(path: Path, kind: str) -> Iterator[tuple[str, Problem]]:
    for place, row in read_rows(path):
        yield place, _problem(row, kind, f"{path}, {place}")


def _problem(row: dict, kind: str, where: str) -> Problem:
    missing = next((field for field in COLUMNS if not str(row.get(field) or "").strip()), None)
    if missing:
        raise BenchmarkError(f"{where}: no {missing!r}")
    kind, options, gold = row.get("kind") or kind, row.get("options") or [], str(row["answer"]).strip()
    if kind not in KINDS:
        raise BenchmarkError(f"{where}: unknown kind {kind!r}; known: {', '.join(KINDS)}")
    if options and gold not in ascii_uppercase[: len(options)]:
        raise BenchmarkError(f"{where}: the answer {gold!r} is not the letter of one of its {len(options)} options")
    return Problem(str(row["id"]), row["question"] + (lettered(options) if options else ""), gold, kind)
