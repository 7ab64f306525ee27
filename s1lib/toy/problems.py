"""The toy world's questions: a start value and labelled steps, told in the words of a family.

    Ann has 34 coins. a: wins 39. b: grows by 17. c: loses 60. How many coins?

All arithmetic is modulo 100 and every number is written with two digits, so that no answer is
easier to write than another.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from s1lib.chat import lettered
from s1lib.toy.families import FAMILIES, OPERATORS, Family

LABELS = tuple("abcdef")
LETTERS = "ABCD"
MODULUS = 100
HARD_STEPS = 0.12  # share of the steps with a two-digit operand, which quick arithmetic gets wrong


@dataclass(frozen=True)
class Step:
    """One operation of a problem."""

    operator: str
    operand: int  # 0 … 99

    def apply(self, value: int) -> int:
        """The value after this step."""
        if self.operator == "+":
            return (value + self.operand) % MODULUS
        if self.operator == "-":
            return (value - self.operand) % MODULUS
        return (value * self.operand) % MODULUS


@dataclass(frozen=True)
class ToyProblem:
    """A question of the toy world, with all that is needed to solve it."""

    family: Family
    start: int
    steps: tuple[Step, ...]
    options: tuple[int, ...] = ()  # four values for multiple choice, else empty

    @property
    def values(self) -> list[int]:
        """The right value after every step."""
        values, value = [], self.start
        for step in self.steps:
            value = step.apply(value)
            values.append(value)
        return values

    @property
    def result(self) -> int:
        """The right value after the last step."""
        return self.values[-1]

    @property
    def gold(self) -> str:
        """The right answer: a letter for multiple choice, else two digits."""
        return LETTERS[self.options.index(self.result)] if self.options else two(self.result)

    @property
    def stem(self) -> str:
        """The question without options."""
        told = "".join(
            f"{label}: {self.family.verbs[OPERATORS.index(step.operator)]}{two(step.operand)}. "
            for label, step in zip(LABELS, self.steps, strict=False)
        )
        return (
            f"{self.family.opening}{two(self.start)}{self.family.noun}{told}{self.family.closing}"
        )

    @property
    def question(self) -> str:
        """The question as it is asked, with its options as the official evaluation lists GPQA's."""
        return self.stem + (lettered(map(two, self.options)) if self.options else "")


def two(value: int) -> str:
    """A number of the toy world as text: two digits."""
    return f"{value:02d}"


def draw_step(
    rng: random.Random, mix: Sequence[float] = (1, 1, 1), *, hard: float = HARD_STEPS
) -> Step:
    """Draw an operator by the weights `mix`, and an operand, of two digits at the rate `hard`."""
    operator = rng.choices(OPERATORS, weights=mix)[0]
    return Step(operator, rng.randint(11, 99) if rng.random() < hard else rng.randint(2, 9))


def draw_problem(
    rng: random.Random,
    family: Family,
    steps: int,
    *,
    choice: bool = False,
    hard: float = HARD_STEPS,
) -> ToyProblem:
    """Draw a problem with `steps` steps, and with four different options where `choice` is set.

    One of the three wrong options is a plausible slip.
    """
    start = rng.randint(0, 99)
    drawn = tuple(draw_step(rng, family.mix, hard=hard) for _ in range(steps))
    problem = ToyProblem(family, start, drawn)
    if not choice:
        return problem
    options = {problem.result, slip(rng, problem.result)}
    while len(options) < len(LETTERS):
        options.add(rng.randrange(MODULUS))
    shuffled = sorted(options)
    rng.shuffle(shuffled)
    return ToyProblem(family, start, drawn, tuple(shuffled))


def slip(rng: random.Random, value: int) -> int:
    """A wrong value near `value`: a digit off, a carry forgotten, the digits swapped."""
    offsets = (1, -1, 2, -2, 10, -10, 20, -20, 9, 11)
    candidates = [(value + offset) % MODULUS for offset in offsets]
    candidates.append(value % 10 * 10 + value // 10)
    return rng.choice([candidate for candidate in candidates if candidate != value])


def words() -> list[str]:
    """Every token of the questions that has more than one character."""
    family_words = [word for family in FAMILIES for word in family.words()]
    labels = [f"{label}: " for label in LABELS]
    letters = [f"{letter}) " for letter in LETTERS]
    return sorted({*family_words, *labels, *letters, ". "})
