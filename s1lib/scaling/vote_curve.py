"""Majority votes from records: accuracy and cost of a vote among k samples (Figures 4b and 7)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from s1lib.grading import answer_classes
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.pairing import REPLICA
from s1lib.thinking.voting import expected_accuracy

Answer = tuple[str | None, bool]  # what was read, and whether it is right
Pattern = tuple[tuple[int, bool | None], ...]  # samples of each answer, and whether it is right


def vote_curve(bench: Bench, run: int, votes: Sequence[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Problems x k: expected accuracy of a vote among k samples, and the tokens that they cost.

    The samples are those of the run's first replica, the only one that votes are drawn from. A k is
    left out where some problem has fewer samples. Raises Missing when none is left.
    """
    # the answers of each problem, each with its grade
    samples = bench.records.samples
    samples = samples[(samples["run"] == run) & (samples["benchmark"] == bench.name)]
    for first in bench.records.replicas(bench.name, [run])[:1]:
        samples = samples[(samples[REPLICA] == first).all(axis=1)]
    given: dict[str, list[Answer]] = defaultdict(list)
    read = zip(samples["problem_id"], samples["extracted"], samples["correct"], strict=True)
    for problem, answer, right in read:
        given[problem].append((None if pd.isna(answer) else answer, bool(right)))

    # the curve of a problem has an entry for every k up to the number of its samples
    fewest = min(map(len, given.values()), default=0)
    votes = [k for k in votes if k <= fewest]
    if not votes:
        raise Missing("fewer samples per problem than the smallest vote")
    places = np.array(votes) - 1
    curves = {problem: _curve(_pattern(answers))[places] for problem, answers in given.items()}
    accuracy = pd.DataFrame(curves, index=votes).T
    problems, _, total = bench.paired([run], "total_tokens")
    tokens = pd.Series(total[:, 0, 0], index=problems)
    return accuracy, pd.DataFrame({k: k * tokens for k in votes}).loc[accuracy.index]


def _pattern(answers: list[Answer]) -> Pattern:
    """The counts that a vote depends on: samples of each value, whatever its spelling, and grade.

    An answer that was not read is neither right nor wrong.
    """
    values = answer_classes([answer for answer, _ in answers])
    candidates = zip(values, (right for _, right in answers), strict=True)
    counts = Counter((value, None if value is None else right) for value, right in candidates)
    return tuple(sorted(((n, right) for (_, right), n in counts.items()), key=str))


@lru_cache(maxsize=100_000)  # most problems share their pattern with another one
def _curve(pattern: Pattern) -> np.ndarray:
    answers = [
        (None if right is None else str(name), bool(right))
        for name, (count, right) in enumerate(pattern)
        for _ in range(count)
    ]
    return expected_accuracy(*zip(*answers, strict=True))
