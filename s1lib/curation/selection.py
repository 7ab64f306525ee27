"""Which questions to train on: the paper's Algorithm 1 and the ablation sets of its section 5.1 (table 2).

    s1 = select(hard_questions, 1000, lengths=trace_tokens(hard_questions, tokenizer), seed=0)
    sets = ablations(questions_after_quality, 1000, lengths=..., seed=0)      # random, diverse, longest, full

Every set depends on the samples, the target and the seed alone: not on the order in which the samples come.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from s1lib.curation.pool import Sample

# Weight 2^-rank of rank 0, 1, ...: ranks past 60 add less than a double's last bit to the sum.
WEIGHTS = [2.0**-rank for rank in range(60)]


class SelectionError(ValueError):
    """The pool cannot give the set asked for; the message says which domains ran dry and what to change."""


def select(
    samples: Sequence[Sample], target: int, *, lengths: Mapping[str, int], seed: int = 0, preselected: Sequence[Sample] = ()
) -> list[Sample]:
    """`target` distinct samples by Algorithm 1: a domain uniformly, then one of its questions with weight 2^-rank.

    lengths: tokens of each sample's trace by id; rank 0 is a domain's longest trace, and ranks close up after a draw.
    preselected: S before the first draw (in the paper, the correct AIME, GPQA and long MATH questions); counts
        towards the target and is not drawn again. Returns it first, then the others in the order drawn.
    Raises SelectionError when fewer than `target` distinct samples exist.
    """

    def by_rank(rng: random.Random, domain: list[Sample]) -> int:
        weights = WEIGHTS[: len(domain)]
        return rng.choices(range(len(weights)), weights)[0]

    return _draw(samples, target, by_rank, lengths, seed, preselected)


def diverse(samples: Sequence[Sample], target: int, *, seed: int = 0) -> list[Sample]:
    """1K-diverse: a domain uniformly, then one of its questions uniformly."""
    return _draw(samples, target, lambda rng, domain: rng.randrange(len(domain)), {}, seed, ())


def uniform(samples: Sequence[Sample], target: int, *, seed: int = 0) -> list[Sample]:
    """1K-random: every question equally likely."""
    _require(samples, target)
    return random.Random(seed).sample(sorted(samples, key=lambda sample: sample.id), target)


def longest(samples: Sequence[Sample], target: int, *, lengths: Mapping[str, int]) -> list[Sample]:
    """1K-longest: the longest traces, whatever their domain."""
    _require(samples, target)
    return sorted(samples, key=_longest_first(lengths))[:target]


def ablations(
    samples: Sequence[Sample], target: int, *, lengths: Mapping[str, int], full_size: int | None = None, seed: int = 0
) -> dict[str, list[Sample]]:
    """The sets that s1K is compared with; `samples` are those after the quality filter, before difficulty.

    full: all of them, or `full_size` drawn uniformly (59K-full in the paper).
    """
    everything = sorted(samples, key=lambda sample: sample.id)
    return {
        "random": uniform(samples, target, seed=seed),
        "diverse": diverse(samples, target, seed=seed),
        "longest": longest(samples, target, lengths=lengths),
        "full": everything if full_size is None else uniform(samples, min(full_size, len(samples)), seed=seed + 1),
    }


def _draw(
    samples: Sequence[Sample],
    target: int,
    pick: Callable[[random.Random, list[Sample]], int],
    lengths: Mapping[str, int],
    seed: int,
    preselected: Sequence[Sample],
) -> list[Sample]:
    chosen = list({sample.id: sample for sample in preselected}.values())
    if len(chosen) > target:
        raise SelectionError(f"{len(chosen)} samples are preselected but only {target} are asked for: raise curation.target")
    taken = {sample.id for sample in chosen}
    domains: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=_longest_first(lengths)):
        if sample.id not in taken:
            domains[sample.domain].append(sample)
    _require([sample for domain in domains.values() for sample in domain], target - len(chosen))
    rng = random.Random(seed)
    names = sorted(domains)
    while len(chosen) < target:
        name = rng.choice(names)
        chosen.append(domains[name].pop(pick(rng, domains[name])))
        if not domains[name]:
            names.remove(name)
    return chosen


def _longest_first(lengths: Mapping[str, int]) -> Callable[[Sample], tuple[int, str]]:
    return lambda sample: (-lengths.get(sample.id, 0), sample.id)


def _require(samples: Sequence[Sample], target: int) -> None:
    if len(samples) >= target:
        return
    dry = ", ".join(f"{name} ({count})" for name, count in sorted(Counter(sample.domain for sample in samples).items()))
    raise SelectionError(
        f"asked for {target} samples but only {len(samples)} are left; every domain ran dry: {dry or 'there are none'}; "
        "lower curation.target or enlarge the pool"
    )
