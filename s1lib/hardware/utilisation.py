"""How well a training uses its GPU: operations counted from shapes, beside the peak (MFU)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PretrainedConfig

PEAK_FLOPS = 989e12  # one H100, bf16, dense


def operations(
    config: PretrainedConfig, lengths: Sequence[float], *, parameters: int, frozen: bool = False
) -> float:
    """Floating point operations to train once on sequences of `lengths` tokens.

    Counted are 6 per parameter and token (2 forward, 4 backward), and for causal attention half of
    12 · layers · width · length² per sequence. `frozen` weights under adapters take 4 instead of 6.
    Not counted are what checkpointing computes again, padding, the optimiser, and all that is no
    matrix product.
    """
    heads = config.num_attention_heads
    width = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
    attention = 6 * config.num_hidden_layers * width * sum(length**2 for length in lengths)
    return (4 if frozen else 6) * parameters * sum(lengths) + attention


@dataclass(frozen=True)
class TrainingSpeed:
    """Optimiser steps that were timed one by one, on one device."""

    device: str
    parameters: int
    lengths: tuple[int, ...]  # tokens of every sequence of the timed steps
    seconds: tuple[float, ...]  # of every timed step
    operations: float  # of all timed steps, as `operations` counts them
    peak_memory: int  # bytes that the allocator gave out at the highest moment, 0 on a CPU

    @property
    def tokens_per_second(self) -> float:
        """Tokens of all timed steps, without padding, over their time."""
        return sum(self.lengths) / sum(self.seconds)

    def utilisation(self, peak: float = PEAK_FLOPS) -> float:
        """The share of `peak` operations a second that was reached (MFU)."""
        return self.operations / sum(self.seconds) / peak
