"""What would stop the real run later, looked at before anything is decoded.

    for check in machine_checks(profile):
        print(check)  # "ok: disk: 2.41 TB needed, 3.10 free"

A check is "ok", "to do" with what to do, or "not here" where this machine has no hub, GPU or vLLM
to look at. Only one that `stops` ends the rehearsal: without it there is nothing to rehearse.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Literal

import torch

from s1lib.errors import S1Error
from s1lib.hardware.architectures import PlanError, architecture
from s1lib.hardware.memory_plan import make_plan
from s1lib.hardware.pass_room import in_own_process
from s1lib.planning.run_plan import RunPlan, plan_run
from s1lib.profile import Profile, hub_references
from s1lib.published import hub

GIB = 2**30
State = Literal["ok", "to do", "not here"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what is to be said of it."""

    what: str
    state: State
    said: str
    stops: bool = False

    def __str__(self) -> str:
        return f"{self.state:8}  {self.what}: {self.said}"


class NotHereError(S1Error):
    """This machine lacks what a check looks at; the message says what that means."""


def look(what: str, at: Callable[[], str], *, stops: bool = False) -> Check:
    """The check that `at` makes: what it returns, or the reason why it raised an S1Error."""
    try:
        return Check(what, "ok", at())
    except NotHereError as reason:
        return Check(what, "not here", str(reason))
    except S1Error as error:
        return Check(what, "to do", str(error), stops)


def hub_checks(profile: Profile) -> Iterator[Check]:
    """Is every hub id in the local cache or within reach, in the revision that is named?"""
    reachable = True
    for asked in hub_references(profile):
        kind, name, _ = asked
        check = look(f"{kind} {name}", partial(_reach, asked, reachable))
        reachable = reachable and check.state != "not here"
        yield check


def _reach(asked: tuple[str, str, str | None], reachable: bool) -> str:
    """Where a repository can be had; a hub that did not answer before is not waited for again."""
    if hub.in_cache(*asked):
        return "in the local cache"
    if reachable:
        with contextlib.suppress(hub.NoHubError):
            hub.ask_for(*asked)
            return "within reach"
    raise NotHereError("not in the local cache, and no hub is within reach")


def machine_checks(profile: Profile) -> Iterator[Check]:
    """Do the whole run and each training fit this machine?"""
    yield look("budgets", lambda: room_for_budgets(profile))
    yield look("disk", lambda: _disk(profile))
    yield look("host memory", lambda: _host_memory(profile))
    yield look("GPUs", lambda: _gpus(profile))
    yield look("GPU memory", lambda: _gpu_memory(profile))
    yield look("vLLM", lambda: _vllm(profile))


def plan_of(profile: Profile) -> RunPlan:
    """The plan of the whole run on the GPUs that the profile is for."""
    return plan_run(profile, gpus=profile.sft.processes)


def room_for_budgets(profile: Profile) -> str:
    """Raises PlanError that names every budget which the base model's context is too short for."""
    base = profile.resolve(profile.sft.base)
    context = getattr(architecture(base), "max_position_embeddings", None)
    if context is None:
        return f"{base} states no limit of its context"
    if short := too_short_for(context, profile):
        raise PlanError(
            f"{base} has a context of {context:,} tokens, too short for {', '.join(short)}: "
            "lower them, or take another model"
        )
    return f"all fit the {context:,} tokens of {base}"


def too_short_for(context: int, profile: Profile) -> list[str]:
    """The budgets of a profile that a context of so many tokens has no room for."""
    settings, answer = profile.evaluation, profile.evaluation.answer_tokens
    budgets = {
        "evaluation.max_thinking": settings.max_thinking + answer,
        **{f"evaluation.budgets {one:,}": one + answer for one in settings.budgets},
        "curation.attempt_tokens": profile.curation.attempt_tokens,
        "sft.max_length": profile.sft.max_length,
        "engine.max_context": profile.engine.max_context,
    }
    return [name for name, tokens in budgets.items() if tokens > context]


def _disk(profile: Profile) -> str:
    needed = sum(plan_of(profile).disk.values())
    place = profile.outputs
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    said = f"{needed / 1e12:.2f} TB needed, {free / 1e12:.2f} free on the disk of {place}"
    if free < needed:
        raise PlanError(f"{said}: free some, or choose another place with OUTPUTS=…")
    return said


def _host_memory(profile: Profile) -> str:
    needed = plan_of(profile).host
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    said = f"{needed / 1e9:,.0f} GB needed, {there / 1e9:,.0f} there"
    if needed <= there:
        return said
    if not torch.cuda.is_available():
        raise NotHereError(f"{said}; look again on the machine of the run")
    raise PlanError(f"{said}: take a larger node, or set sft.offload: false on more GPUs")


def _gpus(profile: Profile) -> str:
    sft, engine = profile.sft, profile.engine
    decoding = engine.tensor_parallel * engine.data_parallel if engine.kind == "vllm" else 1
    needed, there = max(sft.processes, decoding), torch.cuda.device_count()
    if not there:
        raise NotHereError(f"none; the run needs {needed}, the rehearsal takes the CPU")
    if there < needed:
        raise PlanError(
            f"{there} here, {needed} needed: take a node with {needed}, or lower sft.processes and "
            "engine.tensor_parallel × data_parallel"
        )
    return f"{there} here, {needed} needed"


def _gpu_memory(profile: Profile) -> str:
    if not profile.sft.models:
        return "nothing is trained"
    peak, there, refusal = in_own_process(_simulated, profile)
    if refusal:
        raise PlanError(refusal)
    return f"{peak / GIB:.0f} GiB of {there / GIB:.0f} on each GPU while training (simulated)"


def _simulated(profile: Profile) -> tuple[float, float, str]:
    """Bytes that a training step takes of each GPU, those that it has, and why they are too few."""
    try:
        plan = make_plan(profile, gpus=profile.sft.processes)
        plan.check()
    except PlanError as error:
        return 0, 0, str(error)
    return plan.memory.peak, plan.gpu, ""


def _vllm(profile: Profile) -> str:
    if profile.engine.kind != "vllm":
        return f"not asked for (engine.kind: {profile.engine.kind})"
    if find_spec("vllm"):
        return "importable"
    missing = "vLLM is not installed, so engine torch decodes the rehearsal"
    if torch.cuda.is_available():
        raise PlanError(f"{missing}: pip install -r requirements-gpu.lock, or engine.kind: torch")
    raise NotHereError(missing)
