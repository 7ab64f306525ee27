"""A model's layers compiled, which fuses their norms, rotations and gates into few kernels.

Outside the matrix products a layer of transformers is some forty small operations a pass, each of
which reads and writes all activations. One compilation serves all layers and all lengths.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

WORTH_IT = 100e6  # parameters; a smaller model is done before its layers are compiled


def compile_layers(model: PreTrainedModel, *, backend: str = "inductor") -> None:
    """Compile every layer at its first pass, without and with checkpointing around it.

    A layer that the compiler cannot do runs as it is, with a warning. TORCHDYNAMO_DISABLE=1 in the
    environment switches all compilation off.
    """
    torch._dynamo.config.suppress_errors = True
    torch._dynamo.config.specialize_float = True  # epsilons and scales differ in no layer
    for module in _layers(model):
        module.compile(dynamic=True, backend=backend)


def plain_layers(model: PreTrainedModel) -> None:
    """Undo `compile_layers`."""
    for module in _layers(model):
        module._compiled_call_impl = None


def _layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    return [one for one in model.modules() if isinstance(one, GradientCheckpointingLayer)]
