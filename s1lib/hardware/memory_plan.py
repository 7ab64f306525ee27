"""Does a training fit its GPUs, and how long will it take? Answered on a CPU before a node is rented (`s1 plan`).

plan = make_plan(load_profile("h100"), gpus=8)
print(plan.text())
plan.check()                      # raises PlanError that names the change that would make it fit
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, Qwen2Config

from s1lib.hardware.base_model import TrainingError
from s1lib.hardware.simulated_step import GIB, Memory, simulate
from s1lib.profile import SFT, Profile, split_revision
from s1lib.sft.dataset import full_steps

GPU = 80e9  # bytes; what "80 GB" is at least: an H100 reports 79.6 GiB
SPARE = 8.0 * GIB  # CUDA context, NCCL's buffers, fragmentation: what the simulation does not see; of a small GPU less:
SPARE_SHARE = 0.15
PEAK_FLOPS = 989e12  # one H100, bf16, dense
UTILISATION = (0.20, 0.40)  # share of the peak: the paper's own run [from 26 minutes on 16 GPUs], and a well-tuned one
HOST_BANDWIDTH = 300e9  # bytes/s of a two-socket node, assumed: AdamW on the host reads 4 and writes 3 floats a parameter
LINK_BANDWIDTH = 25e9  # bytes/s between a GPU and its host, assumed: offloaded weights come twice a micro-batch, gradients go once
GPUS_OF_A_NODE = 8
TOKENS = 5_400  # of one sample: 4,700 of trace (Table 6), about 700 of question and answer, assumed
ADAPTERS = 32  # the rank that is proposed where nothing else fits

# The published architectures: hidden size, MLP size, layers, heads, key-value heads, vocabulary, tied embeddings.
QWEN2_5 = {
    "0.5B": (896, 4864, 24, 14, 2, 151936, True),
    "1.5B": (1536, 8960, 28, 12, 2, 151936, True),
    "3B": (2048, 11008, 36, 16, 2, 151936, True),
    "7B": (3584, 18944, 28, 28, 4, 152064, False),
    "14B": (5120, 13824, 48, 40, 8, 152064, False),
    "32B": (5120, 27648, 64, 40, 8, 152064, False),
}


class PlanError(TrainingError):
    """The training cannot be run as planned; the message is one line that says which change would make it fit."""


@dataclass(frozen=True)
class Plan:
    base: str
    settings: SFT  # `processes` is the number of GPUs
    gpu: float  # bytes of memory of each
    length: int  # tokens of a sequence
    steps: int
    tokens: int  # trained through, all epochs
    parameters: int
    hours: tuple[float, float]
    memory: Memory

    @property
    def limit(self) -> float:
        """Bytes that the simulated peak may take."""
        return self.gpu - min(SPARE, SPARE_SHARE * self.gpu)

    def text(self) -> str:
        """The plan as lines of a terminal; memory in GiB of one GPU at the step's highest moment."""
        memory, settings = self.memory, self.settings
        host = ", those in host memory" if settings.offload else ""
        arithmetic = "bf16" if settings.bf16 else "float32"
        states = "8-bit AdamW states" if settings.optim == "adamw_torch_8bit" else "AdamW states"
        weights = f"float32 parameters, gradients and {states}{host}"
        if settings.lora_rank:
            weights = f"{arithmetic} parameters, adapters of rank {settings.lora_rank} with {states}"
        layout = "FSDP2" if settings.launched else "not sharded"
        kept = "checkpointed" if settings.gradient_checkpointing else "all kept"
        kept += ", offloaded to the host" if settings.activation_offloading else ""
        parts = ("parameters", "gradients", "optimiser", "activations", "temporaries")
        lines = [
            f"{self.base}: {self.parameters / 1e9:.2f}B parameters on {_gpus(settings.processes)}, sequences of {self.length:,} tokens",
            f"{weights}, {layout}, {arithmetic} arithmetic, activations {kept}",
            *(f"  {name:12} {getattr(memory, name) / GIB:7.1f} GiB" for name in parts),
            f"  {'peak':12} {memory.peak / GIB:7.1f} GiB of {self.gpu / GIB:.1f}, {(self.gpu - memory.peak) / GIB:.1f} to spare",
            f"  {'logits':12} {memory.logits / GIB:7.1f} GiB more at the loss, at another moment (in chunks)",
        ]
        if memory.host:
            lines.append(f"  {'host':12} {memory.host * settings.processes / GIB:7.0f} GiB of host memory for all GPUs together")
        low, high = self.hours
        accumulation = settings.batch_size // (settings.processes * settings.micro_batch_size)
        return "\n".join(
            [
                *lines,
                f"{self.steps} steps, {accumulation} micro-batch(es) each per GPU, {self.tokens / 1e6:.1f}M tokens",
                f"{low:.1f} to {high:.1f} hours, an estimate: {UTILISATION[1]:.0%} or {UTILISATION[0]:.0%} of an H100's peak",
            ]
        )

    def check(self, *, strict: bool = True) -> None:
        """Raises PlanError, with the change that would make it fit, for a peak over the limit; not `strict`: over the whole GPU."""
        if self.memory.peak > (self.limit if strict else self.gpu):
            peak, gpu, spare = self.memory.peak / GIB, self.gpu / GIB, (self.gpu - self.limit) / GIB
            raise PlanError(f"does not fit: {peak:.1f} GiB per GPU, and {spare:.0f} of {gpu:.1f} must stay free; {self._remedy()}")

    def _remedy(self) -> str:
        """The first change that fits, by simulation; where it wants host memory, also one that wants less of it."""
        config = architecture(self.base)

        def fits(settings: SFT) -> str:
            memory, gpus = simulate(config, settings, length=self.length), settings.processes
            if memory.peak > self.limit:
                return ""
            changed = {key: value for key, value in vars(settings).items() if value != getattr(self.settings, key)}
            more = [f"use {gpus} GPUs"] if changed.pop("processes", None) else []
            words = (["set " + " and ".join(f"sft.{key}: {_yaml(value)}" for key, value in changed.items())] if changed else []) + more
            host = f", {memory.host * gpus / GIB:.0f} GiB of host memory in all" if memory.host else ""
            return f"{' and '.join(words)} ({memory.peak / GIB:.1f} GiB per GPU{host})"

        found = next(filter(None, map(fits, exact_changes(self.settings))), "")
        if found and "sft.offload" not in found:
            return found
        other = next(filter(None, map(fits, other_changes(self.settings))), "")
        other = other and f"{other}, no longer the paper's training"
        return "; or ".join(filter(None, (found, other))) or "lower sft.max_length, or take a smaller model"


def exact_changes(settings: SFT) -> Iterator[SFT]:
    """Other ways to train the same model (to rounding), the cheapest first."""
    change = dataclasses.replace
    for key, value in (("gradient_checkpointing", True), ("micro_batch_size", 1)):
        if getattr(settings, key) != value:
            settings = change(settings, **{key: value})
            yield settings
    if not settings.activation_offloading:
        yield change(settings, activation_offloading=True)
    if not settings.offload and not settings.lora_rank:
        yield change(settings, offload=True)
        if not settings.activation_offloading:
            yield change(settings, offload=True, activation_offloading=True)
    while not settings.lora_rank and settings.batch_size % (2 * settings.processes) == 0:
        settings = change(settings, processes=2 * settings.processes)
        yield settings


def other_changes(settings: SFT) -> Iterator[SFT]:
    """Ways that no longer are the paper's training: 8-bit optimiser states, then adapters."""
    saving = {"gradient_checkpointing": True, "micro_batch_size": 1, "activation_offloading": True, "optim": "adamw_torch_8bit"}
    yield dataclasses.replace(settings, **saving)
    if settings.processes == 1 and not settings.lora_rank:
        adapters = {"gradient_checkpointing": True, "micro_batch_size": 1, "offload": False, "lora_rank": ADAPTERS}
        yield dataclasses.replace(settings, **adapters)


def gpu_memory() -> float:
    """Bytes of the smallest GPU of this machine, without touching it; 80 GB where there is none."""
    if not shutil.which("nvidia-smi"):
        return GPU
    asked = subprocess.run(["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"], capture_output=True, text=True)
    sizes = [int(line) for line in asked.stdout.split() if line.isdigit()]
    return min(sizes) * 2.0**20 if sizes else GPU


def architecture(base: str) -> PretrainedConfig:
    """The model's configuration: a checkpoint's own, or Qwen2.5's published numbers; raises PlanError where there is neither."""
    name, revision = split_revision(base)
    size = name.removeprefix("Qwen/Qwen2.5-").removesuffix("-Instruct")
    if not Path(name).is_dir() and size in QWEN2_5:
        return _qwen(*QWEN2_5[size])
    try:
        return AutoConfig.from_pretrained(name, revision=revision, local_files_only=True)
    except (OSError, ValueError, KeyError):
        raise PlanError(
            f"no architecture known for {name}: fetch it, or give sft.base as a local directory or Qwen/Qwen2.5-{{{', '.join(QWEN2_5)}}}"
        ) from None


def _qwen(hidden: int, mlp: int, layers: int, heads: int, kv_heads: int, vocabulary: int, tied: bool) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=tied,
        max_position_embeddings=32768,
    )


def make_plan(profile: Profile, *, gpus: int, length: int | None = None, gpu: float | None = None) -> Plan:
    """Simulate one step of the profile's training on `gpus` GPUs of `gpu` bytes at `length` tokens (default: the longest allowed).

    Raises PlanError for a batch that the GPUs cannot share evenly, and for adapters on several.
    """
    settings = dataclasses.replace(profile.sft, processes=gpus)
    base = profile.resolve(settings.base)
    length = length or settings.max_length
    if settings.batch_size % (gpus * settings.micro_batch_size):
        raise PlanError(
            f"sft.batch_size = {settings.batch_size} cannot be shared by {_gpus(gpus)} of {settings.micro_batch_size}: "
            f"--gpus must divide {settings.batch_size // settings.micro_batch_size}"
        )
    if settings.lora_rank and settings.launched:
        raise PlanError("sft.lora_rank is for one GPU, without sft.offload")
    config = architecture(base)
    memory = simulate(config, settings, length=length)
    parameters = parameter_count(config)
    examples = profile.curation.target
    steps = full_steps(examples, settings)
    steps = min(steps, settings.max_steps) if settings.max_steps >= 0 else steps
    tokens = round(examples * settings.epochs * min(TOKENS, length))
    hours = tuple(
        _hours(config, settings, parameters=parameters, tokens=tokens, steps=steps, utilisation=share, hidden=hidden)
        for share, hidden in zip(reversed(UTILISATION), (True, False), strict=True)
    )
    return Plan(base, settings, gpu or gpu_memory(), length, steps, tokens, parameters, hours, memory)


def check_memory(profile: Profile, *, longest: int, log: Callable[[str], None]) -> None:
    """Raises PlanError where one step at `longest` tokens exceeds this machine's GPUs; without any there is nothing to exceed."""
    if not torch.cuda.is_available():
        return
    try:
        # In a process of its own: what a simulation sets up for its whole process has no place beside a training.
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
            refusal = pool.submit(_refusal, profile, longest).result()
    except Exception as error:  # a step that cannot be simulated may still be trained
        log(f"GPU memory is not checked beforehand: {type(error).__name__}: {' '.join(str(error).split())[:120]}")
        return
    if refusal:
        raise PlanError(refusal)


def _refusal(profile: Profile, longest: int) -> str:
    plan = make_plan(profile, gpus=profile.sft.processes, length=longest)
    try:
        plan.check(strict=False)
    except PlanError as error:
        return str(error)
    return ""


def parameter_count(config: PretrainedConfig) -> int:
    """Parameters of the model, from its modules on the meta device."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def _hours(config: PretrainedConfig, settings: SFT, *, parameters: int, tokens: int, steps: int, utilisation: float, hidden: bool) -> float:
    """Forward and backward: 6 operations a parameter and token, attention's beside them; under adapters a third less.

    What checkpointing computes again counts as lower utilisation. With `offload`, AdamW runs on the hosts and weights and
    gradients cross the link, `hidden` behind the arithmetic or not.
    """
    gpus = settings.processes
    attention = 6 * config.num_hidden_layers * config.hidden_size * TOKENS  # causal: half of the square
    operations = (4 if settings.lora_rank else 6) * parameters + attention
    arithmetic = operations * tokens / (gpus * PEAK_FLOPS * utilisation)
    if not settings.offload:
        return arithmetic / 3600
    nodes = -(-gpus // GPUS_OF_A_NODE)
    host = steps * 28 * parameters / (HOST_BANDWIDTH * nodes)
    passes = steps * settings.batch_size // (gpus * settings.micro_batch_size)
    link = passes * 12 * parameters / gpus / LINK_BANDWIDTH
    return (host + (max(arithmetic, link) if hidden else arithmetic + link)) / 3600


def _gpus(count: int) -> str:
    return f"{count} GPU{'s' if count > 1 else ''}"


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
