"""The replicas of a model, and values that are paired over problems and replicas.

A *replica* is one training of a model: (base_seed, sft_seed). A model without SFT seeds, such as
the base model, has UNTRAINED as its second number and stands beside every SFT seed of its base.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

REPLICA = ["base_seed", "sft_seed"]  # the columns of records
UNTRAINED = -1  # sft_seed of a model that was not fine-tuned in this run, null in the records

Replica = tuple[int, int]


class Paired(NamedTuple):
    """Values [problems, replicas, runs] of the problems and replicas that all the runs have."""

    problems: pd.Index
    replicas: list[Replica]
    values: np.ndarray


def trained(present: Iterable[set[Replica]]) -> set[Replica]:
    """All replicas that were fine-tuned, or all where none was, given those of each run."""
    every = set().union(*present)
    return {one for one in every if one[1] != UNTRAINED} or every


def shared(present: Sequence[set[Replica]]) -> list[Replica]:
    """The replicas that every run has, in order, given those of each run."""
    return sorted(one for one in trained(present) if all(stands_for(one, own) for own in present))


def stands_for(replica: Replica, present: set[Replica]) -> Replica | None:
    """The one of `present` that counts for a replica: itself, or the base that it starts from."""
    untrained = (replica[0], UNTRAINED)
    return next((one for one in (replica, untrained) if one in present), None)


def replica_name(replica: Replica, replicas: Collection[Replica]) -> str:
    """What tells a replica from the others: "seed 1", "base 1", or "base 1, seed 0"."""
    base, seed = f"base {replica[0]}", f"seed {max(replica[1], 0)}"
    if _one_of_each_base(replicas):
        return base
    several = len({one[0] for one in replicas}) > 1
    return f"{base}, {seed}" if several else seed


def number_of(replicas: Collection[Replica]) -> str:
    """How many there are, by what tells them apart: "3 seeds", "3 base models"."""
    return f"{len(replicas)} {'base models' if _one_of_each_base(replicas) else 'seeds'}"


def _one_of_each_base(replicas: Collection[Replica]) -> bool:
    """Whether there are several, which differ in their base models alone."""
    return 1 < len(replicas) == len({base for base, _ in replicas})
