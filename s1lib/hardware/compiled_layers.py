"""A model's layers compiled, which fuses their norms, rotations and gates into few kernels.

Outside the matrix products a layer of transformers is some forty small operations a pass, each of
which reads and writes all activations. One compilation serves all layers and all lengths.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

WORTH_IT = 100e6  # parameters; a smaller model has trained before its layers are compiled


def compile_layers(model: PreTrainedModel, *, backend: str = "inductor") -> None:
    """Compile every layer at its first pass, without and with checkpointing around it.

    A layer that the compiler cannot do runs as it is, with a warning. TORCHDYNAMO_DISABLE=1 in the
    environment switches all compilation off.
    """
    torch._dynamo.config.suppress_errors = True
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.compile(dynamic=True, backend=backend)
