"""Which methods each model of a profile is evaluated with."""

from __future__ import annotations

from s1lib.evaluation.methods import (
    ClassConditional,
    Direct,
    Forcing,
    Method,
    Sampling,
    StepConditional,
    TokenConditional,
    TreeSearch,
)
from s1lib.keeping.hashes import hash_of_model
from s1lib.profile import FIRST, Evaluation, Profile, Replica
from s1lib.thinking.budget import Budget
from s1lib.thinking.sweep import grid


def methods_for(profile: Profile, model: str, replica: Replica = FIRST) -> list[Method]:
    """The methods that one training of a model gets, as the paper gives them.

    The base model is asked with and without thinking (and to check its work), an ablation thinks
    to its natural stop, a published set or model also gets Waits (Table 5), and s1 gets everything,
    whoever trained it. A model trained for conditional control gets that alone. Without one for
    classes s1 itself is asked, as in the paper. A method whose list of settings is empty is left
    out. Of further trainings of s1 the sweep alone is decoded, which claims compare.
    """
    settings = profile.evaluation
    natural = Budget(max_thinking=settings.max_thinking, answer_tokens=settings.answer_tokens)
    some = settings.sampled_problems
    conditional = {
        "token": TokenConditional(settings.token_limits, natural, problems=some),
        "step": StepConditional(settings.step_limits, natural, problems=some),
        "class": ClassConditional(natural, problems=some),
    }
    if model in profile.sft.conditional:
        return [conditional[model]]
    published = {*settings.models, *(one.name for one in profile.sft.published)}
    if model in published - {"s1"}:
        return [Forcing(tuple(_points(settings, budgets=())), settings.max_thinking)]
    if model != "s1":
        asked = _asked(profile) if model == "base" else []
        return [*asked, Forcing((natural,), settings.max_thinking)]

    # s1: the sweep, with the other strings that may stand in for "Wait" (Table 4).
    points = _points(settings, budgets=settings.budgets)
    points += [
        Budget(
            max_thinking=settings.max_thinking,
            waits=settings.string_waits,
            wait=string,
            answer_tokens=settings.answer_tokens,
        )
        for string in settings.strings
    ]
    forcing = Forcing(tuple(dict.fromkeys(points)), settings.max_thinking)
    if not replica.is_first:
        return [forcing]

    ask = settings.ask_for_classes and "class" not in profile.sft.conditional
    asked = [conditional["class"]] if ask else []
    return [forcing, *_sampling(settings, natural), *_tree_search(profile, natural), *asked]


def _asked(profile: Profile) -> list[Method]:
    """The base model in its own form, and where the profile has a sentence for it, to check."""
    settings = profile.evaluation
    asked: list[Method] = [Direct(profile.curation.attempt_tokens)]
    if settings.check_request:
        limit = settings.max_thinking + settings.answer_tokens
        asked.append(Direct(limit, settings.check_request, name="direct_asked"))
    return asked


def _points(settings: Evaluation, *, budgets: tuple[int, ...]) -> list[Budget]:
    return grid(
        budgets,
        settings.waits,
        max_thinking=settings.max_thinking,
        answer_tokens=settings.answer_tokens,
    )


def _sampling(settings: Evaluation, natural: Budget) -> list[Method]:
    """Votes and rejection, from the same samples where their temperatures agree."""
    votes, caps = max(settings.votes, default=0), settings.rejection_caps
    tries, some = settings.rejection_tries, settings.sampled_problems
    vote, reject = settings.vote_temperature, settings.rejection_temperature
    if vote == reject:
        methods = [Sampling(natural, vote, votes, caps, tries, some)]
    else:
        methods = [
            Sampling(natural, vote, votes=votes, problems=some),
            Sampling(natural, reject, caps=caps, tries=tries, problems=some),
        ]
    return [method for method in methods if method.votes or method.caps]


def _tree_search(profile: Profile, natural: Budget) -> list[Method]:
    """Tree search, where the profile names a reward model and widths for it."""
    settings = profile.evaluation
    if not (settings.reward and settings.tree_widths):
        return []
    reward = profile.resolve(settings.reward)
    return [
        TreeSearch(
            settings.tree_widths,
            natural,
            settings.vote_temperature,
            reward,
            hash_of_model(reward),
            profile.sft.step_separator,
            settings.sampled_problems,
        )
    ]
