"""Does the plan's simulated memory hold? Beside the allocator's peak of each training measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from s1lib.gpu_check.check_report import Figure, NotRunError, read_figures
from s1lib.gpu_check.random_models import shape
from s1lib.gpu_check.training import Training, trainings
from s1lib.hardware.memory_plan import pass_room_here
from s1lib.hardware.memory_trackers import GIB
from s1lib.hardware.simulated_step import simulate

# Of the simulated peak beside the real one: too little lets a training begin that will not end. Too
# much is simulated for a GPU's compiled layers, which keep 0.6 of what layers keep as they are.
LOW, HIGH = 0.95, {"cpu": 1.25, "cuda": 1.45}


def measure(device: str, report: Path) -> Iterator[Figure]:
    """A figure a training of the part `training`, whose peaks are read from `report`.

    Raises NotRunError where that part has measured none.
    """
    measured = read_figures(report, "training")
    done = [training for training in trainings(device) if training.name in measured]
    if not done:
        raise NotRunError("it needs the trainings' peaks: add --only training")
    for training in done:
        real, longest = (measured[training.name][key] for key in ("peak GiB", "longest"))
        plan = simulated_peak(training, longest, device) / GIB
        values = {"simulated GiB": plan, "allocated GiB": real, "ratio": plan / real}
        passed = LOW <= plan / real <= HIGH[device]
        reason = "" if passed else f"between {LOW} and {HIGH[device]} is wanted"
        yield Figure(f"{training.name}, up to {longest:,} tokens", values, passed, reason)


def simulated_peak(training: Training, longest: int, device: str) -> int:
    """Bytes at the highest moment of a training whose longest sequence has `longest` tokens.

    On a GPU short sequences share a pass that keeps all its activations, as long as the memory
    allows. A longer one has its own and computes them twice.
    """
    config, settings, peaks = shape(training.name), training.settings, []
    room = pass_room_here(config, settings) if device == "cuda" else 0
    if room:
        keeping = dataclasses.replace(settings, gradient_checkpointing=False)
        peaks.append(simulate(config, keeping, length=room).peak)
    if longest > room:
        peaks.append(simulate(config, settings, length=longest).peak)
    return max(peaks)
