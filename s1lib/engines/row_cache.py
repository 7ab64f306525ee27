"""Keys and values of many sequences in fixed rows, filled by the model's own code.

The model's attention goes through transformers' attention interface to the function registered
here. A pass through the model is given a `RowView`: the rows it is about and a position per token.
The function writes the new keys and values to those places and attends over each row up to that
position. Nothing is moved when a sequence ends. Its keys and values stay, for a later request that
begins alike, until they are written over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ATTENTION = "s1_rows"  # in transformers' registry. No mask is registered, so none is built.
# Rows are attended to in multiples of this, so that there are few shapes, and sums that do not
# depend on the longest row.
STEP = 32


class RowCache:
    """Static storage of `rows` sequences of up to `columns` tokens each.

    config: of the model whose keys and values they are.
    layers: per layer, keys and values [rows, key-value heads, columns, head size].
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        *,
        rows: int,
        columns: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.columns = _rounded_up(columns)
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        self.groups = config.num_attention_heads // heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads

        # Zeros, since a hidden place still takes part with weight 0, and 0 * NaN is NaN.
        shape, options = (rows, heads, self.columns, size), {"dtype": dtype, "device": device}
        self.layers = tuple(
            (torch.zeros(shape, **options), torch.zeros(shape, **options))
            for _ in range(config.num_hidden_layers)
        )

    def bias(self, positions: torch.Tensor, longest: int) -> torch.Tensor:
        """The mask that hides later places from tokens at `positions` [rows, tokens], 0 or -inf.

        longest: 1 + the largest position of a row whose output matters.
        Returns [rows, 1, queries, length], where length is `longest` rounded up and queries are the
        tokens once per query head of a key-value head. A single token needs one line for all.
        """
        length = min(_rounded_up(longest), self.columns)
        hidden = torch.arange(length, device=positions.device) > positions[:, None, :, None]
        bias = torch.zeros(hidden.shape, dtype=self.layers[0][0].dtype, device=positions.device)
        bias.masked_fill_(hidden, float("-inf"))
        return bias if positions.shape[1] == 1 else bias.repeat(1, 1, self.groups, 1)

    def copy(self, source: int, target: int, length: int) -> None:
        """Let row `target` begin with the first `length` tokens of row `source`."""
        for stores in self.layers:
            for store in stores:
                store[target, :, :length] = store[source, :, :length]

    def swap(self, one: int, other: int, length: int) -> None:
        """Exchange the first `length` tokens of two rows."""
        for stores in self.layers:
            for store in stores:
                store[[one, other], :, :length] = store[[other, one], :, :length]


def _rounded_up(length: int) -> int:
    return -(-length // STEP) * STEP


@dataclass
class RowView:
    """The places of one pass: token [i, j] of its input is token positions[i, j] of row rows[i].

    layers, bias: of a `RowCache`.
    rows: indices [rows], or None for the first rows of the cache, which are read where they lie.
    """

    layers: Sequence[tuple[torch.Tensor, torch.Tensor]]
    positions: torch.Tensor
    bias: torch.Tensor
    rows: torch.Tensor | None = None

    def __post_init__(self) -> None:
        count, device = self.positions.shape[0], self.positions.device
        rows = torch.arange(count, device=device) if self.rows is None else self.rows
        self._places = (rows[:, None], slice(None), self.positions)

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> list[torch.Tensor]:
        """Store new keys and values [rows, heads, tokens, size].

        Returns what the rows hold, up to the length of the bias.
        """
        count, length = self.positions.shape[0], self.bias.shape[3]
        held = []
        for store, new in zip(self.layers[layer], (key, value), strict=True):
            store[self._places] = new.transpose(1, 2)
            first = self.rows is None
            held.append(store[:count, :, :length] if first else store[:, :, :length][self.rows])
        return held


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    row_view: RowView,
    scaling: float | None = None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attention of the view's new tokens over their rows.

    query [rows, heads, tokens, size] -> [rows, tokens, heads, size].
    """
    if any(kwargs.get(name) is not None for name in ("softcap", "s_aux", "position_bias")):
        raise NotImplementedError(
            f"{type(module).__name__} wants more than plain attention: "
            "decode it with another engine"
        )

    # Query heads that share a key-value head are stacked along the tokens, so that keys and values
    # need not be repeated.
    rows, heads, tokens, size = query.shape
    keys, values = row_view.write(module.layer_idx, key, value)
    stacked = query.reshape(rows, key.shape[1], -1, size)
    out = scaled_dot_product_attention(
        stacked, keys, values, attn_mask=row_view.bias, scale=scaling
    )
    return out.reshape(rows, heads, tokens, size).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, attend)
