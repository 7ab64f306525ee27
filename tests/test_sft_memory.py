"""The simulated step: its parts, what each saving saves, and that a real step takes the same."""

from __future__ import annotations

import pytest
from bench.bench_memory import CASES, real, simulated
from transformers import Qwen2Config

from s1lib.hardware.memory_trackers import Memory
from s1lib.hardware.simulated_step import simulate
from s1lib.profile import SFT


def small() -> Qwen2Config:
    sizes = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return Qwen2Config(vocab_size=200, **sizes)


PARAMETERS = 2 * 200 * 64 + 8 * (2 * 64 * 64 + 2 * 64 * 32 + 128 + 3 * 64 * 128 + 2 * 64) + 64


def step(gpus: int, batch: int | None = None, **settings) -> Memory:
    return simulate(
        small(),
        SFT(micro_batch_size=1, batch_size=batch or gpus, processes=gpus, **settings),
        length=256,
    )


@pytest.fixture(scope="module")
def plain() -> dict[int, Memory]:
    return {gpus: step(gpus) for gpus in (1, 2, 4)}


def test_every_gpu_holds_its_share_of_parameters_and_two_moments(plain):
    for gpus, memory in plain.items():
        assert memory.parameters == pytest.approx(4 * PARAMETERS / gpus, rel=0.02)
        assert memory.optimiser == pytest.approx(8 * PARAMETERS / gpus, rel=0.02)


def test_the_parts_add_up(plain):
    for memory in plain.values():
        assert (
            memory.parameters
            + memory.gradients
            + memory.optimiser
            + memory.activations
            + memory.temporaries
            == memory.peak
        )


def test_accumulated_micro_batches_hold_gradients_at_the_peak(plain):
    accumulated = step(2, batch=4)
    assert accumulated.peak > plain[2].peak and accumulated.gradients == pytest.approx(
        accumulated.parameters, rel=0.02
    )


def test_offload_takes_the_states_to_the_host(plain):
    for gpus in (1, 2):
        memory = step(gpus, offload=True)
        assert (
            memory.parameters == memory.gradients == memory.optimiser == 0
            and memory.peak < plain[gpus].peak
        )
        assert memory.host == pytest.approx(16 * PARAMETERS / gpus, rel=0.02)


def test_what_is_offloaded_still_passes_through_the_gpu(plain):
    kept, offloaded = plain[2], step(2, offload=True)
    states = kept.parameters + kept.gradients + kept.optimiser
    assert kept.peak - states < offloaded.peak < kept.peak - states + 2 * kept.parameters


@pytest.mark.parametrize("gpus", (1, 2))
def test_activation_offloading_moves_the_layers_checkpoints_and_no_parameters(plain, gpus):
    memory = step(gpus, activation_offloading=True)
    checkpoint = 256 * 64 * 2  # what flows between the layers is bf16
    # And the last norm's output.
    assert 8 * checkpoint <= plain[gpus].activations - memory.activations < 14 * checkpoint
    assert (
        8 * checkpoint <= memory.host < 16 * checkpoint
        and memory.parameters == plain[gpus].parameters
    )


def test_without_checkpointing_every_layer_keeps_what_it_computed(plain):
    assert step(2, gradient_checkpointing=False).activations > 4 * plain[2].activations


@pytest.mark.parametrize("gpus", (1, 2))
def test_eight_bit_states_take_a_byte_and_a_scale_each(plain, gpus):
    memory = step(gpus, optim="adamw_torch_8bit")
    assert memory.optimiser == pytest.approx(plain[gpus].optimiser / 4 * (1 + 4 / 256), rel=0.03)


def test_adapters_are_the_only_thing_with_gradients_and_states(plain):
    memory = step(1, lora_rank=4)
    adapters = memory.optimiser / 8
    assert (
        memory.parameters == pytest.approx(2 * PARAMETERS + 4 * adapters, rel=0.02)
        and adapters < PARAMETERS / 5
    )
    assert memory.peak < plain[1].peak


@pytest.mark.parametrize(
    "case", ("alone", "alone, adapters", "two processes, without checkpointing")
)
def test_a_real_step_takes_what_the_simulation_says(case):
    (states, peak), (held, highest) = simulated(*CASES[case]), real(*CASES[case])
    assert states == pytest.approx(held, rel=0.01) and peak == pytest.approx(highest, rel=0.05)
