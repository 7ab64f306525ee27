"""Supervised fine-tuning (paper, section 4.1 and appendix D), on a tiny model."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import sample
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from s1lib.chat import ANSWER, IM_END, THINK, ChatFormat
from s1lib.hardware.base_model import TrainingError, load_base, load_tokenizer
from s1lib.hardware.plain_attention import PLAIN_ATTENTION
from s1lib.keeping.files import read_jsonl
from s1lib.profile import SFT, Profile, Replica, TrainingSet, load_profile
from s1lib.sft.dataset import LengthBatches, SFTDataError, training_set
from s1lib.sft.loss_mask import loss_mask, mask_html, trainer_batch
from s1lib.sft.recipe import build_trainer
from s1lib.sft.train import read_training, train, train_all
from s1lib.sft.training_logs import training_logs, trainings

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


@pytest.fixture(scope="session")
def tokenizer(tiny_model_dir):
    return AutoTokenizer.from_pretrained(tiny_model_dir)


@pytest.fixture
def profile(tiny_model_dir):
    settings = SFT(
        base=str(tiny_model_dir),
        epochs=2.0,
        batch_size=4,
        micro_batch_size=4,
        learning_rate=5e-3,
        max_length=256,
        bf16=False,
        gradient_checkpointing=False,
    )
    return Profile("test", sft=settings)


def quiet(line: str) -> None:
    pass


def weights(directory) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(directory).state_dict()


# ---- data ----------------------------------------------------------------------------------------


def test_an_example_is_prompt_and_completion_in_the_s1_format(tokenizer):
    row = training_set([SAMPLES[0]], ChatFormat(tokenizer), max_length=256)[0]
    assert (
        row["prompt"] == f"<|im_start|>user\n{SAMPLES[0].question}{IM_END}\n<|im_start|>assistant\n"
    )
    assert row["completion"] == f"{THINK}\n{TRACES[0]}\n{ANSWER}\nAnswer: 73{IM_END}"
    assert row["length"] == len(tokenizer(row["prompt"] + row["completion"])["input_ids"])


def test_samples_over_the_limit_are_listed_and_never_cut(tokenizer):
    chat = ChatFormat(tokenizer)
    longest = max(training_set(SAMPLES, chat, max_length=256)["length"])
    assert len(training_set(SAMPLES, chat, max_length=longest)) == len(SAMPLES)
    with pytest.raises(
        SFTDataError,
        match=rf"^6 samples \(1 \({longest}\), 3 .* longer than "
        rf"sft.max_length = {longest - 1} tokens",
    ):
        training_set(SAMPLES, chat, max_length=longest - 1)


def test_a_published_set_may_have_a_limit_of_its_own(profile, tmp_path):
    published = (TrainingSet("s1.1", "nowhere", 20),)
    limited = dataclasses.replace(
        profile, sft=dataclasses.replace(profile.sft, published=published, cut_length=60)
    )
    assert [limited.sft.limit_of(name) for name in ("s1", "s1.1", "cut")] == [
        profile.sft.max_length,
        20,
        60,
    ]
    with pytest.raises(SFTDataError, match="= 20 tokens"):
        train(SAMPLES, profile=limited, name="s1.1", out=tmp_path / "s1.1", log=lambda _: None)


def test_samples_over_the_limit_may_be_dropped_and_that_is_said(profile, tmp_path):
    chat = ChatFormat(load_tokenizer(profile.sft.base))
    lengths = training_set(SAMPLES, chat, max_length=256)["length"]
    limit = max(lengths) - 1
    kept = training_set(SAMPLES, chat, max_length=limit, too_long="drop")
    assert list(kept["length"]) == [length for length in lengths if length <= limit] and not any(
        kept["cut"]
    )
    with pytest.raises(SFTDataError, match=r"longer than sft\.max_length"):
        training_set(SAMPLES, chat, max_length=5, too_long="drop")
    said = []
    dropping = dataclasses.replace(
        profile,
        sft=dataclasses.replace(profile.sft, max_length=limit, max_steps=1, too_long="drop"),
    )
    assert train(SAMPLES, profile=dropping, name="s1", out=tmp_path / "s1", log=said.append)[
        "examples"
    ] == len(kept)
    dropped = f"s1: {len(SAMPLES) - len(kept)} samples longer than sft.max_length = {limit} tokens"
    assert f"{dropped} are left out" in said


def test_a_sample_without_a_trace_and_an_empty_set_are_refused(tokenizer):
    with pytest.raises(SFTDataError, match=r"1 sample \(empty\) without a trace"):
        training_set(
            [SAMPLES[0], sample("empty", trace=" \n")], ChatFormat(tokenizer), max_length=256
        )
    with pytest.raises(SFTDataError, match="no samples"):
        training_set([], ChatFormat(tokenizer), max_length=256)


def test_the_toys_tokenizer_reads_text_alike_before_and_after_it_was_saved(tokenizer):
    from s1lib.toy.tokenizer import build_tokenizer

    text = f"{THINK}\n{TRACES[1]}\n{ANSWER}\nFinal Answer: 73{IM_END}"
    assert tokenizer.encode(text) == build_tokenizer().encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.lists(st.integers(1, 500), max_size=120), st.integers(1, 16), st.integers(0, 3))
def test_every_epoch_holds_every_example_once_with_the_incomplete_batch_last(
    lengths, batch_size, seed
):
    sampler = LengthBatches(lengths, batch_size, seed=seed)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(len(lengths)))
    assert list(LengthBatches(lengths, batch_size, seed=seed)) == first


def test_batches_hold_examples_of_similar_length_in_random_order():
    lengths = random.Random(0).choices(range(50, 500), k=1000)
    order = list(LengthBatches(lengths, 16, seed=0))
    batches = [[lengths[i] for i in order[start : start + 16]] for start in range(0, 992, 16)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    assert sum(map(sum, batches)) / padded > 0.88  # 0.57 in random batches
    means = [sum(batch) / len(batch) for batch in batches]
    halves = sum(means[:31]) / 31, sum(means[31:]) / 31
    assert (
        abs(halves[0] - halves[1]) < 60
        and means != sorted(means)
        and means != sorted(means, reverse=True)
    )


# ---- the loss mask -------------------------------------------------------------------------------


def test_the_loss_is_on_the_trace_and_answer_alone_end_of_turn_included(tokenizer, profile):
    mask = loss_mask(SAMPLES[1], tokenizer, profile.sft)
    example = ChatFormat(tokenizer).example(
        SAMPLES[1].question, SAMPLES[1].trace, SAMPLES[1].attempt
    )
    assert "".join(text for text, trained in mask if not trained) == example["prompt"]
    assert "".join(text for text, trained in mask if trained) == example["completion"]
    assert mask[-1] == (IM_END, True)


def test_a_batch_is_padded_and_its_labels_are_the_completions_alone(tokenizer, profile):
    chat, examples = ChatFormat(tokenizer), SAMPLES[:2]
    batch = trainer_batch(examples, tokenizer, profile.sft)
    ids, labels = batch["input_ids"], batch["labels"]
    texts = {chat.decode(row[row != -100].tolist()) for row in labels}
    rows = [chat.example(one.question, one.trace, one.attempt) for one in examples]
    assert texts == {row["completion"] for row in rows}
    lengths = [len(chat.encode(row["prompt"] + row["completion"])) for row in rows]
    assert ids.shape == labels.shape == (2, max(lengths)) and min(lengths) < max(lengths)
    assert (labels[batch["attention_mask"] == 0] == -100).all()


@pytest.mark.parametrize("name", ("gpu", "h100", "h100x16"))
def test_a_gpu_profile_shows_the_same_mask_in_the_notebooks_own_process(tokenizer, profile, name):
    assert loss_mask(SAMPLES[1], tokenizer, load_profile(name).sft) == loss_mask(
        SAMPLES[1], tokenizer, profile.sft
    )


def test_the_mask_shown_in_colour_escapes_the_text(tokenizer, profile):
    shown = mask_html([("<|im_start|>", False), ("a\n", True)])
    assert "&lt;|im_start|&gt;" in shown and "a↵<br>" in shown and shown.count("<span") == 2


def test_a_trainer_that_would_cut_is_refused(tokenizer, profile, tiny_model_dir, tmp_path):
    data = training_set(SAMPLES, ChatFormat(tokenizer), max_length=256)
    shorter = dataclasses.replace(profile.sft, max_length=max(data["length"]) - 1)
    with pytest.raises(TrainingError, match="differ in length"):
        build_trainer(load_base(str(tiny_model_dir)), tokenizer, data, shorter, tmp_path)


def test_the_cut_model_alone_is_trained_on_cut_examples(profile, tmp_path):
    shorter = dataclasses.replace(
        profile, sft=dataclasses.replace(profile.sft, max_steps=2, cut_length=60)
    )
    records = {
        name: train(SAMPLES, profile=shorter, name=name, out=tmp_path / name, log=lambda _: None)
        for name in ("s1", "cut")
    }
    whole = training_set(SAMPLES, ChatFormat(load_tokenizer(shorter.sft.base)), max_length=256)[
        "length"
    ]
    assert records["s1"]["cut"] == 0 and 0 < records["cut"]["cut"] == sum(
        length > 60 for length in whole
    )
    assert (
        records["cut"]["tokens"] < records["s1"]["tokens"]
        and records["cut"]["settings"]["max_length"] == 60
    )
    again = dataclasses.replace(profile, sft=dataclasses.replace(shorter.sft, cut_length=0))
    assert (
        train(SAMPLES, profile=again, name="s1", out=tmp_path / "s1", log=lambda _: None)["key"]
        == records["s1"]["key"]
    )


def test_a_batch_that_micro_batches_cannot_make_up_is_refused(profile, tmp_path):
    uneven = dataclasses.replace(profile.sft, micro_batch_size=3)
    with pytest.raises(
        TrainingError, match=r"batch_size = 4 is no multiple of sft\.micro_batch_size = 3"
    ):
        train(SAMPLES, profile=Profile("p", sft=uneven), name="s1", out=tmp_path / "s1", log=quiet)


# ---- training ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def trained(tiny_model_dir, tmp_path_factory):
    """A model trained once for the tests that only look at it."""
    settings = SFT(
        str(tiny_model_dir),
        epochs=6.0,
        batch_size=4,
        micro_batch_size=2,
        learning_rate=5e-3,
        max_length=256,
        bf16=False,
    )
    out = tmp_path_factory.mktemp("sft") / "s1"
    record = train(SAMPLES, profile=Profile("test", sft=settings), name="s1", out=out, log=quiet)
    return out, record


def test_training_lowers_the_loss_and_logs_every_step(trained):
    out, record = trained
    log = read_jsonl(out / "log.jsonl")
    assert record["steps"] == len(log) == 18 and record["examples"] == 12
    assert log[0]["loss"] > 4 and record["final_loss"] < log[0]["loss"] - 0.5
    assert set(log[0]) == {"step", "epoch", "loss", "grad_norm", "learning_rate", "num_tokens"}
    assert read_training(out) == record


def test_learning_rate_warms_up_linearly_and_follows_a_cosine_to_zero(trained):
    rates = [row["learning_rate"] for row in read_jsonl(trained[0] / "log.jsonl")]
    assert rates[0] == 0 and rates[1] == 5e-3 and rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] < 1e-4


def test_tokens_count_every_token_once_per_epoch(trained, tokenizer):
    data = training_set(SAMPLES, ChatFormat(tokenizer), max_length=256)
    assert trained[1]["tokens"] == 6 * sum(data["length"])


def test_the_model_directory_loads_with_transformers_as_it_is(trained, tokenizer):
    out, _ = trained
    model, report = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not report["missing_keys"] and model.config.use_cache
    assert AutoTokenizer.from_pretrained(out).encode(TRACES[1]) == tokenizer.encode(TRACES[1])
    assert GenerationConfig.from_pretrained(out).eos_token_id == tokenizer.eos_token_id
    assert (out / "model.safetensors").exists() and not list(out.glob("*.bin"))


def test_the_checkpoint_does_not_depend_on_the_attention_it_was_trained_with(trained, tokenizer):
    ids = torch.tensor([tokenizer.encode(f"{THINK}\n{TRACES[1]}" * 3)])
    logits = [
        AutoModelForCausalLM.from_pretrained(trained[0], attn_implementation=name)(ids).logits
        for name in (PLAIN_ATTENTION, "sdpa")
    ]
    torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)


def test_a_finished_model_is_not_trained_again_and_a_changed_one_is(profile, tmp_path):
    short = dataclasses.replace(profile, sft=dataclasses.replace(profile.sft, max_steps=2))
    said: list[str] = []
    first = train(SAMPLES, profile=short, name="s1", out=tmp_path / "s1", log=said.append)
    before = (tmp_path / "s1" / "model.safetensors").stat().st_mtime_ns
    assert train(SAMPLES, profile=short, name="s1", out=tmp_path / "s1", log=said.append) == first
    assert (
        tmp_path / "s1" / "model.safetensors"
    ).stat().st_mtime_ns == before and "trained before" in said[-1]
    other_data = train(SAMPLES[:8], profile=short, name="s1", out=tmp_path / "s1", log=quiet)
    longer = dataclasses.replace(short, sft=dataclasses.replace(short.sft, max_steps=3))
    assert (
        len(
            {
                first["key"],
                other_data["key"],
                train(SAMPLES, profile=longer, name="s1", out=tmp_path / "s1", log=quiet)["key"],
            }
        )
        == 3
    )
    assert read_training(tmp_path / "s1")["steps"] == 3


def test_the_list_of_sets_is_no_part_of_a_models_key(profile, tmp_path):
    short = dataclasses.replace(profile.sft, max_steps=1)
    keys = {
        train(
            SAMPLES,
            profile=Profile("p", sft=dataclasses.replace(short, sets=sets)),
            name="s1",
            out=tmp_path / "s1",
            log=quiet,
        )["key"]
        for sets in (("s1",), ("s1", "random"))
    }
    assert len(keys) == 1


def test_the_same_seed_trains_the_same_weights_and_another_does_not(profile, tmp_path):
    def run(seed: int, name: str) -> dict[str, torch.Tensor]:
        settings = dataclasses.replace(profile.sft, seed=seed, max_steps=3)
        train(
            SAMPLES, profile=Profile("p", sft=settings), name=name, out=tmp_path / name, log=quiet
        )
        return weights(tmp_path / name)

    one, two, other = run(0, "one"), run(0, "two"), run(1, "other")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_gradient_accumulation_changes_nothing_but_memory(profile, tmp_path):
    curves = []
    for micro in (4, 2):
        settings = dataclasses.replace(profile.sft, micro_batch_size=micro, max_steps=3)
        train(
            SAMPLES,
            profile=Profile("p", sft=settings),
            name="s1",
            out=tmp_path / str(micro),
            log=quiet,
        )
        curves.append([row["loss"] for row in read_jsonl(tmp_path / str(micro) / "log.jsonl")])
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)


def test_an_interrupted_training_leaves_nothing_behind(profile, tmp_path):
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SAMPLES, profile=profile, name="s1", out=tmp_path / "s1", log=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_a_number_stops_training_and_says_where(profile, tmp_path):
    wild = dataclasses.replace(profile.sft, learning_rate=1e30)
    with pytest.raises(
        TrainingError, match=r"s1: loss is nan at step \d+: lower sft.learning_rate"
    ):
        train(SAMPLES, profile=Profile("p", sft=wild), name="s1", out=tmp_path / "s1", log=quiet)
    assert read_training(tmp_path / "s1") is None


# ---- tables --------------------------------------------------------------------------------------


def test_the_table_of_trainings_and_the_logs_name_every_model(trained):
    out, record = trained
    table = trainings([record, {**record, "name": "random"}])
    assert table.columns.tolist() == [
        "model",
        "base_seed",
        "sft_seed",
        "examples",
        "limit",
        "cut",
        "steps",
        "epochs seen",
        "tokens",
        "minutes",
        "final loss",
    ]
    assert table["model"].tolist() == ["s1", "random"]
    logs = training_logs({"s1": out, "random": out})
    assert logs.groupby("model").size().to_dict() == {"s1": 18, "random": 18}
    json.dumps(record)


def test_models_trained_side_by_side_are_those_trained_one_by_one(profile, tmp_path):
    profile = dataclasses.replace(profile, sft=dataclasses.replace(profile.sft, max_steps=2))
    sets, lines = {"s1": SAMPLES, "random": SAMPLES[:8]}, []
    alone = train_all(
        sets,
        profile=dataclasses.replace(profile, threads=1),
        out=tmp_path / "alone",
        log=lines.append,
    )
    pair = train_all(
        sets,
        profile=dataclasses.replace(profile, threads=2),
        out=tmp_path / "pair",
        log=lines.append,
    )
    assert [record["key"] for record in alone.values()] == [
        record["key"] for record in pair.values()
    ]
    for name in sets:
        first, second = weights(tmp_path / "alone" / name), weights(tmp_path / "pair" / name)
        assert all(torch.equal(first[tensor], second[tensor]) for tensor in first)
    # Side by side the lines of two models may mix; those of one stay in their order.
    half, model = len(lines) // 2, lambda line: line.partition(":")[0]
    assert sorted(lines[:half], key=model) == sorted(lines[half:], key=model) != []


# ---- several trainings of a model ----------------------------------------------------------------


def test_two_seeds_train_two_models_and_each_is_found_finished_again(profile, tmp_path):
    seeds = dataclasses.replace(profile.sft, max_steps=2, seeds=2, seed=5)
    twice = dataclasses.replace(profile, sft=seeds)
    sets, said = {"s1": SAMPLES, "token": SAMPLES}, []
    records = train_all(sets, profile=twice, out=tmp_path, log=quiet)
    assert list(records) == ["s1", "s1-seed1", "token"]
    found = [(one["name"], one["base_seed"], one["sft_seed"]) for one in records.values()]
    assert found == [("s1", 0, 0), ("s1", 0, 1), ("token", 0, 0)]
    assert [one["settings"]["seed"] for one in records.values()] == [5, 6, 5]

    one, other = weights(tmp_path / "s1"), weights(tmp_path / "s1-seed1")
    assert not all(torch.equal(one[name], other[name]) for name in one)
    assert train_all(sets, profile=twice, out=tmp_path, log=said.append) == records
    labels = [line.split(": trained before")[0] for line in said]
    assert labels == list(records)


def test_the_first_of_several_seeds_is_the_model_of_one_seed(profile, tmp_path):
    keys = []
    for seeds in (1, 3):
        settings = dataclasses.replace(profile.sft, max_steps=1, seeds=seeds)
        several = dataclasses.replace(profile, sft=settings)
        record = train(SAMPLES, profile=several, name="s1", out=tmp_path / "s1", log=quiet)
        keys.append(record["key"])
    assert keys[0] == keys[1]


def test_a_training_of_another_base_model_starts_from_its_weights(
    profile, tiny_model_dir, tmp_path
):
    places = [tmp_path / "base", tmp_path / "base-1"]
    for place in places:
        shutil.copytree(tiny_model_dir, place)
    model = AutoModelForCausalLM.from_pretrained(places[1])
    with torch.no_grad():
        next(iter(model.parameters())).mul_(2)
    model.save_pretrained(places[1])

    settings = dataclasses.replace(profile.sft, base=str(places[0]), max_steps=1)
    own = dataclasses.replace(profile, sft=settings)
    options = {"profile": own, "name": "s1", "log": quiet}
    first = train(SAMPLES, **options, out=tmp_path / "s1")
    second = train(SAMPLES, **options, replica=Replica(1, 0), out=tmp_path / "other")
    assert (first["base"], second["base"]) == tuple(map(str, places))
    assert first["key"] != second["key"] and first["settings"] == second["settings"]
