"""How long decoding takes: a bound by the memory's bandwidth, and the share of it that is reached.

speed = Decoding(model_size("Qwen/Qwen2.5-32B-Instruct"), profile.engine, gpus=8, gpu=80e9)
speed.hours(read=1e6, decoded=5e6, length=4000, longest=31000)       # (low, high)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from transformers import PretrainedConfig

from s1lib.hardware.architectures import (
    QWEN2_5,
    PlanError,
    architecture,
    cached_heads,
    parameter_count,
)
from s1lib.hardware.utilisation import PEAK_FLOPS
from s1lib.profile import EngineSettings, split_revision

Hours = tuple[float, float]  # at the best and at the worst

BANDWIDTH = 3.35e12  # bytes/s of an H100's memory (its data sheet)
# Share of that bound which an engine reaches. vLLM: assumed. TorchEngine: measured on one H100 with
# a 7B model, 64 rows of equal lengths, and of unequal ones before its steps were recorded.
REACHED = {"vllm": (0.60, 0.30), "server": (0.60, 0.30), "torch": (0.45, 0.06)}
READING = (0.60, 0.30)  # share of the peak when prompts are read, assumed
START = (60, 600)  # seconds until a model is loaded and compiled, assumed
BYTES = 2  # of a weight and of a cached value, in bfloat16


@dataclass(frozen=True)
class ModelSize:
    """What decoding a model costs.

    cache: bytes of keys and values per token of a sequence.
    """

    parameters: int
    cache: int

    def read(self, rows: float, length: float) -> float:
        """Bytes that a step reads: all weights, and `length` tokens of the cache in each row."""
        return BYTES * self.parameters + rows * length * self.cache


@lru_cache
def model_size(reference: str) -> ModelSize:
    """The size of a model, from its files, or where these are not here, from its name.

    A name that says 32B counts as the Qwen2.5 of the nearest size. Raises PlanError for a name that
    says nothing.
    """
    try:
        config = architecture(reference)
    except PlanError:
        name = split_revision(reference)[0]
        said = re.search(r"(\d+(?:\.\d+)?)[Bb](?![a-z])", name.rpartition("/")[2])
        if not said:
            raise PlanError(
                f"{name} is not on this machine, and its name does not say its size: "
                "run `make fetch` with this profile first"
            ) from None
        nearest = min(QWEN2_5, key=lambda size: abs(float(size[:-1]) - float(said[1])))
        config = architecture(f"Qwen/Qwen2.5-{nearest}")
    return size_of(config)


def size_of(config: PretrainedConfig) -> ModelSize:
    """The size of a model of this configuration."""
    heads, head_size = cached_heads(config)
    cache = 2 * config.num_hidden_layers * heads * head_size * BYTES
    return ModelSize(parameter_count(config), cache)


@dataclass(frozen=True)
class Decoding:
    """One model on an engine of at most `gpus` GPUs with `gpu` bytes each."""

    model: ModelSize
    engine: EngineSettings
    gpus: int
    gpu: float

    @property
    def shape(self) -> tuple[int, int]:
        """How many replicas of the model there are, and the GPUs of each."""
        engine = self.engine
        if engine.kind == "torch":
            return 1, 1
        each = min(engine.tensor_parallel, self.gpus)
        return max(1, min(engine.replicas, self.gpus // each)), each

    def step_seconds(self, rows: float, length: float) -> float:
        """The shortest time in which a replica can decode a token of each of its `rows` sequences.

        Weights and caches are read once and multiplied once. length: tokens in a sequence's cache.
        """
        each = self.shape[1]
        computed = 2 * self.model.parameters * rows
        return max(self.model.read(rows, length) / BANDWIDTH, computed / PEAK_FLOPS) / each

    def rows(self, length: float) -> float:
        """How many sequences of `length` tokens a replica decodes at a time."""
        memory = self.shape[1] * self.gpu * self.engine.gpu_memory
        room = memory - BYTES * self.model.parameters
        return max(1, min(self.engine.max_rows, room / (length * self.model.cache)))

    def hours(self, *, read: float, decoded: float, length: float, longest: float) -> Hours:
        """Hours to read and decode that many tokens, the loading of the model included.

        length: of a sequence on average. longest: of the last one, which ends alone.
        """
        replicas, each = self.shape
        rows = self.rows(length)
        together = decoded / (rows * replicas) * self.step_seconds(rows, length / 2)
        alone = longest * self.step_seconds(1, longest / 2)
        reading = reading_seconds(self.model, read) / (replicas * each)
        return tuple(
            (start + (together + alone) / reached + reading / share) / 3600
            for start, reached, share in zip(START, REACHED[self.engine.kind], READING, strict=True)
        )


def reading_seconds(model: ModelSize, tokens: float) -> float:
    """Seconds of one H100 at its peak to read `tokens` tokens, 2 operations a parameter each."""
    return 2 * model.parameters * tokens / PEAK_FLOPS


def reading_hours(model: ModelSize, tokens: float) -> Hours:
    """Hours of one GPU that reads `tokens` tokens and decodes none, as the reward model does."""
    return tuple(reading_seconds(model, tokens) / share / 3600 for share in READING)
