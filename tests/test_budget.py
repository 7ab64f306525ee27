"""The rules of budget forcing, one by one (paper, section 3.1; docs/official_rules.md)."""

import asyncio
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, char_chat, random_traces, script

from s1lib.chat import ChatFormat
from s1lib.grading import extract_answer
from s1lib.keeping.hashes import derive_seed
from s1lib.thinking.budget import Budget, BudgetError, Trace
from s1lib.thinking.show import show_trace
from s1lib.thinking.thinker import Thinker

CHATS = {"one token each": char_chat(), "spelled out": char_chat(spelled=True)}
Q = "How many?"
PLAIN = {
    "": "abc\n<|im_start|>",
    "abc\nWait": ",de\n<|im_end|>",
    "abc\nWait,de\nWait": "f<|im_start|>",
}


@pytest.fixture(params=CHATS)
def chat(request):
    return CHATS[request.param]


def run(engine, chat, budget, **options) -> Trace:
    return asyncio.run(Thinker(engine, chat, **options).force(Q, budget))


def play(chat, thinking, budget, **options) -> tuple[Trace, ScriptedEngine]:
    engine = ScriptedEngine(script(chat, Q, thinking), **options)
    return run(engine, chat, budget), engine


def turn(trace, chat) -> str:
    return "".join(text for text, _ in trace.spans(chat))


def test_the_prompt_ends_in_the_ids_of_think_without_a_newline(chat):
    trace, engine = play(chat, PLAIN, Budget())
    assert engine.requests[0].prompt_ids == trace.prompt_ids == chat.prompt_ids(Q)
    assert chat.decode(trace.prompt_ids).endswith("assistant\n<|im_start|>think")


def test_a_natural_end_gets_the_end_of_thinking_alone(chat):
    trace, _ = play(chat, PLAIN, Budget())
    assert turn(trace, chat) == "abc\n<|im_start|>answer7"
    assert (trace.finish, trace.waits_used, trace.forced_tokens) == ("natural", 0, 0)


@pytest.mark.parametrize("cap", [3, 4])
def test_a_forced_stop_appends_a_newline_only_when_missing(chat, cap):
    trace, _ = play(chat, PLAIN, Budget(max_thinking=cap))  # after "abc" and after "abc\n"
    assert turn(trace, chat) == "abc\n<|im_start|>answer\nFinal Answer:7"
    assert (trace.finish, trace.thinking_tokens) == ("forced", cap)


def test_thinking_that_ends_right_before_the_cap_ends_naturally(chat):
    assert play(chat, PLAIN, Budget(max_thinking=5))[0].finish == "natural"


def test_thinking_that_would_end_right_at_the_cap_is_forced(chat):
    for end in ("<|im_start|>", "<|im_end|>"):  # of unequal lengths when spelled out
        trace, _ = play(chat, {"": f"abc\n{end}"}, Budget(max_thinking=4, waits=1))
        assert (trace.finish, trace.thinking_tokens) == ("forced", 4)


def test_any_delimiter_ends_thinking():
    chat = CHATS["one token each"]
    for end in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        assert turn(play(chat, {"": f"ab{end}"}, Budget())[0], chat) == "ab<|im_start|>answer7"


def test_an_end_of_text_inside_thinking_can_be_waited_through():
    chat = CHATS["one token each"]
    trace, _ = play(chat, {"": "ab<|endoftext|>", "abWait": "c<|endoftext|>"}, Budget(waits=1))
    assert turn(trace, chat) == "abWaitc<|im_start|>answer7"


def test_wait_replaces_the_end_of_thinking_as_often_as_asked(chat):
    for waits, thinking in enumerate(["abc\n", "abc\nWait,de\n", "abc\nWait,de\nWaitf"]):
        trace, _ = play(chat, PLAIN, Budget(waits=waits))
        assert turn(trace, chat) == f"{thinking}<|im_start|>answer7"
        assert (trace.finish, trace.waits_used, trace.forced_tokens) == (
            "natural",
            waits,
            4 * waits,
        )


def test_the_cap_is_cumulative_over_all_waits(chat):
    # "abc\n" + "Wait" + ",de\n" are 12 tokens, which leaves no room for another Wait.
    trace, _ = play(chat, PLAIN, Budget(max_thinking=14, waits=2))
    assert turn(trace, chat) == "abc\nWait,de\n<|im_start|>answer7"
    trace, _ = play(chat, PLAIN, Budget(max_thinking=10, waits=2))
    assert turn(trace, chat) == "abc\nWait,d\n<|im_start|>answer\nFinal Answer:7"
    assert (trace.finish, trace.thinking_tokens, trace.waits_used) == ("forced", 10, 1)


def test_wait_tokens_count_as_thinking(chat):
    trace, _ = play(chat, PLAIN, Budget(max_thinking=9, waits=1))
    assert trace.texts(chat)[0] == "abc\nWait,"
    assert (trace.thinking_tokens, trace.forced_tokens) == (9, 4)


def test_a_wait_that_leaves_no_room_to_think_is_not_appended(chat):
    trace, _ = play(chat, PLAIN, Budget(max_thinking=8, waits=1))
    assert turn(trace, chat) == "abc\n<|im_start|>answer7"
    assert (trace.finish, trace.waits_used) == ("natural", 0)


def test_the_end_of_thinking_is_banned_as_the_first_thing_after_a_wait(chat):
    trace, engine = play(
        chat, {"": "abc\n<|im_start|>", "abc\nWait": "<|im_end|>"}, Budget(waits=1, max_thinking=30)
    )
    assert [request.min_tokens for request in engine.requests] == [0, 1, 0]
    assert not trace.texts(chat)[0].endswith("Wait")


def test_an_empty_wait_string_ignores_the_end_without_a_word():
    chat = CHATS["one token each"]
    trace, _ = play(
        chat,
        {"": "abc\n<|im_start|>", "abc\n": "de<|im_start|>"},
        Budget(max_thinking=30, waits=1, wait=""),
    )
    assert turn(trace, chat) == "abc\nde<|im_start|>answer7"
    assert (trace.waits_used, trace.forced_tokens) == (1, 0)


def test_min_thinking_extends_until_it_is_reached_and_no_further(chat):
    for least, waits in ((0, 0), (4, 0), (5, 1), (12, 1), (13, 2)):
        trace, _ = play(chat, PLAIN, Budget(min_thinking=least))
        assert (trace.waits_used, trace.thinking_tokens >= least) == (waits, True)


def test_waits_and_min_thinking_hold_together(chat):
    assert play(chat, PLAIN, Budget(min_thinking=3, waits=1))[0].waits_used == 1
    assert play(chat, PLAIN, Budget(min_thinking=13, waits=1))[0].waits_used == 2


def test_a_stop_on_the_first_token_gives_empty_thinking(chat):
    trace, _ = play(chat, {"": "<|im_start|>"}, Budget())
    assert turn(trace, chat) == "<|im_start|>answer7"
    assert (trace.thinking_ids, trace.finish) == ([], "natural")


def test_empty_thinking_can_be_waited_through(chat):
    trace, _ = play(chat, {"": "<|im_start|>", "Wait": "a<|im_start|>"}, Budget(waits=1))
    assert turn(trace, chat) == "Waita<|im_start|>answer7"


def test_cap_0_answers_at_once(chat):
    trace, engine = play(chat, PLAIN, Budget(max_thinking=0, waits=3))
    assert turn(trace, chat) == "\n<|im_start|>answer\nFinal Answer:7"
    assert (trace.finish, len(engine.requests)) == ("forced", 1)


def test_a_context_that_ends_before_the_budget_still_leaves_the_answer_its_tokens(chat):
    reserved = len(chat.newline) + len(chat.final_answer) + 20
    window = len(chat.prompt_ids(Q)) + 6 + reserved
    for cap in (None, 50):
        trace, engine = play(
            chat,
            {"": "abcdefgh" * 9},
            Budget(max_thinking=cap, answer_tokens=20),
            max_context=window,
        )
        assert (trace.finish, trace.thinking_tokens) == ("context", 6)
        assert engine.requests[-1].max_tokens == 20
        assert len(engine.requests[-1].prompt_ids) + 20 <= window
    trace, _ = play(
        chat, {"": "abcdefgh" * 9}, Budget(max_thinking=6, answer_tokens=20), max_context=window
    )
    assert trace.finish == "forced"  # the cap was reached as well: it is named


def test_a_prompt_that_leaves_no_room_for_the_answer_is_refused_before_decoding(chat):
    engine = ScriptedEngine(script(chat, Q, PLAIN), max_context=len(chat.prompt_ids(Q)) + 30)
    with pytest.raises(BudgetError, match="do not fit the engine's context"):
        run(engine, chat, Budget(answer_tokens=20))
    assert engine.requests == []


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"max_thinking": -1}, "max_thinking is -1"),
        ({"min_thinking": -1}, "min_thinking is -1"),
        ({"waits": -1}, "waits is -1"),
        ({"answer_tokens": 0}, "answer_tokens is 0"),
        ({"max_thinking": 5, "min_thinking": 6}, r"min_thinking \(6\) is above max_thinking \(5\)"),
        ({"wait": "so<|im_start|>answer"}, r"contains '<\|im_start\|>'"),
        ({"wait": "<|im_end|>"}, r"contains '<\|im_end\|>'"),
        ({"max_thinking": 0, "strict_s1": True}, "at least 1"),
        ({"max_thinking": 160.0}, "max_thinking is 160.0; it must be a whole number"),
        ({"waits": 1.5}, "waits is 1.5; it must be a whole number"),
        ({"answer_tokens": None}, "answer_tokens is None; it must be a whole number"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(bad, message):
    with pytest.raises(BudgetError, match=message):
        Budget(**bad)


def test_a_wait_string_that_the_tokenizer_cannot_write_is_refused_before_decoding(chat):
    engine = ScriptedEngine(script(chat, Q, PLAIN))
    with pytest.raises(BudgetError, match="cannot write the wait string"):
        run(engine, chat, Budget(wait="等等"))
    assert engine.requests == []


def test_a_wait_string_with_a_special_token_is_refused_before_decoding(chat):
    tokenizer = copy.deepcopy(chat.tokenizer)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|im_start|>", "</s>"]})
    chat = ChatFormat(tokenizer)
    engine = ScriptedEngine(script(chat, Q, PLAIN))
    with pytest.raises(BudgetError, match="'so</s>' holds a special token of this tokenizer"):
        run(engine, chat, Budget(wait="so</s>"))
    assert engine.requests == []


def test_prompt_ids_serve_as_the_question(chat):
    engine = ScriptedEngine(script(chat, Q, PLAIN))
    by_ids = asyncio.run(Thinker(engine, chat).force(chat.prompt_ids(Q), Budget(waits=1)))
    assert by_ids == run(engine, chat, Budget(waits=1))


def test_text_is_split_into_thinking_and_answer(chat):
    trace, _ = play(chat, PLAIN, Budget(max_thinking=3))
    thinking, answer = trace.texts(chat)
    assert (thinking, answer, extract_answer(answer)) == ("abc", "Final Answer:7", "7")


def test_shown_traces_mark_what_was_appended_and_escape_the_rest():
    chat = CHATS["one token each"]
    trace, _ = play(chat, {"": "a<b<|im_start|>"}, Budget(waits=1, max_thinking=9))
    html = show_trace(trace, chat).data
    assert "a&lt;b<mark" in html and ">Wait</mark>" in html and "<b<" not in html


def test_each_request_of_a_sample_has_a_seed_of_its_own():
    chat = CHATS["one token each"]
    engine = ScriptedEngine(script(chat, Q, PLAIN))
    run(engine, chat, Budget(waits=2), temperature=0.7, seed=5)
    seeds = [request.seed for request in engine.requests]
    assert len(set(seeds)) == 4 and all(request.temperature == 0.7 for request in engine.requests)
    assert derive_seed(5, "think", 0) == seeds[0] and derive_seed(None, "think", 0) is None


budgets = st.builds(
    lambda cap, least, waits, wait, answer: Budget(
        cap, least if cap is None else min(least, cap), waits, wait, answer
    ),
    st.none() | st.integers(0, 40),
    st.integers(0, 30),
    st.integers(0, 4),
    st.sampled_from(["Wait", "W", "", "\n"]),
    st.integers(1, 12),
)


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(sorted(CHATS)),
    key=st.integers(0, 10**6),
    budget=budgets,
    room=st.integers(0, 60),
)
def test_every_trace_obeys_every_rule(kind, key, budget, room):
    chat = CHATS[kind]
    reserved = len(chat.newline) + len(chat.final_answer) + budget.answer_tokens
    window = len(chat.prompt_ids(Q)) + room + reserved
    engine = ScriptedEngine(random_traces(chat, key), max_context=window)
    trace = run(engine, chat, budget)
    cap = room if budget.max_thinking is None else min(room, budget.max_thinking)
    *thinking, last = engine.requests

    # one cumulative cap, whatever is forced; a minimum unless something ended thinking from outside
    assert trace.thinking_tokens <= cap
    wait = chat.encode(budget.wait)
    short = trace.waits_used < budget.waits or trace.thinking_tokens < budget.min_thinking
    assert not (trace.finish == "natural" and short) or trace.thinking_tokens + len(wait) >= cap
    assert trace.finish == "natural" or trace.thinking_tokens == cap
    assert trace.finish != "context" or cap != budget.max_thinking
    assert trace.waits_used <= budget.waits or budget.min_thinking > 0

    # ids are fed back as they were sampled; the mask marks exactly what was not
    ids, mask = [], []
    for number, request in enumerate(thinking):
        assert request.prompt_ids == trace.prompt_ids + ids
        kept = request.completion.ids[: cap - len(ids)]
        follows = wait if number + 1 < len(thinking) else []
        ids, mask = ids + kept + follows, mask + [False] * len(kept) + [True] * len(follows)
    assert (trace.thinking_ids, trace.forced) == (ids, mask)
    assert trace.forced_tokens == trace.waits_used * len(wait)
    assert trace.decoded_tokens == engine.decoded_tokens

    # no delimiter inside thinking, and none at once after a Wait
    assert not any(
        tuple(ids[i : i + len(stop)]) == stop
        for stop in chat.thinking_stops
        for i in range(len(ids))
    )
    assert all(request.completion.ids for request in thinking[1:])

    # always closed as its end demands, always answered within the tokens kept for it
    newline = [] if chat.ends_with_newline(ids) else list(chat.newline)
    assert trace.closing_ids == (
        list(chat.answer_start) if trace.finish == "natural" else [*newline, *chat.final_answer]
    )
    assert last.prompt_ids == trace.prompt_ids + trace.thinking_ids + trace.closing_ids
    assert (
        last.max_tokens == budget.answer_tokens and len(last.prompt_ids) + last.max_tokens <= window
    )
    assert trace.answer_ids == last.completion.ids


class TestTheOfficialRules:
    """strict_s1: what the official evaluation does, right or not."""

    chat = CHATS["one token each"]

    def play(self, thinking, **budget):
        return play(self.chat, thinking, Budget(strict_s1=True, **budget))

    def test_an_answer_ends_at_the_end_of_the_turn_and_not_at_a_new_segment(self):
        answer = "a<|im_start|>b<|im_end|>"
        for strict, ids in ((False, "a"), (True, "a<|im_start|>b")):
            policy = script(self.chat, Q, PLAIN, answer=answer)
            trace = run(ScriptedEngine(policy), self.chat, Budget(max_thinking=9, strict_s1=strict))
            assert self.chat.decode(trace.answer_ids) == ids

    def test_without_waits_it_is_the_same_method(self):
        for cap in range(1, 8):
            assert (
                self.play(PLAIN, max_thinking=cap)[0]
                == play(self.chat, PLAIN, Budget(max_thinking=cap))[0]
            )

    def test_the_cap_applies_to_each_continuation_and_their_sum_is_cut_afterwards(self):
        trace, engine = self.play(PLAIN, max_thinking=9, waits=2)
        assert [request.max_tokens for request in engine.requests[:-1]] == [9, 9, 9]
        assert self.chat.decode(trace.thinking_ids) == "abc\nWait,"
        assert trace.forced == [False] * 4 + [True] * 4 + [False]

    def test_a_natural_end_stays_natural_though_the_ids_were_cut(self):
        trace, _ = self.play(PLAIN, max_thinking=9, waits=1)
        assert (trace.finish, trace.closing_ids) == ("natural", list(self.chat.answer_start))

    def test_the_newline_rule_looks_at_the_text_before_the_cut(self):
        trace, _ = self.play(
            {"": "abc\n<|im_start|>", "abc\nWait": "efgh\n<|im_end|>"}, max_thinking=5, waits=1
        )
        assert self.chat.decode(trace.thinking_ids) == "abc\nW"
        assert trace.closing_ids == list(self.chat.final_answer)

    def test_a_continuation_that_reaches_the_cap_is_the_last(self):
        trace, engine = self.play({"": "abcdefgh<|im_start|>"}, max_thinking=5, waits=3)
        assert (trace.finish, trace.waits_used, len(engine.requests)) == ("forced", 0, 2)

    def test_with_waits_the_delimiter_is_banned_as_the_first_token_of_every_generation(self):
        _, engine = self.play(PLAIN, max_thinking=30, waits=1, min_thinking=7)
        assert [request.min_tokens for request in engine.requests] == [1, 1, 0]

    def test_a_minimum_of_tokens_bans_the_delimiter_so_long(self):
        trace, engine = self.play(PLAIN, max_thinking=30, min_thinking=7)
        assert [request.min_tokens for request in engine.requests] == [7, 0]
        assert trace.thinking_tokens >= 7

    def test_the_answer_has_its_tokens_even_when_continuations_fill_the_context(self):
        window = len(self.chat.prompt_ids(Q)) + 45
        for key in range(60):
            engine = ScriptedEngine(random_traces(self.chat, key), max_context=window)
            trace = run(engine, self.chat, Budget(waits=9, answer_tokens=10, strict_s1=True))
            last = engine.requests[-1]
            assert (
                len(last.prompt_ids) + last.max_tokens <= window
                and trace.answer_ids == last.completion.ids
            )
