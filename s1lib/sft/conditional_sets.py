"""Training sets for conditional length control (paper, section 3.2): the curated set, with its lengths said in the prompt.

    conditional_set("token", samples, chat, separator="\n\n")

Every sample states a limit that its own trace keeps, so a model can learn to keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from s1lib.chat import ChatFormat
from s1lib.chat import length_control as conditions
from s1lib.curation.pool import Sample
from s1lib.sft.dataset import SFTDataError

KINDS = ("token", "step", "class")


def conditional_set(kind: str, samples: Sequence[Sample], chat: ChatFormat, *, separator: str) -> list[Sample]:
    """The samples as `kind` ("token", "step" or "class") conditional control needs them; raises SFTDataError for another kind.

    token: the prompt states the trace's tokens, rounded up to a power of two. step: it states the number of steps, and the
    trace counts them down. class: the shortest third of the traces is asked to be short, the longest third to be long.
    (The paper asks its s1 for short or long thinking without training for it; its base model follows instructions, the
    toy's does not.)
    """
    lengths = {sample.id: len(chat.encode(sample.trace)) for sample in samples}
    if kind == "token":
        limits = {name: conditions.power_of_two(length) for name, length in lengths.items()}
        return [replace(sample, question=conditions.token_limit(sample.question, limits[sample.id])) for sample in samples]
    if kind == "step":
        return [_in_steps(sample, separator) for sample in samples]
    if kind == "class":
        order = sorted(lengths, key=lambda name: (lengths[name], name))
        third = len(order) // 3
        classes = dict.fromkeys(order, "none") | dict.fromkeys(order[:third], "short") | dict.fromkeys(order[len(order) - third :], "long")
        return [replace(sample, question=conditions.length_class(sample.question, classes[sample.id])) for sample in samples]
    raise SFTDataError(f"sft.conditional names {kind!r}; write {', '.join(KINDS)}")


def _in_steps(sample: Sample, separator: str) -> Sample:
    limit, trace = conditions.count_down(sample.trace, separator=separator)
    return replace(sample, question=conditions.step_limit(sample.question, limit), trace=trace)
