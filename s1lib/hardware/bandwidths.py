"""How fast an offloaded training moves its weights: AdamW in host memory, copies to the GPU.

Measured where there is a GPU, since there the training may run, and assumed elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

ADAMW = 28  # bytes a parameter and step: 4 floats read (weight, gradient, two moments), 3 written


@dataclass(frozen=True)
class Bandwidths:
    """Bytes per second, and where the numbers are from."""

    host: float  # of one node's memory, as AdamW uses it with all cores
    link: float  # between a GPU and its host
    source: str


# A two-socket node, of which 16 cores reached 112 GB/s, and an H100's own link, measured there.
ASSUMED = Bandwidths(host=300e9, link=54e9, source="assumed")


def bandwidths_here() -> Bandwidths:
    """Those of this machine, measured within seconds, or ASSUMED without a GPU."""
    if not torch.cuda.is_available():
        return ASSUMED
    return Bandwidths(adamw_bandwidth(), link_bandwidth(), "measured on this machine")


def adamw_bandwidth(parameters: int = 50_000_000, *, fused: bool = True) -> float:
    """Bytes per second that a step of AdamW moves on the host, for float32 `parameters`.

    `fused` is the recipe's AdamW, and without it torch's foreach version runs. Takes 16 bytes of
    memory a parameter.
    """
    weight = torch.nn.Parameter(torch.zeros(parameters))
    weight.grad = torch.ones_like(weight)
    optimizer = torch.optim.AdamW([weight], fused=fused, foreach=not fused)
    return ADAMW * parameters / best_seconds(optimizer.step)


def link_bandwidth(size: int = 2**28) -> float:
    """Bytes per second from pinned host memory to the GPU, for a tensor of `size` bytes."""
    here = torch.empty(size, dtype=torch.uint8, pin_memory=True)
    there = torch.empty_like(here, device="cuda", pin_memory=False)
    return size / best_seconds(lambda: there.copy_(here, non_blocking=True), "cuda")


def best_seconds(work: Callable[[], object], device: str = "cpu", *, turns: int = 3) -> float:
    """The shortest of several turns of `work`, after one that makes whatever is made once.

    A turn ends when the device has done what it was asked for.
    """
    times = []
    for _ in range(turns + 1):
        _wait_for(device)
        start = time.perf_counter()
        work()
        _wait_for(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def _wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
