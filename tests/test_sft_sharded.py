"""FSDP2 as the h100 profiles use it, on two CPU processes: the same training as one process, offloaded, killed and resumed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import load_file
from test_sft import SAMPLES
from transformers import AutoModelForCausalLM

from s1lib.artifacts import read_jsonl
from s1lib.profile import SFT, Profile
from s1lib.sft.checkpoints import directory_of
from s1lib.sft.launch import ACCELERATE
from s1lib.sft.train import train


@pytest.fixture
def settings(tiny_model_dir) -> SFT:
    sizes = {"epochs": 2.0, "batch_size": 4, "micro_batch_size": 1, "max_length": 256}
    return SFT(str(tiny_model_dir), **sizes, learning_rate=5e-3, bf16=False)


@pytest.fixture
def run(settings, tmp_path, monkeypatch):
    """`run(name, log, **changes)`: a training's record and directory; more than one process is sharded as the accelerate file says."""

    def run(name, log=lambda line: None, **changes) -> tuple[dict, Path]:
        chosen = dataclasses.replace(settings, **changes)
        if chosen.launched:
            options = ["--config_file", str(ACCELERATE), "--num_processes", "2", "--fsdp_offload_params", str(chosen.offload).lower()]
            arguments, *_ = _validate_launch_command(launch_command_parser().parse_args([*options, "script.py"]))
            for key, value in prepare_multi_gpu_env(arguments).items():
                if key.startswith(("ACCELERATE", "FSDP")):
                    monkeypatch.setenv(key, value)
            monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")  # the file says bf16, which two layouts round differently
            monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "fsdp_on_cpu"), prepend=":")
        return train(SAMPLES, profile=Profile("p", sft=chosen), name="s1", out=tmp_path / name, log=log), tmp_path / name

    return run


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForCausalLM.from_pretrained(directory).named_parameters())


def same(one: Path, other: Path) -> bool:
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(weights(one).values(), weights(other).values(), strict=True))


@pytest.mark.parametrize("offload", (False, True))
def test_a_sharded_training_is_that_of_one_process(run, offload):
    alone, one = run("one")
    record, two = run("two", processes=2, offload=offload)
    curves = [[(row["loss"], row["grad_norm"]) for row in read_jsonl(place / "log.jsonl")] for place in (one, two)]
    assert torch.allclose(*map(torch.tensor, curves), rtol=1e-4)
    assert record["key"] == alone["key"] and record["tokens"] == alone["tokens"] and same(one, two)
    assert {tensor.dtype for tensor in load_file(two / "model.safetensors").values()} == {torch.float32}


def test_a_killed_sharded_run_goes_on_from_its_last_checkpoint_to_the_same_weights(run):
    def kill(line: str) -> None:
        if "step 3" in line:
            raise KeyboardInterrupt

    whole = run("whole", processes=2, checkpoint_steps=2)[1]
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run("killed", kill, processes=2, checkpoint_steps=2)
    shards = {path.name for path in directory_of(whole.with_name("killed")).glob("checkpoint-2/pytorch_model_fsdp_0/*.distcp")}
    assert shards == {"__0_0.distcp", "__1_0.distcp"}
    killed = run("killed", said.append, processes=2, checkpoint_steps=2)[1]
    assert "s1: goes on from checkpoint-2" in said and same(whole, killed)
    assert [row["loss"] for row in read_jsonl(killed / "log.jsonl")] == pytest.approx(
        [row["loss"] for row in read_jsonl(whole / "log.jsonl")], rel=1e-4
    )
