"""One pass over budgets and Waits gives what separate runs give, for a fraction of the tokens."""

import asyncio
from dataclasses import replace

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, char_chat, random_traces, script

from s1lib.drawing.plots import panels
from s1lib.engines.protocol import EngineError
from s1lib.thinking.budget import Budget, BudgetError
from s1lib.thinking.show import draw_sweep, tabulate
from s1lib.thinking.sweep import grid, sweep
from s1lib.thinking.thinker import Thinker

matplotlib.use("Agg")

CHATS = {"one token each": char_chat(), "spelled out": char_chat(spelled=True)}
CHAT = CHATS["one token each"]
Q = "How many?"
SEGMENTS = {
    "": "abcdef<|im_start|>",
    "abcdefWait": "ghi<|im_start|>",
    "abcdefWaitghiWait": "jk<|im_start|>",
}


def apart(engine, chat, points, **options):
    async def all_points():
        thinker = Thinker(engine, chat, **options)
        return {point: await thinker.force(Q, point) for point in points}

    return asyncio.run(all_points())


def together(engine, chat, points, **options):
    return asyncio.run(sweep(Thinker(engine, chat, **options), Q, points))


def what(traces):
    """Everything about the traces but whom their tokens are counted for."""
    return {point: replace(trace, decoded_tokens=0) for point, trace in traces.items()}


points = st.lists(
    st.builds(
        lambda cap, least, waits, wait, strict: Budget(
            cap, min(least, cap or 30), waits, wait, 6, strict
        ),
        st.none() | st.integers(1, 40),
        st.sampled_from([0, 0, 0, 9]),
        st.integers(0, 4),
        st.sampled_from(["Wait", "Wait", "a", ""]),
        st.sampled_from([False, False, True]),
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=70, deadline=None)
@given(
    kind=st.sampled_from(sorted(CHATS)),
    key=st.integers(0, 10**6),
    points=points,
    room=st.integers(0, 80),
    heat=st.sampled_from([0.0, 0.8]),
)
def test_a_sweep_equals_separate_runs_and_counts_every_token_once(kind, key, points, room, heat):
    chat = CHATS[kind]
    window = len(chat.prompt_ids(Q)) + room + len(chat.newline) + len(chat.final_answer) + 6
    one, many = (ScriptedEngine(random_traces(chat, key), max_context=window) for _ in range(2))
    swept, separate = (
        run(e, chat, points, temperature=heat, seed=3)
        for run, e in ((together, one), (apart, many))
    )
    assert what(swept) == what(separate)
    assert list(swept) == list(separate)
    assert (
        sum(trace.decoded_tokens for trace in swept.values())
        == one.decoded_tokens
        <= many.decoded_tokens
    )


@settings(max_examples=40, deadline=None)
@given(
    key=st.integers(0, 10**6),
    budgets=st.lists(st.integers(0, 40), max_size=5),
    waits=st.lists(st.integers(0, 5), max_size=4),
)
def test_a_grid_is_thought_through_once(key, budgets, waits):
    engine, alone = (ScriptedEngine(random_traces(CHAT, key), max_context=300) for _ in range(2))
    points = grid(budgets, waits, answer_tokens=5)
    swept = together(engine, CHAT, points)
    asyncio.run(Thinker(alone, CHAT).force(Q, points[-1]))
    answers = {
        tuple(trace.prompt_ids + trace.thinking_ids + trace.closing_ids) for trace in swept.values()
    }
    asked = [tuple(request.prompt_ids) for request in engine.requests]
    # The furthest point's thinking, and each answer once.
    assert len(asked) == len(set(asked)) == len(alone.requests) - 1 + len(answers)
    thinking = sum(
        request.completion.decoded_tokens
        for request in engine.requests
        if tuple(request.prompt_ids) not in answers
    )
    assert thinking == sum(request.completion.decoded_tokens for request in alone.requests[:-1])


def test_shared_tokens_are_counted_for_the_point_that_first_needs_them():
    engine = ScriptedEngine(script(CHAT, Q, SEGMENTS))
    swept = together(engine, CHAT, grid([2, 4], [1], answer_tokens=9))
    assert [trace.thinking_tokens for trace in swept.values()] == [2, 4, 6, 13]
    # 2 tokens and an answer of 2; 2 more and an answer; 2 more, the delimiter and an answer;
    # "ghi", the delimiter and an answer
    assert [trace.decoded_tokens for trace in swept.values()] == [4, 4, 5, 6]


def test_points_with_equal_traces_share_one_answer():
    engine = ScriptedEngine(script(CHAT, Q, SEGMENTS))
    swept = together(engine, CHAT, [Budget(max_thinking=cap) for cap in (7, 20, None)])
    assert len(engine.requests) == 2
    assert [trace.decoded_tokens for trace in swept.values()] == [9, 0, 0]


def test_answers_are_decoded_while_thinking_goes_on():
    class Gated(ScriptedEngine):
        """Thinks on after the first Wait only once an answer has been asked for."""

        answering = asyncio.Event()

        async def complete(self, request):
            if request.prompt_ids[-len(CHAT.answer_start) :] == CHAT.answer_start:
                self.answering.set()
            elif self.requests:
                await asyncio.wait_for(self.answering.wait(), timeout=10)
            return await super().complete(request)

    swept = together(Gated(script(CHAT, Q, SEGMENTS)), CHAT, grid([], [1, 2]))
    assert [trace.waits_used for trace in swept.values()] == [0, 1, 2]


def test_wait_strings_share_the_thinking_before_them():
    engine = ScriptedEngine(script(CHAT, Q, SEGMENTS))
    together(
        engine, CHAT, [Budget(max_thinking=20, waits=1, wait=wait) for wait in ("Wait", "Hmm", "")]
    )
    assert sum(request.prompt_ids == CHAT.prompt_ids(Q) for request in engine.requests) == 1


def test_points_that_come_to_one_place_at_different_times_get_what_they_get_alone():
    # "c" is sampled by one point, forced on the other.
    thinking = {
        "": "ab<|im_start|>",
        "ab": "c<|im_start|>",
        "abc": "defg<|im_start|>",
    }
    points = [
        Budget(max_thinking=5, waits=1, wait="c", answer_tokens=5),
        Budget(max_thinking=9, waits=2, wait="", answer_tokens=5),
    ]
    one, many = (ScriptedEngine(script(CHAT, Q, thinking)) for _ in range(2))
    swept = together(one, CHAT, points)
    assert what(swept) == what(apart(many, CHAT, points))
    assert [trace.texts(CHAT)[0] for trace in swept.values()] == ["abcde", "abcdefg"]
    assert sum(trace.decoded_tokens for trace in swept.values()) == one.decoded_tokens


def test_the_grid_is_the_papers_budgets_without_waits_and_waits_at_the_largest():
    assert [(b.max_thinking, b.waits) for b in grid([64, 16, 500], [2, 1])] == [
        (16, 0),
        (64, 0),
        (500, 0),
        (None, 0),
        (None, 1),
        (None, 2),
    ]
    assert [(b.max_thinking, b.waits) for b in grid([64, 16, 500], [1], max_thinking=64)] == [
        (16, 0),
        (64, 0),
        (64, 1),
    ]


def test_an_engine_that_fails_raises_its_own_error_once():
    class Broken(ScriptedEngine):
        async def complete(self, request):
            raise EngineError("out of memory")

    with pytest.raises(EngineError, match="out of memory"):
        together(Broken(script(CHAT, Q, {})), CHAT, grid([5], [1]))


def test_a_sweep_that_cannot_fit_is_refused_before_decoding():
    engine = ScriptedEngine(script(CHAT, Q, {}), max_context=20)
    with pytest.raises(BudgetError, match="do not fit"):
        together(engine, CHAT, grid([5], [1]))
    assert engine.requests == []


def test_a_cancelled_sweep_leaves_no_request_behind():
    started, cancelled = [], []

    class Slow(ScriptedEngine):
        async def complete(self, request):
            started.append(len(request.prompt_ids))
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(len(request.prompt_ids))
                raise

    async def cancel():
        thinker = Thinker(Slow(script(CHAT, Q, {})), CHAT)
        task = asyncio.create_task(sweep(thinker, Q, grid([5], [1])))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert started == cancelled != []


def test_sweeps_as_a_table_and_a_curve():
    engine = ScriptedEngine(script(CHAT, Q, SEGMENTS))
    table = tabulate([together(engine, CHAT, grid([0, 4], [1]))] * 2, CHAT)
    assert table["problem"].tolist() == [0] * 4 + [1] * 4
    assert table["thinking_tokens"].tolist() == [0, 4, 6, 13] * 2
    assert table["answer"].tolist() == ["Final Answer:7", "Final Answer:7", "7", "7"] * 2
    assert table["decoded_tokens"].sum() == 2 * engine.decoded_tokens
    ax = draw_sweep(
        table.head(4).assign(accuracy=[0, 10, 50, 60], low=[0, 5, 40, 50], high=[9, 15, 60, 70]),
        panels(1)[1][0],
    )
    budgets, waits = (container.lines[0] for container in ax.containers)
    assert (list(budgets.get_xdata()), list(waits.get_xdata())) == ([4, 6], [13])
    assert [text.get_text() for text in ax.texts] == ["1×"]
