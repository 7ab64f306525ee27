"""The training set of each model of the profile's one list, `profile.sft.models`.

    samples = samples_of("s1", profile, chat)
    samples = conditional_set("token", samples, chat, separator="\n\n")

For conditional length control (paper, section 3.2) every sample states a limit that its own trace
keeps, so that a model can learn to keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from s1lib.chat import ChatFormat, length_control
from s1lib.curation.pool import Sample, load_pool
from s1lib.curation.sources import open_pool
from s1lib.profile import CUT, Profile
from s1lib.sft.dataset import SFTDataError

KINDS = ("token", "step", "class")  # of conditional length control


def samples_of(name: str, profile: Profile, chat: ChatFormat) -> list[Sample]:
    """The samples of one model: a set of notebook 01, a published one, or a conditional one.

    "cut" is trained on those of s1, which the trainer then cuts (`sft.cut_length`). What s1 is
    trained on is shown in notebook 02 even where its weights are published ones.
    """
    if name == CUT:
        return samples_of("s1", profile, chat)
    if name in KINDS:
        samples = samples_of("s1", profile, chat)
        return conditional_set(name, samples, chat, separator=profile.sft.step_separator)
    published = {one.name: one.path for one in profile.sft.published}
    if name in published:
        return open_pool(profile.resolve(published[name]))
    return load_pool(profile.outputs / "01_curation" / "sets" / f"{name}.jsonl")


def conditional_set(
    kind: str, samples: Sequence[Sample], chat: ChatFormat, *, separator: str
) -> list[Sample]:
    """The samples as one kind of conditional control needs them.

    token: the prompt states the trace's tokens, rounded up to a power of two. step: it states the
    number of steps, which `separator` divides, and the trace counts them down. class: the shortest
    third of the traces is asked to be short, the longest third to be long. (The paper asks its s1
    for that without training, as its base model follows instructions. The toy's does not.) Raises
    SFTDataError for any other kind.
    """
    if kind not in KINDS:
        raise SFTDataError(f"sft.conditional names {kind!r}; write {', '.join(KINDS)}")
    if kind == "step":
        return [_in_steps(sample, separator) for sample in samples]

    lengths = {sample.id: len(chat.encode(sample.trace)) for sample in samples}
    if kind == "token":
        limits = {name: length_control.power_of_two(length) for name, length in lengths.items()}
        asked = (length_control.token_limit(one.question, limits[one.id]) for one in samples)
    else:
        classes = _classes(lengths)
        asked = (length_control.length_class(one.question, classes[one.id]) for one in samples)
    return [replace(one, question=text) for one, text in zip(samples, asked, strict=True)]


def _in_steps(sample: Sample, separator: str) -> Sample:
    limit, trace = length_control.count_down(sample.trace, separator=separator)
    return replace(sample, question=length_control.step_limit(sample.question, limit), trace=trace)


def _classes(lengths: dict[str, int]) -> dict[str, str]:
    """By id: "short" for the shortest third, "long" for the longest, "none" between them."""
    order = sorted(lengths, key=lambda name: (lengths[name], name))
    third = len(order) // 3
    short, long = order[:third], order[len(order) - third :]
    extremes = dict.fromkeys(short, "short") | dict.fromkeys(long, "long")
    return dict.fromkeys(order, "none") | extremes
