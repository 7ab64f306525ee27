"""One-pass sweep beside one run per point, as in the official evaluation: tokens and seconds.

python -m tests.bench sweep            # needs the s1 model of `make reproduce`
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import torch

from s1lib.chat import ChatFormat
from s1lib.engines import open_engine
from s1lib.evaluation.benchmarks import load_benchmark
from s1lib.keeping.manifests import require_manifest
from s1lib.profile import Profile, load_profile
from s1lib.thinking.budget import Budget
from s1lib.thinking.sweep import grid, sweep
from s1lib.thinking.thinker import Thinker

PROBLEMS = 200  # of each benchmark; with few, the engine's rows are not full at the end of one pass
TURNS = (20, PROBLEMS, PROBLEMS)  # problems of each turn; the first warms both ways up


@dataclass(frozen=True)
class Run:
    """One way's seconds, tokens, and the thinking and answers of all points and questions."""

    seconds: float
    tokens: int
    ids: list[tuple[list[int], list[int]]]


async def decoded(way: str, profile: Profile, questions: list[str], points: list[Budget]) -> Run:
    """Every point of the sweep on every question, point by point or in one pass."""
    engine = open_engine(str(profile.outputs / "02_sft" / "models" / "s1"), profile.engine)
    thinker = Thinker(engine, ChatFormat(engine.tokenizer))
    start = time.perf_counter()
    if way == "separate":
        traces = [
            await asyncio.gather(*(thinker.force(question, point) for question in questions))
            for point in points
        ]
    else:
        swept = await asyncio.gather(*(sweep(thinker, question, points) for question in questions))
        traces = [[traces[point] for traces in swept] for point in points]
    seconds = time.perf_counter() - start
    await engine.aclose()
    ids = [(trace.thinking_ids, trace.answer_ids) for run in traces for trace in run]
    return Run(seconds, engine.decoded_tokens, ids)


async def compare() -> dict[str, float]:
    profile = load_profile("toy")
    require_manifest(profile.outputs / "02_sft")
    torch.set_num_threads(profile.threads)
    settings, ratios = profile.evaluation, {}
    points = grid(
        settings.budgets,
        settings.waits,
        max_thinking=settings.max_thinking,
        answer_tokens=settings.answer_tokens,
    )
    print(
        f"{len(points)} points: budgets {settings.budgets}, none, and Waits {settings.waits}; "
        f"greedy; {PROBLEMS} problems each"
    )
    for benchmark in settings.benchmarks:
        questions = [problem.question for problem in load_benchmark(profile, benchmark)]
        # In turns, so that whatever else the machine does falls on both.
        runs: dict[str, list[Run]] = {"separate": [], "one pass": []}
        for problems in TURNS:
            for way, done in runs.items():
                done.append(await decoded(way, profile, questions[:problems], points))
        apart, once = (min(done[1:], key=lambda run: run.seconds) for done in runs.values())
        equal = sum(a == b for a, b in zip(apart.ids, once.ids, strict=True)) / len(once.ids)
        tokens, seconds = once.tokens / apart.tokens, once.seconds / apart.seconds
        print(
            f"{benchmark.name}: separate runs {apart.tokens:,} tokens in {apart.seconds:.1f} s, "
            f"one pass {once.tokens:,} in {once.seconds:.1f} s; "
            f"tokens x {tokens:.2f}, time x {seconds:.2f}; equal traces {equal:.1%}",
            flush=True,
        )
        ratios |= {f"{benchmark.name}, tokens": tokens, f"{benchmark.name}, time": seconds}
    return ratios


def main() -> dict[str, float]:
    return asyncio.run(compare())


if __name__ == "__main__":
    main()
