"""The paper's whole sweep simulated at its own lengths: tokens of the one pass beside those of separate runs.

python -m tests.bench paper_sweep

No model: an engine that knows how long each problem thinks (log-normal; means as published for AIME24: 6,109 tokens to the
natural stop, Table 14, and some 450 more for every Wait, Figure 4a; cut at a context of 32,768) runs the package's
own `sweep` and `force_budget` over the paper's caps and Waits.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
from pathlib import Path

from s1lib.chat import ChatFormat
from s1lib.engines.protocol import Completion, Request
from s1lib.thinking.budget import force_budget
from s1lib.thinking.sweep import grid, sweep

sys.path.insert(0, str(Path(__file__).parents[1]))
from scripted import char_chat

CAPS, WAITS, AUTO, CONTEXT = (500, 1000, 2000, 4000, 8000, 16_000), (1, 2, 4, 6), 31_000, 32_768
MEAN, MEAN_WAIT, SPREAD, ANSWER = 6109, 450, 0.7, 700  # tokens; spread of the logarithm
PROBLEMS = 60


class Lengths:
    """Implements `complete` for traces of known lengths: a letter per token, ends where the drawn lengths say."""

    name, max_context = "lengths", CONTEXT

    def __init__(self, chat: ChatFormat, question: str, rng: random.Random) -> None:
        draws = [mean * math.exp(rng.gauss(-(SPREAD**2) / 2, SPREAD)) for mean in (MEAN, *[MEAN_WAIT] * max(WAITS))]
        self.parts, self.chat, self.start = [max(1, round(draw)) for draw in draws], chat, len(chat.prompt_ids(question))
        self.letter, self.wait, self.decoded = chat.encode("a")[0], chat.encode("W")[0], 0
        self.answer, self.thinking = chat.answer_start[0], 0

    async def complete(self, request: Request) -> Completion:
        own, max_tokens = list(request.prompt_ids[self.start :]), request.max_tokens
        await asyncio.sleep(0)
        if self.answer in own:
            left = ANSWER
        else:  # thinking so far ends within the part that the Waits so far began; forced tokens are not of any part
            waits = own.count(self.wait)
            left = sum(self.parts[: waits + 1]) - (len(own) - 4 * waits)
        ended = left < max_tokens
        done = Completion([self.letter] * min(left, max_tokens), "stop" if ended else "length", request.stop[0] if ended else None)
        self.decoded += done.decoded_tokens
        self.thinking += 0 if self.answer in own else done.decoded_tokens
        return done


async def simulate() -> None:
    chat, question = char_chat(), "Q"
    points = grid(CAPS, WAITS, max_thinking=AUTO, answer_tokens=ANSWER + 1)
    total = {"separate": [0, 0], "one pass": [0, 0]}
    for number in range(PROBLEMS):
        traces = {}
        for way in total:
            engine = Lengths(chat, question, random.Random(number))
            if way == "separate":
                traces[way] = {point: await force_budget(engine, chat, question, point) for point in points}
            else:
                traces[way] = await sweep(engine, chat, question, points)
            total[way][0] += engine.thinking
            total[way][1] += engine.decoded
        assert all(traces["one pass"][p].thinking_ids == traces["separate"][p].thinking_ids for p in points)
    (thinking, decoded), (once_thinking, once_decoded) = total["separate"], total["one pass"]
    print(f"{len(points)} points (caps {CAPS}, none, Waits {WAITS}), {PROBLEMS} problems at the paper's lengths")
    print(f"thinking tokens: separate {thinking:,}, one pass {once_thinking:,}: x {once_thinking / thinking:.3f}")
    print(f"all decoded tokens: separate {decoded:,}, one pass {once_decoded:,}: x {once_decoded / decoded:.3f}")


def main() -> None:
    asyncio.run(simulate())


if __name__ == "__main__":
    main()
