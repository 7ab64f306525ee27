"""The difficulty filter (paper, section 2.2): drop every question that either base model answers correctly.

    tries = await attempts(engine, chat, samples, model=hash_of_model(path), max_tokens=64, directory=out / "attempts")
    hard = unsolved(samples, [tries_of_small, tries_of_large])

The models answer directly, as Instruct models do, and greedily (the paper sampled at a temperature of 0.05). Grading
is by program (`s1lib.grading`) where the paper asked Claude 3.5 Sonnet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from s1lib.artifacts import hash_of, shard_async
from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.engines.protocol import Engine
from s1lib.grading import grade_many

Attempt = dict  # id, text, extracted, correct, tokens, finish ("stop" | "length")


async def attempts(
    engine: Engine,
    chat: ChatFormat,
    samples: Sequence[Sample],
    *,
    model: str,
    max_tokens: int,
    directory: Path | str,
    shard_size: int = 500,
    log: Callable[[str], None] = print,
) -> list[Attempt]:
    """One graded attempt per sample, of at most `max_tokens` tokens, in the order of `samples`.

    model: what identifies the weights (`artifacts.hash_of_model`). Finished shards of `shard_size` samples in `directory`
    are read instead of decoded; a shard is keyed by model, engine, limit and the questions in it.
    """

    async def run(start: int) -> list[Attempt]:
        part = samples[start : start + shard_size]
        key = hash_of(model, engine.name, max_tokens, [(s.id, s.question, s.answer, s.kind) for s in part])
        return await shard_async(directory, f"attempts-{start:06d}", key, lambda: _attempt_all(engine, chat, part, max_tokens), log=log)

    # All shards are under way at once: no slow question of one holds up the next.
    return [row for rows in await asyncio.gather(*map(run, range(0, len(samples), shard_size))) for row in rows]


async def _attempt_all(engine: Engine, chat: ChatFormat, samples: Sequence[Sample], max_tokens: int) -> list[Attempt]:
    completions = await asyncio.gather(
        *(engine.complete(chat.prompt_ids(s.question, think=False), max_tokens=max_tokens, stop=chat.answer_stops) for s in samples)
    )
    texts = [chat.decode(completion.ids) for completion in completions]
    grades = grade_many([(text, sample.answer, sample.kind) for text, sample in zip(texts, samples, strict=True)])
    return [
        {"id": s.id, "text": text, "extracted": grade.extracted, "correct": grade.correct, "tokens": c.decoded_tokens, "finish": c.finish}
        for s, text, grade, c in zip(samples, texts, grades, completions, strict=True)
    ]


def unsolved(samples: Sequence[Sample], tries: Sequence[Sequence[Attempt]]) -> list[Sample]:
    """The samples that no model answered correctly; `tries` holds one list of attempts per model."""
    solved = {attempt["id"] for of_model in tries for attempt in of_model if attempt["correct"]}
    return [sample for sample in samples if sample.id not in solved]


def accuracy(samples: Sequence[Sample], tries: Mapping[str, Sequence[Attempt]]) -> pd.DataFrame:
    """Share of each domain's questions that each model answers, in %; the last row is the whole pool."""
    frame = pd.DataFrame({"domain": [sample.domain for sample in samples]})
    for model, of_model in tries.items():
        correct = {attempt["id"]: 100.0 * attempt["correct"] for attempt in of_model}
        frame[model] = [correct[sample.id] for sample in samples]
    columns = {"questions": ("domain", "size"), **{model: (model, "mean") for model in tries}}
    return pd.concat([frame.groupby("domain").agg(**columns), frame.assign(domain="all").groupby("domain").agg(**columns)]).reset_index()
