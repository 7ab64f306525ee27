"""TorchEngine beside vLLM in this process, on the CPU: useful tokens per second, as ratios.

    make bench-vllm        # in .venv-vllm, which `make test-vllm` makes as well

The model and the requests are those of bench_engine. Both engines get one thread and as many rows,
and take turns in one run. vLLM runs its engine in a process of its own, beside this one that only
waits.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import tempfile

import torch

from s1lib.engines import open_engine
from s1lib.gpu_check.timed_decoding import decode
from s1lib.profile import EngineSettings
from s1lib.toy.tokenizer import build_tokenizer
from tests.bench.bench_engine import CONTEXT, ROWS, prompts_of, toy_model, workloads


def main() -> dict[str, float] | None:
    if not importlib.util.find_spec("vllm"):
        print("vLLM is not installed here: make bench-vllm")
        return None
    os.environ.update(OMP_NUM_THREADS="1", VLLM_CPU_OMP_THREADS_BIND="0")
    torch.set_num_threads(1)
    tokenizer, ratios = build_tokenizer(), {}
    with tempfile.TemporaryDirectory() as directory, asyncio.Runner() as runner:
        toy_model(vocabulary=len(tokenizer)).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        settings = {"dtype": "float32", "max_rows": ROWS, "max_context": CONTEXT}
        engines = {
            kind: open_engine(directory, EngineSettings(kind=kind, **settings))
            for kind in ("torch", "vllm")
        }
        for name, lengths in workloads():
            seconds: dict[str, list[float]] = {kind: [] for kind in engines}
            for turn in range(4):  # the first turn is not counted
                for kind, engine in engines.items():
                    # New ones, since vLLM would remember the old.
                    prompts = prompts_of(lengths, seed=turn)
                    seconds[kind].append(runner.run(decode(engine, prompts, lengths)))
            speed = {kind: sum(lengths) / min(times[1:]) for kind, times in seconds.items()}
            shown = (
                f"TorchEngine {speed['torch']:,.0f} tokens/s, vLLM {speed['vllm']:,.0f} tokens/s"
            )
            ratios[f"TorchEngine / vLLM, {name}"] = speed["torch"] / speed["vllm"]
            print(f"{name}: {shown}, ratio {speed['torch'] / speed['vllm']:.2f}")
        for engine in engines.values():
            runner.run(engine.aclose())
    return ratios


if __name__ == "__main__":
    main()
