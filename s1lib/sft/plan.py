"""Does a training fit its GPUs, and how long will it take? Answered on a CPU before a node is rented (`s1 plan`).

plan = make_plan(load_profile("h100"), gpus=8)
print(plan.text())
plan.check()                      # raises PlanError that names the change that would make it fit
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PretrainedConfig, Qwen2Config

from s1lib.profile import Profile, split_revision
from s1lib.sft.dataset import full_steps
from s1lib.sft.memory import GIB, Memory, simulate

GPU_GIB = 80e9 / GIB  # what "80 GB" is at least; an H100 reports 79.6 GiB
SPARE_GIB = 8.0  # CUDA context, NCCL's buffers, fragmentation: what the simulation does not see
PEAK_FLOPS = 989e12  # one H100, bf16, dense
UTILISATION = (0.20, 0.40)  # share of the peak: the paper's own run [from 26 minutes on 16 GPUs], and a well-tuned one
HOST_BANDWIDTH = 300e9  # bytes/s of a two-socket node, assumed: AdamW on the host reads 4 and writes 3 floats a parameter
TOKENS = 5_400  # of one sample: 4,700 of trace (Table 6), about 700 of question and answer, assumed

# The published architectures: hidden size, MLP size, layers, heads, key-value heads, vocabulary, tied embeddings.
QWEN2_5 = {
    "0.5B": (896, 4864, 24, 14, 2, 151936, True),
    "1.5B": (1536, 8960, 28, 12, 2, 151936, True),
    "3B": (2048, 11008, 36, 16, 2, 151936, True),
    "7B": (3584, 18944, 28, 28, 4, 152064, False),
    "14B": (5120, 13824, 48, 40, 8, 152064, False),
    "32B": (5120, 27648, 64, 40, 8, 152064, False),
}


class PlanError(ValueError):
    """The training cannot be run as planned; the message is one line that says which change would make it fit."""


@dataclass(frozen=True)
class Plan:
    base: str
    gpus: int
    accumulation: int
    length: int
    steps: int
    tokens: int  # trained through, all epochs
    parameters: int
    hours: tuple[float, float]
    memory: Memory
    offload: bool
    remedy: str  # what would make it fit; "" where it does

    @property
    def limit(self) -> float:
        return (GPU_GIB - SPARE_GIB) * GIB

    def text(self) -> str:
        """The plan as lines of a terminal; memory in GiB of one GPU at the step's highest moment."""
        memory, where = self.memory, "in host memory" if self.offload else "on the GPU"
        parts = {
            "parameters": memory.parameters,
            "gradients": memory.gradients,
            "optimiser": memory.optimiser,
            "activations": memory.activations,
            "temporaries": memory.temporaries,
        }
        lines = [
            f"{self.base}: {self.parameters / 1e9:.2f}B parameters on {self.gpus} GPUs, sequences of {self.length:,} tokens",
            f"parameters, gradients and optimiser states {where}, FSDP2, float32 states, bf16 arithmetic",
            *(f"  {name:12} {size / GIB:7.1f} GiB" for name, size in parts.items()),
            f"  {'peak':12} {memory.peak / GIB:7.1f} GiB of {GPU_GIB:.1f}, {GPU_GIB - memory.peak / GIB:.1f} to spare",
            f"  {'logits':12} {memory.logits / GIB:7.1f} GiB more at the loss, at another moment (in chunks)",
        ]
        if self.offload:
            lines.append(f"  {'host':12} {memory.host * self.gpus / GIB:7.0f} GiB of host memory for all GPUs together")
        low, high = self.hours
        return "\n".join(
            [
                *lines,
                f"{self.steps} steps, {self.accumulation} micro-batch(es) each per GPU, {self.tokens / 1e6:.1f}M tokens",
                f"{low:.1f} to {high:.1f} hours, an estimate: {UTILISATION[1]:.0%} or {UTILISATION[0]:.0%} of the GPUs' peak",
            ]
        )

    def check(self) -> None:
        """Raises PlanError where the peak leaves less than SPARE_GIB of the GPU."""
        if self.memory.peak > self.limit:
            peak = self.memory.peak / GIB
            raise PlanError(f"does not fit: {peak:.1f} GiB per GPU, and {SPARE_GIB:.0f} of {GPU_GIB:.1f} must stay free; {self.remedy}")


def architecture(base: str) -> PretrainedConfig:
    """The model's configuration: a local checkpoint's own, or Qwen2.5's published numbers; raises PlanError for another one."""
    name, _ = split_revision(base)
    if Path(name).is_dir():
        return AutoConfig.from_pretrained(name)
    size = name.removeprefix("Qwen/Qwen2.5-").removesuffix("-Instruct")
    if size not in QWEN2_5:
        raise PlanError(
            f"no architecture known for {name}: give sft.base as a local directory, or one of Qwen/Qwen2.5-{{{', '.join(QWEN2_5)}}}"
        )
    hidden, mlp, layers, heads, kv_heads, vocabulary, tied = QWEN2_5[size]
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


def make_plan(profile: Profile, *, gpus: int, length: int | None = None) -> Plan:
    """Simulate one step of the profile's training on `gpus` GPUs at `length` tokens (default: the longest allowed).

    Raises PlanError for a batch that the GPUs cannot share evenly.
    """
    settings = profile.sft
    base = profile.resolve(settings.base)
    length = length or settings.max_length
    accumulation, rest = divmod(settings.batch_size, gpus * settings.micro_batch_size)
    if rest or not accumulation:
        raise PlanError(
            f"sft.batch_size = {settings.batch_size} cannot be shared by {gpus} GPUs of {settings.micro_batch_size}: "
            f"--gpus must divide {settings.batch_size // settings.micro_batch_size}"
        )
    config = architecture(base)
    on_gpu, offloaded = simulate(
        config,
        gpus=gpus,
        accumulation=accumulation,
        length=length,
        micro_batch=settings.micro_batch_size,
        checkpointing=settings.gradient_checkpointing,
    )
    parameters = parameter_count(config)
    examples = profile.curation.target
    steps = full_steps(examples, settings)
    steps = min(steps, settings.max_steps) if settings.max_steps >= 0 else steps
    tokens = round(examples * settings.epochs * min(TOKENS, length))
    hours = tuple(_hours(config, parameters, tokens, steps, gpus, share, settings.offload) for share in reversed(UTILISATION))
    memory = offloaded if settings.offload else on_gpu
    plan = Plan(base, gpus, accumulation, length, steps, tokens, parameters, hours, memory, settings.offload, "")
    return plan if memory.peak <= plan.limit else Plan(**{**vars(plan), "remedy": _remedy(plan, settings, on_gpu, offloaded)})


def _remedy(plan: Plan, settings: Any, on_gpu: Memory, offloaded: Memory) -> str:
    """The cheapest change that fits; what more GPUs would need is scaled from this simulation, not simulated again."""
    if not settings.gradient_checkpointing:
        return "set sft.gradient_checkpointing: true"
    if settings.micro_batch_size > 1:
        return "set sft.micro_batch_size: 1 (more accumulation, the same batch)"
    if not settings.offload and offloaded.peak <= plan.limit:
        return (
            f"set sft.offload: true ({offloaded.peak / GIB:.1f} GiB per GPU and {offloaded.host * plan.gpus / GIB:.0f} GiB of host memory)"
        )
    share, gpus = on_gpu.parameters + on_gpu.gradients + on_gpu.optimiser, plan.gpus
    while gpus < settings.batch_size:
        gpus *= 2
        if on_gpu.peak - share + share * plan.gpus / gpus <= plan.limit:
            return f"use {gpus} GPUs"
    return "lower sft.max_length, or take a smaller model"


def parameter_count(config: PretrainedConfig) -> int:
    """Parameters of the model, from its modules on the meta device."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def _hours(config: PretrainedConfig, parameters: int, tokens: int, steps: int, gpus: int, utilisation: float, offload: bool) -> float:
    """Forward and backward (6 operations a parameter and token, attention's beside them), a third more for checkpointing."""
    attention = 6 * config.num_hidden_layers * config.hidden_size * TOKENS  # causal: half of the square
    arithmetic = (6 * parameters + attention) * tokens / (gpus * PEAK_FLOPS * utilisation)
    host = steps * 28 * parameters / HOST_BANDWIDTH if offload else 0
    return (arithmetic + host) / 3600
