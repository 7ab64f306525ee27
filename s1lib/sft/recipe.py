"""The paper's recipe on trl's SFTTrainer, and which settings are part of it (appendix D)."""

from __future__ import annotations

import dataclasses
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, TrainerState
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig

from s1lib.chat import IM_END
from s1lib.hardware.attention_kernels import without_plans
from s1lib.hardware.base_model import TrainingError, with_adapters
from s1lib.hardware.checkpoints import last_checkpoint
from s1lib.hardware.compiled_layers import WORTH_IT, compile_layers
from s1lib.hardware.half_weights import HalfWeights, halved
from s1lib.hardware.launcher import world_size
from s1lib.hardware.packed_attention import PACKED_ATTENTION
from s1lib.hardware.training_time import full_steps
from s1lib.profile import SFT
from s1lib.sft.passes import PassCollator
from s1lib.sft.trainer import Trainer

# Part of every model's key: raise it with a change here that changes what a model learns.
RECIPE = 1
NO_PART_OF_THE_RESULT = {
    # What shows in the key otherwise: the base model by its weights, the data by itself.
    *("base", "sets", "published", "cut_length", "too_long", "conditional", "step_separator"),
    # What is trained besides: each training has its own `seed`.
    "seeds",
    # What the machine needs.
    *("micro_batch_size", "gradient_checkpointing", "activation_offloading"),
    *("processes", "offload", "checkpoint_steps"),
}
# Younger than RECIPE 1: at their defaults they leave the keys of older models as they are.
ONLY_WHERE_SET = {"lora_rank", "optim"}


def recipe_of(settings: SFT) -> dict[str, Any]:
    """The settings that decide what a model learns, as they are in its key and record."""
    defaults = {key: getattr(SFT, key) for key in ONLY_WHERE_SET}
    return {
        key: value
        for key, value in dataclasses.asdict(settings).items()
        if key not in NO_PART_OF_THE_RESULT and not (key in defaults and value == defaults[key])
    }


def check_recipe(settings: SFT, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises TrainingError for what cannot be trained as it stands, before the model is read."""
    # A base model may end its texts with another token (Qwen2.5's with `<|endoftext|>`), but it
    # must know the one that ends an s1 answer: the trained model's configuration names that.
    if IM_END not in tokenizer.get_vocab():
        raise TrainingError(
            f"sft.base ends a text with {tokenizer.eos_token} and has no token {IM_END}, which "
            "ends an s1 answer: set sft.base to a model that has it, such as Qwen2.5's"
        )

    # Every optimiser step is the mean over one whole batch.
    processes = settings.processes
    if settings.batch_size % (settings.micro_batch_size * processes):
        raise TrainingError(
            f"sft.batch_size = {settings.batch_size} is no multiple of "
            f"sft.micro_batch_size = {settings.micro_batch_size}"
            + (f" on {processes} processes" if processes > 1 else "")
        )

    # What cannot be had on this machine is refused before a 32B model is read.
    if settings.lora_rank and settings.launched:
        raise TrainingError(
            "sft.lora_rank is for one GPU: set sft.processes: 1 and sft.offload: false, "
            "or sft.lora_rank: 0"
        )
    if settings.optim == "adamw_torch_8bit" and not find_spec("torchao"):
        raise TrainingError(
            "sft.optim: adamw_torch_8bit needs the package torchao: pip install torchao==0.18.0"
        )


def build_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Dataset,
    settings: SFT,
    work: Path | str,
    callbacks: Sequence[TrainerCallback] = (),
    cpu: bool = False,
    room: int = 0,
) -> Trainer:
    """trl's trainer with the paper's recipe, on a GPU where there is one unless `cpu`.

    With `room` every batch is trained without padding, in passes of up to so many tokens, whose
    activations are kept. Without it `micro_batch_size` sequences are padded for each pass. Raises
    TrainingError if it would train on anything but the whole examples.
    """
    disable_progress_bars()
    logging.getLogger("trl").setLevel(logging.ERROR)

    without_plans()
    if room:
        model.set_attn_implementation(PACKED_ATTENTION)
        settings = dataclasses.replace(settings, micro_batch_size=settings.batch_size)
    if settings.lora_rank:
        model = with_adapters(model, settings.lora_rank)
    trainer = Trainer(
        model,
        _config(data, settings, work, cuda=torch.cuda.is_available() and not cpu),
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=list(callbacks),
        room=room,
        halves=HalfWeights(model) if halved(settings) else None,
    )
    trainer.remove_callback(PrinterCallback)
    if room:
        trainer.data_collator = PassCollator(room)
        large = model.device.type == "cuda" and model.num_parameters() > WORTH_IT
        if large and trainer.halves and not settings.activation_offloading:
            compile_layers(model)

    # trl would cut silently at `max_length`, and another tokenizer would give other ids.
    prepared = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    if prepared != list(data["length"]):
        raise TrainingError(
            "the trainer's examples differ in length from the rendered ones: "
            "its tokenizer cuts or adds tokens"
        )
    return trainer


def _config(data: Dataset, settings: SFT, work: Path | str, *, cuda: bool) -> SFTConfig:
    """The recipe and what the machine needs, as trl names them."""
    # To transformers any `max_steps` but -1 replaces the epochs, also one that is larger.
    capped = 0 <= settings.max_steps < full_steps(len(data), settings)
    accumulation = settings.batch_size // (settings.micro_batch_size * world_size())

    config = SFTConfig(
        output_dir=str(work),
        # The paper's recipe.
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps if capped else -1,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,  # below 1: a share of the steps
        optim=settings.optim,
        adam_beta1=settings.adam_betas[0],
        adam_beta2=settings.adam_betas[1],
        weight_decay=settings.weight_decay,
        max_length=settings.max_length,
        eos_token=IM_END,
        seed=settings.seed,
        # The machine.
        bf16=settings.bf16 and not halved(settings),  # autocast, or FSDP2's mixed precision
        gradient_checkpointing=settings.gradient_checkpointing,
        activation_offloading=settings.activation_offloading and cuda,
        # Sharded, every micro-batch but the last would keep whole gradients of the whole model.
        accelerator_config={"gradient_accumulation_kwargs": {"sync_each_batch": settings.launched}},
        use_cache=True,  # what the saved configuration says; training never uses the cache
        use_cpu=not cuda,
        dataloader_pin_memory=cuda,
        ddp_timeout=7200,  # seconds; one process reads and writes the model while the others wait
        # What is written.
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps" if settings.checkpoint_steps else "no",
        save_steps=settings.checkpoint_steps or 500,
        save_total_limit=2,  # the newest is known to be good only when the step after it is
        report_to="none",
        disable_tqdm=True,
    )
    config._n_gpu = min(config.n_gpu, 1)  # one process, one GPU: with more in sight trl refuses
    return config


class Follow(TrainerCallback):
    """One line a quarter of the way, and a stop at the first loss that is not a number."""

    def __init__(self, name: str, log: Callable[[str], None], checkpoints: Path) -> None:
        self.name, self.log, self.checkpoints = name, log, checkpoints

    def on_log(self, args, state, control, logs=None, **_) -> None:
        if "loss" not in logs:
            return
        for column, what in (("loss", "loss"), ("grad_norm", "gradient norm")):
            if not math.isfinite(float(logs.get(column, 0.0))):
                self._stop(f"{what} is {logs[column]} at step {state.global_step}", state)
        quarter = max(1, state.max_steps // 4)
        if state.is_world_process_zero and state.global_step % quarter == 0:
            progress = f"step {state.global_step}/{state.max_steps}"
            self.log(f"{self.name}: {progress}, loss {float(logs['loss']):.3f}")

    def _stop(self, what: str, state: TrainerState) -> None:
        # A checkpoint written after the step before holds the weights that this came from.
        if state.is_world_process_zero:
            bad = self.checkpoints / f"checkpoint-{state.global_step - 1}"
            shutil.rmtree(bad, ignore_errors=True)
        good = last_checkpoint(self.checkpoints)
        kept = f"; the last good checkpoint is {good}" if good else ""
        raise TrainingError(
            f"{self.name}: {what}: lower sft.learning_rate or look at the data{kept}"
        )
