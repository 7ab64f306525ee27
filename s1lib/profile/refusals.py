"""What a profile may not say: names and numbers that no notebook could follow.

All of it is known before any work, so that no run ends after hours for it.
"""

from __future__ import annotations

from pathlib import Path

from s1lib.profile.profile import Profile, ProfileError
from s1lib.profile.replicas import replicas_of
from s1lib.profile.settings import SFT

LARGE = SFT.base  # of the toy universe, which `universe.seeds` trains several times


def refuse(profile: Profile) -> None:
    """Raises ProfileError for settings that no notebook could follow."""
    _check_names(profile)
    _check_numbers(profile)
    if profile.universe is None and "00_toy_universe" in profile.notebooks:
        raise ProfileError(
            f"profile {profile.name}: there is no universe for 00_toy_universe to make: "
            "leave it out of notebooks"
        )
    if twice := sorted({"base", *profile.sft.models} & set(profile.evaluation.models)):
        raise ProfileError(
            f"profile {profile.name}: evaluation.models names {twice[0]!r}, which is the base "
            "model or one that sft trains: give it another name, or take it out of sft.sets and "
            "sft.published"
        )
    for key in ("budgets", "waits"):
        if not getattr(profile.evaluation, key):
            raise ProfileError(
                f"profile {profile.name}: evaluation.{key} is empty, and notebook 03 has nothing "
                "to force: name at least one"
            )
    _check_seeds(profile)


def _check_seeds(profile: Profile) -> None:
    """Raises ProfileError for seeds that cannot be trained, or trained without a mix-up."""
    bases = profile.universe.seeds if profile.universe else 1
    for key, seeds in (("sft.seeds", profile.sft.seeds), ("universe.seeds", bases)):
        if seeds < 1:
            raise ProfileError(f"profile {profile.name}: {key} is {seeds}: write 1 or more")
    if bases > 1 and profile.sft.base != LARGE:
        raise ProfileError(
            f"profile {profile.name}: universe.seeds is {bases}, and sft.base is no base model of "
            f'the universe: set sft.base: "{LARGE}", or universe.seeds: 1'
        )

    # Every training has a folder and lines of the log of its own.
    taken = {"base", *profile.sft.models, *profile.evaluation.models}
    for model in sorted(taken):
        for replica in replicas_of(profile, model):
            if replica.suffix and (name := model + replica.suffix) in taken:
                raise ProfileError(
                    f"profile {profile.name}: {name!r} is the name of a model and of one of the "
                    f"trainings of {model!r}: give the model another name"
                )


def _check_names(profile: Profile) -> None:
    """Raises ProfileError for names that are no folder of their own, or stand for two things."""
    named = {
        "name": [profile.name],
        "sft.published": [one.name for one in profile.sft.published],
        "evaluation.models": list(profile.evaluation.models),
        "evaluation.benchmarks": [one.name for one in profile.evaluation.benchmarks],
        "curation.models": [Path(model).name for model in profile.curation.models],
    }
    for key, names in named.items():
        for name in names:
            if not name or name.startswith(".") or set(name) & set("/\\"):
                raise ProfileError(
                    f"profile {profile.name}: {key} holds the name {name!r}, which cannot be a "
                    "folder's: write one without slashes that begins with no dot"
                )
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ProfileError(
                f"profile {profile.name}: {key} names {twice[0]!r} twice, and their results would "
                "be mixed: give one of them another name"
            )
    if "base" in named["sft.published"]:
        raise ProfileError(
            f"profile {profile.name}: sft.published names 'base', which is the model before "
            "training: give it another name"
        )


def _check_numbers(profile: Profile) -> None:
    """Raises ProfileError for numbers with which nothing can be computed."""
    curation, sft, scaling = profile.curation, profile.sft, profile.scaling
    least = {
        "threads": (profile.threads, 0),
        "curation.target": (curation.target, 1),
        "curation.ngram": (curation.ngram, 1),
        "curation.attempt_tokens": (curation.attempt_tokens, 1),
        "sft.batch_size": (sft.batch_size, 1),
        "sft.micro_batch_size": (sft.micro_batch_size, 1),
        "sft.epochs": (sft.epochs, 0.001),
        "scaling.resamples": (scaling.resamples, 1),
    }
    for one in profile.evaluation.benchmarks:
        if one.limit is not None:
            least[f"the limit of benchmark {one.name}"] = (one.limit, 1)
    for key, (value, smallest) in least.items():
        if value < smallest:
            raise ProfileError(
                f"profile {profile.name}: {key} is {value}: write {smallest} or more"
            )
    if not 0 < scaling.alpha < 1:
        raise ProfileError(
            f"profile {profile.name}: scaling.alpha is {scaling.alpha}: write a number between 0 "
            "and 1, 0.05 for 95 % intervals"
        )
