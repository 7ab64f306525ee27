"""Rejection sampling: a trace that fits by itself, or a clear outcome that none did."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, char_chat, random_traces, script

from s1lib.thinking.budget import Budget, BudgetError
from s1lib.thinking.rejection import first_within, rejection_sample
from s1lib.thinking.thinker import Thinker
from s1lib.thinking.voting import sample_traces

CHAT = char_chat()
Q = "How many?"


def reject(engine, cap, **options):
    thinker = Thinker(engine, CHAT, temperature=options.pop("temperature", 1.0), seed=0)
    limits = {"tries": 4, "answer_tokens": 6, **options}
    return asyncio.run(rejection_sample(thinker, Q, cap, **limits))


def test_a_trace_that_ends_right_at_the_cap_is_accepted():
    outcome = reject(ScriptedEngine(script(CHAT, Q, {"": "abc<|im_start|>"})), 3)
    assert (outcome.trace.finish, outcome.trace.thinking_tokens, outcome.tries) == ("natural", 3, 1)


def test_when_nothing_fits_the_outcome_is_rejected_and_all_tries_are_counted():
    engine = ScriptedEngine(script(CHAT, Q, {"": "abc<|im_start|>"}))
    outcome = reject(engine, 2)
    assert (outcome.rejected, outcome.trace, outcome.tries) == (True, None, 4)
    # Each try is given up one token after the cap, and never answered.
    assert outcome.thinking_tokens == outcome.decoded_tokens == engine.decoded_tokens == 4 * 3


def test_an_accepted_trace_is_forced_nowhere():
    trace = reject(ScriptedEngine(random_traces(CHAT, 2)), 12).trace
    assert trace.forced_tokens == 0 and trace.closing_ids == list(CHAT.answer_start)


@settings(max_examples=40, deadline=None)
@given(
    key=st.integers(0, 10**6),
    caps=st.lists(st.integers(0, 15), min_size=1, max_size=4),
    room=st.integers(0, 25),
)
def test_one_set_of_samples_serves_all_caps(key, caps, room):
    window = len(CHAT.prompt_ids(Q)) + room + len(CHAT.newline) + len(CHAT.final_answer) + 6
    engine = ScriptedEngine(random_traces(CHAT, key), max_context=window)
    traces = asyncio.run(
        sample_traces(Thinker(engine, CHAT, 1.0, 0), Q, 4, Budget(answer_tokens=6))
    )
    outcomes = first_within(caps, traces)
    for cap in caps:
        alone = ScriptedEngine(random_traces(CHAT, key), max_context=window)
        assert outcomes[cap] == reject(alone, cap)
        assert outcomes[cap].decoded_tokens == alone.decoded_tokens
        start = CHAT.prompt_ids(Q)
        thinking = [asked.completion.ids for asked in alone.requests if asked.prompt_ids == start]
        assert outcomes[cap].thinking_tokens == sum(map(len, thinking))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"temperature": 0.0}, "above 0"), ({"tries": 0}, "tries 0"), ({"cap": -1}, "cap is -1")],
)
def test_settings_that_could_never_end_are_refused(options, message):
    engine = ScriptedEngine(script(CHAT, Q, {}))
    with pytest.raises(BudgetError, match=message):
        reject(engine, options.pop("cap", 5), **options)
    assert engine.requests == []
