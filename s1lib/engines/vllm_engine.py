"""vLLM in this process: tensor and data parallel, prefix caching, as fast as the GPUs are.

    engine = VLLMEngine.from_pretrained("Qwen/Qwen2.5-32B-Instruct", settings)

Its settings are in `vllm_configuration`. Two rules are vLLM's own. An engine belongs to the event
loop it is first used in. And results in float32 and bf16 depend in the last bits on what else is in
the batch, unless VLLM_BATCH_INVARIANT=1 is set before the start. The engine's name records which.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s1lib.engines.checkpoint import Checkpoint, open_checkpoint
from s1lib.engines.pieces import Piece, PieceEngine
from s1lib.engines.protocol import EngineError, one_line
from s1lib.engines.vllm_configuration import ENVIRONMENT, engine_arguments, sampling_parameters
from s1lib.profile import EngineSettings

HOTTEST = 2.0  # vLLM refuses a higher temperature


class VLLMEngine(PieceEngine):
    """Implements `s1lib.engines.protocol.Engine`. Made by `from_pretrained`."""

    @classmethod
    def from_pretrained(cls, path: str | Path, settings: EngineSettings) -> VLLMEngine:
        """The engine of a checkpoint: a local directory, or a hub id that may pin a revision.

        It takes half a minute and more to start. settings.max_context is cut to the model's window.
        One model takes tensor_parallel x data_parallel GPUs.
        Raises EngineError when vLLM is not installed, the checkpoint is unusable or the GPU too
        small.
        """
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            from vllm import platforms
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise EngineError(
                f'engine.kind is "vllm", which cannot be imported ({one_line(error)}): install '
                "requirements-gpu.lock (without a GPU: `make .venv-vllm/.installed`), "
                "or set engine.kind to torch"
            ) from None

        checkpoint = open_checkpoint(path)
        max_context = min(settings.max_context, checkpoint.window or settings.max_context)
        arguments = engine_arguments(checkpoint, settings, max_context)

        # The reason of a failure stands in what vLLM's processes print, as long as they live.
        log = tempfile.NamedTemporaryFile(prefix="s1-vllm-", suffix=".log")  # noqa: SIM115
        try:
            with _stderr_to(log.name):
                llm = AsyncLLM.from_engine_args(arguments)
        except Exception as error:
            reason = _root_cause(log.name) or one_line(error)
            raise EngineError(
                f"vLLM cannot start on {path} ({reason}): if memory is short, lower "
                "engine.max_context or engine.max_rows, or raise engine.tensor_parallel"
            ) from error

        invariant = os.environ.get("VLLM_BATCH_INVARIANT") == "1"
        name = f"vllm-{settings.dtype}-{platforms.current_platform.device_type}"
        name += "-batch-invariant" if invariant else ""
        return cls(llm, checkpoint, name=name, max_context=max_context, log=log)

    def __init__(
        self, llm: Any, checkpoint: Checkpoint, *, name: str, max_context: int, log: Any
    ) -> None:
        end = checkpoint.tokenizer.eos_token_id
        super().__init__(
            name=name,
            max_context=max_context,
            vocab_size=len(checkpoint.tokenizer),
            embeddings=checkpoint.config.vocab_size,
            end_ids=[] if end is None else [end],
            tokenizer=checkpoint.tokenizer,
        )
        self._llm, self._log = llm, log
        self._numbers = itertools.count()

    async def _decode(self, piece: Piece) -> list[int]:
        if piece.temperature > HOTTEST:
            raise EngineError(
                f"vLLM samples at temperatures up to {HOTTEST}, not {piece.temperature}: "
                "lower it or use another engine"
            )
        prompt, name = {"prompt_token_ids": piece.ids}, f"s1-{next(self._numbers)}"
        parameters = sampling_parameters(piece)
        try:
            # Leaving the loop by cancellation aborts the request in vLLM.
            async for output in self._llm.generate(prompt, parameters, name):
                if output.finished and output.outputs[0].token_ids:
                    return list(output.outputs[0].token_ids)
        except Exception as error:
            reason = _root_cause(self._log.name) or one_line(error)
            raise EngineError(f"vLLM failed ({reason})") from error
        raise EngineError("vLLM ended a request without a token: it is shutting down")

    async def aclose(self) -> None:
        """Cancel pending requests and end vLLM's processes."""
        await super().aclose()
        if self._llm is not None:
            self._llm.shutdown()
            # It shuts down once more when deleted, which fails as the interpreter ends.
            self._llm.shutdown = lambda *_, **__: None
            self._log.close()
            self._llm = None


@contextlib.contextmanager
def _stderr_to(path: str) -> Iterator[None]:
    """Send stderr of this process to a file, and of those it starts, as long as they live."""
    saved, file = os.dup(2), os.open(path, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(file)


def _root_cause(path: str) -> str:
    """The first error that vLLM's processes wrote, as one line: those after it follow from it."""
    written = Path(path).read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^.*?\b(\w+(?:Error|Exception): .+)$", written, re.MULTILINE)
    return found[1][:300] if found else ""
