"""The teacher: writes the traces that the toy's models learn from, as Gemini did for the paper.

A first pass is quick: one line per step, the result at once, sometimes wrong. "Wait" solves the
next two steps again digit by digit, whether or not something was wrong, and quickly carries the
rest on from there. "Hmm" solves only one step again, "Alternatively" starts over with another quick
pass.

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

assert MODULUS == 100  # by_digits and compare are written for two digits


def by_digits(value: int, step: Step) -> str:
    """The working of one step, digit by digit, up to its result: `4+9=13,3+3+1=07 so 73`."""
    tens, units = divmod(value, 10)
    b_tens, b_units = divmod(step.operand, 10)

    if step.operator == "+":
        low = units + b_units
        high = tens + b_tens + low // 10
        working = f"{units}+{b_units}={two(low)},{tens}+{b_tens}+{low // 10}={two(high)}"

    elif step.operator == "-":
        borrow = int(units < b_units)
        high = tens - b_tens - borrow
        working = (
            f"{units}-{b_units}={(units - b_units) % 10}b{borrow},"
            f"{tens}-{b_tens}-{borrow}={high % 10}b{int(high < 0)}"
        )

    else:  # the product of the tens is a multiple of 100, which no value keeps
        low, cross, other = units * b_units, tens * b_units, units * b_tens
        total = low // 10 + cross % 10 + other % 10
        working = (
            f"{units}*{b_units}={two(low)},{tens}*{b_units}={two(cross)},"
            f"{units}*{b_tens}={two(other)},"
            f"{low // 10}+{cross % 10}+{other % 10}={two(total)}"
        )

    return f"{working} so {two(step.apply(value))}"


def compare(option: str, result: str) -> str:
    """An option beside the result, digit by digit as far as they agree: `3 vs 3 and 3 vs 2 no`."""
    tens = f"{option[0]} vs {result[0]}"
    if option[0] != result[0]:
        return f"{tens} no"
    return f"{tens} and {option[1]} vs {result[1]}{'' if option == result else ' no'}"


@dataclass
class Solution:
    """A trace in the making."""

    problem: ToyProblem
    rng: random.Random
    slip_rate: float = 0.0  # of the quick lines
    lines: list[str] = field(default_factory=list)
    values: list[int] = field(default_factory=list)  # after each step, as far as it has been solved
    checked: int = 0  # steps solved digit by digit

    def _before(self, index: int) -> int:
        return self.values[index - 1] if index else self.problem.start

    def _set(self, index: int, value: int) -> None:
        self.values[index:] = [value]  # later values came from an older one: forget them

    def quick(self, index: int) -> str:
        """The line that solves step `index` at once, wrong at the rate `slip_rate`."""
        value, step = self._before(index), self.problem.steps[index]
        result = step.apply(value)
        if self.rng.random() < self.slip_rate:
            result = slip(self.rng, result)
        self._set(index, result)
        return f"{LABELS[index]}: {two(value)}{step.operator}{two(step.operand)}={two(result)}"

    def careful(self, index: int) -> str:
        """The line that solves step `index` digit by digit, right given the value before it."""
        value, step = self._before(index), self.problem.steps[index]
        self._set(index, step.apply(value))
        asked = f"{two(value)}{step.operator}{two(step.operand)}"
        return f"{LABELS[index]}: {asked}: {by_digits(value, step)}"

    def finish(self, start: int) -> None:
        """Add quick lines from step `start` to the last, and the result."""
        self.lines += [self.quick(index) for index in range(start, len(self.problem.steps))]
        self.conclude()

    def conclude(self) -> None:
        """Add the line of the result, which goes through the options until one agrees."""
        result = self.values[-1]
        if not self.problem.options:
            self.lines.append(f"result {two(result)}")
            return
        compared = []
        for letter, option in zip(LETTERS, self.problem.options, strict=True):
            compared.append(f"{letter}) {compare(two(option), two(result))}")
            if option == result:
                break
        self.lines.append(f"result {two(result)}, {', '.join(compared)} so {self.answer}")

    def marker(self, word: str) -> None:
        """Add what follows "Wait", "Hmm" or "Alternatively", as these words are used in traces."""
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
        """The trace."""
        return "\n".join(self.lines)

    @property
    def answer(self) -> str:
        """The result of the trace, right or wrong, or the last letter where no option agrees."""
        result = self.values[-1]
        if not self.problem.options:
            return two(result)
        options = self.problem.options
        return LETTERS[options.index(result)] if result in options else LETTERS[-1]


def solve(
    problem: ToyProblem,
    rng: random.Random,
    *,
    slip_rate: float = 0.0,
    markers: Sequence[str] = (),
) -> Solution:
    """Write a whole trace: a quick first pass, and a block per marker."""
    solution = Solution(problem, rng, slip_rate)
    solution.finish(0)
    for word in markers:
        solution.marker(word)
    return solution


def is_right(problem: ToyProblem, line: str) -> bool:
    """Whether a line of a trace ends in the right value, or states none."""
    if line.startswith("result "):
        return int(line.split()[1][:2]) == problem.result
    stated = re.search(rf"([{''.join(LABELS)}]): .*(\d\d)$", line)
    return stated is None or int(stated[2]) == problem.values[LABELS.index(stated[1])]


def words() -> list[str]:
    """Every token of the traces that has more than one character."""
    phrases = [", again ", ", from the start", ", all steps are done"]
    return [
        WAIT,
        HMM,
        ALTERNATIVELY,
        *phrases,
        "result ",
        " so ",
        ": ",
        ", ",
        " vs ",
        " and ",
        " no",
    ]
