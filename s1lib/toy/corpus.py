"""Documents for the toy's base models: they teach arithmetic, look-up by label, re-solving.

A document is a list of segments (text, trained?). What was drawn at random, such as a question or
the values of a drill, is shown but left out of the loss, as nothing can be learnt from predicting
it. The mixture moves from drills to whole solutions. Drills are dense practice at every length from
the start, because look-up is the last skill to emerge.

Solutions are chats, as an Instruct model has read them: asked a question, the assistant works
quickly and answers. It goes over its work only where the user asks for it ("Check your work."), so
that checking is something the base model can do and does not do unasked. No document holds the
delimiters of thinking and answer: that format, and when to check, is what SFT teaches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from s1lib.toy.families import FAMILIES, OPERATORS
from s1lib.toy.problems import HARD_STEPS, LABELS, LETTERS, ToyProblem, draw_problem, two
from s1lib.toy.teacher import ALTERNATIVELY, HMM, WAIT, Solution, solve
from s1lib.toy.tokenizer import CHECK, END_OF_TEXT, IM_END, IM_START

Document = list[tuple[str, bool]]  # segments: text, trained?
WORKED = tuple(family for family in FAMILIES if family.worked)
UNWORKED = tuple(family for family in FAMILIES if not family.worked)
CUE = f"\n{CHECK}"
CHOICE = 0.3  # of the chats
BASE_SLIP_RATE = 0.15  # so that copying an earlier result does not pay
MARKERS = ((WAIT, 0.7), (HMM, 0.15), (ALTERNATIVELY, 0.15))


def exercise(
    rng: random.Random, problem: ToyProblem, *, slip_rate: float = 0.0
) -> tuple[int, Solution]:
    """A step of a problem, and a solution that has come to it with a random value."""
    index = rng.randrange(len(problem.steps))
    start = replace(problem, start=rng.randint(0, 99))
    return index, Solution(start, rng, slip_rate, values=[rng.randint(0, 99)] * index)


# ---- the kinds of documents; each but the walk is written for a number of steps ----


def drill(rng: random.Random, steps: int, *, careful: bool, hard: float = HARD_STEPS) -> Document:
    """A question, then its steps in random order on random values: practice of look-up and sums."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, hard=hard)
    document = [(f"{problem.stem}\nExercises", False)]
    for _ in range(4 if careful else 10):
        index, solution = exercise(rng, problem)
        line = solution.careful(index) if careful else solution.quick(index)
        given = len("a: 34")
        document += [("\n" + line[:given], False), (line[given:], True)]
    return [*document, (END_OF_TEXT, True)]


def recall(rng: random.Random, steps: int) -> Document:
    """A question, then its steps or its options in random order: practice of look-up alone.

    Of any family, so that a base model knows the words also of those that it never sees worked.
    """
    problem = draw_problem(rng, rng.choice(FAMILIES), steps, choice=rng.random() < 0.15)
    verbs = problem.family.verbs
    told = [
        (f"{label}: ", f"{verbs[OPERATORS.index(step.operator)]}{two(step.operand)}")
        for label, step in zip(LABELS, problem.steps, strict=False)
    ]
    if problem.options:
        letters = zip(LETTERS, problem.options, strict=True)
        told = [(f"{letter}) ", two(value)) for letter, value in letters]
    document = [(f"{problem.question}\nExercises", False)]
    for label, text in rng.choices(told, k=12):
        document += [(f"\n{label}", False), (text, True)]
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
    """A question of a family that is never worked, and its answer at once."""
    problem = draw_problem(rng, rng.choice(UNWORKED), steps, choice=rng.random() < CHOICE)
    return _chat(problem, [(f"Answer: {problem.gold}{IM_END}", True)])


def worked(rng: random.Random, steps: int) -> Document:
    """A question and its quick solution, as an Instruct model writes one."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, choice=rng.random() < CHOICE)
    return _chat(problem, _answered(solve(problem, rng)))


def resolved(rng: random.Random, steps: int) -> Document:
    """Flawed work that is solved again because the user asks for it, at times beyond the need."""
    problem = draw_problem(rng, rng.choice(WORKED), steps, choice=rng.random() < CHOICE)
    most = (steps + 1) // 2
    count = most + rng.randint(1, 5) if rng.random() < 0.4 else rng.randint(1, max(1, most))
    words, weights = zip(*MARKERS, strict=True)
    markers = rng.choices(words, weights, k=count) if rng.random() < 0.3 else [WAIT] * count
    solution = solve(problem, rng, slip_rate=BASE_SLIP_RATE, markers=markers[:7])
    return _chat(problem, _answered(solution), cue=CUE)


def interrupted(rng: random.Random, steps: int) -> Document:
    """A chat whose work breaks off while it is checked: the answer is the last result reached.

    Without such chats a model that is cut short answers the number that it wrote last.
    """
    problem = draw_problem(rng, rng.choice(WORKED), steps, choice=rng.random() < CHOICE)
    markers = [WAIT] * rng.randint(1, (steps + 1) // 2)
    lines = solve(problem, rng, slip_rate=BASE_SLIP_RATE, markers=markers).lines

    # It breaks off after a digit of some line behind a result. That line may be the next result's,
    # while the options are still compared.
    results = [place for place, line in enumerate(lines) if line.startswith("result ")]
    which = rng.randrange(len(results) - 1)
    end = rng.randint(results[which] + 1, results[which + 1])
    left_open = lines[end][: lines[end].rfind(")") if end == results[which + 1] else -1]
    digits = [place for place, character in enumerate(left_open) if character.isdigit()]
    part = [lines[end][: rng.choice(digits) + 1]] if digits else []
    text = "\n".join([*lines[:end], *part])

    # A result line ends in its letter, or is `result 34`.
    answer = lines[results[which]][-1 if problem.options else -2 :]
    written = [(f"{text}\nAnswer: ", False), (f"{answer}{IM_END}", True)]
    return _chat(problem, written, cue=CUE)


def _chat(problem: ToyProblem, written: Document, *, cue: str = "") -> Document:
    """A question, a cue behind it, and what the assistant writes."""
    asked = f"{IM_START}user\n{problem.question}{cue}{IM_END}\n{IM_START}assistant\n"
    return [(asked, False), *written]


def _answered(solution: Solution) -> Document:
    return [(f"{solution.text}\nAnswer: {solution.answer}{IM_END}", True)]


# ---- the mixture -------------------------------------------------------------------------------

# kind -> (how it is written, its share of the documents at the start of the schedule, at the end)
KINDS: dict[str, tuple[Callable[[random.Random, int], Document], float, float]] = {
    "drill": (lambda rng, steps: drill(rng, steps, careful=False), 0.42, 0.13),
    "recall": (recall, 0.32, 0.0),
    "careful": (lambda rng, steps: drill(rng, steps, careful=True, hard=0.5), 0.22, 0.10),
    "walk": (walk, 0.28, 0.14),
    "direct": (direct, 0.06, 0.06),
    "worked": (worked, 0.10, 0.20),
    "resolved": (resolved, 0.05, 0.38),
    "interrupted": (interrupted, 0.0, 0.08),
}

# Skill of the gate -> the kind that trains it.
TEACHES = {
    "digit by digit": "careful",
    "look-up": "drill",
    "option walk": "walk",
    "last result": "interrupted",
}
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
