"""How long grading takes: ordinary MATH answers, the votes of a whole benchmark, and hostile texts.

python -m tests.bench grading          # needs ../shared/data/math500.jsonl
"""

from __future__ import annotations

import json
import os
import random
import time

from s1lib.grading import answer_classes, grade, grade_many, read_answer
from s1lib.profile import ROOT

MATH500 = ROOT.parent / "shared" / "data" / "math500.jsonl"
ANSWERS = 10_000
SAMPLES = 64  # per problem of a vote
HOSTILE = {
    "a tower of powers": r"\boxed{9^{9^{9^9}}}",
    "ten thousand digits": "Answer: " + "9" * 10_000,
    "deep brackets": r"\boxed{" + "(" * 990 + "1" + ")" * 990 + "}",
    "nested roots": r"\boxed{" + "sqrt(" * 330 + "2" + ")" * 330 + "}",
    "unclosed boxes": r"\boxed{" * 100_000,
    "labels without end": "Answer: " * 100_000,
    "spaces": "Answer:" + " " * 100_000 + "x",
}


def ordinary(golds: list[str], *, seed: int = 0) -> list[tuple[str, str, str]]:
    """Half the gold answer itself, a tenth in other words, the rest that of another problem."""
    drawn, items = random.Random(seed), []
    for _ in range(ANSWERS):
        gold, kind = drawn.choice(golds), drawn.random()
        other = gold.replace("\\frac", "\\dfrac") + r"\cdot 1"
        answer = gold if kind < 0.5 else other if kind < 0.6 else drawn.choice(golds)
        items.append(
            (
                f"So it follows.\nAnswer: ${answer}$"
                if drawn.random() < 0.3
                else rf"\boxed{{{answer}}}",
                gold,
                "math",
            )
        )
    return items


def votes(golds: list[str], *, seed: int = 0) -> list[list[str | None]]:
    """64 answers a problem: half the gold one in three spellings, up to eight others, some None."""
    drawn, problems = random.Random(seed), []
    for gold in golds:
        spellings = [gold, gold.replace("\\frac", "\\dfrac"), gold.replace(" ", "") + " "]
        others = drawn.sample(golds, 8)
        problems.append(
            [
                drawn.choice([*spellings, *spellings, *others[: drawn.randint(1, 8)], None])
                for _ in range(SAMPLES)
            ]
        )
    return problems


def main() -> None:
    if not MATH500.exists():
        print(f"skipped: {MATH500} is not here")
        return
    golds = [json.loads(line)["answer"] for line in MATH500.open(encoding="utf-8")]
    items = ordinary(golds)
    start = time.perf_counter()
    grades = grade_many(items)
    seconds = time.perf_counter() - start
    share = sum(graded.correct for graded in grades) / len(grades)
    print(
        f"{len(items):,} answers in {seconds:.1f} s on {os.cpu_count()} cores, "
        f"{len(items) / seconds:,.0f} a second; {share:.0%} right"
    )

    problems = votes(golds)
    start = time.perf_counter()
    classes = [answer_classes(answers) for answers in problems]
    seconds = time.perf_counter() - start
    candidates = sum(len(set(of_problem) - {None}) for of_problem in classes) / len(classes)
    print(
        f"{len(problems)} votes of {SAMPLES} samples in {seconds:.1f} s; "
        f"{candidates:.1f} candidates a vote"
    )

    for name, text in HOSTILE.items():
        start = time.perf_counter()
        read_answer(text, "choice")
        grade(text, "3")
        print(f"{name}: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
