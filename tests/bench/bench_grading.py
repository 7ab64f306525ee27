"""How many answers a second? 10,000 ordinary MATH answers, as a model would write them: half right, some of them in other words.

python -m tests.bench grading          # needs ../shared/data/math500.jsonl
"""

from __future__ import annotations

import json
import os
import random
import time

from s1lib.grading import grade, grade_many
from s1lib.profile import ROOT

MATH500 = ROOT.parent / "shared" / "data" / "math500.jsonl"
ANSWERS = 10_000


def ordinary(golds: list[str], *, seed: int = 0) -> list[tuple[str, str, str]]:
    """Half the gold answer itself, a tenth written differently, the rest the answer to another problem."""
    drawn, items = random.Random(seed), []
    for _ in range(ANSWERS):
        gold, kind = drawn.choice(golds), drawn.random()
        answer = gold if kind < 0.5 else gold.replace("\\frac", "\\dfrac") + r"\cdot 1" if kind < 0.6 else drawn.choice(golds)
        items.append((f"So it follows.\nAnswer: ${answer}$" if drawn.random() < 0.3 else rf"\boxed{{{answer}}}", gold, "math"))
    return items


def main() -> None:
    if not MATH500.exists():
        print(f"skipped: {MATH500} is not here")
        return
    items = ordinary([json.loads(line)["answer"] for line in MATH500.open(encoding="utf-8")])
    start = time.perf_counter()
    grades = grade_many(items)
    seconds = time.perf_counter() - start
    share = sum(graded.correct for graded in grades) / len(grades)
    print(f"{len(items):,} answers in {seconds:.1f} s on {os.cpu_count()} cores, {len(items) / seconds:,.0f} a second; {share:.0%} right")
    start = time.perf_counter()
    grade(r"\boxed{9^{9^{9^9}}}", "3")
    print(f"one that never ends: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
