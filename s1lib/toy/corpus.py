"""Documents for the toy's base models: they teach arithmetic, look-up by label, re-solving.

A document is a list of segments (text, trained?). What was drawn at random, such as a question or
the values of a drill, is shown but left out of the loss, as nothing can be learnt from predicting
it. The mixture moves from drills to whole solutions. Drills are dense practice at every length from
the start, because look-up is the last skill to emerge. No document holds the delimiters of thinking
and answer: that format is what SFT teaches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from s1lib.toy.families import FAMILIES, OPERATORS
from s1lib.toy.problems import HARD_STEPS, LABELS, draw_problem, two
from s1lib.toy.teacher import ALTERNATIVELY, HMM, WAIT, Solution, solve
from s1lib.toy.tokenizer import END_OF_TEXT, IM_END, IM_START

Document = list[tuple[str, bool]]  # segments: text, trained?
WORKED = tuple(family for family in FAMILIES if family.worked)
BASE_SLIP_RATE = 0.15  # so that copying an earlier result does not pay
MARKERS = ((WAIT, 0.7), (HMM, 0.15), (ALTERNATIVELY, 0.15))


# ---- the kinds of documents; each is written for a number of steps, which two of them ignore ----


def drill(rng: random.Random, steps: int, *, careful: bool, hard: float = HARD_STEPS) -> Document:
    """A question, then its steps in random order on random values: practice of look-up and sums."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, hard=hard)
    document = [(f"{problem.stem}\nExercises", False)]
    for _ in range(4 if careful else 10):
        index = rng.randrange(steps)
        start = replace(problem, start=rng.randint(0, 99))
        solution = Solution(start, rng, values=[rng.randint(0, 99)] * index)
        line = solution.careful(index) if careful else solution.quick(index)
        given = len("a: 34")
        document += [("\n" + line[:given], False), (line[given:], True)]
    return [*document, (END_OF_TEXT, True)]


def recall(rng: random.Random, steps: int) -> Document:
    """A question, then its steps in random order, word for word: practice of look-up alone."""
    problem = draw_problem(rng, rng.choice(WORKED), steps)
    verbs = problem.family.verbs
    told = [f"{verbs[OPERATORS.index(step.operator)]}{two(step.operand)}" for step in problem.steps]
    document = [(f"{problem.stem}\nExercises", False)]
    for _ in range(12):
        index = rng.randrange(steps)
        document += [(f"\n{LABELS[index]}: ", False), (told[index], True)]
    return [*document, (END_OF_TEXT, True)]


def walk(rng: random.Random, steps: int) -> Document:
    """A question's four options compared with a result, several times over."""
    problem = draw_problem(rng, rng.choice(WORKED), 1, choice=True)
    document = [(f"{problem.question}\nExercises", False)]
    for _ in range(6):
        result = rng.choice(problem.options) if rng.random() < 0.9 else rng.randint(0, 99)
        solution = Solution(problem, rng, values=[result])
        solution.conclude()
        given = len("result 34")
        document += [("\n" + solution.text[:given], False), (solution.text[given:], True)]
    return [*document, (END_OF_TEXT, True)]


def direct(rng: random.Random, steps: int) -> Document:
    """A question of any family and its answer, as an Instruct model answers without thinking."""
    family, few = rng.choice(FAMILIES), rng.choice((1, 1, 2))
    problem = draw_problem(rng, family, few, choice=rng.random() < 0.2)
    return [
        (f"{IM_START}user\n{problem.question}{IM_END}\n{IM_START}assistant\n", False),
        (f"Answer: {problem.gold}{IM_END}", True),
    ]


def worked(rng: random.Random, steps: int) -> Document:
    """A question and its right solution, quick or digit by digit."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, choice=rng.random() < 0.2)
    solution = solve(problem, rng, careful=rng.random() < 0.3)
    return [(problem.question, False), (f"\n{solution.text}{END_OF_TEXT}", True)]


def resolved(rng: random.Random, steps: int) -> Document:
    """Flawed work that is solved again, now and then after everything has been checked."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, choice=rng.random() < 0.2)
    most = (steps + 1) // 2
    count = most + rng.randint(1, 3) if rng.random() < 0.4 else rng.randint(1, max(1, most))
    words, weights = zip(*MARKERS, strict=True)
    markers = rng.choices(words, weights, k=count) if rng.random() < 0.3 else [WAIT] * count
    solution = solve(problem, rng, slip_rate=BASE_SLIP_RATE, markers=markers[:7])
    return [(problem.question, False), (f"\n{solution.text}{END_OF_TEXT}", True)]


# ---- the mixture -------------------------------------------------------------------------------

# kind -> (how it is written, its share of the documents at the start of the schedule, at the end)
KINDS: dict[str, tuple[Callable[[random.Random, int], Document], float, float]] = {
    "drill": (lambda rng, steps: drill(rng, steps, careful=False), 0.42, 0.13),
    "recall": (recall, 0.25, 0.0),
    "careful": (lambda rng, steps: drill(rng, steps, careful=True, hard=0.5), 0.22, 0.10),
    "walk": (walk, 0.16, 0.14),
    "direct": (direct, 0.06, 0.06),
    "worked": (worked, 0.10, 0.20),
    "resolved": (resolved, 0.05, 0.38),
}

# Skill of the gate -> the kind that trains it.
TEACHES = {"digit by digit": "careful", "look-up": "drill", "option walk": "walk"}
PRACTICE = 0.4  # share added for a skill that the gate has found missing


def documents(
    rng: random.Random, progress: Callable[[], float], *, missing: Collection[str] = ()
) -> Iterator[Document]:
    """Draw documents without end, at the point `progress()` of the schedule, from 0 to 1.

    The skills named in `missing` are practised more.
    """
    practised = [TEACHES[skill] for skill in missing]
    while True:
        at = min(1.0, progress())
        shares = [
            first + (last - first) * at + PRACTICE * (name in practised)
            for name, (_, first, last) in KINDS.items()
        ]
        write = rng.choices(list(KINDS.values()), shares)[0][0]
        yield write(rng, rng.randint(1, len(LABELS)))
