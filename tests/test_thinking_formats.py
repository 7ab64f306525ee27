"""Every thinking format: how it is told, what a prompt looks like, and budget forcing by its rules.

The chat templates are those that trl ships, on tokenizers of one token per character and on Qwen's
vocabulary.
"""

import asyncio
import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import (
    TAGS,
    TEMPLATES,
    ScriptedEngine,
    char_chat,
    char_tokenizer,
    random_traces,
    script,
    thinking_chats,
)
from transformers import Qwen2Config, Qwen2ForCausalLM

from s1lib.assistants.local_model import LocalModel
from s1lib.chat import IM_END, IM_START, S1, ChatFormat, ChatFormatError, format_of
from s1lib.chat.template import render
from s1lib.chat.thinking_format import FORMATS, PLAIN, THINK_TAGS, ThinkingFormat
from s1lib.command.cli import main
from s1lib.evaluation.benchmarks import Problem
from s1lib.evaluation.evaluated_model import EvaluatedModel
from s1lib.evaluation.methods import Direct
from s1lib.evaluation.run import shard_key
from s1lib.gpu_check.qwen_vocabulary import RANKS, qwen_tokenizer
from s1lib.profile import EngineSettings, ProfileError, load_profile
from s1lib.thinking.budget import Budget, BudgetError
from s1lib.thinking.conditional import step_conditional
from s1lib.thinking.rejection import rejection_sample
from s1lib.thinking.sweep import sweep
from s1lib.thinking.thinker import Thinker

CHATS = thinking_chats()
Q = "How many?"
real_qwen = pytest.mark.skipif(not RANKS.exists(), reason="shared/data/qwen.tiktoken is not here")


@pytest.fixture(params=CHATS)
def chat(request) -> ChatFormat:
    return CHATS[request.param]


def templated(file: str, special: tuple[str, ...] = (IM_START, IM_END)):
    """A tokenizer with a template of trl's."""
    tokenizer = char_tokenizer(list(special))
    tokenizer.chat_template = (TEMPLATES / f"{file}.jinja").read_text()
    return tokenizer


def end_of(chat: ChatFormat) -> str:
    """What a model writes where it wants to end its thinking."""
    return chat.decode(list(chat.thinking_stops[0]))


def play(chat: ChatFormat, budget: Budget, *pieces: str, answer: str = "7"):
    """The trace of a model that wants to end its thinking after each of `pieces`."""
    lines, before = {}, ""
    for piece in pieces:
        lines[before] = piece + end_of(chat)
        before += piece + budget.wait
    engine = ScriptedEngine(script(chat, Q, lines, answer=answer))
    return asyncio.run(Thinker(engine, chat).force(Q, budget)), engine


def turn(trace, chat: ChatFormat) -> str:
    return "".join(text for text, _ in trace.spans(chat))


# ---- how a format is told ------------------------------------------------------------------------


TELLING = ["deepseek_r1_distill", "deepseekv3", "glm4moe", "lfm2_2_5_v2", "nemotron_3_nano"]
TELLING += ["qwen3", "qwen3_5_think", "qwen3_5_nothink", "qwen3_6"]


@pytest.mark.parametrize("file", TELLING)
def test_a_template_that_names_think_tags_tells_them(file):
    assert format_of(templated(file)) == THINK_TAGS


@pytest.mark.parametrize("file", ["qwen2_5", "qwen3_instruct_2507", "lfm2"])
def test_a_template_that_is_silent_leaves_s1s_tokens_to_tell_it(file):
    assert format_of(templated(file)) == S1


@pytest.mark.parametrize("file", ["llama3_1", "gemma3", "phi3", "gptoss"])
def test_what_neither_template_nor_vocabulary_tells_is_refused_until_it_is_stated(file):
    tokenizer = templated(file, special=())
    with pytest.raises(ChatFormatError, match=r"state it as .*, one of s1, think, plain") as error:
        format_of(tokenizer)
    assert "\n" not in str(error.value)
    assert [format_of(tokenizer, name) for name in FORMATS] == list(FORMATS.values())


@pytest.mark.parametrize("file", ["deepseek_r1_distill", "qwen3_5_think"])
def test_a_template_that_opens_think_tags_fits_no_other_format(file):
    tokenizer = templated(file, ("<｜end▁of▁sentence｜>", IM_START, IM_END))
    for stated in (S1, PLAIN):
        with pytest.raises(ChatFormatError, match="opens the thinking itself, with '<think>'"):
            ChatFormat(tokenizer, stated)


def test_a_template_that_opens_the_thinking_in_an_unknown_way_is_refused():
    tokenizer = copy.deepcopy(char_chat().tokenizer)
    tokenizer.chat_template += "[THINK]"
    for stated in FORMATS.values():
        with pytest.raises(ChatFormatError, match=r"opens the thinking itself, with '\[THINK\]'"):
            ChatFormat(tokenizer, stated)


def test_a_template_that_ends_the_thinking_before_it_begins_is_refused():
    tokenizer = copy.deepcopy(char_chat().tokenizer)
    tokenizer.chat_template += "<think></think>"
    with pytest.raises(ChatFormatError, match="ends the thinking before it begins"):
        ChatFormat(tokenizer, THINK_TAGS)


def test_a_template_that_fails_is_one_line():
    tokenizer = copy.deepcopy(char_chat().tokenizer)
    tokenizer.chat_template = "{{ raise_exception('no such role') }}"
    with pytest.raises(ChatFormatError, match=r"chat template cannot be applied \(no such role\)"):
        ChatFormat(tokenizer)


def test_a_turn_without_an_end_is_refused():
    tokenizer = char_tokenizer([])
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(ChatFormatError, match="says what ends a turn"):
        ChatFormat(tokenizer, PLAIN)


@pytest.mark.parametrize(
    ("file", "end"), [("gemma3", "<end_of_turn>"), ("llama3_1", "<|eot_id|>"), ("phi3", "<|end|>")]
)
def test_a_turn_ends_with_what_the_template_writes_after_an_answer(file, end):
    chat = ChatFormat(templated(file, (end,)), PLAIN)
    assert chat.turn_ends == [(chat.tokenizer.convert_tokens_to_ids(end),)]


@pytest.mark.parametrize(
    ("answers", "forced"),
    [("</t>", "Final Answer:"), ("Answer:", "Answer:\nFinal Answer:"), ("</t>", "so </t>")],
)
def test_a_format_whose_forced_stop_ends_no_thinking_is_refused(answers, forced):
    with pytest.raises(ChatFormatError, match="must begin with its answers"):
        ThinkingFormat("mine", opens="<t>", closes="</t>", answers=answers, forced=forced)
    assert ThinkingFormat("mine", answers="</t>", forced="</t>\nFinal Answer:")


def test_a_format_that_is_not_known_is_one_line():
    with pytest.raises(ChatFormatError, match="no thinking format 'banana': state one of auto, s1"):
        format_of(None, "banana")


def test_a_model_trained_here_thinks_as_s1_and_any_other_as_the_profile_says():
    profile = load_profile("smoke")
    stated = replace(profile, evaluation=replace(profile.evaluation, thinking_format="plain"))
    assert [profile.thinking_format(name) for name in ("s1", "base")] == ["s1", "auto"]
    assert [stated.thinking_format(name) for name in ("s1", "base")] == ["s1", "plain"]


def test_a_format_that_is_not_known_is_one_line_in_a_profile(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: smoke\nevaluation: {thinking_format: tags}\n")
    with pytest.raises(ProfileError, match=r"evaluation\.thinking_format.*plain") as error:
        load_profile(str(path))
    assert "\n" not in str(error.value)


def test_traces_of_one_format_are_never_taken_for_those_of_another():
    problems, keys = [Problem("p", Q, "7", "math")], set()
    for stated in (S1, PLAIN):  # which ask for a direct answer with the same ids
        model = EvaluatedModel("base", "nowhere", EngineSettings())
        model.__dict__.update(chat=ChatFormat(char_chat().tokenizer, stated), weights="w0")
        keys.add(shard_key(model, Direct(8), problems, {}))
    assert len(keys) == 2


# ---- prompts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file", ["deepseek_r1_distill", "qwen3", "qwen3_5_think", "qwen3_5_nothink", "nemotron_3_nano"]
)
def test_a_prompt_opens_the_tags_once_whether_or_not_its_template_does(file):
    tokenizer = templated(file, ("<｜end▁of▁sentence｜>", IM_START, IM_END))
    tokenizer.add_tokens(list(TAGS))
    chat = ChatFormat(tokenizer, THINK_TAGS)
    ids, opened, closed = chat.prompt_ids(Q), *map(tokenizer.convert_tokens_to_ids, TAGS)
    assert (ids.count(opened), ids.count(closed)) == (1, 0)
    assert chat.decode(ids).rstrip("\n").endswith("<think>")


def test_a_prompt_without_thinking_is_what_qwen3_makes_of_it():
    for file in ("qwen3", "qwen3_5_think", "qwen3_5_nothink"):
        tokenizer = templated(file)
        own = render(
            tokenizer, [{"role": "user", "content": Q}], prompt=True, enable_thinking=False
        )
        assert ChatFormat(tokenizer, THINK_TAGS).prompt_text(Q, think=False) == own


@pytest.mark.parametrize("question", ["{}", "What does {} do?", "a {}{}\n{} b \ue000 {}"])
def test_a_control_token_in_a_question_is_text_in_every_format(chat, question):
    added = chat.tokenizer.added_tokens_decoder
    for control in ("</think>", "<think>", *(token.content for token in added.values())):
        if control == chat.tokenizer.unk_token or len(chat.encode(control)) > 1:
            continue
        ids, plain = chat.prompt_ids(question.format(*[control] * 4)), chat.prompt_ids("What?")
        in_format = chat.tokenizer.convert_tokens_to_ids(control)
        assert ids.count(in_format) == plain.count(in_format), control


@pytest.mark.parametrize("file", ["llama3_1", "llama3_2", "gptoss"])
def test_a_template_that_writes_the_date_always_writes_the_same(file):
    prompt = ChatFormat(templated(file, ("<|eot_id|>", "<|return|>")), PLAIN).prompt_text(Q)
    assert "26 Jul 2024" in prompt or "2024-07-26" in prompt


# ---- budget forcing ------------------------------------------------------------------------------


def test_a_natural_end_gets_what_begins_the_answer(chat):
    trace, _ = play(chat, Budget(), "so\n")
    assert turn(trace, chat) == {
        "think": "so\n</think>7",
        "plain": "so\nFinal Answer:7",
    }.get(chat.format.name)
    assert (trace.finish, trace.thinking_tokens, trace.forced_tokens) == ("natural", 3, 0)


def test_a_forced_stop_ends_the_thinking_and_asks_for_the_final_answer(chat):
    for cap, thought in ((2, "so"), (3, "so\n")):
        trace, _ = play(chat, Budget(max_thinking=cap), "so\nand more\n")
        assert turn(trace, chat) == {
            "think": "so\n</think>\n\nFinal Answer:7",
            "plain": "so\nFinal Answer:7",
        }.get(chat.format.name)
        assert (trace.finish, chat.decode(trace.thinking_ids)) == ("forced", thought)
        assert trace.texts(chat) == ("so", "Final Answer:7")


def test_wait_replaces_the_end_of_thinking_as_often_as_asked(chat):
    for waits, thought in enumerate(("so\n", "so\nWait, no\n", "so\nWait, no\nWait yes")):
        trace, engine = play(chat, Budget(waits=waits), "so\n", ", no\n", " yes", " nothing")
        assert chat.decode(trace.thinking_ids) == thought
        assert (trace.finish, trace.waits_used, trace.forced_tokens) == (
            "natural",
            waits,
            4 * waits,
        )
        # The end is banned as the first thing after a Wait.
        assert [asked.min_tokens for asked in engine.requests] == [0, *[1] * waits, 0]


def test_minimum_and_maximum_hold_together(chat):
    for least, cap, tokens in ((0, 30, 3), (4, 30, 12), (12, 30, 12), (13, 30, 20), (13, 18, 18)):
        budget = Budget(min_thinking=least, max_thinking=cap)
        trace, _ = play(chat, budget, "so\n", ", no\n", " yes", " nothing" * 9)
        assert trace.thinking_tokens == tokens


def test_an_end_of_the_turn_ends_the_thinking_too(chat):
    end = chat.decode(list(chat.turn_ends[0]))
    for waits, thought in ((0, "so"), (1, "soWait.")):
        engine = ScriptedEngine(script(chat, Q, {"": "so" + end, "soWait": "." + end}))
        trace = asyncio.run(Thinker(engine, chat).force(Q, Budget(waits=waits, max_thinking=40)))
        assert (chat.decode(trace.thinking_ids), trace.finish) == (thought, "natural")


def test_an_answer_ends_where_its_turn_or_its_segment_does(chat):
    trace, _ = play(chat, Budget(max_thinking=2), "so\n", answer=f" 7{end_of(chat)}no")
    assert trace.texts(chat) == ("so", "Final Answer: 7")


def test_what_follows_the_closing_tag_never_counts_as_thinking():
    chat = CHATS["tags, opened by the template"]
    engine = ScriptedEngine(script(chat, Q, {"": "1 2 3\n</think>\n\nSo 7<｜end▁of▁sentence｜>"}))
    trace = asyncio.run(Thinker(engine, chat).force(Q, Budget()))
    assert chat.decode(trace.prompt_ids).endswith("<｜Assistant｜><think>\n")
    assert (trace.thinking_tokens, trace.texts(chat)) == (6, ("1 2 3", "7"))


def test_a_wait_string_that_would_end_the_thinking_is_refused_before_decoding(chat):
    engine = ScriptedEngine(script(chat, Q, {}))
    with pytest.raises(BudgetError, match=r"the wait string 'so<.*leave it out"):
        asyncio.run(Thinker(engine, chat).force(Q, Budget(wait=f"so{end_of(chat)}")))
    assert not engine.requests


def test_steps_are_counted_in_s1s_format_alone(chat):
    engine = ScriptedEngine(script(chat, Q, {}))
    with pytest.raises(BudgetError, match="steps are counted in s1's format alone"):
        asyncio.run(step_conditional(Thinker(engine, chat), Q, 4, Budget()))
    assert not engine.requests


BUDGETS = st.builds(
    lambda cap, least, waits, answer: Budget(cap, min(least, cap), waits, answer_tokens=answer),
    st.integers(0, 40),
    st.integers(0, 30),
    st.integers(0, 3),
    st.integers(1, 8),
)


@settings(max_examples=60)
@given(kind=st.sampled_from(sorted(CHATS)), key=st.integers(0, 10**6), budget=BUDGETS)
def test_every_trace_of_every_format_keeps_its_budget(kind, key, budget):
    chat = CHATS[kind]
    engine = ScriptedEngine(random_traces(chat, key))
    trace = asyncio.run(Thinker(engine, chat).force(Q, budget))
    assert trace.thinking_tokens <= budget.max_thinking
    assert trace.finish == "natural" or trace.thinking_tokens == budget.max_thinking
    assert trace.forced_tokens == 4 * trace.waits_used

    # No end inside the thinking, and an answer that is asked for in ids as they were sampled.
    thought, rest = chat.decode(trace.thinking_ids), chat.decode(trace.closing_ids)
    assert not any(chat.decode(list(stop)) in thought for stop in chat.thinking_stops)
    asked = engine.requests[-1]
    assert asked.prompt_ids == [*trace.prompt_ids, *trace.thinking_ids, *trace.closing_ids]
    assert asked.max_tokens == budget.answer_tokens

    # An answer is read after its delimiter, and one without a delimiter after "Final Answer:".
    thinking, answer = trace.texts(chat)
    assert thinking == thought.strip("\n")
    forced = trace.finish == "forced" or not chat.format.closes
    assert answer.startswith("Final Answer:") is forced is rest.endswith("Final Answer:")


@settings(max_examples=30)
@given(
    kind=st.sampled_from(sorted(CHATS)),
    key=st.integers(0, 10**6),
    points=st.lists(BUDGETS, min_size=1, max_size=4, unique=True),
)
def test_a_sweep_equals_separate_runs_in_every_format(kind, key, points):
    chat = CHATS[kind]
    traces = asyncio.run(sweep(Thinker(ScriptedEngine(random_traces(chat, key)), chat), Q, points))
    for point in points:
        alone = Thinker(ScriptedEngine(random_traces(chat, key)), chat).force(Q, point)
        own = replace(asyncio.run(alone), decoded_tokens=0)
        assert replace(traces[point], decoded_tokens=0) == own


def test_rejection_waits_for_a_natural_end_in_every_format(chat):
    thinker = Thinker(ScriptedEngine(random_traces(chat, 3)), chat, temperature=1.0, seed=0)
    outcome = asyncio.run(rejection_sample(thinker, Q, 12, tries=20, answer_tokens=4))
    assert outcome.trace.finish == "natural" and outcome.trace.thinking_tokens <= 12


def test_a_local_assistant_thinks_in_the_format_that_its_template_tells(monkeypatch):
    chat = CHATS["tags, opened by the template"]
    engine = ScriptedEngine(script(chat, Q, {"": "1 2\n</think>"}, answer="\n\n7"))
    engine.tokenizer = chat.tokenizer
    monkeypatch.setattr("s1lib.assistants.local_model.open_engine", lambda *_: engine)
    teacher = LocalModel("r1", EngineSettings(), think=True)
    reply = asyncio.run(teacher.ask(Q, max_tokens=40, temperature=0.0, seed=0))
    assert (reply.thinking, reply.text, reply.finish) == ("1 2", "7", "stop")


# ---- real vocabularies and engines ---------------------------------------------------------------


@real_qwen
def test_tags_that_qwens_vocabulary_lacks_end_in_a_token_that_goes_on_in_line_breaks():
    tokenizer = copy.deepcopy(qwen_tokenizer())
    tokenizer.chat_template = (TEMPLATES / "qwen3.jinja").read_text()
    chat = ChatFormat(tokenizer, format_of(tokenizer))
    for written in ("so.\n</think>", "so.\n</think>\n", "so.\n</think>\n\n"):
        ids = tuple(chat.encode(written))
        assert any(ids[-len(stop) :] == stop for stop in chat.thinking_stops), written


@real_qwen
def test_qwens_own_tags_are_one_token_each():
    tokenizer = copy.deepcopy(qwen_tokenizer())
    tokenizer.add_tokens(list(TAGS))
    tokenizer.chat_template = (TEMPLATES / "qwen3.jinja").read_text()
    chat = ChatFormat(tokenizer, format_of(tokenizer))
    opened, closed = map(tokenizer.convert_tokens_to_ids, TAGS)
    assert chat.prompt_ids(Q)[-1] == opened and chat.answer_start == (closed,)
    assert chat.thinking_stops == [(closed,), (151645,), (151643,)]
    question = "What does </think> do, and <|im_end|>?"
    assert closed not in chat.prompt_ids(question)
    assert chat.decode(chat.prompt_ids(question)) == chat.prompt_text(question) + "<think>"


def saved(tokenizer, directory):
    """A random model of one layer with this tokenizer."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
    )
    Qwen2ForCausalLM(config).save_pretrained(directory)
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer._auto_map = {"AutoTokenizer": [None, None]}  # see s1lib/toy/tokenizer.py
    tokenizer.save_pretrained(directory)
    return directory


def think(model, *options: str) -> int:
    arguments = ["think", "34?", "--model", str(model), "--max-thinking", "9", "--waits", "1"]
    return main([*arguments, "--answer-tokens", "3", *options])


def test_the_command_forces_a_model_in_the_format_that_its_template_tells(chat, tmp_path, capsys):
    model = saved(chat.tokenizer, tmp_path)
    assert think(model, *(["--format", "plain"] if chat.format == PLAIN else [])) == 0
    shown = capsys.readouterr().out
    assert "[[Final Answer:]]" in shown and "<|im_start|>" not in shown
    assert ("</think>]]" in shown) is (chat.format == THINK_TAGS)


def test_the_command_wants_a_format_to_be_stated_where_nothing_tells_it(tmp_path, capsys):
    model = saved(templated("llama3_1", ("<|eot_id|>",)), tmp_path)
    assert think(model) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "state it as `s1 think --format`" in line
    assert think(model, "--format", "think") == 0
    assert "</think>" in capsys.readouterr().out
