"""Which 1,000 questions to train on: the paper's Algorithm 1 and the official notebook's version.

    first = preselect(hard_questions, correct_ids, lengths=lengths)  # AIME, GPQA and long MATH
    s1 = choose("paper", hard_questions, 1000, lengths=lengths, preselected=first)

A set depends on the samples, the target and the seed alone, not on the order in which the samples
come. `s1lib.curation.ablation_sets` draws the sets that s1K is compared with.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from s1lib.curation.pool import Sample
from s1lib.errors import S1Error

VARIANTS = ("paper", "official")
LONG_MATH = 5600  # tokens: a correct MATH question with a longer trace is preselected
UNIFORM_SHARE = 0.7  # of the target: the official notebook draws 700 of 1,000 with uniform domains
# Weight 2^-rank of rank 0, 1, ...: ranks past 60 add less than a double's last bit to the sum.
RANK_WEIGHTS = [2.0**-rank for rank in range(60)]

DrawDomain = Callable[[random.Random, list[str], int], str]
DrawQuestion = Callable[[random.Random, list[Sample]], int]


class SelectionError(S1Error):
    """The pool cannot give the set asked for. The message says why and what to change."""


def choose(
    variant: str,
    samples: Sequence[Sample],
    target: int,
    *,
    lengths: Mapping[str, int],
    seed: int = 0,
    preselected: Sequence[Sample] = (),
) -> list[Sample]:
    """s1K as the profile's `curation.selection` asks for it.

    variant: "paper" is Algorithm 1 as printed, "official" the notebook behind the released set,
        with domain weights from the AIME and GPQA questions among `samples` and `preselected`.
    Raises SelectionError.
    """
    if variant not in VARIANTS:
        known = " or ".join(map(repr, VARIANTS))
        raise SelectionError(f"unknown curation.selection {variant!r}: use {known}")
    options = {"lengths": lengths, "seed": seed, "preselected": preselected}
    if variant == "paper":
        return select(samples, target, **options)
    weights = benchmark_weights({s.id: s for s in [*samples, *preselected]}.values())
    return select_official(samples, target, weights=weights, **options)


def select(
    samples: Sequence[Sample],
    target: int,
    *,
    lengths: Mapping[str, int],
    seed: int = 0,
    preselected: Sequence[Sample] = (),
) -> list[Sample]:
    """`target` distinct samples by Algorithm 1: a domain uniformly, then a question by its rank.

    lengths: tokens of each sample's trace by id. Rank 0 is the longest trace left in a domain.
    preselected: S before the first draw, see `preselect`. It counts towards the target and comes
        first in the result, before the others in the order drawn.
    Raises SelectionError when fewer than `target` distinct samples exist.
    """
    return draw_until(samples, target, draw_by_rank, lengths, seed, preselected)


def draw_by_rank(rng: random.Random, domain: list[Sample]) -> int:
    """The position of one question of a domain, longest trace first, with weight 2^-rank."""
    weights = RANK_WEIGHTS[: len(domain)]
    return rng.choices(range(len(weights)), weights)[0]


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
    """The official notebook's three stages (docs/official_rules.md, S8). The paper has two.

    After the preselection, domains are drawn uniformly until `uniform_until` samples are chosen
    (default 70 % of the target), then in proportion to `weights` (see `benchmark_weights`). A
    question of the domain comes with weight 2^-rank throughout. Two things differ from that
    notebook: draws are seeded, and what was chosen leaves the pool (there, a question drawn twice
    counted once).
    Raises SelectionError when the pool is too small or the weighted domains run dry.
    """
    switch = round(UNIFORM_SHARE * target) if uniform_until is None else uniform_until

    def draw_domain(rng: random.Random, names: list[str], count: int) -> str:
        if count < switch:
            return rng.choice(names)

        # The third stage can only draw from domains of AIME and GPQA questions.
        shares = [weights.get(name, 0.0) for name in names]
        if not any(shares):
            weighted = ", ".join(sorted(name for name, weight in weights.items() if weight))
            raise SelectionError(
                f"{count} of {target} samples are chosen and every domain with a benchmark weight "
                f"ran dry ({weighted or 'there are none'}): lower curation.target, enlarge the "
                'pool or set curation.selection to "paper"'
            )
        return rng.choices(names, shares)[0]

    return draw_until(samples, target, draw_by_rank, lengths, seed, preselected, draw_domain)


def preselect(
    samples: Sequence[Sample],
    correct: Collection[str],
    *,
    lengths: Mapping[str, int],
) -> list[Sample]:
    """S before the first draw: what the teacher solved of AIME, GPQA and long MATH (section 2.2).

    correct: ids of the samples whose attempt is right.
    In order of id, and empty for a pool without these sources of Table 7.
    """

    def wanted(sample: Sample) -> bool:
        if is_from(sample, "AIME") or is_from(sample, "GPQA"):
            return True
        return is_from(sample, "MATH") and lengths[sample.id] > LONG_MATH

    chosen = [sample for sample in samples if sample.id in correct and wanted(sample)]
    return sorted(chosen, key=lambda sample: sample.id)


def benchmark_weights(samples: Collection[Sample]) -> dict[str, float]:
    """Weight of each domain in the official third stage.

    It is the domain's AIME questions plus its GPQA questions, these rescaled to half the AIME
    total. The questions are those of the pool (after the difficulty filter), not of the test sets,
    which nothing here may look at.
    """
    aime = Counter(sample.domain for sample in samples if is_from(sample, "AIME"))
    gpqa = Counter(sample.domain for sample in samples if is_from(sample, "GPQA"))
    scale = aime.total() / (2 * gpqa.total()) if aime and gpqa else 1.0
    return {domain: aime[domain] + scale * gpqa[domain] for domain in sorted({*aime, *gpqa})}


def is_from(sample: Sample, benchmark: str) -> bool:
    """Whether the sample's source is `benchmark`, as a whole word: "MATH", not "NuminaMATH"."""
    return benchmark in sample.source.upper().replace("/", " ").replace("_", " ").split()


def draw_until(
    samples: Sequence[Sample],
    target: int,
    draw_question: DrawQuestion,
    lengths: Mapping[str, int],
    seed: int,
    preselected: Sequence[Sample] = (),
    draw_domain: DrawDomain = lambda rng, names, count: rng.choice(names),
) -> list[Sample]:
    """Draw a domain, then one of its questions, until `target` samples are chosen.

    draw_question: from a domain's questions, longest trace first, to a position among them.
    draw_domain: from the domains left and the number of samples chosen to one of them.
    """
    chosen = list({sample.id: sample for sample in preselected}.values())
    if len(chosen) > target:
        raise SelectionError(
            f"{len(chosen)} samples are preselected but only {target} are asked for: "
            "raise curation.target, or the smallest of curation.sizes"
        )

    # Ranks are places in a domain's list, so they close up after a draw.
    taken = {sample.id for sample in chosen}
    domains: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=longest_first(lengths)):
        if sample.id not in taken:
            domains[sample.domain].append(sample)
    require([sample for left in domains.values() for sample in left], target - len(chosen))

    # Names in a fixed order, so that the seed decides and not the order of the samples.
    rng = random.Random(seed)
    names = sorted(domains)
    while len(chosen) < target:
        name = draw_domain(rng, names, len(chosen))
        chosen.append(domains[name].pop(draw_question(rng, domains[name])))
        if not domains[name]:
            names.remove(name)
    return chosen


def longest_first(lengths: Mapping[str, int]) -> Callable[[Sample], tuple[int, str]]:
    """A sort key that puts equally long traces in order of id."""
    return lambda sample: (-lengths.get(sample.id, 0), sample.id)


def require(samples: Sequence[Sample], target: int) -> None:
    """Raise SelectionError, with what each domain still has, for fewer than `target` samples."""
    if len(samples) >= target:
        return
    left = sorted(Counter(sample.domain for sample in samples).items())
    dry = ", ".join(f"{name} ({count})" for name, count in left)
    raise SelectionError(
        f"asked for {target} samples but only {len(samples)} are left; every domain ran dry: "
        f"{dry or 'there are none'}; lower curation.target or enlarge the pool"
    )
