"""Test sets as problems: the published ones, or JSON lines of one's own.

    {"id": "7", "question": "Which?", "answer": "B", "kind": "choice", "options": ["one", "two"]}

`kind` ("math" or "choice") may be left to the profile. `options` belong to a choice whose question
does not list them yet. The answer to a choice is its letter, as B, b, (B), B. or B). test_sets.yaml
says how the published ones are read, `s1lib.published.cells` which text a cell is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from string import ascii_uppercase

from s1lib.chat import lettered
from s1lib.keeping.hashes import hash_of
from s1lib.profile import Benchmark, Profile
from s1lib.published.cells import text_of
from s1lib.published.entries import TEST_SETS, Entry, entry_for, section
from s1lib.published.hub import HubError
from s1lib.published.questions import answered, gold_letter, question_id
from s1lib.published.table_files import Row, TableError, read_rows

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

    Raises HubError when it cannot be had, TableError when it is missing or damaged or a cell is no
    text, and BenchmarkError when a problem has a defect, an id is there twice, or the number of
    problems or the checksum is not what test_sets.yaml or the profile says.
    """
    path, entry = _found(profile, benchmark)

    # an id that came twice would count one problem as two in every paired comparison
    problems: dict[str, Problem] = {}
    places: dict[str, str] = {}
    for place, problem in _published(entry) if entry else _own(path, benchmark.kind):
        if problem.id in problems:
            twice = f"the id {problem.id!r} is there twice, first in {places[problem.id]}"
            raise BenchmarkError(f"{path}, {place}: {twice}")
        problems[problem.id], places[problem.id] = problem, place

    if not problems:
        raise BenchmarkError(f"{path} holds no problem")
    if wrong := entry and entry.miscount(len(problems)):
        raise BenchmarkError(f"{path} {wrong}: correct `files` in {TEST_SETS.name}")

    chosen = list(problems.values())[: benchmark.limit]
    if benchmark.sha256 not in ("", found := checksum(chosen)):
        says = f"the checksum is {found}, the profile says {benchmark.sha256}"
        raise BenchmarkError(f"{path}: {says}: another version of it?")
    return chosen


def readable_questions(profile: Profile) -> dict[tuple[str, str], str]:
    """Questions by benchmark and problem id, of the test sets that can be read on this machine."""
    questions = {}
    for benchmark in profile.evaluation.benchmarks:
        try:
            problems = load_benchmark(profile, benchmark)
        except (HubError, TableError):
            continue
        questions |= {(benchmark.name, problem.id): problem.question for problem in problems}
    return questions


def problem_domains(profile: Profile) -> dict[tuple[str, str], str]:
    """Domains by benchmark and problem id, of test sets of one's own with a column `domain`."""
    domains = {}
    for benchmark in profile.evaluation.benchmarks:
        try:
            path, entry = _found(profile, benchmark)
            cells = [
                [text_of(row.get(name), name, f"{path}, {place}") for name in ("id", "domain")]
                for place, row in (read_rows(path) if entry is None else ())
            ]
        except (HubError, TableError):
            continue
        domains |= {(benchmark.name, problem): domain for problem, domain in cells if domain}
    return domains


def _found(profile: Profile, benchmark: Benchmark) -> tuple[Path, Entry | None]:
    """Where a test set lies, and how it is read where it is a published one."""
    tests = section(TEST_SETS, "test_sets").values()
    graded = [entry for entry in tests if entry.answer or entry.choices]
    return entry_for(profile.resolve(benchmark.path), graded, own=COLUMNS)


def checksum(problems: Iterable[Problem]) -> str:
    """A key of what is asked, of the gold answers, of how they are graded, and of the order."""
    return hash_of([astuple(problem) for problem in problems])


def _published(entry: Entry) -> Iterator[tuple[str, Problem]]:
    for place, _, question, gold, kind in answered(entry):
        if not (question and gold):
            missing = "answer" if question else "question"
            raise BenchmarkError(f"{entry.at}, {place}: no {missing!r}")
        yield place, Problem(question_id(question), question, gold, kind)


def _own(path: Path, kind: str) -> Iterator[tuple[str, Problem]]:
    for place, row in read_rows(path):
        yield place, _problem(row, kind, f"{path}, {place}")


def _problem(row: Row, kind: str, where: str) -> Problem:
    texts = {name: text_of(row.get(name), name, where) or "" for name in (*COLUMNS, "kind")}
    if missing := next((name for name in COLUMNS if not texts[name].strip()), None):
        raise BenchmarkError(f"{where}: no {missing!r}")
    question, gold, options = texts["question"], texts["answer"].strip(), _options(row, where)
    kind = texts["kind"] or ("choice" if options else kind)
    if kind not in KINDS:
        raise BenchmarkError(f"{where}: unknown kind {kind!r}; known: {', '.join(KINDS)}")
    if options and kind != "choice":
        raise BenchmarkError(f"{where}: it has options, so its kind must be 'choice', not {kind!r}")

    if kind == "choice":
        gold = gold_letter(gold, where)
    if options and gold not in ascii_uppercase[: len(options)]:
        raise BenchmarkError(
            f"{where}: the answer {gold!r} is not the letter of one of its {len(options)} options"
        )
    question += lettered(options) if options else ""
    return Problem(texts["id"], question, gold, kind)


def _options(row: Row, where: str) -> list[str]:
    options = row.get("options")
    if options is None:
        return []
    if not isinstance(options, list):
        raise BenchmarkError(
            f"{where}: 'options' must be a list, not {type(options).__name__}; "
            "a CSV cannot hold one, so list the options in the question there"
        )
    if len(options) > len(ascii_uppercase):
        raise BenchmarkError(f"{where}: {len(options)} options are more than there are letters")
    texts = [text_of(option, "options", where) for option in options]
    if None in texts:
        raise BenchmarkError(f"{where}: option {texts.index(None) + 1} of {len(texts)} is null")
    return texts
