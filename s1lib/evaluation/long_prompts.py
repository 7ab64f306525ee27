"""A prompt that is too long for the context is a record without an answer, not the end of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from s1lib.engines.protocol import TokenIds
from s1lib.thinking.budget import Budget, PromptTooLong, Trace, reserved_tokens
from s1lib.thinking.thinker import Thinker


class EvaluationThinker(Thinker):
    """A `Thinker` that goes on to the next problem where a prompt leaves no room.

    Its trace is `unanswered` then: finish "context", no thinking and no answer, so that it counts
    as wrong.
    """

    async def think(self, question: str | TokenIds, budget: Budget) -> Trace:
        try:
            return await super().think(question, budget)
        except PromptTooLong as error:
            # Where not even an empty prompt fits, the settings are wrong and not the problem.
            if reserved_tokens(self.chat, [], budget) > self.engine.max_context:
                raise
            return unanswered(error.prompt_ids)

    async def answer(self, thought: Trace, budget: Budget) -> Trace:
        return thought if is_unanswered(thought) else await super().answer(thought, budget)


def unanswered(prompt_ids: list[int]) -> Trace:
    return Trace(prompt_ids, [], [], [], "context")


def is_unanswered(trace: Trace) -> bool:
    """Whether nothing was decoded: any other trace that the context ended was closed."""
    return trace.finish == "context" and not trace.closing_ids


def say_unanswered(rows: Iterable[dict], name: str, log: Callable[[str], None]) -> None:
    """Log the problems of a shard whose prompts left no room to decode anything."""
    ids = {
        row["problem_id"]: None
        for row in rows
        if row["finish"] == "context" and not row["thinking_tokens"] + row["answer_tokens"]
    }
    if ids:
        log(
            f"{name}: {len(ids)} prompt(s) leave no room in the context and count as wrong: "
            f"{', '.join(ids)}"
        )
