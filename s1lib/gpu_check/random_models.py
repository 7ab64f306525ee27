"""Models of Qwen2.5's shapes with random weights, and texts to train and ask them on.

Speed and memory depend on shapes and lengths alone, so no hub is needed.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
)

from s1lib.curation.pool import Sample
from s1lib.hardware.architectures import architecture
from s1lib.toy.tokenizer import build_tokenizer

TINY = "tiny"  # the shape on a CPU, with the toy's vocabulary


def shape(name: str) -> PretrainedConfig:
    """The configuration of a shape: one of Qwen2.5's sizes, such as "1.5B", or "tiny".

    Weights are drawn at a scale that keeps every layer's outputs alike in size. With transformers'
    0.02 a narrow random model says the last token again and again.
    """
    if name == TINY:
        config = Qwen2Config(
            vocab_size=len(build_tokenizer()),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,  # of 32, the smallest that vLLM has on a CPU
            num_key_value_heads=1,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
        )
    else:
        config = architecture(f"Qwen/Qwen2.5-{name}-Instruct")
    config.initializer_range = config.hidden_size**-0.5
    return config


def random_model(name: str, *, device: str, dtype: torch.dtype, seed: int = 0) -> PreTrainedModel:
    """A model of the shape `name` with random weights, made where it will be used."""
    torch.manual_seed(seed)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(shape(name), dtype=dtype)
    return model.eval()


def tokenizer_of(name: str) -> PreTrainedTokenizerBase:
    """Qwen2.5's tokenizer where its vocabulary is at hand, else the toy's, which is a part of it.

    Which one it is changes no speed: the model has embeddings for all of Qwen2.5's ids anyway.
    """
    from s1lib.gpu_check.qwen_vocabulary import RANKS, qwen_tokenizer

    return qwen_tokenizer() if name != TINY and RANKS.exists() else build_tokenizer()


def save_random_model(name: str, directory: Path, *, device: str) -> None:
    """Write a checkpoint of the shape `name` with its tokenizer, in bf16 unless it is tiny."""
    dtype = torch.float32 if name == TINY else torch.bfloat16
    tokenizer, model = tokenizer_of(name), random_model(name, device=device, dtype=dtype)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    del model
    torch.cuda.empty_cache()  # what reads the checkpoint may want the GPU


def random_samples(lengths: Sequence[int]) -> list[Sample]:
    """A sample for each length, whose trace has about as many tokens: a digit is one."""
    drawn = random.Random(0)
    empty = dict.fromkeys((field.name for field in dataclasses.fields(Sample)), "")
    known = {**empty, "question": "a: add 39.", "attempt": "7", "answer": "7", "kind": "math"}
    return [
        Sample(**known | {"id": str(number), "trace": "".join(drawn.choices("0123456789", k=long))})
        for number, long in enumerate(lengths)
    ]
