"""The sets that s1K is compared with: random, diverse, longest and full (paper, section 5.1).

    sets = ablations(questions_after_quality, 1000, lengths=lengths, seed=0)

Like s1K, each depends on the samples, the target and the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from s1lib.curation.pool import Sample
from s1lib.curation.selection import draw_until, longest_first, require


def ablations(
    samples: Sequence[Sample],
    target: int,
    *,
    lengths: Mapping[str, int],
    full_size: int | None = None,
    seed: int = 0,
) -> dict[str, list[Sample]]:
    """All four sets by name, of the samples that pass the quality filter.

    lengths: tokens of each sample's trace by id.
    full_size: size of "full", drawn uniformly. None takes everything (59K-full in the paper).
    Raises SelectionError for fewer than `target` samples.
    """
    full = sorted(samples, key=lambda sample: sample.id)
    if full_size is not None:
        full = uniform(samples, min(full_size, len(samples)), seed=seed + 1)
    return {
        "random": uniform(samples, target, seed=seed),
        "diverse": diverse(samples, target, seed=seed),
        "longest": longest(samples, target, lengths=lengths),
        "full": full,
    }


def uniform(samples: Sequence[Sample], target: int, *, seed: int = 0) -> list[Sample]:
    """1K-random: every question equally likely."""
    require(samples, target)
    return random.Random(seed).sample(sorted(samples, key=lambda sample: sample.id), target)


def diverse(samples: Sequence[Sample], target: int, *, seed: int = 0) -> list[Sample]:
    """1K-diverse: a domain uniformly, then one of its questions uniformly."""
    return draw_until(samples, target, lambda rng, domain: rng.randrange(len(domain)), {}, seed)


def longest(samples: Sequence[Sample], target: int, *, lengths: Mapping[str, int]) -> list[Sample]:
    """1K-longest: the longest traces, whatever their domain."""
    require(samples, target)
    return sorted(samples, key=longest_first(lengths))[:target]
