"""Several CPU processes (gloo) train as one does; Qwen's real vocabulary and its mask; adapters."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec

import pytest
from samples import sample
from test_sft import SAMPLES

from s1lib.chat import ANSWER, IM_END, IM_START, THINK
from s1lib.gpu_check.qwen_vocabulary import RANKS, qwen_tokenizer
from s1lib.hardware.base_model import TrainingError
from s1lib.keeping.files import read_jsonl
from s1lib.profile import FIRST, SFT, Profile, Replica
from s1lib.sft.launched_training import train_in_processes
from s1lib.sft.loss_mask import loss_mask
from s1lib.sft.train import train


@pytest.fixture
def settings(tiny_model_dir) -> SFT:
    sizes = {"epochs": 2.0, "batch_size": 4, "micro_batch_size": 1, "max_length": 256}
    return SFT(
        str(tiny_model_dir), **sizes, learning_rate=5e-3, bf16=False, gradient_checkpointing=False
    )


def run(settings: SFT, out, log=lambda line: None, replica=FIRST):
    options = {"name": "s1", "out": out, "log": log, "replica": replica}
    return train(SAMPLES, profile=Profile("p", sft=settings), **options)


def test_two_processes_give_the_loss_curve_of_one(settings, tmp_path):
    said: list[str] = []
    second = Replica(sft_seed=1)
    one = run(settings, tmp_path / "one", replica=second)
    launched = dataclasses.replace(settings, processes=2)
    two = run(launched, tmp_path / "two", said.append, second)
    curves = [
        [row["loss"] for row in read_jsonl(tmp_path / name / "log.jsonl")]
        for name in ("one", "two")
    ]
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)
    assert (
        two["key"] == one["key"]
        and two["sft_seed"] == one["sft_seed"] == 1
        and two["tokens"] == one["tokens"]
        and sum(line.startswith("s1-seed1: step ") for line in said) >= 3
    )


def test_a_failure_in_one_of_several_processes_is_one_line(settings, tmp_path):
    with pytest.raises(
        TrainingError,
        match=r"batch_size = 4 is no multiple of sft\.micro_batch_size = 3 on 2 processes$",
    ):
        uneven = Profile("p", sft=dataclasses.replace(settings, processes=2, micro_batch_size=3))
        train_in_processes(SAMPLES, profile=uneven, name="s1", out=tmp_path / "s1")


@pytest.mark.skipif(not RANKS.exists(), reason="needs ../shared/data/qwen.tiktoken")
def test_with_qwens_own_template_the_mask_is_the_assistants_turn(settings):
    tokenizer = qwen_tokenizer()
    trace = "Let x = 3.\n\nThen \\frac{1}{2} of 12 is 6… wait, α ≠ β. 漢字"
    mask = loss_mask(
        sample("q", question="What is 2+2?\n\nGive a number.", trace=trace, attempt="\\boxed{4}"),
        tokenizer,
        settings,
    )
    system = (
        "\n|You| are| Q|wen|,| created| by| Alibaba| Cloud|.| You| are| a| helpful| assistant|."
    )
    user = "\n|What| is| |2|+|2|?\n\n|Give| a| number|."
    prompt = [IM_START, "system", *system.split("|"), IM_END, "\n"]
    prompt += [IM_START, "user", *user.split("|"), IM_END, "\n", IM_START, "assistant", "\n"]
    assert [text for text, trained in mask if not trained] == prompt
    completion = [text for text, trained in mask[len(prompt) :] if trained]
    assert len(completion) == len(mask) - len(prompt)
    assert completion[:3] == [IM_START, "think", "\n"] and completion[-1] == IM_END
    ids = tokenizer.encode(
        f"{THINK}\n{trace}\n{ANSWER}\nAnswer: \\boxed{{4}}{IM_END}", add_special_tokens=False
    )
    assert completion == [tokenizer.decode([token]) for token in ids]


def test_adapters_are_merged_into_a_whole_model(settings, tmp_path):
    pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    record = run(dataclasses.replace(settings, lora_rank=4), tmp_path / "s1")
    _, report = AutoModelForCausalLM.from_pretrained(tmp_path / "s1", output_loading_info=True)
    assert (
        not report["missing_keys"]
        and not report["unexpected_keys"]
        and record["settings"]["lora_rank"] == 4
    )
    assert record["final_loss"] < read_jsonl(tmp_path / "s1" / "log.jsonl")[0]["loss"]


def test_eight_bit_states_learn_as_float32_ones_do(settings, tmp_path):
    pytest.importorskip("torchao")
    whole = run(settings, tmp_path / "float32")
    small = run(dataclasses.replace(settings, optim="adamw_torch_8bit"), tmp_path / "eight")
    assert small["key"] != whole["key"] and small["loss"] != whole["loss"]
    assert small["final_loss"] == pytest.approx(whole["final_loss"], rel=0.05)


@pytest.mark.skipif(find_spec("torchao") is not None, reason="torchao is here")
def test_eight_bit_states_without_their_package_are_refused(settings, tmp_path):
    with pytest.raises(
        TrainingError,
        match=r"sft\.optim: adamw_torch_8bit needs the package torchao: "
        r"pip install torchao==0\.18\.0",
    ):
        run(dataclasses.replace(settings, optim="adamw_torch_8bit"), tmp_path / "s1")


def test_adapters_are_not_sharded(settings, tmp_path):
    with pytest.raises(TrainingError, match=r"sft\.lora_rank is for one GPU"):
        run(dataclasses.replace(settings, lora_rank=4, offload=True), tmp_path / "s1")
