"""A small OpenAI-compatible completions server in a thread, on TorchEngine, that fails on demand.

    with FakeServer(directory) as server:
        engine = ServerEngine.connect(directory, urls=[server.url], max_rows=8, max_context=160)

As vLLM does, it stops at single ids only, and it samples ids outside the tokenizer.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path

from transformers import AutoModelForCausalLM

from s1lib.engines.protocol import Request
from s1lib.engines.torch_engine import TorchEngine

# Number of the request -> None, "500", "drop" (the connection), "hang", "answer, then drop", or the
# status and the body of any other answer.
Failure = Callable[[int], str | tuple[int, bytes] | None]


class FakeServer:
    """The server of a checkpoint.

    text_only: answers as a server that knows no return_token_ids.
    fail: see `Failure`.
    spare_first: the first request never fails, since `connect` makes it to see token ids.
    models: body of what GET /v1/models answers, in place of the list with the one model.
    requests: bodies of all completion requests.
    aborted: requests whose client went away before the answer.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str | None = None,
        text_only: bool = False,
        fail: Failure = lambda number: None,
        spare_first: bool = True,
    ) -> None:
        self.directory, self.name, self.text_only = directory, name or str(directory), text_only
        self.fail, self.spare_first = fail, spare_first
        self.models: bytes | None = None
        self.requests: list[dict] = []
        self.aborted = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._connections: dict[asyncio.Task, asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeServer:
        model = AutoModelForCausalLM.from_pretrained(self.directory)
        self.engine = TorchEngine(
            model,
            vocab_size=model.config.vocab_size,
            max_rows=16,
            max_context=model.config.max_position_embeddings,
        )
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._in_loop(self.engine.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = self._in_loop(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = self._server.sockets[0].getsockname()[1]

    def kill(self) -> None:
        """As if the process had died: no new connections, and those there are broken off."""
        self._in_loop(self._kill())

    def kill_soon(self) -> str:
        """`kill`, from within `fail`."""
        self._loop.call_later(0.01, lambda: asyncio.ensure_future(self._kill()))
        return "hang"

    async def _kill(self) -> None:
        self._server.close()
        for task, writer in list(self._connections.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.sleep(0)

    def unfinished(self) -> int:
        return len(self.engine._schedule.pending())

    def _in_loop(self, coroutine: object) -> object:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[asyncio.current_task()] = writer
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = head.split()[1].decode()
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length")
                    ),
                    0,
                )
                status, body = await self._answer(target, await reader.readexactly(length), reader)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                writer.write(
                    b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    % (status, len(data))
                    + data
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.pop(asyncio.current_task(), None)
            writer.close()

    async def _answer(
        self, target: str, data: bytes, reader: asyncio.StreamReader
    ) -> tuple[int, dict | bytes]:
        if target not in ("/v1/models", "/v1/completions"):
            return 404, {}
        if target == "/v1/models" and self.models is not None:
            return 200, self.models
        if target == "/v1/models":
            return 200, {
                "data": [
                    {"id": self.name, "owned_by": "fake", "max_model_len": self.engine.max_context}
                ]
            }
        request = json.loads(data)
        self.requests.append(request)
        spared = self.spare_first and len(self.requests) == 1
        failure = None if spared else self.fail(len(self.requests) - 2)
        if failure == "500":
            return 500, {"error": {"message": "something broke"}}
        if isinstance(failure, tuple):
            return failure
        if failure == "drop":
            raise ConnectionError
        if failure == "hang":
            await asyncio.sleep(3600)
        work = asyncio.ensure_future(self._complete(request))
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            self.aborted += 1
            raise ConnectionError
        gone.cancel()
        await asyncio.wait([gone])  # until it has let go of the reader
        if failure == "answer, then drop":
            raise ConnectionError
        choice = {"index": 0, "text": "some text", "finish_reason": "length"}
        return 200, {
            "choices": [choice if self.text_only else {**choice, "token_ids": work.result()}]
        }

    async def _complete(self, request: dict) -> list[int]:
        banned = [int(token) for token in request.get("logit_bias") or {}]
        assert not banned or request["max_tokens"] == 1
        wanted = Request(
            request["prompt"],
            max_tokens=request["max_tokens"],
            stop=[(token,) for token in [*request["stop_token_ids"], *banned]],
            min_tokens=1 if banned else request["min_tokens"],
            temperature=request["temperature"],
            seed=request.get("seed"),
        )
        completion = await self.engine.complete(wanted)
        return [*completion.ids, *(completion.stop or ())]
