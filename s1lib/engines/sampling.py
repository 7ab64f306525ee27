"""The next token of every row that decodes: the likeliest one, or a sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from s1lib.engines.schedule import Row


class Sampler:
    """Chooses the tokens of the next `count` steps of `rows`, on their device.

    Tokens that a request's min_tokens bans are looked up for the first step only. With more steps
    no row may have any, see `Stops.settled`.
    """

    def __init__(self, rows: Sequence[Row], count: int, device: torch.device) -> None:
        live = [row for row in rows if row.request]
        self._bans = [
            (row.index, token)
            for row in live
            if row.ahead == 0 and row.request.stops.min_tokens
            for token in row.request.stops.banned(row.ids)
        ]

        # One uniform number per row and sampled token, so that a request's sample depends on its
        # own seed alone. None is drawn where the next token is known.
        sampled = [row for row in live if row.request.temperature > 0]
        self._lines = [row.index for row in sampled]
        uniform = [
            [row.request.uniform.random() if step >= row.ahead else 0.0 for step in range(count)]
            for row in sampled
        ]
        options = {"dtype": torch.float64, "device": device}
        if sampled:
            self._uniform = torch.tensor(uniform, **options)
            self._temperature = torch.tensor(
                [[row.request.temperature] for row in sampled], **options
            )
            self._places = torch.tensor(self._lines, device=device)

    def choose(self, logits: torch.Tensor, step: int) -> torch.Tensor:
        """The next token per line of `logits` [rows, vocabulary].

        The logits of banned tokens are set to -inf in place.
        """
        # Ids that the model does not have are never sampled anyway.
        bans = [(line, token) for line, token in self._bans if 0 <= token < logits.shape[1]]
        if bans and step == 0:
            logits[tuple(zip(*bans, strict=True))] = float("-inf")
        chosen = logits.argmax(-1)

        if self._lines:
            # Each number goes through the inverse of its line's cumulative distribution.
            scaled = logits[self._places].double() / self._temperature
            sums = torch.softmax(scaled, -1).cumsum(-1)
            uniform = self._uniform[:, step, None]
            places = torch.searchsorted(sums, uniform * sums[:, -1:], right=True).squeeze(-1)
            chosen[self._places] = places.clamp_(max=logits.shape[-1] - 1)
        return chosen
