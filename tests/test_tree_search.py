"""Tree search (REBASE): the width goes by reward, every path is answered, all tokens count."""

import asyncio
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedEngine, char_chat, random_traces
from transformers import AutoModelForCausalLM, AutoTokenizer

from s1lib.chat import ChatFormat
from s1lib.engines.protocol import EngineError
from s1lib.evaluation.benchmarks import Problem
from s1lib.evaluation.methods import TreeSearch
from s1lib.gpu_check.qwen_vocabulary import RANKS, qwen_tokenizer
from s1lib.thinking.budget import Budget, BudgetError
from s1lib.thinking.reward_model import RewardModel
from s1lib.thinking.thinker import Thinker
from s1lib.thinking.tree_search import allocate, rebase
from s1lib.toy.reward_training import TEMPLATE

CHAT = char_chat()
BUDGET = Budget(max_thinking=60, answer_tokens=5)


class Likes:
    """Rewards a path by the share of `letter` in its last step, and keeps what it was asked."""

    def __init__(self, letter: str = "a") -> None:
        self.letter, self.asked = letter, []

    async def scores(self, question, paths):
        self.asked += paths
        return [path[-1].count(self.letter) / max(1, len(path[-1])) for path in paths]


def search(engine, width=4, budget=BUDGET, reward=None, *, temperature=1.0, seed=0):
    thinker = Thinker(engine, CHAT, temperature, seed)
    grown = rebase(thinker, "Q", width, budget, reward=reward or Likes(), separator="\n")
    return asyncio.run(grown)


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    count=st.integers(0, 40),
    balance=st.floats(0.02, 2),
)
def test_the_width_is_shared_out_whole_and_more_goes_where_the_reward_is_higher(
    scores, count, balance
):
    shares = allocate(scores, count, balance=balance)
    assert sum(shares) == count and min(shares) >= 0
    exact = (
        count
        * np.exp((np.array(scores) - max(scores)) / balance)
        / np.exp((np.array(scores) - max(scores)) / balance).sum()
    )
    assert np.all(np.abs(np.array(shares) - exact) < 1 + 1e-9)
    for better, worse in (
        (i, j) for i in range(len(scores)) for j in range(len(scores)) if scores[i] > scores[j]
    ):
        assert shares[better] >= shares[worse]


@given(key=st.integers(0, 10**6), width=st.integers(1, 6), cap=st.integers(1, 40))
def test_as_many_traces_end_as_the_width_and_each_has_an_answer_phase(key, width, cap):
    engine = ScriptedEngine(random_traces(CHAT, key))
    tree = search(engine, width, replace(BUDGET, max_thinking=cap))
    assert len(tree.leaves) == width
    for trace, _ in tree.leaves:
        assert trace.thinking_tokens <= cap and trace.finish in ("natural", "forced")
        text = CHAT.decode(trace.closing_ids)
        assert (
            text == "<|im_start|>answer"
            if trace.finish == "natural"
            else text.endswith("<|im_start|>answer\nFinal Answer:")
        )
    assert tree.decoded_tokens == engine.decoded_tokens == tree.best.decoded_tokens
    steps = [r for r in engine.requests if r.stop != CHAT.answer_stops]
    sampled = [[*r.completion.ids, *(r.completion.stop or ())] for r in steps]
    delimiters = [stop[0] for stop in CHAT.thinking_stops]
    assert tree.thinking_tokens == sum(token not in delimiters for ids in sampled for token in ids)


def test_children_continue_their_parent_and_a_step_ends_at_the_separator():
    engine = ScriptedEngine(random_traces(CHAT, 3))
    tree = search(engine)
    start = CHAT.prompt_ids("Q")
    thinking = engine.requests[:-4]  # the last four are the answers
    grown = {tuple(start)} | {
        (*request.prompt_ids, *request.completion.ids, *(request.completion.stop or ()))
        for request in thinking
    }
    assert all(tuple(request.prompt_ids) in grown for request in thinking)
    assert any(request.prompt_ids[-1] == CHAT.newline[0] for request in thinking)
    assert len(tree.leaves) == 4


def test_the_reward_model_sees_the_steps_of_each_path_and_never_the_delimiters():
    reward = Likes()
    search(ScriptedEngine(random_traces(CHAT, 5)), reward=reward)
    assert reward.asked and all(
        "<|im_start|>" not in step and "\n" not in step for path in reward.asked for step in path
    )


def test_the_answer_with_the_largest_sum_of_rewards_wins():
    def policy(ids, seed):
        text = CHAT.decode(list(ids[len(CHAT.prompt_ids("Q")) :]))
        if "answer" in text:
            said = text.split("answer")[1]
            full = f"Answer: {'1' if text[0] == 'a' else '2'}<|im_end|>"
            return CHAT.encode(full[len(said) :])[:1]
        if not text:
            return CHAT.encode("a" if seed % 3 == 0 else "b")
        return CHAT.encode("<|im_start|>")

    class Fixed:
        async def scores(self, question, paths):
            return [0.9 if path[-1].startswith("a") else 0.6 for path in paths]

    for seed in range(40):
        tree = search(
            ScriptedEngine(policy), 3, Budget(max_thinking=20, answer_tokens=30), Fixed(), seed=seed
        )
        firsts = sorted(CHAT.decode(trace.thinking_ids)[0] for trace, _ in tree.leaves)
        winner = CHAT.decode(tree.best.thinking_ids)[0]
        assert winner == ("b" if firsts.count("b") >= 2 else "a")
        if firsts == ["a", "b", "b"]:
            return
    raise AssertionError("no seed gave the case that this is about")


def test_a_tree_of_width_1_counts_the_tokens_of_its_trace():
    for key in range(30):
        tree = search(ScriptedEngine(random_traces(CHAT, key)), 1)
        assert tree.thinking_tokens == tree.best.thinking_tokens
        assert tree.answer_tokens == len(tree.best.answer_ids)


def test_rewards_of_one_value_in_several_spellings_add_up():
    texts = ["Answer: 1.0", "Answer: 1", "Answer: 2"]

    def policy(ids, seed):
        text = CHAT.decode(list(ids[len(CHAT.prompt_ids("Q")) :]))
        if "answer" in text:
            full = texts["abc".index(text[0])] + "<|im_end|>"
            return CHAT.encode(full[len(text.split("answer")[1]) :])[:1]
        return CHAT.encode("<|im_start|>" if text else "abc"[seed % 3])

    class Fixed:
        async def scores(self, question, paths):
            return [{"a": 0.5, "b": 0.6, "c": 0.9}[path[-1][0]] for path in paths]

    for seed in range(60):
        engine = ScriptedEngine(policy)
        tree = search(engine, 3, Budget(max_thinking=20, answer_tokens=30), Fixed(), seed=seed)
        if sorted(CHAT.decode(trace.thinking_ids)[0] for trace, _ in tree.leaves) == [
            "a",
            "b",
            "c",
        ]:
            assert tree.best.texts(CHAT)[1] == "Answer: 1"  # 0.5 + 0.6 > 0.9, and 0.6 is the best
            return
    raise AssertionError("no seed gave the case that this is about")


def test_an_answer_that_cannot_be_read_never_wins():
    class Worthless:
        async def scores(self, question, paths):
            return [0.0] * len(paths)

    def policy(ids, seed):
        text = CHAT.decode(list(ids[len(CHAT.prompt_ids("Q")) :]))
        if "answer" in text:
            full = "Answer: 1<|im_end|>" if text[0] == "a" else "none<|im_end|>"
            return CHAT.encode(full[len(text.split("answer")[1]) :])[:1]
        return CHAT.encode("<|im_start|>" if text else "a" if seed % 3 == 0 else "b")

    for seed in range(20):
        engine = ScriptedEngine(policy)
        tree = search(engine, 4, Budget(max_thinking=20, answer_tokens=30), Worthless(), seed=seed)
        answers = {trace.texts(CHAT)[1] for trace, _ in tree.leaves}
        assert tree.best.texts(CHAT)[1] == min(answers)  # "Answer: 1" before "none"


@pytest.mark.parametrize(
    ("width", "options", "message"),
    [(0, {}, "width is 0"), (2, {"temperature": 0.0}, "temperature 0.0")],
)
def test_a_search_that_cannot_work_is_refused_before_anything_is_decoded(width, options, message):
    engine = ScriptedEngine(random_traces(CHAT, 1))
    with pytest.raises(BudgetError, match=message):
        search(engine, width, **options)
    assert engine.requests == []


@pytest.mark.skipif(not RANKS.exists(), reason="needs ../shared/data")
def test_a_step_ends_at_every_token_that_carries_the_separator():
    chat = ChatFormat(qwen_tokenizer())
    ends = {chat.decode(list(stop)) for stop in chat.step_ends("\n\n")}
    assert {"\n\n", ".\n\n", ")\n\n"} <= ends and all(text.endswith("\n\n") for text in ends)


# ---- the reward model ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reward(tiny_model_dir):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    tokenizer.chat_template = TEMPLATE
    return RewardModel(AutoModelForCausalLM.from_pretrained(tiny_model_dir), tokenizer)


def test_a_score_is_the_share_of_plus_after_the_last_step_in_any_batch(reward):
    paths = [["a: 34+39=73"], ["a: 34+39=73", "b: 73*17=31", "c: 31-60=71"], ["a: 34+39=72"]]
    scores = asyncio.run(reward.scores("Start with 34. a: add 39.", paths))
    for path, score in zip(paths, scores, strict=True):
        ids = reward.tokenizer.encode(
            "Start with 34. a: add 39.\n" + "+\n".join(path), return_tensors="pt"
        )
        logits = reward.model(ids).logits[0, -1][reward.verdicts]
        assert score == pytest.approx(torch.softmax(logits, 0)[0].item(), abs=1e-5)
    assert asyncio.run(reward.scores("Q", [])) == []


def test_a_published_reward_model_reads_question_and_first_step_joined_by_a_space(reward):
    plain = copy(reward.tokenizer)
    plain.chat_template = "{% for message in messages %}[{{ message.content }}]{% endfor %}"
    assert RewardModel(reward.model, plain).text("Q", ["one", "two"]) == "[Q one][+][two]"


def test_a_checkpoint_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(EngineError, match="cannot load the reward model") as error:
        RewardModel.from_pretrained(tmp_path / "nowhere")
    assert "\n" not in str(error.value)


def test_a_record_of_a_search_counts_the_tokens_of_the_whole_tree(monkeypatch):
    monkeypatch.setattr("s1lib.evaluation.methods.reward_model", lambda reference: Likes())
    engine = ScriptedEngine(random_traces(CHAT, 9))
    method = TreeSearch((1, 3), BUDGET, 1.0, "nowhere", "w0", "\n")
    rows = asyncio.run(method(Thinker(engine, CHAT), Problem("p", "Q", "7", "math"), seed=0))
    assert [row["parameters"]["width"] for row in rows] == [1, 3]
    assert sum(row["decoded_tokens"] for row in rows) == engine.decoded_tokens
    assert all(row["decoded_tokens"] > row["thinking_tokens"] >= 0 for row in rows)
