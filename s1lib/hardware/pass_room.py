"""How many tokens a training pass may hold and keep all its activations, on one GPU.

Checkpointing computes every layer twice, a third more arithmetic. A short pass needs none of it, so
a batch is cut into passes that fit without, and only a longer sequence computes twice.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from transformers import PretrainedConfig

from s1lib.hardware.packed_attention import can_be_packed
from s1lib.hardware.simulated_step import simulate
from s1lib.profile import SFT

LEAST, MOST = 2_048, 16_384  # tokens; products of matrices gain nothing from more


def pass_room(config: PretrainedConfig, settings: SFT, *, limit: float) -> int:
    """The tokens of the largest pass whose step peaks below `limit` bytes without checkpointing.

    0 where not even `LEAST` tokens fit, where the model cannot be packed, and for a sharded
    training, whose processes must all make equally many passes.
    """
    if settings.launched or not can_be_packed(config):
        return 0
    changes = {"gradient_checkpointing": False, "activation_offloading": False}
    keeping = dataclasses.replace(settings, micro_batch_size=1, **changes)

    most = simulate(config, keeping, length=MOST).peak
    if most <= limit:
        return MOST
    least = simulate(config, keeping, length=LEAST).peak
    if least > limit:
        return 0
    # Between the two the peak is at most on the straight line: it is a maximum of straight lines.
    return LEAST + int((limit - least) / (most - least) * (MOST - LEAST))


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result: what a simulation sets up has no place in a process that trains."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()
