"""How much memory one training step takes on each GPU, found by running it without any.

    memory = simulate(config, settings, length=32768)
    memory.peak / GIB                                           # of one GPU

torch's memory tracker follows a step of fake tensors (shapes without data): the model's own code, trl's chunked loss,
gradient checkpointing, adapters, AdamW; on several GPUs in a fake process group, sharded by accelerate's own FSDP2
preparation, on one under autocast. The full 64-layer 32B step at 32,768 tokens takes under a minute on a CPU. What it does
not see: the CUDA context, NCCL's buffers and the allocator's fragmentation, a few GiB; that is what the plan's spare is
for; nor the attention mask of padded rows, where a micro-batch has several. In here "cpu" plays the GPU, and "meta" the
host memory that activations wait in. What `offload` keeps there is left out of the sum, and what then passes through the
GPU is added to it: one group's weights on their way in and one's gradients on their way out.
"""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace

import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker, _FSDPModMemStats, _FSDPRefType
from torch.distributed._tools.mem_tracker import MemTracker, _MemRefType
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.hooks import RemovableHandle
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from s1lib.hardware.base_model import base_dtype, with_adapters
from s1lib.profile import SFT

GIB = 2**30
GPU, HOST = torch.device("cpu"), torch.device("meta")
SMALLEST = 1024  # bytes; trl offloads nothing smaller
IN_FLIGHT = 5  # trl keeps as many offloaded tensors on the GPU, until their copies have arrived
STATE_BLOCK = 256  # elements of an 8-bit state that share one float32 scale (torchao)


@dataclass(frozen=True)
class Memory:
    """Bytes of one GPU at the step's highest moment; the parts add up to `peak`."""

    parameters: int  # this GPU's share
    gradients: int  # its share; held from one micro-batch to the next
    optimiser: int  # AdamW's two moments of its share
    activations: int  # the checkpoints of every layer and what one layer computes again
    temporaries: int  # gradients of activations, and what is gathered of one or two layers at a time
    peak: int
    logits: int  # the most that the loss adds at its own moment, which is not the peak's; no part of the sum
    host: int  # bytes of host memory for what this GPU does not keep; 0 without offload of any kind


def simulate(config: PretrainedConfig, settings: SFT, *, length: int) -> Memory:
    """Memory of one optimiser step with sequences of `length` tokens on each of `sft.processes` GPUs.

    Simulated is the last micro-batch of a later step: the optimiser's states exist, and so do the gradients of the
    micro-batches before it. Raises RuntimeError in a process that is part of a process group.
    """
    config._attn_implementation, config.use_cache = "sdpa", False
    with torch.device("meta"):  # peft cannot make its adapters of fake tensors
        model = prepare(config, settings)
    with _fake_group(settings.processes) as mesh, FakeTensorMode():
        _materialise(model)
        if settings.launched:
            shard(model, mesh, settings)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        eight_bit = settings.optim == "adamw_torch_8bit"
        # With foreach its temporaries would count as states.
        optimizer = _EightBitStates(trained) if eight_bit else torch.optim.AdamW(trained, foreach=False)
        ids = torch.zeros(settings.micro_batch_size, length, dtype=torch.long)
        tracker = _Sharded(model, optimizer, ids) if settings.launched else _Single(model, optimizer, ids)
        tracker.follow_loss(model)
        with tracker:
            for parameter in trained:  # states without a first step: AdamW makes them where there is a gradient
                parameter.grad = torch.zeros_like(parameter)
                tracker.hold(parameter.grad)
            optimizer.step()
            if settings.batch_size == settings.processes * settings.micro_batch_size:
                optimizer.zero_grad()  # else the gradients are those of the micro-batches before the last
            tracker.start(offload=settings.offload, passing=2 * _largest_group(model) if settings.offload else 0)
            micro_step(model, ids, settings)
            optimizer.step()
    return tracker.memory()


def prepare(config: PretrainedConfig, settings: SFT) -> PreTrainedModel:
    """A model with random weights as trl's trainer makes it ready."""
    from trl.trainer.utils import add_fused_lm_head

    model = AutoModelForCausalLM.from_config(config, dtype=base_dtype(settings))
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))  # SFTTrainer's own loss: never all logits
    if settings.lora_rank:
        model = with_adapters(model, settings.lora_rank)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def micro_step(model: PreTrainedModel, ids: torch.Tensor, settings: SFT) -> None:
    """Forward and backward of one micro-batch [rows, tokens]; sharded, FSDP2 casts to bf16 itself, else autocast does."""
    autocast = torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=settings.bf16 and not settings.launched)
    with _offloading(model) if settings.activation_offloading else contextlib.nullcontext():
        with autocast:
            loss = model(input_ids=ids, labels=ids, fused_lm_head=True).loss
        loss.backward()


def shard(model: PreTrainedModel, mesh: DeviceMesh, settings: SFT) -> None:
    """accelerate's FSDP2 preparation, as the profiles' accelerate files ask for it."""
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    logging.getLogger("accelerate").setLevel(logging.ERROR)
    precision = "bf16" if settings.bf16 else "no"
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap", reshard_after_forward=True)
    plugin.set_mixed_precision(precision)
    stand_in = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh={("fsdp",): mesh},  # a mesh made in fake mode would not work
        parallelism_config=SimpleNamespace(fsdp_dim_names=["fsdp"]),
        mixed_precision=precision,
        is_main_process=False,
    )
    fsdp2_prepare_model(stand_in, model)


def _materialise(model: PreTrainedModel) -> None:
    """Tensors on "meta" become those of the mode this is called in; what is tied stays tied."""
    made: dict[torch.Tensor, torch.Tensor] = {}
    for place in (place for module in model.modules() for place in (module._parameters, module._buffers)):
        for name, tensor in place.items():
            if tensor is None:
                continue
            if tensor not in made:
                new = torch.empty(tensor.shape, dtype=tensor.dtype)
                made[tensor] = torch.nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else new
            place[name] = made[tensor]


def _offloading(model: PreTrainedModel) -> torch.autograd.graph.saved_tensors_hooks:
    """What trl's activation offloading does to memory: all that is saved and no parameter leaves the GPU, the last few later."""
    own = {_local(parameter).untyped_storage()._cdata for parameter in model.parameters()}
    in_flight: deque[torch.Tensor] = deque(maxlen=IN_FLIGHT)

    def pack(saved: torch.Tensor) -> torch.Tensor:
        if saved.nbytes < SMALLEST or _local(saved).untyped_storage()._cdata in own:
            return saved
        in_flight.append(saved)
        return saved.to(HOST)

    def unpack(kept: torch.Tensor) -> torch.Tensor:
        in_flight.clear()
        return torch.empty_like(kept, device=GPU) if kept.device == HOST else kept

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


def _largest_group(model: PreTrainedModel) -> int:
    """Bytes of this GPU's float32 share of what FSDP2 gathers at a time: a block, or embeddings, last norm and head together."""
    groups = [module._get_fsdp_state()._fsdp_param_group for module in model.modules() if isinstance(module, FSDPModule)]
    return max(sum(_local(one.sharded_param).nbytes for one in group.fsdp_params) for group in groups if group)


def _local(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@contextlib.contextmanager
def _fake_group(size: int) -> Iterator[DeviceMesh]:
    if dist.is_initialized():
        raise RuntimeError("this process trains with others: simulate in a process of its own")
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=size)
    try:
        yield init_device_mesh("cpu", (size,))
    finally:
        dist.destroy_process_group()


class _EightBitStates(torch.optim.Optimizer):
    """What torchao's AdamW8bit keeps: two moments of a byte each and a scale a block; fake tensors cannot run its own step."""

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self) -> None:
        for parameter in self.param_groups[0]["params"]:
            size = _local(parameter).numel()
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment not in self.state[parameter]:
                    self.state[parameter][moment] = torch.empty(size, dtype=torch.uint8)
                    self.state[parameter][moment + "_scale"] = torch.empty(-(-size // STATE_BLOCK))


class _Peak:
    """What both trackers are asked beyond torch's own: the highest moment with its parts, and how much the loss adds."""

    STATES: tuple[Enum, Enum, Enum]  # torch's names of parameters, gradients, optimiser states

    def hold(self, gradient: torch.Tensor) -> None:
        self._update_and_maybe_create_winfos(_local(gradient), self.STATES[1], update_existing=True)

    def start(self, *, offload: bool = False, passing: int = 0) -> None:
        self.offload, self.passing = offload, passing
        self.highest, self.loss_start, self.loss_peak, self.waiting = {"Peak": 0}, None, 0, 0

    def follow_loss(self, model: PreTrainedModel) -> None:
        """The loss lasts from the last norm's output to the gradient of that output."""
        self.start()
        model = model.get_base_model() if hasattr(model, "get_base_model") else model

        def forward(_module: object, _inputs: object, output: torch.Tensor) -> None:
            self.loss_start = self._now()["Total"]
            output.register_hook(lambda gradient: setattr(self, "loss_start", None))

        model.base_model.norm.register_forward_hook(forward)

    def _now(self, device: torch.device = GPU) -> dict[str, int]:
        """Bytes by kind."""
        return {getattr(kind, "value", kind): size for kind, size in self._curr_mem_snap.get(device, {"Total": 0}).items()}

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

    def memory(self) -> Memory:
        at, final = self.highest, self._now()
        states = (0, 0, 0) if self.offload else self._states(at)
        rest = at["Peak"] - sum(states) - at["Activation"]
        host = self.waiting + self.offload * sum(self._states(final))
        return Memory(*states, at["Activation"], rest, at["Peak"], self.loss_peak, host)


class _Sharded(_Peak, FSDPMemTracker):
    STATES = (_FSDPRefType.SHARDED_PARAM, _FSDPRefType.SHARDED_GRAD, _FSDPRefType.OPT)

    def __init__(self, model: PreTrainedModel, optimizer: torch.optim.Optimizer, ids: torch.Tensor) -> None:
        super().__init__(model, optimizer)
        self.track_inputs((ids,))

    def follow_loss(self, model: PreTrainedModel) -> None:
        super().follow_loss(model)
        # The head shares the last norm's parameter group and never runs its own forward: the loss multiplies by its weight.
        self.memory_tracking[model.get_output_embeddings()] = _FSDPModMemStats("lm_head")


class _Single(_Peak, MemTracker):
    STATES = (_MemRefType.PARAM, _MemRefType.GRAD, _MemRefType.OPT)

    def __init__(self, model: PreTrainedModel, optimizer: torch.optim.Optimizer, ids: torch.Tensor) -> None:
        super().__init__()
        nothing = RemovableHandle(OrderedDict())
        frozen = (parameter for parameter in model.parameters() if not parameter.requires_grad)
        self._param_to_grad_hook_handles.update(dict.fromkeys(frozen, (nothing, nothing)))  # it would hook their gradients
        self.track_external(model, optimizer, ids)
