"""What each model of notebook 02 is trained on: the profile's one list, `profile.sft.models`.

samples = samples_of("s1", profile, chat)
"""

from __future__ import annotations

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample, load_pool
from s1lib.curation.sources import open_pool
from s1lib.profile import CUT, Profile
from s1lib.sft.conditional_sets import KINDS, conditional_set


def samples_of(name: str, profile: Profile, chat: ChatFormat) -> list[Sample]:
    """The samples of one model: a set of notebook 01, a published one, or s1's as conditional control needs them.

    "cut" is trained on those of s1, which the trainer then cuts (`sft.cut_length`).
    """
    published = {one.name: one.path for one in profile.sft.published}
    if name in published:
        return open_pool(profile.resolve(published[name]))
    own = "s1" if name in (CUT, *KINDS) else name
    samples = load_pool(profile.outputs / "01_curation" / "sets" / f"{own}.jsonl")
    return conditional_set(name, samples, chat, separator=profile.sft.step_separator) if name in KINDS else samples
