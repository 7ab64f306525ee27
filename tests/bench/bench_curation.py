"""Curation at the paper's size, seconds and peak memory of every stage, and beyond it.

    python -m tests.bench curation                            # 59,029 synthetic questions
    python -m tests.bench.bench_curation 59029 200000 600000  # the curve

Each size runs in a process of its own, so that its peak memory is its own. Traces have 3,600 tokens
on average. Quality is the official rules and, up to the paper's size, s1lib's, which read every
trace. Test questions are MATH-500 and AIME where ../shared/data has them, synthetic otherwise.
Lengths of traces are given: counting tokens is the tokenizer's speed.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
from bisect import bisect
from itertools import accumulate

from s1lib.curation.ablation_sets import ablations
from s1lib.curation.decontaminate import decontaminate
from s1lib.curation.pool import Sample
from s1lib.curation.quality import filter_quality
from s1lib.curation.selection import choose, preselect
from s1lib.keeping.files import read_jsonl
from s1lib.profile import ROOT
from s1lib.published.paper_numbers import load

PAPER = 59_029
SIZES = (PAPER,)
CHARACTERS = 3.4  # per token of a trace
DOMAINS = 51
DATA = ROOT.parent / "shared" / "data"


def generate(size: int, tests: list[str], *, seed: int = 0) -> tuple[list[Sample], dict[str, int]]:
    """A pool of realistic proportions and its trace lengths in tokens.

    Sources and their mean lengths are those of Table 7, words follow Zipf's law. 1 % of the
    questions copy a test question, 1 % overlap with one, 1 % repeat an earlier question. 8 % of the
    traces are empty and 3 % of the questions in a bad format, as in the paper's funnel.
    """
    rng = random.Random(seed)
    words = [f"{'abcdefghijklmnopqrstuvwxyz'[i % 26]}{i:x}" for i in range(20_000)]
    cumulative = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    ends = [bisect(cumulative, rng.random() * cumulative[-1]) for _ in range(1 << 20)]
    stock = [words[min(i, len(words) - 1)] for i in ends]
    # Traces are windows of it.
    text = " ".join(word + ("\n" if n % 12 == 0 else "") for n, word in enumerate(stock))
    text += text[: 1 << 19]
    table = load("table7").query("dataset != 'total'")
    sources = rng.choices(table["dataset"].tolist(), table["questions"].tolist(), k=size)
    mean = dict(zip(table["dataset"], 1000 * table["average_thousand_tokens"], strict=True))
    samples, lengths = [], {}
    for number, source in enumerate(sources):
        # About 60 words.
        start, count = (
            rng.randrange(len(stock) - 400),
            max(8, int(rng.lognormvariate(3.8, 0.7))),
        )
        question, chance = " ".join(stock[start : start + min(count, 400)]), rng.random()
        if chance < 0.01:
            question = rng.choice(tests)
        elif chance < 0.02:
            question = f"{question} {' '.join(rng.choice(tests).split()[:10])}"
        elif chance < 0.03 and samples:
            question = rng.choice(samples).question
        elif chance < 0.06:
            question = f"![Image](figure.png) {question}"
        tokens = int(rng.gammavariate(3, mean[source] / 3)) + 50
        begin = rng.randrange(len(text) - (1 << 19))
        trace = ""
        if rng.random() > 0.08:
            trace = f"{text[begin : begin + int(tokens * CHARACTERS)]}\nSo it is 7."
        id_, domain = f"{number:07d}", f"domain {int(DOMAINS * rng.random() ** 2):02d}"
        samples.append(
            Sample(id_, question, "7", source, domain, trace, "Answer: 7" if trace else "")
        )
        lengths[id_] = tokens
    return samples, lengths


def test_questions() -> list[str]:
    files = [DATA / name for name in ("math500.jsonl", "aime24.jsonl", "aime25.jsonl")]
    found = [row["problem"] for file in files if file.exists() for row in read_jsonl(file)]
    return found or [
        f"What is the value of {n} times the sum of the first {n + 3} even whole numbers?"
        for n in range(500)
    ]


def measure(size: int) -> None:
    """One line: seconds of every stage, and the peak of the whole process, the pool included."""
    tests = test_questions()
    start = time.perf_counter()
    samples, lengths = generate(size, tests)
    made = time.perf_counter()
    found = decontaminate(samples, dict(enumerate(map(str, tests))))
    clean = time.perf_counter()
    quality = filter_quality(found.kept, rules="official")
    good = time.perf_counter()
    if size <= PAPER:
        filter_quality(found.kept)
    strict = time.perf_counter()
    # The difficulty filter keeps about half.
    hard = [sample for sample in quality.kept if int(sample.id) % 2]
    right = {sample.id for sample in hard if int(sample.id) % 3 == 0}
    first = preselect(hard, right, lengths=lengths)
    s1 = choose("official", hard, 1000, lengths=lengths, preselected=first[:500])
    sets = {"s1": s1, **ablations(quality.kept, 1000, lengths=lengths)}
    end = time.perf_counter()
    assert {name: len({sample.id for sample in chosen}) for name, chosen in sets.items()} == {
        **dict.fromkeys(("s1", "random", "diverse", "longest"), 1000),
        "full": len(quality.kept),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    mean = sum(lengths.values()) / size
    stages = {
        "decontamination and duplicates": clean - made,
        "official rules": good - clean,
        "s1lib's rules": strict - good,
    }
    seconds = ", ".join(
        f"{name} {took:.1f} s" for name, took in {**stages, "five sets": end - strict}.items()
    )
    made_in, took = f"(made in {made - start:.0f} s)", end - made
    print(f"{size:>7,} questions, traces of {mean:,.0f} tokens {made_in}: {seconds}")
    print(f"        all {took:.1f} s, {1e6 * took / size:.0f} us a question,", end=" ")
    print(f"peak {peak:.2f} GiB with the pool;", end=" ")
    print(f"{len(found.kept):,} clean, {len(quality.kept):,} good", flush=True)


def main(sizes: tuple[int, ...] = SIZES) -> None:
    for size in sizes:
        subprocess.run(
            [sys.executable, "-m", "tests.bench.bench_curation", "--measure", str(size)], check=True
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(int(sys.argv[2]))
    else:
        main(tuple(map(int, sys.argv[1:])) or SIZES)
