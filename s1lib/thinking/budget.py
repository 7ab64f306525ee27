"""Budget forcing (paper, section 3.1): a lower and an upper limit on the tokens a model thinks.

    budget = Budget(max_thinking=512, waits=2)
    trace = await force_budget(engine, chat, "How many r in raspberry?", budget)

Think; where the model would stop too early, suppress the end of thinking and append "Wait"; where it thinks too long,
append the end of thinking and "Final Answer:"; answer. Ids are fed back as they were sampled; text is made once, for
display and grading.

Deviations from the official evaluation code (`strict_s1=True` restores its rules): one cap on the whole thinking, forced
tokens included, instead of one per continuation; the delimiter is banned only after a Wait, not at the very start;
tokens for the answer are reserved per problem, not by the longest prompt of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

from s1lib.chat import END_OF_TEXT, IM_END, IM_START, WAIT, ChatFormat, split_trace
from s1lib.engines.protocol import Completion, Engine, Request
from s1lib.errors import S1Error
from s1lib.keeping.hashes import derive_seed


class BudgetError(S1Error):
    """A budget that cannot be kept; the message says what to change. Raised before anything is decoded."""


@dataclass(frozen=True)
class Budget:
    """How long to think, in tokens; hashable, so that it can name a run.

    max_thinking: cap on the whole thinking, forced tokens included; None = what the context leaves.
    min_thinking: thinking that ends earlier is extended, as often as it takes.
    waits: how often the end of thinking is suppressed, however long the thinking (the paper's N x "Wait").
    wait: appended each time; "" suppresses the end without a word.
    answer_tokens: kept free for the answer, whatever the cap.
    strict_s1: the official evaluation's rules, see `_think_strict`.
    """

    max_thinking: int | None = None
    min_thinking: int = 0
    waits: int = 0
    wait: str = WAIT
    answer_tokens: int = 512
    strict_s1: bool = False

    def __post_init__(self) -> None:
        for name, least in (("max_thinking", int(self.strict_s1)), ("min_thinking", 0), ("waits", 0), ("answer_tokens", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise BudgetError(f"{name} is {value}; it must be at least {least}")
        if self.max_thinking is not None and self.min_thinking > self.max_thinking:
            raise BudgetError(f"min_thinking ({self.min_thinking}) is above max_thinking ({self.max_thinking}): change one of them")
        for delimiter in (IM_START, IM_END, END_OF_TEXT):
            if delimiter in self.wait:
                raise BudgetError(f"the wait string {self.wait!r} contains {delimiter!r}, which would end the thinking: leave it out")


@dataclass(frozen=True)
class Trace:
    """One problem, thought through and answered; ids are the truth.

    prompt_ids end in the ids of `<|im_start|>think`. forced marks, for each of thinking_ids, the ones that were appended
    instead of sampled. closing_ids (the end of thinking, after a forced stop also "Final Answer:") are appended as well.
    finish: why thinking ended: "natural", "forced" (the cap) or "context" (no room for more).
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
        """Sampled and forced; the delimiters are not counted."""
        return len(self.thinking_ids)

    @property
    def forced_tokens(self) -> int:
        return sum(self.forced)

    def texts(self, chat: ChatFormat) -> tuple[str, str]:
        """(thinking, answer), without the delimiters; the answer of a forced stop begins with "Final Answer:"."""
        return split_trace(chat.decode([*self.thinking_ids, *self.closing_ids, *self.answer_ids]))

    def spans(self, chat: ChatFormat) -> list[tuple[str, bool]]:
        """The assistant's turn as (text, appended?) pieces, for display."""
        marked = list(zip(self.thinking_ids, self.forced, strict=True))
        marked += [(token, True) for token in self.closing_ids] + [(token, False) for token in self.answer_ids]
        return [(chat.decode([token for token, _ in group]), forced) for forced, group in groupby(marked, key=lambda pair: pair[1])]


async def force_budget(
    engine: Engine,
    chat: ChatFormat,
    question: str | Sequence[int],
    budget: Budget,
    *,
    temperature: float = 0.0,
    seed: int | None = None,
) -> Trace:
    """Think within `budget`, then answer. `question`: its text, or prompt ids that end in `<|im_start|>think`."""
    thought = await think(engine, chat, question, budget, temperature=temperature, seed=seed)
    return await answer(engine, chat, thought, budget, temperature=temperature, seed=seed)


async def think(
    engine: Engine, chat: ChatFormat, question: str | Sequence[int], budget: Budget, *, temperature: float = 0.0, seed: int | None = None
) -> Trace:
    """The first half of `force_budget`: a trace that is closed but not answered yet."""
    prompt = chat.prompt_ids(question) if isinstance(question, str) else list(question)
    wait = chat.encode(budget.wait)
    if chat.tokenizer.unk_token_id in wait:
        raise BudgetError(f"the tokenizer cannot write the wait string {budget.wait!r}: choose another")
    if set(wait) & set(chat.tokenizer.all_special_ids):
        raise BudgetError(f"the wait string {budget.wait!r} holds a special token of this tokenizer: leave it out")
    room = engine.max_context - reserved_tokens(chat, prompt, budget)
    if room < 0:
        raise BudgetError(
            f"a prompt of {len(prompt)} tokens and {budget.answer_tokens} for the answer do not fit the engine's context of "
            f"{engine.max_context}: shorten the prompt or the answer, or raise max_context"
        )
    cap = room if budget.max_thinking is None else min(budget.max_thinking, room)
    method = _think_strict if budget.strict_s1 else _think
    thought = await method(_Model(engine, chat, prompt, temperature, seed), budget, cap, wait)
    return replace(thought, finish="context") if thought.finish == "forced" and cap != budget.max_thinking else thought


def reserved_tokens(chat: ChatFormat, prompt: Sequence[int], budget: Budget) -> int:
    """Tokens of the context that are not for thinking: the prompt, the longest closing, the answer."""
    return len(prompt) + len(chat.newline) + len(chat.final_answer) + budget.answer_tokens


async def answer(
    engine: Engine, chat: ChatFormat, thought: Trace, budget: Budget, *, temperature: float = 0.0, seed: int | None = None
) -> Trace:
    """The second half: let the model finish what `thought` closed."""
    request = Request(
        [*thought.prompt_ids, *thought.thinking_ids, *thought.closing_ids],
        max_tokens=budget.answer_tokens,
        stop=chat.answer_stops,
        temperature=temperature,
        seed=derive_seed(seed, "answer"),
    )
    part = await engine.complete(request)
    return replace(thought, answer_ids=part.ids, decoded_tokens=thought.decoded_tokens + part.decoded_tokens)


def sampling(index: int, *, temperature: float, seed: int | None) -> dict[str, Any]:
    """Temperature and seed of sample `index` of one problem, for `force_budget`; the first k of n samples are those of k."""
    if temperature <= 0:
        raise BudgetError(f"the temperature is {temperature}; samples differ from each other only above 0")
    return {"temperature": temperature, "seed": derive_seed(seed, "sample", index)}


@dataclass(frozen=True)
class _Model:
    """What the two ways of thinking share: ask for more, and close."""

    engine: Engine
    chat: ChatFormat
    prompt: list[int]
    temperature: float
    seed: int | None

    async def more(self, ids: list[int], limit: int, *, part: int, at_least: int) -> Completion:
        """Up to `limit` more tokens of thinking after `ids`, no end of thinking before `at_least`; `part` counts the requests."""
        request = Request(
            [*self.prompt, *ids],
            max_tokens=limit,
            stop=self.chat.thinking_stops,
            min_tokens=min(at_least, limit),
            temperature=self.temperature,
            seed=derive_seed(self.seed, "think", part),
        )
        return await self.engine.complete(request)

    def close(self, ids: list[int], forced: list[bool], closing: list[int], *, natural: bool, waits: int, decoded: int) -> Trace:
        finish = "natural" if natural else "forced"
        return Trace(self.prompt, ids, forced, closing, finish, waits_used=waits, decoded_tokens=decoded)


async def _think(model: _Model, budget: Budget, cap: int, wait: list[int]) -> Trace:
    """The paper's definition: one cap over the whole thinking; minimum and maximum in one method."""
    ids: list[int] = []
    forced: list[bool] = []
    waits = decoded = 0
    natural = False
    see_through = max(map(len, model.chat.thinking_stops)) - 1  # the rest of an end of several tokens that begins within the cap
    while not natural and len(ids) < cap:
        left = cap - len(ids)
        part = await model.more(ids, left + see_through, part=waits, at_least=1 if waits else 0)
        sampled = part.ids[:left]
        ids, forced, decoded = ids + sampled, forced + [False] * len(sampled), decoded + part.decoded_tokens
        if part.finish == "length" or len(ids) == cap:
            break
        too_early = waits < budget.waits or len(ids) < budget.min_thinking
        if too_early and len(ids) + len(wait) < cap:  # there must be room for the string and for a thought after it
            ids, forced, waits = ids + wait, forced + [True] * len(wait), waits + 1
        else:
            natural = True
    return model.close(ids, forced, model.chat.closing(ids, natural=natural), natural=natural, waits=waits, decoded=decoded)


async def _think_strict(model: _Model, budget: Budget, cap: int, wait: list[int]) -> Trace:
    """The official evaluation, quirks included (s1_facts section 6, rules 3 to 5).

    The cap counts from zero in every continuation; their sum is cut to the cap afterwards, which leaves a natural end
    natural and the newline rule to look at the text before the cut. With Waits the delimiter is banned as the first token
    of every generation, the first included; a minimum of tokens bans it for as long, and is ignored with Waits. Two of its
    rules are not of one problem: its `auto` cap follows the longest prompt of the batch, its answer the context.
    """
    ids: list[int] = []
    forced: list[bool] = []
    waits = decoded = 0
    at_least = 1 if budget.waits else budget.min_thinking
    while True:
        part = await model.more(ids, cap, part=waits, at_least=at_least) if cap else Completion(finish="length")
        ids, forced, decoded = ids + part.ids, forced + [False] * len(part.ids), decoded + part.decoded_tokens
        full = len(model.prompt) + len(ids) + len(wait) >= model.engine.max_context
        if part.finish == "length" or waits == budget.waits or full:
            break
        ids, forced, waits = ids + wait, forced + [True] * len(wait), waits + 1
    natural = part.finish == "stop"
    closing = model.chat.closing(ids, natural=natural)  # its newline looks at the text before the cut
    return model.close(ids[:cap], forced[:cap], closing, natural=natural, waits=waits, decoded=decoded)
