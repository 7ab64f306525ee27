"""The toy world's questions: a start value and labelled steps, told by families with their own words.

    Ann has 34 coins. a: wins 39. b: grows by 17. c: loses 60. How many coins?

All arithmetic is modulo 100 and every number is written with two digits, so that one answer is never easier to write
than another. Each family is a domain of the pool; families come from different "sources", as in the paper's Table 7.
Tokens carry their own spaces ("wins ", " coins. "), so that text <-> ids is lossless.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from s1lib.chat import lettered

LABELS = tuple("abcdef")
OPERATORS = "+-*"
LETTERS = "ABCD"
MODULUS = 100


@dataclass(frozen=True)
class Family:
    """One way of telling a problem. `verbs` has one word per operator in OPERATORS; `mix` how often each is used."""

    name: str
    source: str
    opening: str
    noun: str
    verbs: tuple[str, str, str]
    closing: str
    mix: tuple[float, float, float] = (0.4, 0.3, 0.3)
    share: float = 1.0  # of the pool, relative
    worked: bool = True  # False: the base corpus holds it as question -> answer only

    def words(self) -> list[str]:
        """The family's tokens."""
        return [self.opening, self.noun, *self.verbs, self.closing]


FAMILIES = (
    Family(
        "coins",
        "market",
        "Ann has ",
        " coins. ",
        ("wins ", "loses ", "grows by "),
        "How many coins?",
        share=10.0,
    ),
    Family(
        "shop",
        "market",
        "A shop holds ",
        " hats. ",
        ("buys ", "sells ", "stocks times "),
        "How many hats?",
        (0.5, 0.4, 0.1),
        share=5.0,
    ),
    Family(
        "number",
        "textbook",
        "Start with ",
        ". ",
        ("add ", "subtract ", "times "),
        "What is the result?",
        (0.33, 0.33, 0.34),
        share=8.0,
    ),
    Family(
        "clock",
        "textbook",
        "A dial shows ",
        " ticks. ",
        ("forward ", "back ", "spins by "),
        "Where is it?",
        (0.5, 0.4, 0.1),
        share=4.0,
    ),
    Family(
        "game",
        "contest",
        "Bob scores ",
        " points. ",
        ("earns ", "drops ", "boosts by "),
        "How many points?",
        (0.3, 0.2, 0.5),
        share=2.0,
    ),
    Family(
        "lift",
        "contest",
        "A lift is at ",
        " floors. ",
        ("up ", "down ", "jumps by "),
        "Which floor?",
        (0.4, 0.4, 0.2),
        share=2.0,
    ),
    Family(
        "cells",
        "biology",
        "A dish has ",
        " cells. ",
        ("gains ", "sheds ", "splits by "),
        "How many cells?",
        (0.25, 0.15, 0.6),
        share=1.0,
    ),
    Family(
        "herd",
        "biology",
        "A herd has ",
        " deer. ",
        ("births ", "deaths ", "breeds by "),
        "How many deer?",
        share=1.0,
    ),
    Family(
        "tank",
        "physics",
        "A tank holds ",
        " litres. ",
        ("fills ", "leaks ", "pumps by "),
        "How many litres?",
        share=0.5,
        worked=False,
    ),
    Family(
        "charge",
        "physics",
        "A cell stores ",
        " volts. ",
        ("charges ", "drains ", "cascades by "),
        "How many volts?",
        share=0.5,
        worked=False,
    ),
    Family(
        "code",
        "puzzles",
        "The code is ",
        " now. ",
        ("shift ", "unshift ", "scale "),
        "What is the code?",
        (0.3, 0.2, 0.5),
        share=0.5,
        worked=False,
    ),
    Family(
        "ship",
        "puzzles",
        "A ship sails ",
        " miles. ",
        ("tailwind ", "headwind ", "warps by "),
        "How far?",
        share=0.5,
        worked=False,
    ),
)


@dataclass(frozen=True)
class Step:
    operator: str
    operand: int  # 0 … 99

    def apply(self, value: int) -> int:
        if self.operator == "+":
            return (value + self.operand) % MODULUS
        if self.operator == "-":
            return (value - self.operand) % MODULUS
        return (value * self.operand) % MODULUS


@dataclass(frozen=True)
class ToyProblem:
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
        return self.values[-1]

    @property
    def gold(self) -> str:
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
        """The prompt; options in the paper's format for GPQA (s1_facts, section 6, rule 8)."""
        return self.stem + (lettered(map(two, self.options)) if self.options else "")


def two(value: int) -> str:
    return f"{value:02d}"


HARD_STEPS = (
    0.12  # share of the steps with a two-digit operand: the ones that quick arithmetic gets wrong
)


def draw_step(
    rng: random.Random, mix: Sequence[float] = (1, 1, 1), *, hard: float = HARD_STEPS
) -> Step:
    """An operator by `mix` and an operand, of two digits with probability `hard`."""
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
    """A fresh problem of `family` with `steps` steps. Of the wrong options one is a plausible slip; all four differ."""
    problem = ToyProblem(
        family,
        rng.randint(0, 99),
        tuple(draw_step(rng, family.mix, hard=hard) for _ in range(steps)),
    )
    if not choice:
        return problem
    options = {problem.result, slip(rng, problem.result)}
    while len(options) < len(LETTERS):
        options.add(rng.randrange(MODULUS))
    shuffled = sorted(options)
    rng.shuffle(shuffled)
    return ToyProblem(family, problem.start, problem.steps, tuple(shuffled))


def slip(rng: random.Random, value: int) -> int:
    """A wrong value near `value`: a digit off, a carry forgotten, the digits swapped."""
    candidates = [
        (value + delta) % MODULUS for delta in (1, -1, 2, -2, 10, -10, 20, -20, 9, 11)
    ] + [value % 10 * 10 + value // 10]
    return rng.choice([candidate for candidate in candidates if candidate != value])


def words() -> list[str]:
    """Every multi-character token of the world's questions."""
    family_words = [word for family in FAMILIES for word in family.words()]
    labels = [f"{label}: " for label in LABELS]
    letters = [f"{letter}) " for letter in LETTERS]
    return sorted({*family_words, *labels, *letters, ". "})
