"""The small profile of a rehearsal with its tables, and whether its engine and launcher work here.

tables = tables_of(profile)  # where each pool and test set is read from
small, file, checks = prepare(profile, stand_ins("", layers=6), tables)
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from s1lib.curation.sources import SOURCES
from s1lib.engines import EngineError
from s1lib.hardware.launcher import launch
from s1lib.profile import Profile, split_revision
from s1lib.published.entries import TEST_SETS, section
from s1lib.published.table_files import TableError
from s1lib.rehearsal.checks import Check, look, too_short_for
from s1lib.rehearsal.machine import this_machine
from s1lib.rehearsal.shrink import shrink, write_profile
from s1lib.rehearsal.small_tables import small_pool
from s1lib.rehearsal.stand_in import StandInError, StandIns

START = 600  # seconds that an engine may take to its first token


def tables_of(profile: Profile) -> dict[str, str]:
    """Where each table that the profile names is read from, by its reference.

    Without `rehearsal.data` that is the reference itself. What a notebook writes is not among them.
    Raises TableError for a folder that lacks one.
    """
    folder = profile.rehearsal.data
    references = [profile.curation.pool, *profile.curation.also_tests]
    references += [one.path for one in profile.sft.published]
    references += [one.path for one in profile.evaluation.benchmarks]
    references = [reference for reference in references if not reference.startswith("@")]
    if not folder:
        return dict(zip(references, references, strict=True))

    entries = section(SOURCES, "pools") | section(TEST_SETS, "test_sets")
    names = {split_revision(entry.at)[0]: name for name, entry in entries.items()}
    places = {}
    for reference in references:
        name = names.get(split_revision(reference)[0], reference)
        places[reference] = str(Path(folder).resolve() / name)
        if not Path(places[reference]).exists():
            raise TableError(
                f"{folder} holds no {name}, which stands in for {reference}: put the table there "
                "in its published columns, or rehearse with the profile's own data sets"
            )
    return places


def prepare(
    profile: Profile, models: StandIns, tables: Mapping[str, str]
) -> tuple[Profile, Path, list[Check]]:
    """The small profile, the file that it is written to, and what was found out about the machine.

    An engine that does not start is replaced by engine torch. Raises StandInError for a stand-in
    whose context is too short.
    """
    # Pools become small copies; benchmarks have a limit.
    here = dict(tables)
    pools = [profile.curation.pool, *(one.path for one in profile.sft.published)]
    folder = dataclasses.replace(profile, name=f"{profile.name}-rehearsal").outputs / "data"
    for number, reference in enumerate(name for name in dict.fromkeys(pools) if name in tables):
        rows, place = profile.rehearsal.questions, folder / f"pool-{number}"
        here[reference] = small_pool(tables[reference], rows=rows, directory=place)

    wanted = profile.engine.kind
    machine = this_machine("vllm" if wanted == "vllm" and find_spec("vllm") else "torch")
    small = shrink(profile, models, here, machine)
    if short := too_short_for(models.context, small):
        raise StandInError(
            f"the stand-in {models.whole} has a context of {models.context:,} tokens, too short "
            f"for {', '.join(short)}: take another with --model, or lower the keys of `rehearsal`"
        )

    file = write_profile(small)
    checks = [look(f"engine {machine.kind}", lambda: _first_token(file, models.classifier))]
    if checks[0].state != "ok" and machine.kind == "vllm":
        machine = dataclasses.replace(machine, kind="torch")
        small = shrink(profile, models, here, machine)
        file = write_profile(small)
    if small.sft.launched and small.sft.models:
        count = small.sft.processes
        checks.append(look(f"{count} processes of a training", lambda: _meet(count), stops=True))
    return small, file, checks


def _first_token(profile: Path, model: Path) -> str:
    """The engine's name. Raises EngineError where it does not start in a process of its own."""
    command = [sys.executable, "-m", "s1lib.rehearsal.first_token", str(profile), str(model)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=START)
    except subprocess.TimeoutExpired:
        raise EngineError(f"not started within {START} seconds") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise EngineError(f"does not start: {said[-1].removeprefix('error: ')[:300]}")
    return f"{done.stdout.split()[-1]} starts and decodes"


def _meet(processes: int) -> str:
    """Raises TrainingError where the processes of a launched training do not find each other."""
    said: list[str] = []
    launch("s1lib.rehearsal.meeting", [], processes=processes, name="meeting", log=said.append)
    return said[-1].removeprefix("meeting: ")
