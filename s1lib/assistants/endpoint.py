"""Requests to an OpenAI-compatible chat endpoint, with limits and retries.

endpoint = Endpoint(settings)  # s1lib.profile.Assistant with a url
reply = await endpoint.ask("Is 7 prime?", max_tokens=16, temperature=0.0, seed=0)
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import httpx

from s1lib.assistants.replies import AssistantError, NoReplyError, Reply
from s1lib.profile import Assistant as AssistantSettings

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds between two tries; doubles each time
REFUSED = (401, 403, 404)  # no later request fares better
RETRYABLE = (408, 409, 429)  # of the 4xx; every other one says that the request is wrong


class Endpoint:
    """Asks one chat endpoint; usable by any number of coroutines of one event loop."""

    def __init__(self, settings: AssistantSettings) -> None:
        self.settings = settings
        if not settings.url.startswith(("http://", "https://")):
            raise AssistantError(
                f"{settings.url!r} is not the url of an endpoint: write http://host:port/v1"
            )
        key = os.environ.get(settings.key, "") if settings.key else ""
        if settings.key and not key:
            raise AssistantError(
                f"the environment variable {settings.key} is not set: "
                f"it must hold the key of {settings.url}"
            )
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client: httpx.AsyncClient | None = None
        self._places = asyncio.Semaphore(settings.concurrency)
        self._next_turn = 0.0  # of the event loop's clock
        self._answered = False

    async def ask(self, prompt: str, *, max_tokens: int, temperature: float, seed: int) -> Reply:
        """The reply to one user turn.

        A request that times out, finds no connection, is turned away (408, 409, 429, 5xx) or gets
        something unreadable is repeated up to `retries` times. Raises NoReplyError when that was
        not enough or the request itself is refused (400, 413, 422: too long, say), AssistantError
        when every request would be (401, 403, 404) or none ever found a connection.
        """
        body = {
            "model": self.settings.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        async with self._places:
            for tries in range(1, self.settings.retries + 2):
                await self._turn()
                try:
                    reply = self._reply(await self._post(body), tries)
                    self._answered = True
                    return reply
                except (httpx.HTTPError, ValueError) as error:
                    reason, last = str(error) or type(error).__name__, error
                if tries <= self.settings.retries:
                    growing = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1))
                    await asyncio.sleep(_asked_pause(last) or growing * random.uniform(0.5, 1.0))
        if isinstance(last, httpx.ConnectError) and not self._answered:
            raise AssistantError(
                f"{self.settings.url} cannot be reached ({reason}): is it running?"
            )
        raise NoReplyError(
            f"{self.settings.url}: no reply in {tries} tries; the last one: {reason}"
        )

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _turn(self) -> None:
        """Wait until the rate limit lets one more request go."""
        if not self.settings.per_minute:
            return
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next_turn)
        self._next_turn = turn + 60 / self.settings.per_minute
        await asyncio.sleep(turn - now)

    async def _post(self, body: dict) -> dict[str, Any]:
        if self._client is None:
            limits = httpx.Limits(max_connections=self.settings.concurrency)
            self._client = httpx.AsyncClient(
                headers=self._headers, timeout=self.settings.timeout, limits=limits
            )
        address = f"{self.settings.url.rstrip('/')}/chat/completions"
        response = await self._client.post(address, json=body)
        status = response.status_code
        if status in REFUSED:
            raise AssistantError(
                f"{self.settings.url} refuses (status {status}): {_reason(response)}; "
                "check url, model and key"
            )
        if 400 <= status < 500 and status not in RETRYABLE:
            raise NoReplyError(f"{self.settings.url}: status {status}: {_reason(response)}")
        response.raise_for_status()
        return response.json()

    @staticmethod
    def _reply(answer: dict[str, Any], tries: int) -> Reply:
        try:
            choice, usage = answer["choices"][0], answer.get("usage") or {}
            message = choice["message"]
            thinking = message.get("reasoning_content") or message.get("reasoning") or ""
            text, finish = message.get("content") or "", choice.get("finish_reason") or "stop"
            tokens = [int(usage.get(f"{of}_tokens") or 0) for of in ("prompt", "completion")]
        except (KeyError, IndexError, TypeError, AttributeError):
            raise ValueError(f"not a chat completion: {str(answer)[:200]}") from None
        if not thinking and "</think>" in text:
            thinking, _, text = text.partition("</think>")
            thinking = thinking.strip().removeprefix("<think>")
        return Reply(_sound(text), _sound(thinking), finish, *tokens, tries=tries)


def _sound(text: str) -> str:
    """Half a surrogate pair, which JSON may spell but no file can hold, becomes "?"."""
    return text.encode("utf-8", "replace").decode().strip()


def _reason(response: httpx.Response) -> str:
    return " ".join(response.text.split())[:200] or response.reason_phrase


def _asked_pause(error: Exception) -> float:
    """Seconds that a 429 or 503 asks to wait (Retry-After), 0 when it does not say."""
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    return min(float(asked), LONGEST_PAUSE) if asked.replace(".", "", 1).isdigit() else 0.0
