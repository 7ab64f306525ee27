"""Does the sharded, offloaded training run, and how long would the 32B take? On one GPU.

It is the path of profile h100: the launcher, accelerate's FSDP2, parameters, gradients and AdamW in
host memory. All sequences are of one length. The last step has a single micro-batch, so that the
time of a micro-batch and that of the optimiser come apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from s1lib.gpu_check.check_report import Figure
from s1lib.gpu_check.random_models import TINY, random_samples, save_random_model, shape
from s1lib.hardware.architectures import parameter_count
from s1lib.hardware.bandwidths import adamw_bandwidth, link_bandwidth
from s1lib.hardware.training_time import TOKENS
from s1lib.hardware.utilisation import operations
from s1lib.profile import SFT, Profile, load_profile
from s1lib.rehearsal.machine import shard_on_cpus
from s1lib.sft.launched_training import train_in_processes
from s1lib.sft.train import read_training

SHAPES = {"cuda": ("1.5B", TOKENS), "cpu": (TINY, 64)}  # and tokens of a sequence
MICRO_BATCHES, STEPS = 4, 4  # of the last step there is one
PAPER_STEPS = 315  # appendix D
FORMULA = (
    "32B on 8 GPUs, from {name}: {micro} micro-batches · seconds · ratio of operations "
    "+ optimiser's seconds · ratio of parameters"
)


@dataclass
class StepLines:
    """Passes on what the training says, and notes when a step is over, which is four times."""

    moments: list[float] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        print(line, flush=True)
        if "step" in line:
            self.moments.append(time.perf_counter())

    def apart(self) -> tuple[float, float]:
        """Seconds of a micro-batch, and of what else a step takes: the optimiser."""
        steps = [end - start for start, end in pairwise(self.moments)]
        whole, last = min(steps[:-1]), steps[-1]
        micro = (whole - last) / (MICRO_BATCHES - 1)
        return micro, last - micro


def measure(device: str) -> Iterator[Figure]:
    """What one GPU takes, and what 8 would take for the 32B model at the same length.

    First come the two bandwidths that such a training hangs on.
    """
    speeds = {"AdamW on the host, GB/s": adamw_bandwidth() / 1e9}
    if device == "cuda":
        speeds["from the host to the GPU, GB/s"] = link_bandwidth() / 1e9
    yield Figure("bandwidths", speeds)

    name, length = SHAPES[device]
    shard_on_cpus()  # where there is no GPU
    samples, lines = random_samples([length] * (MICRO_BATCHES * (STEPS - 1) + 1)), StepLines()
    with tempfile.TemporaryDirectory(prefix="s1-check-") as place:
        base, out = Path(place) / "base", Path(place) / "trained"
        save_random_model(name, base, device=device)
        settings = SFT(
            str(base),
            epochs=1.0,
            batch_size=MICRO_BATCHES,
            micro_batch_size=1,
            bf16=device == "cuda",
            offload=True,
        )
        start = time.perf_counter()
        profile = Profile("check", sft=settings)
        train_in_processes(samples, profile=profile, name="check", out=out, log=lines)
        seconds, loss = time.perf_counter() - start, read_training(out)["loss"]

    micro, optimiser = lines.apart()
    values = {"seconds a micro-batch": micro, "seconds of the optimiser": optimiser}
    values |= {"seconds in all, with loading and writing": seconds, "loss": loss}
    yield Figure(f"{name}, {length:,} tokens a sequence", values, True)
    yield _extrapolated(name, length, micro, optimiser)


def _extrapolated(name: str, length: int, micro: float, optimiser: float) -> Figure:
    """A step of the 32B model of profile h100, by the ratios of operations and of parameters.

    Each of 8 GPUs moves an eighth of the weights, where this one moved all of its model's: what is
    said here is too much rather than too little.
    """
    settings, large, small = load_profile("h100").sft, shape("32B"), shape(name)
    sizes = {"large": parameter_count(large), "small": parameter_count(small)}
    more = sizes["large"] / sizes["small"]
    busier = operations(large, [length], parameters=sizes["large"]) / operations(
        small, [length], parameters=sizes["small"]
    )
    batches = settings.batch_size // (settings.processes * settings.micro_batch_size)
    step = batches * micro * busier + optimiser * more
    values = {"ratio of operations": busier, "ratio of parameters": more, "seconds a step": step}
    values[f"hours of {PAPER_STEPS} steps"] = PAPER_STEPS * step / 3600
    if name == TINY:
        values["meaning"] = "none, from so small a shape"
    return Figure(FORMULA.format(name=name, micro=batches), values)
