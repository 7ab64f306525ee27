"""Conditional length control (paper, section 3.2, tables 12 to 14): the prompt says how long to think, and the model keeps it or not.

    free, forced = await token_conditional(engine, chat, question, 1024, budget)
    free, forced = await step_conditional(engine, chat, question, 64, budget)
    trace = await class_conditional(engine, chat, question, "short", budget)

Each limit is tried alone (`free`: `budget` alone ends the thinking) and with budget forcing (`forced`). Up to the limit
both are the same trace, so it is decoded once and only the answers branch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from s1lib.chat import IM_START, ChatFormat
from s1lib.chat import length_control as conditions
from s1lib.engines.protocol import Engine, TokenIds
from s1lib.thinking.budget import Budget, BudgetError, Trace, answer, force_budget, think
from s1lib.thinking.sweep import sweep


async def token_conditional(
    engine: Engine, chat: ChatFormat, question: str, limit: int, budget: Budget, *, temperature: float = 0.0, seed: int | None = None
) -> tuple[Trace, Trace]:
    """(free, forced) traces of a prompt that says "Think for up to `limit` tokens." (table 12)."""
    own = budget.max_thinking
    points = [budget, replace(budget, max_thinking=limit if own is None else min(limit, own))]
    traces = await sweep(engine, chat, conditions.token_limit(question, limit), points, temperature=temperature, seed=seed)
    return traces[points[0]], traces[points[1]]


@dataclass(frozen=True)
class StepChat(ChatFormat):
    """The s1 format for traces that count their steps: `<|im_start|>` opens the next step, so only the answer's ends the thinking."""

    @property
    def thinking_stops(self) -> list[tuple[int, ...]]:
        return [self.answer_start, *(stop for stop in self.segment_ends if stop != tuple(self.encode(IM_START)))]

    def steps(self, ids: TokenIds) -> int:
        """How many steps thinking ids count."""
        return len(conditions.COUNTED.findall(self.decode(list(ids))))

    def delimiter_tokens(self, ids: TokenIds) -> int:
        """Tokens of the countdown, which the paper does not count as thinking."""
        return sum(len(self.encode(found)) for found in conditions.COUNTED.findall(self.decode(list(ids))))


async def step_conditional(
    engine: Engine, chat: ChatFormat, question: str, limit: int, budget: Budget, *, temperature: float = 0.0, seed: int | None = None
) -> tuple[Trace, Trace]:
    """(free, forced) traces of a prompt that says "Think for up to `limit` steps." (table 13).

    Forced: thinking is ended where step `limit` + 1 would begin.
    """
    if limit < 1:
        raise BudgetError(f"a limit of {limit} steps: at least 1 is needed")
    counting, same = StepChat(chat.tokenizer), {"temperature": temperature, "seed": seed}
    thought = await think(engine, counting, conditions.step_limit(question, limit), budget, **same)
    end = _end_of_step(counting, thought.thinking_ids, limit)
    free = await answer(engine, counting, thought, budget, **same)
    if end is None:
        return free, replace(free, decoded_tokens=0)
    ids = thought.thinking_ids[:end]
    closing = chat.closing(ids, natural=False)
    cut = replace(thought, thinking_ids=ids, forced=thought.forced[:end], closing_ids=closing, finish="forced", decoded_tokens=0)
    return free, await answer(engine, counting, cut, budget, **same)


def _end_of_step(chat: ChatFormat, ids: list[int], limit: int) -> int | None:
    """Where step `limit` + 1 begins; None when there are no more than `limit`."""
    start = list(chat.encode(IM_START))
    begins = [place for place in range(len(ids)) if ids[place : place + len(start)] == start]
    return begins[limit] if len(begins) > limit else None


async def class_conditional(
    engine: Engine, chat: ChatFormat, question: str, length: str, budget: Budget, *, temperature: float = 0.0, seed: int | None = None
) -> Trace:
    """The trace of a prompt that asks for "short" or "long" thinking, or for neither ("none") (table 14)."""
    return await force_budget(engine, chat, conditions.length_class(question, length), budget, temperature=temperature, seed=seed)
