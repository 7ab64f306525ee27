"""Test sets: JSON lines -> problems.

One object per line: {"id": …, "question": …, "answer": …, "kind": "math" | "choice", "options": […]}; `kind` may be left
to the profile, `options` belongs to a choice whose question does not list them yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from s1lib.artifacts import read_jsonl
from s1lib.profile import Benchmark, Profile, is_hub_id

KINDS = ("math", "choice")


class BenchmarkError(ValueError):
    """A test set cannot be used; the message says which file and line, and what is wrong."""


@dataclass(frozen=True)
class Problem:
    """question: the prompt as the model sees it. gold: the answer, for a choice its letter."""

    id: str
    question: str
    gold: str
    kind: str


def load_benchmark(profile: Profile, benchmark: Benchmark) -> list[Problem]:
    """The problems of one of the profile's benchmarks, the first `limit` of them, in the order of the file.

    Raises ArtifactError (missing or cut file) or BenchmarkError (a field missing, an id twice, a gold letter without option).
    """
    path = profile.resolve(benchmark.path)
    if is_hub_id(path):
        raise BenchmarkError(f"benchmark {benchmark.name!r}: {path} is not a file; save it as JSON lines and name that in the profile")
    problems: dict[str, Problem] = {}
    for number, row in enumerate(read_jsonl(path)[: benchmark.limit], start=1):
        problem = _problem(row, benchmark.kind, f"{path}, line {number}")
        if problem.id in problems:
            raise BenchmarkError(f"{path}, line {number}: the id {problem.id!r} is there twice")
        problems[problem.id] = problem
    if not problems:
        raise BenchmarkError(f"{path} holds no problem")
    return list(problems.values())


def _problem(row: dict, kind: str, where: str) -> Problem:
    missing = next((field for field in ("id", "question", "answer") if not str(row.get(field) or "").strip()), None)
    if missing:
        raise BenchmarkError(f"{where}: no {missing!r}")
    kind, options, gold = row.get("kind") or kind, row.get("options") or [], str(row["answer"]).strip()
    if kind not in KINDS:
        raise BenchmarkError(f"{where}: unknown kind {kind!r}; known: {', '.join(KINDS)}")
    if options and gold not in ascii_uppercase[: len(options)]:
        raise BenchmarkError(f"{where}: the answer {gold!r} is not the letter of one of its {len(options)} options")
    return Problem(str(row["id"]), row["question"] + lettered(options), gold, kind)


def lettered(options: Sequence[str]) -> str:
    """Options as the paper's prompts list them (s1_facts section 6, rule 8)."""
    return "\n\n" + "\n".join(f"{letter}) {option}" for letter, option in zip(ascii_uppercase, options, strict=False)) if options else ""
