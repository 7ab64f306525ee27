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
from functools import lru_cache
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
    silent = counts.pop(None, 0)
    votes = sorted(((count, grades[answer]) for answer, count in counts.items()), reverse=True)
    (leader, right), (second, _) = [*votes, (0, False), (0, False)][:2]
    credit = np.zeros(n + 1)
    if right:  # with more votes than any other answer has samples it wins, whatever else is drawn
        alone = np.where(np.arange(n + 1) > second, _binomials(leader, n), 0)
        credit += np.convolve(alone, _binomials(n - leader, n))[: n + 1]
    for most in range(1, second + 1):
        credit += _credit(votes, silent, n, most)
    return credit[1:] / [comb(n, k) for k in range(1, n + 1)]


def _credit(votes: list[tuple[int, bool]], silent: int, n: int, most: int) -> np.ndarray:
    """Over the subsets whose winners have exactly `most` votes: the sum of the shares of winners that are right, by size [n + 1].

    ways[t, k] counts the subsets of size k with t answers at `most` votes and none above; right[t, k] sums, over the same
    subsets, how many of those t are right. Both grow by one answer at a time; answers too rare to get `most` votes may be
    drawn freely, so all of them count as one.
    """
    rare = sum(count for count, _ in votes if count < most)
    able = [(count, right) for count, right in votes if count >= most]
    tables = np.zeros((2, 1, n + 1))  # ways, right
    tables[0, 0] = _binomials(silent + rare, n)
    for count, right in able:
        grown = np.zeros((2, tables.shape[1] + 1, n + 1))
        grown[:, :-1] = _shifted(tables, _binomials(count, n)[:most])
        with_it = float(comb(count, most)) * tables[..., : n + 1 - most]
        grown[:, 1:, most:] += with_it
        if right:
            grown[1, 1:, most:] += with_it[0]
        tables = grown
    return (tables[1, 1:] / np.arange(1, len(able) + 1)[:, None]).sum(axis=0)


def _shifted(tables: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Sum over x of factors[x] * tables, moved x places to larger sizes: so many ways to take x samples of one answer."""
    total = factors[0] * tables
    for x, factor in enumerate(factors[1 : tables.shape[-1]], start=1):
        total[..., x:] += factor * tables[..., :-x]
    return total


@lru_cache(maxsize=4096)
def _binomials(count: int, n: int) -> np.ndarray:
    """Ways to take 0 … n of `count`."""
    return np.array([float(comb(count, x)) for x in range(n + 1)])
