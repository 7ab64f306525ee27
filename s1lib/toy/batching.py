"""Documents of the toy's corpus as batches of token ids, a document per row."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from s1lib.toy.corpus import Document

MICRO_BATCH = 768  # tokens, padding included
POOL = 512  # documents from which batches of like length are cut
IGNORED = -100  # the label that torch's cross entropy leaves out

Row = tuple[list[int], list[bool]]  # token ids, trained?


@dataclass(frozen=True)
class Batch:
    """Documents of like length, padded on the right: ids and labels [rows, length]."""

    ids: torch.Tensor
    labels: torch.Tensor

    @property
    def tokens(self) -> int:
        """How many there are, padding included."""
        return self.ids.numel()


def encode(tokenizer: PreTrainedTokenizerBase, documents: list[Document]) -> list[Row]:
    """Token ids of every document, each with whether it is trained.

    Segments meet at token borders, so they can be encoded one by one.
    """
    texts = [text for document in documents for text, _ in document]
    encoded = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])
    rows = []
    for document in documents:
        ids: list[int] = []
        trained: list[bool] = []
        for _, wanted in document:
            part = next(encoded)
            ids += part
            trained += [wanted] * len(part)
        rows.append((ids, trained))
    return rows


def collate(rows: list[Row], pad: int) -> Batch:
    """Put rows into one batch, padded with the token `pad`, which carries no loss."""
    length = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([tokens + [pad] * (length - len(tokens)) for tokens, _ in rows])
    trained = torch.tensor([wanted + [False] * (length - len(wanted)) for _, wanted in rows])
    return Batch(ids, ids.masked_fill(~trained, IGNORED))


def batches(
    tokenizer: PreTrainedTokenizerBase,
    source: Iterator[Document],
    rng: random.Random,
    *,
    max_length: int,
) -> Iterator[Batch]:
    """Cut `source` into batches without end.

    A document of more than `max_length` tokens is left out. Nothing attends across documents,
    because each has a row of its own.
    """
    while True:
        # Documents of like length lie beside each other, so that a batch has little padding.
        rows = encode(tokenizer, list(itertools.islice(source, POOL)))
        rows = sorted((row for row in rows if len(row[0]) <= max_length), key=lambda r: len(r[0]))

        groups: list[list[Row]] = [[]]
        for row in rows:
            if groups[-1] and (len(groups[-1]) + 1) * len(row[0]) > MICRO_BATCH:
                groups.append([])
            groups[-1].append(row)

        # In random order, or training would go from short documents to long ones again and again.
        rng.shuffle(groups)
        for group in groups:
            yield collate(group, tokenizer.pad_token_id)
