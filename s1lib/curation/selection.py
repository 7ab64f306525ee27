"""Which questions to train on: the paper's Algorithm 1, the official notebook's longer version, the ablation sets (section 5.1).

    s1 = select(hard_questions, 1000, lengths=trace_tokens(hard_questions, tokenizer), seed=0)
    sets = ablations(questions_after_quality, 1000, lengths=..., seed=0)      # random, diverse, longest, full

    first = preselect(hard_questions, correct_ids, lengths=lengths)           # correct AIME, GPQA and long MATH
    s1 = choose("official", hard_questions, 1000, lengths=lengths, preselected=first)

Every set depends on the samples, the target and the seed alone: not on the order in which the samples come.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from s1lib.curation.pool import Sample
from s1lib.errors import S1Error

VARIANTS = ("paper", "official")
LONG_MATH = 5600  # tokens; a correct MATH question with a longer trace is preselected
UNIFORM_SHARE = 0.7  # of the target that the official notebook draws with uniform domains: 700 of 1,000
# Weight 2^-rank of rank 0, 1, ...: ranks past 60 add less than a double's last bit to the sum.
WEIGHTS = [2.0**-rank for rank in range(60)]


class SelectionError(S1Error):
    """The pool cannot give the set asked for; the message says which domains ran dry and what to change."""


def choose(
    variant: str, samples: Sequence[Sample], target: int, *, lengths: Mapping[str, int], seed: int = 0, preselected: Sequence[Sample] = ()
) -> list[Sample]:
    """s1K by the profile's `curation.selection`: "paper" is Algorithm 1 as printed, "official" the notebook behind the released set.

    "official" weighs domains by the AIME and GPQA questions among `samples` and `preselected`. Raises SelectionError.
    """
    if variant not in VARIANTS:
        raise SelectionError(f"unknown curation.selection {variant!r}: use {' or '.join(map(repr, VARIANTS))}")
    if variant == "paper":
        return select(samples, target, lengths=lengths, seed=seed, preselected=preselected)
    weights = benchmark_weights({sample.id: sample for sample in [*samples, *preselected]}.values())
    return select_official(samples, target, lengths=lengths, weights=weights, seed=seed, preselected=preselected)


def select(
    samples: Sequence[Sample], target: int, *, lengths: Mapping[str, int], seed: int = 0, preselected: Sequence[Sample] = ()
) -> list[Sample]:
    """`target` distinct samples by Algorithm 1: a domain uniformly, then one of its questions with weight 2^-rank.

    lengths: tokens of each sample's trace by id; rank 0 is a domain's longest trace, and ranks close up after a draw.
    preselected: S before the first draw (in the paper, the correct AIME, GPQA and long MATH questions); counts
        towards the target and is not drawn again. Returns it first, then the others in the order drawn.
    Raises SelectionError when fewer than `target` distinct samples exist.
    """
    return _draw(samples, target, _by_rank, lengths, seed, preselected)


def select_official(
    samples: Sequence[Sample],
    target: int,
    *,
    lengths: Mapping[str, int],
    weights: Mapping[str, float],
    seed: int = 0,
    preselected: Sequence[Sample] = (),
    uniform_until: int | None = None,
) -> list[Sample]:
    """The official notebook's three stages, of which the paper prints two (s1_facts, section 4).

    Preselection; domains uniformly until `uniform_until` samples (default 70 % of the target) are chosen; then domains in
    proportion to `weights` (see `benchmark_weights`). A question of the domain comes with weight 2^-rank throughout. Two
    mends: draws are seeded, and what was chosen leaves the pool (there, a question drawn twice counted once).
    Raises SelectionError when the pool is too small or the weighted domains run dry.
    """
    switch = round(UNIFORM_SHARE * target) if uniform_until is None else uniform_until

    def domain(rng: random.Random, names: list[str], count: int) -> str:
        if count < switch:
            return rng.choice(names)
        shares = [weights.get(name, 0.0) for name in names]
        if not any(shares):
            weighted = ", ".join(sorted(name for name, weight in weights.items() if weight)) or "there are none"
            raise SelectionError(
                f"{count} of {target} samples are chosen and every domain with a benchmark weight ran dry ({weighted}): "
                'lower curation.target, enlarge the pool or set curation.selection to "paper"'
            )
        return rng.choices(names, shares)[0]

    return _draw(samples, target, _by_rank, lengths, seed, preselected, domain)


def preselect(
    samples: Sequence[Sample], correct: Collection[str], *, lengths: Mapping[str, int], long_math: int = LONG_MATH
) -> list[Sample]:
    """S before the first draw (section 2.2): what the teacher solved of AIME and GPQA, and of MATH with a trace over `long_math` tokens.

    correct: ids of the samples whose attempt is right. Sources are those of table 7; in order of id. Empty for a pool without them.
    """
    solved = (sample for sample in samples if sample.id in correct)
    chosen = [s for s in solved if _is(s, "AIME") or _is(s, "GPQA") or (_is(s, "MATH") and lengths[s.id] > long_math)]
    return sorted(chosen, key=lambda sample: sample.id)


def benchmark_weights(samples: Collection[Sample]) -> dict[str, float]:
    """Weight of each domain in the official third stage: its AIME questions + its GPQA questions, these rescaled to half the AIME total.

    The questions are those of the pool (after the difficulty filter), not of the test sets, which nothing here may look at.
    """
    aime = Counter(sample.domain for sample in samples if _is(sample, "AIME"))
    gpqa = Counter(sample.domain for sample in samples if _is(sample, "GPQA"))
    scale = aime.total() / (2 * gpqa.total()) if aime and gpqa else 1.0
    return {domain: aime[domain] + scale * gpqa[domain] for domain in sorted({*aime, *gpqa})}


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


def _is(sample: Sample, benchmark: str) -> bool:
    """Whether the sample comes from `benchmark`; "MATH" is a word of its own ("MATH", not "NuminaMATH")."""
    return benchmark in sample.source.upper().replace("/", " ").replace("_", " ").split()


def _by_rank(rng: random.Random, domain: list[Sample]) -> int:
    weights = WEIGHTS[: len(domain)]
    return rng.choices(range(len(weights)), weights)[0]


def _draw(
    samples: Sequence[Sample],
    target: int,
    pick: Callable[[random.Random, list[Sample]], int],
    lengths: Mapping[str, int],
    seed: int,
    preselected: Sequence[Sample],
    domain: Callable[[random.Random, list[str], int], str] = lambda rng, names, count: rng.choice(names),
) -> list[Sample]:
    """A domain by `domain` (of the names left, with so many samples chosen), one of its samples by `pick`, until there are enough."""
    chosen = list({sample.id: sample for sample in preselected}.values())
    if len(chosen) > target:
        raise SelectionError(f"{len(chosen)} samples are preselected but only {target} are asked for: raise curation.target")
    taken = {sample.id for sample in chosen}
    domains: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=_longest_first(lengths)):
        if sample.id not in taken:
            domains[sample.domain].append(sample)
    _require([sample for left in domains.values() for sample in left], target - len(chosen))
    rng = random.Random(seed)
    names = sorted(domains)
    while len(chosen) < target:
        name = domain(rng, names, len(chosen))
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
