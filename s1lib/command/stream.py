"""Watching a model think: an engine that shows what the one inside it decodes, as it comes.

    prompt = chat.prompt_ids("How many r in raspberry?")
    watched = StreamingEngine(engine, chat, prompt, show)
    trace = await Thinker(watched, chat).force(prompt, Budget(max_thinking=512, waits=2))
    watched.finish(trace)

Forcing is as without watching. The engine inside is asked for a few tokens at a time and reuses the
prefix. Greedy tokens are the same as without watching, but samples are others, since each part has
a seed of its own.
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
    """Implements `s1lib.engines.protocol.Engine` for one problem.

    `show` is called with every bit of text that follows `prompt_ids`, in order, and with whether
    it was appended.
    """

    def __init__(self, engine: Engine, chat: ChatFormat, prompt_ids: TokenIds, show: Show) -> None:
        every = len(chat.tokenizer)
        super().__init__(
            name=engine.name,
            max_context=engine.max_context,
            vocab_size=every,
            embeddings=every,
            tokenizer=chat.tokenizer,
        )
        self._engine, self._chat, self._show = engine, chat, show
        self._seen = list(prompt_ids)  # the prompt, and all that has been shown
        self._sampled: list[int] = []  # decoded by the last request, but not yet shown
        self._held = 0  # last tokens to hold back: they may be the beginning of a stop sequence
        self._span: list[int] = []  # neighbours of one kind, sampled or appended
        self._text = ""  # what has been shown of the span

    async def complete(self, request: Request) -> Completion:
        """See `Engine.complete`. What is new in the prompt was appended and is shown as such."""
        self._follow(request.prompt_ids)
        self._held = max((len(stop) for stop in request.stop), default=1) - 1
        completion = await super().complete(request)
        shown = len(self._seen) - len(request.prompt_ids)
        self._sampled = completion.ids[shown:]  # without the stop sequence
        return completion

    def finish(self, trace: Trace) -> None:
        """Show what has not been shown of a trace that is done."""
        parts = (trace.prompt_ids, trace.thinking_ids, trace.closing_ids, trace.answer_ids)
        self._follow([token for ids in parts for token in ids])

    def _follow(self, ids: TokenIds) -> None:
        """Show what `ids`, prompt included, holds beyond what has been shown.

        What agrees with the sampled tokens was sampled, and the rest was appended. A sampled token
        that the cap cut off may equal the one appended in its place, if a delimiter has several
        tokens. It is then shown as sampled.
        """
        new = list(ids[len(self._seen) :])
        pairs = enumerate(zip(new, self._sampled, strict=False))
        agree = min(len(new), len(self._sampled))
        kept = next((place for place, (one, other) in pairs if one != other), agree)
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
        """Add tokens to the span, and show its text as far as its characters are whole."""
        if not ids:
            return
        self._seen += ids
        self._span += ids
        text = self._chat.decode(self._span)
        if not text.endswith(BROKEN):
            self._show(text[len(self._text) :], appended)
            self._text = text

    def _end_span(self, appended: bool) -> None:
        """Show the rest of the span, half characters included, and begin another."""
        rest = self._chat.decode(self._span)[len(self._text) :]
        if rest:
            self._show(rest, appended)
        self._span, self._text = [], ""
