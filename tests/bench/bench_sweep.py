"""One-pass sweep beside one run per point, as in the official evaluation: tokens and seconds.

python -m tests.bench sweep            # needs the s1 model of `make reproduce`
"""

from __future__ import annotations

import asyncio
import time

import torch

from s1lib.chat import ChatFormat
from s1lib.engines import open_engine
from s1lib.evaluation.benchmarks import load_benchmark
from s1lib.keeping.manifests import require_manifest
from s1lib.profile import load_profile
from s1lib.thinking.sweep import grid, sweep
from s1lib.thinking.thinker import Thinker

PROBLEMS = 200  # of each benchmark; with few, the engine's rows are not full at the end of one pass


async def compare() -> None:
    profile = load_profile("toy")
    require_manifest(profile.outputs / "02_sft")
    torch.set_num_threads(profile.threads)
    settings = profile.evaluation
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
        questions = [problem.question for problem in load_benchmark(profile, benchmark)[:PROBLEMS]]
        found, cost = {}, {}
        for way in ("separate", "one pass"):
            engine = open_engine(str(profile.outputs / "02_sft" / "models" / "s1"), profile.engine)
            thinker = Thinker(engine, ChatFormat(engine.tokenizer))
            start = time.perf_counter()
            if way == "separate":
                traces = [
                    await asyncio.gather(
                        *(thinker.force(question, point) for question in questions)
                    )
                    for point in points
                ]
            else:
                swept = await asyncio.gather(
                    *(sweep(thinker, question, points) for question in questions)
                )
                traces = [[traces[point] for traces in swept] for point in points]
            cost[way] = (engine.decoded_tokens, time.perf_counter() - start)
            found[way] = [(trace.thinking_ids, trace.answer_ids) for run in traces for trace in run]
            await engine.aclose()
        (tokens, seconds), (once_tokens, once_seconds) = cost["separate"], cost["one pass"]
        pairs = list(zip(found["separate"], found["one pass"], strict=True))
        equal = sum(a == b for a, b in pairs) / len(pairs)
        print(
            f"{benchmark.name}: separate runs {tokens:,} tokens in {seconds:.1f} s, "
            f"one pass {once_tokens:,} in {once_seconds:.1f} s; "
            f"tokens x {once_tokens / tokens:.2f}, time x {once_seconds / seconds:.2f}; "
            f"equal traces {equal:.1%}"
        )


def main() -> None:
    asyncio.run(compare())


if __name__ == "__main__":
    main()
