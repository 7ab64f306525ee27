"""Tree search with REBASE (Wu et al. 2024; paper, figure 7): thinking grows step by step where a reward model likes it.

    tree = await rebase(engine, chat, question, 16, budget, reward=reward, separator="\n\n", temperature=1.0, seed=0)
    tree.best.texts(chat)       # the answer with the largest sum of rewards, by its best trace

The `width` is shared out anew after every step: a partial trace with reward r gets a share in proportion to
exp(r / balance), and what has ended keeps its place. Shares are rounded by largest remainder, so that they always add up
(the authors round each one by itself and mend the sum).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from s1lib.chat import ChatFormat
from s1lib.chat.length_control import split_steps
from s1lib.engines.protocol import Engine, Request, TokenIds
from s1lib.grading import extract_answer
from s1lib.keeping.hashes import derive_seed
from s1lib.thinking.budget import Budget, BudgetError, Trace, answer, reserved_tokens

BALANCE = 0.1  # REBASE's balance temperature


class Reward(Protocol):
    """What judges partial solutions, e.g. `s1lib.thinking.reward_model.RewardModel`."""

    async def scores(self, question: str, paths: Sequence[Sequence[str]]) -> list[float]: ...


@dataclass(frozen=True)
class Tree:
    """leaves: complete traces with the reward of their last step. Tokens are those of the whole tree, each decoded once."""

    leaves: list[tuple[Trace, float]]
    best: Trace
    thinking_tokens: int
    answer_tokens: int
    decoded_tokens: int


@dataclass
class _Node:
    ids: list[int] = field(default_factory=list)
    finish: str | None = None


async def rebase(
    engine: Engine,
    chat: ChatFormat,
    question: str,
    width: int,
    budget: Budget,
    *,
    reward: Reward,
    separator: str,
    temperature: float,
    seed: int | None = None,
    balance: float = BALANCE,
) -> Tree:
    """Search until `width` traces have ended, by themselves or at `budget.max_thinking` tokens of their path; then answer each.

    separator: what ends a step ("\n\n" in the paper's traces). Raises BudgetError for a width or temperature that cannot work.
    """
    if width < 1 or temperature <= 0 or balance <= 0:
        raise BudgetError(f"width is {width}, temperature {temperature}, balance {balance}: all must be above 0")
    prompt = chat.prompt_ids(question)
    room = engine.max_context - reserved_tokens(chat, prompt, budget)
    if room < 1:
        raise BudgetError(f"a prompt of {len(prompt)} tokens leaves no room to think in a context of {engine.max_context}")
    cap = room if budget.max_thinking is None else min(budget.max_thinking, room)
    if not separator or chat.decode(chat.encode(separator)) != separator:
        raise BudgetError(f"{separator!r} cannot end a step: this tokenizer has no ids for it; set sft.step_separator to another text")
    stops = [*chat.thinking_stops, *chat.step_ends(separator)]
    ends, leaves, rewards, spent, depth = set(chat.thinking_stops), [], [], 0, 0
    growing: list[tuple[_Node, int]] = [(_Node(), width)]

    async def grow(node: _Node, index: int) -> tuple[_Node, int]:
        """One more step after `node`, and the tokens it took."""
        left = cap - len(node.ids)
        own = derive_seed(seed, "tree", depth, index)
        request = Request([*prompt, *node.ids], max_tokens=left, stop=stops, temperature=temperature, seed=own)
        part = await engine.complete(request)
        ended = part.finish == "stop" and part.stop in ends
        ids = [*node.ids, *part.ids, *(() if ended else part.stop or ())]
        return _Node(ids, "natural" if ended else "forced" if len(ids) >= cap else None), part.decoded_tokens

    context = copy_context()  # one for all, as in a sweep
    while growing:
        wanted = [node for node, children in growing for _ in range(children)]
        grown = await asyncio.gather(*(asyncio.create_task(grow(node, index), context=context) for index, node in enumerate(wanted)))
        spent += sum(tokens for _, tokens in grown)
        nodes = [node for node, _ in grown]
        scores = await reward.scores(question, [split_steps(chat.decode(node.ids), separator) or [""] for node in nodes])
        done = [(node, score) for node, score in zip(nodes, scores, strict=True) if node.finish]
        leaves, rewards = leaves + [node for node, _ in done], rewards + [score for _, score in done]
        alive = [(node, score) for node, score in zip(nodes, scores, strict=True) if not node.finish]
        shares = allocate([score for _, score in alive], width - len(leaves), balance=balance)
        growing = [(node, share) for (node, _), share in zip(alive, shares, strict=True) if share]
        depth += 1
    traces = await asyncio.gather(*(_close(engine, chat, prompt, node, budget, temperature, seed, i) for i, node in enumerate(leaves)))
    return _tree(chat, traces, rewards, spent)


def allocate(scores: Sequence[float], count: int, *, balance: float = BALANCE) -> list[int]:
    """`count` children shared out in proportion to exp(score / balance): largest remainders, equal ones by score, then in order."""
    if not scores or count < 1:
        return [0] * len(scores)
    weights = np.exp((np.asarray(scores, dtype=float) - max(scores)) / balance)
    exact = count * weights / weights.sum()
    whole = np.floor(exact).astype(int)
    rest = np.lexsort((-np.asarray(scores, dtype=float), whole - exact))[: count - whole.sum()]  # stable; the last key leads
    whole[rest] += 1
    return whole.tolist()


async def _close(
    engine: Engine, chat: ChatFormat, prompt: TokenIds, node: _Node, budget: Budget, temperature: float, seed: int | None, index: int
) -> Trace:
    closing = chat.closing(node.ids, natural=node.finish == "natural")
    trace = Trace(list(prompt), node.ids, [False] * len(node.ids), closing, node.finish)
    return await answer(engine, chat, trace, budget, temperature=temperature, seed=derive_seed(seed, "leaf", index))


def _tree(chat: ChatFormat, traces: Sequence[Trace], rewards: Sequence[float], spent: int) -> Tree:
    """Each answer weighs as much as its traces' rewards together; the heaviest one is represented by its best trace."""
    given = [extract_answer(trace.texts(chat)[1]) for trace in traces]
    weights: dict[str | None, float] = {}
    for name, score in zip(given, rewards, strict=True):
        weights[name] = weights.get(name, 0.0) + (score if name is not None else 0.0)
    chosen = max(weights, key=weights.__getitem__)
    best = max((i for i, name in enumerate(given) if name == chosen), key=lambda i: rewards[i])
    answers = sum(trace.decoded_tokens for trace in traces)
    return Tree(
        leaves=list(zip(traces, rewards, strict=True)),
        best=replace(traces[best], decoded_tokens=spent + answers),
        thinking_tokens=spent,
        answer_tokens=sum(len(trace.answer_ids) for trace in traces),
        decoded_tokens=spent + answers,
    )
