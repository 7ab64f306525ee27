"""Which models a server serves and whether it returns token ids, asked once at the start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from s1lib.engines.checkpoint import Checkpoint
from s1lib.engines.completions_api import (
    KEY,
    RetryableError,
    completion_request,
    is_final,
    read_json,
    read_tokens,
    reason,
)
from s1lib.engines.pieces import Piece
from s1lib.engines.protocol import EngineError, one_line


@dataclass(frozen=True)
class ServedModel:
    """A model as GET /v1/models lists it.

    root: the path or hub id that the server was started with.
    max_model_len: tokens, prompt included, None when the server does not say.
    """

    id: str
    root: str | None
    max_model_len: int | None
    owned_by: str | None

    def is_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Whether it is the checkpoint, by its id or by what it was started with."""
        names = {self.id, self.root} - {None}
        path = Path(checkpoint.name).resolve()
        return checkpoint.name in names or any(path == Path(name).resolve() for name in names)


def find_model(
    client: httpx.Client, url: str, checkpoint: Checkpoint
) -> tuple[ServedModel | None, set[str]]:
    """The server's model that is the checkpoint, if any, and the ids of all that it serves.

    Raises RetryableError when the server may be starting, EngineError when it cannot be used.
    """
    listed = _list_models(client, url)
    ours = next((model for model in listed if model.is_checkpoint(checkpoint)), None)
    if ours:
        _require_token_ids(client, url, ours.id, embeddings=checkpoint.config.vocab_size)
    return ours, {model.id for model in listed}


def _list_models(client: httpx.Client, url: str) -> list[ServedModel]:
    """The models that GET /v1/models lists, at least one."""
    try:
        response = client.get(f"{url}/v1/models")
        response.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in (401, 403):
            raise EngineError(
                f"the server {url} wants a key: set the environment variable {KEY} to it"
            ) from None
        message = (
            f"cannot reach the server {url} ({one_line(error)}): start it, or correct engine.urls"
        )
        if _may_pass(error):
            raise RetryableError(message) from None
        raise EngineError(message) from None

    body = read_json(response)
    listed = body.get("data") if isinstance(body, dict) else None
    entries = listed if isinstance(listed, list) else []
    models = [model for entry in entries if (model := _served_model(entry))]
    if not models:
        raise RetryableError(
            f"{url} is no OpenAI-compatible server: GET {url}/v1/models lists no models"
        )
    return models


def _may_pass(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return not is_final(error.response.status_code)
    return isinstance(error, httpx.RequestError) and not isinstance(
        error, httpx.UnsupportedProtocol
    )


def _served_model(entry: Any) -> ServedModel | None:
    """One entry of the list. What is not of the expected type counts as not said."""
    if not isinstance(entry, dict) or not (name := _text(entry.get("id"))):
        return None
    window = entry.get("max_model_len")
    return ServedModel(
        id=name,
        root=_text(entry.get("root")),
        max_model_len=window if type(window) is int and window > 0 else None,
        owned_by=_text(entry.get("owned_by")),
    )


def _text(value: Any) -> str | None:
    # What cannot be printed may not be sent back or be part of a path either.
    return value if isinstance(value, str) and value.isprintable() and value else None


def _require_token_ids(client: httpx.Client, url: str, model: str, *, embeddings: int) -> None:
    """Ask for one token, so that a server of text only is found before decoding in earnest."""
    piece = Piece(
        [0], max_tokens=1, stop_ids=[], min_tokens=0, banned=[], temperature=0.0, seed=None
    )
    try:
        answer = client.post(f"{url}/v1/completions", json=completion_request(piece, model))
        read_tokens(answer, url, embeddings=embeddings)
    except (httpx.RequestError, RetryableError) as error:
        raise RetryableError(
            f"the server {url} does not decode ({reason(error)}): look at its log"
        ) from None
