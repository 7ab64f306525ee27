"""Is an answer right? Mathematics by math-verify, multiple choice by its letter.

    grade("... so Answer: 07", "7")                 # Grade(extracted="07", correct=True)
    grade_many([("Answer: (B)", "B", "choice")])    # [Grade(extracted="B", correct=True)]

Only the answer segment is graded, never the thinking. `reader` finds the answer, `notation` brings
it to one spelling, `comparer` decides what takes no algebra, and `processes` asks math-verify the
rest, where it can be killed. docs/answers.md has the rules with an example each.

The official evaluation lets a language model with the gold answer in view pick the answer, and
counts "no letter" as A, a free 25 % (docs/official_rules.md, G3). Here the unread is wrong.
`official_choice` and `official_answer` give the official reading for comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from s1lib.grading.classes import answer_classes
from s1lib.grading.letters import read_letter
from s1lib.grading.processes import SECONDS, verdicts
from s1lib.grading.reader import Reading, extract_answer, official_answer, read_answer

__all__ = [
    "SECONDS",
    "Grade",
    "Reading",
    "answer_classes",
    "extract_answer",
    "grade",
    "grade_many",
    "official_answer",
    "official_choice",
    "read_answer",
]


@dataclass(frozen=True)
class Grade:
    """What became of one answer.

    extracted: the answer as found, None when there is none; then it is wrong.
    rule: the name of the reader's rule that found it, always set by `grade`.
    """

    extracted: str | None
    correct: bool
    rule: str | None = field(default=None, compare=False)


def grade(answer: str, gold: str, kind: str = "math") -> Grade:
    """Grade one answer segment; `grade_many` is faster for several."""
    return grade_many([(answer, gold, kind)])[0]


def grade_many(
    items: Iterable[tuple[str, str, str]], *, processes: int | None = None, seconds: float = SECONDS
) -> list[Grade]:
    """Grade (answer segment, gold, kind) triples, in order; kind is "math" or "choice".

    processes: workers for what needs math-verify, default one per core. seconds: the most that one
    comparison may take; past it the answer counts as wrong. Usable from any thread or event loop.
    """
    items = list(items)
    readings = [read_answer(answer, kind) for answer, _, kind in items]
    pairs = {
        (reading.value, gold)
        for reading, (_, gold, kind) in zip(readings, items, strict=True)
        if kind != "choice" and reading.value is not None
    }
    equal = verdicts(pairs, processes=processes, seconds=seconds)
    return [
        Grade(
            reading.value,
            _is_choice(reading.value, gold)
            if kind == "choice"
            else equal.get((reading.value, gold), False),
            reading.rule,
        )
        for reading, (_, gold, kind) in zip(readings, items, strict=True)
    ]


def official_choice(extracted: str | None, gold: str) -> bool:
    """Whether the official evaluation would count this letter as right; no letter counts as A."""
    return _is_choice(extracted or "A", gold)


def _is_choice(letter: str | None, gold: str) -> bool:
    """Whether `letter` is the gold one, which may be written "b" or "(B)"."""
    return letter is not None and letter == (read_letter(gold.upper()) or gold.strip().upper())
