"""What would stop the real run later, looked at before anything is decoded.

    for check in checks_of(profile, tables):
        print(check)  # "ok: disk: 2.4 TB needed, 3.1 free"

A check is "ok", "to do" with a line that says what, or "not here" where this machine has no hub,
GPU or vLLM to look at. None of them stops a rehearsal by itself, unless it `stops`: a table that
cannot be read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import torch

from s1lib.curation.sources import open_pool, read_questions
from s1lib.errors import S1Error
from s1lib.evaluation.benchmarks import load_benchmark
from s1lib.grading import grade_many
from s1lib.hardware.architectures import PlanError, architecture
from s1lib.hardware.memory_plan import Plan, make_plan
from s1lib.profile import Benchmark, Profile, hub_references
from s1lib.published import hub

GIB = 2**30


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `stops`: the rehearsal cannot go on without it."""

    what: str
    state: Literal["ok", "to do", "not here"]
    said: str
    stops: bool = False

    def __str__(self) -> str:
        return f"{self.state}: {self.what}: {self.said}"


class NotHere(Exception):
    """This machine lacks what a check looks at."""


def looked_at(what: str, look: Callable[[], str], *, stops: bool = False) -> Check:
    """The check that `look` makes: what it returns, or why it cannot."""
    try:
        return Check(what, "ok", look())
    except (NotHere, hub.NoHubError) as reason:
        return Check(what, "not here", str(reason))
    except S1Error as error:
        return Check(what, "to do", str(error), stops)


def hub_checks(profile: Profile) -> Iterator[Check]:
    """Whether each hub id is in the local cache or within reach, in the revision that is named."""
    for kind, name, revision in hub_references(profile):
        try:
            yield looked_at(f"{kind} {name}", lambda a=(kind, name, revision): hub.access(*a))
        except 
