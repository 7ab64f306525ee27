"""Samples as training examples: prompt and completion as plain strings (paper, appendix D)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from datasets import Dataset
from torch.utils.data import Sampler

from s1lib.chat import ChatFormat
from s1lib.chat.length_control import COUNTED
from s1lib.curation.pool import Sample
from s1lib.errors import S1Error


class SFTDataError(S1Error):
    """The samples cannot be trained on as they are: one line that names them."""


def training_set(
    samples: Sequence[Sample],
    chat: ChatFormat,
    *,
    max_length: int,
    too_long: Literal["refuse", "drop", "cut"] = "refuse",
) -> Dataset:
    """Columns id, prompt, completion (the loss is on it alone), length (tokens of both) and cut.

    Raises SFTDataError that lists the samples without a trace, with control tokens in their text,
    and longer than `max_length` tokens. The last may be dropped instead. Nothing is cut unless
    "cut" says so (the paper's table 8): then the trainer leaves out what lies beyond `max_length`,
    the answer first, and refused is only a prompt that leaves nothing to train on.
    """
    _refuse_unfit(samples, chat)
    rows = [chat.example(sample.question, sample.trace, sample.attempt) for sample in samples]
    lengths = [len(chat.encode(row["prompt"] + row["completion"])) for row in rows]
    sized = list(zip(samples, rows, lengths, strict=True))

    # A trace without its end teaches something else, so cutting must be asked for.
    long = [f"{sample.id} ({length})" for sample, _, length in sized if length > max_length]
    if long and (too_long == "refuse" or (too_long == "drop" and len(long) == len(samples))):
        raise SFTDataError(
            f"{_some(long)} longer than sft.max_length = {max_length} tokens: "
            "raise it, or set sft.too_long to drop them; nothing is cut"
        )

    # Of a prompt that fills the limit no token would be left with a loss.
    prompts = {
        sample.id: len(chat.encode(row["prompt"]))
        for sample, row, length in sized
        if too_long == "cut" and length > max_length
    }
    full = [f"{name} ({length})" for name, length in prompts.items() if length >= max_length]
    if full:
        raise SFTDataError(
            f"{_some(full)} cut at {max_length} tokens within the prompt, which leaves nothing to "
            "train on: raise sft.cut_length, or drop them"
        )

    return Dataset.from_list(
        [
            {"id": sample.id, **row, "length": min(length, max_length), "cut": length > max_length}
            for sample, row, length in sized
            if too_long == "cut" or length <= max_length
        ]
    )


def _refuse_unfit(samples: Sequence[Sample], chat: ChatFormat) -> None:
    """Raises SFTDataError for no samples, for missing traces and for spelled control tokens."""
    if not samples:
        raise SFTDataError(
            "there are no samples to train on: check the set's file in 01_curation/sets"
        )
    empty = [sample.id for sample in samples if not sample.trace.strip()]
    if empty:
        raise SFTDataError(
            f"{_some(empty)} without a trace: run the quality filter of notebook 01 or drop them"
        )

    # The trainer would read them as the tokens themselves: `<|im_end|>` in a trace would be a
    # second end of turn.
    control, spelled = _control_tokens(chat), []
    for sample in samples:
        trace = COUNTED.sub("", sample.trace)  # "<|im_start|>4 steps left" is meant as it stands
        texts = {"question": sample.question, "trace": trace, "answer": sample.attempt}
        found = [(control.search(text), part) for part, text in texts.items()]
        hits = [f"{hit[0]} in its {part}" for hit, part in found if hit]
        if hits:
            spelled.append(f"{sample.id}: {', '.join(hits)}")
    if spelled:
        raise SFTDataError(
            f"{_some(spelled)} with control tokens in the text, which would be trained on as such: "
            "rewrite or drop them"
        )


def _control_tokens(chat: ChatFormat) -> re.Pattern[str]:
    """Matches every special token of the tokenizer, where it is spelled in a text.

    U+FFFD, which stands for characters that got lost, may be special as well. It controls nothing.
    """
    added = chat.tokenizer.added_tokens_decoder.values()
    texts = {*chat.tokenizer.all_special_tokens, *(one.content for one in added if one.special)}
    texts.discard("\ufffd")
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")  # nothing, if none


class LengthBatches(Sampler[int]):
    """Indices in an order whose batches hold examples of similar length, in random order.

    So little is padding. Each epoch shuffles the examples, sorts every `pool` batches of them by
    length and shuffles the batches. An incomplete batch comes last. (transformers' own length
    grouping goes from long to short through every epoch.)
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, *, seed: int, pool: int = 8, epoch: int = 0
    ) -> None:
        self.lengths, self.batch_size, self.pool = lengths, batch_size, pool
        self.rng = random.Random(seed)
        for _ in range(epoch):  # a resumed run begins with the order that this epoch would have had
            iter(self)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        order = self.rng.sample(range(len(self)), len(self))
        size, whole = self.batch_size, len(self) - len(self) % self.batch_size
        batches = []
        for start in range(0, whole, size * self.pool):
            part = order[start : min(start + size * self.pool, whole)]
            part.sort(key=lambda index: self.lengths[index])
            batches += [part[i : i + size] for i in range(0, len(part), size)]
        self.rng.shuffle(batches)
        return iter([index for batch in [*batches, order[whole:]] for index in batch])


def _some(names: Sequence[str], shown: int = 10) -> str:
    """Their number and the first `shown` of them: "2 samples (a, b)"."""
    listed = ", ".join(names[:shown]) + (", …" if len(names) > shown else "")
    return f"{len(names)} sample{'s' * (len(names) > 1)} ({listed})"
