"""The protocol's rules for one request, whatever decodes it.

They say what is refused, what ends a completion, and what may not be sampled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from s1lib.engines.protocol import EngineError, Request

COLDEST = 1e-4  # far below, logits / temperature overflow and nothing can be drawn


class Stops:
    """The stop sequences of one request. Its methods take all ids so far, prompt included.

    start: length of the prompt. A stop sequence counts only when it was sampled as a whole.
    min_tokens: sampled tokens there must be before a stop sequence.
    ends: last ids of the sequences, the only ones at which anything can end.
    """

    def __init__(
        self, sequences: Sequence[tuple[int, ...]], *, start: int, min_tokens: int = 0
    ) -> None:
        self.sequences, self.start, self.min_tokens = tuple(sequences), start, min_tokens
        self.ends = {sequence[-1] for sequence in sequences}
        self._longest = max(map(len, self.sequences), default=0)

    def completed(self, ids: Sequence[int]) -> tuple[int, ...] | None:
        """The stop sequence that the sampled tokens at the end of `ids` spell, if any."""
        if not ids or ids[-1] not in self.ends:
            return None

        sampled = len(ids) - self.start
        for stop in self.sequences:
            if len(stop) <= sampled and tuple(ids[-len(stop) :]) == stop:
                return stop
        return None

    def banned(self, ids: Sequence[int]) -> set[int]:
        """Ids that, sampled next, would complete a stop sequence before min_tokens tokens."""
        sampled = len(ids) - self.start + 1  # with the next token
        early = (
            stop for stop in self.sequences if len(stop) <= sampled < self.min_tokens + len(stop)
        )
        return {stop[-1] for stop in early if tuple(ids[len(ids) + 1 - len(stop) :]) == stop[:-1]}

    def settled(self, ids: Sequence[int]) -> bool:
        """Whether nothing can be banned any more, whatever is sampled next."""
        return not self.min_tokens or len(ids) - self.start + 1 >= self.min_tokens + self._longest


def check_request(request: Request, *, embeddings: int, max_context: int) -> tuple[Stops, int]:
    """The stops of a sound request and the tokens to sample at most, else an EngineError.

    embeddings: number of ids that the model has. max_context: tokens, the prompt included.
    """
    prompt = request.prompt_ids
    if request.max_tokens < 0 or not all(request.stop):
        raise EngineError("max_tokens must not be negative, and a stop sequence not empty")
    if request.temperature and not COLDEST <= request.temperature < math.inf:
        raise EngineError(
            f"the temperature is {request.temperature}: it must be 0 or a number from {COLDEST} on"
        )
    if not prompt or min(prompt) < 0 or max(prompt) >= embeddings:
        raise EngineError(
            "the prompt is empty or holds ids that the model does not have: "
            "is it from another tokenizer?"
        )
    if len(prompt) >= max_context:
        raise EngineError(
            f"a prompt of {len(prompt)} tokens leaves no room in engine.max_context "
            f"({max_context}): shorten it, or raise that as far as the model's own window goes"
        )

    stops = Stops(request.stop, start=len(prompt), min_tokens=request.min_tokens)
    return stops, min(request.max_tokens, max_context - len(prompt))
