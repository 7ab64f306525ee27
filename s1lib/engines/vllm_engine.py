"""vLLM in this process (AsyncLLM, release 0.32): tensor and data parallel, prefix caching, as fast as the GPUs are.

    engine = VLLMEngine.from_pretrained("Qwen/Qwen2.5-32B-Instruct", settings)

Two rules of vLLM's own. An engine belongs to the event loop it is first used in. And results in float32 and bf16 depend in
the last bits on what else is in the batch, unless VLLM_BATCH_INVARIANT=1 is set before the start; `name` records which.
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
from s1lib.engines.protocol import EngineError
from s1lib.engines.stops import one_line
from s1lib.profile import EngineSettings

HOTTEST = 2.0  # vLLM refuses a higher temperature
INSTALL = "install requirements-gpu.lock (without a GPU: make .venv-vllm), or set engine.kind to torch"
# Nothing sent anywhere, worker processes that do not inherit a CUDA context, and one stream with what goes wrong in them.
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}


class VLLMEngine(PieceEngine):
    """Implements `s1lib.engines.protocol.Engine`. See the module's text; made by `from_pretrained`."""

    @classmethod
    def from_pretrained(cls, path: str | Path, settings: EngineSettings) -> VLLMEngine:
        """The engine of a checkpoint: a local directory, or a hub id that may pin a revision. Takes half a minute and more.

        settings.max_context is cut to the model's window; one model takes tensor_parallel x data_parallel GPUs.
        Raises EngineError when vLLM is not installed, the checkpoint is unusable or the GPU too small.
        """
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            from vllm import AsyncEngineArgs
            from vllm.platforms import current_platform
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise EngineError(f'engine.kind is "vllm", which cannot be imported ({one_line(error)}): {INSTALL}') from None
        checkpoint = open_checkpoint(path)
        max_context = min(settings.max_context, checkpoint.window or settings.max_context)
        arguments = AsyncEngineArgs(
            model=checkpoint.name,
            revision=checkpoint.revision,
            tokenizer_revision=checkpoint.revision,
            dtype=settings.dtype,
            max_model_len=max_context,
            max_num_seqs=settings.max_rows,
            tensor_parallel_size=settings.tensor_parallel,
            data_parallel_size=settings.data_parallel,
            gpu_memory_utilization=settings.gpu_memory,
            enable_prefix_caching=True,
            generation_config="vllm",  # the model's own would add ends and penalties
            disable_log_stats=True,
            seed=0,
        )
        device = current_platform.device_type
        sequence, weights = sequence_bytes(checkpoint, settings, max_context), weight_bytes(checkpoint, settings)
        if device == "cuda":
            memory = int(current_platform.get_device_total_memory() * arguments.gpu_memory_utilization)
            require_memory(checkpoint.path, needed=(weights + sequence) // settings.tensor_parallel, available=memory)
        elif device == "cpu":  # as much as TorchEngine takes; and no compiler is needed
            arguments.kv_cache_memory_bytes, arguments.enforce_eager = 2 * settings.max_rows * sequence, True
        log = tempfile.NamedTemporaryFile(prefix="s1-vllm-", suffix=".log")  # noqa: SIM115 - it lives as long as the engine
        try:
            with _errors_to(log.name):
                llm = AsyncLLM.from_engine_args(arguments)
        except Exception as error:
            hint = "if memory is short, lower engine.max_context or engine.max_rows, or raise engine.tensor_parallel"
            raise EngineError(f"vLLM cannot start on {path} ({_root_cause(log.name) or one_line(error)}): {hint}") from error
        invariant = "-batch-invariant" if os.environ.get("VLLM_BATCH_INVARIANT") == "1" else ""
        return cls(llm, checkpoint, name=f"vllm-{settings.dtype}-{device}{invariant}", max_context=max_context, log=log)

    def __init__(self, llm: Any, checkpoint: Checkpoint, *, name: str, max_context: int, log: Any) -> None:
        tokenizer, end = checkpoint.tokenizer, checkpoint.tokenizer.eos_token_id
        ids = {"vocab_size": len(tokenizer), "embeddings": checkpoint.config.vocab_size, "end_ids": [] if end is None else [end]}
        super().__init__(name=name, max_context=max_context, tokenizer=tokenizer, **ids)
        self._llm, self._log = llm, log
        self._numbers = itertools.count()

    async def _decode(self, piece: Piece) -> list[int]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        if piece.temperature > HOTTEST:
            raise EngineError(f"vLLM samples at temperatures up to {HOTTEST}, not {piece.temperature}: lower it or use another engine")
        parameters = SamplingParams(
            temperature=piece.temperature,
            seed=piece.seed,
            max_tokens=piece.max_tokens,
            min_tokens=piece.min_tokens,
            stop_token_ids=piece.stop_ids,
            logit_bias=dict.fromkeys(piece.banned, float("-inf")) or None,
            ignore_eos=True,  # ends are what the request says
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        try:
            # Leaving the loop by cancellation aborts the request in vLLM.
            async for output in self._llm.generate({"prompt_token_ids": piece.ids}, parameters, f"s1-{next(self._numbers)}"):
                if output.finished and output.outputs[0].token_ids:
                    return list(output.outputs[0].token_ids)
        except Exception as error:
            raise EngineError(f"vLLM failed ({_root_cause(self._log.name) or one_line(error)})") from error
        raise EngineError("vLLM ended a request without a token: it is shutting down")

    async def aclose(self) -> None:
        """Cancel pending requests and end vLLM's processes."""
        await super().aclose()
        if self._llm is not None:
            self._llm.shutdown()
            self._llm.shutdown = lambda *_, **__: None  # it shuts down once more when deleted, which fails as the interpreter ends
            self._log.close()
            self._llm = None


def sequence_bytes(checkpoint: Checkpoint, settings: EngineSettings, tokens: int) -> int:
    """Keys and values of one sequence."""
    config = checkpoint.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * head * tokens * _item(settings.dtype)


def weight_bytes(checkpoint: Checkpoint, settings: EngineSettings) -> int:
    """The weights as they will be in memory; 0 when they are not in a local directory."""
    stored = sum(file.stat().st_size for file in Path(checkpoint.path).glob("*.safetensors"))
    return stored * _item(settings.dtype) // _item(str(checkpoint.config.dtype).removeprefix("torch."))


def _item(dtype: str) -> int:
    return 4 if dtype == "float32" else 2


def require_memory(model: str, *, needed: int, available: int) -> None:
    """Raises EngineError when the weights and one sequence do not fit one GPU. vLLM finds out as well, minutes later."""
    if needed > available:
        found = f"the weights and one sequence need {needed / 2**30:.1f} GiB per GPU, {available / 2**30:.1f} are there"
        raise EngineError(f"too little GPU memory for {model}: {found}: raise engine.tensor_parallel or lower engine.max_context")


@contextlib.contextmanager
def _errors_to(path: str) -> Iterator[None]:
    """What this process, and those it starts meanwhile for as long as they live, write to stderr goes to the file `path`."""
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
    found = re.search(r"^.*?\b(\w+(?:Error|Exception): .+)$", Path(path).read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return found[1][:300] if found else ""
