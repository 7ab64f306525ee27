"""Training on traces of very unequal lengths: tokens per second, trl's way and ours.

    python -m tests.bench.bench_sft

The same data, model (the toy's shape, random weights), loss and number of steps on one thread, in
turns in one run. Padding counts as no token.
"""

from __future__ import annotations

import dataclasses
import math
import random
import tempfile
import time
from types import MethodType

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl import SFTTrainer
from trl.trainer.utils import add_fused_lm_head

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.hardware.plain_attention import PLAIN_ATTENTION
from s1lib.profile import SFT
from s1lib.sft.dataset import training_set
from s1lib.sft.recipe import build_trainer
from s1lib.toy.tokenizer import build_tokenizer

# Tokens of a trace, log-uniform: many short ones and a long tail, as in s1K.
SHORTEST, LONGEST, EXAMPLES = (
    20,
    560,
    256,
)


def samples() -> list[Sample]:
    rng = random.Random(0)
    lengths = [
        round(math.exp(rng.uniform(math.log(SHORTEST), math.log(LONGEST)))) for _ in range(EXAMPLES)
    ]
    empty = dict.fromkeys((field.name for field in dataclasses.fields(Sample)), "")
    return [
        Sample(
            **{
                **empty,
                "id": str(i),
                "question": "a: add 39.",
                "trace": "7" * length,
                "attempt": "7",
                "answer": "7",
            }
        )
        for i, length in enumerate(lengths)
    ]


def model(tokenizer, attention: str) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
    }
    config = Qwen2Config(
        vocab_size=len(tokenizer), max_position_embeddings=1024, tie_word_embeddings=True, **sizes
    )
    config._attn_implementation = attention
    return Qwen2ForCausalLM(config)


def tokens_per_second(*, ours: bool, attention: str, metrics: bool = False, room: int = 0) -> float:
    """`metrics` are trl's entropy and accuracy; `ours` are batches of similar lengths."""
    tokenizer = build_tokenizer()
    settings = SFT(
        epochs=1.0,
        batch_size=16,
        micro_batch_size=16,
        max_length=1024,
        bf16=False,
        gradient_checkpointing=False,
    )
    data = training_set(samples(), ChatFormat(tokenizer), max_length=settings.max_length)
    network = model(tokenizer, attention)
    with tempfile.TemporaryDirectory() as work:
        trainer = build_trainer(network, tokenizer, data, settings, work, room=room)
        if metrics:
            add_fused_lm_head(network, outputs=("log_probs", "entropy", "is_top1"))
            trainer.compute_loss = MethodType(SFTTrainer.compute_loss, trainer)
        if not ours:
            trainer.__class__ = SFTTrainer  # the same arguments with trl's own, random batches
        start = time.perf_counter()
        trainer.train()
        return sum(data["length"]) / (time.perf_counter() - start)


def main() -> dict[str, float]:
    torch.set_num_threads(1)
    kinds = {
        "trainer's defaults": {"ours": False, "attention": "sdpa", "metrics": True},
        "length grouping": {"ours": True, "attention": "sdpa", "metrics": True},
        "and the loss alone": {"ours": True, "attention": "sdpa"},
        "and the CPU attention": {"ours": True, "attention": PLAIN_ATTENTION},
        "no padding, as on a GPU": {"ours": True, "attention": "sdpa", "room": 8192},
    }
    speeds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(2):  # in turns, so that whatever else the machine does falls on all
        for name, settings in kinds.items():
            speeds[name].append(tokens_per_second(**settings))
    base = max(speeds["trainer's defaults"])
    for name, found in speeds.items():
        print(f"{name:24} {max(found):8,.0f} tokens/s, ratio {max(found) / base:.2f}")
    return {name: max(found) / base for name, found in speeds.items() if max(found) != base}


if __name__ == "__main__":
    main()
