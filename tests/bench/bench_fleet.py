"""A fleet of servers: does throughput scale with replicas, is anything lost or doubled by a death?

    make bench BENCH=fleet

The servers answer over HTTP as tests/fake_server.py does, without a model: each decodes ROWS
requests at a time and takes a fixed time per token, so that two cores can play four machines. What
is measured is ServerEngine: how it spreads requests, and what it does when a server dies. Every
prompt has an answer of its own, so a lost, doubled or exchanged one is seen.

Last comes the arithmetic of docs/h100.md: notebook 04 of profile h100 on 1, 2 and 4 nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

# Fake_server lies beside the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fake_server import FakeServer
from transformers import Qwen2Config

from s1lib.engines.protocol import Request
from s1lib.engines.server_engine import ServerEngine
from s1lib.gpu_check.timed_decoding import random_prompts
from s1lib.hardware.memory_plan import GPU
from s1lib.planning.run_plan import in_words, total_hours
from s1lib.planning.workload import Machine, workload
from s1lib.profile import load_profile
from s1lib.toy.tokenizer import build_tokenizer

REQUESTS, ROWS = 500, 16
PER_TOKEN = 0.03  # seconds
SHORTEST, LONGEST = 20, 60  # tokens of an answer
FLEETS = (1, 2, 4)  # replicas


class TimedServer(FakeServer):
    """A server without a model: ROWS requests at a time, PER_TOKEN seconds a token."""

    max_context = 512

    def __enter__(self) -> TimedServer:
        self.engine = self  # whose max_context the server tells
        self.finished = 0
        self._rows = asyncio.Semaphore(ROWS)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.start()
        return self

    async def aclose(self) -> None:
        """Nothing to free."""

    async def _complete(self, request: dict) -> list[int]:
        async with self._rows:
            ids = answer_to(request["prompt"])[: request["max_tokens"]]
            await asyncio.sleep(PER_TOKEN * len(ids))
            self.finished += 1
            return ids


def answer_to(prompt: Sequence[int]) -> list[int]:
    """The ids that a server answers a prompt with: the prompt's own, in reverse, of its length."""
    return list(prompt[::-1])


@contextlib.contextmanager
def fleet(directory: Path, replicas: int) -> Iterator[list[TimedServer]]:
    """So many servers of the model in `directory`."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(TimedServer(directory)) for _ in range(replicas)]


async def ask(servers: list[TimedServer], requests: int, *, killed: int = 0) -> float:
    """Seconds until all requests are answered, each with its own answer and once.

    killed: how many of the servers die when a quarter of the answers are there.
    """
    urls = [server.url for server in servers]
    engine = ServerEngine.connect(
        servers[0].directory, urls=urls, max_rows=ROWS, max_context=TimedServer.max_context
    )
    lengths = [SHORTEST + number % (LONGEST - SHORTEST + 1) for number in range(requests)]
    prompts = [random_prompts(1, length, engine.vocab_size, seed=length)[0] for length in lengths]
    answered = 0

    async def one(prompt: list[int]) -> None:
        nonlocal answered
        done = await engine.complete(Request(prompt, max_tokens=len(prompt)))
        assert done.ids == answer_to(prompt), "another request's answer"
        answered += 1
        if killed and answered == requests // 4:
            for server in servers[:killed]:
                await asyncio.to_thread(server.kill)

    start = time.perf_counter()
    await asyncio.gather(*map(one, prompts))
    seconds = time.perf_counter() - start
    assert answered == requests and engine.decoded_tokens == sum(lengths), "lost or doubled"
    await engine.aclose()
    return seconds


def throughput(directory: Path) -> dict[str, float]:
    """Requests/s of every fleet beside one server, and of the largest when one of it dies."""
    speeds: dict[str, float] = {}
    for replicas in FLEETS:
        with fleet(directory, replicas) as servers:
            asyncio.run(ask(servers, 2 * ROWS))  # which warms it up and is not counted
            speeds[f"{replicas} replicas"] = REQUESTS / asyncio.run(ask(servers, REQUESTS))
    with fleet(directory, FLEETS[-1]) as servers:
        seconds = asyncio.run(ask(servers, REQUESTS, killed=1))
        speeds[f"{FLEETS[-1]} replicas, one killed"] = REQUESTS / seconds
        asked = sum(len(server.requests) for server in servers) - len(servers)  # connecting is one
    alone = speeds["1 replicas"]
    for name, speed in speeds.items():
        print(f"{name}: {speed:.0f} requests/s, ratio {speed / alone:.2f}")
    print(
        f"all {REQUESTS} answered once and rightly; {asked - REQUESTS} were asked again, which the "
        "killed server had under way"
    )
    return {name: speed / alone for name, speed in speeds.items() if speed != alone}


def nodes_table() -> str:
    """Hours of notebook 04 of profile h100 on 1, 2 and 4 nodes of 8 GPUs, as `s1 plan` has them."""
    profile = load_profile("h100")
    rows = ["| nodes | replicas of 4 GPUs | models and methods | rewards of tree search |"]
    rows.append("|---|---|---|---|")
    for nodes in (1, 2, 4):
        urls = tuple(f"http://node{number // 2}:{8000 + number % 2}" for number in range(2 * nodes))
        engine = dataclasses.replace(profile.engine, kind="server", urls=urls)
        spread = dataclasses.replace(profile, engine=engine)
        work = workload(spread, Machine(8 * nodes, GPU))
        ours = [one for one in work if one.notebook == "04_evaluation"]
        # The reward model reads and decodes nothing.
        decoding, rewards = (
            in_words(total_hours([one for one in ours if bool(one.decoded) == decodes]))
            for decodes in (True, False)
        )
        rows.append(f"| {nodes} | {len(urls)} | {decoding} | {rewards} |")
    return "\n".join(rows)


def main() -> dict[str, float]:
    tokenizer = build_tokenizer()
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save_pretrained(directory)
        Qwen2Config(vocab_size=len(tokenizer)).save_pretrained(directory)
        ratios = throughput(Path(directory))
    print(f"\n{nodes_table()}")
    return ratios


if __name__ == "__main__":
    main()
