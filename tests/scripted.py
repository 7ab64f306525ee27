"""Stand-ins for tests of test-time methods: two tokenizers, and an engine that plays traces.

    chat = char_chat()                # one token per character, delimiters one token each
    chat = char_chat(spelled=True)    # no special tokens: a delimiter is spelled in characters
    chats = thinking_chats()          # the same in every other thinking format
    engine = ScriptedEngine(script(chat, "Q", {"": "abc<|im_start|>", "abcWait": "de<|im_end|>"}))
    engine = ScriptedEngine(random_traces(chat, 7))

Traces are prepared or random. Every token is a function of all ids before it, so a request that
continues another one goes on where that one was cut.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import trl
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from s1lib.chat import END_OF_TEXT, IM_END, IM_START, ChatFormat, format_of
from s1lib.engines.protocol import Completion, EngineError, Request

CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n.,:?<|>_/"
TEMPLATES = Path(trl.__file__).parent / "chat_templates"
TAGS = ("<think>", "</think>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{{ '<|im_start|>assistant\n' }}"
)

# (ids so far, seed) -> next tokens, the best first.
Policy = Callable[[tuple[int, ...], int | None], list[int]]


def char_chat(*, spelled: bool = False) -> ChatFormat:
    """One token per character; delimiters are special tokens, or spelled out (`spelled`)."""
    return ChatFormat(char_tokenizer([] if spelled else [END_OF_TEXT, IM_START, IM_END]))


def char_tokenizer(special: list[str]) -> PreTrainedTokenizerFast:
    vocabulary = {token: index for index, token in enumerate(["<unk>", *special, *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r".|\n"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", additional_special_tokens=special
    )
    fast.chat_template = TEMPLATE
    return fast


@cache
def thinking_chats() -> dict[str, ChatFormat]:
    """Formats other than s1's, each on a template that trl ships."""
    chatml = [END_OF_TEXT, IM_START, IM_END]
    deepseek = ["<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"]

    def chat(template: str, special: list[str], tags: Sequence[str] = (), stated="auto"):
        tokenizer = char_tokenizer(special)
        tokenizer.add_tokens(list(tags))  # no special tokens, as in the vocabularies of both models
        tokenizer.chat_template = (TEMPLATES / f"{template}.jinja").read_text()
        return ChatFormat(tokenizer, format_of(tokenizer, stated))

    return {
        "tags, opened by the template": chat("deepseek_r1_distill", deepseek, TAGS),
        "tags, opened for the model": chat("qwen3", chatml, TAGS),
        "tags, spelled out": chat("qwen3", []),
        "plain": chat("qwen2_5", chatml, stated="plain"),
    }


@dataclass
class Asked:
    """One call of `complete`, as it was made, and what it returned."""

    prompt_ids: list[int]
    max_tokens: int
    stop: list[tuple[int, ...]]
    min_tokens: int
    temperature: float
    seed: int | None
    completion: Completion | None = None


@dataclass
class ScriptedEngine:
    """Implements `s1lib.engines.protocol.Engine`, one token at a time, and keeps every request."""

    policy: Policy
    max_context: int = 100_000
    name: str = "scripted"
    requests: list[Asked] = field(default_factory=list)

    @property
    def decoded_tokens(self) -> int:
        return sum(request.completion.decoded_tokens for request in self.requests)

    async def complete(self, request: Request) -> Completion:
        asked = Asked(
            list(request.prompt_ids),
            request.max_tokens,
            list(request.stop),
            request.min_tokens,
            request.temperature,
            request.seed,
        )
        self.requests.append(asked)
        assert request.max_tokens >= 1 and 0 <= request.min_tokens <= request.max_tokens
        room = self.max_context - len(asked.prompt_ids)
        if room < 1:
            raise EngineError(
                f"a prompt of {len(asked.prompt_ids)} tokens leaves no room in a context of "
                f"{self.max_context}"
            )
        # Requests finish in another order than they came.
        for _ in range(random.Random(len(asked.prompt_ids)).randrange(3)):
            await asyncio.sleep(0)
        asked.completion = self._decode(asked, min(request.max_tokens, room))
        return asked.completion

    def _decode(self, asked: Asked, limit: int) -> Completion:
        ids: list[int] = []
        seed = asked.seed if asked.temperature > 0 else None
        while len(ids) < limit:
            for token in self.policy((*asked.prompt_ids, *ids), seed):
                ended = next((s for s in asked.stop if tuple([*ids, token][-len(s) :]) == s), None)
                if not (
                    ended and len(ids) + 1 - len(ended) < asked.min_tokens
                ):  # banned, not ignored: the next best is taken
                    break
            else:
                raise AssertionError("the policy offers nothing but the end")
            ids.append(token)
            if ended:
                return Completion(ids[: -len(ended)], "stop", ended)
        return Completion(ids, "length")

    async def aclose(self) -> None:
        pass


def script(
    chat: ChatFormat, question: str, thinking: dict[str, str], *, answer: str = "7"
) -> Policy:
    """Plays prepared text, and "." once nothing fits.

    thinking: maps what was thought so far to what comes next, delimiter included. Where several
    entries fit, the first one does unless its token is banned.
    answer: of any closed thinking.
    """
    start = tuple(chat.prompt_ids(question))
    lines = {
        (*start, *chat.encode(before)): chat.encode(after) for before, after in thinking.items()
    }
    answers = [*chat.encode(answer), *chat.turn_ends[0]]
    dot = chat.encode(".")

    def policy(ids: tuple[int, ...], seed: int | None) -> list[int]:
        for size in range(len(ids), len(start), -1):
            if any(
                end and ids[:size][-len(end) :] == end
                for end in (chat.final_answer, chat.answer_start)
            ):
                return [*answers[len(ids) - size :][:1], *dot]
        going = [
            (line, list(ids[len(before) :]))
            for before, line in lines.items()
            if ids[: len(before)] == before
        ]
        return [
            line[len(said)]
            for line, said in going
            if line[: len(said)] == said and len(said) < len(line)
        ] + dot

    return policy


def random_traces(
    chat: ChatFormat, key: int, *, end: float = 0.15, letters: str = "ab\n"
) -> Policy:
    """Plays random letters; another `key` is another model.

    With probability `end` a delimiter begins, and is finished most of the time.
    """
    alphabet = chat.encode(letters)
    delimiters = chat.thinking_stops

    @cache
    def policy(ids: tuple[int, ...], seed: int | None) -> list[int]:
        rng = random.Random(repr((key, seed, ids)))
        others = rng.sample(alphabet, len(alphabet))
        begun = max(
            size
            for stop in delimiters
            for size in range(len(stop))
            if ids[len(ids) - size :] == stop[:size]
        )
        choices = sorted(
            {
                stop[begun]
                for stop in delimiters
                if len(stop) > begun and ids[len(ids) - begun :] == stop[:begun]
            }
        )
        finish = rng.random() < (0.9 if begun else end)
        return [rng.choice(choices), *others] if finish else others

    return policy
