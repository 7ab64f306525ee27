"""Attention over several sequences in one row, none of which sees another.

A row of a padding-free batch holds sequences one after the other, and `cu_seq_lens_q` says where
each ends (the name is flash attention's). Every sequence goes through torch's own
scaled_dot_product_attention, whose flash kernel wants no mask for it. One call over all of them
(torch.nn.attention.varlen) would start fewer kernels, but its arguments differ from release to
release, and sequences of thousands of tokens fill a GPU one by one.

It is registered with transformers: select it with `attn_implementation=PACKED_ATTENTION`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PretrainedConfig

PACKED_ATTENTION = "s1_packed"


@torch.compiler.disable  # how many sequences there are differs from pass to pass
def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention output [1, T, H, D] of query [1, H, T, D], key and value [1, H_kv, T, D].

    `cu_seq_lens_q` [sequences + 1] starts at 0 and ends at T.
    """
    mixed = [
        scaled_dot_product_attention(
            *(states[:, :, start:end] for states in (query, key, value)),
            is_causal=True,
            scale=scaling,
            enable_gqa=True,
        )
        for start, end in pairwise(_on_host(cu_seq_lens_q))
    ]
    return torch.cat(mixed, dim=2).transpose(1, 2), None


@lru_cache(maxsize=1)
def _on_host(ends: torch.Tensor) -> list[int]:
    """Every layer of a pass gets the same tensor, which is brought from the GPU once."""
    return ends.tolist()


def can_be_packed(config: PretrainedConfig) -> bool:
    """Whether every layer of the model attends to all that came before, as Qwen2.5's do."""
    return set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
