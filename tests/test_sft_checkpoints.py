"""A killed training goes on to the weights of an uninterrupted one, or is refused in one line."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
import torch
from samples import sample
from transformers import AutoModelForCausalLM

from s1lib.hardware.base_model import TrainingError
from s1lib.hardware.checkpoints import CheckpointError, directory_of, last_checkpoint
from s1lib.keeping.files import read_jsonl
from s1lib.profile import SFT, Profile
from s1lib.sft.train import read_training, train

TRACES = [
    "a: 34+39=73\nresult 73",
    "a: 34+39=72\nresult 72\nWait, again a: 34+39: 4+9=13,3+3+1=07 so 73\nresult 73",
]
SAMPLES = [
    sample(
        str(i), question=f"Start with {10 + i}. a: add 39. What is the result?", trace=TRACES[i % 2]
    )
    for i in range(12)
]


@pytest.fixture
def settings(tiny_model_dir) -> SFT:
    sizes = {"epochs": 3.0, "batch_size": 4, "micro_batch_size": 2, "max_length": 256}
    return SFT(
        str(tiny_model_dir),
        **sizes,
        learning_rate=5e-3,
        bf16=False,
        gradient_checkpointing=False,
        checkpoint_steps=2,
    )


def kill_at(step: int):
    """A log that ends the training when it hears of `step`."""

    def log(line: str) -> None:
        if f"step {step}/" in line:
            raise KeyboardInterrupt

    return log


def run(settings: SFT, out, log=lambda line: None, samples=SAMPLES):
    return train(samples, profile=Profile("p", sft=settings), name="s1", out=out, log=log)


@pytest.mark.parametrize(
    "step", [4, 6]
)  # within an epoch; the last checkpoint at 4 lies in the second epoch of three steps
def test_a_killed_run_goes_on_to_the_same_weights_bit_for_bit(settings, tmp_path, step):
    whole = run(settings, tmp_path / "whole")
    out = tmp_path / "s1"
    with pytest.raises(KeyboardInterrupt):
        run(settings, out, kill_at(step))
    assert read_training(out) is None and last_checkpoint(directory_of(out)) is not None
    said: list[str] = []
    resumed = run(settings, out, said.append)
    assert any("goes on from checkpoint-" in line for line in said)
    models = [
        AutoModelForCausalLM.from_pretrained(path).state_dict()
        for path in (tmp_path / "whole", out)
    ]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert read_jsonl(out / "log.jsonl") == read_jsonl(tmp_path / "whole" / "log.jsonl")
    assert (
        resumed["tokens"] == whole["tokens"]
        and resumed["loss"] == pytest.approx(whole["loss"])
        and resumed["key"] == whole["key"]
    )
    assert not directory_of(out).exists()


@pytest.fixture
def killed(settings, tmp_path):
    out = tmp_path / "s1"
    with pytest.raises(KeyboardInterrupt):
        run(settings, out, kill_at(4))
    return out


def test_a_checkpoint_of_other_settings_is_refused(settings, killed):
    with pytest.raises(
        CheckpointError,
        match=r"checkpoint-\d is of other settings \(learning_rate 0\.005 there, 0\.01 here\)",
    ):
        run(dataclasses.replace(settings, learning_rate=1e-2), killed)


def test_a_data_set_that_changed_under_a_resumed_run_is_refused(settings, killed):
    with pytest.raises(
        CheckpointError,
        match=r"checkpoint-\d was trained on other data: bring the samples back, or delete",
    ):
        run(settings, killed, samples=SAMPLES[:8])


def test_a_checkpoint_cut_short_is_not_gone_on_from(settings, killed):
    directory = directory_of(killed)
    good = last_checkpoint(directory)
    shutil.copytree(good, directory / "checkpoint-99")
    (directory / "checkpoint-99" / "trainer_state.json").unlink()
    assert last_checkpoint(directory) == good


def test_a_loss_that_is_not_a_number_keeps_the_last_good_checkpoint_and_names_it(
    settings, tmp_path
):
    wild = dataclasses.replace(settings, learning_rate=1e30, checkpoint_steps=1)
    with pytest.raises(
        TrainingError, match=r"is nan at step \d+: .*; the last good checkpoint is .*checkpoint-1$"
    ):
        run(wild, tmp_path / "s1")
    assert (
        last_checkpoint(directory_of(tmp_path / "s1")).name == "checkpoint-1"
        and read_training(tmp_path / "s1") is None
    )


def test_checkpoints_change_nothing_in_the_model(settings, tmp_path):
    one = run(settings, tmp_path / "one")
    other = run(dataclasses.replace(settings, checkpoint_steps=0), tmp_path / "other")
    assert (one["key"], one["loss"], one["settings"]) == (
        other["key"],
        other["loss"],
        other["settings"],
    )


def test_the_model_card_says_data_settings_versions_and_loss(settings, tmp_path):
    record = run(dataclasses.replace(settings, max_steps=2), tmp_path / "s1")
    card = (tmp_path / "s1" / "README.md").read_text()
    for shown in (
        "data hash",
        record["key"],
        f"{record['loss']:.4f}",
        "| learning_rate | 0.005 |",
        f"| torch | {torch.__version__} |",
    ):
        assert shown in card
