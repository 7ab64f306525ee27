"""Requests to an OpenAI-compatible completions server, and the reading of its answers.

A server's answer is data from outside, so nothing of it is used before its shape has been checked.
A fault that may pass is a RetryableError. One that no other try can mend is an EngineError.
"""

from __future__ import annotations

import os
import re
from typing import Any

import httpx

from s1lib.engines.pieces import Piece
from s1lib.engines.protocol import EngineError, one_line

KEY = "VLLM_API_KEY"  # the environment variable that holds the servers' key
BIAS = -100.0  # the lowest a server takes
# A server would otherwise take these from the model's generation configuration.
PLAIN_SAMPLING = {
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}

MAY_PASS = {408, 425, 429}  # of the 4xx, the others say that the request is wrong
# What servers call a wrong request in an error object that has no status of its own.
WRONG_REQUEST = ("BadRequestError", "NotFoundError", "invalid_request_error")
CUT_SHORT = ("abort", "content_filter", "error")  # finish reasons of what is not the whole answer


def headers() -> dict[str, str]:
    """The key of the servers, if they have one: `vllm serve` reads it from the same variable."""
    key = os.environ.get(KEY, "").strip()
    return {"Authorization": f"Bearer {key}"} if key else {}


class RetryableError(Exception):
    """A failure of the server's that another try, or another server, may not have."""


def completion_request(piece: Piece, model: str) -> dict:
    """The body of POST /v1/completions for one piece."""
    body = {
        "model": model,
        "prompt": piece.ids,
        "max_tokens": piece.max_tokens,
        "min_tokens": piece.min_tokens,
        "stop_token_ids": piece.stop_ids,
        "temperature": piece.temperature,
        "ignore_eos": True,
        "return_token_ids": True,
        **PLAIN_SAMPLING,
    }
    if piece.banned:
        body["logit_bias"] = {str(token): BIAS for token in piece.banned}
    if piece.seed is not None:
        body["seed"] = piece.seed
    return body


def read_tokens(response: httpx.Response, url: str, *, embeddings: int) -> list[int]:
    """The sampled ids of an answer, the stop included.

    embeddings: number of ids that the model has.
    Raises RetryableError, or EngineError when the request itself is refused or the server returns
    text only.
    """
    body = read_json(response)
    _check_status(response, body, url)

    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise RetryableError("an answer without a choice")

    finish, text, tokens = (choice.get(key) for key in ("finish_reason", "text", "token_ids"))
    if finish in CUT_SHORT:
        raise RetryableError(f"an answer cut short (finish_reason {finish!r})")
    if tokens is None and text and isinstance(text, str):
        raise EngineError(
            f"the server {url} returns text only, not token ids: "
            "use one that knows return_token_ids, such as vllm serve"
        )
    if tokens == [] and finish == "stop":
        raise EngineError(
            f"the server {url} leaves the token that it stops at out of token_ids: "
            "use one that returns it, such as vllm serve"
        )
    if not isinstance(tokens, list) or not tokens:
        raise RetryableError("an answer without a token")

    # bool is a kind of int, and 3.0 == 3, so the type itself is compared.
    if not all(type(token) is int and 0 <= token < embeddings for token in tokens):
        raise RetryableError("an answer with token_ids that the model does not have")
    return tokens


def read_json(response: httpx.Response) -> Any:
    """The body of an answer, None when it is not JSON."""
    try:
        return response.json()
    except (ValueError, RecursionError):  # the second one for a body that is nested very deeply
        return None


def _check_status(response: httpx.Response, body: Any, url: str) -> None:
    """Raise what an error says, whether it has a status of its own or comes with a 200."""
    status = response.status_code
    if response.is_success:
        error = body.get("error") if isinstance(body, dict) else None
        if not error:
            return
        final, shown = _is_wrong_request(error), f"status {status} with an error"
    else:
        final, shown = is_final(status), f"status {status}"

    message = _server_message(response, body)
    if final:
        raise EngineError(f"the server {url} refuses the request ({shown}): {message}")
    raise RetryableError(f"{shown}: {message}")


def is_final(status: int) -> bool:
    """Whether a status that is no success stays as it is, however often one tries."""
    return 300 <= status < 500 and status not in MAY_PASS


def _is_wrong_request(error: Any) -> bool:
    """Whether an error object says that the request is wrong, by its code or its type."""
    if not isinstance(error, dict):
        return False
    code = error.get("code")
    if isinstance(code, int | str) and re.fullmatch("[345][0-9][0-9]", str(code)):
        return is_final(int(code))
    return error.get("type") in WRONG_REQUEST


def _server_message(response: httpx.Response, body: Any) -> str:
    """The server's own words about an error, as one line of at most 300 characters."""
    said = body.get("error", body) if isinstance(body, dict) else body
    said = said.get("message", said) if isinstance(said, dict) else said
    if not isinstance(said, str):
        # What is no known object is shown as it came, whatever encoding the server claims.
        said = response.content.decode("utf-8", "replace")
    return printable(said) or response.reason_phrase


def reason(error: Exception) -> str:
    """Why a try failed, as part of a message."""
    return str(error) if isinstance(error, RetryableError) else one_line(error)


def printable(text: str) -> str:
    """Text from outside as one line of at most 300 characters that any terminal can show."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split())[:300])
