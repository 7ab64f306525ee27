"""How much memory one training step takes on each GPU, found by running it without any.

    memory = simulate(config, settings, length=32768)
    memory.peak / GIB  # of one GPU

torch's memory tracker follows a step of fake tensors (shapes without data): the model's own code,
trl's chunked loss, gradient checkpointing, adapters, AdamW. On several GPUs that happens in a fake
process group, sharded by accelerate's own FSDP2 preparation, on one GPU under autocast. The full
64-layer 32B step at 32,768 tokens takes under a minute on a CPU.

It does not see the CUDA context, NCCL's buffers and the allocator's fragmentation, a few GiB, which
is what the plan's spare is for, nor the attention mask of padded rows, where a micro-batch has
several. In here "cpu" plays the GPU, and "meta" the host memory that activations wait in.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace

import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from s1lib.hardware.base_model import base_dtype, with_adapters
from s1lib.hardware.half_weights import HalfWeights, halved
from s1lib.hardware.memory_trackers import (
    GPU,
    HOST,
    EightBitStates,
    Memory,
    ShardedTracker,
    SingleTracker,
    local,
)
from s1lib.profile import SFT

SMALLEST = 1024  # bytes; trl offloads nothing smaller
IN_FLIGHT = 5  # offloaded tensors that trl keeps on the GPU until their copies have arrived


def simulate(config: PretrainedConfig, settings: SFT, *, length: int) -> Memory:
    """Memory of one optimiser step with sequences of `length` tokens on `sft.processes` GPUs.

    Simulated is the last micro-batch of a later step: the optimiser's states exist, and so do the
    gradients of the micro-batches before it. Raises RuntimeError in a process that is part of a
    process group.
    """
    config._attn_implementation, config.use_cache = "sdpa", False
    with torch.device("meta"):  # peft cannot make its adapters of fake tensors
        model = prepare(config, settings)

    with _fake_group(settings.processes) as mesh, FakeTensorMode():
        _materialise(model)
        if settings.launched:
            shard(model, mesh, settings)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # With foreach, AdamW's temporaries would count as states.
        eight_bit = settings.optim == "adamw_torch_8bit"
        plain = torch.optim.AdamW(trained, foreach=False)
        optimizer = EightBitStates(trained) if eight_bit else plain
        ids = torch.zeros(settings.micro_batch_size, length, dtype=torch.long)
        tracker = (ShardedTracker if settings.launched else SingleTracker)(model, optimizer, ids)
        tracker.follow_loss(model)

        with tracker:
            # AdamW makes its states where there is a gradient: no first step is needed for them.
            for parameter in trained:
                parameter.grad = torch.zeros_like(parameter)
                tracker.hold(parameter.grad)
            optimizer.step()

            # Kept are the gradients of the micro-batches before the last one, if there are any.
            if settings.batch_size == settings.processes * settings.micro_batch_size:
                optimizer.zero_grad()

            # With offload one group's weights are on their way in and one's gradients out.
            passing = 2 * _largest_group(model) if settings.offload else 0
            tracker.start(offload=settings.offload, passing=passing)
            micro_step(model, ids, settings)
            optimizer.step()
    return tracker.memory()


def prepare(config: PretrainedConfig, settings: SFT) -> PreTrainedModel:
    """A model with random weights as trl's trainer makes it ready."""
    from trl.trainer.utils import add_fused_lm_head

    model = AutoModelForCausalLM.from_config(config, dtype=base_dtype(settings))
    add_fused_lm_head(model, outputs=("log_probs",))  # the trainer's loss: never all logits
    if settings.lora_rank:
        model = with_adapters(model, settings.lora_rank)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def micro_step(model: PreTrainedModel, ids: torch.Tensor, settings: SFT) -> None:
    """Forward and backward of one micro-batch [rows, tokens]."""
    offloading = _offloading(model) if settings.activation_offloading else contextlib.nullcontext()
    halves = HalfWeights(model).in_place() if halved(settings) else contextlib.nullcontext()
    cast = settings.bf16 and settings.lora_rank > 0  # sharded, FSDP2 casts to bf16 itself
    with halves, offloading:
        with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=cast):
            loss = model(input_ids=ids, labels=ids, fused_lm_head=True).loss
        loss.backward()


def shard(model: PreTrainedModel, mesh: DeviceMesh, settings: SFT) -> None:
    """accelerate's FSDP2 preparation, as `profiles/accelerate/fsdp2.yaml` asks for it."""
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    logging.getLogger("accelerate").setLevel(logging.ERROR)
    precision = "bf16" if settings.bf16 else "no"
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="transformer_based_wrap", reshard_after_forward=True
    )
    plugin.set_mixed_precision(precision)
    accelerator = SimpleNamespace(  # what the preparation reads of a real one
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh={("fsdp",): mesh},  # a mesh made in fake mode would not work
        parallelism_config=SimpleNamespace(fsdp_dim_names=["fsdp"]),
        mixed_precision=precision,
        is_main_process=False,
    )
    fsdp2_prepare_model(accelerator, model)


def _materialise(model: PreTrainedModel) -> None:
    """Turn tensors on "meta" into those of the current mode, tied ones into one."""
    made: dict[torch.Tensor, torch.Tensor] = {}
    places = (
        place for module in model.modules() for place in (module._parameters, module._buffers)
    )
    for place in places:
        for name, tensor in place.items():
            if tensor is None:
                continue
            if tensor not in made:
                new = torch.empty(tensor.shape, dtype=tensor.dtype)
                if isinstance(tensor, torch.nn.Parameter):
                    new = torch.nn.Parameter(new, tensor.requires_grad)
                made[tensor] = new
            place[name] = made[tensor]


def _offloading(model: PreTrainedModel) -> torch.autograd.graph.saved_tensors_hooks:
    """trl's activation offloading: all that is saved leaves the GPU, but no parameter."""
    own = {local(parameter).untyped_storage()._cdata for parameter in model.parameters()}
    in_flight: deque[torch.Tensor] = deque(maxlen=IN_FLIGHT)

    def pack(saved: torch.Tensor) -> torch.Tensor:
        if saved.nbytes < SMALLEST or local(saved).untyped_storage()._cdata in own:
            return saved
        in_flight.append(saved)
        return saved.to(HOST)

    def unpack(kept: torch.Tensor) -> torch.Tensor:
        in_flight.clear()
        return torch.empty_like(kept, device=GPU) if kept.device == HOST else kept

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


def _largest_group(model: PreTrainedModel) -> int:
    """Bytes of this GPU's float32 share of the most that FSDP2 gathers at a time.

    That is a block, or embeddings, last norm and head together.
    """
    modules = (module for module in model.modules() if isinstance(module, FSDPModule))
    groups = filter(None, (module._get_fsdp_state()._fsdp_param_group for module in modules))
    return max(
        sum(local(one.sharded_param).nbytes for one in group.fsdp_params) for group in groups
    )


@contextlib.contextmanager
def _fake_group(size: int) -> Iterator[DeviceMesh]:
    if dist.is_initialized():
        raise RuntimeError("this process trains with others: simulate in a process of its own")
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=size)
    try:
        yield init_device_mesh("cpu", (size,))
    finally:
        dist.destroy_process_group()
