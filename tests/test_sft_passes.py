"""Passes without padding, over bf16 copies of the weights: the training of one sample at a time."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_sft import SAMPLES
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from s1lib.chat import ChatFormat
from s1lib.hardware.base_model import load_base
from s1lib.hardware.compiled_layers import compile_layers
from s1lib.hardware.half_weights import HalfWeights
from s1lib.hardware.packed_attention import PACKED_ATTENTION
from s1lib.hardware.pass_room import LEAST, MOST, pass_room
from s1lib.hardware.simulated_step import simulate
from s1lib.profile import SFT
from s1lib.sft.dataset import training_set
from s1lib.sft.passes import PassCollator, packed
from s1lib.sft.recipe import build_trainer

LENGTHS = (23, 1, 40, 7)


@pytest.fixture
def tokenizer(tiny_model_dir):
    return AutoTokenizer.from_pretrained(tiny_model_dir)


@pytest.fixture
def settings(tiny_model_dir) -> SFT:
    sizes = {"batch_size": 4, "micro_batch_size": 2, "max_length": 256, "max_steps": 3}
    return SFT(str(tiny_model_dir), **sizes, learning_rate=5e-3, bf16=False)


@pytest.fixture
def examples() -> list[dict[str, list[int]]]:
    """Random sequences of which the first third has no loss."""
    chance = torch.Generator().manual_seed(0)
    rows = [torch.randint(100, (length,), generator=chance).tolist() for length in LENGTHS]
    return [
        {"input_ids": ids, "labels": [-100] * (len(ids) // 3) + ids[len(ids) // 3 :]}
        for ids in rows
    ]


def trained(settings: SFT, tokenizer, work, **options) -> tuple[dict, list[dict]]:
    """The weights and the log of a short training."""
    data = training_set(SAMPLES, ChatFormat(tokenizer), max_length=256)
    trainer = build_trainer(load_base(settings.base), tokenizer, data, settings, work, **options)
    trainer.train()
    rows = [row for row in trainer.state.log_history if "loss" in row]
    return dict(trainer.model.named_parameters()), rows


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 60))
def test_every_sequence_is_in_one_pass_that_holds_no_more_than_the_limit(lengths, limit):
    passes = packed(lengths, limit)
    assert sorted(index for one in passes for index in one) == list(range(len(lengths)))
    for one in passes:
        assert len(one) == 1 or sum(lengths[index] for index in one) <= limit


def test_a_pass_restarts_positions_and_predicts_no_first_token(examples):
    batch = PassCollator(1000)(examples)
    (one,) = batch["passes"]
    starts = one["cu_seq_lens_q"].tolist()
    assert one["position_ids"][0, starts[:-1]].tolist() == [0] * len(LENGTHS)
    assert one["labels"][0, starts[:-1]].tolist() == [-100] * len(LENGTHS)
    assert batch["labels"].ne(-100).sum() == sum(
        sum(label != -100 for label in example["labels"][1:]) for example in examples
    )


def test_logits_and_gradients_of_a_pass_are_those_of_one_sample_at_a_time(tiny_model_dir, examples):
    def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits[:-1], labels[1:], reduction="sum")

    alone = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    logits = []
    for example in examples:
        logits.append(alone(torch.tensor([example["input_ids"]])).logits[0])
        loss_of(logits[-1], torch.tensor(example["labels"])).backward()

    # One row of all four, in the collator's order: the longest first.
    order = packed(LENGTHS, 1000)[0]
    together = AutoModelForCausalLM.from_pretrained(
        tiny_model_dir, attn_implementation=PACKED_ATTENTION
    )
    (one,) = PassCollator(1000)(examples)["passes"]
    labels = one.pop("labels")[0]
    found = together(**one).logits[0]
    loss_of(found, labels).backward()

    torch.testing.assert_close(found, torch.cat([logits[index] for index in order]))
    for one, other in zip(alone.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("room", (1, 90, 10_000))
def test_passes_of_any_size_train_what_padded_batches_train(settings, tokenizer, tmp_path, room):
    padded, log = trained(settings, tokenizer, tmp_path)
    packed_weights, packed_log = trained(settings, tokenizer, tmp_path, room=room)
    for name, weight in padded.items():
        torch.testing.assert_close(weight, packed_weights[name], atol=2e-5, rtol=1e-4)
    for column in ("loss", "grad_norm", "learning_rate", "num_tokens"):
        assert [row[column] for row in log] == pytest.approx(
            [row[column] for row in packed_log], rel=1e-4
        )


def test_only_passes_over_the_room_compute_their_activations_twice(
    settings, tokenizer, tmp_path, monkeypatch
):
    seen = []

    def checkpoint(function, *args, **options):
        seen.append(args[0].shape[1])
        return function(*args)

    monkeypatch.setattr("transformers.modeling_utils.checkpoint", checkpoint)
    lengths = training_set(SAMPLES, ChatFormat(tokenizer), max_length=256)["length"]
    room = sorted(lengths)[6]
    trained(dataclasses.replace(settings, max_steps=-1, epochs=1.0), tokenizer, tmp_path, room=room)
    layers = 2
    assert sorted(seen) == sorted(layers * [length for length in lengths if length > room])


def test_bf16_copies_take_the_masters_place_and_give_float32_gradients(tiny_model_dir):
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    masters = dict(model.named_parameters())
    halves, ids = HalfWeights(model), torch.arange(20)[None]
    for _ in range(2):
        with halves.in_place():
            assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
            assert model.lm_head.weight is model.model.embed_tokens.weight
            model(ids, labels=ids).loss.backward()
    assert dict(model.named_parameters()) == masters
    assert {weight.grad.dtype for weight in masters.values()} == {torch.float32}

    # Twice the gradient of one pass, which bf16 alone would have to round again.
    once = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.bfloat16)
    once(ids, labels=ids).loss.backward()
    for name, weight in once.named_parameters():
        assert torch.equal(masters[name].grad, 2 * weight.grad.float())


def test_copies_follow_a_step_smaller_than_bf16_can_hold(tiny_model_dir):
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    halves, weight = HalfWeights(model), model.model.norm.weight
    with torch.no_grad():
        for _ in range(64):
            with halves.in_place():
                pass
            weight += 1e-4  # below half the spacing of bf16 at 1
    assert weight[0].item() == pytest.approx(1.0064, abs=1e-5)
    with halves.in_place():
        assert model.model.norm.weight[0] == weight[0].bfloat16() > 1


def test_bf16_copies_train_what_float32_trains_but_for_rounding(settings, tokenizer, tmp_path):
    exact, log = trained(settings, tokenizer, tmp_path)
    half = dataclasses.replace(settings, bf16=True)
    rounded, rounded_log = trained(half, tokenizer, tmp_path, room=256)
    assert {weight.dtype for weight in rounded.values()} == {torch.float32}
    assert [row["loss"] for row in log] == pytest.approx(
        [row["loss"] for row in rounded_log], rel=0.01
    )
    assert not torch.equal(exact["model.norm.weight"], rounded["model.norm.weight"])


def test_a_pass_has_room_for_what_fits_without_checkpointing(tiny_model_dir):
    config = AutoConfig.from_pretrained(tiny_model_dir)
    one_gpu = SFT(micro_batch_size=1)

    def peak(length: int) -> int:
        keeping = dataclasses.replace(one_gpu, gradient_checkpointing=False)
        return simulate(config, keeping, length=length).peak

    assert 0.85 * 6000 < pass_room(config, one_gpu, limit=peak(6000)) <= 6000  # never too much
    assert pass_room(config, one_gpu, limit=1e12) == MOST
    assert pass_room(config, one_gpu, limit=peak(LEAST) - 1) == 0


def test_a_sharded_training_and_sliding_attention_have_no_room(tiny_model_dir):
    config = AutoConfig.from_pretrained(tiny_model_dir)
    assert pass_room(config, SFT(processes=2), limit=1e12) == 0
    config.layer_types = ["full_attention", "sliding_attention"]
    assert pass_room(config, SFT(), limit=1e12) == 0


def test_compiled_layers_train_alike_at_every_length_with_one_compilation(tiny_model_dir, examples):
    torch._dynamo.reset()
    graphs = []

    def count(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    plain, compiled = (
        AutoModelForCausalLM.from_pretrained(
            tiny_model_dir, attn_implementation=PACKED_ATTENTION
        ).train()
        for _ in range(2)
    )
    compile_layers(compiled, backend=count)
    compilations = []
    for number in (4, 1, 3, 2):
        (one,) = PassCollator(1000)(examples[:number])["passes"]
        for model in (plain, compiled):
            model(**one, use_cache=False).loss.backward()
        compilations.append(len(graphs))
        plain.gradient_checkpointing_enable()
        compiled.gradient_checkpointing_enable()
    assert compilations[0] > 0 and set(compilations) == {compilations[0]}
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
