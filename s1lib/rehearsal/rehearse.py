"""`s1 rehearse`: look at all that would stop a run later, then make the run with small numbers.

    rehearse(load_profile("h100"))

The notebooks, tables, prompts, graders, methods and the launcher are the profile's own. It ends in
one table: stage, ok or what to do, seconds here, and what the real run will need.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

from s1lib.command.reproduce import reproduce
from s1lib.errors import S1Error
from s1lib.keeping.files import write_text
from s1lib.planning.run_plan import in_words, plan_run
from s1lib.profile import Profile
from s1lib.rehearsal.checks import Check, hub_checks, machine_checks
from s1lib.rehearsal.machine import shard_on_cpus
from s1lib.rehearsal.preparation import prepare, tables_of
from s1lib.rehearsal.stand_in import stand_ins
from s1lib.rehearsal.table_checks import table_checks

HEAD = ("stage", "seconds", "the real run", "ok, or what to do")
Row = tuple[str, str, str, str]


class RehearsalError(S1Error):
    """The rehearsal cannot begin, or did not reach its end; the message says what to do."""


def rehearse(profile: Profile, log: Callable[[str], None] = print) -> Profile:
    """Look at everything, run every notebook small, show the table; returns the small profile.

    Raises S1Error where a check leaves nothing to rehearse, before anything is decoded, and at the
    end RehearsalError for a notebook that failed.
    """
    if profile.universe:
        raise RehearsalError(
            f"profile {profile.name} makes its own models and data, so there is nothing to "
            "rehearse: `make smoke` runs it with everything tiny"
        )
    start = time.perf_counter()
    shard_on_cpus()

    # What the machine lacks is told; what leaves nothing to rehearse ends it here.
    checks = _told(chain(hub_checks(profile), machine_checks(profile)), log)
    tables = tables_of(profile)
    checks += _told(table_checks(profile, tables), log)
    models = stand_ins(profile.rehearsal.model, layers=profile.rehearsal.layers)
    small, file, more = prepare(profile, models, tables)
    checks += _told(more, log)
    rows = [("checks", _seconds(start), _whole_run(profile), _counted(checks))]

    # Each notebook by itself, so that its time is its own.
    failure = None
    for place, name in enumerate(small.notebooks):
        start = time.perf_counter()
        if not failure:
            failure = _run(small, file, small.notebooks[: place + 1])
            rows.append((name, _seconds(start), _needs(profile, name), failure or "ok"))
        else:
            rows.append((name, "", _needs(profile, name), "not reached"))

    lines = table_lines(rows)
    write_text(small.outputs / "rehearsal.txt", "\n".join([*map(str, checks), "", *lines, ""]))
    log("\n" + "\n".join(lines))
    if failure:
        raise RehearsalError(
            f"{failure}; the notebooks before it are kept: mend it, and rehearse again"
        )
    return small


def table_lines(rows: Iterable[Row]) -> list[str]:
    """The table as lines of a terminal."""
    rows = [HEAD, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _told(checks: Iterable[Check], log: Callable[[str], None]) -> list[Check]:
    """The checks, each logged as it comes. Raises RehearsalError at the first that stops."""
    done = []
    for check in checks:
        log(str(check))
        done.append(check)
        if check.stops and check.state == "to do":
            raise RehearsalError(f"{check.what}: {check.said}")
    return done


def _counted(checks: list[Check]) -> str:
    states = [check.state for check in checks]
    counts = ((states.count(state), state) for state in ("ok", "to do", "not here"))
    return ", ".join(f"{count} {state}" for count, state in counts if count)


def _run(small: Profile, file: Path, notebooks: tuple[str, ...]) -> str:
    """Run the last of `notebooks`; the line that says why it failed, or nothing."""
    try:
        reproduce(dataclasses.replace(small, notebooks=notebooks), str(file))
    except S1Error as error:
        return str(error)
    return ""


def _seconds(start: float) -> str:
    return f"{time.perf_counter() - start:.0f}"


def _whole_run(profile: Profile) -> str:
    try:
        return plan_run(profile, gpus=profile.sft.processes).total()
    except S1Error as error:
        return str(error)


def _needs(profile: Profile, notebook: str) -> str:
    try:
        return in_words(plan_run(profile, gpus=profile.sft.processes).hours_of([notebook]))
    except S1Error:
        return ""
