"""Conditional length control (paper, section 3.2, tables 12 to 14): the prompt says how long.

    free, forced = await token_conditional(thinker, question, 1024, budget)
    free, forced = await step_conditional(thinker, question, 64, budget)
    trace = await class_conditional(thinker, question, "short", budget)

Each limit is tried alone (`free`: `budget` alone ends the thinking) and with budget forcing
(`forced`). Up to the limit both are the same trace, so it is decoded once and only the answers
branch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from s1lib.chat import IM_START, S1, ChatFormat, length_control
from s1lib.engines.protocol import TokenIds
from s1lib.thinking.budget import Budget, BudgetError, Trace
from s1lib.thinking.forcing import forced_stop
from s1lib.thinking.sweep import sweep
from s1lib.thinking.thinker import Thinker


async def token_conditional(
    thinker: Thinker, question: str, limit: int, budget: Budget
) -> tuple[Trace, Trace]:
    """(free, forced) for a prompt that says "Think for up to `limit` tokens." (table 12)."""
    own = budget.max_thinking
    capped = replace(budget, max_thinking=limit if own is None else min(limit, own))
    prompt = length_control.token_limit(question, limit)
    traces = await sweep(thinker, prompt, [budget, capped])
    free, forced = traces[budget], traces[capped]
    # A limit that is no tighter than the budget is the same trace, whose tokens count once.
    return free, replace(forced, decoded_tokens=0) if capped == budget else forced


@dataclass(frozen=True)
class StepChat(ChatFormat):
    """The s1 format of a trace that counts its steps.

    `<|im_start|>` opens the next step there, so only the answer's delimiter ends the thinking.
    """

    @property
    def thinking_stops(self) -> list[tuple[int, ...]]:
        start = tuple(self.encode(IM_START))
        return [self.answer_start, *(stop for stop in self.segment_ends if stop != start)]

    def steps(self, ids: TokenIds) -> int:
        """How many steps thinking ids count."""
        return len(length_control.COUNTED.findall(self.decode(list(ids))))

    def delimiter_tokens(self, ids: TokenIds) -> int:
        """Tokens of the countdown, which the paper does not count as thinking."""
        counted = length_control.COUNTED.findall(self.decode(list(ids)))
        return sum(len(self.encode(text)) for text in counted)


async def step_conditional(
    thinker: Thinker, question: str, limit: int, budget: Budget
) -> tuple[Trace, Trace]:
    """(free, forced) for a prompt that says "Think for up to `limit` steps." (table 13).

    Forced thinking is ended where step `limit` + 1 would begin.
    """
    if limit < 1:
        raise BudgetError(f"a limit of {limit} steps: at least 1 is needed")
    if thinker.chat.format != S1:
        raise BudgetError(
            f"steps are counted in s1's format alone, and this model thinks in "
            f"{thinker.chat.format.name!r}: leave step-conditional control out"
        )
    counting = replace(thinker, chat=StepChat(thinker.chat.tokenizer))
    thought = await counting.think(length_control.step_limit(question, limit), budget)
    free = await counting.answer(thought, budget)

    end = _end_of_step(thinker.chat, thought.thinking_ids, limit)
    if end is None:
        return free, replace(free, decoded_tokens=0)

    # The forced trace is the free one up to there, so that only its answer is decoded.
    ids = thought.thinking_ids[:end]
    cut = replace(
        thought,
        thinking_ids=ids,
        forced=thought.forced[:end],
        closing_ids=forced_stop(thinker.chat, ids),
        finish="forced",
        decoded_tokens=0,
    )
    return free, await counting.answer(cut, budget)


def _end_of_step(chat: ChatFormat, ids: list[int], limit: int) -> int | None:
    """The position at which step `limit` + 1 begins, or None when there are no more steps."""
    start = list(chat.encode(IM_START))
    begins = [place for place in range(len(ids)) if ids[place : place + len(start)] == start]
    return begins[limit] if len(begins) > limit else None


async def class_conditional(thinker: Thinker, question: str, length: str, budget: Budget) -> Trace:
    """The trace of a prompt that asks for "short" or "long" thinking, or "none" (table 14)."""
    return await thinker.force(length_control.length_class(question, length), budget)
