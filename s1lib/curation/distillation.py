"""Traces for questions that have none (paper, section 2.1: Gemini Flash Thinking).

    pool = await with_traces(pool, teacher)  # any endpoint or local model

What the endpoint calls its reasoning is the trace, the rest the attempt. Replies are kept as they
come, so an interrupted run goes on where it stopped. A question that got none keeps the reason as
its `error`, and the quality filter counts it as the API error it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from s1lib.assistants.assistant import Assistant
from s1lib.assistants.replies import Reply
from s1lib.curation.pool import Sample


async def with_traces(
    samples: Sequence[Sample], teacher: Assistant | None, *, log: Callable[[str], None] = print
) -> list[Sample]:
    """`samples`, in order, with the teacher's work on each that has neither trace nor error.

    Without a teacher all stay as they are.
    """
    missing = [sample for sample in samples if not sample.trace.strip() and sample.error is None]
    if teacher is None or not missing:
        return list(samples)
    replies = await teacher.ask_all([sample.question for sample in missing])
    done = {
        sample.id: _with_reply(sample, reply)
        for sample, reply in zip(missing, replies, strict=True)
    }
    failed = sum(sample.error is not None for sample in done.values())
    line = f"teacher: {len(done) - failed:,} traces"
    if failed:
        line += f", {failed:,} questions without a reply (run again to ask them again)"
    log(line)
    return [done.get(sample.id, sample) for sample in samples]


def _with_reply(sample: Sample, reply: Reply | Exception) -> Sample:
    if isinstance(reply, Exception):
        return dataclasses.replace(sample, error=str(reply))
    if reply.finish == "length":
        error = "the reply was cut at its limit of tokens"
        return dataclasses.replace(sample, trace=reply.thinking, attempt="", error=error)
    if not reply.thinking:
        error = "the reply tells no thinking apart: serve it with a reasoning parser"
        return dataclasses.replace(sample, attempt=reply.text, error=error)
    return dataclasses.replace(sample, trace=reply.thinking, attempt=reply.text)
