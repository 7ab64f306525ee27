"""`s1 plan`: what it prints, refuses and proposes; the paper's 32B training on one node and two."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch
from samples import sample

from s1lib.hardware import memory_plan as planning
from s1lib.hardware.architectures import PlanError, architecture, parameter_count
from s1lib.hardware.memory_plan import gpu_memory, make_plan
from s1lib.hardware.memory_trackers import GIB, Memory
from s1lib.profile import SFT, Profile, load_profile
from s1lib.sft.train import train


def test_the_32b_model_has_the_published_number_of_parameters():
    assert parameter_count(architecture("Qwen/Qwen2.5-32B-Instruct@5ede1c9")) == 32_763_876_352


def test_another_model_without_a_local_config_is_refused():
    with pytest.raises(
        PlanError,
        match=r"no architecture known for other/model: fetch it, "
        r"or give sft\.base as a local directory",
    ):
        architecture("other/model")


def test_the_unchanged_32b_training_fits_one_node_with_8_gib_to_spare():
    plan = make_plan(load_profile("h100"), gpus=8, gpu=80e9)
    plan.check()
    assert (
        plan.length == 32768
        and plan.steps == 315
        and plan.settings.batch_size == 16
        and plan.settings.optim == SFT.optim
    )
    assert plan.memory.peak < 80e9 - 8 * GIB
    # Float32 weights, gradients and two moments.
    assert plan.memory.host * 8 == pytest.approx(16 * plan.parameters, rel=0.01)
    # Every layer's input in bf16, at the least.
    assert plan.memory.activations > 64 * 32768 * 5120 * 2


def test_with_states_on_the_gpus_the_32b_training_fits_two_nodes_and_not_one():
    profile = load_profile("h100x16")
    make_plan(profile, gpus=16, gpu=80e9).check()
    one_node = make_plan(profile, gpus=8, gpu=80e9)
    assert one_node.memory.peak > one_node.gpu


@pytest.fixture
def pretend(monkeypatch):
    """Simulations with peaks in GiB from a function of (settings, gpus)."""

    def set_peaks(peak_of) -> None:
        def simulate(_config, settings, *, length):
            peak = int(peak_of(settings, settings.processes) * GIB)
            return Memory(0, 0, 0, peak, 0, peak, GIB, 61 * GIB if settings.offload else 0)

        monkeypatch.setattr(planning, "simulate", simulate)

    return set_peaks


def plan_of(gpus: int, gpu: float = 80e9, **settings) -> planning.Plan:
    sft = SFT(base="Qwen/Qwen2.5-0.5B-Instruct", **{"micro_batch_size": 1, **settings})
    return make_plan(Profile("p", sft=sft), gpus=gpus, gpu=gpu)


def refused(plan: planning.Plan) -> str:
    with pytest.raises(PlanError) as told:
        plan.check()
    return str(told.value)


def test_a_plan_that_does_not_fit_is_refused_with_the_changes_that_fit(pretend):
    pretend(
        lambda settings, gpus: (
            40 if settings.offload else 60 if settings.optim == "adamw_torch_8bit" else 100
        )
    )
    assert refused(plan_of(8)) == (
        "does not fit: 100.0 GiB per GPU, and 8 of 74.5 must stay free; "
        "set sft.offload: true (40.0 GiB per GPU, 488 GiB of host memory in all); "
        "or set sft.optim: adamw_torch_8bit and sft.activation_offloading: true "
        "(60.0 GiB per GPU), no longer the paper's training"
    )


def test_the_cheapest_exact_change_comes_first(pretend):
    pretend(lambda settings, gpus: 40 if settings.gradient_checkpointing else 100)
    assert refused(plan_of(8, gradient_checkpointing=False)).endswith(
        "; set sft.gradient_checkpointing: true (40.0 GiB per GPU)"
    )
    pretend(lambda settings, gpus: 40 * settings.micro_batch_size)
    told = refused(plan_of(4, micro_batch_size=2, gradient_checkpointing=False))
    assert told.endswith(
        "set sft.micro_batch_size: 1 and sft.gradient_checkpointing: true (40.0 GiB per GPU)"
    )
    pretend(lambda settings, gpus: 40 if settings.activation_offloading else 100)
    assert refused(plan_of(8)).endswith("; set sft.activation_offloading: true (40.0 GiB per GPU)")
    pretend(lambda settings, gpus: 400 / gpus)
    assert refused(plan_of(4, offload=True)).endswith(
        "; use 8 GPUs (50.0 GiB per GPU, 488 GiB of host memory in all)"
    )


def test_one_small_gpu_is_offered_adapters_and_nothing_that_does_not_fit(pretend):
    pretend(lambda settings, gpus: 12 if settings.lora_rank else 70)
    assert refused(plan_of(1, gpu=24e9)).endswith(
        "set sft.lora_rank: 32 (12.0 GiB per GPU), no longer the paper's training"
    )
    pretend(lambda settings, gpus: 100)
    assert refused(plan_of(8)).endswith("; lower sft.max_length, or take a smaller model")
    pretend(lambda settings, gpus: 66)
    plan_of(8).check()


def test_what_gpus_cannot_share_is_refused():
    with pytest.raises(PlanError, match=r"cannot be shared by 6 GPUs of 1: --gpus must divide 16"):
        plan_of(6)
    with pytest.raises(PlanError, match=r"sft\.lora_rank is for one GPU, without sft\.offload"):
        plan_of(2, lora_rank=8)


def test_the_papers_training_has_315_steps_on_any_number_of_gpus(pretend):
    pretend(lambda settings, gpus: 60)
    plans = [make_plan(load_profile("h100"), gpus=gpus, gpu=80e9) for gpus in (4, 8, 16)]
    assert [plan.steps for plan in plans] == [315] * 3
    assert [
        f" {accumulation} micro-batch(es)" in plan.text()
        for plan, accumulation in zip(plans, (4, 2, 1), strict=True)
    ] == [True] * 3


def test_a_training_of_fewer_steps_reads_fewer_tokens_and_takes_fewer_hours(pretend):
    pretend(lambda settings, gpus: 60)
    profile = load_profile("h100")
    short = dataclasses.replace(profile, sft=dataclasses.replace(profile.sft, max_steps=63))
    whole, part = (make_plan(one, gpus=8, gpu=80e9) for one in (profile, short))
    assert part.steps == 63 and part.tokens == pytest.approx(whole.tokens / 5)
    assert part.hours[1] == pytest.approx(whole.hours[1] / 5)


def test_both_h100_profiles_train_the_same_model():
    one, two = load_profile("h100").sft, load_profile("h100x16").sft
    assert dataclasses.replace(one, processes=16, offload=False) == two


@pytest.fixture
def small_gpus(monkeypatch, tmp_path):
    """A machine whose driver reports two GPUs, the smaller of 1 MiB."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nprintf '24576\\n1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_a_training_larger_than_the_gpus_is_refused_before_it_starts(
    small_gpus, tiny_model_dir, tmp_path
):
    assert gpu_memory() == 2**20
    profile = Profile("p", sft=SFT(base=str(tiny_model_dir), micro_batch_size=1))
    with pytest.raises(
        PlanError, match=r"^does not fit: 0\.\d GiB per GPU, and 0 of 0\.0 must stay free; "
    ):
        train([sample("q")], profile=profile, name="s1", out=tmp_path / "s1")
