"""How vLLM (release 0.32) is configured: environment, engine arguments, sampling, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s1lib.engines.checkpoint import Checkpoint
from s1lib.engines.pieces import Piece
from s1lib.engines.protocol import EngineError
from s1lib.hardware.architectures import cached_heads
from s1lib.profile import EngineSettings

# Nothing sent anywhere, worker processes that do not inherit a CUDA context, and one stream with
# what goes wrong in them. Set before vLLM is imported.
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}


def engine_arguments(checkpoint: Checkpoint, settings: EngineSettings, max_context: int) -> Any:
    """vLLM's AsyncEngineArgs for a checkpoint.

    max_context: tokens, prompt included.
    Raises EngineError when the model and one sequence do not fit the GPU.
    """
    from vllm import AsyncEngineArgs
    from vllm.platforms import current_platform

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

    sequence = sequence_bytes(checkpoint, settings, max_context)
    if current_platform.device_type == "cuda":
        needed = weight_bytes(checkpoint, settings) + sequence
        memory = current_platform.get_device_total_memory() * arguments.gpu_memory_utilization
        require_memory(
            checkpoint.path, needed=needed // settings.tensor_parallel, available=int(memory)
        )
    elif current_platform.device_type == "cpu":
        # As much as TorchEngine takes, and no compiler is needed.
        arguments.kv_cache_memory_bytes = 2 * settings.max_rows * sequence
        arguments.enforce_eager = True
    return arguments


def sampling_parameters(piece: Piece) -> Any:
    """vLLM's SamplingParams for a piece: the ends are the piece's own, tokens are not decoded."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=piece.temperature,
        seed=piece.seed,
        max_tokens=piece.max_tokens,
        min_tokens=piece.min_tokens,
        stop_token_ids=piece.stop_ids,
        logit_bias=dict.fromkeys(piece.banned, float("-inf")) or None,
        ignore_eos=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def sequence_bytes(checkpoint: Checkpoint, settings: EngineSettings, tokens: int) -> int:
    """Bytes of the keys and values of one sequence of `tokens` tokens."""
    heads, head_size = cached_heads(checkpoint.config)
    values = checkpoint.config.num_hidden_layers * heads * head_size * tokens
    return 2 * values * _bytes_of(settings.dtype)


def weight_bytes(checkpoint: Checkpoint, settings: EngineSettings) -> int:
    """Bytes of the weights in memory, 0 when they are not in a local directory."""
    stored = sum(file.stat().st_size for file in Path(checkpoint.path).glob("*.safetensors"))
    stored_dtype = str(checkpoint.config.dtype).removeprefix("torch.")
    return stored * _bytes_of(settings.dtype) // _bytes_of(stored_dtype)


def _bytes_of(dtype: str) -> int:
    return 4 if dtype == "float32" else 2


def require_memory(model: str, *, needed: int, available: int) -> None:
    """Refuse a model whose weights and one sequence do not fit one GPU, all in bytes.

    vLLM finds out as well, minutes later.
    """
    if needed > available:
        raise EngineError(
            f"too little GPU memory for {model}: the weights and one sequence need "
            f"{needed / 2**30:.1f} GiB per GPU, {available / 2**30:.1f} are there: "
            "raise engine.tensor_parallel or lower engine.max_context"
        )
