"""Seconds of decoding the same requests with an engine and with transformers' own `generate`."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import torch
from transformers import GenerationConfig, PreTrainedModel

from s1lib.engines import Engine
from s1lib.engines.protocol import Request
from s1lib.engines.torch_engine import TorchEngine
from s1lib.gpu_check.recording import Recording


def random_prompts(count: int, length: int, vocabulary: int, *, seed: int = 0) -> list[list[int]]:
    """`count` prompts of `length` ids below `vocabulary`."""
    drawn = random.Random(seed)
    return [[drawn.randrange(vocabulary) for _ in range(length)] for _ in range(count)]


async def decode(engine: Engine, prompts: Sequence[list[int]], lengths: Sequence[int]) -> float:
    """Seconds for all prompts at once, each to its own length."""
    start = time.perf_counter()
    done = await asyncio.gather(
        *(
            engine.complete(Request(prompt, max_tokens=length))
            for prompt, length in zip(prompts, lengths, strict=True)
        )
    )
    assert [len(completion.ids) for completion in done] == list(lengths)
    return time.perf_counter() - start


async def recorded(
    engine: TorchEngine, prompts: Sequence[list[int]], lengths: Sequence[int], device: str
) -> tuple[Recording, int]:
    """About a third of the decoding, after another third, when all rows are under way.

    Returns it with the number of tokens that it holds.
    """
    recording, before = Recording(device), engine.decoded_tokens
    decoding, decoded = asyncio.create_task(decode(engine, prompts, lengths)), []
    for third, begin_or_end in enumerate((recording.start, recording.stop), start=1):
        until = before + third * sum(lengths) // 3
        while engine.decoded_tokens < until and not decoding.done():
            await asyncio.sleep(0)
        begin_or_end()
        decoded.append(engine.decoded_tokens)
    await decoding
    return recording, decoded[1] - decoded[0]


def with_generate(
    model: PreTrainedModel, prompts: Sequence[list[int]], lengths: Sequence[int], *, rows: int
) -> float:
    """Seconds for all prompts of one length in batches of `rows`, each decoded to its longest."""
    start = time.perf_counter()
    for first in range(0, len(prompts), rows):
        longest = max(lengths[first : first + rows])
        tokens = greedy(model, prompts[first : first + rows], longest)
        assert tokens.shape[1] == longest
    tokens.cpu()  # which waits for the device
    return time.perf_counter() - start


def greedy(model: PreTrainedModel, prompts: Sequence[list[int]], tokens: int) -> torch.Tensor:
    """`generate`'s next tokens [prompts, tokens] behind prompts of one length. Nothing ends one."""
    ids = torch.tensor(prompts, device=model.device)
    config = GenerationConfig(
        max_new_tokens=tokens, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    return out[:, ids.shape[1] :]
