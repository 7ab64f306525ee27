"""A thinking budget in tokens, and the trace that comes of it (paper, section 3.1).

Budget(max_thinking=512, waits=2)     # what is asked for
trace.thinking_tokens, trace.finish   # what came of it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from numbers import Integral
from operator import itemgetter
from typing import Literal

from s1lib.chat import END_OF_TEXT, IM_END, IM_START, WAIT, ChatFormat
from s1lib.errors import S1Error


class BudgetError(S1Error):
    """A budget cannot be kept. It is raised before decoding and says what to change."""


class PromptTooLong(BudgetError):
    """A prompt leaves no room in the context. An evaluation goes on without its answer."""

    def __init__(self, message: str, prompt_ids: list[int]) -> None:
        super().__init__(message)
        self.prompt_ids = prompt_ids


@dataclass(frozen=True)
class Budget:
    """How long to think, in tokens.

    max_thinking: cap on all thinking, forced tokens included. None is what the context leaves.
    min_thinking: thinking that ends earlier is extended, as often as it takes.
    waits: how often the end is suppressed, however long the thinking (the paper's N x "Wait").
    wait: appended each time, where "" suppresses the end without a word.
    answer_tokens: kept free for the answer, whatever the cap.
    strict_s1: follow the rules of the official evaluation, see `forcing.think_strict`.
    """

    max_thinking: int | None = None
    min_thinking: int = 0
    waits: int = 0
    wait: str = WAIT
    answer_tokens: int = 512
    strict_s1: bool = False

    def __post_init__(self) -> None:
        smallest = {"max_thinking": int(self.strict_s1), "min_thinking": 0, "waits": 0}
        for name, least in {**smallest, "answer_tokens": 1}.items():
            value = getattr(self, name)
            if value is None and name == "max_thinking":
                continue
            if not isinstance(value, Integral):
                raise BudgetError(f"{name} is {value!r}; it must be a whole number")
            if value < least:
                raise BudgetError(f"{name} is {value}; it must be at least {least}")

        if self.max_thinking is not None and self.min_thinking > self.max_thinking:
            raise BudgetError(
                f"min_thinking ({self.min_thinking}) is above max_thinking "
                f"({self.max_thinking}): change one of them"
            )

        for delimiter in (IM_START, IM_END, END_OF_TEXT):
            if delimiter in self.wait:
                raise BudgetError(
                    f"the wait string {self.wait!r} contains {delimiter!r}, "
                    "which would end the thinking: leave it out"
                )


def reserved_tokens(chat: ChatFormat, prompt: Sequence[int], budget: Budget) -> int:
    """Tokens of the context that are not for thinking: prompt, longest closing and answer."""
    return len(prompt) + len(chat.newline) + len(chat.final_answer) + budget.answer_tokens


@dataclass(frozen=True)
class Trace:
    """One problem, thought through and answered, as token ids.

    prompt_ids: end where the thinking begins, in s1's format in the ids of `<|im_start|>think`.
    forced: for each of thinking_ids, whether it was appended instead of sampled.
    closing_ids: appended to end the thinking, with "Final Answer:" after a forced stop.
    finish: why thinking ended: "natural", "forced" (by the cap) or "context" (no room for more).
    decoded_tokens: what the engine sampled for this trace, delimiters included.
    """

    prompt_ids: list[int]
    thinking_ids: list[int]
    forced: list[bool]
    closing_ids: list[int]
    finish: Literal["natural", "forced", "context"]
    answer_ids: list[int] = field(default_factory=list)
    waits_used: int = 0
    decoded_tokens: int = 0

    @property
    def thinking_tokens(self) -> int:
        """Sampled and forced tokens, without the delimiters."""
        return len(self.thinking_ids)

    @property
    def forced_tokens(self) -> int:
        return sum(self.forced)

    def counts(self) -> str:
        """How it was forced, as one line."""
        tokens = f"{self.thinking_tokens} thinking tokens, {self.forced_tokens} of them appended"
        return f"{tokens}; Waits: {self.waits_used}; end: {self.finish}"

    def texts(self, chat: ChatFormat) -> tuple[str, str]:
        """(thinking, answer) without delimiters, with the "Final Answer:" of a forced stop."""
        return chat.split(self.thinking_ids, [*self.closing_ids, *self.answer_ids])

    def spans(self, chat: ChatFormat) -> list[tuple[str, bool]]:
        """The assistant's turn as (text, appended?) pieces, for display."""
        marked = list(zip(self.thinking_ids, self.forced, strict=True))
        marked += [(token, True) for token in self.closing_ids]
        marked += [(token, False) for token in self.answer_ids]
        return [
            (chat.decode([token for token, _ in group]), appended)
            for appended, group in groupby(marked, key=itemgetter(1))
        ]
