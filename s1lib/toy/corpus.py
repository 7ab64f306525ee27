"""What the toy's base models read: documents that teach arithmetic, looking up a step by its label, and re-solving.

Each document is a list of (text, trained?): what is drawn at random (a question, the values of a drill) is shown but left
out of the loss, as nothing can be learnt from predicting it. The mixture moves from drills (dense look-ups and facts,
every length from the start: look-ups emerge last) to whole solutions.
No document holds the thinking or answer delimiters: that format is what SFT teaches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from s1lib.toy.problems import FAMILIES, HARD_STEPS, LABELS, OPERATORS, draw_problem, two
from s1lib.toy.teacher import ALTERNATIVELY, HMM, WAIT, Solution, solve
from s1lib.toy.tokenizer import END_OF_TEXT, IM_END, IM_START

Document = list[tuple[str, bool]]
WORKED = tuple(family for family in FAMILIES if family.worked)
BASE_SLIP_RATE = 0.15  # so that copying an earlier result does not pay
MARKERS = ((WAIT, 0.7), (HMM, 0.15), (ALTERNATIVELY, 0.15))


def drill(rng: random.Random, steps: int, *, careful: bool, hard: float = HARD_STEPS) -> Document:
    """A question, then its steps in random order on random values: the densest practice of look-up and arithmetic."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, hard=hard)
    document = [(f"{problem.stem}\nExercises", False)]
    for _ in range(4 if careful else 10):
        index = rng.randrange(steps)
        solution = Solution(
            replace(problem, start=rng.randint(0, 99)), rng, values=[rng.randint(0, 99)] * index
        )
        line = solution.careful(index) if careful else solution.quick(index)
        given = len("a: 34")
        document += [("\n" + line[:given], False), (line[given:], True)]
    return [*document, (END_OF_TEXT, True)]


def recall(rng: random.Random, steps: int) -> Document:
    """A question, then its steps in random order, word for word: nothing but looking up by label."""
    problem = draw_problem(rng, rng.choice(WORKED), steps)
    told = [
        f"{problem.family.verbs[OPERATORS.index(step.operator)]}{two(step.operand)}"
        for step in problem.steps
    ]
    document = [(f"{problem.stem}\nExercises", False)]
    for _ in range(12):
        index = rng.randrange(steps)
        document += [(f"\n{LABELS[index]}: ", False), (told[index], True)]
    return [*document, (END_OF_TEXT, True)]


def walk(rng: random.Random, steps: int) -> Document:
    """The walk over the options alone, several times over the same four."""
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
    """Question -> answer, as an Instruct model answers without thinking; all families, few steps."""
    problem = draw_problem(
        rng, rng.choice(FAMILIES), rng.choice((1, 1, 2)), choice=rng.random() < 0.2
    )
    return [
        (f"{IM_START}user\n{problem.question}{IM_END}\n{IM_START}assistant\n", False),
        (f"Answer: {problem.gold}{IM_END}", True),
    ]


def worked(rng: random.Random, steps: int) -> Document:
    """A question and its solution, quick or digit by digit."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, choice=rng.random() < 0.2)
    solution = solve(problem, rng, careful=rng.random() < 0.3)
    return [(problem.question, False), (f"\n{solution.text}{END_OF_TEXT}", True)]


def resolved(rng: random.Random, steps: int) -> Document:
    """Flawed work that is solved again, now and then beyond the point where everything is checked."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, choice=rng.random() < 0.2)
    most = (steps + 1) // 2
    count = most + rng.randint(1, 3) if rng.random() < 0.4 else rng.randint(1, max(1, most))
    words, weights = zip(*MARKERS, strict=True)
    markers = rng.choices(words, weights, k=count) if rng.random() < 0.3 else [WAIT] * count
    solution = solve(problem, rng, slip_rate=BASE_SLIP_RATE, markers=markers[:7])
    return [(problem.question, False), (f"\n{solution.text}{END_OF_TEXT}", True)]


# kind -> (write, share of the documents at the start, at the end of the schedule)
KINDS: dict[str, tuple[Callable[..., Document], float, float]] = {
    "drill": (lambda rng, steps: drill(rng, steps, careful=False), 0.42, 0.13),
    "recall": (recall, 0.25, 0.0),
    "careful": (lambda rng, steps: drill(rng, steps, careful=True, hard=0.5), 0.22, 0.10),
    "walk": (walk, 0.16, 0.14),
    "direct": (direct, 0.06, 0.06),
    "worked": (worked, 0.10, 0.20),
    "resolved": (resolved, 0.05, 0.38),
}


TEACHES = {
    "digit by digit": "careful",
    "look-up": "drill",
    "option walk": "walk",
}  # skill of the gate -> the kind that trains it
PRACTICE = 0.4  # share added for a skill that the gate has found missing


def documents(
    rng: random.Random,
    progress: Callable[[], float],
    *,
    missing: Collection[str] = (),
    max_steps: int = len(LABELS),
) -> Iterator[Document]:
    """Documents without end; `progress()` in [0, 1] moves the mixture along the schedule. missing: skills to practise more."""
    practised = [TEACHES[skill] for skill in missing]
    while True:
        at = min(1.0, progress())
        shares = [
            first + (last - first) * at + PRACTICE * (name in practised)
            for name, (_, first, last) in KINDS.items()
        ]
        write = rng.choices(list(KINDS.values()), shares)[0][0]
        yield write(rng, rng.randint(1, max_steps))
