"""Decoding on servers: any OpenAI-compatible completions server that takes and returns token ids, or a fleet of them.

    vllm serve MODEL --port 8001          (on as many machines as there are)
    engine = ServerEngine.connect(MODEL, urls=["http://a:8001", "http://b:8001"], max_rows=256, max_context=32768)

A request goes to the replica with the fewest under way; the replica that served the same problem before (and has its prefix
cached) may have a few more. A replica that fails rests, longer each time, and what it had under way is sent to the others.
A request has one answer or an error: nothing is lost, and nothing counted twice.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import httpx

from s1lib.engines.checkpoint import Checkpoint, open_checkpoint
from s1lib.engines.pieces import Piece, PieceEngine
from s1lib.engines.protocol import Completion, EngineError, Request
from s1lib.engines.stops import one_line

BIAS = -100.0  # the lowest a server takes
FIRST_REST, LONGEST_REST = 0.5, 30.0  # seconds that a replica rests after failures
PATIENCE = 600.0  # seconds that a request goes on failing before it is given up: a server may be restarted meanwhile
SLACK = 4  # requests more than the others that a replica may have when it knows the prefix
TIMEOUT = httpx.Timeout(10.0, read=7200.0, pool=None)  # a long thought is one answer; who is gone is found by the probes below
PROBES = [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
]
MAY_PASS = {408, 425, 429}  # of the 4xx; every other one says that the request is wrong
PLAIN = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}


@dataclass(eq=False)
class Replica:
    """One server. model: what it calls the model. load: requests under way. rests_until: by the monotonic clock, seconds."""

    url: str
    model: str
    load: int = 0
    failures: int = 0  # in a row
    rests_until: float = 0.0

    def rest(self) -> None:
        """After a failure; that many requests fail together is one."""
        if time.monotonic() >= self.rests_until:
            self.rests_until = time.monotonic() + min(FIRST_REST * 2**self.failures, LONGEST_REST)
            self.failures += 1


class Home:
    """Where the requests of one problem were served last."""

    replica: Replica | None = None


_home: ContextVar[Home | None] = ContextVar("home", default=None)


class ServerEngine(PieceEngine):
    """Implements `s1lib.engines.protocol.Engine`. See the module's text; made by `connect`."""

    @classmethod
    def connect(cls, model: str | Path, *, urls: Sequence[str], max_rows: int, max_context: int) -> ServerEngine:
        """The engine on those of the servers `urls` that serve `model` (a directory or hub id; its tokenizer is read here).

        max_rows: requests under way per replica. A server that does not answer now is tried again later, unless none does.
        Raises EngineError when no server can be reached, none serves the model, or one returns text only.
        """
        if not urls:
            raise EngineError('engine.kind is "server", but engine.urls names none: set e.g. ["http://127.0.0.1:8000"]')
        checkpoint = open_checkpoint(model)
        replicas, served, dead, owner = [], set(), [], "openai"
        with httpx.Client(timeout=httpx.Timeout(10.0, read=60.0)) as client:
            for url in dict.fromkeys(url.rstrip("/").removesuffix("/v1") for url in urls):
                try:
                    listed = _listed(client, url)
                except EngineError as error:
                    dead.append((url, error))
                    continue
                served |= {entry["id"] for entry in listed}
                entry = next((entry for entry in listed if _same_model(checkpoint, entry)), None)
                if entry is None:
                    continue
                replicas.append(Replica(url, entry["id"]))
                max_context = min(max_context, entry.get("max_model_len") or max_context)
                owner = entry.get("owned_by") or owner
                _probe(client, replicas[-1])
        if not replicas and dead:
            raise dead[0][1]
        if not replicas:
            raise EngineError(f"no server of engine.urls serves {model}, they serve {', '.join(sorted(served))}: start one that does")
        replicas += [Replica(url, replicas[0].model, failures=1, rests_until=time.monotonic() + FIRST_REST) for url, _ in dead]
        return cls(checkpoint, replicas, name=f"server-{owner}", max_rows=max_rows, max_context=max_context)

    def __init__(self, checkpoint: Checkpoint, replicas: list[Replica], *, name: str, max_rows: int, max_context: int) -> None:
        tokenizer, config = checkpoint.tokenizer, checkpoint.config
        context = min(max_context, checkpoint.window or max_context)
        ids = {"vocab_size": len(tokenizer), "embeddings": config.vocab_size, "end_ids": checkpoint.end_ids()}
        super().__init__(name=name, max_context=context, tokenizer=tokenizer, **ids)
        self.replicas = replicas
        self._places = max_rows * len(replicas)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def complete(self, request: Request) -> Completion:
        """See `Engine.complete`."""
        if _home.get() is None:  # set in the caller's task: the next request of this problem finds it there
            _home.set(Home())
        return await super().complete(request)

    async def aclose(self) -> None:
        """Cancel pending requests and close the connections; the servers go on."""
        await super().aclose()
        if self._loop is asyncio.get_running_loop():
            await self._client.aclose()

    def _enter_loop(self) -> None:
        """Connections belong to an event loop; in another one they are made anew."""
        if self._loop is not asyncio.get_running_loop():
            self._loop = asyncio.get_running_loop()
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=self._places)
            options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *PROBES]
            self._client = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(limits=limits, socket_options=options), timeout=TIMEOUT)
            self._free = asyncio.Semaphore(self._places)
            for replica in self.replicas:
                replica.load = 0

    async def _decode(self, piece: Piece) -> list[int]:
        self._enter_loop()
        async with self._free:
            failing_since = None
            while True:
                replica = await self._choose()
                replica.load += 1
                try:
                    response = await self._client.post(f"{replica.url}/v1/completions", json=_request(piece, replica.model))
                    tokens = _tokens(response, replica.url)
                    replica.failures = 0
                    return tokens
                except (httpx.TransportError, _Passing) as error:
                    replica.rest()
                    failing_since = failing_since or time.monotonic()
                    if time.monotonic() - failing_since > PATIENCE:
                        last = f"the last was {replica.url} ({one_line(error)})"
                        raise EngineError(f"no server answered for {PATIENCE:.0f} seconds, {last}: start one and run again") from None
                finally:
                    replica.load -= 1

    async def _choose(self) -> Replica:
        """The replica for one request; waits while all of them rest."""
        while True:
            now = time.monotonic()
            awake = [replica for replica in self.replicas if replica.rests_until <= now]
            if awake:
                break
            await asyncio.sleep(min(replica.rests_until for replica in self.replicas) - now)
        least, home = min(awake, key=lambda replica: replica.load), _home.get() or Home()
        if home.replica not in awake or home.replica.load > least.load + SLACK:
            home.replica = least
        return home.replica


class _Passing(Exception):
    """A failure of the server's that another try, or another server, may not have."""


def _request(piece: Piece, model: str) -> dict:
    """The body of a completions request; what the server would take from the model's generation configuration is said as well."""
    return {
        "model": model,
        "prompt": piece.ids,
        "max_tokens": piece.max_tokens,
        "min_tokens": piece.min_tokens,
        "stop_token_ids": piece.stop_ids,
        "temperature": piece.temperature,
        "ignore_eos": True,
        "return_token_ids": True,
        **PLAIN,
        **({"logit_bias": {str(token): BIAS for token in piece.banned}} if piece.banned else {}),
        **({"seed": piece.seed} if piece.seed is not None else {}),
    }


def _tokens(response: httpx.Response, url: str) -> list[int]:
    """The sampled ids of a response, the stop included. Raises _Passing or EngineError."""
    if response.status_code in MAY_PASS or response.status_code >= 500:
        raise _Passing(f"status {response.status_code}")
    try:
        body = response.json()
    except ValueError:
        raise _Passing("an answer that is not JSON") from None
    if response.status_code != 200:
        said = body.get("error", body) if isinstance(body, dict) else body
        said = said.get("message", said) if isinstance(said, dict) else said
        raise EngineError(f"the server {url} refuses the request: {' '.join(str(said).split())[:300]}")
    choice = (body.get("choices") or [{}])[0]
    tokens = choice.get("token_ids")
    if not isinstance(tokens, list):
        raise EngineError(f"the server {url} returns text only, not token ids: use one that knows return_token_ids, such as vllm serve")
    if not tokens:
        raise _Passing(f"an answer without a token (finish_reason {choice.get('finish_reason')!r})")
    return tokens


def _listed(client: httpx.Client, url: str) -> list[dict]:
    """What GET /v1/models lists."""
    try:
        response = client.get(f"{url}/v1/models")
        response.raise_for_status()
        return response.json()["data"]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EngineError(f"cannot reach the server {url} ({one_line(error)}): start it, or correct engine.urls") from None
    except (ValueError, KeyError, TypeError):
        raise EngineError(f"{url} is no OpenAI-compatible server: GET {url}/v1/models lists no models") from None


def _same_model(checkpoint: Checkpoint, entry: dict) -> bool:
    """Whether a server's entry is the checkpoint: by its id, or by the path or hub id it was started with."""
    names = {entry.get("id"), entry.get("root")} - {None}
    return checkpoint.name in names or any(Path(checkpoint.name).resolve() == Path(name).resolve() for name in names)


def _probe(client: httpx.Client, replica: Replica) -> None:
    """One token, so that a server that returns text only is found before anything is decoded in earnest."""
    piece = Piece([0], max_tokens=1, stop_ids=[], min_tokens=0, banned=[], temperature=0.0, seed=None)
    try:
        _tokens(client.post(f"{replica.url}/v1/completions", json=_request(piece, replica.model)), replica.url)
    except (httpx.HTTPError, _Passing) as error:
        raise EngineError(f"the server {replica.url} does not decode ({one_line(error)}): look at its log") from None
