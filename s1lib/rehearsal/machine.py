"""What the machine of a rehearsal can do, and how its CPUs stand in for GPUs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

# On PYTHONPATH, it lets launched processes shard a model on CPUs as they do on GPUs.
FSDP_ON_CPU = Path(__file__).with_name("fsdp_on_cpu")


@dataclass(frozen=True)
class Machine:
    """What the rehearsal's settings depend on.

    gpus: their number. kind: of the engine that starts here. bf16: whether it is fast here; a CPU
    without instructions for it is some twenty times slower than in float32.
    """

    gpus: int
    kind: str
    bf16: bool


def this_machine(kind: str) -> Machine:
    """The machine that this runs on, where an engine of `kind` starts."""
    gpus = torch.cuda.device_count()
    if gpus:  # asking one would take memory of it for as long as the rehearsal lasts
        return Machine(gpus, kind, bf16=True)
    able = torch.cpu.get_capabilities()
    return Machine(gpus, kind, any(able.get(name) for name in ("avx512_bf16", "amx_bf16")))


def shard_on_cpus() -> None:
    """Where there is no GPU, let processes that are launched from here on shard on their CPUs."""
    if torch.cuda.is_available():
        return
    before = os.environ.get("PYTHONPATH", "")
    if str(FSDP_ON_CPU) not in before.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(FSDP_ON_CPU), before]))
