"""The protocol on top of a decoder that only stops at single ids, as vLLM and every server do.

A completion is decoded in pieces. Nearly always one is enough. Another is asked for where the
decoder stopped at the last id of a longer stop sequence that is not there as a whole, and where it
sampled what must not be. Then that one token is sampled again with it banned. Under greedy decoding
that is the best token allowed. Otherwise it is rejection sampling, which gives exactly the
distribution without the banned ids. So ids outside the tokenizer cost nothing until one is sampled.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from s1lib.engines.protocol import Completion, EngineError, Request
from s1lib.engines.stops import Stops, check_request
from s1lib.keeping.hashes import derive_seed


@dataclass(frozen=True)
class Piece:
    """A request to a decoder: continue `ids` up to and including the first of `stop_ids`.

    max_tokens: tokens to sample at most.
    min_tokens: tokens of the piece before which none of stop_ids may come.
    banned: ids that may not come. Where there are any, max_tokens is 1.
    """

    ids: list[int]
    max_tokens: int
    stop_ids: list[int]
    min_tokens: int
    banned: list[int]
    temperature: float
    seed: int | None


class PieceEngine(ABC):
    """Implements `s1lib.engines.protocol.Engine`. A subclass decodes pieces.

    vocab_size: len(tokenizer). Ids from here on are never produced.
    embeddings: number of ids that the model has.
    end_ids: where the decoder may end by itself, and so what its own minimum of tokens bans too.
    decoded_tokens: tokens of all finished completions, stop sequences included.
    """

    def __init__(
        self,
        *,
        name: str,
        max_context: int,
        vocab_size: int,
        embeddings: int,
        end_ids: Collection[int] = (),
        tokenizer: Any = None,
    ) -> None:
        self.name, self.max_context, self.tokenizer = name, max_context, tokenizer
        self.vocab_size, self.embeddings = min(vocab_size, embeddings), embeddings
        self.decoded_tokens = 0
        self._outside = list(range(self.vocab_size, embeddings))
        self._end_ids = set(end_ids)
        self._tasks: set[asyncio.Task[Completion]] = set()
        self._closed = False

    @abstractmethod
    async def _decode(self, piece: Piece) -> list[int]:
        """The tokens of one piece, at least one. Raises EngineError."""

    async def complete(self, request: Request) -> Completion:
        """See `Engine.complete`. A cancelled call ends its request wherever it is decoded."""
        stops, limit = check_request(
            request, embeddings=self.embeddings, max_context=self.max_context
        )
        if self._closed:
            raise EngineError("the engine has been closed: open another one")

        # A task of its own, so that aclose can cancel it.
        task = asyncio.get_running_loop().create_task(self._complete(request, stops, limit))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        completion = await task
        self.decoded_tokens += completion.decoded_tokens
        return completion

    async def _complete(self, request: Request, stops: Stops, limit: int) -> Completion:
        ids, start = list(request.prompt_ids), len(request.prompt_ids)
        end = start + limit
        halts = [token for token in stops.ends if 0 <= token < self.vocab_size] + self._outside
        # The decoder's own minimum is exact when it bans nothing but stop sequences of one token.
        native = all(len(stop) == 1 for stop in stops.sequences) and self._end_ids <= stops.ends
        banned: list[int] = []

        # Each place takes two pieces at most: one that is refused there, one with a ban.
        for part in range(2 * limit):
            least = stops.start + stops.min_tokens if native and not banned else 0
            piece = Piece(
                ids=ids,
                max_tokens=1 if banned else end - len(ids),
                stop_ids=[] if banned else halts,
                min_tokens=max(min(least, end) - len(ids), 0),
                banned=banned,
                temperature=request.temperature,
                # A decoder's stream of random numbers begins anew with each piece.
                seed=derive_seed(request.seed, "part", part) if part else request.seed,
            )
            tokens = (await self._decode(piece))[: piece.max_tokens]

            accepted = self._accepted(ids, stops, tokens)
            if not accepted and banned:
                raise EngineError(
                    f"{self.name} sampled token {tokens[0]} although it was banned: "
                    "it cannot keep to the protocol"
                )

            ids = [*ids, *tokens[:accepted]]
            if stop := stops.completed(ids):
                return Completion(ids[start : -len(stop)], "stop", stop)
            if len(ids) == end:
                break

            # What was sampled and refused is sampled again, without what is not allowed here.
            refused = accepted < len(tokens)
            banned = sorted({*self._outside, *stops.banned(ids)}) if refused else []

        return Completion(ids[start:], "length")

    def _accepted(self, ids: list[int], stops: Stops, tokens: list[int]) -> int:
        """How many of `tokens` stand: up to and with a stop sequence, or up to a refused one."""
        for place, token in enumerate(tokens):
            if not 0 <= token < self.vocab_size:
                return place
            if token in stops.ends:
                if token in stops.banned([*ids, *tokens[:place]]):
                    return place
                if stops.completed([*ids, *tokens[: place + 1]]):
                    return place + 1
        return len(tokens)

    async def aclose(self) -> None:
        """Cancel pending requests."""
        self._closed = True
        pending = list(self._tasks)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
