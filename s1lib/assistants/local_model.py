"""An assistant without an endpoint: a checkpoint on one of the package's engines."""

from __future__ import annotations

from s1lib.assistants.replies import NoReplyError, Reply
from s1lib.chat import S1, ChatFormat
from s1lib.chat.thinking_format import told_by
from s1lib.engines import Request, open_engine
from s1lib.profile import EngineSettings


class LocalModel:
    """Answers as `Endpoint` does, from a checkpoint.

    think: the model thinks before it answers, in the format that its chat template names or s1's.
    """

    def __init__(self, model: str, engine: EngineSettings, *, think: bool) -> None:
        self.engine = open_engine(model, engine)
        tokenizer = self.engine.tokenizer
        self.chat = ChatFormat(tokenizer, told_by(tokenizer) or S1)
        self.think = think

    async def ask(self, prompt: str, *, max_tokens: int, temperature: float, seed: int) -> Reply:
        """The reply to one user turn.

        max_tokens: of thinking and answer together. A trace that it cuts has no answer.
        Raises NoReplyError for a prompt longer than the context, EngineError when the engine fails.
        """
        prompt = self.chat.prompt_ids(prompt, think=self.think)
        context = self.engine.max_context
        if len(prompt) >= context:
            raise NoReplyError(
                f"a prompt of {len(prompt)} tokens leaves no room in engine.max_context "
                f"({context}): raise it"
            )

        # Without thinking, this is the whole reply.
        sampling = {"temperature": temperature, "seed": seed}
        stops = self.chat.thinking_stops
        request = Request(prompt, max_tokens=max_tokens, stop=stops, **sampling)
        first = await self.engine.complete(request)
        text, used = self.chat.decode(first.ids).strip(), first.decoded_tokens
        if not self.think:
            return Reply(text, "", first.finish, len(prompt), used)

        # The answer gets the tokens that thinking left, of the limit and of the context.
        thought = [*prompt, *first.ids, *self.chat.answer_start]
        if first.finish == "length" or used >= max_tokens or len(thought) >= context:
            return Reply("", text, "length", len(prompt), used)
        stops = self.chat.answer_stops
        request = Request(thought, max_tokens=max_tokens - used, stop=stops, **sampling)
        last = await self.engine.complete(request)
        answer = self.chat.decode(last.ids).strip()
        return Reply(answer, text, last.finish, len(thought), used + last.decoded_tokens)

    async def aclose(self) -> None:
        """Free the engine."""
        await self.engine.aclose()
