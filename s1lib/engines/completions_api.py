"""What is sent to an OpenAI-compatible completions server, and how its answers are read.

Nothing that a server answers is believed before its shape has been checked.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from s1lib.engines.checkpoint import Checkpoint
from s1lib.engines.pieces import Piece
from s1lib.engines.protocol import EngineError, one_line

BIAS = -100.0  # the lowest a server takes
MAY_PASS = {408, 425, 429}  # of the 4xx; every other one says that the request is wrong
# A server would otherwise take these from the model's generation configuration.
PLAIN_SAMPLING = {
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}


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


def read_tokens(response: httpx.Response, url: str) -> list[int]:
    """The sampled ids of an answer, the stop included.

    Raises RetryableError, or EngineError when no other try can succeed.
    """
    if response.status_code in MAY_PASS or response.status_code >= 500:
        raise RetryableError(f"status {response.status_code}")
    try:
        body = response.json()
    except ValueError:
        raise RetryableError("an answer that is not JSON") from None
    if response.status_code != 200:
        said = body.get("error", body) if isinstance(body, dict) else body
        said = said.get("message", said) if isinstance(said, dict) else said
        raise EngineError(
            f"the server {url} refuses the request: {' '.join(str(said).split())[:300]}"
        )

    choice = (body.get("choices") or [{}])[0]
    tokens = choice.get("token_ids")
    if not isinstance(tokens, list):
        raise EngineError(
            f"the server {url} returns text only, not token ids: "
            "use one that knows return_token_ids, such as vllm serve"
        )
    if not tokens:
        reason = choice.get("finish_reason")
        raise RetryableError(f"an answer without a token (finish_reason {reason!r})")
    return tokens


def list_models(client: httpx.Client, url: str) -> list[dict]:
    """What GET /v1/models lists."""
    try:
        response = client.get(f"{url}/v1/models")
        response.raise_for_status()
        return response.json()["data"]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EngineError(
            f"cannot reach the server {url} ({one_line(error)}): start it, or correct engine.urls"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise EngineError(
            f"{url} is no OpenAI-compatible server: GET {url}/v1/models lists no models"
        ) from None


def is_model(entry: dict, checkpoint: Checkpoint) -> bool:
    """Whether a listed model is the checkpoint: by its id, or by what it was started with."""
    names = {entry.get("id"), entry.get("root")} - {None}
    path = Path(checkpoint.name).resolve()
    return checkpoint.name in names or any(path == Path(name).resolve() for name in names)


def require_token_ids(client: httpx.Client, url: str, model: str) -> None:
    """Ask for one token, so that a server of text only is found before decoding in earnest."""
    piece = Piece(
        [0], max_tokens=1, stop_ids=[], min_tokens=0, banned=[], temperature=0.0, seed=None
    )
    try:
        answer = client.post(f"{url}/v1/completions", json=completion_request(piece, model))
        read_tokens(answer, url)
    except (httpx.HTTPError, RetryableError) as error:
        raise EngineError(
            f"the server {url} does not decode ({one_line(error)}): look at its log"
        ) from None
