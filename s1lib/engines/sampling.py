"""The next token of every row that decodes: the likeliest one, or a sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from s1lib.engines.schedule import Row


def choose_tokens(logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
    """The next token per line of `logits` [rows, vocab_size]. Only those of `rows` mean anything.

    The logits of tokens that a request's min_tokens bans are set to -inf in place.
    """
    bans = [
        (row.index, token)
        for row in rows
        if row.request.stops.min_tokens
        for token in row.request.stops.banned(row.ids)
        if 0 <= token < logits.shape[1]  # others are never sampled anyway
    ]
    if bans:
        logits[tuple(zip(*bans, strict=True))] = float("-inf")
    chosen = logits.argmax(-1)

    sampled = [row for row in rows if row.request.temperature > 0]
    if sampled:
        # One uniform number per row and token, through the inverse of the cumulative distribution,
        # so that a request's sample depends on its own seed alone.
        lines = [row.index for row in sampled]
        options = {"dtype": torch.float64, "device": logits.device}
        temperature = torch.tensor([[row.request.temperature] for row in sampled], **options)
        uniform = torch.tensor([[row.request.uniform.random()] for row in sampled], **options)
        sums = torch.softmax(logits[lines].double() / temperature, -1).cumsum(-1)
        places = torch.searchsorted(sums, uniform * sums[:, -1:], right=True).squeeze(-1)
        chosen[lines] = places.clamp_(max=logits.shape[-1] - 1)
    return chosen.tolist()
