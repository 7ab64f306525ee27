"""Majority vote (paper, figures 4b and 7): parallel scaling, k independent samples and the answer most of them give.

    traces = await sample_traces(engine, chat, question, 16, Budget(), temperature=0.6, seed=0)
    curve = expected_accuracy(answers, correct)      # curve[k - 1]: accuracy with k votes, k = 1 … 16

The paper votes with the first k of 64 samples, ties to the first seen (`majority`), so that its curve hangs on the order
of the samples. `expected_accuracy` is the mean over *all* subsets of size k, computed exactly; where answers tie, each
gets its fair share. A sample without an answer (None) never wins.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from math import comb

import numpy as np

from s1lib.chat import ChatFormat
from s1lib.engines.protocol import Engine
from s1lib.thinking.budget import Budget, Trace, force_budget, sampling


async def sample_traces(
    engine: Engine,
    chat: ChatFormat,
    question: str | Sequence[int],
    n: int,
    budget: Budget,
    *,
    temperature: float,
    seed: int | None = None,
) -> list[Trace]:
    """`n` independent traces of one problem, decoded side by side."""
    settings = [sampling(index, temperature=temperature, seed=seed) for index in range(n)]
    return await asyncio.gather(*(force_budget(engine, chat, question, budget, **own) for own in settings))


def majority(answers: Sequence[str | None]) -> str | None:
    """The most frequent answer, ties to the first seen (the official reading); None only when no sample has an answer."""
    votes = Counter(answer for answer in answers if answer is not None)
    return votes.most_common(1)[0][0] if votes else None  # Counter keeps the order of first sight among equals


def expected_accuracy(answers: Sequence[str | None], correct: Sequence[bool]) -> np.ndarray:
    """Chance that a vote among k of these n samples is right, for k = 1 … n: shape [n], mean over all subsets of size k.

    answers: extracted answers of one problem. correct: the grade of each; equal answers must have equal grades.
    k = 1 is the plain mean of `correct`. Up to about 1,000 samples (binomials are kept as floats).
    """
    grades: dict[str, bool] = {}
    for answer, right in zip(answers, correct, strict=True):
        if answer is not None and grades.setdefault(answer, bool(right)) != bool(right):
            raise ValueError(f"answer {answer!r} is graded both right and wrong: grade equal answers alike")
    n = len(answers)
    counts = Counter(answers)
    silent = _binomials(counts.pop(None, 0), n)
    credit = np.zeros(n + 1)
    for most in range(1, max(counts.values(), default=0) + 1):
        credit += _credit(counts, grades, silent, most)
    return credit[1:] / [comb(n, k) for k in range(1, n + 1)]


def _credit(counts: dict[str, int], grades: dict[str, bool], silent: np.ndarray, most: int) -> np.ndarray:
    """Over the subsets whose winners have exactly `most` votes: the sum of the shares of winners that are right, by size [n + 1].

    ways[t, k] counts the subsets of size k with t answers at `most` votes and none above; right[t, k] sums, over the same
    subsets, how many of those t are right. Both grow by one answer at a time.
    """
    n = len(silent) - 1
    ways = np.zeros((n // most + 1, n + 1))
    ways[0] = silent
    right = np.zeros_like(ways)
    for answer, count in counts.items():
        fewer = _binomials(count, n)[:most]
        more_ways, more_right = _shifted(ways, fewer), _shifted(right, fewer)
        if count >= most:
            winners = float(comb(count, most))
            more_ways[1:, most:] += winners * ways[:-1, : n + 1 - most]
            more_right[1:, most:] += winners * (right + grades[answer] * ways)[:-1, : n + 1 - most]
        ways, right = more_ways, more_right
    return (right[1:] / np.arange(1, len(right))[:, None]).sum(axis=0)


def _shifted(table: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Sum over x of factors[x] * table, moved x places to larger sizes: so many ways to take x samples of one answer."""
    total = np.zeros_like(table)
    for x, factor in enumerate(factors[: table.shape[1]]):
        if factor:
            total[:, x:] += factor * table[:, : table.shape[1] - x]
    return total


def _binomials(count: int, n: int) -> np.ndarray:
    return np.array([float(comb(count, x)) for x in range(n + 1)])
