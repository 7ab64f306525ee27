"""Tree search with REBASE (Wu et al. 2024; paper, figure 7), which follows a reward model.

    thinker = Thinker(engine, chat, temperature=1.0, seed=0)
    tree = await rebase(thinker, question, 16, budget, reward=reward, separator="\\n\\n")
    tree.best.texts(chat)       # the answer with the largest sum of rewards, by its best trace

The `width` is shared out anew after every step: a partial trace with reward r gets a share in
proportion to exp(r / balance), and what has ended keeps its place. Shares are rounded by largest
remainder, so that they always add up (the authors round each one by itself and mend the sum).
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
from s1lib.grading import answer_classes, read_answer
from s1lib.keeping.hashes import derive_seed
from s1lib.thinking.budget import Budget, BudgetError, PromptTooLong, Trace, reserved_tokens
from s1lib.thinking.forcing import closing_ids
from s1lib.thinking.thinker import Thinker

BALANCE = 0.1  # REBASE's balance temperature


class Reward(Protocol):
    """A judge of partial solutions, e.g. `s1lib.thinking.reward_model.RewardModel`."""

    async def scores(self, question: str, paths: Sequence[Sequence[str]]) -> list[float]: ...


@dataclass(frozen=True)
class Tree:
    """A finished search, with the tokens of the whole tree, each counted once.

    leaves: complete traces with the reward of their last step.
    thinking_tokens, answer_tokens: without the delimiters, as in a `Trace`.
    decoded_tokens: what the engine sampled, delimiters included.
    """

    leaves: list[tuple[Trace, float]]
    best: Trace
    thinking_tokens: int
    answer_tokens: int
    decoded_tokens: int


@dataclass(frozen=True)
class _Node:
    """A partial trace, with the tokens of its last step.

    finish: None while it may grow.
    """

    ids: list[int] = field(default_factory=list)
    finish: str | None = None
    thinking_tokens: int = 0
    decoded_tokens: int = 0


async def rebase(
    thinker: Thinker,
    question: str,
    width: int,
    budget: Budget,
    *,
    reward: Reward,
    separator: str,
    kind: str = "math",
    balance: float = BALANCE,
) -> Tree:
    """Search until `width` traces have ended, then answer each.

    A trace ends by itself or at `budget.max_thinking` tokens of its path.
    separator: what ends a step (a blank line in the paper's traces).
    kind: of the problem, "math" or "choice", which is how its answers are read.
    Raises BudgetError for a width or a temperature that cannot work.
    """
    search = _prepared(thinker, question, width, budget, separator, balance)
    leaves, rewards, thinking, decoded, depth = [], [], 0, 0, 0
    growing: list[tuple[_Node, int]] = [(_Node(), width)]
    context = copy_context()  # one for all, as in a sweep

    while growing:
        # Every node grows by one step for each of its children.
        wanted = [node for node, children in growing for _ in range(children)]
        steps = [search.grow(node, depth, index) for index, node in enumerate(wanted)]
        tasks = [asyncio.create_task(step, context=context) for step in steps]
        nodes = await asyncio.gather(*tasks)
        thinking += sum(node.thinking_tokens for node in nodes)
        decoded += sum(node.decoded_tokens for node in nodes)

        # The reward model judges all paths, those that have just ended included.
        texts = [thinker.chat.decode(node.ids) for node in nodes]
        paths = [split_steps(text, separator) or [""] for text in texts]
        judged = list(zip(nodes, await reward.scores(question, paths), strict=True))
        leaves += [node for node, _ in judged if node.finish]
        rewards += [score for node, score in judged if node.finish]

        # The rest of the width is shared out among the traces that go on.
        alive = [(node, score) for node, score in judged if not node.finish]
        scores = [score for _, score in alive]
        shares = allocate(scores, width - len(leaves), balance=balance)
        growing = [(node, share) for (node, _), share in zip(alive, shares, strict=True) if share]
        depth += 1

    answers = [search.answer(node, index) for index, node in enumerate(leaves)]
    tasks = [asyncio.create_task(answer, context=context) for answer in answers]
    traces = await asyncio.gather(*tasks)
    decoded += sum(trace.decoded_tokens for trace in traces)

    # In a thread, because comparing answers may take its time.
    best = traces[await asyncio.to_thread(_best, thinker.chat, traces, rewards, kind)]
    return Tree(
        leaves=list(zip(traces, rewards, strict=True)),
        best=replace(best, decoded_tokens=decoded),
        thinking_tokens=thinking,
        answer_tokens=sum(len(trace.answer_ids) for trace in traces),
        decoded_tokens=decoded,
    )


def allocate(scores: Sequence[float], count: int, *, balance: float = BALANCE) -> list[int]:
    """`count` children shared out in proportion to exp(score / balance), by largest remainder.

    Equal remainders go to the higher score, then to the first.
    """
    if not scores or count < 1:
        return [0] * len(scores)
    weights = np.exp((np.asarray(scores, dtype=float) - max(scores)) / balance)
    exact = count * weights / weights.sum()
    whole = np.floor(exact).astype(int)
    # lexsort is stable, and its last key leads.
    order = np.lexsort((-np.asarray(scores, dtype=float), whole - exact))
    whole[order[: count - whole.sum()]] += 1
    return whole.tolist()


@dataclass(frozen=True)
class _Search:
    """The parts that all steps of one search share."""

    thinker: Thinker
    prompt: list[int]
    budget: Budget
    cap: int
    separator: str

    async def grow(self, node: _Node, depth: int, index: int) -> _Node:
        """One more step after `node`."""
        ends = self.thinker.chat.thinking_stops
        part = await self.thinker.complete(
            [*self.prompt, *node.ids],
            ("tree", depth, index),
            max_tokens=self.cap - len(node.ids),
            stop=[*ends, *self.thinker.chat.step_ends(self.separator)],
        )
        # A separator belongs to the thinking, an end of thinking does not.
        ended = part.finish == "stop" and part.stop in ends
        step = [*part.ids, *(() if ended else part.stop or ())]
        ids = [*node.ids, *step]
        finish = "natural" if ended else "forced" if len(ids) >= self.cap else None
        return _Node(ids, finish, len(step), part.decoded_tokens)

    async def answer(self, leaf: _Node, index: int) -> Trace:
        closing = closing_ids(self.thinker.chat, leaf.ids, natural=leaf.finish == "natural")
        trace = Trace(self.prompt, leaf.ids, [False] * len(leaf.ids), closing, leaf.finish)
        own = replace(self.thinker, seed=derive_seed(self.thinker.seed, "leaf", index))
        return await own.answer(trace, self.budget)


def _prepared(
    thinker: Thinker, question: str, width: int, budget: Budget, separator: str, balance: float
) -> _Search:
    """The parts of a search. Raises BudgetError where it cannot work."""
    chat, temperature, context = thinker.chat, thinker.temperature, thinker.engine.max_context
    if width < 1 or temperature <= 0 or balance <= 0:
        raise BudgetError(
            f"width is {width}, temperature {temperature}, balance {balance}: all must be above 0"
        )
    prompt = chat.prompt_ids(question)
    room = context - reserved_tokens(chat, prompt, budget)
    if room < 1:
        raise PromptTooLong(
            f"a prompt of {len(prompt)} tokens leaves no room to think in a context of {context}",
            prompt,
        )

    # A separator that the tokenizer spells otherwise would never be met among the ids.
    if not separator or chat.decode(chat.encode(separator)) != separator:
        raise BudgetError(
            f"{separator!r} cannot end a step: this tokenizer has no ids for it; "
            "set sft.step_separator to another text"
        )
    cap = room if budget.max_thinking is None else min(budget.max_thinking, room)
    return _Search(thinker, prompt, budget, cap, separator)


def _best(chat: ChatFormat, traces: Sequence[Trace], rewards: Sequence[float], kind: str) -> int:
    """The position of the best trace of the winning answer.

    An answer weighs as much as its traces' rewards together, however they spell it. One that
    cannot be read never wins, unless no trace has another.
    """
    answers = [read_answer(trace.texts(chat)[1], kind).value for trace in traces]
    candidates = answer_classes(answers)
    weights: dict[int | None, float] = {}
    for candidate, score in zip(candidates, rewards, strict=True):
        weights[candidate] = weights.get(candidate, 0.0) + score
    readable = [candidate for candidate in weights if candidate is not None]
    chosen = max(readable, key=weights.__getitem__, default=None)
    of_chosen = [index for index, candidate in enumerate(candidates) if candidate == chosen]
    return max(of_chosen, key=rewards.__getitem__)
