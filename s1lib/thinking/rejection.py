"""Rejection sampling (paper, section 3.2 and figure 6): sample whole traces until one happens to fit the cap.

    outcome = await rejection_sample(engine, chat, question, 64, tries=16, temperature=1.0, seed=0)
    outcomes = first_within([48, 64, 96], traces)     # the same for several caps, from traces that were sampled once

The official code goes on for ever when nothing fits and hands a slot what another one drew; here a number of tries ends
it, every problem keeps its own samples, and "rejected" is an outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s1lib.chat import ChatFormat
from s1lib.engines.protocol import Engine
from s1lib.thinking.budget import Budget, BudgetError, Trace, answer, sampling, think


@dataclass(frozen=True)
class Outcome:
    """trace: the first one within the cap; None when all were rejected. decoded_tokens: of all tries, the rejected included."""

    trace: Trace | None
    tries: int
    decoded_tokens: int

    @property
    def rejected(self) -> bool:
        return self.trace is None


async def rejection_sample(
    engine: Engine,
    chat: ChatFormat,
    question: str | Sequence[int],
    cap: int,
    *,
    tries: int,
    answer_tokens: int = 512,
    temperature: float = 1.0,
    seed: int | None = None,
) -> Outcome:
    """Think afresh, at most `tries` times, until the model itself ends its thinking within `cap` tokens; then answer.

    A try is given up as soon as it exceeds the cap. Try i is sample i of `sample_traces` with the same seed.
    """
    if cap < 0 or tries < 1:
        raise BudgetError(f"cap is {cap} tokens and tries {tries}: at least 0 and 1 are needed")
    budget = Budget(max_thinking=cap + 1, answer_tokens=answer_tokens)  # one more, to see whether it ends right at the cap
    decoded = 0
    for index in range(tries):
        own = sampling(index, temperature=temperature, seed=seed)
        thought = await think(engine, chat, question, budget, **own)
        if fits(thought, cap):
            trace = await answer(engine, chat, thought, budget, **own)
            return Outcome(trace, index + 1, decoded + trace.decoded_tokens)
        decoded += thought.decoded_tokens
    return Outcome(None, tries, decoded)


def fits(trace: Trace, cap: int) -> bool:
    return trace.finish == "natural" and trace.thinking_tokens <= cap


def first_within(caps: Sequence[int], traces: Sequence[Trace]) -> dict[int, Outcome]:
    """What `rejection_sample` would have returned for each cap, from one problem's `sample_traces` (paper, figure 6).

    Each outcome's decoded_tokens are those of sampling for that cap alone, where a try is given up one token after the cap
    (one more for every further token of the delimiters).
    """
    outcomes = {}
    for cap in caps:
        place = next((index for index, trace in enumerate(traces) if fits(trace, cap)), None)
        rejected = sum(min(trace.thinking_tokens, cap + 1) for trace in traces[:place])
        if place is None:
            outcomes[cap] = Outcome(None, len(traces), rejected)
        else:
            outcomes[cap] = Outcome(traces[place], place + 1, rejected + traces[place].decoded_tokens)
    return outcomes
