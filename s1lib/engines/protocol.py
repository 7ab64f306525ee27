"""The one interface between a test-time method and whatever decodes: token ids in, token ids out.

A method (`s1lib.thinking`) is an async function of one problem. Batching is the engine's job.

    request = Request(prompt_ids, max_tokens=256, stop=[(im_start,), (im_end,)])
    completion = await engine.complete(request)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Literal, Protocol

from s1lib.errors import S1Error

TokenIds = Sequence[int]


class EngineError(S1Error):
    """A request that no retry can mend, or an engine that cannot start."""


@dataclass(frozen=True)
class Request:
    """A method's request to an engine.

    prompt_ids: the ids to continue.
    max_tokens: tokens to sample at most, a stop sequence included.
    stop: sequences of ids of any length. The first one that is produced ends the completion.
    min_tokens: tokens there must be before a stop sequence. A token that would complete one
        sooner is banned, so that the next best is sampled in its place.
    temperature: 0 is greedy, otherwise the softmax of logits / temperature is sampled from.
    seed: makes sampling reproducible for this request, whatever else is in the batch.
    Raises EngineError for what is no whole number where one belongs.
    """

    prompt_ids: TokenIds
    max_tokens: int
    stop: Sequence[TokenIds] = ()
    min_tokens: int = 0
    temperature: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        # Tuples of plain ints, so that equal requests are equal and can be keys of a dictionary.
        try:
            plain = {
                "prompt_ids": tuple(map(index, self.prompt_ids)),
                "stop": tuple(tuple(map(index, sequence)) for sequence in self.stop),
                "max_tokens": index(self.max_tokens),
                "min_tokens": index(self.min_tokens),
            }
        except TypeError as error:
            raise EngineError(
                "a request's prompt is a list of token ids, its stop a list of such lists, and its "
                f"limits are whole numbers ({error})"
            ) from None
        for name, value in plain.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Completion:
    """The result of one request.

    ids: sampled tokens, without the stop sequence that ended them.
    finish: "stop" (a stop sequence was produced) or "length" (max_tokens, or the context, ran out).
    stop: the stop sequence that ended it, as ids. None when finish is "length".
    """

    ids: list[int] = field(default_factory=list)
    finish: Literal["stop", "length"] = "stop"
    stop: tuple[int, ...] | None = None

    @property
    def decoded_tokens(self) -> int:
        """Tokens the engine had to sample, the stop sequence included."""
        return len(self.ids) + len(self.stop or ())


class Engine(Protocol):
    """Anything that continues token ids.

    name: recorded with every evaluation record, e.g. "torch-float32-cpu".
    max_context: prompt + generated tokens a request may hold.
    The package's own engines also have the checkpoint's `tokenizer`, which no method asks for.
    """

    name: str
    max_context: int

    async def complete(self, request: Request) -> Completion:
        """Continue the request's prompt. Ids outside the tokenizer are never produced.

        With max_tokens = 0 nothing is sampled, and the completion ends by "length". A min_tokens
        above max_tokens bans every stop. When the call is cancelled, its decoding ends.
        Raises EngineError when the prompt leaves no tokens of the context to sample.
        """
        ...

    async def aclose(self) -> None:
        """Cancel pending requests and free the engine's resources."""
        ...


def one_line(error: BaseException) -> str:
    """Another library's error as part of one of our messages, cut to 300 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
