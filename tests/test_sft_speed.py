"""How well a training uses its GPU: the operations counted, steps timed, bandwidths measured."""

from __future__ import annotations

import dataclasses

import pytest
from transformers import AutoConfig, AutoTokenizer

from s1lib.hardware import memory_plan
from s1lib.hardware.architectures import architecture, parameter_count
from s1lib.hardware.bandwidths import Bandwidths, adamw_bandwidth
from s1lib.hardware.memory_plan import make_plan
from s1lib.hardware.memory_trackers import GIB, Memory
from s1lib.hardware.utilisation import TrainingSpeed, operations
from s1lib.profile import SFT, Profile
from s1lib.sft.training_speed import measure_training


def test_operations_are_six_a_parameter_and_token_and_half_of_all_attention():
    config = architecture("Qwen/Qwen2.5-1.5B-Instruct")
    parameters = parameter_count(config)
    found = operations(config, [1000, 3000], parameters=parameters)
    attention = 12 * 28 * 1536 * (1000**2 + 3000**2) / 2  # 28 layers of width 1536
    assert found == pytest.approx(6 * parameters * 4000 + attention)
    adapters = operations(config, [1000, 3000], parameters=parameters, frozen=True)
    assert found - adapters == pytest.approx(2 * parameters * 4000)


def test_utilisation_is_operations_a_second_over_the_peak():
    speed = TrainingSpeed("a GPU", 10, (100, 300), (1.0, 3.0), operations=8e12, peak_memory=0)
    assert speed.tokens_per_second == 100 and speed.utilisation(peak=20e12) == pytest.approx(0.1)


@pytest.mark.parametrize("room", (0, 120))
def test_the_real_trainer_is_timed_step_by_step(tiny_model_dir, room):
    config = AutoConfig.from_pretrained(tiny_model_dir)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    settings = SFT(batch_size=4, micro_batch_size=2, bf16=False, max_length=256)
    lengths = [100, 50, 80, 20] * 3 + [30]  # the last is no whole batch
    speed = measure_training(config, tokenizer, settings, lengths, room=room)
    assert len(speed.seconds) == 2 and min(speed.seconds) > 0 and len(speed.lengths) == 8
    assert set(speed.lengths) <= {100, 50, 80, 20}
    assert speed.operations == operations(config, speed.lengths, parameters=speed.parameters)
    with pytest.raises(ValueError, match="make 1 steps, and 1 warm up"):
        measure_training(config, tokenizer, settings, lengths[:7])


def test_the_hosts_adamw_is_measured_in_bytes_a_second():
    assert all(adamw_bandwidth(10_000, fused=fused) > 1e6 for fused in (True, False))


def test_a_plan_with_offload_says_which_bandwidths_it_used(monkeypatch):
    memory = Memory(0, 0, 0, 0, 0, 40 * GIB, 0, 61 * GIB)
    monkeypatch.setattr(memory_plan, "simulate", lambda *_, **__: memory)
    settings = SFT(base="Qwen/Qwen2.5-0.5B-Instruct", micro_batch_size=1, offload=True)
    profile = Profile("p", sft=settings)
    assumed = make_plan(profile, gpus=8)
    assert "300 GB/s of the host for AdamW, 54 to a GPU, assumed" in assumed.text()

    slow = make_plan(profile, gpus=8, bandwidths=Bandwidths(30e9, 2.5e9, "measured here"))
    assert "30 GB/s of the host for AdamW, 2 to a GPU, measured here" in slow.text()
    assert slow.hours[0] > assumed.hours[0] and slow.hours[1] > assumed.hours[1]
    kept = Profile("p", sft=dataclasses.replace(settings, offload=False))
    assert "AdamW, 54 to a GPU" not in make_plan(kept, gpus=8).text()
