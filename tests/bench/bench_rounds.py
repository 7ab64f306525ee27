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
from s1lib.profile import load_profile
from s1lib.thinking.budget import Budget, Trace
from s1lib.thinking.thinker import Thinker


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


async def compare(*, waits: int = 4, problems: int = 200) -> None:
    profile = load_profile("toy")
    require_manifest(profile.outputs / "02_sft")
    torch.set_num_threads(profile.threads)
    settings = profile.evaluation
    budget = Budget(
        max_thinking=settings.max_thinking, waits=waits, answer_tokens=settings.answer_tokens
    )
    questions = [
        problem.question for problem in load_benchmark(profile, settings.benchmarks[1])[:problems]
    ]
    seconds, traces = {}, {}
    for way in ("rounds", "asynchronous"):
        engine = open_engine(str(profile.outputs / "02_sft" / "models" / "s1"), profile.engine)
        chat, start = ChatFormat(engine.tokenizer), time.perf_counter()
        asked = Rounds(engine, len(questions)) if way == "rounds" else engine

        async def one(question: str, asked=asked, chat=chat) -> Trace:
            trace = await Thinker(asked, chat).force(question, budget)
            if isinstance(asked, Rounds):
                asked.leave()
            return trace

        traces[way] = [
            (trace.thinking_ids, trace.answer_ids)
            for trace in await asyncio.gather(*map(one, questions))
        ]
        seconds[way] = time.perf_counter() - start
        await engine.aclose()
    equal = sum(a == b for a, b in zip(*traces.values(), strict=True)) / len(questions)
    print(
        f"{settings.benchmarks[1].name}, {len(questions)} problems, {waits} Waits, "
        f"{profile.engine.max_rows} rows: "
        f"rounds {seconds['rounds']:.1f} s, asynchronous {seconds['asynchronous']:.1f} s, "
        f"time x {seconds['asynchronous'] / seconds['rounds']:.2f}; equal traces {equal:.1%}"
    )


def main() -> None:
    asyncio.run(compare())


if __name__ == "__main__":
    main()
