r"""Equal answers are one candidate of a vote: 1/2, 0.5 and \frac{1}{2} are votes for one value."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

from s1lib.grading.comparer import is_percentage
from s1lib.grading.processes import verdicts


def answer_classes(answers: Sequence[str | None]) -> list[int | None]:
    """The class of each answer of one problem, numbered in the order of first sight.

    An answer that could not be read, None, stays None. Two answers are in one class when each would
    be right with the other as the gold answer, or when a chain of such answers joins them. So the
    classes are transitive, and do not depend on the order of the samples. A percentage joins
    percentages alone: 50% would make one class of 50 and 0.5.
    """
    distinct = tuple(sorted({answer for answer in answers if answer is not None}))
    representative = _representatives(distinct)
    numbers: dict[str, int] = {}
    return [
        None if a is None else numbers.setdefault(representative[a], len(numbers)) for a in answers
    ]


@lru_cache(maxsize=10_000)  # problems
def _representatives(distinct: tuple[str, ...]) -> dict[str, str]:
    """For every answer the first one of its class, by union-find over all pairs."""
    parent = {answer: answer for answer in distinct}

    def root(answer: str) -> str:
        while parent[answer] != answer:
            answer = parent[answer]
        return answer

    # Most answers differ, so that the other direction is asked only where the first one held.
    pairs = [
        pair
        for pair in combinations(distinct, 2)
        if is_percentage(pair[0]) == is_percentage(pair[1])
    ]
    held = [pair for pair, equal in verdicts(pairs).items() if equal]
    back = verdicts((other, one) for one, other in held)
    for one, other in held:
        if back[other, one]:
            first, second = sorted((root(one), root(other)))
            parent[second] = first
    return {answer: root(answer) for answer in distinct}
