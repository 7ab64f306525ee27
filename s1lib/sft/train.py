"""Supervised fine-tuning as the paper does it (section 4.1, appendix D), on trl's SFTTrainer.

    record = train(load_pool(sets / "s1.jsonl"), profile=profile, name="s1", out=out / "models" / "s1")

The model directory loads with transformers and vLLM as it is. Beside the weights lie training.json (what was trained on
what, with which loss; its key is the hash of data, settings and base weights) and log.jsonl (one line per step).
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, TrainerState
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, SFTTrainer

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.hardware.base_model import TrainingError, base_dtype, load_base, load_tokenizer, with_adapters
from s1lib.hardware.checkpoints import claim, directory_of, last_checkpoint
from s1lib.hardware.memory_plan import check_memory
from s1lib.keeping.files import atomic_directory, write_jsonl, write_text
from s1lib.keeping.hashes import hash_of, hash_of_model
from s1lib.keeping.manifests import versions
from s1lib.keeping.side_by_side import side_by_side, workers
from s1lib.profile import CUT, SFT, Profile
from s1lib.sft.dataset import LengthBatches, full_steps, training_set
from s1lib.sft.model_card import model_card

LOGGED = ("step", "epoch", "loss", "grad_norm", "learning_rate", "num_tokens")

RECIPE = 1  # part of every model's key: raise it with a change of this room that changes what a model learns
# Settings of the machine, of other models, and what shows in the key otherwise: the base model by its weights, the data by itself.
NO_PART_OF_THE_RESULT = ("base", "sets", "published", "cut_length", "too_long", "conditional", "step_separator")
NO_PART_OF_THE_RESULT += ("micro_batch_size", "gradient_checkpointing", "activation_offloading", "processes", "offload")
NO_PART_OF_THE_RESULT += ("checkpoint_steps",)
ONLY_WHERE_SET = ("lora_rank", "optim")  # younger than RECIPE 1: at their defaults they leave the keys of older models as they are


def train(samples: Sequence[Sample], *, profile: Profile, name: str, out: Path | str, log: Callable[[str], None] = print) -> dict[str, Any]:
    """Fine-tune the profile's base model on `samples` and write the model to `out`; returns its training.json.

    A model finished with the same data, settings and base weights is never trained again. Keys of the record: name, key,
    base, examples, cut (how many of them), steps, epochs, tokens (trained through, prompt included), minutes, loss (mean of
    all steps), final_loss (mean of the last tenth), settings, versions. Raises SFTDataError or TrainingError.
    """
    out, base = Path(out), profile.resolve(profile.sft.base)
    settings = dataclasses.replace(profile.sft, max_length=profile.sft.limit_of(name))
    tokenizer = load_tokenizer(base)
    too_long = "cut" if name == CUT else settings.too_long
    data = training_set(samples, ChatFormat(tokenizer), max_length=settings.max_length, too_long=too_long)
    if len(data) < len(samples):
        log(f"{name}: {len(samples) - len(data)} samples longer than sft.max_length = {settings.max_length} tokens are left out")
    recipe = {key: value for key, value in dataclasses.asdict(settings).items() if key not in NO_PART_OF_THE_RESULT}
    recipe = {key: value for key, value in recipe.items() if key not in ONLY_WHERE_SET or value != getattr(SFT, key)}
    key = hash_of(RECIPE, recipe, hash_of_model(base), list(data["prompt"]), list(data["completion"]))
    finished = read_training(out)
    if finished and finished["key"] == key:
        log(f"{name}: trained before, {finished['steps']} steps, final loss {finished['final_loss']:.3f}")
        return finished
    if not was_launched():
        check_memory(dataclasses.replace(profile, sft=settings), longest=max(data["length"]), log=log)
        if settings.launched:
            from s1lib.hardware.launcher import launch

            launch(samples, profile=profile, name=name, out=out, log=log)
            return read_training(out)
    if settings.processes != world_size():
        raise TrainingError(f"sft.processes = {settings.processes}, but {world_size()} run: launch as many as the profile says")
    check_settings(settings)
    data_key = hash_of(list(data["prompt"]), list(data["completion"]))
    main, kept, checkpoint = int(os.environ.get("RANK", 0)) == 0, directory_of(out), None
    if settings.checkpoint_steps:
        machine = {"processes": settings.processes, "micro_batch_size": settings.micro_batch_size}
        checkpoint = claim(kept, settings={**recipe, **machine, "base weights": hash_of_model(base)}, data=data_key, write=main)
    with atomic_directory(out) if main else contextlib.nullcontext(out) as work:  # one process writes
        start = time.perf_counter()
        run_directory = kept if settings.checkpoint_steps else work
        model = load_base(base, base_dtype(settings))
        trainer = build_trainer(model, tokenizer, data, settings, run_directory, callbacks=[Follow(name, log, kept)])
        if checkpoint:
            trainer.go_on_from(checkpoint)
            log(f"{name}: goes on from {checkpoint.name}")
        try:
            result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"{name}: out of GPU memory after step {trainer.state.global_step}: {' '.join(str(error).split())[:120]}; "
                f"`s1 plan --length {max(data['length'])}` says what would fit"
            ) from error
        save(trainer, work)
        if not main:
            return {}
        (work / "training_args.bin").unlink(missing_ok=True)  # a pickle; training.json says the same
        steps = [{column: row[column] for column in LOGGED} for row in trainer.state.log_history if "loss" in row]
        write_jsonl(work / "log.jsonl", steps)
        losses = [row["loss"] for row in steps]
        tail = losses[-max(1, len(steps) // 10) :]
        record = {
            "name": name,
            "key": key,
            "base": base,
            "examples": len(data),
            "cut": sum(data["cut"]),
            "steps": result.global_step,
            "epochs": round(trainer.state.epoch, 3),
            "tokens": int(steps[-1]["num_tokens"]),
            "minutes": (time.perf_counter() - start) / 60,  # of the session that finished it
            "loss": sum(losses) / len(losses) if checkpoint else result.training_loss,
            "final_loss": sum(tail) / len(tail),
            "settings": recipe,
            "versions": versions(),
        }
        write_text(work / "README.md", model_card(record, data=data_key))
        write_text(work / "training.json", json.dumps(record, indent=1) + "\n")
    shutil.rmtree(kept, ignore_errors=True)
    del trainer, model
    gc.collect()
    torch.cuda.empty_cache()  # what follows in the same notebook may want the GPU: vLLM, the next model
    return read_training(out)


def train_all(
    sets: Mapping[str, Sequence[Sample]], *, profile: Profile, out: Path | str, log: Callable[[str], None] = print
) -> dict[str, dict[str, Any]]:
    """`train` for every set into `out`/name; the records by name. On a CPU several models are trained side by side."""
    tasks = [(samples, profile, name, Path(out) / name) for name, samples in sets.items()]
    return dict(zip(sets, side_by_side(_train_one, tasks, workers=min(workers(profile), len(tasks)), log=log), strict=True))


def _train_one(task: tuple[Sequence[Sample], Profile, str, Path], log: Callable[[str], None]) -> dict[str, Any]:
    samples, profile, name, out = task
    return train(samples, profile=profile, name=name, out=out, log=log)


def was_launched() -> bool:
    """Whether this is a process that accelerate or torchrun started for a training."""
    return "LOCAL_RANK" in os.environ


def world_size() -> int:
    """Processes of the training this one is part of; the launcher says."""
    return int(os.environ["WORLD_SIZE"]) if was_launched() else 1


def save(trainer: SFTTrainer, directory: Path) -> None:
    """The whole model as safetensors, adapters merged into the weights, in the main process; all processes call it."""
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if plugin is not None:
        plugin.set_state_dict_type("FULL_STATE_DICT")  # checkpoints are sharded; a sharded "save" would write no model at all
    if hasattr(trainer.model, "merge_and_unload"):
        merged = trainer.model.merge_and_unload()
        merged.save_pretrained(directory)
        trainer.processing_class.save_pretrained(directory)
    else:
        trainer.save_model(str(directory))


def read_training(directory: Path | str) -> dict[str, Any] | None:
    """The training.json of a finished model; None when there is none."""
    path = Path(directory) / "training.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def check_settings(settings: SFT) -> None:
    """Raises TrainingError for what cannot be trained as it stands, before the model is read."""
    processes = settings.processes
    if settings.batch_size % (settings.micro_batch_size * processes):
        raise TrainingError(
            f"sft.batch_size = {settings.batch_size} is no multiple of sft.micro_batch_size = {settings.micro_batch_size}"
            + (f" on {processes} processes" if processes > 1 else "")
        )
    if settings.lora_rank and settings.launched:
        raise TrainingError("sft.lora_rank is for one GPU: set sft.processes: 1 and sft.offload: false, or sft.lora_rank: 0")
    if settings.optim == "adamw_torch_8bit" and not find_spec("torchao"):
        raise TrainingError("sft.optim: adamw_torch_8bit needs the package torchao: pip install torchao==0.18.0")


def build_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Dataset,
    settings: SFT,
    work: Path | str,
    callbacks: Sequence[TrainerCallback] = (),
    cpu: bool = False,
) -> SFTTrainer:
    """trl's trainer with the paper's recipe, on a GPU where there is one unless `cpu`.

    Raises TrainingError if it would train on anything but the whole examples.
    """
    if settings.lora_rank:
        model = with_adapters(model, settings.lora_rank)
    disable_progress_bars()
    logging.getLogger("trl").setLevel(logging.ERROR)
    cuda = torch.cuda.is_available() and not cpu
    config = SFTConfig(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        max_steps=_cap(len(data), settings),
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=settings.batch_size // (settings.micro_batch_size * world_size()),
        # Sharded: without this every micro-batch but the last keeps whole gradients of the whole model on every GPU.
        accelerator_config={"gradient_accumulation_kwargs": {"sync_each_batch": settings.launched}},
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,  # below 1: a share of the steps
        adam_beta1=settings.adam_betas[0],
        adam_beta2=settings.adam_betas[1],
        weight_decay=settings.weight_decay,
        max_length=settings.max_length,
        bf16=settings.bf16,
        optim=settings.optim,
        gradient_checkpointing=settings.gradient_checkpointing,
        activation_offloading=settings.activation_offloading and cuda,
        seed=settings.seed,
        use_cache=True,  # what the saved configuration says; training itself never uses the cache
        use_cpu=not cuda,
        dataloader_pin_memory=cuda,
        ddp_timeout=7200,  # seconds; one process reads and writes the model while the others wait
        eos_token=tokenizer.eos_token,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps" if settings.checkpoint_steps else "no",
        save_steps=settings.checkpoint_steps or 500,
        save_total_limit=2,  # the newest is known to be good only when the step after it is
        report_to="none",
        disable_tqdm=True,
    )
    config._n_gpu = min(config.n_gpu, 1)  # one process, one GPU: with more in sight trl refuses to start
    trainer = Trainer(model, config, train_dataset=data, processing_class=tokenizer, callbacks=list(callbacks))
    trainer.remove_callback(PrinterCallback)
    prepared = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    if prepared != list(data["length"]):
        raise TrainingError("the trainer's examples differ in length from the rendered ones: its tokenizer cuts or adds tokens")
    return trainer


def _cap(examples: int, settings: SFT) -> int:
    """`max_steps` for a set that would take more, else -1: to transformers any other number replaces the epochs."""
    return settings.max_steps if 0 <= settings.max_steps < full_steps(examples, settings) else -1


class Trainer(SFTTrainer):
    """trl's trainer with batches of similar length, where the paper draws them at random: less time goes into padding."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthBatches:
        batch_size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return LengthBatches(list(self.train_dataset["length"]), batch_size, seed=self.args.seed, epoch=self.first_epoch)

    first_epoch = 0

    def go_on_from(self, checkpoint: Path) -> None:
        """What transformers does not bring back: the order of the epochs drawn before, and trl's count of tokens."""
        state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        self.first_epoch = int(state.epoch + 1e-6)
        self._total_train_tokens = int([row["num_tokens"] for row in state.log_history if "num_tokens" in row][-1])


class Follow(TrainerCallback):
    """One line a quarter of the way, and a stop at the first loss that is not a number."""

    def __init__(self, name: str, log: Callable[[str], None], checkpoints: Path) -> None:
        self.name, self.log, self.checkpoints = name, log, checkpoints

    def on_log(self, args, state, control, logs=None, **_) -> None:
        if "loss" not in logs:
            return
        for column, what in (("loss", "loss"), ("grad_norm", "gradient norm")):
            if not math.isfinite(float(logs.get(column, 0.0))):
                if state.is_world_process_zero:  # one written after the step before holds the weights that this came from
                    shutil.rmtree(self.checkpoints / f"checkpoint-{state.global_step - 1}", ignore_errors=True)
                good = last_checkpoint(self.checkpoints)
                kept = f"; the last good checkpoint is {good}" if good else ""
                raise TrainingError(
                    f"{self.name}: {what} is {logs[column]} at step {state.global_step}: lower sft.learning_rate or look at the data{kept}"
                )
        if state.is_world_process_zero and state.global_step % max(1, state.max_steps // 4) == 0:
            self.log(f"{self.name}: step {state.global_step}/{state.max_steps}, loss {float(logs['loss']):.3f}")
