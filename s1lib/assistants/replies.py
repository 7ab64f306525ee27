"""Replies of an assistant, the errors in their place, and the file that keeps every reply."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from s1lib.errors import S1Error
from s1lib.keeping.files import atomic_path


class AssistantError(S1Error):
    """An assistant cannot be asked at all. The message says why and what to change."""


class NoReplyError(S1Error):
    """This request failed for good, where others may succeed. It says the endpoint's reason."""


class RetryableError(Exception):
    """This try failed in a way that another may not.

    pause: seconds that the endpoint asks to wait.
    """

    def __init__(self, reason: str, *, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class Reply:
    """One reply.

    text: the answer.
    thinking: what the model thought before it, where that is told apart.
    finish: "stop", or "length" for a reply that was cut at its limit of tokens.
    tries: requests that it took.
    """

    text: str
    thinking: str = ""
    finish: str = "stop"
    prompt_tokens: int = 0
    reply_tokens: int = 0
    tries: int = 1


class ReplyCache:
    """Replies by key in a JSONL file, one line appended as each comes.

    A line that was cut is dropped when the file is opened again.
    """

    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        self.path = path
        self.replies: dict[str, Reply] = {}
        path.parent.mkdir(parents=True, exist_ok=True)

        # What a kill cut is dropped from the file too, or the next line would be glued to it.
        whole, damaged = [], 0
        kept = path.read_bytes() if path.exists() else b""
        for line in kept.splitlines(keepends=True):
            try:
                row = json.loads(line)
                self.replies[row["key"]] = Reply(**row["reply"])
                whole.append(line.rstrip(b"\n") + b"\n")
            except (ValueError, TypeError, KeyError):
                damaged += 1

        if damaged:
            log(
                f"{path}: {damaged} damaged lines left out (an interrupted run leaves one); "
                f"{len(whole)} replies are kept"
            )
        # A next reply must begin a line of its own.
        if kept != b"".join(whole):
            with atomic_path(path) as temporary:
                temporary.write_bytes(b"".join(whole))

    def keep(self, key: str, reply: Reply) -> None:
        """Append one reply."""
        self.replies[key] = reply
        line = json.dumps({"key": key, "reply": dataclasses.asdict(reply)}, ensure_ascii=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
