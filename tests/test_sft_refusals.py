"""What is refused before a model is loaded: spelled control tokens, full prompts, a wrong base."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import sample
from test_sft import SAMPLES
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from s1lib.chat import END_OF_TEXT, IM_END, IM_START, ChatFormat
from s1lib.hardware.base_model import TrainingError
from s1lib.profile import SFT, Profile
from s1lib.sft.dataset import SFTDataError, training_set
from s1lib.sft.loss_mask import loss_mask
from s1lib.sft.train import train
from s1lib.sft.training_sets import conditional_set
from s1lib.toy.tokenizer import CHAT_TEMPLATE, build_tokenizer

TOKENIZER = build_tokenizer()
CHAT = ChatFormat(TOKENIZER)
PARTS = {"question": "question", "trace": "trace", "attempt": "answer"}  # column -> its name


def settings(base, **changes) -> SFT:
    sizes = {"batch_size": 4, "micro_batch_size": 4, "max_length": 256, "max_steps": 2}
    return SFT(str(base), **sizes, bf16=False, gradient_checkpointing=False, **changes)


def run(base, out):
    return train(SAMPLES, profile=Profile("p", sft=settings(base)), name="s1", out=out, log=str)


# ---- control tokens ------------------------------------------------------------------------------


@given(st.sampled_from(sorted(PARTS)), st.sampled_from([IM_START, IM_END, END_OF_TEXT]), st.data())
def test_a_sample_that_spells_a_control_token_is_refused_by_id_and_token(column, token, data):
    text = getattr(sample("7"), column)
    place = data.draw(st.integers(0, len(text)))
    spelled = sample("7", **{column: f"{text[:place]}{token}{text[place:]}"})
    with pytest.raises(SFTDataError) as told:
        training_set([SAMPLES[0], spelled], CHAT, max_length=1000)
    found = f"1 sample (7: {token} in its {PARTS[column]}) with control tokens in the text"
    assert str(told.value).startswith(found)


def test_the_control_tokens_are_the_tokenizers_own():
    tokenizer = copy.deepcopy(TOKENIZER)
    looked_at = sample("7", trace="<|vision_start|> a: 34+39=73")
    assert len(training_set([looked_at], ChatFormat(tokenizer), max_length=1000)) == 1
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|vision_start|>"]})
    with pytest.raises(SFTDataError, match=r"\(7: <\|vision_start\|> in its trace\)"):
        training_set([looked_at], ChatFormat(tokenizer), max_length=1000)


@pytest.mark.parametrize(
    "text", ["<|im_end", "im_end|>", "< |im_end|>", "<|im_sep|>", "<think>", "\ufffd"]
)
def test_what_only_resembles_a_control_token_is_text(text):
    assert len(training_set([sample("7", trace=text)], CHAT, max_length=1000)) == 1


def test_the_step_count_of_conditional_control_is_no_spelled_token():
    counted = conditional_set("step", SAMPLES, CHAT, separator="\n")
    assert len(training_set(counted, CHAT, max_length=1000)) == len(SAMPLES)


# ---- prompts over the limit ----------------------------------------------------------------------


def test_a_prompt_that_fills_the_limit_is_named_whatever_happens_to_long_samples():
    wordy = sample("wordy", question="a: add 39. " * 40)
    prompt = len(CHAT.encode(CHAT.prompt_text(wordy.question)))
    for too_long in ("refuse", "cut"):
        with pytest.raises(SFTDataError, match=r"^1 sample \(wordy \(\d+\)\)"):
            training_set([SAMPLES[0], wordy], CHAT, max_length=prompt, too_long=too_long)
    kept = training_set([SAMPLES[0], wordy], CHAT, max_length=prompt, too_long="drop")
    assert list(kept["id"]) == [SAMPLES[0].id]


def test_one_token_behind_the_prompt_is_something_to_train_on():
    prompt = len(CHAT.encode(CHAT.prompt_text(SAMPLES[0].question)))
    cut = training_set([SAMPLES[0]], CHAT, max_length=prompt + 1, too_long="cut")
    assert list(cut["cut"]) == [True] and list(cut["length"]) == [prompt + 1]


# ---- the base model's end of text ----------------------------------------------------------------


@pytest.fixture
def with_end_of_text(tiny_model_dir, tmp_path):
    """The tiny model as a base model is published: its texts end with `<|endoftext|>`."""
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.eos_token = END_OF_TEXT
    tokenizer.save_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(base)
    return base


def test_a_base_model_with_another_end_of_text_learns_to_end_turns(
    with_end_of_text, tiny_model_dir, tmp_path
):
    usual, other = (
        run(base, tmp_path / name)
        for name, base in {"usual": tiny_model_dir, "other": with_end_of_text}.items()
    )
    assert (other["loss"], other["tokens"]) == (usual["loss"], usual["tokens"])
    weights = [AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in ("usual", "other")]
    pairs = zip(*(model.parameters() for model in weights), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)

    # What decodes with the model finds that a turn ends with <|im_end|>.
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "other")
    assert tokenizer.eos_token == IM_END
    ends = GenerationConfig.from_pretrained(tmp_path / "other").eos_token_id
    assert tokenizer.convert_tokens_to_ids(IM_END) in ends


def test_the_mask_of_a_base_model_with_another_end_of_text_ends_with_the_turn(with_end_of_text):
    tokenizer = AutoTokenizer.from_pretrained(with_end_of_text)
    assert loss_mask(SAMPLES[0], tokenizer, settings(with_end_of_text))[-1] == (IM_END, True)


def test_a_base_model_without_the_end_of_turn_is_refused_before_it_is_loaded(tmp_path):
    characters = {chr(code): code for code in range(128)} | {"</s>": 128, "<unk>": 129}
    letters = Tokenizer(models.WordLevel(characters, unk_token="<unk>"))
    letters.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    letters.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters, eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(tmp_path / "base")  # no weights: loading would be another error
    with pytest.raises(TrainingError, match=r"^sft\.base ends a text with </s> and has no token"):
        run(tmp_path / "base", tmp_path / "s1")
