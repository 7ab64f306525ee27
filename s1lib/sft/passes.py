"""A batch as passes of whole sequences without padding, each up to a number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling


def packed(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """Indices of sequences by pass, where a pass holds up to `limit` tokens.

    A longer sequence has a pass of its own. The longest are placed first, each into the first pass
    with room for it.
    """
    passes: list[list[int]] = []
    free: list[int] = []  # tokens left in each pass
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        fits = (place for place, room in enumerate(free) if lengths[index] <= room)
        place = next(fits, len(passes))
        if place == len(passes):
            passes.append([])
            free.append(limit)
        passes[place].append(index)
        free[place] -= lengths[index]
    return passes


class PassCollator:
    """Tokenised examples to {"passes": trl's padding-free batches}, with the ids and labels of all.

    Transformers counts those, for the mean of the loss over the whole batch.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.one_row = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        lengths = [len(example["input_ids"]) for example in examples]
        groups = packed(lengths, self.limit)
        passes = [self.one_row([examples[index] for index in group]) for group in groups]
        # Transformers leaves out the first label of a row, which trl has set to "no loss" anyway.
        whole = {
            column: torch.cat([one[column] for one in passes], dim=1)
            for column in ("input_ids", "labels")
        }
        return {"passes": passes, **whole}
