"""How fast TorchEngine decodes, beside `generate` and beside what the device allows.

At every step all weights and the rows' keys and values are read once, and before the first one the
prompts are computed. The time of the bandwidth and of the peak for that is the limit.
"""

from __future__ import annotations

import asyncio
import copy
import heapq
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from s1lib.engines.torch_engine import TorchEngine
from s1lib.gpu_check.check_report import Figure
from s1lib.gpu_check.random_models import TINY, random_model
from s1lib.gpu_check.this_machine import Limits, limits
from s1lib.gpu_check.timed_decoding import decode, random_prompts, recorded, with_generate
from s1lib.planning.speeds import BYTES, size_of


@dataclass(frozen=True)
class Setting:
    """What is decoded on a kind of device. Lengths are in tokens.

    unequal: the shortest and the longest answer. share: of the limit that the largest shape is to
    reach with equal lengths. slower: how many times as far from their limit unequal lengths may be.
    """

    shapes: tuple[str, ...]
    dtype: torch.dtype
    rows: int
    prompt: int
    equal: int
    unequal: tuple[int, int]
    share: float = 0.0
    slower: float = math.inf


SETTINGS = {
    "cuda": Setting(("1.5B", "7B"), torch.bfloat16, 64, 200, 128, (16, 256), 0.5, 1.3),
    "cpu": Setting((TINY,), torch.float32, 16, 20, 24, (4, 48)),
}


def measure(device: str) -> Iterator[Figure]:
    """Two figures a shape, of equal lengths and of unequal ones, and what a step is made of."""
    setting, limit = SETTINGS[device], limits(device)
    for shape in setting.shapes:
        model = random_model(shape, device=device, dtype=setting.dtype)
        rates, largest = [], shape == setting.shapes[-1]
        for name, lengths in _workloads(setting).items():
            rates.append(_rates(model, lengths, setting, limit))
            what = f"{shape}, {setting.rows} rows, {name}"
            yield _figure(what, rates, setting, largest=largest)
        if largest:
            yield Figure(f"{shape}: a step's dearest kernels", _step(model, setting, device))
        del model


def _step(model: PreTrainedModel, setting: Setting, device: str) -> dict[str, int | str]:
    """What a step of the equal lengths is made of."""
    engine, lengths = _engine(model, setting, setting.equal), [setting.equal] * setting.rows
    prompts = random_prompts(setting.rows, setting.prompt, model.config.vocab_size)
    with asyncio.Runner() as runner:
        for _ in range(2):  # the first, as everywhere, makes what is made once
            recording, tokens = runner.run(recorded(engine, prompts, lengths, device))
        runner.run(engine.aclose())
    return recording.figures(steps=tokens // setting.rows)


def _engine(model: PreTrainedModel, setting: Setting, longest: int) -> TorchEngine:
    return TorchEngine(
        model,
        vocab_size=model.config.vocab_size,
        max_rows=setting.rows,
        max_context=setting.prompt + longest,
    )


def _workloads(setting: Setting) -> dict[str, list[int]]:
    """Tokens of each answer: all alike, and log-uniform ones of four times as many requests."""
    low, high = setting.unequal
    drawn = random.Random(0)
    logarithms = [drawn.uniform(math.log(low), math.log(high)) for _ in range(4 * setting.rows)]
    return {
        f"{setting.equal} tokens each": [setting.equal] * setting.rows,
        f"{low} to {high} tokens": [round(math.exp(one)) for one in logarithms],
    }


def _rates(
    model: PreTrainedModel, lengths: list[int], setting: Setting, device: Limits
) -> dict[str, float]:
    """Tokens/s of the engine, of `generate`, and at the limit."""
    # The engine has its own attention until it is closed, so `generate` gets the weights in a model
    # of its own.
    shared = {id(parameter): parameter for parameter in model.parameters()}
    twin, vocabulary = copy.deepcopy(model, shared), model.config.vocab_size
    engine = _engine(model, setting, max(lengths))
    with asyncio.Runner() as runner:
        for turn in range(2):  # the first warms both up and is not counted
            asked = lengths[: setting.rows] if turn == 0 else lengths
            prompts = random_prompts(len(asked), setting.prompt, vocabulary, seed=turn)
            seconds = runner.run(decode(engine, prompts, asked))
            # Two batches show its speed.
            few = 2 * setting.rows
            beside = with_generate(twin, prompts[:few], asked[:few], rows=setting.rows)
        runner.run(engine.aclose())

    tokens, generated = sum(lengths), sum(lengths[:few])
    rates = {"engine": tokens / seconds, "generate": generated / beside}
    return {**rates, "limit": tokens / _least_seconds(model, lengths, setting, device)}


def _least_seconds(
    model: PreTrainedModel, lengths: list[int], setting: Setting, device: Limits
) -> float:
    """Seconds in which the device could decode `lengths` tokens behind as many prompts."""
    size, tokens = size_of(model.config), sum(lengths)
    steps = steps_of(lengths, setting.rows)
    held = setting.prompt + tokens / len(lengths) / 2  # of a row, on average
    # The plan counts two bytes a number.
    read = size.read(tokens / steps, held) * model.dtype.itemsize / BYTES
    prompts = 2 * size.parameters * setting.prompt * len(lengths)
    return steps * read / device.bandwidth + prompts / device.flops


def steps_of(lengths: Sequence[int], rows: int) -> int:
    """Steps that it takes at least to decode so many tokens of each answer in their order.

    They are more than all tokens over the rows, since towards the end rows run empty.
    """
    ends = [0] * rows
    for length in lengths:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def _figure(what: str, rates: list[dict[str, float]], setting: Setting, *, largest: bool) -> Figure:
    """The last of `rates` as a figure, with its goal."""
    own, generate, limit = rates[-1].values()
    values = {"tokens/s": own, "generate": generate, "times generate": own / generate}
    values |= {"limit": limit, "share of the limit": own / limit}
    if len(rates) == 1:
        passed = not largest or own / limit >= setting.share
        goal = f"at least {setting.share} of the limit is wanted"
    else:
        farther = rates[0]["engine"] / rates[0]["limit"] / (own / limit)
        values["times as far from the limit as equal lengths"] = farther
        passed, goal = farther <= setting.slower, f"at most {setting.slower} times is wanted"
    return Figure(what, values, passed, "" if passed else goal)
