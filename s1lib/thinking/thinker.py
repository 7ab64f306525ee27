"""A model that thinks within a budget and then answers, on which every method stands.

thinker = Thinker(engine, ChatFormat(engine.tokenizer, format_of(engine.tokenizer)))
trace = await thinker.force("How many r in raspberry?", Budget(max_thinking=512, waits=2))
thinking, answer = trace.texts(thinker.chat)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from s1lib.chat import ChatFormat
from s1lib.engines.protocol import Completion, Engine, Request, TokenIds
from s1lib.keeping.hashes import derive_seed
from s1lib.thinking.budget import Budget, BudgetError, PromptTooLong, Trace, reserved_tokens
from s1lib.thinking.forcing import think_strict, think_within


@dataclass(frozen=True)
class Thinker:
    """An engine, the chat format of its tokenizer, and how tokens are drawn.

    temperature: 0 is greedy.
    seed: of one problem, from which each of its requests gets a seed of its own.
    """

    engine: Engine
    chat: ChatFormat
    temperature: float = 0.0
    seed: int | None = None

    async def force(self, question: str | TokenIds, budget: Budget) -> Trace:
        """Budget forcing: think within `budget`, then answer.

        question: its text, or prompt ids that end where the thinking begins.
        Raises BudgetError, before anything is decoded, for a budget that cannot be kept, and its
        kind PromptTooLong for a prompt that leaves no room for the answer.
        """
        return await self.answer(await self.think(question, budget), budget)

    async def think(self, question: str | TokenIds, budget: Budget) -> Trace:
        """The first half of `force`: a trace that is closed but not answered yet."""
        prompt = self.chat.prompt_ids(question) if isinstance(question, str) else list(question)
        wait = self._wait_ids(budget)
        room = self.engine.max_context - reserved_tokens(self.chat, prompt, budget)
        if room < 0:
            raise PromptTooLong(
                f"a prompt of {len(prompt)} tokens and {budget.answer_tokens} for the answer do "
                f"not fit the engine's context of {self.engine.max_context}: shorten the prompt "
                "or the answer, or raise max_context as far as the model's own window goes",
                prompt,
            )

        cap = room if budget.max_thinking is None else min(budget.max_thinking, room)
        way = think_strict if budget.strict_s1 else think_within
        thought = await way(self, prompt, budget, cap, wait)

        # A cap that the budget does not name was the context's.
        out_of_room = thought.finish == "forced" and cap != budget.max_thinking
        return replace(thought, finish="context") if out_of_room else thought

    async def answer(self, thought: Trace, budget: Budget) -> Trace:
        """The second half: let the model finish what `thought` closed."""
        ids = [*thought.prompt_ids, *thought.thinking_ids, *thought.closing_ids]
        # The official evaluation lets an answer go on into a new segment.
        stop = self.chat.turn_ends if budget.strict_s1 else self.chat.answer_stops
        part = await self.complete(ids, ("answer",), max_tokens=budget.answer_tokens, stop=stop)
        decoded = thought.decoded_tokens + part.decoded_tokens
        return replace(thought, answer_ids=part.ids, decoded_tokens=decoded)

    def sample(self, index: int) -> Thinker:
        """The thinker of sample `index` of a problem, so that k samples are the first k of n."""
        if self.temperature <= 0:
            raise BudgetError(
                f"the temperature is {self.temperature}; "
                "samples differ from each other only above 0"
            )
        return replace(self, seed=derive_seed(self.seed, "sample", index))

    async def complete(
        self,
        ids: TokenIds,
        part: Sequence[str | int],
        *,
        max_tokens: int,
        stop: Sequence[TokenIds],
        min_tokens: int = 0,
    ) -> Completion:
        """Continue `ids` with this thinker's temperature.

        part: what tells this request's seed from those of the same problem's others.
        """
        request = Request(
            ids,
            max_tokens=max_tokens,
            stop=stop,
            min_tokens=min_tokens,
            temperature=self.temperature,
            seed=derive_seed(self.seed, *part),
        )
        return await self.engine.complete(request)

    def _wait_ids(self, budget: Budget) -> list[int]:
        """The wait string as ids, which must be ordinary ones of this tokenizer."""
        wait, tokenizer = self.chat.encode(budget.wait), self.chat.tokenizer
        if tokenizer.unk_token_id in wait:
            raise BudgetError(
                f"the tokenizer cannot write the wait string {budget.wait!r}: choose another"
            )
        if set(wait) & set(tokenizer.all_special_ids):
            raise BudgetError(
                f"the wait string {budget.wait!r} holds a special token of this tokenizer: "
                "leave it out"
            )
        text = self.chat.decode(wait)
        for end in map(self.chat.decode, map(list, self.chat.thinking_stops)):
            if end in text:
                raise BudgetError(
                    f"the wait string {budget.wait!r} contains {end!r}, "
                    "which would end the thinking: leave it out"
                )
        return wait
