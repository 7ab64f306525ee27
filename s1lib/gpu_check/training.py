"""How fast one GPU trains: tokens/s, the share of its peak (MFU), and what a step is made of."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from s1lib.gpu_check.check_report import Figure
from s1lib.gpu_check.random_models import TINY, shape, tokenizer_of
from s1lib.gpu_check.step_profile import StepProfile
from s1lib.gpu_check.this_machine import limits
from s1lib.hardware.memory_trackers import GIB
from s1lib.hardware.utilisation import TrainingSpeed, operations
from s1lib.profile import SFT, load_profile
from s1lib.sft.training_speed import measure_training

STEPS = 3  # one that is not counted, one that is timed, one that is profiled
WANTED = {"cuda": 0.45, "cpu": 0.0}  # share of the peak
MEAN = {"cuda": 5_200, "cpu": 100}  # tokens of a sequence: s1K's
FORMULA = "MFU = (6 · parameters · tokens + 6 · layers · width · Σ length²) / (seconds · peak)"


@dataclass(frozen=True)
class Training:
    """One training on one device. lengths: tokens of the sequences of all steps."""

    name: str
    settings: SFT
    lengths: tuple[int, ...]


def trainings(device: str) -> list[Training]:
    """What is trained on a kind of device, the smallest first."""
    settings, shapes = load_profile("gpu").sft, ("1.5B", "3B")
    if device == "cpu":
        sizes = {"batch_size": 4, "micro_batch_size": 1, "max_length": 2048}
        settings, shapes = SFT(**sizes, bf16=False), (TINY,)
    lengths = s1k_lengths(STEPS * settings.batch_size, MEAN[device])
    return [Training(name, settings, lengths) for name in shapes]


def s1k_lengths(count: int, mean: int) -> tuple[int, ...]:
    """Lengths spread as s1K's are: gamma, at most 2.6 times the mean."""
    drawn = random.Random(0)
    lengths = (drawn.gammavariate(3, mean / 3) for _ in range(count))
    return tuple(round(min(max(length, mean / 10), 2.6 * mean)) for length in lengths)


def measure(device: str) -> Iterator[Figure]:
    """The formula with this device's peak, then two figures a training: its speed, its step."""
    limit = limits(device)
    facts = {"peak TFLOP/s": limit.flops / 1e12, "which is": limit.source}
    yield Figure(FORMULA, facts)
    for training in trainings(device):
        tokenizer, profiled = tokenizer_of(training.name), StepProfile(device, step=STEPS - 1)
        config, settings = shape(training.name), training.settings
        speed = measure_training(
            config, tokenizer, settings, training.lengths, callbacks=[profiled]
        )

        # The profiler slows its own step down, so that one is not counted. On a CPU it alone knows
        # how much memory was allocated, during that step.
        batch = settings.batch_size
        timed, last = speed.lengths[:-batch], speed.lengths[-batch:]
        counted = operations(config, timed, parameters=speed.parameters)
        whole = dataclasses.replace(
            speed, lengths=timed, seconds=speed.seconds[:-1], operations=counted
        )
        memory = (
            (speed.peak_memory, training.lengths) if device == "cuda" else (profiled.peak, last)
        )
        yield _speed(training.name, whole, limit.flops, WANTED[device], *memory)

        step = profiled.recording.figures(steps=1)
        yield Figure(f"{training.name}: a step's dearest kernels", step)
        torch.cuda.empty_cache()


def _speed(
    name: str,
    speed: TrainingSpeed,
    peak: float,
    wanted: float,
    allocated: int,
    lengths: Sequence[int],
) -> Figure:
    """The timed steps as a figure, with the bytes allocated for sequences of `lengths` tokens."""
    reached = speed.utilisation(peak)
    values = {
        "tokens/s": speed.tokens_per_second,
        "MFU": reached,
        "seconds a step": sum(speed.seconds) / len(speed.seconds),
        "tokens a step": sum(speed.lengths) // len(speed.seconds),
        "peak GiB": allocated / GIB,
        "longest": max(lengths),
    }
    passed = reached >= wanted
    return Figure(name, values, passed, "" if passed else f"MFU {wanted} is wanted")
