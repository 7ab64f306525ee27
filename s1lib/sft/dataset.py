"""Samples as training examples: prompt and completion as plain strings, none longer than the limit (paper, appendix D)."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Literal

from datasets import Dataset
from torch.utils.data import Sampler

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.errors import S1Error
from s1lib.profile import SFT


class SFTDataError(S1Error):
    """The samples cannot be trained on as they are; the message is one line that names them."""


def training_set(
    samples: Sequence[Sample], chat: ChatFormat, *, max_length: int, too_long: Literal["refuse", "drop", "cut"] = "refuse"
) -> Dataset:
    """Columns id, prompt, completion (the loss is on it alone), length (tokens of both, as trained) and cut.

    Raises SFTDataError that lists the samples longer than `max_length` tokens, which may be dropped instead, and those
    without a trace. Nothing is cut unless "cut" says so (the paper's table 8): then the trainer leaves out what lies beyond
    `max_length`, the answer first.
    """
    if not samples:
        raise SFTDataError("there are no samples to train on: check the set's file in 01_curation/sets")
    empty = [sample.id for sample in samples if not sample.trace.strip()]
    if empty:
        raise SFTDataError(f"{_some(empty)} without a trace: run the quality filter of notebook 01 or drop them")
    rows = [chat.example(sample.question, sample.trace, sample.attempt) for sample in samples]
    lengths = [len(chat.encode(row["prompt"] + row["completion"])) for row in rows]
    long = [f"{sample.id} ({length})" for sample, length in zip(samples, lengths, strict=True) if length > max_length]
    if long and (too_long == "refuse" or (too_long == "drop" and len(long) == len(samples))):
        change = "raise it, or set sft.too_long to drop them; nothing is cut"
        raise SFTDataError(f"{_some(long)} longer than sft.max_length = {max_length} tokens: {change}")
    if too_long == "drop":
        kept = [place for place, length in enumerate(lengths) if length <= max_length]
        samples, rows, lengths = ([part[place] for place in kept] for part in (samples, rows, lengths))
    columns = {"id": [sample.id for sample in samples], "prompt": [row["prompt"] for row in rows]}
    columns |= {"completion": [row["completion"] for row in rows], "length": [min(length, max_length) for length in lengths]}
    return Dataset.from_dict({**columns, "cut": [length > max_length for length in lengths]})


def full_steps(examples: int, settings: SFT) -> int:
    """Optimiser steps of all epochs, an incomplete batch counted as one; `sft.max_steps` is not looked at (appendix D: 315 for 1,000)."""
    return math.ceil(math.ceil(examples / settings.batch_size) * settings.epochs)


class LengthBatches(Sampler[int]):
    """Indices in an order whose batches hold examples of similar length, so that little is padding, and come in random order.

    Each epoch shuffles the examples, sorts every `pool` batches of them by length and shuffles the batches; an incomplete
    batch comes last. (transformers' own length grouping goes from long to short through every epoch.)
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, *, seed: int, pool: int = 8, epoch: int = 0) -> None:
        self.lengths, self.batch_size, self.pool = lengths, batch_size, pool
        self.rng = random.Random(seed)
        for _ in range(epoch):  # a resumed run begins with the order that this epoch would have had
            iter(self)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        order = self.rng.sample(range(len(self)), len(self))
        whole, size = len(self) - len(self) % self.batch_size, self.batch_size
        batches = []
        for start in range(0, whole, size * self.pool):
            part = sorted(order[start : min(start + size * self.pool, whole)], key=lambda index: self.lengths[index])
            batches += [part[i : i + size] for i in range(0, len(part), size)]
        self.rng.shuffle(batches)
        return iter([index for batch in [*batches, order[whole:]] for index in batch])


def _some(names: Sequence[str], shown: int = 10) -> str:
    listed = ", ".join(names[:shown]) + (", …" if len(names) > shown else "")
    return f"{len(names)} sample{'s' * (len(names) > 1)} ({listed})"
