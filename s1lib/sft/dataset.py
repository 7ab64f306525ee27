"""Samples as training examples: prompt and completion as plain strings, none longer than the limit (paper, appendix D)."""

from __future__ import annotations

from collections.abc import Sequence

from datasets import Dataset

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample


class SFTDataError(ValueError):
    """The samples cannot be trained on as they are; the message is one line that names them."""


def training_set(samples: Sequence[Sample], chat: ChatFormat, *, max_length: int) -> Dataset:
    """Columns id, prompt, completion (the loss is on it alone) and length (tokens of both); nothing is ever cut.

    Raises SFTDataError that lists the samples longer than `max_length` tokens (the paper's table 8: cutting costs accuracy)
    and those without a trace.
    """
    if not samples:
        raise SFTDataError("there are no samples to train on: check the set's file in 01_curation/sets")
    empty = [sample.id for sample in samples if not sample.trace.strip()]
    if empty:
        raise SFTDataError(f"{_some(empty)} without a trace: run the quality filter of notebook 01 or drop them")
    rows = [chat.example(sample.question, sample.trace, sample.attempt) for sample in samples]
    lengths = [len(chat.encode(row["prompt"] + row["completion"])) for row in rows]
    long = [f"{sample.id} ({length})" for sample, length in zip(samples, lengths, strict=True) if length > max_length]
    if long:
        raise SFTDataError(f"{_some(long)} longer than sft.max_length = {max_length} tokens: raise it or drop them; nothing is cut")
    columns = {"id": [sample.id for sample in samples], "prompt": [row["prompt"] for row in rows]}
    return Dataset.from_dict({**columns, "completion": [row["completion"] for row in rows], "length": lengths})


def _some(names: Sequence[str], shown: int = 10) -> str:
    listed = ", ".join(names[:shown]) + (", …" if len(names) > shown else "")
    return f"{len(names)} sample{'s' * (len(names) > 1)} ({listed})"
