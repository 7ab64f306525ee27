"""A model of transformers over the rows of a key-value cache: ids and their places in, logits out.

On the CPU in float32 the logits do not depend, to the last bit, on what else is in the batch: rows
are computed in numbers and lengths at which the matrix products treat each row alike
(tests/bench/bench_engine.py measures it on the machine at hand). A reused prefix may differ from a
recomputed one in the last bit, since its keys and values were computed one token at a time. So may
everything in 16-bit types or on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from s1lib.engines.protocol import EngineError
from s1lib.engines.row_cache import ATTENTION, RowCache, RowView
from s1lib.engines.schedule import Row

SHORT = 16  # so many tokens ahead or fewer are fed one a step, which is cheaper than a prefill pass
WIDTHS = (32, 64, 128, 256, 512)  # tokens per row of a prefill pass, by the row's own length alone
PASS = 1024  # tokens per prefill pass at most, since more no longer fit the processor's cache


class RowModel:
    """The passes of `model` over `rows` rows of up to `columns` tokens each.

    vocab_size: logits are returned of the ids below it.
    cache: the rows' keys and values, as `Schedule` copies and swaps them.
    """

    def __init__(self, model: PreTrainedModel, *, vocab_size: int, rows: int, columns: int) -> None:
        config = model.config.get_text_config()
        _require_plain_attention(model, columns)
        self.model, self.vocab_size = model.eval(), vocab_size
        self._device = model.device  # looked up once: the model walks its parameters for it
        self._own_attention = config._attn_implementation
        model.set_attn_implementation(ATTENTION)
        self.cache = RowCache(
            config, rows=rows, columns=columns, dtype=model.dtype, device=self._device
        )

    def close(self) -> None:
        """Free the cache and give the model its own attention back."""
        self.cache.layers = ()
        self.model.set_attn_implementation(self._own_attention)

    def prefill(self, rows: Sequence[Row]) -> None:
        """Feed what `rows` have ahead of their last known token, many tokens at a time."""
        while waiting := [row for row in rows if row.ahead > SHORT]:
            # Rows of the same width share a pass.
            width = _width(waiting[0])
            group = [row for row in waiting if _width(row) == width][: max(1, PASS // width)]

            # A row with less to feed repeats its last token at that token's own place, which
            # changes nothing.
            places = [
                [min(row.cached + i, len(row.ids) - 2) for i in range(width)] for row in group
            ]
            tokens = [
                [row.ids[place] for place in line] for row, line in zip(group, places, strict=True)
            ]
            longest = 1 + max(line[-1] for line in places)
            self._forward(tokens, places, longest, rows=[row.index for row in group])

            for row, line in zip(group, places, strict=True):
                row.cached = line[-1] + 1

    def step(self, rows: Sequence[Row]) -> torch.Tensor:
        """Feed the next known token of each of the first `rows` of the cache.

        Returns logits [rows, vocab_size] of the token behind it. They mean nothing for a row
        without a request, which takes part to keep the batch's shape.
        """
        tokens = [[row.ids[row.cached] if row.request else 0] for row in rows]
        places = [[row.cached] for row in rows]  # without a request: behind all that the row keeps
        longest = 1 + max(row.cached for row in rows if row.request)
        logits = self._forward(tokens, places, longest)
        for row in rows:
            row.cached += row.request is not None
        return logits

    def _forward(
        self,
        tokens: list[list[int]],
        places: list[list[int]],
        longest: int,
        rows: list[int] | None = None,
    ) -> torch.Tensor:
        """Logits [rows, vocab_size] behind the last of `tokens` [rows, tokens].

        places: where the tokens stand in their rows, which are the first ones or `rows`.
        """
        ids = torch.tensor(tokens, device=self._device)
        positions = torch.tensor(places, device=self._device)
        view = RowView(
            self.cache.layers,
            positions,
            self.cache.bias(positions, longest),
            None if rows is None else torch.tensor(rows, device=self._device),
        )
        output = self.model(
            input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=1, row_view=view
        )
        return output.logits[:, -1, : self.vocab_size].float()


def _width(row: Row) -> int:
    return next((width for width in WIDTHS if width >= row.ahead), WIDTHS[-1])


def _require_plain_attention(model: PreTrainedModel, max_context: int) -> None:
    """Refuse models that the row cache cannot serve."""
    name, config = type(model).__name__, model.config.get_text_config()
    layers = getattr(config, "layer_types", None)
    kinds = set(layers or {"full_attention"})
    if not model._supports_attention_backend or kinds - {"full_attention", "sliding_attention"}:
        raise EngineError(
            f"{name} does not use transformers' attention interface throughout: use another engine"
        )

    # A window as long as the context hides nothing. Without layer types every layer has it.
    window = getattr(config, "sliding_window", None)
    if window and window < max_context and (kinds != {"full_attention"} or not layers):
        raise EngineError(
            f"{name} attends over a window of {window} tokens: lower engine.max_context to that"
        )
