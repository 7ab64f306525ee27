"""The difficulty filter: drop every question that either base model answers (paper, section 2.2).

    tries = await attempts(engine, chat, samples, model=key, max_tokens=64, directory=out)
    tries = await judged(samples, tries, judge)
    hard = unsolved(samples, [tries_of_small, tries_of_large])

The models answer directly, as Instruct models do, and greedily (the paper sampled at a temperature
of 0.05). Answers that are mathematical or a choice are graded by program (`s1lib.grading`), the
rest by a judge (`s1lib.curation.judge`), where the paper asked Claude 3.5 Sonnet about all. What
nobody can grade is set aside, as the official scripts do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from s1lib.assistants.assistant import Assistant
from s1lib.chat import ChatFormat
from s1lib.curation.judge import verdicts_of
from s1lib.curation.pool import Sample
from s1lib.engines.protocol import Completion, Engine, Request
from s1lib.grading import extract_answer, grade_many
from s1lib.keeping.hashes import hash_of
from s1lib.keeping.shards import METHODS_VERSION, shard_async

# id, text, extracted, correct (None: not graded yet, or by nobody), tokens, finish ("stop",
# "length", or "context" for a question that the model's context has no room for: no answer).
Attempt = dict


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

    model: what identifies the weights (`s1lib.keeping.hashes.hash_of_model`). Finished shards of
    `shard_size` samples in `directory` are read instead of decoded. A shard is keyed by model,
    engine, limit and the questions in it. A question without room in the context is a wrong
    attempt, and is named in the log. Raises EngineError when the engine fails.
    """

    async def run(start: int) -> list[Attempt]:
        part = samples[start : start + shard_size]
        asked = [(sample.id, sample.question, sample.answer, sample.kind) for sample in part]
        key = hash_of(METHODS_VERSION, model, engine.name, max_tokens, asked)
        make = partial(_attempt_all, engine, chat, part, max_tokens)
        return await shard_async(directory, f"attempts-{start:06d}", key, make, log=log)

    # All shards are under way at once: no slow question of one holds up the next.
    shards = await asyncio.gather(*map(run, range(0, len(samples), shard_size)))
    rows = [row for rows in shards for row in rows]
    if outside := [row["id"] for row in rows if row["finish"] == "context"]:
        log(
            f"difficulty: {len(outside):,} of {len(rows):,} questions are longer than the context "
            f"of {engine.max_context:,} tokens and count as not answered: "
            f"{', '.join(outside[:5])}{', …' if len(outside) > 5 else ''}"
        )
    return rows


async def _attempt_all(
    engine: Engine, chat: ChatFormat, samples: Sequence[Sample], max_tokens: int
) -> list[Attempt]:
    async def complete(question: str) -> Completion | None:
        prompt = chat.prompt_ids(question, think=False)
        if len(prompt) >= engine.max_context:
            return None
        request = Request(prompt, max_tokens=max_tokens, stop=chat.answer_stops)
        return await engine.complete(request)

    # The engine batches what is asked for at the same time, and the whole shard is graded at once.
    completions = await asyncio.gather(*(complete(sample.question) for sample in samples))
    texts = [chat.decode(completion.ids) if completion else "" for completion in completions]
    grades = grade_by_program(samples, texts)
    return [
        {
            "id": sample.id,
            "text": text,
            "extracted": extracted,
            "correct": correct,
            "tokens": completion.decoded_tokens if completion else 0,
            "finish": completion.finish if completion else "context",
        }
        for sample, text, (extracted, correct), completion in zip(
            samples, texts, grades, completions, strict=True
        )
    ]


def grade_by_program(
    samples: Sequence[Sample], texts: Sequence[str]
) -> list[tuple[str | None, bool | None]]:
    """(extracted answer, correct) of one text per sample.

    Both are None where only a judge can tell (kind "open").
    """
    checkable = [
        (text, sample.answer, sample.kind)
        for text, sample in zip(texts, samples, strict=True)
        if sample.kind != "open"
    ]
    grades = ((grade.extracted, grade.correct) for grade in grade_many(checkable))
    return [(None, None) if sample.kind == "open" else next(grades) for sample in samples]


async def judged(
    samples: Sequence[Sample],
    tries: Sequence[Attempt],
    judge: Assistant | None,
    *,
    log: Callable[[str], None] = print,
) -> list[Attempt]:
    """`tries` with the judge's verdicts on what no program can grade.

    Without a judge, or without a reference answer, `correct` stays None. The log says how often.
    """
    by_id = {sample.id: sample for sample in samples}
    ungraded = [attempt for attempt in tries if attempt["correct"] is None]
    asked = [attempt for attempt in ungraded if by_id[attempt["id"]].answer] if judge else []

    # Set aside is neither right nor wrong, so it must not pass unseen.
    if len(ungraded) > len(asked):
        why = "they have no reference answer"
        if judge is None:
            why = f"curation.judge names no model, or {why}"
        aside = len(ungraded) - len(asked)
        log(f"difficulty: {aside:,} of {len(tries):,} attempts set aside: {why}")
    if not asked:
        return list(tries)

    items = []
    for attempt in asked:
        sample = by_id[attempt["id"]]
        items.append((sample.question, attempt["text"], sample.answer))
    found = await verdicts_of(judge, items, log=log)
    verdicts = {attempt["id"]: verdict for attempt, verdict in zip(asked, found, strict=True)}
    return [{**row, "correct": verdicts.get(row["id"], row["correct"])} for row in tries]


async def teacher_attempts(
    samples: Sequence[Sample], judge: Assistant | None, *, log: Callable[[str], None] = print
) -> list[Attempt]:
    """The teacher's own attempts, graded like the models'.

    An attempt that names no answer is an answer as a whole.
    """
    texts = [s.attempt if extract_answer(s.attempt) else f"Answer: {s.attempt}" for s in samples]
    rows = [
        {"id": sample.id, "text": text, "extracted": extracted, "correct": correct}
        for sample, text, (extracted, correct) in zip(
            samples, texts, grade_by_program(samples, texts), strict=True
        )
    ]
    return await judged(samples, rows, judge, log=log)


def solved_by(tries: Sequence[Attempt]) -> set[str]:
    """Ids of the attempts that are right."""
    return {attempt["id"] for attempt in tries if attempt["correct"]}


def unsolved(samples: Sequence[Sample], tries: Sequence[Sequence[Attempt]]) -> list[Sample]:
    """The samples that every model's attempt was graded wrong on.

    tries: one list of attempts per model.
    """
    out = {row["id"] for of_model in tries for row in of_model if row["correct"] is not False}
    return [sample for sample in samples if sample.id not in out]


def accuracy(samples: Sequence[Sample], tries: Mapping[str, Sequence[Attempt]]) -> pd.DataFrame:
    """Share of each domain's questions that each model answers, in % of those graded.

    tries: attempts by the model's name. The last row is the whole pool.
    """
    frame = pd.DataFrame({"domain": [sample.domain for sample in samples]})
    for model, of_model in tries.items():
        percent = {
            attempt["id"]: None if attempt["correct"] is None else 100.0 * attempt["correct"]
            for attempt in of_model
        }
        column = pd.array([percent[sample.id] for sample in samples], dtype="Float64")
        frame[model] = column.astype(float)
    columns = {"questions": ("domain", "size"), **{model: (model, "mean") for model in tries}}
    by_domain = frame.groupby("domain").agg(**columns)
    whole = frame.assign(domain="all").groupby("domain").agg(**columns)
    return pd.concat([by_domain, whole]).reset_index()


def examples(samples: Sequence[Sample], tries: Sequence[Attempt]) -> pd.DataFrame:
    """The first two attempts of each verdict beside question and gold answer.

    What nobody graded is left out. Texts are cut at 500 characters.
    """
    columns = ["question", "text", "extracted", "answer", "correct", "finish"]
    by_id = {sample.id: sample for sample in samples}
    rows = []
    for attempt in tries:
        sample = by_id[attempt["id"]]
        rows.append({**attempt, "question": sample.question, "answer": sample.answer})
    shown = pd.DataFrame(rows, columns=columns).groupby("correct").head(2)
    return shown.map(lambda cell: str(cell)[:500])
