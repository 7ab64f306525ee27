"""What the toy's base models read: documents that teach arithmetic, looking up a step by its label, and re-solving.

Each document is (prefix, text): the loss is on `text` alone, since a question is noise to predict. The mixture moves
from drills (dense look-ups and facts, every length from the start: look-ups are what emerges last) to whole solutions.
No document holds the thinking or answer delimiters: that format is what SFT teaches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from s1lib.toy.problems import FAMILIES, LABELS, draw_problem
from s1lib.toy.teacher import ALTERNATIVELY, HMM, WAIT, Solution, solve
from s1lib.toy.tokenizer import END_OF_TEXT, IM_END, IM_START

Document = tuple[str, str]
WORKED = tuple(family for family in FAMILIES if family.worked)
BASE_SLIP_RATE = 0.15  # so that copying an earlier result does not pay
MARKERS = ((WAIT, 0.7), (HMM, 0.15), (ALTERNATIVELY, 0.15))


def drill(rng: random.Random, steps: int, *, careful: bool) -> Document:
    """A question, then its steps in random order on random values: the densest practice of look-up and arithmetic."""
    problem = draw_problem(rng, rng.choice(WORKED), steps)
    solution = Solution(problem, rng)
    lines = []
    for _ in range(4 if careful else 10):
        index = rng.randrange(steps)
        solution.values = [rng.randint(0, 99)] * index
        shown = replace(problem, start=rng.randint(0, 99))
        solution.problem = shown
        lines.append(solution.careful(index) if careful else solution.quick(index))
    return f"{problem.stem}\nExercises", "\n" + "\n".join(lines) + END_OF_TEXT


def walk(rng: random.Random, steps: int) -> Document:
    """The walk over the options alone, several times over the same four."""
    problem = draw_problem(rng, rng.choice(WORKED), 1, choice=True)
    lines = []
    for _ in range(5):
        solution = Solution(problem, rng)
        solution.values = [rng.choice(problem.options)] if rng.random() < 0.9 else [rng.randint(0, 99)]
        solution.conclude()
        lines += solution.lines
    return f"{problem.question}\nExercises", "\n" + "\n".join(lines) + END_OF_TEXT


def direct(rng: random.Random, steps: int) -> Document:
    """Question -> answer, as an Instruct model answers without thinking; all families, few steps."""
    problem = draw_problem(rng, rng.choice(FAMILIES), rng.randint(1, 2), choice=rng.random() < 0.2)
    return f"{IM_START}user\n{problem.question}{IM_END}\n{IM_START}assistant\n", f"Answer: {problem.gold}{IM_END}"


def worked(rng: random.Random, steps: int) -> Document:
    """A question and its solution, quick or digit by digit."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, choice=rng.random() < 0.2)
    solution = solve(problem, rng, careful=rng.random() < 0.3)
    return problem.question, "\n" + solution.text + END_OF_TEXT


def resolved(rng: random.Random, steps: int) -> Document:
    """Flawed work that is solved again, now and then beyond the point where everything is checked."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, choice=rng.random() < 0.2)
    most = (steps + 1) // 2
    count = most + rng.randint(1, 3) if rng.random() < 0.25 else rng.randint(1, max(1, most))
    words, weights = zip(*MARKERS, strict=True)
    markers = rng.choices(words, weights, k=count) if rng.random() < 0.3 else [WAIT] * count
    solution = solve(problem, rng, slip_rate=BASE_SLIP_RATE, markers=markers[:7])
    return problem.question, "\n" + solution.text + END_OF_TEXT


# kind -> (write, share of the documents at the start, at the end of the schedule)
KINDS: dict[str, tuple[Callable[..., Document], float, float]] = {
    "drill": (lambda rng, steps: drill(rng, steps, careful=False), 0.45, 0.15),
    "careful": (lambda rng, steps: drill(rng, steps, careful=True), 0.25, 0.10),
    "walk": (walk, 0.10, 0.10),
    "direct": (direct, 0.05, 0.05),
    "worked": (worked, 0.10, 0.20),
    "resolved": (resolved, 0.05, 0.40),
}


def documents(rng: random.Random, progress: Callable[[], float], *, max_steps: int = len(LABELS)) -> Iterator[Document]:
    """Documents without end; `progress()` in [0, 1] moves the mixture along the schedule."""
    kinds = list(KINDS.values())
    while True:
        at = min(1.0, progress())
        write = rng.choices(kinds, [first + (last - first) * at for _, first, last in kinds])[0][0]
        yield write(rng, rng.randint(1, max_steps))

