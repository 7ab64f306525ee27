"""The teacher: writes the traces that the toy's models learn from, as Gemini did for the paper.

A first pass is quick: one line a step, the result in one go, sometimes wrong. "Wait" solves the next two steps again
digit by digit, whether or not something was wrong, and carries the rest on quickly: *re-solve, do not judge*.
"Hmm" doubts one step only; "Alternatively" starts over with a new quick pass.

    a: 34+39=73
    b: 73*17=31
    c: 31-60=71
    result 71
    Wait, again a: 34+39: 4+9=13,3+3+1=07 so 73
    b: 73*17: 3*7=21,7*7=49,3*1=03,2+9+3=14 so 41
    c: 41-60=81
    result 81
    Wait, all steps are done
    result 81
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from s1lib.toy.problems import LABELS, LETTERS, MODULUS, Step, ToyProblem, slip, two

WAIT, HMM, ALTERNATIVELY = "Wait", "Hmm", "Alternatively"
STEPS_PER_MARKER = {WAIT: 2, HMM: 1}


def by_digits(value: int, step: Step) -> str:
    """The working of one step, digit by digit, ending in its result: `4+9=13,3+3+1=07 so 73`."""
    tens, units = divmod(value, 10)
    b_tens, b_units = divmod(step.operand, 10)
    if step.operator == "+":
        low = units + b_units
        working = f"{units}+{b_units}={two(low)},{tens}+{b_tens}+{low // 10}={two(tens + b_tens + low // 10)}"
    elif step.operator == "-":
        borrow = int(units < b_units)
        high = tens - b_tens - borrow
        working = f"{units}-{b_units}={(units - b_units) % 10}b{borrow},{tens}-{b_tens}-{borrow}={high % 10}b{int(high < 0)}"
    else:
        low, cross, other = units * b_units, tens * b_units, units * b_tens
        total = low // 10 + cross % 10 + other % 10
        working = (
            f"{units}*{b_units}={two(low)},{tens}*{b_units}={two(cross)},{units}*{b_tens}={two(other)},"
            f"{low // 10}+{cross % 10}+{other % 10}={two(total)}"
        )
    return f"{working} so {two(step.apply(value))}"


def compare(option: str, result: str) -> str:
    """An option against the result, digit by digit as far as they agree: `7 vs 3 no`, `3 vs 3 and 3 vs 2 no`, `3 vs 3 and 2 vs 2`."""
    tens = f"{option[0]} vs {result[0]}"
    if option[0] != result[0]:
        return f"{tens} no"
    return f"{tens} and {option[1]} vs {result[1]}{'' if option == result else ' no'}"


@dataclass
class Solution:
    """A trace in the making: lines so far, the current belief about the value after each step, and what is checked."""

    problem: ToyProblem
    rng: random.Random
    slip_rate: float = 0.0
    lines: list[str] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    checked: int = 0  # steps solved digit by digit so far

    def _before(self, index: int) -> int:
        return self.values[index - 1] if index else self.problem.start

    def _set(self, index: int, value: int) -> None:
        self.values[index:] = [value]  # later values were computed from an older one: forget them

    def quick(self, index: int) -> str:
        """One step in one go; wrong with probability `slip_rate`."""
        value, step = self._before(index), self.problem.steps[index]
        result = step.apply(value)
        if self.rng.random() < self.slip_rate:
            result = slip(self.rng, result)
        self._set(index, result)
        return f"{LABELS[index]}: {two(value)}{step.operator}{two(step.operand)}={two(result)}"

    def careful(self, index: int) -> str:
        """One step digit by digit; always right, given the value before it."""
        value, step = self._before(index), self.problem.steps[index]
        self._set(index, step.apply(value))
        return f"{LABELS[index]}: {two(value)}{step.operator}{two(step.operand)}: {by_digits(value, step)}"

    def finish(self, start: int) -> None:
        """Quick lines from step `start` to the end, then the result."""
        self.lines += [self.quick(index) for index in range(start, len(self.problem.steps))]
        self.conclude()

    def conclude(self) -> None:
        result = self.values[-1]
        if not self.problem.options:
            self.lines.append(f"result {two(result)}")
            return
        walk = []
        for letter, option in zip(LETTERS, self.problem.options, strict=True):
            walk.append(f"{letter}) {compare(two(option), two(result))}")
            if option == result:
                break
        self.lines.append(f"result {two(result)}, {', '.join(walk)} so {self.answer}")

    def marker(self, word: str) -> None:
        """What follows "Wait", "Hmm" or "Alternatively": the roles that these words have in real traces."""
        if word == ALTERNATIVELY:
            self.lines.append(f"{word}, from the start")
            self.values, self.checked = [], 0
            self.finish(0)
            return
        end = min(self.checked + STEPS_PER_MARKER[word], len(self.problem.steps))
        if self.checked == end:
            self.lines.append(f"{word}, all steps are done")
            self.conclude()
            return
        redone = [self.careful(index) for index in range(self.checked, end)]
        self.lines += [f"{word}, again {redone[0]}", *redone[1:]]
        self.checked = end
        self.finish(end)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def answer(self) -> str:
        """What the trace ends with, right or wrong; a result that is no option leaves the last letter."""
        result = self.values[-1]
        if not self.problem.options:
            return two(result)
        return (
            LETTERS[self.problem.options.index(result)]
            if result in self.problem.options
            else LETTERS[-1]
        )


def solve(
    problem: ToyProblem,
    rng: random.Random,
    *,
    slip_rate: float = 0.0,
    markers: Sequence[str] = (),
    careful: bool = False,
) -> Solution:
    """A whole trace: a first pass (quick, or digit by digit when `careful`), then one block per marker."""
    solution = Solution(problem, rng, slip_rate)
    if careful:
        solution.lines += [solution.careful(index) for index in range(len(problem.steps))]
        solution.checked = len(problem.steps)
        solution.conclude()
    else:
        solution.finish(0)
    for word in markers:
        solution.marker(word)
    return solution


def is_right(problem: ToyProblem, line: str) -> bool:
    """Does a line of a trace end in the right value? A line that states no value ("all steps are done") is right."""
    if line.startswith("result "):
        return int(line.split()[1][:2]) == problem.result
    stated = re.search(rf"([{''.join(LABELS)}]): .*(\d\d)$", line)
    return stated is None or int(stated[2]) == problem.values[LABELS.index(stated[1])]


def words() -> list[str]:
    """Every multi-character token of the teacher's traces."""
    return [
        WAIT,
        HMM,
        ALTERNATIVELY,
        ", again ",
        ", from the start",
        ", all steps are done",
        "result ",
        " so ",
        ": ",
        ", ",
        " vs ",
        " and ",
        " no",
    ]


assert MODULUS == 100  # by_digits and two() are written for two digits
