"""A small OpenAI-compatible chat endpoint for tests, in a thread of its own, failing as asked.

with ChatServer(lambda prompt, body: "Yes") as server:
    replies, assistant = with_assistant(server.settings(), cache, lambda a: a.ask_all(["7?"]))
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

from s1lib.assistants import endpoint
from s1lib.assistants.assistant import Assistant
from s1lib.profile import Assistant as AssistantSettings

FAILURES = ("500", "429", "503", "cut", "dropped", "not a completion")


@dataclass(frozen=True)
class Raw:
    """An answer as it goes over the wire."""

    body: str | bytes
    status: int = 200


class ChatServer(ThreadingHTTPServer):
    """Answers every request with `answer(prompt, body)`.

    That is the reply's text, or (thinking, text), or an int: the status to refuse with, or Raw.
    failing: share of the requests that fail in one of the ways of FAILURES.
    """

    daemon_threads = True
    request_queue_size = 128  # socketserver's 5 turns clients away before they are counted

    def __init__(
        self, answer: Callable[[str, dict], object], *, failing: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.failing, self.rng = answer, failing, random.Random(seed)
        self.lock = threading.Lock()
        self.requests: Counter[str] = Counter()  # by prompt
        self.answered: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.bodies: list[dict] = []
        self.headers: list[dict] = []

    def settings(self, **values: object) -> AssistantSettings:
        return AssistantSettings(
            **{
                "model": "tested",
                "url": f"http://127.0.0.1:{self.server_port}/v1",
                "timeout": 10.0,
                **values,
            }
        )

    def __enter__(self) -> ChatServer:
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt, server = body["messages"][-1]["content"], self.server
        assert self.path == "/v1/chat/completions"
        with server.lock:
            server.requests[prompt] += 1
            server.bodies.append(body)
            server.headers.append(dict(self.headers))
            failure = server.rng.choice(FAILURES) if server.rng.random() < server.failing else None
            if failure:
                server.failures[failure] += 1
        if failure == "dropped":
            self.connection.close()
        elif failure == "cut":
            self._send(200, '{"choices": [{"mess')
        elif failure == "not a completion":
            self._send(200, '{"error": "overloaded"}')
        elif failure:
            self._send(int(failure), "try again", {"Retry-After": "0"} if failure == "429" else {})
        else:
            self._answer(prompt, body)

    def _answer(self, prompt: str, body: dict) -> None:
        answer = self.server.answer(prompt, body)
        if isinstance(answer, int):
            return self._send(answer, "no such thing here")
        if isinstance(answer, Raw):
            return self._send(answer.status, answer.body)
        thinking, text = answer if isinstance(answer, tuple) else (None, answer)
        with self.server.lock:
            self.server.answered[prompt] += 1
        message = {"role": "assistant", "content": text} | (
            {"reasoning_content": thinking} if thinking else {}
        )
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(text)}
        self._send(
            200,
            json.dumps(
                {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
            ),
        )

    def _send(self, status: int, text: str | bytes, headers: dict | None = None) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def with_assistant(
    settings: AssistantSettings,
    cache: Path,
    work: Callable[[Assistant], Awaitable[Any]],
    *,
    log: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> tuple[Any, Assistant]:
    """What `work(assistant)` returns, and the assistant, closed; pauses between tries are short."""

    async def run() -> tuple[Any, Assistant]:
        assistant = Assistant(settings, cache=cache, log=log, **options)
        try:
            return await work(assistant), assistant
        finally:
            await assistant.aclose()

    with patch.multiple(endpoint, FIRST_PAUSE=0.002, LONGEST_PAUSE=0.01):
        return asyncio.run(run())
