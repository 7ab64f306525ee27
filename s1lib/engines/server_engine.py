"""Decoding on servers: any OpenAI-compatible completions server of token ids, or a fleet of them.

    vllm serve MODEL --port 8001          (on as many machines as there are)
    urls = ["http://a:8001", "http://b:8001"]
    engine = ServerEngine.connect(MODEL, urls=urls, max_rows=256, max_context=32768)

A request goes to the replica with the fewest under way. The replica that served the same problem
before (and has its prefix cached) may have a few more. A replica that fails rests, longer each
time, and what it had under way is sent to the others. A request has one answer or an error: nothing
is lost, and nothing counted twice.
"""

from __future__ import annotations

import asyncio
import socket
import time
import warnings
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import httpx

from s1lib.engines.checkpoint import Checkpoint, open_checkpoint
from s1lib.engines.completions_api import (
    RetryableError,
    completion_request,
    headers,
    printable,
    read_tokens,
    reason,
)
from s1lib.engines.pieces import Piece, PieceEngine
from s1lib.engines.protocol import Completion, EngineError, Request
from s1lib.engines.served_models import find_model

# Seconds that a request goes on failing before it is given up: a server may be restarted meanwhile.
PATIENCE = 600.0
FIRST_REST, LONGEST_REST = 0.5, 30.0  # seconds that a replica rests after failures
SLACK = 4  # requests more than the others that a replica may have when it knows the prefix
# A long thought is one answer, so reading may take hours. A server that is gone is found by probes.
TIMEOUT = httpx.Timeout(10.0, read=7200.0, pool=None)
PROBES = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)  # they differ between systems
]


@dataclass(eq=False)
class Replica:
    """One server.

    model: what it calls the model. load: requests under way. failures: in a row.
    rests_until: seconds of the monotonic clock.
    """

    url: str
    model: str
    load: int = 0
    failures: int = 0
    rests_until: float = 0.0

    def rest(self, why: str) -> None:
        """Rest after a failure. Many requests that fail together count as one failure."""
        now = time.monotonic()
        if now >= self.rests_until:
            if not self.failures:
                tried = f"it is tried again, for up to {PATIENCE / 60:.0f} minutes a request"
                warnings.warn(f"{self.url} failed ({why}): {tried}", stacklevel=2)
            # The exponent is limited, since 2**1024 is no float, and that is one night's failures.
            self.rests_until = now + min(FIRST_REST * 2 ** min(self.failures, 30), LONGEST_REST)
            self.failures += 1


class StickyReplica:
    """The replica that served the requests of one problem last, and has their prefix cached."""

    replica: Replica | None = None


# A test-time method is one task per problem, so what its context holds is the problem's.
_sticky: ContextVar[StickyReplica | None] = ContextVar("sticky_replica", default=None)


class ServerEngine(PieceEngine):
    """Implements `s1lib.engines.protocol.Engine`. Made by `connect`."""

    @classmethod
    def connect(
        cls, model: str | Path, *, urls: Sequence[str], max_rows: int, max_context: int
    ) -> ServerEngine:
        """The engine on those of the servers `urls` that serve `model` (a directory or hub id).

        The model's tokenizer is read here. A server that does not answer now is tried again later,
        unless none does.

        max_rows: requests under way per replica.
        max_context: tokens, prompt included, at most what the model and the servers allow.
        Raises EngineError when no server can be reached, none serves the model, or one returns text
        only.
        """
        urls = [urls] if isinstance(urls, str) else urls
        if not urls:
            raise EngineError(
                'engine.kind is "server", but engine.urls names none: '
                'set e.g. ["http://127.0.0.1:8000"]'
            )
        checkpoint = open_checkpoint(model)

        # The context is the smallest of all, so that any replica can serve any request.
        replicas, served, down, owner = [], set(), [], "openai"

        patient = httpx.Timeout(10.0, read=60.0)
        with httpx.Client(timeout=patient, headers=headers()) as client:
            for url in dict.fromkeys(url.rstrip("/").removesuffix("/v1") for url in urls):
                try:
                    ours, names = find_model(client, url, checkpoint)
                except RetryableError as error:
                    down.append((url, str(error)))
                    continue
                served |= names
                if ours:
                    replicas.append(Replica(url, ours.id))
                    max_context = min(max_context, ours.max_model_len or max_context)
                    owner = ours.owned_by or owner

        if not replicas:
            names = printable(", ".join(sorted(served)))
            nobody = f"no server of engine.urls serves {model}, they serve {names}"
            raise EngineError(down[0][1] if down else f"{nobody}: start one that does")

        # Those that do not answer yet are taken to serve the same model once they do.
        later = time.monotonic() + FIRST_REST
        replicas += [
            Replica(url, replicas[0].model, failures=1, rests_until=later) for url, _ in down
        ]
        return cls(
            checkpoint, replicas, name=f"server-{owner}", max_rows=max_rows, max_context=max_context
        )

    def __init__(
        self,
        checkpoint: Checkpoint,
        replicas: list[Replica],
        *,
        name: str,
        max_rows: int,
        max_context: int,
    ) -> None:
        super().__init__(
            name=name,
            max_context=min(max_context, checkpoint.window or max_context),
            vocab_size=len(checkpoint.tokenizer),
            embeddings=checkpoint.config.vocab_size,
            end_ids=checkpoint.end_ids(),
            tokenizer=checkpoint.tokenizer,
        )
        self.replicas = replicas
        self._places = max_rows * len(replicas)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def complete(self, request: Request) -> Completion:
        """See `Engine.complete`."""
        # Set in the caller's task, so that the next request of this problem finds it there.
        if _sticky.get() is None:
            _sticky.set(StickyReplica())
        return await super().complete(request)

    async def aclose(self) -> None:
        """Cancel pending requests and close the connections. The servers go on."""
        await super().aclose()
        if self._loop is asyncio.get_running_loop():
            await self._client.aclose()

    def _enter_loop(self) -> None:
        """Make the connections anew in another event loop, since they belong to one."""
        if self._loop is asyncio.get_running_loop():
            return
        self._loop = asyncio.get_running_loop()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=self._places)
        transport = httpx.AsyncHTTPTransport(limits=limits, socket_options=PROBES)
        self._client = httpx.AsyncClient(transport=transport, timeout=TIMEOUT, headers=headers())
        self._free = asyncio.Semaphore(self._places)
        for replica in self.replicas:
            replica.load = 0

    async def _decode(self, piece: Piece) -> list[int]:
        self._enter_loop()
        async with self._free:
            failing_since = None
            while True:
                replica, began = await self._choose(), time.monotonic()
                replica.load += 1

                # A failure costs the replica a rest and the request another try elsewhere.
                try:
                    response = await self._client.post(
                        f"{replica.url}/v1/completions",
                        json=completion_request(piece, replica.model),
                    )
                    tokens = read_tokens(response, replica.url, embeddings=self.embeddings)
                    replica.failures = 0
                    return tokens
                except (httpx.RequestError, RetryableError) as error:
                    replica.rest(reason(error))
                    # A server that decoded for a while before it failed was there.
                    now = time.monotonic()
                    if failing_since is None or now - began > LONGEST_REST:
                        failing_since = now
                    if now - failing_since > PATIENCE:
                        raise EngineError(
                            f"no server gave an answer that can be used for {PATIENCE:.0f} "
                            f"seconds, the last was {replica.url} ({reason(error)}): look at its "
                            "log, or start one, and run again"
                        ) from None
                finally:
                    replica.load -= 1

    async def _choose(self) -> Replica:
        """The replica for one request. Waits while all of them rest."""
        while True:
            now = time.monotonic()
            awake = [replica for replica in self.replicas if replica.rests_until <= now]
            if awake:
                break
            await asyncio.sleep(min(replica.rests_until for replica in self.replicas) - now)

        # The problem's own replica, unless it rests or has much more to do than the others.
        least = min(awake, key=lambda replica: replica.load)
        sticky = _sticky.get() or StickyReplica()
        if sticky.replica not in awake or sticky.replica.load > least.load + SLACK:
            sticky.replica = least
        return sticky.replica
