"""The paper's whole sweep simulated at its own lengths: tokens of one pass and of separate runs.

python -m tests.bench paper_sweep

There is no model. An engine that knows how long each problem thinks runs the package's own `sweep`
and `Thinker.force` over the paper's caps and Waits. The lengths are log-normal, with the means as
published for AIME24: 6,109 tokens to the natural stop (Table 14) and some 450 more for every Wait
(Figure 4a), cut at a context of 32,768.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
from pathlib import Path

from s1lib.chat import ChatFormat
from s1lib.engines.protocol import Completion, Request
from s1lib.thinking.sweep import grid, sweep
from s1lib.thinking.thinker import Thinker

sys.path.insert(0, str(Path(__file__).parents[1]))
from scripted import char_chat

CAPS, WAITS, AUTO, CONTEXT = (500, 1000, 2000, 4000, 8000, 16_000), (1, 2, 4, 6), 31_000, 32_768
MEAN, MEAN_WAIT, SPREAD, ANSWER = 6109, 450, 0.7, 700  # tokens; spread of the logarithm
PROBLEMS = 60


class Lengths:
    """Implements `complete` for traces that end where the drawn lengths say, a letter per token."""

    name, max_context = "lengths", CONTEXT

    def __init__(self, chat: ChatFormat, question: str, rng: random.Random) -> None:
        draws = [
            mean * math.exp(rng.gauss(-(SPREAD**2) / 2, SPREAD))
            for mean in (MEAN, *[MEAN_WAIT] * max(WAITS))
        ]
        self.parts = [max(1, round(draw)) for draw in draws]
        self.chat, self.start = chat, len(chat.prompt_ids(question))
        self.letter, self.wait, self.decoded = chat.encode("a")[0], chat.encode("W")[0], 0
        self.answer, self.thinking = chat.answer_start[0], 0

    async def complete(self, request: Request) -> Completion:
        own, max_tokens = list(request.prompt_ids[self.start :]), request.max_tokens
        await asyncio.sleep(0)
        if self.answer in own:
            left = ANSWER
        else:
            # Thinking ends within the part that the Waits so far began. Forced tokens are of none.
            waits = own.count(self.wait)
            left = sum(self.parts[: waits + 1]) - (len(own) - 4 * waits)
        ended = left < max_tokens
        done = Completion(
            [self.letter] * min(left, max_tokens),
            "stop" if ended else "length",
            request.stop[0] if ended else None,
        )
        self.decoded += done.decoded_tokens
        self.thinking += 0 if self.answer in own else done.decoded_tokens
        return done


async def simulate() -> dict[str, float]:
    chat, question = char_chat(), "Q"
    points = grid(CAPS, WAITS, max_thinking=AUTO, answer_tokens=ANSWER + 1)
    total = {"separate": [0, 0], "one pass": [0, 0]}
    for number in range(PROBLEMS):
        traces = {}
        for way in total:
            engine = Lengths(chat, question, random.Random(number))
            thinker = Thinker(engine, chat)
            if way == "separate":
                traces[way] = {point: await thinker.force(question, point) for point in points}
            else:
                traces[way] = await sweep(thinker, question, points)
            total[way][0] += engine.thinking
            total[way][1] += engine.decoded
        assert all(
            traces["one pass"][p].thinking_ids == traces["separate"][p].thinking_ids for p in points
        )
    (thinking, decoded), (once_thinking, once_decoded) = total["separate"], total["one pass"]
    swept = f"{len(points)} points (caps {CAPS}, none, Waits {WAITS})"
    print(f"{swept}, {PROBLEMS} problems at the paper's lengths")
    ratios = {}
    for what, apart, once in (
        ("thinking tokens", thinking, once_thinking),
        ("all decoded tokens", decoded, once_decoded),
    ):
        ratios[what] = once / apart
        print(f"{what}: separate {apart:,}, one pass {once:,}: x {once / apart:.3f}")
    return ratios


def main() -> dict[str, float]:
    return asyncio.run(simulate())


if __name__ == "__main__":
    main()
