"""`s1 plan`: what the whole run costs, and whether one training fits the GPUs.

s1 plan --profile h100 --gpus 8
"""

from __future__ import annotations

import argparse

from s1lib.profile import Profile, ProfileError

ANNOUNCED = 1.0  # hours; a shorter run is not announced


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options beside --profile and --outputs."""
    add = parser.add_argument
    add("--gpus", type=int, help="how many GPUs (default: the profile's sft.processes)")
    memory = "of each (default: this machine's GPUs, else 80)"
    add("--gpu-memory", type=float, metavar="GB", help=memory)
    add("--length", type=int, help="tokens of a sequence (default: sft.max_length)")


def run(profile: Profile, options: argparse.Namespace) -> None:
    """Print both plans, of a toy universe the memory alone.

    Raises ProfileError where the training does not fit.
    """
    from s1lib.hardware.bandwidths import ASSUMED, bandwidths_here
    from s1lib.hardware.memory_plan import PlanError, make_plan
    from s1lib.planning.run_plan import plan_run

    gpus = options.gpus or profile.sft.processes
    gpu = options.gpu_memory and options.gpu_memory * 1e9
    try:
        if not profile.universe:
            print(plan_run(profile, gpus=gpus, gpu=gpu).text(), flush=True)
        if profile.sft.models:
            bandwidths = bandwidths_here() if profile.sft.offload else ASSUMED
            size = {"gpus": gpus, "length": options.length, "gpu": gpu}
            plan = make_plan(profile, **size, bandwidths=bandwidths)
            print(f"\nmemory of one training:\n{plan.text()}", flush=True)
            plan.check()
    except PlanError as error:
        raise ProfileError(f"profile {profile.name}: {error}") from None


def announcement(profile: Profile) -> str:
    """What the notebooks without a manifest will cost, in one line.

    Empty for less than an hour, and where no estimate can be made: it stops no run.
    """
    if profile.universe:
        return ""
    from s1lib.errors import S1Error
    from s1lib.planning.run_plan import counted, in_words, plan_run

    try:
        plan = plan_run(profile, gpus=profile.sft.processes)
    except S1Error:
        return ""
    manifests = {name: profile.stage(name) / "manifest.json" for name in profile.notebooks}
    hours = plan.hours_of([name for name, path in manifests.items() if not path.exists()])
    if hours[1] <= ANNOUNCED:
        return ""
    gpus, disk = counted(plan.machine.gpus, "GPU"), sum(plan.disk.values()) / 1e12
    return (
        f"{profile.name}: {in_words(hours)} ahead on {gpus}, {disk:.2f} TB of disk in all, an "
        "estimate; `s1 plan` says for what, and what would halve it"
    )
