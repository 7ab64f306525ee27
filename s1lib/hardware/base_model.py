"""The base model as it goes into training: tokenizer, weights, and adapters if asked for."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.initialization import no_init_weights

from s1lib.errors import S1Error
from s1lib.hardware.plain_attention import PLAIN_ATTENTION
from s1lib.profile import SFT, split_revision


class TrainingError(S1Error):
    """Training cannot start or go on: one line that says where and why."""


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """Tokenizer of a model directory or a hub id with a pinned revision.

    Raises TrainingError for one that is not there or cannot be read.
    """
    name, revision = split_revision(base)
    try:
        return AutoTokenizer.from_pretrained(name, revision=revision)
    except Exception as error:  # a damaged file can raise anything
        raise _unreadable("the tokenizer of the base model", base, error) from error


def base_dtype(settings: SFT) -> torch.dtype:
    """Precision of the base model's weights: float32 where they are trained, else bf16 if allowed.

    Adapters stay float32 themselves, so bf16 is enough for the frozen weights under them.
    """
    return torch.bfloat16 if settings.lora_rank and settings.bf16 else torch.float32


def attention_options() -> dict[str, str]:
    """What a model is built with for the attention that trains fastest on this machine."""
    return {} if torch.cuda.is_available() else {"attn_implementation": PLAIN_ATTENTION}


def load_base(base: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The base model with weights of `dtype`.

    In a sharded training only the first process reads the weights: FSDP2 sends the others theirs.
    Raises TrainingError for files that cannot be read.
    """
    transformers.utils.logging.disable_progress_bar()
    name, revision = split_revision(base)
    options = attention_options()

    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and os.environ.get("RANK", "0") != "0":
        config = AutoConfig.from_pretrained(name, revision=revision)
        with no_init_weights():  # memory that nobody touches is never taken
            model = AutoModelForCausalLM.from_config(config, dtype=dtype, **options)
        model.tie_weights()
        return model

    try:
        return AutoModelForCausalLM.from_pretrained(name, revision=revision, dtype=dtype, **options)
    except Exception as error:  # a damaged file can raise anything
        raise _unreadable("the base model", base, error) from error


def _unreadable(what: str, base: str, error: Exception) -> TrainingError:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    here = Path(split_revision(base)[0]).is_dir()
    remedy = "write or fetch it again" if here else "it is no directory, so a hub was asked"
    return TrainingError(f"cannot load {what} from {base}: {reason}; {remedy}")


def with_adapters(model: PreTrainedModel, rank: int) -> PreTrainedModel:
    """The model with float32 low-rank adapters on every linear layer of its blocks.

    Raises TrainingError without the package peft.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise TrainingError(
            "sft.lora_rank needs the package peft: pip install peft==0.21.2"
        ) from None
    adapters = {"r": rank, "lora_alpha": 2 * rank, "target_modules": "all-linear"}
    return get_peft_model(model, LoraConfig(**adapters, task_type="CAUSAL_LM"))
