"""Keys and values of many sequences in fixed rows, filled by the model's own code through transformers' attention interface.

A pass through the model is given a `RowView`: the rows it is about and a position per token. The attention function
registered here writes the new keys and values to those places and attends over each row up to that position. Nothing is
moved when a sequence ends: its keys and values stay, for a later request that begins alike, until they are written over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ATTENTION = "s1_rows"  # its name in transformers' registry; no mask is registered, so transformers builds none
STEP = 32  # rows are attended to in multiples of this: few shapes, and sums that do not depend on the longest row


class RowCache:
    """Static storage of `rows` sequences of up to `columns` tokens each for a model of configuration `config`.

    layers: keys and values [rows, key-value heads, columns, head size] per layer.
    """

    def __init__(self, config: PreTrainedConfig, *, rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> None:
        self.columns = -(-columns // STEP) * STEP
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        self.groups = config.num_attention_heads // heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        # Zeros, since a hidden place still takes part with weight 0, and 0 * NaN is NaN.
        shape, options = (rows, heads, self.columns, size), {"dtype": dtype, "device": device}
        self.layers = tuple((torch.zeros(shape, **options), torch.zeros(shape, **options)) for _ in range(config.num_hidden_layers))

    def bias(self, positions: torch.Tensor, longest: int) -> torch.Tensor:
        """What hides later places from tokens at `positions` [rows, tokens]: 0 or -inf, [rows, 1, queries, length].

        longest: 1 + the largest position of a row whose output matters; length is that, rounded up.
        queries: the tokens once per query head of a key-value head; 1 for a single token, which serves them all.
        """
        length = min(-(-longest // STEP) * STEP, self.columns)
        hidden = torch.arange(length, device=positions.device) > positions[:, None, :, None]
        bias = torch.zeros(hidden.shape, dtype=self.layers[0][0].dtype, device=positions.device).masked_fill_(hidden, float("-inf"))
        return bias if positions.shape[1] == 1 else bias.repeat(1, 1, self.groups, 1)

    def copy(self, source: int, target: int, length: int) -> None:
        """Row `target` begins with the first `length` tokens of row `source`."""
        for stores in self.layers:
            for store in stores:
                store[target, :, :length] = store[source, :, :length]

    def swap(self, one: int, other: int, length: int) -> None:
        """Exchange the first `length` tokens of two rows."""
        for stores in self.layers:
            for store in stores:
                store[[one, other], :, :length] = store[[other, one], :, :length]


@dataclass
class RowView:
    """What one pass is about: token [i, j] of its input is token positions[i, j] of row rows[i].

    rows: indices [rows], or None for the first rows of the cache, which are then attended to where they lie.
    """

    layers: Sequence[tuple[torch.Tensor, torch.Tensor]]
    positions: torch.Tensor
    bias: torch.Tensor
    rows: torch.Tensor | None = None

    def __post_init__(self) -> None:
        index = torch.arange(self.positions.shape[0], device=self.positions.device) if self.rows is None else self.rows
        self._places = (index[:, None], slice(None), self.positions)

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> list[torch.Tensor]:
        """Store new keys and values [rows, heads, tokens, size]; returns what the rows hold, up to the length of the bias."""
        count, length = self.positions.shape[0], self.bias.shape[3]
        held = []
        for store, new in zip(self.layers[layer], (key, value), strict=True):
            store[self._places] = new.transpose(1, 2)
            held.append(store[:count, :, :length] if self.rows is None else store[:, :, :length][self.rows])
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
    """Attention of the view's new tokens over their rows; [rows, heads, tokens, size] -> [rows, tokens, heads, size].

    Query heads that share a key-value head are stacked along the tokens, so that keys and values are not repeated.
    """
    if kwargs.get("softcap") is not None or kwargs.get("s_aux") is not None or kwargs.get("position_bias") is not None:
        raise NotImplementedError(f"{type(module).__name__} wants more than plain attention: decode it with another engine")
    rows, heads, tokens, size = query.shape
    keys, values = row_view.write(module.layer_idx, key, value)
    stacked = query.reshape(rows, key.shape[1], -1, size)
    out = scaled_dot_product_attention(stacked, keys, values, attn_mask=row_view.bias, scale=scaling)
    return out.reshape(rows, heads, tokens, size).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, attend)
