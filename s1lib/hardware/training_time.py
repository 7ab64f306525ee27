"""How many steps a training has, and how many hours they may take."""

from __future__ import annotations

import math

from transformers import PretrainedConfig

from s1lib.hardware.bandwidths import ADAMW, ASSUMED, Bandwidths
from s1lib.hardware.utilisation import PEAK_FLOPS, operations
from s1lib.profile import SFT

# Share of the peak: the paper's run (26 minutes on 16), a well-tuned one.
UTILISATION = (0.20, 0.40)
# In one process on one GPU: measured with a 1.5B model on an H100, of whose time a half went into
# plans for attention that are no longer made (docs/training_speed.md).
UNSHARDED = 0.24
GPUS_OF_A_NODE = 8
TOKENS = 5_400  # of one sample: 4,700 of trace (Table 6), some 700 of question and answer, assumed


def full_steps(examples: int, settings: SFT) -> int:
    """Optimiser steps of all epochs: 315 for 1,000 examples (appendix D).

    An incomplete batch counts as a step, and `sft.max_steps` is not looked at.
    """
    return math.ceil(math.ceil(examples / settings.batch_size) * settings.epochs)


def capped_steps(examples: int, settings: SFT) -> tuple[int, float]:
    """Optimiser steps under `sft.max_steps`, and which share of `full_steps` they are."""
    every = full_steps(examples, settings)
    steps = min(every, settings.max_steps) if settings.max_steps >= 0 else every
    return steps, steps / max(1, every)


def utilisation(settings: SFT) -> tuple[float, float]:
    """Shares of the peak that a training reaches at the worst and at the best."""
    return (UTILISATION[0] if settings.launched else UNSHARDED, UTILISATION[1])


def training_hours(
    config: PretrainedConfig,
    settings: SFT,
    *,
    parameters: int,
    tokens: int,
    steps: int,
    bandwidths: Bandwidths = ASSUMED,
) -> tuple[float, float]:
    """Hours at the best share of the peak with all transfers hidden, and at the worst.

    `bandwidths` count with `offload`.
    """
    low, high = utilisation(settings)
    size = {"parameters": parameters, "tokens": tokens, "steps": steps, "bandwidths": bandwidths}
    return (
        _hours(config, settings, **size, utilisation=high, hidden=True),
        _hours(config, settings, **size, utilisation=low, hidden=False),
    )


def _hours(
    config: PretrainedConfig,
    settings: SFT,
    *,
    parameters: int,
    tokens: int,
    steps: int,
    bandwidths: Bandwidths,
    utilisation: float,
    hidden: bool,
) -> float:
    """Hours of arithmetic and, with `offload`, of transfers, `hidden` behind it or not."""
    # What checkpointing computes again counts as lower utilisation.
    gpus, frozen = settings.processes, settings.lora_rank > 0
    of_one = operations(config, [TOKENS], parameters=parameters, frozen=frozen)
    arithmetic = of_one * tokens / TOKENS / (gpus * PEAK_FLOPS * utilisation)
    if not settings.offload:
        return arithmetic / 3600

    # AdamW runs on every node's host, for its share of the parameters.
    nodes = -(-gpus // GPUS_OF_A_NODE)
    host = steps * ADAMW * parameters / (bandwidths.host * nodes)

    # Weights come to the GPU twice a micro-batch, gradients go back once.
    passes = steps * settings.batch_size // (gpus * settings.micro_batch_size)
    link = passes * 12 * parameters / gpus / bandwidths.link
    return (host + (max(arithmetic, link) if hidden else arithmetic + link)) / 3600
