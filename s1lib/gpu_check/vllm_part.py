"""Does vLLM work here with our settings: load, decode, a sweep on cached prefixes, memory back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch

from s1lib.chat import ChatFormat
from s1lib.engines import Engine, open_engine
from s1lib.gpu_check.check_report import Figure, NotRunError
from s1lib.gpu_check.random_models import TINY, save_random_model
from s1lib.gpu_check.timed_decoding import decode, random_prompts
from s1lib.hardware.memory_trackers import GIB
from s1lib.profile import EngineSettings
from s1lib.thinking.sweep import grid, sweep
from s1lib.thinking.thinker import Thinker

SHAPES = {"cuda": "1.5B", "cpu": TINY}
ROWS, CONTEXT = {"cuda": 64, "cpu": 8}, 1024
PROMPT, ANSWER = 200, 128  # tokens
BUDGETS, WAITS, THINKING = (32, 64, 128), (1, 2), 192  # of the sweep
PROBLEMS = 8
TO_END = 20  # seconds that vLLM's processes have to end
LEFT = 1.0  # GiB of the GPU that may stay taken: this process's own context


class CachedPrompts:
    """Stands before vLLM's `generate` and counts the prompts' tokens, and those it had cached."""

    def __init__(self, llm: Any) -> None:
        self.tokens = self.cached = 0
        self._generate, llm.generate = llm.generate, self

    async def __call__(self, prompt: Any, *arguments: Any) -> AsyncIterator[Any]:
        async for output in self._generate(prompt, *arguments):
            self.tokens += len(prompt["prompt_token_ids"])
            self.cached += output.num_cached_tokens or 0
            yield output


def measure(device: str) -> Iterator[Figure]:
    """Loading, decoding, a sweep, and what is left when it is closed.

    Raises NotRunError where vLLM is not installed.
    """
    if not find_spec("vllm"):
        raise NotRunError("vLLM is not installed here")
    on_gpu, name = device == "cuda", SHAPES[device]
    settings = EngineSettings(
        kind="vllm",
        dtype="bfloat16" if on_gpu else "float32",
        max_rows=ROWS[device],
        max_context=CONTEXT,
    )
    with TemporaryDirectory(prefix="s1-check-") as directory, asyncio.Runner() as runner:
        save_random_model(name, Path(directory), device=device)
        start, before = time.perf_counter(), _free()
        engine = open_engine(directory, settings)
        seconds, taken = time.perf_counter() - start, before - _free()
        yield Figure(f"{name}, loading", {"seconds": seconds, **_gibibytes("taken", taken)}, True)

        yield runner.run(_decoding(engine, name, settings.max_rows))
        yield runner.run(_sweep(engine, name))
        runner.run(engine.aclose())

    alive, left = _processes(), before - _free()
    values = {"processes": len(alive), **_gibibytes("still taken", left)}
    passed = not alive and left <= LEFT * GIB
    reason = "" if passed else f"not all was given back: {', '.join(alive) or 'memory is taken'}"
    yield Figure(f"{name}, closed", values, passed, reason)


async def _decoding(engine: Engine, name: str, rows: int) -> Figure:
    """Equal lengths in all rows, the second time."""
    for turn in range(2):
        prompts = random_prompts(rows, PROMPT, engine.vocab_size, seed=turn)
        seconds = await decode(engine, prompts, [ANSWER] * rows)
    what = f"{name}, {rows} rows, {ANSWER} tokens each"
    return Figure(what, {"tokens/s": rows * ANSWER / seconds}, True)


async def _sweep(engine: Engine, name: str) -> Figure:
    """A sweep in one pass, whose branches go on from prefixes that vLLM has cached."""
    counted = CachedPrompts(engine._llm)
    thinker = Thinker(engine, ChatFormat(engine.tokenizer))
    points = grid(BUDGETS, WAITS, max_thinking=THINKING, answer_tokens=16)
    start = time.perf_counter()
    questions = [f"a: add {number}." for number in range(PROBLEMS)]
    swept = await asyncio.gather(*(sweep(thinker, one, points) for one in questions))
    seconds = time.perf_counter() - start

    whole = all(len(traces) == len(points) for traces in swept)
    share = counted.cached / counted.tokens
    values = {"seconds": seconds, "prompt tokens": counted.tokens, "cached": share}
    passed = whole and share > 0
    what = f"{name}, a sweep of {len(points)} points on {PROBLEMS} problems"
    return Figure(what, values, passed, "" if passed else "no prefix was found in the cache")


def _processes() -> list[str]:
    """What is left of the processes that this one has started, after some seconds to end in."""
    family = psutil.Process().children(recursive=True)
    # Python's own keeper of shared memory, which ends with this process.
    ours = [one for one in family if "multiprocessing.resource_tracker" not in " ".join(_said(one))]
    _, alive = psutil.wait_procs(ours, timeout=TO_END)
    return [" ".join(_said(one))[-60:] for one in alive]


def _said(process: psutil.Process) -> list[str]:
    """The command of a process, empty where it has just ended."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def _free() -> int:
    """Bytes of the GPU that nobody has taken, 0 without one."""
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else 0


def _gibibytes(what: str, size: int) -> dict[str, float]:
    """What a GPU has or lacks, and nothing without one."""
    return {f"{what} GiB": size / GIB} if torch.cuda.is_available() else {}
