"""Which models of a profile are trained several times, where each one lies, what it is called.

    replicas = replicas_of(profile, "s1")          # with sft.seeds = 2: two of them
    path_of(profile, "s1", replicas[1])            # .../02_sft/models/s1-seed1
    with_seeds(profile, replicas[1]).sft.seed      # that of the profile + 1

A table shows the mean over a model's replicas, which therefore share its name in all records.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from s1lib.profile.profile import Profile
from s1lib.profile.settings import CUT


@dataclass(frozen=True)
class Replica:
    """One training of a model, told from the others by the seeds that it came from.

    base_seed: 0 for the first or only base model, 1 for the second. sft_seed: the same for the
    fine-tunings of one base model, None for a base model and for what is not trained here.
    """

    base_seed: int = 0
    sft_seed: int | None = None

    @property
    def is_first(self) -> bool:
        """Whether it is the first training of its model, or the only one."""
        return not (self.base_seed or self.sft_seed)

    @property
    def suffix(self) -> str:
        """What stands behind the model's name in paths and logs: nothing for the first one."""
        if self.is_first:
            return ""
        if self.sft_seed is None:
            return f"-{self.base_seed}"
        base = f"-base{self.base_seed}" if self.base_seed else ""
        return f"{base}-seed{self.sft_seed}"


FIRST = Replica(sft_seed=0)  # of a model that is trained here


def replicas_of(profile: Profile, model: str) -> list[Replica]:
    """The trainings of one model, the first one first.

    Several are those of the base model and of what claims compare: s1, the other sets of notebook
    01, and the model of cut examples.
    """
    bases = range(profile.universe.seeds if profile.universe else 1)
    if model == "base":
        return [Replica(base) for base in bases]
    if model in profile.evaluation.models:
        return [Replica()]
    if model in profile.sft.models and model not in {*profile.sft.sets, CUT, "s1"}:
        return [FIRST]
    return [Replica(base, seed) for base in bases for seed in range(profile.sft.seeds)]


def path_of(profile: Profile, model: str, replica: Replica) -> str:
    """Where one training of a model lies. Raises ProfileError for a model the profile lacks."""
    return profile.model_path(model) + replica.suffix


def with_seeds(profile: Profile, replica: Replica) -> Profile:
    """The profile that trains one replica: with its base model, and with its seed of training."""
    base = path_of(profile, "base", Replica(replica.base_seed))
    seed = profile.sft.seed + (replica.sft_seed or 0)
    return dataclasses.replace(profile, sft=dataclasses.replace(profile.sft, base=base, seed=seed))
