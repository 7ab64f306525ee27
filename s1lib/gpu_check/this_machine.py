"""The machine that something is measured on: its name in one line, and what it can do at most."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

from s1lib.hardware.bandwidths import best_seconds
from s1lib.hardware.utilisation import PEAK_FLOPS
from s1lib.planning.speeds import BANDWIDTH

# Dense bf16 operations/s and bytes/s of memory, from the data sheets.
DATA_SHEETS = {"H100 80GB HBM3": (PEAK_FLOPS, BANDWIDTH), "H200": (PEAK_FLOPS, 4.8e12)}

TURNS = 5  # of which the fastest counts


@dataclass(frozen=True)
class Limits:
    """What a device can do at most: operations/s of its matrix products, bytes/s of its memory.

    source: "data sheet" or "measured".
    """

    flops: float
    bandwidth: float
    source: str


def limits(device: str) -> Limits:
    """The limits of "cpu" or "cuda", measured where no data sheet is known."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
        for known, (flops, bandwidth) in DATA_SHEETS.items():
            if known in name:
                return Limits(flops, bandwidth, "data sheet")
    return Limits(matrix_product_speed(device), copy_speed(device), "measured")


def matrix_product_speed(device: str) -> float:
    """Operations/s of a large matrix product, in bf16 on a GPU and in float32 on a CPU."""
    on_gpu = device == "cuda"
    size, dtype = (8192, torch.bfloat16) if on_gpu else (1024, torch.float32)
    factor = torch.ones(size, size, dtype=dtype, device=device)
    return 2 * size**3 / best_seconds(lambda: factor @ factor, device, turns=TURNS)


def copy_speed(device: str) -> float:
    """Bytes/s that are read and written when a tensor far larger than any cache is copied."""
    source = torch.ones(2**28 if device == "cuda" else 2**25, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / best_seconds(lambda: target.copy_(source), device, turns=TURNS)


def machine_name(device: str = "cpu") -> str:
    """The processor, its cores, the threads that torch uses, and the GPU where that is meant.

    No CUDA context is made for it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = f"{_processor()}, {cores} cores, {torch.get_num_threads()} threads"
    if device != "cuda":
        return name
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no such tool: another maker's GPU
        found = torch.cuda.get_device_name()
    return f"{'; '.join(found.strip().splitlines())}; {name}"


def _processor() -> str:
    """The processor's model."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
