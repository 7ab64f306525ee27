"""The architecture of a base model that may not be on this machine: Qwen2.5's published sizes."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, Qwen2Config

from s1lib.hardware.base_model import TrainingError
from s1lib.profile import split_revision

# Hidden size, MLP size, layers, heads, key-value heads, vocabulary, tied embeddings.
QWEN2_5 = {
    "0.5B": (896, 4864, 24, 14, 2, 151936, True),
    "1.5B": (1536, 8960, 28, 12, 2, 151936, True),
    "3B": (2048, 11008, 36, 16, 2, 151936, True),
    "7B": (3584, 18944, 28, 28, 4, 152064, False),
    "14B": (5120, 13824, 48, 40, 8, 152064, False),
    "32B": (5120, 27648, 64, 40, 8, 152064, False),
}


class PlanError(TrainingError):
    """The training cannot be run as planned: one line that says what to change."""


def architecture(base: str) -> PretrainedConfig:
    """The model's configuration: a checkpoint's own, or one of Qwen2.5's.

    Raises PlanError where there is neither.
    """
    name, revision = split_revision(base)
    size = name.removeprefix("Qwen/Qwen2.5-").removesuffix("-Instruct")
    if not Path(name).is_dir() and size in QWEN2_5:
        return _qwen(*QWEN2_5[size])
    try:
        return AutoConfig.from_pretrained(name, revision=revision, local_files_only=True)
    except (OSError, ValueError, KeyError):
        raise PlanError(
            f"no architecture known for {name}: fetch it, or give sft.base as a local directory "
            f"or Qwen/Qwen2.5-{{{', '.join(QWEN2_5)}}}"
        ) from None


def parameter_count(config: PretrainedConfig) -> int:
    """Parameters of the model, from its modules on the meta device."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def cached_heads(config: PretrainedConfig) -> tuple[int, int]:
    """Key-value heads of a layer, and the size of each."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return heads, size


def _qwen(
    hidden: int, mlp: int, layers: int, heads: int, kv_heads: int, vocabulary: int, tied: bool
) -> Qwen2Config:
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
