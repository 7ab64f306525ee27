"""How much memory one training step takes on each GPU, found by running it without any.

    memory = simulate(config, gpus=8, accumulation=2, length=32768)
    memory.peak / GIB                                           # of one GPU

torch's FSDPMemTracker follows a step of fake tensors (shapes without data) in a fake process group: the model's own code,
sharded by accelerate's own FSDP2 preparation, trl's own chunked loss, gradient checkpointing, AdamW. The full 64-layer
32B step at 32,768 tokens takes under a minute on a CPU. What it does not see: the CUDA context, NCCL's buffers and the
allocator's fragmentation, a few GiB; that is what the plan's spare is for. In here "cpu" plays the GPU.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker, _FSDPModMemStats, _FSDPRefType
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

GIB = 2**30
ON_HOST = ("Sharded Param", "Sharded Grad", "OptState")  # with offload; all else stays on the GPU


@dataclass(frozen=True)
class Memory:
    """Bytes of one GPU at the step's highest moment; the parts add up to `peak`."""

    parameters: int  # this GPU's share, float32
    gradients: int  # its share, float32; held from one micro-batch to the next
    optimiser: int  # AdamW's two moments of its share, float32
    activations: int  # the checkpoints of every layer and what one layer computes again
    temporaries: int  # gradients of activations, and what is gathered of one or two layers at a time
    peak: int
    logits: int  # the most that the loss adds at its own moment, which is not the peak's; no part of the sum
    host: int  # bytes of host memory this GPU's share takes; 0 without offload


def simulate(
    config: PretrainedConfig, *, gpus: int, accumulation: int, length: int, micro_batch: int = 1, checkpointing: bool = True
) -> tuple[Memory, Memory]:
    """Memory of one step of `accumulation` micro-batches of `length` tokens on each of `gpus`: (kept on the GPU, offloaded).

    The second has the sharded parameters, gradients and optimiser states in host memory (FSDP2's CPU offload). Simulated
    is the last micro-batch of a later step: the optimiser's states exist, and so do the gradients of the micro-batches
    before it. Raises RuntimeError in a process that is part of a process group.
    """
    config._attn_implementation, config.use_cache = "sdpa", False
    with _fake_group(gpus) as mesh, FakeTensorMode():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        _prepare_loss(model)
        _shard(model, mesh)
        optimizer = torch.optim.AdamW(model.parameters(), foreach=False)  # with foreach its temporaries count as states
        ids = torch.zeros(micro_batch, length, dtype=torch.long)
        tracker = _Tracker(model, optimizer)
        tracker.track_inputs((ids,))
        tracker.follow_loss(model)
        with tracker:
            for parameter in model.parameters():  # states without a first step: AdamW makes them where there is a gradient
                parameter.grad = torch.zeros_like(parameter)
                tracker.hold(parameter.grad)
            optimizer.step()
            if accumulation == 1:
                optimizer.zero_grad()  # else the gradients are those of the micro-batches before the last
            tracker.start()
            model(input_ids=ids, labels=ids, fused_lm_head=True).loss.backward()
            optimizer.step()
    return tracker.memory(offload=False), tracker.memory(offload=True)


def _prepare_loss(model: PreTrainedModel) -> None:
    """SFTTrainer's own loss: log-probabilities in chunks, never all logits."""
    from trl.trainer.utils import add_fused_lm_head

    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))


def _shard(model: PreTrainedModel, mesh: DeviceMesh) -> None:
    """accelerate's FSDP2 preparation, as the profiles' accelerate files ask for it."""
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    logging.getLogger("accelerate").setLevel(logging.ERROR)
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap", reshard_after_forward=True)
    plugin.set_mixed_precision("bf16")
    stand_in = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh={("fsdp",): mesh},  # a mesh made in fake mode would not work
        parallelism_config=SimpleNamespace(fsdp_dim_names=["fsdp"]),
        mixed_precision="bf16",
        is_main_process=False,
    )
    fsdp2_prepare_model(stand_in, model)


@contextlib.contextmanager
def _fake_group(size: int) -> Iterator[DeviceMesh]:
    if dist.is_initialized():
        raise RuntimeError("this process trains with others: simulate in a process of its own")
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=size)
    try:
        yield init_device_mesh("cpu", (size,))
    finally:
        dist.destroy_process_group()


class _Tracker(FSDPMemTracker):
    """Keeps two peaks, with and without what offload moves to the host, and how much the loss adds."""

    def hold(self, gradient: torch.Tensor) -> None:
        self._update_and_maybe_create_winfos(gradient, _FSDPRefType.SHARDED_GRAD, update_existing=True)

    def start(self) -> None:
        self.peaks, self.loss_start, self.loss_peak = {False: {}, True: {}}, None, 0

    def follow_loss(self, model: PreTrainedModel) -> None:
        """The loss lasts from the last norm's output to the gradient of that output."""
        self.start()
        # The head shares the last norm's parameter group and never runs its own forward: the loss multiplies by its weight.
        self.memory_tracking[model.get_output_embeddings()] = _FSDPModMemStats("lm_head")

        def forward(_module: object, _inputs: object, output: torch.Tensor) -> None:
            self.loss_start = self._now()["Total"]
            output.register_hook(lambda gradient: setattr(self, "loss_start", None))

        model.base_model.norm.register_forward_hook(forward)

    def _now(self) -> dict[str, int]:
        """Bytes by kind, on the device that plays the GPU."""
        return {getattr(kind, "value", kind): size for kind, size in self._curr_mem_snap[torch.device("cpu")].items()}

    def _update_peak_stats(self, peak_state: object) -> None:
        now = self._now()
        for offload, peak in self.peaks.items():
            size = now["Total"] - offload * sum(now[kind] for kind in ON_HOST)
            if size > peak.get("Peak", 0):
                self.peaks[offload] = {**now, "Peak": size}
        if self.loss_start is not None:
            self.loss_peak = max(self.loss_peak, now["Total"] - self.loss_start)

    def memory(self, *, offload: bool) -> Memory:
        at = self.peaks[offload]
        share = {kind: 0 if offload else at[kind] for kind in ON_HOST}
        activations = at["Activation"]
        rest = at["Peak"] - sum(share.values()) - activations
        final = self._now()
        host = offload * (final["Sharded Param"] + final["OptState"] + final["Sharded Grad"])
        return Memory(
            *(share[kind] for kind in ("Sharded Param", "Sharded Grad", "OptState")), activations, rest, at["Peak"], self.loss_peak, host
        )
