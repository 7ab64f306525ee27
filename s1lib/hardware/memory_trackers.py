"""torch's memory trackers for a simulated step: its highest moment, told apart by kind.

What `sft.offload` keeps in host memory is left out of the peak, and what of it passes through the
GPU is added. As in the simulation, "cpu" plays the GPU and "meta" the host.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

import torch
from torch.distributed._tools.fsdp2_mem_tracker import (
    FSDPMemTracker,
    _FSDPModMemStats,
    _FSDPRefType,
)
from torch.distributed._tools.mem_tracker import MemTracker, _MemRefType
from torch.distributed.tensor import DTensor
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

GIB = 2**30
GPU, HOST = torch.device("cpu"), torch.device("meta")
STATE_BLOCK = 256  # elements of an 8-bit state that share one float32 scale (torchao)


@dataclass(frozen=True)
class Memory:
    """Bytes of one GPU at the step's highest moment, where the first five add up to `peak`."""

    parameters: int  # this GPU's share
    gradients: int  # its share; held from one micro-batch to the next
    optimiser: int  # AdamW's two moments of its share
    activations: int  # the checkpoints of every layer and what one layer computes again
    temporaries: int  # gradients of activations, and what is gathered of one or two layers
    peak: int
    logits: int  # the most that the loss adds at its own moment, which is not the peak's
    host: int  # bytes of host memory for what this GPU does not keep


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This GPU's share of a sharded tensor, or any other tensor as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


class EightBitStates(torch.optim.Optimizer):
    """The states of torchao's AdamW8bit: two moments of a byte each and a scale per block.

    Its own step cannot run on fake tensors.
    """

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self) -> None:
        for parameter in self.param_groups[0]["params"]:
            size, state = local(parameter).numel(), self.state[parameter]
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment not in state:
                    state[moment] = torch.empty(size, dtype=torch.uint8)
                    state[moment + "_scale"] = torch.empty(-(-size // STATE_BLOCK))


class _Peak:
    """The step's highest moment with its parts, and how much the loss adds.

    A mixin over torch's trackers, which call `_update_peak_stats` at every change.
    """

    STATES: tuple[Enum, Enum, Enum]  # torch's names of parameters, gradients, optimiser states

    def hold(self, gradient: torch.Tensor) -> None:
        """Count `gradient` as one, as if a backward pass had made it."""
        self._update_and_maybe_create_winfos(local(gradient), self.STATES[1], update_existing=True)

    def start(self, *, offload: bool = False, passing: int = 0) -> None:
        """Forget what was, where `passing` bytes of what is offloaded are on the GPU at a time."""
        self.offload, self.passing = offload, passing
        self.highest, self.loss_start, self.loss_peak, self.waiting = {"Peak": 0}, None, 0, 0

    def follow_loss(self, model: PreTrainedModel) -> None:
        """Watch the loss: it lasts from the last norm's output to the gradient of that output."""
        self.start()
        model = model.get_base_model() if hasattr(model, "get_base_model") else model

        def forward(_module: object, _inputs: object, output: torch.Tensor) -> None:
            self.loss_start = self._now()["Total"]
            output.register_hook(lambda gradient: setattr(self, "loss_start", None))

        model.base_model.norm.register_forward_hook(forward)

    def memory(self) -> Memory:
        """The memory that the step took, from `start` on."""
        at, final = self.highest, self._now()
        states = (0, 0, 0) if self.offload else self._states(at)
        rest = at["Peak"] - sum(states) - at["Activation"]
        host = self.waiting + self.offload * sum(self._states(final))
        return Memory(*states, at["Activation"], rest, at["Peak"], self.loss_peak, host)

    def _now(self, device: torch.device = GPU) -> dict[str, int]:
        """Bytes on `device` by kind."""
        sizes = self._curr_mem_snap.get(device, {"Total": 0})
        return {getattr(kind, "value", kind): size for kind, size in sizes.items()}

    def _states(self, now: dict[str, int]) -> tuple[int, int, int]:
        return tuple(now[kind.value] for kind in self.STATES)

    def _update_peak_stats(self, peak_state: object) -> None:
        now = self._now()
        size = now["Total"] - self.offload * sum(self._states(now)) + self.passing
        if size > self.highest["Peak"]:
            self.highest = {**now, "Peak": size}
        if self.loss_start is not None:
            self.loss_peak = max(self.loss_peak, now["Total"] - self.loss_start)
        self.waiting = max(self.waiting, self._now(HOST)["Total"])


class ShardedTracker(_Peak, FSDPMemTracker):
    """A step under FSDP2."""

    STATES = (_FSDPRefType.SHARDED_PARAM, _FSDPRefType.SHARDED_GRAD, _FSDPRefType.OPT)

    def __init__(
        self, model: PreTrainedModel, optimizer: torch.optim.Optimizer, ids: torch.Tensor
    ) -> None:
        super().__init__(model, optimizer)
        self.track_inputs((ids,))

    def follow_loss(self, model: PreTrainedModel) -> None:
        super().follow_loss(model)
        # The head shares the last norm's parameter group and never runs its own forward: the loss
        # multiplies by its weight.
        self.memory_tracking[model.get_output_embeddings()] = _FSDPModMemStats("lm_head")


class SingleTracker(_Peak, MemTracker):
    """A step of one process that is not sharded."""

    STATES = (_MemRefType.PARAM, _MemRefType.GRAD, _MemRefType.OPT)

    def __init__(
        self, model: PreTrainedModel, optimizer: torch.optim.Optimizer, ids: torch.Tensor
    ) -> None:
        super().__init__()
        nothing = RemovableHandle(OrderedDict())
        frozen = (parameter for parameter in model.parameters() if not parameter.requires_grad)
        # The tracker would hook the gradients of frozen parameters, which have none.
        self._param_to_grad_hook_handles.update(dict.fromkeys(frozen, (nothing, nothing)))
        self.known = set(model.parameters())
        self.track_external(model, optimizer, ids)

    def _track_module_params_and_buffers(
        self, module: torch.nn.Module, install_grad_hooks: bool = True
    ) -> tuple[int, int]:
        # The bf16 copies that take the weights' places for a pass count as temporaries.
        if not self.known.issuperset(module.parameters()):
            return 0, 0
        return super()._track_module_params_and_buffers(module, install_grad_hooks)
