"""Supervised fine-tuning as the paper does it (section 4.1, appendix D), on trl's SFTTrainer.

    record = train(load_pool(sets / "s1.jsonl"), profile=profile, name="s1", out=out / "models" / "s1")

The model directory loads with transformers and vLLM as it is. Beside the weights lie training.json (what was trained on
what, with which loss; its key is the hash of data, settings and base weights) and log.jsonl (one line per step).
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset, disable_progress_bars
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, SFTTrainer

from s1lib.artifacts import atomic_directory, hash_of, hash_of_model, versions, write_jsonl, write_text
from s1lib.attention import PLAIN_ATTENTION
from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.profile import SFT, Profile, split_revision
from s1lib.sft.dataset import LengthBatches, training_set

LOGGED = ("step", "epoch", "loss", "grad_norm", "learning_rate", "num_tokens")

RECIPE = 1  # part of every model's key: raise it with a change of this room that changes what a model learns
# Settings of the machine, of other models, and the base model, whose weights count instead of its name.
NO_PART_OF_THE_RESULT = ("base", "sets", "micro_batch_size", "gradient_checkpointing")


class TrainingError(RuntimeError):
    """Training cannot go on; the message is one line that says where and why."""


def train(samples: Sequence[Sample], *, profile: Profile, name: str, out: Path | str, log: Callable[[str], None] = print) -> dict[str, Any]:
    """Fine-tune the profile's base model on `samples` and write the model to `out`; returns its training.json.

    A model finished with the same data, settings and base weights is never trained again. Keys of the record: name, key,
    base, examples, steps, epochs, tokens (trained through, prompt included), minutes, loss (mean of all steps),
    final_loss (mean of the last tenth), settings, versions. Raises SFTDataError or TrainingError.
    """
    out, settings, base = Path(out), profile.sft, profile.resolve(profile.sft.base)
    tokenizer = load_tokenizer(base)
    data = training_set(samples, ChatFormat(tokenizer), max_length=settings.max_length)
    recipe = {key: value for key, value in dataclasses.asdict(settings).items() if key not in NO_PART_OF_THE_RESULT}
    key = hash_of(RECIPE, recipe, hash_of_model(base), list(data["prompt"]), list(data["completion"]))
    finished = read_training(out)
    if finished and finished["key"] == key:
        log(f"{name}: trained before, {finished['steps']} steps, final loss {finished['final_loss']:.3f}")
        return finished
    with atomic_directory(out) as work:
        start = time.perf_counter()
        trainer = build_trainer(load_base(base), tokenizer, data, settings, work, callbacks=[Follow(name, log)])
        result = trainer.train()
        trainer.save_model(str(work))
        (work / "training_args.bin").unlink()  # a pickle; training.json says the same
        steps = [{column: row[column] for column in LOGGED} for row in trainer.state.log_history if "loss" in row]
        write_jsonl(work / "log.jsonl", steps)
        tail = [row["loss"] for row in steps[-max(1, len(steps) // 10) :]]
        record = {
            "name": name,
            "key": key,
            "base": base,
            "examples": len(data),
            "steps": result.global_step,
            "epochs": round(trainer.state.epoch, 3),
            "tokens": int(steps[-1]["num_tokens"]),
            "minutes": (time.perf_counter() - start) / 60,
            "loss": result.training_loss,
            "final_loss": sum(tail) / len(tail),
            "settings": recipe,
            "versions": versions(),
        }
        write_text(work / "training.json", json.dumps(record, indent=1) + "\n")
    return read_training(out)


def read_training(directory: Path | str) -> dict[str, Any] | None:
    """The training.json of a finished model; None when there is none."""
    path = Path(directory) / "training.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """Tokenizer of a model directory or a hub id with a pinned revision."""
    name, revision = split_revision(base)
    return AutoTokenizer.from_pretrained(name, revision=revision)


def load_base(base: str) -> PreTrainedModel:
    """The base model with float32 master weights; on a CPU with the attention that trains fastest there."""
    transformers.utils.logging.disable_progress_bar()
    name, revision = split_revision(base)
    attention = {} if torch.cuda.is_available() else {"attn_implementation": PLAIN_ATTENTION}
    try:
        return AutoModelForCausalLM.from_pretrained(name, revision=revision, dtype=torch.float32, **attention)
    except Exception as error:  # a damaged file can raise anything
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(f"cannot load the base model from {base}: {type(error).__name__}: {reason}; write or fetch it again") from error


def build_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Dataset,
    settings: SFT,
    work: Path | str,
    callbacks: Sequence[TrainerCallback] = (),
) -> SFTTrainer:
    """trl's trainer with the paper's recipe; raises TrainingError if it would train on anything but the whole examples."""
    if settings.batch_size % settings.micro_batch_size:
        raise TrainingError(f"sft.batch_size = {settings.batch_size} is no multiple of sft.micro_batch_size = {settings.micro_batch_size}")
    disable_progress_bars()
    logging.getLogger("trl").setLevel(logging.ERROR)
    cuda = torch.cuda.is_available()
    config = SFTConfig(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        max_steps=_cap(len(data), settings),
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=settings.batch_size // settings.micro_batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,  # below 1: a share of the steps
        adam_beta1=settings.adam_betas[0],
        adam_beta2=settings.adam_betas[1],
        weight_decay=settings.weight_decay,
        max_length=settings.max_length,
        bf16=settings.bf16,
        gradient_checkpointing=settings.gradient_checkpointing,
        seed=settings.seed,
        use_cache=True,  # what the saved configuration says; training itself never uses the cache
        use_cpu=not cuda,
        dataloader_pin_memory=cuda,
        eos_token=tokenizer.eos_token,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(model, config, train_dataset=data, processing_class=tokenizer, callbacks=list(callbacks))
    trainer.remove_callback(PrinterCallback)
    prepared = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    if prepared != list(data["length"]):
        raise TrainingError("the trainer's examples differ in length from the rendered ones: its tokenizer cuts or adds tokens")
    return trainer


def _cap(examples: int, settings: SFT) -> int:
    """`max_steps` for a set that would take more, else -1: to transformers any other number replaces the epochs."""
    steps = math.ceil(math.ceil(examples / settings.batch_size) * settings.epochs)
    return settings.max_steps if 0 <= settings.max_steps < steps else -1


class Trainer(SFTTrainer):
    """trl's trainer with batches of similar length, where the paper draws them at random: less time goes into padding."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthBatches:
        batch_size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return LengthBatches(list(self.train_dataset["length"]), batch_size, seed=self.args.seed)


class Follow(TrainerCallback):
    """One line a quarter of the way, and a stop at the first loss that is not a number."""

    def __init__(self, name: str, log: Callable[[str], None]) -> None:
        self.name, self.log = name, log

    def on_log(self, args, state, control, logs=None, **_) -> None:
        if "loss" not in logs:
            return
        if not math.isfinite(float(logs["loss"])):
            raise TrainingError(
                f"{self.name}: loss is {logs['loss']} at step {state.global_step}: lower sft.learning_rate or look at the data"
            )
        if state.global_step % max(1, state.max_steps // 4) == 0:
            self.log(f"{self.name}: step {state.global_step}/{state.max_steps}, loss {float(logs['loss']):.3f}")
