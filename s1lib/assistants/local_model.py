"""An assistant without an endpoint: a checkpoint on one of the package's engines."""

from __future__ import annotations

from s1lib.assistants.replies import NoReplyError, Reply
from s1lib.chat import ChatFormat
from s1lib.engines import open_engine
from s1lib.engines.protocol import EngineError, Request
from s1lib.profile import EngineSettings


class LocalModel:
    """Answers as `Endpoint` does; the engine batches.

    think: the model thinks in the s1 format before it answers.
    """

    def __init__(self, model: str, engine: EngineSettings, *, think: bool) -> None:
        self.engine = open_engine(model, engine)
        self.chat = ChatFormat(self.engine.tokenizer)
        self.think = think

    async def ask(self, prompt: str, *, max_tokens: int, temperature: float, seed: int) -> Reply:
        """The reply to one user turn.

        max_tokens: bounds thinking and answer together; a trace that it cuts has no answer.
        Raises NoReplyError when the prompt is too long.
        """
        ids = self.chat.prompt_ids(prompt, think=self.think)
        sampling = {"temperature": temperature, "seed": seed}
        try:
            # Without thinking, this is the whole reply.
            stops = self.chat.thinking_stops
            request = Request(ids, max_tokens=max_tokens, stop=stops, **sampling)
            first = await self.engine.complete(request)
            text, used = self.chat.decode(first.ids).strip(), first.decoded_tokens
            if not self.think:
                return Reply(text, "", first.finish, len(ids), used)
            if first.finish == "length" or used >= max_tokens:
                return Reply("", text, "length", len(ids), used)

            # The answer gets the tokens that thinking left.
            ids = [*ids, *first.ids, *self.chat.answer_start]
            stops = self.chat.answer_stops
            request = Request(ids, max_tokens=max_tokens - used, stop=stops, **sampling)
            last = await self.engine.complete(request)
        except EngineError as error:
            raise NoReplyError(str(error)) from None
        answer = self.chat.decode(last.ids).strip()
        return Reply(answer, text, last.finish, len(ids), used + last.decoded_tokens)

    async def aclose(self) -> None:
        """Free the engine."""
        await self.engine.aclose()
