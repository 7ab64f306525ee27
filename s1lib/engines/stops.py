"""What the protocol says about one request, whatever decodes it: what is refused, what ends it, what may not be sampled."""

from __future__ import annotations

from collections.abc import Sequence

from s1lib.engines.protocol import EngineError, Request


class Stops:
    """The stop sequences of one request. Its methods take all ids so far, prompt included.

    start: length of the prompt; a stop sequence counts only when it was sampled as a whole.
    min_tokens: sampled tokens there must be before a stop sequence.
    ends: last ids of the sequences; only at these can anything end.
    """

    def __init__(self, sequences: Sequence[tuple[int, ...]], *, start: int, min_tokens: int = 0) -> None:
        self.sequences, self.start, self.min_tokens = tuple(sequences), start, min_tokens
        self.ends = {sequence[-1] for sequence in sequences}

    def completed(self, ids: Sequence[int]) -> tuple[int, ...] | None:
        """The stop sequence that the sampled tokens at the end of `ids` spell, if any."""
        if not ids or ids[-1] not in self.ends:
            return None
        sampled = len(ids) - self.start
        return next((stop for stop in self.sequences if len(stop) <= sampled and tuple(ids[-len(stop) :]) == stop), None)

    def banned(self, ids: Sequence[int]) -> set[int]:
        """Ids that, sampled next after `ids`, would complete a stop sequence with fewer than min_tokens tokens before it."""
        room = len(ids) - self.start + 1
        early = (stop for stop in self.sequences if len(stop) <= room < self.min_tokens + len(stop))
        return {stop[-1] for stop in early if tuple(ids[len(ids) + 1 - len(stop) :]) == stop[:-1]}


def check_request(request: Request, *, embeddings: int, max_context: int) -> tuple[Stops, int]:
    """(stops, tokens to sample at most) of a sound request; raises EngineError otherwise. embeddings: ids that the model has."""
    prompt = request.prompt_ids
    if request.max_tokens < 0 or request.temperature < 0 or not all(request.stop):
        raise EngineError("max_tokens and temperature must not be negative, a stop sequence not empty")
    if not prompt or min(prompt) < 0 or max(prompt) >= embeddings:
        raise EngineError("the prompt is empty or holds ids that the model does not have: is it from another tokenizer?")
    if len(prompt) >= max_context:
        raise EngineError(f"a prompt of {len(prompt)} tokens leaves no room in engine.max_context ({max_context}): raise it")
    stops = Stops(request.stop, start=len(prompt), min_tokens=request.min_tokens)
    return stops, min(request.max_tokens, max_context - len(prompt))


def one_line(error: BaseException) -> str:
    """An error of someone else's code, as part of one of our messages."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
