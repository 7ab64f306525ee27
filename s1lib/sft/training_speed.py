"""The speed of a training of given shapes and lengths, measured on random weights and tokens.

    config = architecture("Qwen/Qwen2.5-1.5B-Instruct")
    speed = measure_training(config, tokenizer, load_profile("gpu").sft, [5200] * 48)
    print(f"{speed.tokens_per_second:,.0f} tokens/s, MFU {speed.utilisation():.1%}")

The trainer, its settings and its batches are those of a real training. Loading a model and writing
one are not part of it.
"""

from __future__ import annotations

import dataclasses
import random
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise

import torch
from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    TrainerCallback,
)

from s1lib.hardware.base_model import attention_options, base_dtype
from s1lib.hardware.memory_plan import pass_room_here
from s1lib.hardware.pass_room import in_own_process
from s1lib.hardware.utilisation import TrainingSpeed, operations
from s1lib.profile import SFT
from s1lib.sft.loss_mask import NO_LOSS
from s1lib.sft.recipe import build_trainer


def measure_training(
    config: PretrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    settings: SFT,
    lengths: Sequence[int],
    *,
    warm_up: int = 1,
    room: int | None = None,
    seed: int = 0,
    callbacks: Sequence[TrainerCallback] = (),
) -> TrainingSpeed:
    """Train once through sequences of `lengths` tokens in this process and time every step.

    The first `warm_up` optimiser steps are not counted: they make AdamW's states and, on a GPU,
    compile and choose kernels. `room` is that of a pass in tokens. By default it is what the GPU's
    memory allows, as in `train`, and 0 trains `micro_batch_size` sequences at a time. An incomplete
    last batch is left out. The first tenth of a sequence is its prompt, which has no loss.
    `tokenizer` must know the end of a turn, and its ids are below `config.vocab_size`. Raises
    ValueError for fewer sequences than make one timed step.
    """
    steps = len(lengths) // settings.batch_size
    if steps <= warm_up:
        raise ValueError(f"{len(lengths)} sequences make {steps} steps, and {warm_up} warm up")
    lengths = list(lengths)[: steps * settings.batch_size]

    settings = dataclasses.replace(settings, epochs=1.0, max_steps=-1, checkpoint_steps=0)

    cuda = torch.cuda.is_available()
    if room is None:
        room = in_own_process(pass_room_here, config, settings) if cuda else 0

    # Made where it is trained: random weights of 1.5B parameters take a CPU half a minute.
    torch.manual_seed(seed)
    with torch.device("cuda" if cuda else "cpu"):
        model = AutoModelForCausalLM.from_config(
            config, dtype=base_dtype(settings), **attention_options()
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    data = _random_examples(lengths, vocabulary=len(tokenizer), seed=seed)

    clock = _Clock()
    with tempfile.TemporaryDirectory() as work:
        trainer = build_trainer(
            model, tokenizer, data, settings, work, callbacks=[clock, *callbacks], room=room
        )
        order = [lengths[index] for index in trainer._get_train_sampler()]
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        trainer.train()

    timed = tuple(order[warm_up * settings.batch_size :])
    frozen = settings.lora_rank > 0
    return TrainingSpeed(
        device=torch.cuda.get_device_name() if cuda else "CPU",
        parameters=parameters,
        lengths=timed,
        seconds=tuple(end - start for start, end in pairwise(clock.moments[warm_up:])),
        operations=operations(config, timed, parameters=parameters, frozen=frozen),
        peak_memory=torch.cuda.max_memory_allocated() if cuda else 0,
    )


def _random_examples(lengths: Sequence[int], *, vocabulary: int, seed: int) -> Dataset:
    """Tokenised examples as the trainer prepares them, their first tenth without a loss."""
    rng = random.Random(seed)
    rows = []
    for length in lengths:
        ids = rng.choices(range(vocabulary), k=length)
        labels = [NO_LOSS] * (length // 10) + ids[length // 10 :]
        rows.append({"input_ids": ids, "labels": labels, "length": length, "cut": False})
    return Dataset.from_list(rows)


class _Clock(TrainerCallback):
    """When the device had finished each optimiser step; the first moment is the start."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_train_begin(self, args, state, control, **_) -> None:
        self._look()

    def on_step_end(self, args, state, control, **_) -> None:
        self._look()

    def _look(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.moments.append(time.perf_counter())
