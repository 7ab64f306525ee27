"""FSDP2 as the h100 profiles use it, on two CPU processes: offloaded, killed and resumed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_sft import SAMPLES
from transformers import AutoModelForCausalLM

from s1lib.hardware.base_model import TrainingError, load_base
from s1lib.hardware.checkpoints import directory_of
from s1lib.keeping.files import read_jsonl
from s1lib.profile import SFT, Profile
from s1lib.rehearsal.machine import FSDP_ON_CPU
from s1lib.sft.launched_training import train_in_processes
from s1lib.sft.train import train


@pytest.fixture
def settings(tiny_model_dir) -> SFT:
    sizes = {"epochs": 2.0, "batch_size": 4, "micro_batch_size": 1, "max_length": 256}
    return SFT(str(tiny_model_dir), **sizes, learning_rate=5e-3, bf16=False)


@pytest.fixture
def run(settings, tmp_path, monkeypatch):
    """`run(name, log, **changes)`: a training's record and directory, sharded if in processes."""

    def run(name, log=lambda line: None, **changes) -> tuple[dict, Path]:
        chosen = dataclasses.replace(settings, **changes)
        if chosen.launched:
            monkeypatch.setenv("PYTHONPATH", str(FSDP_ON_CPU), prepend=":")
        return train(
            SAMPLES, profile=Profile("p", sft=chosen), name="s1", out=tmp_path / name, log=log
        ), tmp_path / name

    return run


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForCausalLM.from_pretrained(directory).named_parameters())


def curve(directory: Path) -> torch.Tensor:
    """Loss and gradient norm of every step [steps, 2]."""
    return torch.tensor(
        [(row["loss"], row["grad_norm"]) for row in read_jsonl(directory / "log.jsonl")]
    )


def same(one: Path, other: Path) -> bool:
    return all(
        torch.allclose(a, b, atol=1e-5)
        for a, b in zip(weights(one).values(), weights(other).values(), strict=True)
    )


@pytest.mark.parametrize("offload", (False, True))
def test_a_sharded_training_is_that_of_one_process(run, offload):
    alone, one = run("one")
    record, two = run("two", processes=2, offload=offload)
    assert torch.allclose(curve(one), curve(two), rtol=1e-4)
    assert record["key"] == alone["key"] and record["tokens"] == alone["tokens"] and same(one, two)
    assert {tensor.dtype for tensor in load_file(two / "model.safetensors").values()} == {
        torch.float32
    }


def test_in_bf16_it_differs_by_rounding(run):
    _, exact = run("exact", processes=2)
    _, rounded = run("rounded", processes=2, offload=True, bf16=True)
    assert not torch.allclose(curve(exact), curve(rounded), rtol=1e-5) and torch.allclose(
        curve(exact)[:, 0], curve(rounded)[:, 0], rtol=0.02
    )


def test_the_processes_find_a_finished_model_as_the_notebook_does(run, settings):
    record, two = run("two", processes=2, epochs=1.0)
    profile = Profile("p", sft=dataclasses.replace(settings, processes=2, epochs=1.0))
    said: list[str] = []
    train_in_processes(SAMPLES, profile=profile, name="s1", out=two, log=said.append)
    assert said == [
        f"s1: trained before, {record['steps']} steps, final loss {record['final_loss']:.3f}"
    ]


def test_a_killed_sharded_run_goes_on_to_the_same_weights(run):
    def kill(line: str) -> None:
        if "step 3" in line:
            raise KeyboardInterrupt

    sharded = {"processes": 2, "offload": True, "checkpoint_steps": 2}
    whole = run("whole", **sharded)[1]
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run("killed", kill, **sharded)
    shards = {
        path.name
        for path in directory_of(whole.with_name("killed")).glob(
            "checkpoint-2/pytorch_model_fsdp_0/*.distcp"
        )
    }
    assert shards == {"__0_0.distcp", "__1_0.distcp"}
    killed = run("killed", said.append, **sharded)[1]
    assert said.count("s1: goes on from checkpoint-2") == 1 and same(whole, killed)
    assert torch.allclose(curve(killed), curve(whole), rtol=1e-4)


def test_only_the_first_process_reads_the_weights(tiny_model_dir, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_bytes((tiny_model_dir / "config.json").read_bytes())
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("RANK", "1")
    model = load_base(str(tmp_path))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(TrainingError, match="cannot load the base model"):
        load_base(str(tmp_path))
