"""Rejection sampling (paper, section 3.2 and figure 6): sample whole traces until one fits the cap.

    thinker = Thinker(engine, chat, temperature=1.0, seed=0)
    outcome = await rejection_sample(thinker, question, 64, tries=16)
    outcomes = first_within([48, 64, 96], traces)     # for several caps, from traces sampled once

The official code goes on for ever when nothing fits and hands a slot what another one drew. Here a
number of tries ends it, every problem keeps its own samples, and "rejected" is an outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s1lib.engines.protocol import TokenIds
from s1lib.thinking.budget import Budget, BudgetError, Trace
from s1lib.thinking.thinker import Thinker


@dataclass(frozen=True)
class Outcome:
    """The result of rejection sampling.

    trace: the first one within the cap, or None when all were rejected.
    thinking_tokens, decoded_tokens: of all tries, the rejected ones included.
    """

    trace: Trace | None
    tries: int
    thinking_tokens: int
    decoded_tokens: int

    @property
    def rejected(self) -> bool:
        return self.trace is None


async def rejection_sample(
    thinker: Thinker, question: str | TokenIds, cap: int, *, tries: int, answer_tokens: int = 512
) -> Outcome:
    """Think afresh until the model itself ends its thinking within `cap` tokens, then answer.

    tries: how many at most. Try i is sample i of `sample_traces` with the same thinker, and is
        given up as soon as it exceeds the cap.
    """
    if cap < 0 or tries < 1:
        raise BudgetError(f"cap is {cap} tokens and tries {tries}: at least 0 and 1 are needed")
    # One token more than the cap, to see whether the thinking ends right at it.
    budget = Budget(max_thinking=cap + 1, answer_tokens=answer_tokens)
    thinking = decoded = 0
    for index in range(tries):
        sampler = thinker.sample(index)
        thought = await sampler.think(question, budget)
        thinking += thought.thinking_tokens
        if fits(thought, cap):
            trace = await sampler.answer(thought, budget)
            return Outcome(trace, index + 1, thinking, decoded + trace.decoded_tokens)
        decoded += thought.decoded_tokens
    return Outcome(None, tries, thinking, decoded)


def fits(trace: Trace, cap: int) -> bool:
    return trace.finish == "natural" and trace.thinking_tokens <= cap


def first_within(caps: Sequence[int], traces: Sequence[Trace]) -> dict[int, Outcome]:
    """The outcome of `rejection_sample` at each cap, from one problem's samples.

    Each outcome's tokens are those of sampling for that cap alone, where a try is given up one
    token after the cap (decoded ones are one more for every further token of the delimiters).
    """
    outcomes = {}
    for cap in caps:
        place = next((index for index, trace in enumerate(traces) if fits(trace, cap)), None)
        rejected = sum(min(trace.thinking_tokens, cap + 1) for trace in traces[:place])
        if place is None:
            outcomes[cap] = Outcome(None, len(traces), rejected, rejected)
        else:
            trace = traces[place]
            spent = rejected + trace.thinking_tokens, rejected + trace.decoded_tokens
            outcomes[cap] = Outcome(trace, place + 1, *spent)
    return outcomes
