"""Does a training fit its GPUs, and how long will it take? Answered on a CPU (`s1 plan`).

plan = make_plan(load_profile("h100"), gpus=8)
print(plan.text())
plan.check()  # raises PlanError that names the change that would make it fit
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig

from s1lib.hardware.architectures import PlanError, architecture, parameter_count
from s1lib.hardware.bandwidths import ASSUMED, Bandwidths
from s1lib.hardware.memory_trackers import GIB, Memory
from s1lib.hardware.pass_room import in_own_process, pass_room
from s1lib.hardware.plan_changes import exact_changes, other_changes
from s1lib.hardware.simulated_step import simulate
from s1lib.hardware.training_time import TOKENS, capped_steps, training_hours, utilisation
from s1lib.profile import SFT, Profile

GPU = 80e9  # bytes; what "80 GB" is at least: an H100 reports 79.6 GiB
SPARE = 8.0 * GIB  # what the simulation does not see: CUDA context, NCCL's buffers, fragmentation
SPARE_SHARE = 0.15  # of a small GPU, where that is less


@dataclass(frozen=True)
class Plan:
    """A training on given GPUs: its simulated memory and estimated time."""

    base: str
    settings: SFT  # `processes` is the number of GPUs
    gpu: float  # bytes of memory of each
    length: int  # tokens of a sequence
    steps: int
    tokens: int  # trained through, all epochs
    parameters: int
    hours: tuple[float, float]
    memory: Memory
    bandwidths: Bandwidths

    @property
    def limit(self) -> float:
        """Bytes that the simulated peak may take."""
        return memory_limit(self.gpu)

    def text(self) -> str:
        """The plan as lines of a terminal, memory being that of one GPU at its highest."""
        memory, settings, gpus = self.memory, self.settings, self.settings.processes
        rows = ("parameters", "gradients", "optimiser", "activations", "temporaries")
        lines = [
            f"{self.base}: {self.parameters / 1e9:.2f}B parameters on {_gpus(gpus)}, "
            f"sequences of {self.length:,} tokens",
            _configuration(settings),
            *(f"  {row:12} {getattr(memory, row) / GIB:7.1f} GiB" for row in rows),
            f"  {'peak':12} {memory.peak / GIB:7.1f} GiB of {self.gpu / GIB:.1f}, "
            f"{(self.gpu - memory.peak) / GIB:.1f} to spare",
            f"  {'logits':12} {memory.logits / GIB:7.1f} GiB more at the loss, "
            "at another moment (in chunks)",
        ]
        if memory.host:
            host = f"{memory.host * gpus / GIB:7.0f} GiB of host memory for all GPUs together"
            lines.append(f"  {'host':12} {host}")
        if settings.offload:
            host, link = (rate / 1e9 for rate in (self.bandwidths.host, self.bandwidths.link))
            rates = f"{host:7.0f} GB/s of the host for AdamW, {link:.0f} to a GPU"
            lines.append(f"  {'offload':12} {rates}, {self.bandwidths.source}")

        low, high = utilisation(settings)
        # What one optimiser step is made of, and how long all of them take.
        accumulation = settings.batch_size // (gpus * settings.micro_batch_size)
        return "\n".join(
            [
                *lines,
                f"{self.steps} steps, {accumulation} micro-batch(es) each per GPU, "
                f"{self.tokens / 1e6:.1f}M tokens",
                f"{self.hours[0]:.1f} to {self.hours[1]:.1f} hours, an estimate: "
                f"{high:.0%} or {low:.0%} of an H100's peak",
            ]
        )

    def check(self, *, strict: bool = True) -> None:
        """Raises PlanError, with the change that would make it fit, for a peak over the limit.

        Not `strict`: for one over the whole GPU.
        """
        if self.memory.peak <= (self.limit if strict else self.gpu):
            return
        peak, gpu, spare = (
            size / GIB for size in (self.memory.peak, self.gpu, self.gpu - self.limit)
        )
        raise PlanError(
            f"does not fit: {peak:.1f} GiB per GPU, and {spare:.0f} of {gpu:.1f} must stay free; "
            f"{self._remedy()}"
        )

    def _remedy(self) -> str:
        """The first change that fits, and where it wants host memory, one that wants less of it."""
        config = architecture(self.base)

        def first_that_fits(changes: Iterator[SFT]) -> str:
            return next(filter(None, (self._if_fitting(config, one) for one in changes)), "")

        exact = first_that_fits(exact_changes(self.settings))
        if exact and "sft.offload" not in exact:
            return exact
        other = first_that_fits(other_changes(self.settings))
        other = other and f"{other}, no longer the paper's training"
        last_resort = "lower sft.max_length, or take a smaller model"
        return "; or ".join(filter(None, (exact, other))) or last_resort

    def _if_fitting(self, config: PretrainedConfig, settings: SFT) -> str:
        """The change that gives `settings`, in words, empty where they do not fit either."""
        memory, gpus = simulate(config, settings, length=self.length), settings.processes
        if memory.peak > self.limit:
            return ""
        ours = vars(self.settings)
        changed = {key: value for key, value in vars(settings).items() if value != ours[key]}
        more = [f"use {gpus} GPUs"] if changed.pop("processes", None) else []
        keys = " and ".join(f"sft.{key}: {_yaml(value)}" for key, value in changed.items())
        words = " and ".join([*([f"set {keys}"] if keys else []), *more])
        host = f", {memory.host * gpus / GIB:.0f} GiB of host memory in all" if memory.host else ""
        return f"{words} ({memory.peak / GIB:.1f} GiB per GPU{host})"


def memory_limit(gpu: float) -> float:
    """Bytes that a simulated peak may take of a GPU of `gpu` bytes."""
    return gpu - min(SPARE, SPARE_SHARE * gpu)


def make_plan(
    profile: Profile,
    *,
    gpus: int,
    length: int | None = None,
    gpu: float | None = None,
    bandwidths: Bandwidths = ASSUMED,
) -> Plan:
    """Simulate one step of the profile's training on `gpus` GPUs of `gpu` bytes.

    `length` is in tokens, by default the longest that the profile allows. `bandwidths` are those of
    a node, for the hours with `offload`. Raises PlanError for a batch that the GPUs cannot share
    evenly, and for adapters on several.
    """
    settings = dataclasses.replace(profile.sft, processes=gpus)
    base = profile.resolve(settings.base)
    length = length or settings.max_length
    if settings.batch_size % (gpus * settings.micro_batch_size):
        share = settings.batch_size // settings.micro_batch_size
        raise PlanError(
            f"sft.batch_size = {settings.batch_size} cannot be shared by {_gpus(gpus)} "
            f"of {settings.micro_batch_size}: --gpus must divide {share}"
        )
    if settings.lora_rank and settings.launched:
        raise PlanError("sft.lora_rank is for one GPU, without sft.offload")

    config = architecture(base)
    memory = simulate(config, settings, length=length)
    parameters = parameter_count(config)

    # The size of the curated set stands for every set.
    examples = profile.curation.target
    steps, share = capped_steps(examples, settings)
    tokens = round(examples * settings.epochs * min(TOKENS, length) * share)
    size = {"parameters": parameters, "tokens": tokens, "steps": steps}
    hours = training_hours(config, settings, **size, bandwidths=bandwidths)
    gpu = gpu or gpu_memory()
    return Plan(
        base, settings, gpu, length, **size, hours=hours, memory=memory, bandwidths=bandwidths
    )


def gpu_memory() -> float:
    """Bytes of the smallest GPU of this machine, untouched, or 80 GB where there is none."""
    if not shutil.which("nvidia-smi"):
        return GPU
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    said = subprocess.run(query, capture_output=True, text=True).stdout
    sizes = [int(line) for line in said.split() if line.isdigit()]
    return min(sizes) * 2.0**20 if sizes else GPU


def pass_room_here(config: PretrainedConfig, settings: SFT) -> int:
    """The room of a pass (`pass_room`) in the memory of this machine's smallest GPU."""
    return pass_room(config, settings, limit=memory_limit(gpu_memory()))


def check_memory(profile: Profile, *, longest: int, log: Callable[[str], None]) -> int:
    """The room of a pass on this machine's GPU in tokens (`pass_room`), 0 on a CPU.

    Raises PlanError where one step at `longest` tokens exceeds the GPUs of this machine.
    """
    if not torch.cuda.is_available():
        return 0
    try:
        refusal, room = in_own_process(_verdict, profile, longest)
    except Exception as error:  # a step that cannot be simulated may still be trained
        reason = " ".join(str(error).split())[:120]
        log(f"GPU memory is not checked beforehand: {type(error).__name__}: {reason}")
        return 0
    if refusal:
        raise PlanError(refusal)
    return room


def _verdict(profile: Profile, longest: int) -> tuple[str, int]:
    """The message of `check`, empty for a plan that fits, and the room of a pass."""
    try:
        plan = make_plan(profile, gpus=profile.sft.processes, length=longest)
        plan.check(strict=False)
    except PlanError as error:
        return str(error), 0
    return "", pass_room(architecture(plan.base), plan.settings, limit=plan.limit)


def _configuration(settings: SFT) -> str:
    """The plan's second line: what lies where, and in which precision."""
    arithmetic = "bf16" if settings.bf16 else "float32"
    states = "8-bit AdamW states" if settings.optim == "adamw_torch_8bit" else "AdamW states"
    host = ", those in host memory" if settings.offload else ""
    weights = f"float32 parameters, gradients and {states}{host}"
    if settings.lora_rank:
        weights = f"{arithmetic} parameters, adapters of rank {settings.lora_rank} with {states}"
    layout = "FSDP2" if settings.launched else "not sharded"
    kept = "checkpointed" if settings.gradient_checkpointing else "all kept"
    kept += ", offloaded to the host" if settings.activation_offloading else ""
    return f"{weights}, {layout}, {arithmetic} arithmetic, activations {kept}"


def _gpus(count: int) -> str:
    return f"{count} GPU{'s' if count > 1 else ''}"


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
