"""Asynchronous continuation beside rounds with a barrier: seconds, from one run.

python -m tests.bench rounds            # needs the s1 model of `make reproduce`

Both do the same requests on the same engine. With a barrier, as in the official evaluation of N
Waits, nobody goes on before all have come to their stop.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import torch

from s1lib.chat import ChatFormat
from s1lib.engines import Completion, Engine, open_engine
from s1lib.engines.protocol import Request
from s1lib.evaluation.benchmarks import load_benchmark
from s1lib.keeping.manifests import require_manifest
from s1lib.profile import Profile, load_profile
from s1lib.thinking.budget import Budget, Trace
from s1lib.thinking.thinker import Thinker

WAITS = 4
TURNS = (20, 200, 200)  # problems of each turn; the first warms both ways up


@dataclass
class Rounds:
    """Passes requests on when all `active` problems have made theirs; answers when all are done."""

    engine: Engine
    active: int
    waiting: list[tuple[Request, asyncio.Future]] = field(default_factory=list)
    round: asyncio.Future | None = None

    @property
    def max_context(self) -> int:
        return self.engine.max_context

    async def complete(self, request: Request) -> Completion:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((request, future))
        self._go_if_complete()
        return await future

    def leave(self) -> None:
        self.active -= 1
        self._go_if_complete()

    def _go_if_complete(self) -> None:
        if self.waiting and len(self.waiting) == self.active:
            self.round = asyncio.ensure_future(self._round())

    async def _round(self) -> None:
        some, self.waiting = self.waiting, []
        done = await asyncio.gather(*(self.engine.complete(request) for request, _ in some))
        for (_, future), completion in zip(some, done, strict=True):
            future.set_result(completion)


async def forced(way: str, profile: Profile, questions: list[str]) -> tuple[float, list]:
    """Seconds to think about all questions with WAITS Waits, and what came of it."""
    settings = profile.evaluation
    budget = Budget(
        max_thinking=settings.max_thinking, waits=WAITS, answer_tokens=settings.answer_tokens
    )
    engine = open_engine(str(profile.outputs / "02_sft" / "models" / "s1"), profile.engine)
    chat, start = ChatFormat(engine.tokenizer), time.perf_counter()
    asked = Rounds(engine, len(questions)) if way == "rounds" else engine

    async def one(question: str) -> Trace:
        trace = await Thinker(asked, chat).force(question, budget)
        if isinstance(asked, Rounds):
            asked.leave()
        return trace

    traces = await asyncio.gather(*map(one, questions))
    seconds = time.perf_counter() - start
    await engine.aclose()
    return seconds, [(trace.thinking_ids, trace.answer_ids) for trace in traces]


async def compare() -> dict[str, float]:
    profile = load_profile("toy")
    require_manifest(profile.outputs / "02_sft")
    torch.set_num_threads(profile.threads)
    benchmark = profile.evaluation.benchmarks[1]
    questions = [problem.question for problem in load_benchmark(profile, benchmark)]

    # In turns, so that whatever else the machine does falls on both.
    runs: dict[str, list] = {"rounds": [], "asynchronous": []}
    for problems in TURNS:
        for way, done in runs.items():
            done.append(await forced(way, profile, questions[:problems]))
    (seconds, traces), (ahead, same) = (min(done[1:]) for done in runs.values())
    equal = sum(a == b for a, b in zip(traces, same, strict=True)) / len(same)
    print(
        f"{benchmark.name}, {len(same)} problems, {WAITS} Waits, {profile.engine.max_rows} rows: "
        f"rounds {seconds:.1f} s, asynchronous {ahead:.1f} s, "
        f"time x {ahead / seconds:.2f}; equal traces {equal:.1%}"
    )
    return {"time": ahead / seconds}


def main() -> dict[str, float]:
    return asyncio.run(compare())


if __name__ == "__main__":
    main()
