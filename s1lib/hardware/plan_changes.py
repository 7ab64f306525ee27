"""What a training that does not fit its GPUs could change, the cheapest first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from s1lib.profile import SFT

ADAPTERS = 32  # the rank that is proposed where nothing else fits


def exact_changes(settings: SFT) -> Iterator[SFT]:
    """Other ways to train the same model (to rounding), the cheapest first."""
    change = dataclasses.replace
    for key, value in (("gradient_checkpointing", True), ("micro_batch_size", 1)):
        if getattr(settings, key) != value:
            settings = change(settings, **{key: value})
            yield settings
    if not settings.activation_offloading:
        yield change(settings, activation_offloading=True)
    if not settings.offload and not settings.lora_rank:
        yield change(settings, offload=True)
        if not settings.activation_offloading:
            yield change(settings, offload=True, activation_offloading=True)
    while not settings.lora_rank and settings.batch_size % (2 * settings.processes) == 0:
        settings = change(settings, processes=2 * settings.processes)
        yield settings


def other_changes(settings: SFT) -> Iterator[SFT]:
    """Ways that no longer are the paper's training: 8-bit optimiser states, then adapters."""
    saving = dataclasses.replace(settings, gradient_checkpointing=True, micro_batch_size=1)
    yield dataclasses.replace(saving, activation_offloading=True, optim="adamw_torch_8bit")
    if settings.processes == 1 and not settings.lora_rank:
        yield dataclasses.replace(saving, offload=False, lora_rank=ADAPTERS)
