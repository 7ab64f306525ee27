"""Decode, grade, record: one JSON line per sample, in shards that are never made twice.

    problems = {benchmark: load_benchmark(profile, benchmark)}
    for model in evaluated_models(profile):
        rows += await evaluate(model, profile, problems, directory=out / "shards")
    write_records(out / "records", rows)

All problems of a model, whatever the benchmark and method, are decoded side by side, so that a long
trace delays nobody. They are admitted in order, as many as the engine has rows, so that shards
finish one after the other and an interruption costs the unfinished ones alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from s1lib.chat import S1
from s1lib.evaluation.benchmarks import Problem
from s1lib.evaluation.evaluated_model import EvaluatedModel
from s1lib.evaluation.long_prompts import EvaluationThinker, say_unanswered
from s1lib.evaluation.methods import Method
from s1lib.evaluation.model_methods import methods_for
from s1lib.grading import grade_many
from s1lib.keeping.files import write_jsonl
from s1lib.keeping.hashes import hash_of
from s1lib.keeping.shards import METHODS_VERSION, shard_async
from s1lib.keeping.side_by_side import side_by_side, workers
from s1lib.profile import Benchmark, Profile

SHARD = 100  # problems of a shard


async def evaluate(
    model: EvaluatedModel,
    profile: Profile,
    benchmarks: Mapping[Benchmark, Sequence[Problem]],
    *,
    directory: Path | str,
    log: Callable[[str], None] = print,
) -> list[dict]:
    """Records of every method that the model gets, on every benchmark, in a fixed order.

    Closes the engine.
    """
    same = {"seed": profile.evaluation.seed, "directory": directory, "log": log}
    try:
        runs = [
            run_benchmark(model, benchmark, problems[: method.problems], method, **same)
            for benchmark, problems in benchmarks.items()
            for method in methods_for(profile, model.name, model.replica)
        ]
        return [row for rows in await _all(runs) for row in rows]
    finally:
        await model.aclose()


def decode(
    models: Iterable[EvaluatedModel],
    profile: Profile,
    benchmarks: Mapping[Benchmark, Sequence[Problem]],
    *,
    directory: Path | str,
    log: Callable[[str], None] = print,
) -> None:
    """Fill the shards of every model and benchmark side by side, for `evaluate` to read.

    That is for a CPU with several cores. Elsewhere nothing is done, because one engine has all of
    the machine then.
    """
    tasks = [
        (dataclasses.replace(model), profile, {benchmark: problems}, directory)  # nothing opened
        for model in models
        for benchmark, problems in benchmarks.items()
    ]
    number = min(workers(profile), len(tasks))
    if number > 1:
        for _ in side_by_side(_decode_one, tasks, workers=number, log=log):
            pass


def _decode_one(task: tuple, log: Callable[[str], None]) -> None:
    model, profile, benchmark, directory = task
    asyncio.run(evaluate(model, profile, benchmark, directory=directory, log=log))


async def run_benchmark(
    model: EvaluatedModel,
    benchmark: Benchmark,
    problems: Sequence[Problem],
    method: Method,
    *,
    seed: int,
    directory: Path | str,
    log: Callable[[str], None] = print,
) -> list[dict]:
    """Records of one method on one benchmark, in the order of `problems`.

    A shard that is finished under the same key (see `shard_key`) is read instead of decoded.
    """
    about = {"benchmark": benchmark.name, "role": benchmark.role}
    shared = {**about, "model": model.name, "seed": seed}
    replica = dataclasses.asdict(model.replica)

    async def part(start: int) -> list[dict]:
        some = problems[start : start + SHARD]
        name = f"{model.label}-{method.name}-{benchmark.name}-{start:05d}"
        key = shard_key(model, method, some, shared)

        async def make() -> list[dict]:
            rows = await _records(model, some, method, shared)
            say_unanswered(rows, name, log)
            return rows

        return await shard_async(directory, name, key, make, log=log)

    # All shards are under way at once: no slow problem of one holds up the next.
    shards = await _all(part(start) for start in range(0, len(problems), SHARD))
    # Which training it is stands in the shard's name, and its weights are in the key.
    return [{**shared, **replica, **row} for rows in shards for row in rows]


def shard_key(
    model: EvaluatedModel, method: Method, problems: Sequence[Problem], shared: dict
) -> str:
    """A key of all that decides a shard's records.

    That is the version of the code, the fields that the records share (the seed among them), the
    model (`hash_of_model`), how it thinks, what decodes it, the method with its parameters, the
    problems, and the ids of their prompts, which the chat template and the tokenizer decide.
    """
    decoding = (model.settings.kind, model.settings.dtype, model.settings.max_context)
    # With vLLM's batch invariance other problems in the batch no longer change the last digits.
    if model.settings.kind == "vllm" and os.environ.get("VLLM_BATCH_INVARIANT") == "1":
        decoding += ("batch invariant",)
    if model.chat.format != S1:
        decoding += (model.chat.format.name,)
    # Where a file lies (compare=False) decides nothing: moved outputs are not decoded again.
    parameters = {
        field.name: getattr(method, field.name)
        for field in dataclasses.fields(method)
        if field.compare
    }
    asked = [
        (dataclasses.asdict(problem), model.chat.prompt_ids(problem.question))
        for problem in problems
    ]
    return hash_of(METHODS_VERSION, shared, model.weights, decoding, parameters, asked)


async def _records(
    model: EvaluatedModel, problems: Sequence[Problem], method: Method, shared: dict
) -> list[dict]:
    async def decode(problem: Problem) -> list[dict]:
        async with model.places:
            thinker = EvaluationThinker(model.engine, model.chat)
            rows = await method(thinker, problem, seed=shared["seed"])
        about = {"kind": problem.kind, "problem_id": problem.id, "gold": problem.gold}
        return [{**shared, **about, **row, "engine": model.engine.name} for row in rows]

    rows = [row for rows in await _all(map(decode, problems)) for row in rows]

    # In a thread, so that other shards go on decoding.
    answers = [(row["answer"], row["gold"], row["kind"]) for row in rows]
    grades = await asyncio.to_thread(grade_many, answers)
    return [
        {**row, "extracted": grade.extracted, "read_by": grade.rule, "correct": grade.correct}
        for row, grade in zip(rows, grades, strict=True)
    ]


async def _all(work: Iterable) -> list:
    """Results in order. The first error ends the rest and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def write_records(directory: Path | str, rows: Iterable[dict]) -> list[Path]:
    """Write `rows` as directory/<benchmark>-<model>-<method>.jsonl, which `scaling` reads.

    Nothing else is left in the directory.
    """
    directory, group = Path(directory), itemgetter("benchmark", "model", "method")
    written = []
    # The sort is stable, so problems and samples keep their order.
    for names, some in groupby(sorted(rows, key=group), key=group):
        written.append(directory / f"{'-'.join(names)}.jsonl")
        write_jsonl(written[-1], some)
    for path in directory.iterdir():
        if path not in written:
            path.unlink()
    return written
