"""Requests to an OpenAI-compatible chat endpoint, with limits and retries.

endpoint = Endpoint(settings)  # s1lib.profile.Assistant with a url
reply = await endpoint.ask("Is 7 prime?", max_tokens=16, temperature=0.0, seed=0)
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from typing import Any

import httpx

from s1lib.assistants.chat_payload import error_in, one_line, read_completion
from s1lib.assistants.replies import AssistantError, NoReplyError, Reply, RetryableError
from s1lib.profile import Assistant as AssistantSettings

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds between two tries, twice as long each time
REFUSED = (401, 402, 403, 404)  # no later request fares better
RETRYABLE = (408, 409, 425, 429)  # of the 4xx, every other one says that the request is wrong


class Endpoint:
    """Asks one chat endpoint, for any number of coroutines of one event loop."""

    def __init__(self, settings: AssistantSettings) -> None:
        self.settings = settings
        if not _is_address(settings.url):
            raise AssistantError(
                f"{settings.url!r} is not the url of an endpoint: write http://host:port/v1"
            )
        key = os.environ.get(settings.key, "") if settings.key else ""
        if settings.key and not key:
            raise AssistantError(
                f"the environment variable {settings.key} is not set: "
                f"it must hold the key of {settings.url}"
            )
        if not (key.isascii() and key.isprintable()):
            raise AssistantError(
                f"the environment variable {settings.key} holds characters that no key has: "
                "write it again, without line breaks"
            )
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client: httpx.AsyncClient | None = None
        self._places = asyncio.Semaphore(settings.concurrency)
        self._next_turn = 0.0  # of the event loop's clock
        self._answered = False

    async def ask(self, prompt: str, *, max_tokens: int, temperature: float, seed: int) -> Reply:
        """The reply to one user turn.

        A request is repeated up to `retries` times when it times out, finds no connection, is
        turned away (408, 409, 425, 429, 5xx), or gets what is empty or no chat completion. A status
        that comes as an error in the body counts like any other.

        Raises NoReplyError when that was not enough, when the request itself is refused (400, 413,
        422: too long, say) and when its reply is withheld. Raises AssistantError when every request
        would be refused (401 to 404, a redirect) or none ever found a connection.
        """
        body = {
            "model": self.settings.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }

        # The endpoint's own wish comes first, else pauses grow, and differ between requests.
        async with self._places:
            for tries in range(1, self.settings.retries + 2):
                await self._turn()
                try:
                    reply = read_completion(await self._post(body), tries=tries)
                    self._answered = True
                    return reply
                except NoReplyError as error:
                    raise NoReplyError(f"{self.settings.url}: {error}") from None
                except (httpx.HTTPError, RetryableError) as error:
                    reason, last = one_line(error) or type(error).__name__, error
                if tries <= self.settings.retries:
                    growing = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1))
                    asked = getattr(last, "pause", 0.0)
                    await asyncio.sleep(asked or growing * random.uniform(0.5, 1.0))

        # One that never answered is not there, so all that is still to be asked would wait in vain.
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

    async def _post(self, body: dict) -> Any:
        """The body of one answer that is no error, whatever else it holds."""
        if self._client is None:
            limits = httpx.Limits(max_connections=self.settings.concurrency)
            self._client = httpx.AsyncClient(
                headers=self._headers, timeout=self.settings.timeout, limits=limits
            )
        address = f"{self.settings.url.rstrip('/')}/chat/completions"
        response = await self._client.post(address, json=body)
        reason = one_line(response.text) or response.reason_phrase
        self._check(response.status_code, reason, pause=_asked_pause(response))

        # Gateways answer for the endpoint behind them: with a page, or with its error as a 200.
        try:
            payload = response.json()
        except (ValueError, RecursionError):
            raise RetryableError(f"an answer that is not JSON: {reason}") from None
        if error := error_in(payload):
            status, message = error
            self._check(status or 200, message)
            raise RetryableError(f"an error: {message}")
        return payload

    def _check(self, status: int, reason: str, *, pause: float = 0.0) -> None:
        """Raise what a status that is no success means."""
        if 200 <= status < 300:
            return
        if status in REFUSED or 300 <= status < 400:
            raise AssistantError(
                f"{self.settings.url} refuses (status {status}): {reason}; check url, model and key"
            )
        if 400 <= status < 500 and status not in RETRYABLE:
            raise NoReplyError(f"status {status}: {reason}")
        raise RetryableError(f"status {status}: {reason}", pause=pause)


def _is_address(url: str) -> bool:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parts.scheme in ("http", "https") and bool(parts.host)


def _asked_pause(response: httpx.Response) -> float:
    """Seconds that a 429 or 503 asks to wait (Retry-After), 0 when it does not say."""
    asked = response.headers.get("retry-after", "")
    seconds = re.fullmatch(r"\d+(\.\d+)?", asked, re.ASCII)
    return min(float(asked), LONGEST_PAUSE) if seconds else 0.0
