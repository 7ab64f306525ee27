"""Train a model on a set of samples (paper, section 4.1 and appendix D).

    record = train(load_pool(sets / "s1.jsonl"), profile=profile, name="s1", out=models / "s1")

The model directory loads with transformers and vLLM as it is. Beside the weights lie training.json
(the record: what was trained on what, with which loss) and log.jsonl (one line per step).
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.hardware.base_model import TrainingError, base_dtype, load_base, load_tokenizer
from s1lib.hardware.checkpoints import claim, directory_of
from s1lib.hardware.launcher import is_main_process, was_launched, world_size
from s1lib.hardware.memory_plan import check_memory
from s1lib.keeping.files import atomic_directory, write_jsonl, write_text
from s1lib.keeping.hashes import hash_of, hash_of_model
from s1lib.keeping.manifests import versions
from s1lib.keeping.side_by_side import side_by_side, workers
from s1lib.profile import CUT, FIRST, SFT, Profile, Replica, replicas_of, with_seeds
from s1lib.sft.dataset import training_set
from s1lib.sft.launched_training import train_in_processes
from s1lib.sft.model_card import model_card
from s1lib.sft.recipe import RECIPE, Follow, build_trainer, check_recipe, recipe_of
from s1lib.sft.trainer import Trainer

Log = Callable[[str], None]
LOGGED = ("step", "epoch", "loss", "grad_norm", "learning_rate", "num_tokens")


@dataclass(frozen=True)
class Job:
    """One training: what is asked for, and the key of its result."""

    name: str
    replica: Replica
    out: Path
    profile: Profile  # `sft.max_length` is this model's own limit, `base` and `seed` the replica's
    tokenizer: PreTrainedTokenizerBase
    data: Dataset
    base_hash: str
    data_hash: str
    key: str

    @property
    def label(self) -> str:
        """What the log calls it."""
        return self.name + self.replica.suffix

    @property
    def settings(self) -> SFT:
        return self.profile.sft


def train(
    samples: Sequence[Sample],
    *,
    profile: Profile,
    name: str,
    out: Path | str,
    replica: Replica = FIRST,
    log: Log = print,
) -> dict[str, Any]:
    """Fine-tune the profile's base model on `samples`, write it to `out`, return its record.

    A model finished with the same data, settings and base weights is never trained again. The
    record holds name, base_seed, sft_seed, key, base, examples, cut (how many of them), steps,
    epochs, tokens (trained through, prompt included), minutes, loss (mean of all steps), final_loss
    (mean of the last tenth), settings and versions. replica: which of several trainings it is.
    Raises SFTDataError, TrainingError or CheckpointError.
    """
    job = _prepare(samples, profile, name, replica, Path(out), log)

    finished = read_training(job.out)
    if finished and finished["key"] == job.key:
        loss = f"final loss {finished['final_loss']:.3f}"
        log(f"{job.label}: trained before, {finished['steps']} steps, {loss}")
        return finished

    room = _may_train(job, log)
    if job.settings.launched and not was_launched():
        train_in_processes(
            samples, profile=profile, name=name, replica=replica, out=job.out, log=log
        )
    else:
        _train_here(job, room, log)
        gc.collect()
        torch.cuda.empty_cache()  # what follows in the notebook may want the GPU
    return read_training(job.out) if is_main_process() else {}  # which may not be there yet


def train_all(
    sets: Mapping[str, Sequence[Sample]], *, profile: Profile, out: Path | str, log: Log = print
) -> dict[str, dict[str, Any]]:
    """`train` every replica of every set and return the records by the folders' names in `out`.

    The first replica's folder has the set's name. On a CPU several models are trained side by side.
    """
    tasks = {}
    for name, samples in sets.items():
        for replica in replicas_of(profile, name):
            folder = name + replica.suffix
            asked = {"profile": profile, "name": name, "replica": replica}
            tasks[folder] = {"samples": samples, **asked, "out": Path(out) / folder}
    count = min(workers(profile), len(tasks))
    records = side_by_side(_train_one, tasks.values(), workers=count, log=log)
    return dict(zip(tasks, records, strict=True))


def _train_one(task: dict[str, Any], log: Log) -> dict[str, Any]:
    return train(**task, log=log)


def read_training(directory: Path | str) -> dict[str, Any] | None:
    """The record of a finished model, or None."""
    path = Path(directory) / "training.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _prepare(
    samples: Sequence[Sample], profile: Profile, name: str, replica: Replica, out: Path, log: Log
) -> Job:
    """The job with its data as the trainer will see it."""
    profile, limit = with_seeds(profile, replica), profile.sft.limit_of(name)
    settings = dataclasses.replace(profile.sft, max_length=limit)
    base, label = settings.base, name + replica.suffix
    tokenizer = load_tokenizer(base)
    too_long = "cut" if name == CUT else settings.too_long
    data = training_set(samples, ChatFormat(tokenizer), max_length=limit, too_long=too_long)
    if dropped := len(samples) - len(data):
        log(f"{label}: {dropped} samples longer than sft.max_length = {limit} tokens are left out")

    texts, base_hash = (list(data["prompt"]), list(data["completion"])), hash_of_model(base)
    key = hash_of(RECIPE, recipe_of(settings), base_hash, *texts)
    profile = dataclasses.replace(profile, sft=settings)
    return Job(name, replica, out, profile, tokenizer, data, base_hash, hash_of(*texts), key)


def _may_train(job: Job, log: Log) -> int:
    """The room of a pass. Raises TrainingError for what cannot be trained on this machine."""
    check_recipe(job.settings, job.tokenizer)
    if not was_launched():
        return check_memory(job.profile, longest=max(job.data["length"]), log=log)
    if job.settings.processes != world_size():
        raise TrainingError(
            f"sft.processes = {job.settings.processes}, but {world_size()} run: "
            "launch as many as the profile says"
        )
    return 0


def _train_here(job: Job, room: int, log: Log) -> None:
    """Train in this process, alone or as one of several, and write model, log and record."""
    settings, checkpoints, main = job.settings, directory_of(job.out), is_main_process()
    checkpoint = _last_checkpoint(job) if settings.checkpoint_steps else None
    with atomic_directory(job.out) if main else contextlib.nullcontext(job.out) as work:
        start = time.perf_counter()
        trainer = build_trainer(
            load_base(job.settings.base, base_dtype(settings)),
            job.tokenizer,
            job.data,
            settings,
            checkpoints if settings.checkpoint_steps else work,
            callbacks=[Follow(job.label, log, checkpoints)],
            room=room,
        )
        if checkpoint:
            trainer.go_on_from(checkpoint)
            log(f"{job.label}: goes on from {checkpoint.name}")
        mean_loss = _run(trainer, job, checkpoint)

        # All processes gather the model; one of them writes.
        trainer.save(work)
        if not main:
            return
        (work / "training_args.bin").unlink(missing_ok=True)  # a pickle; the record says the same
        rows = [row for row in trainer.state.log_history if "loss" in row]
        steps = [{column: row[column] for column in LOGGED} for row in rows]
        write_jsonl(work / "log.jsonl", steps)

        # The minutes and transformers' own mean are of the session that finished it.
        minutes = (time.perf_counter() - start) / 60
        loss = sum(row["loss"] for row in steps) / len(steps) if checkpoint else mean_loss
        record = _record(job, trainer, steps, minutes=minutes, loss=loss)
        write_text(work / "README.md", model_card(record, data=job.data_hash))
        write_text(work / "training.json", json.dumps(record, indent=1) + "\n")
    shutil.rmtree(checkpoints, ignore_errors=True)


def _last_checkpoint(job: Job) -> Path | None:
    """The checkpoint of a killed run of this training. Raises CheckpointError for another's."""
    machine = {key: getattr(job.settings, key) for key in ("processes", "micro_batch_size")}
    settings = {**recipe_of(job.settings), **machine, "base weights": job.base_hash}
    place = directory_of(job.out)
    return claim(place, settings=settings, data=job.data_hash, write=is_main_process())


def _run(trainer: Trainer, job: Job, checkpoint: Path | None) -> float:
    """Run all steps, from `checkpoint` on if there is one, and return their mean loss."""
    resume = str(checkpoint) if checkpoint else None
    try:
        return trainer.train(resume_from_checkpoint=resume).training_loss
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{job.label}: out of GPU memory after step {trainer.state.global_step}: "
            f"{' '.join(str(error).split())[:120]}; "
            f"`s1 plan --length {max(job.data['length'])}` says what would fit"
        ) from error


def _record(
    job: Job, trainer: Trainer, steps: list[dict], *, minutes: float, loss: float
) -> dict[str, Any]:
    tail = [row["loss"] for row in steps[-max(1, len(steps) // 10) :]]
    return {
        "name": job.name,
        **dataclasses.asdict(job.replica),
        "key": job.key,
        "base": job.settings.base,
        "examples": len(job.data),
        "cut": sum(job.data["cut"]),
        "steps": trainer.state.global_step,
        "epochs": round(trainer.state.epoch, 3),
        "tokens": int(steps[-1]["num_tokens"]),
        "minutes": minutes,
        "loss": loss,
        "final_loss": sum(tail) / len(tail),
        "settings": recipe_of(job.settings),
        "versions": versions(),
    }
