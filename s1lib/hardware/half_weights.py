"""Training passes over bf16 copies of float32 weights, with the gradients added up in float32.

    halves = HalfWeights(model)
    for batch in batches:
        with halves.in_place():
            loss(model, batch).backward()
    optimizer.step()  # sees the float32 weights and float32 gradients

This is the mixed precision of the paper's FSDP training and of FSDP2, for one GPU. Autocast would
cast every weight in every pass, twice under checkpointing, and would keep what flows between the
layers in float32, which doubles what the small operations read and write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from s1lib.profile import SFT


def halved(settings: SFT) -> bool:
    """Whether passes run over bf16 copies of the weights: under FSDP2 that is its own business.

    Adapters stay float32 over a bf16 base, which is what autocast is for.
    """
    return settings.bf16 and not settings.launched and not settings.lora_rank


class HalfWeights:
    """A bf16 copy of each weight that is trained, made when it is first put in place."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.halves: dict[nn.Parameter, nn.Parameter] = {}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model's weights are their bf16 copies meanwhile. Tied weights share one copy."""
        if not self.halves:
            self.halves = {weight: _half(weight) for weight in self.model.parameters()}
        # The optimiser has changed the weights since the last time.
        with torch.no_grad():
            torch._foreach_copy_(list(self.halves.values()), list(self.halves))

        places = [
            (module._parameters, name, weight)
            for module in self.model.modules()
            for name, weight in module._parameters.items()
            if weight is not None
        ]
        for place, name, weight in places:
            place[name] = self.halves[weight]
        try:
            yield
        finally:
            for place, name, weight in places:
                place[name] = weight


def _half(weight: nn.Parameter) -> nn.Parameter:
    """A bf16 copy whose gradient, once it is whole, is added to the weight's own in float32."""
    half = nn.Parameter(torch.empty_like(weight, dtype=torch.bfloat16))

    def hand_over(half: torch.Tensor) -> None:
        if weight.grad is None:
            weight.grad = half.grad.to(weight.dtype)
        else:
            weight.grad.add_(half.grad)
        half.grad = None

    half.register_post_accumulate_grad_hook(hand_over)
    return half
