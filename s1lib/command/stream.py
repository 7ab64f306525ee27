"""Watching a model think: an engine that shows what the one inside it decodes, and what was appended in between.

    prompt = chat.prompt_ids("How many r in raspberry?")
    watched = StreamingEngine(engine, chat, prompt, show)
    trace = await Thinker(watched, chat).force(prompt, Budget(max_thinking=512, waits=2))
    watched.finish(trace)

The protocol is unchanged: the engine inside is asked for a few tokens at a time, and reuses the prefix. Greedy tokens are the
same as without watching; samples are others, since each part has a seed of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from s1lib.chat import ChatFormat
from s1lib.engines.pieces import Piece, PieceEngine
from s1lib.engines.protocol import Completion, Engine, Request, TokenIds
from s1lib.thinking.budget import Trace

PART = 8  # tokens asked for at a time
BROKEN = "�"  # what half a character decodes to

Show = Callable[[str, bool], None]  # (text, appended?)


class StreamingEngine(PieceEngine):
    """Implements `s1lib.engines.protocol.Engine` for one problem. show: called with each bit of text after `prompt_ids`, in order."""

    def __init__(self, engine: Engine, chat: ChatFormat, prompt_ids: TokenIds, show: Show) -> None:
        every = len(chat.tokenizer)
        super().__init__(name=engine.name, max_context=engine.max_context, vocab_size=every, embeddings=every, tokenizer=chat.tokenizer)
        self._engine, self._chat, self._show = engine, chat, show
        self._seen = list(prompt_ids)  # and what came after it, as far as it has been shown
        self._sampled: list[int] = []  # decoded after that
        self._held = 0  # of these, so many may yet turn out to be the beginning of a stop sequence
        self._text, self._span = "", []  # what was shown of the ids of this span

    async def complete(self, request: Request) -> Completion:
        """See `Engine.complete`. What the prompt holds beyond the tokens shown before was appended, and is shown as such."""
        self._follow(request.prompt_ids)
        self._held = max((len(stop) for stop in request.stop), default=1) - 1
        completion = await super().complete(request)
        self._sampled = completion.ids[len(self._seen) - len(request.prompt_ids) :]  # without the stop sequence
        return completion

    def finish(self, trace: Trace) -> None:
        """Show what has not been shown of a trace that is done."""
        self._follow([*trace.prompt_ids, *trace.thinking_ids, *trace.closing_ids, *trace.answer_ids])

    def _follow(self, ids: TokenIds) -> None:
        """Show what `ids`, prompt included, holds beyond what has been shown: first what was sampled, then what was appended.

        With delimiters of several tokens a sampled token that the cap cut off may equal the one appended in its place; then it
        is shown as sampled.
        """
        new = list(ids[len(self._seen) :])
        kept = next((place for place, pair in enumerate(zip(new, self._sampled, strict=False)) if pair[0] != pair[1]), None)
        kept = min(len(new), len(self._sampled)) if kept is None else kept
        self._emit(new[:kept], False)
        self._end_span(False)
        self._emit(new[kept:], True)
        self._end_span(True)
        self._sampled = []

    async def _decode(self, piece: Piece) -> list[int]:
        limit = min(PART, piece.max_tokens)
        request = Request(
            piece.ids,
            max_tokens=limit,
            stop=[(token,) for token in piece.stop_ids or piece.banned],
            min_tokens=limit if piece.banned else min(piece.min_tokens, limit),
            temperature=piece.temperature,
            seed=piece.seed,
        )
        part = await self._engine.complete(request)
        sure = len(piece.ids) + len(part.ids) - self._held
        self._emit([*piece.ids, *part.ids][len(self._seen) : sure], False)
        return [*part.ids, *(part.stop or ())]

    def _emit(self, ids: list[int], appended: bool) -> None:
        if ids:
            self._seen += ids
            self._span += ids
            text = self._chat.decode(self._span)
            if not text.endswith(BROKEN):
                self._show(text[len(self._text) :], appended)
                self._text = text

    def _end_span(self, appended: bool) -> None:
        """The span of sampled or of appended tokens is over."""
        rest = self._chat.decode(self._span)[len(self._text) :]
        if rest:
            self._show(rest, appended)
        self._text, self._span = "", []
