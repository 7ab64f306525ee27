"""Where a training pass's time goes on an H100, by arithmetic: nothing here is measured.

    python -m tests.bench.bench_training_cost 1.5B

A pass of fake tensors is followed operation by operation: its floating point operations, the bytes
that it reads and writes, and how many kernels it starts. Each takes the longer of operations over
an assumed share of the peak and bytes over an assumed share of the memory's bandwidth. The host's
own time is not in it.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from transformers import AutoModelForCausalLM

from s1lib.hardware.architectures import architecture, parameter_count
from s1lib.hardware.utilisation import PEAK_FLOPS, operations

# Assumed shares of what an H100's data sheet says.
BANDWIDTH = 0.85 * 3.35e12  # bytes/s
PRODUCTS, FORWARD_ATTENTION, BACKWARD_ATTENTION = 0.70, 0.38, 0.30  # of the peak
LAUNCH = 3e-6  # seconds that the smallest kernel takes
SAMPLE, PASSES = 5_200, 16  # tokens of a sample (mean of s1K), samples of an optimiser step
LOSS_TILE = 4_096  # tokens for which trl's loss reads the head once

KINDS = {
    "before: autocast, all layers computed twice": {"autocast": True, "twice": True},
    "without computing them twice": {"autocast": True},
    "bf16 copies of the weights": {},
    "two samples in a pass": {"samples": 2},
    "compiled: each activation read and written once": {"samples": 2, "fused": True},
}


def size(tensor: torch.Tensor) -> int:
    """Bytes of what the tensor really holds: an expanded axis is read once."""
    held = tensor.element_size()
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        held *= length if stride else 1
    return held


class Cost(TorchDispatchMode):
    """Seconds by kind of operation, and the kernels started."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds, self.kernels = Counter(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        name = function.overloadpacket._qualified_op_name.split("::")[1]
        if function.namespace != "prim" and not function.is_view and "empty" not in name:
            tensors = [one for one in tree_leaves((args, kwargs, found)) if torch.is_tensor(one)]
            self._count(function, name, args, kwargs or {}, found, sum(map(size, tensors)))
        return found

    def _count(self, function, name, args, kwargs, found, moved: int) -> None:
        if "attention" in name:
            backward = "backward" in name
            query = args[1 if backward else 0]
            causal = 2 * query.numel() * query.shape[2] * (2.5 if backward else 1)
            share = BACKWARD_ATTENTION if backward else FORWARD_ATTENTION
            self.add("attention", causal / share, moved)
        elif function.overloadpacket in flop_registry:
            count = flop_registry[function.overloadpacket](*args, **kwargs, out_val=found)
            self.add("matrix products", count / PRODUCTS, moved)
        elif name == "_to_copy":
            self.add("casts", 0, moved)
        elif name == "add_":
            self.add("gradients added up", 0, moved)
        elif name not in ("detach", "_unsafe_view", "is_same_size"):
            self.add("other small operations", 0, moved)

    def add(self, kind: str, scaled_operations: float, moved: float) -> None:
        self.kernels += 1
        self.seconds[kind] += max(scaled_operations / PEAK_FLOPS, moved / BANDWIDTH, LAUNCH)


def cost(name: str, *, autocast=False, twice=False, samples=1, fused=False) -> Cost:
    """What a pass over `samples` samples costs, with its share of the optimiser's step."""
    config = architecture(f"Qwen/Qwen2.5-{name}")
    config._attn_implementation, config.use_cache = "sdpa", False
    with FakeTensorMode(), Cost() as found, contextlib.ExitStack() as stack:
        dtype = torch.float32 if autocast else torch.bfloat16
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).train()
        if twice:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter, dtype=dtype)
        found.seconds.clear()
        found.kernels = 0
        if autocast:
            stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
        # Rows of one sample each cost what one row of packed samples does.
        last = model.model(input_ids=torch.zeros(samples, SAMPLE, dtype=torch.long))[0]
        last.backward(torch.empty_like(last))

    # trl's loss: four products over the vocabulary in bf16, whose logits are written, folded in
    # one pass, computed again and replaced by their gradient.
    tokens, vocabulary, width = samples * SAMPLE, config.vocab_size, config.hidden_size
    head, tiles = vocabulary * width, -(-tokens // LOSS_TILE)
    found.add("loss", 8 * head * tokens / PRODUCTS, 2 * vocabulary * tokens * 4 + 12 * head * tiles)
    found.add("loss", 0, 2 * vocabulary * tokens * 3)
    if autocast:
        found.add("casts", 0, 2 * 6 * head * tiles)

    # AdamW and the copies are once a step. A bf16 gradient is added to a float32 one.
    parameters, share = parameter_count(config), samples / PASSES
    found.add("AdamW", 0, 28 * parameters * share)
    if not autocast:
        found.add("casts", 0, 6 * parameters * share)
        found.seconds["gradients added up"] = 10 * parameters / BANDWIDTH
    if fused:
        # What a layer reads and writes of a token: two norms with sums, the rotation, the gate.
        kept = 2 * (8 * width + 3 * width + 3 * config.intermediate_size)
        moved = 3.5 * kept * config.num_hidden_layers * tokens  # forward and backward
        found.seconds["other small operations"] = moved / BANDWIDTH
    return found


def main(names: list[str] | None = None) -> None:
    for name in names or ["1.5B"]:
        parameters = parameter_count(architecture(f"Qwen/Qwen2.5-{name}"))
        for kind, settings in KINDS.items():
            found, samples = cost(name, **settings), settings.get("samples", 1)
            total = sum(found.seconds.values())
            lengths = [SAMPLE] * samples
            useful = operations(
                architecture(f"Qwen/Qwen2.5-{name}"), lengths, parameters=parameters
            )
            print(
                f"{name}, {kind}: {total / samples * 1e3:.0f} ms a sample, "
                f"MFU {useful / total / PEAK_FLOPS:.0%}, {found.kernels / samples:,.0f} kernels"
            )
            parts = (f"{part} {s / samples * 1e3:.0f}" for part, s in found.seconds.most_common())
            print(f"    {', '.join(parts)}")


if __name__ == "__main__":
    main(sys.argv[1:])
