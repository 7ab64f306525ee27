"""The language model that curation asks - as judge, classifier, teacher - with every reply kept as soon as it comes.

    async with assistant(profile, "judge", out) as judge:   # None when the profile names none
        replies = await judge.ask_all(prompts)              # a reply, or the reason there is none, in the order of the prompts

Replies are keyed by the request (model, prompt, limits, seed; not the url: replicas are alike): a run that is interrupted
or repeated asks nothing that was answered. Behind it is an OpenAI-compatible endpoint or, without a `url`, a checkpoint on
the profile's own engine, which is opened at the first question that the cache cannot answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import pandas as pd

from s1lib.assistants.endpoint import AssistantError, Endpoint, NoReplyError, Reply
from s1lib.chat import ChatFormat
from s1lib.engines import open_engine
from s1lib.engines.protocol import EngineError, Request
from s1lib.keeping.files import write_text
from s1lib.keeping.hashes import hash_of, hash_of_model
from s1lib.profile import Assistant as AssistantSettings
from s1lib.profile import EngineSettings, Profile

__all__ = ["TRIES", "Assistant", "AssistantError", "NoReplyError", "Reply", "ask_until", "assistant"]

Read = TypeVar("Read")

TRIES = 3  # replies to one question of which none can be read, before it is set aside
RETRY_TEMPERATURE = 0.7  # at which a reply that cannot be read is asked for again


class Assistant:
    """A cached endpoint or local model.

    think: a local model thinks in the s1 format before it answers (the teacher); an endpoint thinks as it was set up to.
    """

    def __init__(
        self,
        settings: AssistantSettings,
        *,
        cache: Path | str,
        engine: EngineSettings | None = None,
        think: bool = False,
        log: Callable[[str], None] = print,
    ) -> None:
        if not settings.model:
            raise AssistantError("an assistant needs a model: name it in the profile (with a url, the endpoint's name for it)")
        self.settings, self.log = settings, log
        self._engine_settings = engine or EngineSettings()
        self._think = think
        self._backend: Endpoint | LocalModel | None = None
        self._identity = [settings.model if settings.url else hash_of_model(settings.model), think]
        self._cache = _Cache(Path(cache), log)
        self._under_way: dict[str, asyncio.Task[Reply]] = {}
        self.asked = self.answered_before = self.failed = 0
        self._tokens = {"prompt": 0, "reply": 0, "tries": 0}

    async def ask(self, prompt: str, *, again: int = 0) -> Reply:
        """The reply to `prompt`; `again` counts earlier replies to it that could not be used. Raises NoReplyError or AssistantError."""
        temperature = max(self.settings.temperature, RETRY_TEMPERATURE) if again else self.settings.temperature
        request = {"max_tokens": self.settings.max_tokens, "temperature": temperature, "seed": again}
        key = hash_of(self._identity, prompt, request)
        if key in self._cache.replies:
            self.answered_before += 1
            return self._cache.replies[key]
        if key not in self._under_way:  # equal prompts share one request
            self._under_way[key] = asyncio.ensure_future(self._ask(key, prompt, request))
        try:
            return await self._under_way[key]
        finally:
            self._under_way.pop(key, None)

    async def ask_all(self, prompts: Sequence[str], *, again: Sequence[int] | None = None) -> list[Reply | NoReplyError]:
        """Replies in the order of `prompts`; a request that failed for good holds its error and no other is lost. Raises AssistantError."""

        async def one(prompt: str, count: int) -> Reply | NoReplyError:
            try:
                return await self.ask(prompt, again=count)
            except NoReplyError as error:
                self.failed += 1
                return error

        tasks = [asyncio.ensure_future(one(prompt, count)) for prompt, count in zip(prompts, again or [0] * len(prompts), strict=True)]
        try:
            return list(await asyncio.gather(*tasks))
        except BaseException:  # refused for all, or interrupted: what was answered is in the cache
            for task in [*tasks, *self._under_way.values()]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    def usage(self) -> pd.DataFrame:
        """One row: requests answered now and before, failed, retries, tokens and cost of this run; cost of all replies kept."""
        kept = self._cache.replies.values()
        tokens = self._tokens
        row = {
            "model": self.settings.model,
            "answered now": self.asked,
            "answered before": self.answered_before,
            "failed": self.failed,
            "retries": tokens["tries"] - self.asked,
            "prompt tokens": tokens["prompt"],
            "reply tokens": tokens["reply"],
            "cost": self._cost(tokens["prompt"], tokens["reply"]),
            "cost of all kept": self._cost(sum(r.prompt_tokens for r in kept), sum(r.reply_tokens for r in kept)),
        }
        return pd.DataFrame([row])

    async def aclose(self) -> None:
        if self._backend is not None:
            await self._backend.aclose()
            self._backend = None

    async def _ask(self, key: str, prompt: str, request: dict) -> Reply:
        if self._backend is None:
            self._backend = Endpoint(self.settings) if self.settings.url else LocalModel(self.settings, self._engine_settings, self._think)
        reply = await self._backend.ask(prompt, **request)
        self._cache.keep(key, reply)
        self.asked += 1
        for name, count in (("prompt", reply.prompt_tokens), ("reply", reply.reply_tokens), ("tries", reply.tries)):
            self._tokens[name] += count
        if self.asked % 1000 == 0:
            self.log(f"{self.settings.model}: {self.asked:,} replies, {self._tokens['reply']:,} tokens")
        return reply

    def _cost(self, prompt_tokens: int, reply_tokens: int) -> float:
        return (prompt_tokens * self.settings.prompt_price + reply_tokens * self.settings.reply_price) / 1e6


@contextlib.asynccontextmanager
async def assistant(
    profile: Profile, role: Literal["teacher", "classifier", "judge"], directory: Path, *, log: Callable[[str], None] = print
) -> AsyncIterator[Assistant | None]:
    """The assistant that the profile names for `role`, None when it names none.

    Its replies are kept in `directory`/assistants/<role>.jsonl. On leaving it is closed, and what it cost is logged and
    written beside them as <role>_usage.csv.
    """
    settings = getattr(profile.curation, role)
    if settings is None:
        yield None
        return
    settings = dataclasses.replace(settings, model=settings.model if settings.url else profile.resolve(settings.model))
    place = directory / "assistants"
    asked = Assistant(settings, cache=place / f"{role}.jsonl", engine=profile.engine, think=role == "teacher", log=log)
    try:
        yield asked
    finally:
        await asked.aclose()
        usage = asked.usage()
        write_text(place / f"{role}_usage.csv", usage.to_csv(index=False))
        log(f"{role}: " + ", ".join(f"{name} {value}" for name, value in usage.iloc[0].items()))


async def ask_until(assistant: Assistant, prompts: Sequence[str], read: Callable[[str], Read | None]) -> list[Read | None]:
    """What `read` makes of each reply; a prompt is asked again, up to TRIES times in all, while that is None."""
    found: list[Read | None] = [None] * len(prompts)
    open_ = list(range(len(prompts)))
    for again in range(TRIES):
        replies = await assistant.ask_all([prompts[i] for i in open_], again=[again] * len(open_))
        answered = [(index, reply) for index, reply in zip(open_, replies, strict=True) if isinstance(reply, Reply)]
        for index, reply in answered:
            found[index] = read(reply.text)
        # What got no reply at all was tried often enough by the endpoint's own retries.
        open_ = [index for index, _ in answered if found[index] is None]
    return found


class LocalModel:
    """A checkpoint on one of the package's engines; the engine batches."""

    def __init__(self, settings: AssistantSettings, engine: EngineSettings, think: bool) -> None:
        self.engine = open_engine(settings.model, engine)
        self.chat = ChatFormat(self.engine.tokenizer)
        self.think = think

    async def ask(self, prompt: str, *, max_tokens: int, temperature: float, seed: int) -> Reply:
        """`max_tokens` bounds thinking and answer together; a trace that it cuts has no answer."""
        ids = self.chat.prompt_ids(prompt, think=self.think)
        sampling = {"temperature": temperature, "seed": seed}
        try:
            first = await self.engine.complete(Request(ids, max_tokens=max_tokens, stop=self.chat.thinking_stops, **sampling))
            used = first.decoded_tokens
            if not self.think:
                return Reply(self.chat.decode(first.ids).strip(), "", first.finish, len(ids), used)
            thinking = self.chat.decode(first.ids).strip()
            if first.finish == "length" or used >= max_tokens:
                return Reply("", thinking, "length", len(ids), used)
            ids = [*ids, *first.ids, *self.chat.answer_start]
            last = await self.engine.complete(Request(ids, max_tokens=max_tokens - used, stop=self.chat.answer_stops, **sampling))
        except EngineError as error:
            raise NoReplyError(str(error)) from None
        return Reply(self.chat.decode(last.ids).strip(), thinking, last.finish, len(ids), used + last.decoded_tokens)

    async def aclose(self) -> None:
        await self.engine.aclose()


class _Cache:
    """Replies by key in a JSONL file, one line appended as each comes; a line that was cut is dropped when the file is opened again."""

    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        self.path = path
        self.replies: dict[str, Reply] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        whole, damaged = [], 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            try:
                row = json.loads(line)
                self.replies[row["key"]] = Reply(**row["reply"])
                whole.append(line.rstrip(b"\n") + b"\n")
            except (ValueError, TypeError, KeyError):
                damaged += 1
        if damaged:
            log(f"{path}: {damaged} damaged lines left out (an interrupted run leaves one); {len(whole)} replies are kept")
            path.write_bytes(b"".join(whole))

    def keep(self, key: str, reply: Reply) -> None:
        self.replies[key] = reply
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "reply": dataclasses.asdict(reply)}, ensure_ascii=False) + "\n")
