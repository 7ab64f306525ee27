"""Conditional length control: what is trained and asked, and where budget forcing holds it."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import sample
from scripted import ScriptedEngine, char_chat, random_traces, script

from s1lib.chat import length_control
from s1lib.evaluation.benchmarks import Problem
from s1lib.evaluation.methods import ClassConditional, StepConditional, TokenConditional
from s1lib.sft.dataset import SFTDataError
from s1lib.sft.training_sets import conditional_set
from s1lib.thinking.budget import Budget, BudgetError
from s1lib.thinking.conditional import (
    StepChat,
    class_conditional,
    step_conditional,
    token_conditional,
)
from s1lib.thinking.thinker import Thinker

CHAT = char_chat()
BUDGET = Budget(max_thinking=200, answer_tokens=8)
STEPS = (
    "\n<|im_start|>4 steps left\nab\n<|im_start|>3 steps left\ncd"
    "\n<|im_start|>2 steps left\nef\n<|im_start|>answer"
)


def go(method, policy, *arguments):
    engine = ScriptedEngine(policy)
    return asyncio.run(method(Thinker(engine, CHAT), "Q", *arguments)), engine


def thinking(trace) -> str:
    return CHAT.decode(trace.thinking_ids)


# ---- training data -------------------------------------------------------------------------------


@given(st.integers(1, 10**6))
def test_a_limit_is_the_smallest_power_of_two_that_holds(number):
    limit = length_control.power_of_two(number)
    assert limit >= number and limit < 2 * number and limit & (limit - 1) == 0


def test_steps_are_split_on_blank_lines_and_counted_down_from_a_power_of_two():
    limit, trace = length_control.count_down("one\n\ntwo\nlines\n\n\n\nthree", separator="\n\n")
    assert limit == 4
    assert (
        trace == "<|im_start|>4 steps left\none\n<|im_start|>3 steps left\ntwo\nlines\n"
        "<|im_start|>2 steps left\nthree"
    )


@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=9))
def test_every_sample_keeps_the_limit_that_its_prompt_states(lengths):
    samples = [sample(str(i), question="Q", trace="x" * length) for i, length in enumerate(lengths)]
    for length, row in zip(
        lengths, conditional_set("token", samples, CHAT, separator="\n"), strict=True
    ):
        limit = int(row.question.split("up to ")[1].split(" tokens")[0])
        assert (
            row.question.startswith("Q\n")
            and length <= limit < 2 * length
            and row.trace == "x" * length
        )


def test_the_shortest_third_is_asked_to_be_short_and_the_longest_to_be_long():
    samples = [sample(str(i), question="Q", trace="x" * (9 - i)) for i in range(9)]
    asked = [row.question for row in conditional_set("class", samples, CHAT, separator="\n")]
    assert (
        asked == ["Q\nThink for a long time."] * 3 + ["Q"] * 3 + ["Q\nThink for a short time."] * 3
    )


def test_an_unknown_kind_is_refused():
    with pytest.raises(SFTDataError, match="'tokens'; write token, step, class"):
        conditional_set("tokens", [], CHAT, separator="\n")


# ---- decoding ------------------------------------------------------------------------------------


def test_a_token_limit_is_said_and_only_budget_forcing_keeps_it():
    prompt = length_control.token_limit("Q", 4)
    (free, forced), _ = go(
        token_conditional, script(CHAT, prompt, {"": "abcdefgh<|im_start|>"}), 4, BUDGET
    )
    assert (thinking(free), free.finish) == ("abcdefgh", "natural")
    assert (thinking(forced), forced.finish) == ("abcd", "forced")
    assert CHAT.decode(free.prompt_ids).endswith(
        "Q\nThink for up to 4 tokens.<|im_end|>\n<|im_start|>assistant\n<|im_start|>think"
    )


@pytest.mark.parametrize("limit", [4, 500])
def test_every_token_is_counted_once_also_where_the_limit_is_no_tighter_than_the_budget(limit):
    prompt = length_control.token_limit("Q", limit)
    traces, engine = go(
        token_conditional, script(CHAT, prompt, {"": "abcdefgh<|im_start|>"}), limit, BUDGET
    )
    assert sum(trace.decoded_tokens for trace in traces) == engine.decoded_tokens


def test_a_new_step_ends_no_thinking_and_the_limit_is_forced_where_the_next_begins():
    policy = script(CHAT, length_control.step_limit("Q", 2), {"": STEPS})
    (free, forced), engine = go(step_conditional, policy, 2, BUDGET)
    assert thinking(free) + "<|im_start|>answer" == STEPS and free.finish == "natural"
    assert thinking(forced).endswith("cd\n") and forced.finish == "forced"
    # No newline in front, because the text ends with one already.
    assert CHAT.decode(forced.closing_ids) == "<|im_start|>answer\nFinal Answer:"
    counting = StepChat(CHAT.tokenizer)
    assert [counting.steps(trace.thinking_ids) for trace in (free, forced)] == [3, 2]
    assert free.decoded_tokens + forced.decoded_tokens == engine.decoded_tokens


def test_a_trace_within_its_steps_is_the_same_with_and_without_forcing():
    (free, forced), engine = go(
        step_conditional, script(CHAT, length_control.step_limit("Q", 4), {"": STEPS}), 4, BUDGET
    )
    assert (
        forced == replace(free, decoded_tokens=0) and free.decoded_tokens == engine.decoded_tokens
    )


@given(key=st.integers(0, 10**6), limit=st.integers(0, 30))
def test_what_is_forced_is_what_budget_forcing_alone_would_give(key, limit):
    (_, forced), _ = go(token_conditional, random_traces(CHAT, key), limit, BUDGET)
    thinker = Thinker(ScriptedEngine(random_traces(CHAT, key)), CHAT)
    prompt = length_control.token_limit("Q", limit)
    alone = thinker.force(prompt, replace(BUDGET, max_thinking=limit))
    assert replace(forced, decoded_tokens=0) == replace(asyncio.run(alone), decoded_tokens=0)


def test_no_steps_at_all_are_refused():
    with pytest.raises(BudgetError, match="0 steps"):
        go(step_conditional, script(CHAT, "Q", {}), 0, BUDGET)


def test_a_class_is_a_sentence_in_the_prompt():
    for length, sentence in length_control.CLASSES.items():
        trace, _ = go(
            class_conditional, script(CHAT, "Q" + sentence, {"": "ab<|im_start|>"}), length, BUDGET
        )
        assert thinking(trace) == "ab" and f"Q{sentence}<|im_end|>" in CHAT.decode(trace.prompt_ids)


# ---- records -------------------------------------------------------------------------------------


def records(method, policy) -> dict:
    problem = Problem("p", "Q", "7", "math")
    rows = asyncio.run(method(Thinker(ScriptedEngine(policy), CHAT), problem, seed=0))
    return {row["method"]: row for row in rows}


def test_the_countdown_is_not_counted_as_thinking():
    found = records(
        StepConditional((2,), BUDGET), script(CHAT, length_control.step_limit("Q", 2), {"": STEPS})
    )
    free, forced = found["step_conditional"], found["step_conditional_forced"]
    assert (free["parameters"], free["steps_used"], forced["steps_used"]) == ({"steps": 2}, 3, 2)
    assert free["thinking_tokens"] == len("\n\nab\n\ncd\n\nef\n") and forced[
        "thinking_tokens"
    ] == len("\n\nab\n\ncd\n")


def test_each_conditional_record_says_what_was_asked():
    assert records(TokenConditional((5,), BUDGET), random_traces(CHAT, 1))[
        "token_conditional_forced"
    ]["parameters"] == {"max_thinking": 5}
    assert records(ClassConditional(BUDGET), random_traces(CHAT, 1))["class_conditional"][
        "parameters"
    ] == {"length": "long"}
