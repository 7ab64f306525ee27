"""The body of a chat endpoint's answer: a reply, an error sent as a success, or neither.

    status, message = error_in(payload) or (200, "")
    reply = read_completion(payload, tries=1)

Endpoints differ in how they tell thinking from text: a field of its own, typed parts, or tags in
the text. All of these are read. A structure that is none of them is never turned into text.
"""

from __future__ import annotations

import math
import re
from typing import Any

from s1lib.assistants.replies import NoReplyError, Reply, RetryableError

TEXT_PARTS = ("text", "output_text")
THINKING_PARTS = ("thinking", "reasoning", "reasoning_content", "summary")
HOLDERS = ("text", "thinking", "reasoning", "reasoning_content", "content", "summary")
CUT = ("length", "max_tokens", "max_output_tokens")
WITHHELD = ("content_filter", "safety", "refusal", "recitation", "prohibited_content", "blocklist")
# Errors that come with a name and no status of their own.
STATUS = {
    "invalid_request_error": 400,
    "BadRequestError": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "insufficient_quota": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "NotFoundError": 404,
    "model_not_found": 404,
}
MOST_TOKENS = 10**12  # a count beyond it is no count


def error_in(payload: Any) -> tuple[int | None, str] | None:
    """(status, message) of an error that came with status 200, or None where there is none.

    The status is None where the error names no HTTP status.
    """
    if not isinstance(payload, dict):
        return None
    choices = payload.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    error = payload.get("error") or (first.get("error") if isinstance(first, dict) else None)
    if not error and not choices and _status(payload):
        error = payload  # some servers write it flat
    if not error:
        return None
    if not isinstance(error, dict):
        return None, one_line(error)
    return _status(error), one_line(error.get("message") or error)


def _status(error: dict) -> int | None:
    """The HTTP status of a refusal, by whatever name an error gives it."""
    codes = [str(error.get(name)) for name in ("code", "status", "status_code", "type")]
    numbers = (int(code) for code in codes if re.fullmatch("[45][0-9][0-9]", code))
    return next(numbers, None) or next((STATUS[code] for code in codes if code in STATUS), None)


def read_completion(payload: Any, *, tries: int) -> Reply:
    """The reply that a chat completion holds.

    tries: requests that it took. Raises RetryableError for what is no completion or is empty, and
    NoReplyError for one that a filter or the model's own refusal withholds.
    """
    try:
        return _read(payload, tries)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise RetryableError(f"not a chat completion: {one_line(payload)}") from None
    except RecursionError:
        raise RetryableError("not a chat completion: it is nested too deeply") from None


def _read(payload: Any, tries: int) -> Reply:
    choice = payload["choices"][0]
    message, finish = choice["message"], str(choice.get("finish_reason")).lower()
    if finish in WITHHELD:
        raise NoReplyError(f"the reply was withheld (finish_reason {finish})")
    if finish == "error":
        raise RetryableError("the reply failed on the way (finish_reason error)")

    # A field of its own comes first, then typed parts, then tags within the text.
    thinking, text = _split(message.get("content"))
    thinking = _plain(message.get("reasoning_content") or message.get("reasoning")) or thinking
    if not thinking and "</think>" in text:
        thinking, _, text = text.partition("</think>")
        thinking = thinking.strip().removeprefix("<think>")
    elif not thinking and text.lstrip().startswith("<think>"):  # cut before its end
        thinking, text = text.lstrip().removeprefix("<think>"), ""
    thinking, text = _sound(thinking), _sound(text)

    finish = "length" if finish in CUT else "stop"
    if not text and (refusal := _plain(message.get("refusal"))):
        raise NoReplyError(f"the model refuses: {one_line(refusal)}")
    if not text and not thinking and finish == "stop":
        raise RetryableError("an empty reply")

    # Costs are told from these numbers, which a server may leave out or fill with anything.
    usage = payload.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tokens = [_count(counts.get(f"{of}_tokens")) for of in ("prompt", "completion")]
    return Reply(text, thinking, finish, *tokens, tries=tries)


def _split(content: Any) -> tuple[str, str]:
    """(thinking, text) of a message's content: a text, or parts that say what they are."""
    if content is None or isinstance(content, str):
        return "", content or ""
    thinking, text = [], []
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        if kind in THINKING_PARTS:
            thinking.append(_plain(part))
        elif kind in TEXT_PARTS:
            text.append(_plain(part))
        elif kind == "refusal":
            raise NoReplyError(f"the model refuses: {one_line(part.get('refusal'))}")
        elif kind != "redacted_thinking":  # sealed by the provider, and no text
            raise TypeError(kind)
    return "".join(thinking), "".join(text)


def _plain(value: Any) -> str:
    """The text in a value, which may be wrapped in lists and in objects that name it."""
    if not value:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_plain, value))
    if not isinstance(value, dict) or not any(name in value for name in HOLDERS):
        raise TypeError(type(value).__name__)
    return next(filter(None, (_plain(value.get(name)) for name in HOLDERS)), "")


def _count(value: Any) -> int:
    """A number of tokens, where anything else counts as 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if math.isfinite(value) and 0 <= value < MOST_TOKENS else 0


def _sound(text: str) -> str:
    """Half a surrogate pair, which JSON may spell but no file can hold, becomes "?"."""
    return text.encode("utf-8", "replace").decode().strip()


def one_line(value: Any, limit: int = 200) -> str:
    """The beginning of a value, for a message."""
    try:
        text = value if isinstance(value, str) else str(value)
    except RecursionError:
        text = "a deeply nested structure"
    return _sound(" ".join(text[: 10 * limit].split())[:limit])
