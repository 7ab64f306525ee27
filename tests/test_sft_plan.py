"""`s1 plan`: the simulated memory of a step, what it refuses and what it proposes."""

from __future__ import annotations

import dataclasses

import pytest
from transformers import Qwen2Config

from s1lib.profile import SFT, Profile, load_profile
from s1lib.sft import plan as planning
from s1lib.sft.memory import GIB, Memory, simulate
from s1lib.sft.plan import PlanError, architecture, make_plan, parameter_count


def small(layers: int = 4) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=1000, hidden_size=64, intermediate_size=128, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2
    )


def test_the_32b_model_has_the_published_number_of_parameters():
    assert parameter_count(architecture("Qwen/Qwen2.5-32B-Instruct@5ede1c9")) == 32_763_876_352


def test_another_model_without_a_local_config_is_refused():
    with pytest.raises(PlanError, match=r"no architecture known for other/model: give sft\.base as a local directory"):
        architecture("other/model")


@pytest.fixture(scope="module")
def simulated() -> dict[tuple[int, int], tuple[Memory, Memory]]:
    return {(gpus, steps): simulate(small(), gpus=gpus, accumulation=steps, length=64) for gpus, steps in ((2, 1), (4, 1), (2, 2))}


def test_every_gpu_holds_its_share_of_parameters_gradients_and_two_moments(simulated):
    shares = parameter_count(small()) * 4
    for gpus in (2, 4):
        memory, _ = simulated[gpus, 1]
        assert memory.parameters == pytest.approx(shares / gpus, rel=0.02)
        assert memory.optimiser == pytest.approx(2 * shares / gpus, rel=0.02)


def test_accumulated_micro_batches_hold_gradients_at_the_peak(simulated):
    assert simulated[2, 2][0].peak > simulated[2, 1][0].peak
    assert simulated[2, 2][0].gradients == pytest.approx(simulated[2, 2][0].parameters, rel=0.02)


def test_the_parts_add_up_and_offload_takes_the_states_away(simulated):
    for kept, offloaded in simulated.values():
        for memory in (kept, offloaded):
            parts = memory.parameters + memory.gradients + memory.optimiser + memory.activations + memory.temporaries
            assert parts == memory.peak
        assert offloaded.parameters == offloaded.gradients == offloaded.optimiser == kept.host == 0
        assert offloaded.peak < kept.peak and offloaded.host == pytest.approx(4 * kept.parameters, rel=0.02)


@pytest.fixture
def pretend(monkeypatch):
    """Simulations with a given peak; `pretend(kept, offloaded)` in GiB."""

    def set_peaks(kept: float, offloaded: float) -> None:
        share = int(kept * GIB / 8)
        memory = Memory(share, share, 2 * share, int(kept * GIB) - 6 * share, 2 * share, int(kept * GIB), GIB, 0)
        other = Memory(0, 0, 0, 0, 0, int(offloaded * GIB), GIB, 4 * share)
        monkeypatch.setattr(planning, "simulate", lambda *_, **__: (memory, other))

    return set_peaks


def profile(**settings) -> Profile:
    return Profile("p", sft=SFT(base="Qwen/Qwen2.5-0.5B-Instruct", **{"micro_batch_size": 1, **settings}))


def test_a_plan_that_does_not_fit_is_refused_with_the_change_that_would_make_it_fit(pretend):
    pretend(100, 40)
    with pytest.raises(
        PlanError, match=r"does not fit: 100\.0 GiB per GPU, and 8 of 74\.5 must stay free; set sft\.offload: true \(40\.0 GiB"
    ):
        make_plan(profile(), gpus=8).check()
    pretend(100, 90)
    with pytest.raises(PlanError, match="use 16 GPUs"):
        make_plan(profile(offload=True), gpus=4).check()
    with pytest.raises(PlanError, match="gradient_checkpointing: true"):
        make_plan(profile(gradient_checkpointing=False), gpus=8).check()
    pretend(66, 40)
    make_plan(profile(), gpus=8).check()


def test_gpus_that_cannot_share_the_batch_are_refused():
    with pytest.raises(PlanError, match=r"cannot be shared by 6 GPUs of 1: --gpus must divide 16"):
        make_plan(profile(), gpus=6)


def test_the_papers_training_has_315_steps_on_any_number_of_gpus(pretend):
    pretend(60, 40)
    h100 = load_profile("h100")
    plans = [make_plan(h100, gpus=gpus) for gpus in (4, 8, 16)]
    assert [plan.steps for plan in plans] == [315] * 3 and [plan.accumulation for plan in plans] == [4, 2, 1]


def test_both_h100_profiles_train_the_same_model():
    one, two = load_profile("h100").sft, load_profile("h100x16").sft
    assert dataclasses.replace(one, processes=16, offload=False) == two
