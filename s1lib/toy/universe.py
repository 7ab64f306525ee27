"""The toy universe's files: the pool with the teacher's traces, and three benchmarks.

The pool has the faults that a real one has, so that curation has real work: failed API calls,
traces that were cut, loop or are unreadable, questions in a bad format, duplicates, and copies of
benchmark questions. Others no rule on a text can find: traces that are well written and wrong.
"""

from __future__ import annotations

import hashlib
import random

from s1lib.profile import ProfileError, Universe
from s1lib.toy.families import FAMILIES
from s1lib.toy.problems import LABELS, ToyProblem, draw_problem, two
from s1lib.toy.teacher import ALTERNATIVELY, HMM, STEPS_PER_MARKER, WAIT, solve

CONTAMINATED = 0.01  # share of the pool that copies a benchmark's question
DUPLICATED = 0.01  # share of the pool that repeats another question of the pool
CHOICE = 0.25  # share of the pool with four options

# How much more often questions of one and of two steps occur than longer ones: most of a real pool
# is easy.
EASY = (3, 2)

TRACE_LIMIT = 600  # characters, about 520 tokens: what the base models read must hold a prompt too

# How far the teacher goes on after its first result -> share of its traces. "beyond" is on after
# every step is checked, so that a model learns what to write there.
SECOND_THOUGHTS = {"none": 0.2, "one": 0.32, "some": 0.35, "beyond": 0.13}
MARKERS = {WAIT: 0.8, HMM: 0.1, ALTERNATIVELY: 0.1}

# name -> (role, fewest steps, multiple choice?); all families occur equally often
BENCHMARKS = {
    "hard": ("AIME24", 4, False),
    "mixed": ("MATH500", 2, False),
    "choice": ("GPQA-Diamond", 2, True),
}

CARELESS = 0.7  # rate of slips in a trace that is wrong in most steps


def draw_benchmarks(settings: Universe) -> dict[str, list[ToyProblem]]:
    """Draw `benchmark_size` different problems for every name in BENCHMARKS.

    Raises ProfileError where the hard benchmark does not fit in `max_steps`.
    """
    least, most = max(fewest for _, fewest, _ in BENCHMARKS.values()), settings.max_steps
    if not least <= most <= len(LABELS):
        raise ProfileError(
            f"universe.max_steps is {most}: the hard benchmark needs {least} at least, "
            f"and there are {len(LABELS)} labels"
        )

    # A generator of its own for each, so that one benchmark does not depend on another's size.
    drawn = {}
    for name, (_, fewest, choice) in BENCHMARKS.items():
        rng = random.Random(f"benchmark-{name}-{settings.seed}")
        problems: dict[str, ToyProblem] = {}
        while len(problems) < settings.benchmark_size:
            family, steps = rng.choice(FAMILIES), rng.randint(fewest, most)
            problem = draw_problem(rng, family, steps, choice=choice)
            problems.setdefault(problem.stem, problem)
        drawn[name] = list(problems.values())
    return drawn


def benchmark_rows(name: str, problems: list[ToyProblem]) -> list[dict]:
    """The rows of a benchmark's file, with the values of the options in the order shown."""
    return [
        {
            "id": f"{name}-{index:03d}",
            "question": problem.stem,
            "answer": problem.gold,
            "kind": "choice" if problem.options else "math",
            "options": [two(option) for option in problem.options],
            "domain": problem.family.name,
        }
        for index, problem in enumerate(problems)
    ]


def make_pool(settings: Universe, benchmarks: dict[str, list[ToyProblem]]) -> list[dict]:
    """Rows of the pool as `s1lib.curation.pool` reads them, with the faults of a real one."""
    rng = random.Random(f"pool-{settings.seed}")
    tests = [problem for problems in benchmarks.values() for problem in problems]
    copies = round(CONTAMINATED * settings.pool_size)
    twins = round(DUPLICATED * settings.pool_size)

    # Copies of benchmark questions first; every other question is new.
    problems = rng.sample(tests, copies)
    taken = {problem.stem for problem in tests}
    lengths = range(1, settings.max_steps + 1)
    often = [*EASY, *[1] * (settings.max_steps - len(EASY))]
    while len(problems) < settings.pool_size - twins:
        family = rng.choices(FAMILIES, [family.share for family in FAMILIES])[0]
        steps = rng.choices(lengths, often)[0]
        problem = draw_problem(rng, family, steps, choice=rng.random() < CHOICE)
        if problem.stem not in taken:
            taken.add(problem.stem)
            problems.append(problem)

    problems += rng.sample(problems[copies:], twins)
    rng.shuffle(problems)

    # An id is a hash with the place in it, so that even a repeated question has its own. Hidden
    # faults have a generator of their own: at any rate, everything else stays the same.
    hidden = random.Random(f"hidden-{settings.seed}")
    rows = []
    for index, problem in enumerate(problems):
        row = _row(rng, problem, settings.slip_rate)
        if hidden.random() < settings.hidden_rate:
            row |= _mislead(hidden, problem, settings.slip_rate)
        row = _break(rng, row, settings.broken_rate)
        digest = hashlib.sha256(f"{index} {row['question']}".encode()).hexdigest()
        rows.append({"id": digest[:16], **row})
    return rows


def draw_markers(rng: random.Random, steps: int) -> list[str]:
    """The teacher's second thoughts: none, one, or as many as `steps` need and up to four more."""
    enough = (steps + 1) // STEPS_PER_MARKER[WAIT]
    counts = {
        "none": 0,
        "one": 1,
        "some": rng.randint(1, enough),
        "beyond": enough + rng.choice((1, 1, 2, 4)),
    }
    how_far = rng.choices(list(SECOND_THOUGHTS), list(SECOND_THOUGHTS.values()))[0]
    return rng.choices(list(MARKERS), list(MARKERS.values()), k=counts[how_far])


def _row(rng: random.Random, problem: ToyProblem, slip_rate: float) -> dict:
    markers = draw_markers(rng, len(problem.steps))
    solution = solve(problem, rng, slip_rate=slip_rate, markers=markers)
    while len(solution.text) > TRACE_LIMIT:
        markers.pop()
        solution = solve(problem, rng, slip_rate=slip_rate, markers=markers)
    return {
        "question": problem.question,
        "answer": problem.gold,
        "source": problem.family.source,
        "domain": problem.family.name,
        "trace": solution.text,
        "attempt": solution.answer,
        "error": None,
        "kind": "choice" if problem.options else "math",
    }


def _mislead(rng: random.Random, problem: ToyProblem, slip_rate: float) -> dict:
    """A trace and an answer that look like any other and teach something wrong.

    Either they belong to another question of the family, as when replies are mixed up, or most
    steps are wrong and nothing is checked, even where the teacher starts over.
    """
    if rng.random() < 0.5:
        choice = bool(problem.options)
        other = draw_problem(rng, problem.family, len(problem.steps), choice=choice)
        row = _row(rng, other, slip_rate)
        return {name: row[name] for name in ("trace", "attempt")}
    markers = [ALTERNATIVELY] * rng.randint(0, 1)
    solution = solve(problem, rng, slip_rate=CARELESS, markers=markers)
    return {"trace": solution.text, "attempt": solution.answer}


def _break(rng: random.Random, row: dict, rate: float) -> dict:
    """The row, at the given rate with one of the faults that the quality filter has to find."""
    if rng.random() >= rate:
        return row
    lines = row["trace"].splitlines()
    fault = rng.choice(["api", "empty", "cut", "loop", "unreadable", "image", "bold"])
    if fault == "api":
        return {**row, "trace": "", "attempt": "", "error": "503: the model is overloaded"}
    if fault == "empty":
        return {**row, "trace": ""}
    if fault == "cut":
        return {**row, "trace": "\n".join(lines[: len(lines) // 2]), "attempt": ""}
    if fault == "loop":
        return {**row, "trace": "\n".join(lines + lines[-1:] * rng.randint(4, 8))}
    if fault == "unreadable":
        return {**row, "trace": row["trace"].replace(rng.choice("0123456789"), "\ufffd")}
    if fault == "image":
        return {**row, "question": f"![Image](figure.png) {row['question']}"}
    return {**row, "question": row["question"].replace(". a:", ". **1** a:", 1)}
