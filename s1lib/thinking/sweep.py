"""A sweep over budgets and Waits in one pass (paper, figures 1 and 4).

    traces = await sweep(thinker, question, grid([16, 32, 64], waits=[1, 2, 4]))
    traces[Budget(max_thinking=32)].thinking_tokens

A trace at one budget is a prefix of the trace at any larger one, and a trace with n Waits of that
with n + 1. So all points of a sweep ask for the same continuations, only of different lengths.
Each is decoded once, as far as the point that goes furthest, and only the answers branch. Every
point runs `Thinker.force` itself, and so gets what it would have got alone: exactly under greedy
decoding, and with a seed where an engine's sampling does not look at max_tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace

from s1lib.chat import WAIT
from s1lib.engines.protocol import Completion, Engine, Request, TokenIds
from s1lib.thinking.budget import Budget, Trace
from s1lib.thinking.thinker import Thinker


def grid(
    budgets: Sequence[int],
    waits: Sequence[int],
    *,
    max_thinking: int | None = None,
    wait: str = WAIT,
    answer_tokens: int = 512,
) -> list[Budget]:
    """The paper's points: every budget below `max_thinking`, then that with 0 Waits and `waits`."""
    caps = [cap for cap in sorted(set(budgets)) if max_thinking is None or cap < max_thinking]
    points = [(cap, 0) for cap in (*caps, max_thinking)]
    points += [(max_thinking, number) for number in sorted(set(waits) - {0})]
    return [
        Budget(max_thinking=cap, waits=number, wait=wait, answer_tokens=answer_tokens)
        for cap, number in points
    ]


async def sweep(
    thinker: Thinker, question: str | TokenIds, points: Sequence[Budget]
) -> dict[Budget, Trace]:
    """The trace of every point, in the order of `points`, which may be any budgets.

    A trace's decoded_tokens are those it needed beyond the points before it, so that they add up
    to what was decoded.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            requests: dict[Request, _Shared] = {}

            # One for all: an engine of several replicas keeps in it where the problem began.
            context = copy_context()
            branches = {
                point: _Branch(thinker.engine, tasks, requests, context) for point in points
            }
            runs = {
                point: tasks.create_task(
                    replace(thinker, engine=branch).force(question, point), context=context
                )
                for point, branch in branches.items()
            }
    except BaseExceptionGroup as errors:
        # One problem, one error: the one that a single `force` would have raised.
        raise errors.exceptions[0] from None

    return {
        point: replace(run.result(), decoded_tokens=branches[point].pay())
        for point, run in runs.items()
    }


@dataclass
class _Shared:
    """One continuation that several points want, up to `max_tokens` of it.

    paid: tokens of it that a point has accounted for.
    """

    max_tokens: int = 0
    started: bool = False
    paid: int = 0
    task: asyncio.Task[Completion] | None = None

    async def run(self, engine: Engine, request: Request) -> Completion:
        # This is a turn of the loop after it was first asked for. All points come to a
        # continuation together, so by now each has said how far it wants it.
        self.started = True
        return await engine.complete(replace(request, max_tokens=self.max_tokens))


@dataclass
class _Branch:
    """The engine of one point: what any point asked for before is not decoded again.

    requests: what is decoded or has been, shared by all points.
    taken: what this point got, as (continuation, tokens of it).
    """

    engine: Engine
    tasks: asyncio.TaskGroup
    requests: dict[Request, _Shared]
    context: Context
    taken: list[tuple[_Shared, int]] = field(default_factory=list)

    @property
    def max_context(self) -> int:
        return self.engine.max_context

    async def complete(self, request: Request) -> Completion:
        key, wanted = replace(request, max_tokens=0), request.max_tokens
        shared = self.requests.get(key)

        # A point that comes late and wants more than is being decoded has it decoded again.
        if shared is None or (shared.started and shared.max_tokens < wanted):
            shared = self.requests[key] = _Shared()
            shared.task = self.tasks.create_task(
                shared.run(self.engine, request), context=self.context
            )
        if not shared.started:
            shared.max_tokens = max(shared.max_tokens, wanted)

        completion = _first(await shared.task, wanted)
        self.taken.append((shared, completion.decoded_tokens))
        return completion

    def pay(self) -> int:
        """Tokens that this point took and none before it has paid for."""
        total = 0
        for shared, tokens in self.taken:
            total += max(0, tokens - shared.paid)
            shared.paid = max(shared.paid, tokens)
        return total


def _first(completion: Completion, max_tokens: int) -> Completion:
    """The completion that the same request would have had with a smaller max_tokens."""
    if completion.decoded_tokens <= max_tokens:
        return completion
    return Completion([*completion.ids, *(completion.stop or ())][:max_tokens], "length")
