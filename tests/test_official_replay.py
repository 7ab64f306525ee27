"""strict_s1 against the official evaluation, written anew from docs/official_rules.md, B1 to B7."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, char_chat

from s1lib.chat import END_OF_TEXT, IM_END, IM_START
from s1lib.thinking.budget import Budget
from s1lib.thinking.thinker import Thinker

CHAT = char_chat()
SEGMENT, TURN_END, TEXT_END = (CHAT.encode(text)[0] for text in (IM_START, IM_END, END_OF_TEXT))
LETTERS = CHAT.encode("abc.\n")


def model(key, ending):
    """Random letters; with probability `ending` a delimiter comes, in answers as well."""

    def policy(ids, seed):
        rng = random.Random(repr((key, ids)))
        letters = rng.sample(LETTERS, len(LETTERS))
        delimiter = rng.choice([SEGMENT, SEGMENT, TURN_END, TEXT_END])
        return [delimiter, *letters] if rng.random() < ending else letters

    return policy


def generate(policy, prompt, limit, stops, banned_for=0):
    """(ids, why they end); stops are banned for as many tokens, and not kept."""
    ids = []
    while len(ids) < limit:
        offered = policy((*prompt, *ids), None)
        token = next(one for one in offered if one not in stops or len(ids) >= banned_for)
        if token in stops:
            return ids, "stop"
        ids.append(token)
    return ids, "length"


def official(policy, question, cap, ignored, wait, minimum, answer_tokens):
    """(the prompt of the answer, the answer), as ids."""
    prompt = CHAT.encode(CHAT.prompt_text(question) + "<|im_start|>think")
    ids, banned_for = [], 1 if ignored else minimum
    for generation in range(ignored + 1):
        stops = {SEGMENT, TURN_END, TEXT_END}
        more, finish = generate(policy, prompt + ids, cap, stops, banned_for)
        ids = ids + more
        if finish == "length" or generation == ignored:
            break
        ids = ids + CHAT.encode(wait)

    closing = "<|im_start|>answer"
    if finish == "length":
        closing = ("" if CHAT.decode(ids).endswith("\n") else "\n") + f"{closing}\nFinal Answer:"
    prompt = prompt + ids[:cap] + CHAT.encode(closing)
    return prompt, generate(policy, prompt, answer_tokens, {TURN_END, TEXT_END})[0]


@settings(max_examples=220, deadline=None)
@given(
    key=st.integers(0, 10**6),
    ending=st.sampled_from([0.03, 0.1, 0.3]),
    cap=st.integers(1, 40),
    ignored=st.sampled_from([0, 1, 2, 6]),
    wait=st.sampled_from(["Wait", "Hmm", ""]),
    minimum=st.integers(0, 6),
)
def test_strict_s1_thinks_and_answers_like_the_official_evaluation(
    key, ending, cap, ignored, wait, minimum
):
    policy, minimum = model(key, ending), min(minimum, cap)
    limits = {"max_thinking": cap, "min_thinking": minimum, "answer_tokens": 15}
    budget = Budget(waits=ignored, wait=wait, strict_s1=True, **limits)
    trace = asyncio.run(Thinker(ScriptedEngine(policy), CHAT).force("Q", budget))
    found = [*trace.prompt_ids, *trace.thinking_ids, *trace.closing_ids], trace.answer_ids
    assert found == official(policy, "Q", cap, ignored, wait, minimum, 15)
