"""The sets that s1K is compared with (paper, section 5.1), and three that lack one criterion.

    sets = ablations(questions_after_quality, 1000, lengths=lengths, seed=0)

The paper's random, diverse and longest use *one* of the three criteria, full only quality. The
sets of `without_one` use two of three, so that each tells what its criterion adds to the others.
Like s1K, every set depends on the samples, the target and the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.curation.quality import spells_control_token
from s1lib.curation.selection import draw_until, longest_first, require

Draw = Callable[[Sequence[Sample], int], list[Sample]]  # as s1 is drawn: samples and a target


def ablations(
    samples: Sequence[Sample],
    target: int,
    *,
    lengths: Mapping[str, int],
    full_size: int | None = None,
    seed: int = 0,
) -> dict[str, list[Sample]]:
    """The paper's four sets by name, of the samples that pass the quality filter.

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


def without_one(
    names: Collection[str],
    target: int,
    *,
    flawed: Sequence[Sample],
    good: Sequence[Sample],
    hard: Sequence[Sample],
    draw: Draw,
    seed: int = 0,
) -> dict[str, list[Sample]]:
    """Those of the three sets without one criterion that `names` asks for, each of `target`.

    no_quality: drawn like s1, but of the traces that the quality filter drops as well.
    no_difficulty: drawn like s1, but of the questions that a base model answers as well.
    no_diversity: of s1's questions uniformly, without regard to domain and length.

    flawed: what quality drops, difficulty does not, and a model can be trained on (`trainable`).
    good, hard: what passes the quality filter, and what of it passes the difficulty filter.
    Raises SelectionError for fewer than `target` samples.
    """
    rules = {
        "no_quality": lambda: draw([*hard, *flawed], target),
        "no_difficulty": lambda: draw(good, target),
        "no_diversity": lambda: uniform(hard, target, seed=seed),
    }
    return {name: rule() for name, rule in rules.items() if name in names}


def trainable(samples: Sequence[Sample], chat: ChatFormat, *, max_length: int) -> list[Sample]:
    """The samples that can be an example at all, whatever else is wrong with them.

    A failed call and an empty trace leave nothing to learn, a control token in the text would be
    trained on as such, and a training refuses an example of more than `max_length` tokens.
    """
    kept = []
    for sample in samples:
        if sample.error or not sample.trace.strip() or spells_control_token(sample):
            continue
        example = chat.example(sample.question, sample.trace, sample.attempt)
        if len(chat.encode(example["prompt"] + example["completion"])) <= max_length:
            kept.append(sample)
    return kept


def of_sizes(
    sizes: Mapping[str, tuple[str, int]],
    *,
    good: Sequence[Sample],
    hard: Sequence[Sample],
    draw: Draw,
    seed: int = 0,
) -> dict[str, list[Sample]]:
    """s1 and random at further sizes by name, drawn as these are (`s1lib.profile.sized_sets`).

    A set that asks for more questions than there are takes them all.
    """
    rules: dict[str, Callable[[int], list[Sample]]] = {
        "s1": lambda size: draw(hard, min(size, len(hard))),
        "random": lambda size: uniform(good, min(size, len(good)), seed=seed),
    }
    return {name: rules[like](size) for name, (like, size) in sizes.items()}
