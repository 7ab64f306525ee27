"""The difficulty filter (paper, section 2.2): drop every question that either base model answers correctly.

    tries = await attempts(engine, chat, samples, model=hash_of_model(path), max_tokens=64, directory=out / "attempts")
    tries = await judged(samples, tries, judge)
    hard = unsolved(samples, [tries_of_small, tries_of_large])

The models answer directly, as Instruct models do, and greedily (the paper sampled at a temperature of 0.05). Grading
is by program (`s1lib.grading`) where the answer is mathematical or a choice, and by a judge (`s1lib.curation.judge`) for the
rest; the paper asked Claude 3.5 Sonnet about all. What nobody can grade is set aside, as the official scripts do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from s1lib.assistants.assistant import Assistant
from s1lib.chat import ChatFormat
from s1lib.curation.judge import verdicts_of
from s1lib.curation.pool import Sample
from s1lib.engines.protocol import Completion, Engine, EngineError, Request
from s1lib.grading import extract_answer, grade_many
from s1lib.keeping.hashes import hash_of
from s1lib.keeping.shards import shard_async

Attempt = dict  # id, text, extracted, correct (None: not graded yet, or by nobody), tokens, finish ("stop" | "length")


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
    async def complete(question: str) -> Completion:
        try:
            prompt = chat.prompt_ids(question, think=False)
            return await engine.complete(Request(prompt, max_tokens=max_tokens, stop=chat.answer_stops))
        except EngineError:  # a question longer than the context is not answered
            return Completion([], "length")

    completions = await asyncio.gather(*(complete(sample.question) for sample in samples))
    texts = [chat.decode(completion.ids) for completion in completions]
    grades = grade_by_program(samples, texts)
    return [
        {"id": s.id, "text": text, "extracted": found, "correct": correct, "tokens": c.decoded_tokens, "finish": c.finish}
        for s, text, (found, correct), c in zip(samples, texts, grades, completions, strict=True)
    ]


def grade_by_program(samples: Sequence[Sample], texts: Sequence[str]) -> list[tuple[str | None, bool | None]]:
    """(extracted answer, correct) of one text per sample; correct is None where only a judge can tell (kind "open")."""
    checkable = [(text, s.answer, s.kind) for text, s in zip(texts, samples, strict=True) if s.kind != "open"]
    grades = iter(grade_many(checkable))
    return [(None, None) if s.kind == "open" else ((g := next(grades)).extracted, g.correct) for s in samples]


async def judged(
    samples: Sequence[Sample], tries: Sequence[Attempt], judge: Assistant | None, *, log: Callable[[str], None] = print
) -> list[Attempt]:
    """`tries` with the judge's verdicts on what no program can grade; without a judge, or a reference answer, it stays None."""
    by_id = {sample.id: sample for sample in samples}
    open_ = [attempt for attempt in tries if attempt["correct"] is None]
    asked = [attempt for attempt in open_ if by_id[attempt["id"]].answer] if judge else []
    if len(open_) > len(asked):
        why = "they have no reference answer" if judge else "curation.judge names no model, or they have no reference answer"
        log(f"difficulty: {len(open_) - len(asked):,} of {len(tries):,} attempts set aside: {why}")
    items = [(by_id[attempt["id"]].question, attempt["text"], by_id[attempt["id"]].answer) for attempt in asked]
    verdicts = dict(zip((attempt["id"] for attempt in asked), await verdicts_of(judge, items, log=log) if asked else (), strict=True))
    return [{**attempt, "correct": verdicts.get(attempt["id"], attempt["correct"])} for attempt in tries]


async def teacher_attempts(samples: Sequence[Sample], judge: Assistant | None, *, log: Callable[[str], None] = print) -> list[Attempt]:
    """The teacher's own attempts, graded like the models'; an attempt that names no answer is one as a whole."""
    texts = [s.attempt if extract_answer(s.attempt) else f"Answer: {s.attempt}" for s in samples]
    graded = zip(samples, texts, grade_by_program(samples, texts), strict=True)
    rows = [{"id": s.id, "text": text, "extracted": found, "correct": correct} for s, text, (found, correct) in graded]
    return await judged(samples, rows, judge, log=log)


def solved_by(tries: Sequence[Attempt]) -> set[str]:
    """Ids of the attempts that are right."""
    return {attempt["id"] for attempt in tries if attempt["correct"]}


def unsolved(samples: Sequence[Sample], tries: Sequence[Sequence[Attempt]]) -> list[Sample]:
    """The samples that every model's attempt was graded wrong on; `tries` holds one list of attempts per model."""
    out = {attempt["id"] for of_model in tries for attempt in of_model if attempt["correct"] is not False}
    return [sample for sample in samples if sample.id not in out]


def accuracy(samples: Sequence[Sample], tries: Mapping[str, Sequence[Attempt]]) -> pd.DataFrame:
    """Share of each domain's questions that each model answers, in % of those graded; the last row is the whole pool."""
    frame = pd.DataFrame({"domain": [sample.domain for sample in samples]})
    for model, of_model in tries.items():
        correct = {attempt["id"]: None if attempt["correct"] is None else 100.0 * attempt["correct"] for attempt in of_model}
        frame[model] = pd.array([correct[sample.id] for sample in samples], dtype="Float64").astype(float)
    columns = {"questions": ("domain", "size"), **{model: (model, "mean") for model in tries}}
    return pd.concat([frame.groupby("domain").agg(**columns), frame.assign(domain="all").groupby("domain").agg(**columns)]).reset_index()
