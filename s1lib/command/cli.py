"""The command `s1`: what the Makefile calls, and what a person may call directly.

    s1 reproduce --profile toy                            s1 html --profile toy
    s1 run notebooks/01_curation.ipynb --profile toy      s1 profiles
    s1 fetch --profile h100                               s1 rehearse --profile h100
    s1 think "How many r in raspberry?" --model PATH_OR_ID --max-thinking 512 --waits 2
    s1 plan --profile h100 --gpus 8
    s1 compare h100 /data/simplescaling-results           s1 check-gpu
    s1 course                                             s1 solutions

Whatever a user can cause ends in one line on stderr and exit status 1, Ctrl-C in one line and 130.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from s1lib.command import check_gpu, compare, plan, released_run, think
from s1lib.command.reproduce import reproduce, run
from s1lib.command.solutions import run_solutions
from s1lib.errors import S1Error
from s1lib.profile import Profile, hub_references, known_profiles, load_profile
from s1lib.published import hub

KEPT = "finished work is kept: run the same command again to go on"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    with contextlib.suppress(ValueError):  # not in the main thread: tests
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        options.command(options)
    except KeyboardInterrupt:
        print(f"\ninterrupted; {KEPT}", file=sys.stderr)
        return 130
    except S1Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader has gone, as `head` does. What is still to be written has none either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        full = "no space left on the disk: free some and run again; finished work is kept"
        print(f"error: {full}", file=sys.stderr)
        return 1
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    about = "s1: Simple test-time scaling, from notebooks"
    parser = argparse.ArgumentParser(prog="s1", description=about)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    # The commands that read a profile.
    for name, command, about in (
        ("run", _run, "execute one notebook headless"),
        ("reproduce", _reproduce, "every notebook of the profile that is not up to date, in order"),
        ("html", _html, "claims, figures, tables, notebooks and traces as a static site"),
        (
            "slides",
            _slides,
            "the executed notebooks' cells that are tagged as slides, with reveal.js",
        ),
        ("solutions", _solutions, "the solutions of the exercises, executed on the finished run"),
        (
            "fetch",
            _fetch,
            "download what the profile names on a hub, for machines without a network",
        ),
        (
            "rehearse",
            _rehearse,
            "check all that would stop the run, and run it small, with stand-ins",
        ),
        ("plan", _plan, "hours, disk and memory of the whole run, and does the training fit"),
    ):
        one = commands.add_parser(name, help=about)
        one.set_defaults(command=command)
        chosen = "a name, or a YAML file (default: $PROFILE, else toy)"
        one.add_argument("--profile", default=None, help=chosen)
        place = "where outputs/<profile> goes (default: $S1_OUTPUTS, else outputs/)"
        one.add_argument("--outputs", default=None, help=place)

    commands.choices["run"].add_argument("notebook", help="notebooks/NN_name.ipynb")
    reveal = "a folder with the dist of reveal.js (`make slides` brings one)"
    commands.choices["slides"].add_argument("--reveal", type=Path, required=True, help=reveal)
    rehearse = commands.choices["rehearse"].add_argument
    rehearse("--model", help="the stand-in: a directory or a hub id (default: SmolLM2-135M)")
    rehearse("--data", metavar="DIR", help="tables in the published columns, instead of a hub's")
    plan.add_arguments(commands.choices["plan"])
    think.add_to(commands)
    compare.add_to(commands)
    released_run.add_to(commands)
    check_gpu.add_to(commands)
    commands.add_parser("profiles", help="list the profiles").set_defaults(command=_profiles)
    return parser


def _profile(options: argparse.Namespace) -> Profile:
    return load_profile(options.profile, outputs=options.outputs)


def _run(options: argparse.Namespace) -> None:
    profile = _profile(options)
    run(Path(options.notebook), profile, options.profile or profile.name)


def _html(options: argparse.Namespace) -> None:
    from s1lib.site.build import build

    print(build(_profile(options)))


def _slides(options: argparse.Namespace) -> None:
    from s1lib.site.slides import write_slides

    for path in write_slides(_profile(options), options.reveal):
        print(path)


def _solutions(options: argparse.Namespace) -> None:
    profile = _profile(options)
    run_solutions(profile, options.profile or profile.name)


def _reproduce(options: argparse.Namespace) -> None:
    profile = _profile(options)
    reproduce(profile, options.profile or profile.name)
    print(f"{profile.name}: complete, see {os.path.relpath(profile.outputs)}")


def _rehearse(options: argparse.Namespace) -> None:
    from s1lib.rehearsal.rehearse import rehearse

    profile = _profile(options)
    given = {key: getattr(options, key) for key in ("model", "data") if getattr(options, key)}
    settings = dataclasses.replace(profile.rehearsal, **given)
    small = rehearse(dataclasses.replace(profile, rehearsal=settings))
    print(f"{small.name}: complete, see {os.path.relpath(small.outputs)}")


def _plan(options: argparse.Namespace) -> None:
    plan.run(_profile(options), options)


def _profiles(_options: argparse.Namespace) -> None:
    for name in known_profiles():
        print(f"{name:13} {load_profile(name).description}")


def _fetch(options: argparse.Namespace) -> None:
    profile = _profile(options)
    wanted = hub_references(profile)
    if not wanted:
        print(f"profile {profile.name}: nothing to fetch, everything is made on this machine")

    failed = []
    for kind, name, revision in wanted:
        try:
            place = hub.download(kind, name, revision)
            print(f"{kind} {name} at {revision or 'its newest revision'}: {place}", flush=True)
        except hub.HubError as error:  # the others may still be within reach
            failed.append(error)
            print(error, flush=True)
    if failed:
        more = f"; {len(failed) - 1} more failed as listed above" if len(failed) > 1 else ""
        raise hub.HubError(
            f"{failed[0]}{more}; what is gated needs `hf auth login`, and a local folder may be "
            "named in the profile instead"
        )
