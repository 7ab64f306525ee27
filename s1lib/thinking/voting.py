"""Majority vote (paper, figures 4b and 7): of k samples, the answer that most of them give.

    thinker = Thinker(engine, chat, temperature=0.6, seed=0)
    traces = await sample_traces(thinker, question, 16, Budget())
    curve = expected_accuracy(answers, correct)      # curve[k - 1]: accuracy with k votes

The paper votes with the first k of 64 samples, so that its curve hangs on their order. Ours is the
mean over *all* subsets of size k, computed exactly. The tie rules: `majority` gives a tie to the
answer seen first, as the official code does, and `expected_accuracy` gives each its fair share.
Equal answers are one candidate: 1/2, 0.5 and \\frac{1}{2} are three votes for one value
(`grading.answer_classes`). A sample without an answer (None) never wins.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import comb

import numpy as np

from s1lib.engines.protocol import TokenIds
from s1lib.grading import answer_classes
from s1lib.thinking.budget import Budget, Trace
from s1lib.thinking.thinker import Thinker


async def sample_traces(
    thinker: Thinker, question: str | TokenIds, n: int, budget: Budget
) -> list[Trace]:
    """`n` independent traces of one problem, decoded side by side."""
    samples = [thinker.sample(index).force(question, budget) for index in range(n)]
    return await asyncio.gather(*samples)


def majority(answers: Sequence[str | None]) -> str | None:
    """The most frequent answer, ties to the first seen, or None when no sample has an answer.

    It is spelled as the first of its samples spells it.
    """
    classes = answer_classes(answers)
    votes = Counter(candidate for candidate in classes if candidate is not None)
    if not votes:
        return None
    # most_common keeps the order of first sight among equals.
    return answers[classes.index(votes.most_common(1)[0][0])]


def expected_accuracy(answers: Sequence[str | None], correct: Sequence[bool]) -> np.ndarray:
    """Chance that a vote among k of these n samples is right, for k = 1 … n, as shape [n].

    answers: extracted answers of one problem.
    correct: the grade of each. Two spellings of one value that are graded differently are two
        candidates. Raises ValueError where one text has two grades.

    It is the mean over all subsets of size k, so k = 1 gives the plain mean of `correct`. Good for
    up to about 1,000 samples, as binomials are kept as floats.
    """
    grades: dict[str, bool] = {}
    for answer, right in zip(answers, correct, strict=True):
        if answer is not None and grades.setdefault(answer, bool(right)) != bool(right):
            raise ValueError(
                f"answer {answer!r} is graded both right and wrong: grade equal answers alike"
            )

    # How many samples each candidate has, and whether it is right.
    candidates = zip(answer_classes(answers), map(bool, correct), strict=True)
    counts = Counter(candidate for candidate in candidates if candidate[0] is not None)
    votes = sorted(((count, right) for (_, right), count in counts.items()), reverse=True)
    n = len(answers)
    silent = n - counts.total()

    # With more votes than any other answer has samples, the most frequent one wins, whatever else
    # is drawn. That settles most subsets at once.
    (leader, right), (second, _) = [*votes, (0, False), (0, False)][:2]
    credit = np.zeros(n + 1)
    if right:
        alone = np.where(np.arange(n + 1) > second, _binomials(leader, n), 0)
        credit += np.convolve(alone, _binomials(n - leader, n))[: n + 1]

    # In the others the winners have some number of votes that two answers or more can have.
    for most in range(1, second + 1):
        credit += _credit(votes, silent, n, most)
    return credit[1:] / [comb(n, k) for k in range(1, n + 1)]


def _credit(votes: list[tuple[int, bool]], silent: int, n: int, most: int) -> np.ndarray:
    """Over the subsets whose winners have exactly `most` votes: the right ones' shares, by size.

    votes: (samples, right?) of each answer. silent: samples without one. Returns shape [n + 1].

    ways[t, k] counts the subsets of size k with t answers at `most` votes and none above.
    right[t, k] sums, over the same subsets, how many of those t are right.
    """
    # Answers too rare to get `most` votes may be drawn freely, so all of them count as one.
    rare = sum(count for count, _ in votes if count < most)
    able = [(count, right) for count, right in votes if count >= most]
    tables = np.zeros((2, 1, n + 1))  # ways, right
    tables[0, 0] = _binomials(silent + rare, n)

    # Both tables grow by one answer at a time: it gets fewer votes than `most`, or just as many.
    for count, right in able:
        grown = np.zeros((2, tables.shape[1] + 1, n + 1))
        grown[:, :-1] = _shifted(tables, _binomials(count, n)[:most])
        with_it = float(comb(count, most)) * tables[..., : n + 1 - most]
        grown[:, 1:, most:] += with_it
        if right:
            grown[1, 1:, most:] += with_it[0]
        tables = grown

    # Where t answers tie, each of them gets one t-th.
    return (tables[1, 1:] / np.arange(1, len(able) + 1)[:, None]).sum(axis=0)


def _shifted(tables: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Sum over x of factors[x] * tables, moved x places: x samples of one answer are drawn."""
    total = factors[0] * tables
    for x, factor in enumerate(factors[1 : tables.shape[-1]], start=1):
        total[..., x:] += factor * tables[..., :-x]
    return total


@lru_cache(maxsize=4096)
def _binomials(count: int, n: int) -> np.ndarray:
    """Ways to take 0 … n of `count`."""
    return np.array([float(comb(count, x)) for x in range(n + 1)])
