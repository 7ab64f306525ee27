"""The language model that curation asks, with every reply kept as soon as it comes.

    async with assistant(profile, "judge", out) as judge:  # None when the profile names none
        replies = await judge.ask_all(prompts)  # for each the reply, or why there is none

Replies are keyed by the request: model, prompt, limits and seed, but not the url, as replicas are
alike. A run that is interrupted or repeated asks nothing that was answered. Behind it is an
OpenAI-compatible endpoint or, without a `url`, a checkpoint on the profile's own engine, which is
opened at the first question that the cache cannot answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import pandas as pd

from s1lib.assistants.chat_payload import one_line
from s1lib.assistants.endpoint import Endpoint
from s1lib.assistants.local_model import LocalModel
from s1lib.assistants.replies import AssistantError, NoReplyError, Reply, ReplyCache
from s1lib.keeping.files import write_text
from s1lib.keeping.hashes import hash_of, hash_of_model
from s1lib.profile import Assistant as AssistantSettings
from s1lib.profile import EngineSettings, Profile

Read = TypeVar("Read")

TRIES = 3  # replies to one question of which none can be read, before it is set aside
COUNTED = ("prompt_tokens", "reply_tokens")  # of a reply, each with its price
RETRY_TEMPERATURE = 0.7  # at which a reply that cannot be read is asked for again


class Assistant:
    """A cached endpoint or local model.

    think: whether a local model thinks in the s1 format before it answers, as the teacher does. An
        endpoint thinks as it was set up to.
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
            raise AssistantError(
                "an assistant needs a model: name it in the profile "
                "(with a url, the endpoint's name for it)"
            )
        self.settings, self.log = settings, log
        self._engine_settings = engine or EngineSettings()
        self._think = think
        self._backend: Endpoint | LocalModel | None = None
        self._identity = [settings.model if settings.url else hash_of_model(settings.model), think]
        self._cache = ReplyCache(Path(cache), log)
        self._under_way: dict[str, asyncio.Task[Reply]] = {}
        self.asked = self.answered_before = self.failed = 0
        self._tokens = {"prompt": 0, "reply": 0, "tries": 0}

    async def ask(self, prompt: str, *, again: int = 0) -> Reply:
        """The reply to `prompt`.

        again: how many replies to it could not be used. Each further one gets another seed.
        Raises NoReplyError or AssistantError.
        """
        temperature = self.settings.temperature
        if again:
            temperature = max(temperature, RETRY_TEMPERATURE)
        limits = {"max_tokens": self.settings.max_tokens, "temperature": temperature, "seed": again}
        key = hash_of(self._identity, prompt, limits)
        if key in self._cache.replies:
            self.answered_before += 1
            return self._cache.replies[key]

        if key not in self._under_way:  # equal prompts share one request
            self._under_way[key] = asyncio.ensure_future(self._ask(key, prompt, limits))
        try:
            return await self._under_way[key]
        finally:
            self._under_way.pop(key, None)

    async def ask_all(
        self, prompts: Sequence[str], *, again: Sequence[int] | None = None
    ) -> list[Reply | NoReplyError]:
        """Replies in the order of `prompts`, with the error in place of one that failed for good.

        Raises AssistantError when the assistant cannot be asked at all.
        """

        async def one(prompt: str, count: int) -> Reply | NoReplyError:
            try:
                return await self.ask(prompt, again=count)
            except NoReplyError as error:
                self.failed += 1
                return error

        counts = again or [0] * len(prompts)
        tasks = [asyncio.ensure_future(one(*each)) for each in zip(prompts, counts, strict=True)]
        try:
            return list(await asyncio.gather(*tasks))
        except BaseException:  # refused for all, or interrupted: what was answered is in the cache
            for task in [*tasks, *self._under_way.values()]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    def usage(self) -> pd.DataFrame:
        """One row with requests, tokens and cost of this run, and the cost of all replies kept."""
        kept, tokens = self._cache.replies.values(), self._tokens
        whole = [sum(getattr(reply, name) for reply in kept) for name in COUNTED]
        row = {
            "model": self.settings.model,
            "answered now": self.asked,
            "answered before": self.answered_before,
            "failed": self.failed,
            "retries": tokens["tries"] - self.asked,
            "prompt tokens": tokens["prompt"],
            "reply tokens": tokens["reply"],
            "cost": self._cost(tokens["prompt"], tokens["reply"]),
            "cost of all kept": self._cost(*whole),
        }
        return pd.DataFrame([row])

    async def aclose(self) -> None:
        """Close the endpoint's connections, or free the engine."""
        if self._backend is not None:
            await self._backend.aclose()
            self._backend = None

    async def _ask(self, key: str, prompt: str, limits: dict) -> Reply:
        if self._backend is None:
            self._backend = self._open()
        reply = await self._backend.ask(prompt, **limits)
        self._cache.keep(key, reply)

        self.asked += 1
        self._tokens["prompt"] += reply.prompt_tokens
        self._tokens["reply"] += reply.reply_tokens
        self._tokens["tries"] += reply.tries
        if self.asked % 1000 == 0:
            replies, tokens = self.asked, self._tokens["reply"]
            self.log(f"{self.settings.model}: {replies:,} replies, {tokens:,} tokens")
        return reply

    def _open(self) -> Endpoint | LocalModel:
        if self.settings.url:
            return Endpoint(self.settings)
        return LocalModel(self.settings.model, self._engine_settings, think=self._think)

    def _cost(self, prompt_tokens: int, reply_tokens: int) -> float:
        """Prices are per million tokens."""
        prompt_price, reply_price = self.settings.prompt_price, self.settings.reply_price
        return (prompt_tokens * prompt_price + reply_tokens * reply_price) / 1e6


@contextlib.asynccontextmanager
async def assistant(
    profile: Profile,
    role: Literal["teacher", "classifier", "judge"],
    directory: Path,
    *,
    log: Callable[[str], None] = print,
) -> AsyncIterator[Assistant | None]:
    """The assistant that the profile names for `role`, None when it names none.

    Its replies are kept in `directory`/assistants/<role>.jsonl. On leaving it is closed, and what
    it cost is logged and written beside them as <role>_usage.csv.
    """
    settings = getattr(profile.curation, role)
    if settings is None:
        yield None
        return
    if not settings.url:
        settings = dataclasses.replace(settings, model=profile.resolve(settings.model))

    place, think = directory / "assistants", role == "teacher"
    cache = place / f"{role}.jsonl"
    asked = Assistant(settings, cache=cache, engine=profile.engine, think=think, log=log)
    try:
        yield asked
    finally:
        await asked.aclose()
        usage = asked.usage()
        write_text(place / f"{role}_usage.csv", usage.to_csv(index=False))
        log(f"{role}: " + ", ".join(f"{name} {value}" for name, value in usage.iloc[0].items()))


async def ask_until(
    assistant: Assistant, prompts: Sequence[str], read: Callable[[str], Read | None]
) -> list[Read | None]:
    """Every reply as `read` reads it, in the order of `prompts`.

    A prompt is asked again, up to TRIES times in all, while that is None. Raises AssistantError,
    which shows a reply, when no reply at all can be read: what follows would be in vain.
    """
    found: list[Read | None] = [None] * len(prompts)
    unread, shown = list(range(len(prompts))), ""
    for again in range(TRIES):
        asked = [prompts[index] for index in unread]
        replies = await assistant.ask_all(asked, again=[again] * len(asked))

        # What got no reply at all was tried often enough by the endpoint's own retries.
        answered = {
            index: reply.text
            for index, reply in zip(unread, replies, strict=True)
            if isinstance(reply, Reply)
        }
        for index, text in answered.items():
            found[index] = read(text)
        shown = next(map(repr, answered.values()), str(replies[0]) if replies else shown)
        unread = [index for index in answered if found[index] is None]

    if prompts and all(each is None for each in found):
        raise AssistantError(
            f"{assistant.settings.model}: no reply to any of {len(prompts):,} prompts can be read, "
            f"for example {one_line(shown)}; name another model, or raise its max_tokens if "
            "replies are cut"
        )
    return found
