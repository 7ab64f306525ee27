"""Engines: token ids in, token ids out (`protocol.Engine`), and the place that chooses which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from s1lib.engines.protocol import Completion, Engine, EngineError, Request
from s1lib.keeping.hashes import left_out

if TYPE_CHECKING:
    from s1lib.profile import EngineSettings

__all__ = ["Completion", "Engine", "EngineError", "Request", "open_engine"]


def open_engine(
    model: str | Path, settings: EngineSettings, *, device: str | None = None
) -> Engine:
    """Open the engine that `settings.kind` names on the checkpoint `model` (a directory or hub id).

    Raises EngineError when the checkpoint is unusable or the engine cannot start.
    """
    if missing := left_out(model):
        raise EngineError(
            f"{model} came with a released run, without {', '.join(missing)}: what was decoded "
            "with it is there to read; to decode more, delete this folder and run 02_sft again"
        )

    # Each import brings in a large library, which only its own engine needs.
    if settings.kind == "torch":
        from s1lib.engines.torch_engine import TorchEngine

        return TorchEngine.from_pretrained(
            model,
            dtype=settings.dtype,
            max_rows=settings.max_rows,
            max_context=settings.max_context,
            device=device,
        )

    if settings.kind == "vllm":
        from s1lib.engines.vllm_engine import VLLMEngine

        return VLLMEngine.from_pretrained(model, settings)

    if settings.kind == "server":
        from s1lib.engines.server_engine import ServerEngine

        return ServerEngine.connect(
            model, urls=settings.urls, max_rows=settings.max_rows, max_context=settings.max_context
        )

    raise EngineError(
        f'unknown engine.kind {settings.kind!r} in the profile: use "torch", "vllm" or "server"'
    )
