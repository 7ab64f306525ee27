"""The linear layers of a model on the CPU, multiplied by oneDNN instead of MKL.

torch gives float32 products to MKL, which on an AMD processor reaches half of what oneDNN does, and
treats batches of one to three rows unlike larger ones. oneDNN wants its weights packed beforehand.
torch's own compiler does the same when it freezes a model.
"""

from __future__ import annotations

from functools import partial

import torch
from transformers import PreTrainedModel

SMALLEST = 2**15  # entries of a weight: below, the longer way into oneDNN costs more than it saves
LARGEST = 2**30  # bytes of weights. They are held twice, which a large model has no memory for.
BATCH = 64  # rows that the packing is best for


class PackedLinears:
    """Multiplies with packed weights in `model`'s linear layers until `close`."""

    def __init__(self, model: PreTrainedModel) -> None:
        layers = [
            layer
            for layer in model.modules()
            if type(layer) is torch.nn.Linear and layer.weight.numel() >= SMALLEST
        ]
        weights = [layer.weight for layer in layers]
        fits = sum(weight.nbytes for weight in weights) <= LARGEST
        plain = all(w.dtype == torch.float32 and w.device.type == "cpu" for w in weights)
        usable = fits and plain and torch.backends.mkldnn.is_available()
        self._layers = layers if usable else []

        for layer in self._layers:
            packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), BATCH)
            layer.forward = partial(_multiply, weight=packed, bias=layer.bias)

    def close(self) -> None:
        """Give the layers their own product back."""
        for layer in self._layers:
            del layer.forward
        self._layers = []


def _multiply(
    input: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(input, weight, bias, "none", [], "")
