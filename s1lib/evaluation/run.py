"""Decode, grade, record: one JSON line per sample, in shards that are never made twice.

    subject = Subject("s1", profile.stage("02_sft") / "models" / "s1", profile.engine)
    rows = await evaluate(subject, profile, {benchmark: load_benchmark(profile, benchmark)}, directory=out / "shards")
    write_records(out / "records", rows)

All problems of a model, whatever the benchmark and method, are decoded side by side: a long trace delays nobody. They
are admitted in order, as many as the engine has rows, so that shards finish one after the other and an interruption
costs the unfinished ones alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from s1lib.chat import ChatFormat
from s1lib.engines import Engine, open_engine
from s1lib.evaluation.benchmarks import Problem
from s1lib.evaluation.methods import Method, plan
from s1lib.grading import grade_many
from s1lib.keeping.files import write_jsonl
from s1lib.keeping.hashes import hash_of, hash_of_model
from s1lib.keeping.shards import shard_async
from s1lib.keeping.side_by_side import side_by_side, workers
from s1lib.profile import Benchmark, EngineSettings, Profile, split_revision

SHARD = 100  # problems


@dataclasses.dataclass
class Subject:
    """A model under evaluation: its name in the records and its checkpoint. The engine is opened when something must be decoded."""

    name: str
    path: str | Path
    settings: EngineSettings

    @cached_property
    def weights(self) -> str:
        return hash_of_model(str(self.path))

    @cached_property
    def engine(self) -> Engine:
        return open_engine(self.path, self.settings)

    @cached_property
    def chat(self) -> ChatFormat:
        from transformers import AutoTokenizer

        name, revision = split_revision(str(self.path))
        return ChatFormat(AutoTokenizer.from_pretrained(name, revision=revision))

    @cached_property
    def places(self) -> asyncio.Semaphore:
        """How many problems are under way at a time."""
        return asyncio.Semaphore(self.settings.max_rows)

    async def aclose(self) -> None:
        if "engine" in self.__dict__:
            await self.engine.aclose()


async def evaluate(
    subject: Subject,
    profile: Profile,
    benchmarks: Mapping[Benchmark, Sequence[Problem]],
    *,
    directory: Path | str,
    log: Callable[[str], None] = print,
) -> list[dict]:
    """Every method that `plan` gives the model, on every benchmark; records in a fixed order. Closes the engine."""
    try:
        same = {"seed": profile.evaluation.seed, "directory": directory, "log": log}
        runs = [
            run_benchmark(subject, benchmark, problems[: method.problems], method, **same)
            for benchmark, problems in benchmarks.items()
            for method in plan(profile, subject.name)
        ]
        return [row for rows in await _all(runs) for row in rows]
    finally:
        await subject.aclose()


def decode(
    models: Mapping[str, str | Path],
    profile: Profile,
    benchmarks: Mapping[Benchmark, Sequence[Problem]],
    *,
    directory: Path | str,
    log: Callable[[str], None] = print,
) -> None:
    """On a CPU with several cores: fill the shards of every model and benchmark side by side, for `evaluate` to read.

    Elsewhere nothing is done: one engine has all of the machine then.
    """
    tasks = [
        (name, path, profile, benchmark, problems, directory) for name, path in models.items() for benchmark, problems in benchmarks.items()
    ]
    number = min(workers(profile), len(tasks))
    if number > 1:
        for _ in side_by_side(_decode_one, tasks, workers=number, log=log):
            pass


def _decode_one(task: tuple, log: Callable[[str], None]) -> None:
    name, path, profile, benchmark, problems, directory = task
    asyncio.run(evaluate(Subject(name, path, profile.engine), profile, {benchmark: problems}, directory=directory, log=log))


async def run_benchmark(
    subject: Subject,
    benchmark: Benchmark,
    problems: Sequence[Problem],
    method: Method,
    *,
    seed: int,
    directory: Path | str,
    log: Callable[[str], None] = print,
) -> list[dict]:
    """Records of one method on one benchmark, in the order of `problems`.

    A shard is keyed by the weights, what decodes them, the method with its parameters, the seed and its problems; a
    finished one is read instead of decoded.
    """
    decoding = (subject.settings.kind, subject.settings.dtype, subject.settings.max_context)
    if subject.settings.kind == "vllm" and os.environ.get("VLLM_BATCH_INVARIANT") == "1":
        decoding += ("batch invariant",)

    async def part(start: int) -> list[dict]:
        some = problems[start : start + SHARD]
        shared = {"benchmark": benchmark.name, "role": benchmark.role, "model": subject.name, "seed": seed}
        key = hash_of(shared, subject.weights, decoding, method, [dataclasses.asdict(problem) for problem in some])
        name = f"{subject.name}-{method.name}-{benchmark.name}-{start:05d}"
        return await shard_async(directory, name, key, lambda: _records(subject, some, method, shared), log=log)

    return [row for rows in await _all(part(start) for start in range(0, len(problems), SHARD)) for row in rows]


async def _records(subject: Subject, problems: Sequence[Problem], method: Method, shared: dict) -> list[dict]:
    async def decode(problem: Problem) -> list[dict]:
        async with subject.places:
            rows = await method(subject.engine, subject.chat, problem, seed=shared["seed"])
        about = {"kind": problem.kind, "problem_id": problem.id, "gold": problem.gold}
        return [{**shared, **about, **row, "engine": subject.engine.name} for row in rows]

    rows = [row for rows in await _all(map(decode, problems)) for row in rows]
    grades = await asyncio.to_thread(grade_many, [(row["answer"], row["gold"], row["kind"]) for row in rows])
    return [{**row, "extracted": grade.extracted, "correct": grade.correct} for row, grade in zip(rows, grades, strict=True)]


async def _all(work: Iterable) -> list:
    """Results in order; the first error ends the rest and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def write_records(directory: Path | str, rows: Iterable[dict]) -> list[Path]:
    """`rows` as directory/<benchmark>-<model>-<method>.jsonl, and nothing else in there: what `scaling` reads."""
    directory, group = Path(directory), itemgetter("benchmark", "model", "method")
    written = []
    for names, some in groupby(sorted(rows, key=group), key=group):  # a stable sort: problems and samples keep their order
        written.append(directory / f"{'-'.join(names)}.jsonl")
        write_jsonl(written[-1], some)
    for path in directory.iterdir():
        if path not in written:
            path.unlink()
    return written
