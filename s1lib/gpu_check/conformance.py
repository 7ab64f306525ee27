"""Does TorchEngine decode the right tokens here? Its greedy tokens beside those of `generate`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel

from s1lib.engines.protocol import Request
from s1lib.engines.torch_engine import TorchEngine
from s1lib.gpu_check.check_report import Figure
from s1lib.gpu_check.random_models import TINY, random_model
from s1lib.gpu_check.timed_decoding import greedy

SHAPES = {"cuda": "0.5B", "cpu": TINY}
PROMPTS, SHORTEST, LONGEST, TOKENS = 24, 5, 140, 32
ROWS = 8  # fewer than there are prompts, so that rows are used again
# Between the logits of two tokens that are equally good in float32: another order of a sum is no
# error, and which of the two is taken decides all that follows.
TIE = 1e-3
# Share of tokens that a plain pass in bf16 also rates best: its rounding decides near ties.
AGREEMENT = 0.8


def measure(device: str) -> Iterator[Figure]:
    """The tokens in float32, which must be `generate`'s, and how many agree in bf16."""
    what = f"{SHAPES[device]}, {PROMPTS} prompts of {SHORTEST} to {LONGEST} tokens"
    for dtype in (torch.float32, torch.bfloat16):
        model = random_model(SHAPES[device], device=device, dtype=dtype)
        prompts = _prompts(model.config.vocab_size)
        decoded = asyncio.run(_decode(model, prompts))
        rated = [_rated(model, *pair) for pair in zip(prompts, decoded, strict=True)]
        agreement, gap = sum(share for share, _ in rated) / PROMPTS, max(gap for _, gap in rated)

        if dtype == torch.bfloat16:
            values = {"tokens rated best": agreement, "largest gap in logits": gap}
            right, reason = agreement >= AGREEMENT, f"less than {AGREEMENT} of the tokens"
        else:
            pairs = zip(prompts, decoded, strict=True)
            equal = sum(greedy(model, [prompt], TOKENS).tolist() == [ids] for prompt, ids in pairs)
            values = {"as generate": f"{equal} of {PROMPTS}", "largest gap in logits": gap}
            right, reason = gap <= TIE, f"a token that is worse than the best by more than {TIE}"
        name = str(dtype).removeprefix("torch.")
        yield Figure(f"{what}, {name}", values, right, "" if right else reason)


def _prompts(vocabulary: int) -> list[list[int]]:
    drawn = random.Random(0)
    lengths = [drawn.randint(SHORTEST, LONGEST) for _ in range(PROMPTS)]
    return [[drawn.randrange(vocabulary) for _ in range(length)] for length in lengths]


async def _decode(model: PreTrainedModel, prompts: Sequence[list[int]]) -> list[list[int]]:
    """The engine's tokens behind all prompts at once."""
    engine = TorchEngine(
        model,
        vocab_size=model.config.vocab_size,
        max_rows=ROWS,
        max_context=LONGEST + TOKENS,
    )
    requests = [Request(prompt, max_tokens=TOKENS) for prompt in prompts]
    done = await asyncio.gather(*map(engine.complete, requests))
    await engine.aclose()
    return [completion.ids for completion in done]


@torch.inference_mode()
def _rated(model: PreTrainedModel, prompt: list[int], ids: list[int]) -> tuple[float, float]:
    """How a plain pass over prompt and tokens rates the tokens.

    Returns the share of them that it rates best, and the largest distance of one from the best, in
    logits. One token that differs costs no more than itself, unlike in a comparison of texts.
    """
    whole = torch.tensor([prompt + ids], device=model.device)
    logits = model(whole).logits[0, len(prompt) - 1 : -1].float()
    taken = logits.gather(1, torch.tensor(ids, device=model.device)[:, None])[:, 0]
    gaps = logits.max(dim=1).values - taken
    return (gaps == 0).float().mean().item(), gaps.max().item()
