"""Test sets as problems: the published ones, or JSON lines of one's own.

    {"id": "7", "question": "Which?", "answer": "B", "kind": "choice", "options": ["one", "two"]}

`kind` ("math" or "choice") may be left to the profile. `options` belong to a choice whose question
does not list them yet. test_sets.yaml says how the published ones are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from string import ascii_uppercase

from s1lib.chat import lettered
from s1lib.keeping.hashes import hash_of
from s1lib.profile import Benchmark, Profile
from s1lib.published.entries import TEST_SETS, Entry, entry_for, section
from s1lib.published.questions import answered, question_id
from s1lib.published.table_files import TableError, read_rows

COLUMNS = ("id", "question", "answer")
KINDS = ("math", "choice")


class BenchmarkError(TableError):
    """A test set cannot be used.

    The message says which file and line, and what is wrong.
    """


@dataclass(frozen=True)
class Problem:
    """One problem of a test set.

    question: the prompt as the model sees it. gold: the answer, which for a choice is its letter.
    """

    id: str
    question: str
    gold: str
    kind: str


def load_benchmark(profile: Profile, benchmark: Benchmark) -> list[Problem]:
    """The first `limit` problems of one of the profile's benchmarks, in the order of the table.

    Raises HubError when it cannot be had, TableError when it is missing or damaged, and
    BenchmarkError when a problem has a defect, an id is there twice, or the number of problems or
    the checksum is not what test_sets.yaml or the profile says.
    """
    tests = section(TEST_SETS, "test_sets").values()
    graded = [entry for entry in tests if entry.answer or entry.choices]
    path, entry = entry_for(profile.resolve(benchmark.path), graded, own=COLUMNS)

    problems: dict[str, Problem] = {}
    for place, problem in _published(entry) if entry else _own(path, benchmark.kind):
        if problem.id in problems:
            raise BenchmarkError(f"{path}, {place}: the id {problem.id!r} is there twice")
        problems[problem.id] = problem

    # A guessed layout may read another split, which only the number of problems shows.
    if not problems:
        raise BenchmarkError(f"{path} holds no problem")
    if entry and entry.count not in (None, len(problems)):
        raise BenchmarkError(
            f"{path} holds {len(problems)} problems and should hold {entry.count}: "
            f"correct `files` in {TEST_SETS.name}"
        )

    chosen = list(problems.values())[: benchmark.limit]
    if benchmark.sha256 not in ("", found := checksum(chosen)):
        says = f"the checksum is {found}, the profile says {benchmark.sha256}"
        raise BenchmarkError(f"{path}: {says}: another version of it?")
    return chosen


def checksum(problems: Iterable[Problem]) -> str:
    """A key of what is asked, of the gold answers, of how they are graded, and of the order."""
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
    kind, options, gold = row.get("kind") or kind, row.get("options") or [], str(row["answer"])
    gold = gold.strip()
    if kind not in KINDS:
        raise BenchmarkError(f"{where}: unknown kind {kind!r}; known: {', '.join(KINDS)}")
    if options and gold not in ascii_uppercase[: len(options)]:
        raise BenchmarkError(
            f"{where}: the answer {gold!r} is not the letter of one of its {len(options)} options"
        )
    question = row["question"] + (lettered(options) if options else "")
    return Problem(str(row["id"]), question, gold, kind)
