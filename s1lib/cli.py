"""The command `s1`: what the Makefile calls, and what a person may call directly.

    s1 run notebooks/01_curation.ipynb --profile toy      s1 html --profile toy
    s1 fetch --profile h100                               s1 profiles

Whatever a user can cause ends in one line on stderr and exit status 1; Ctrl-C in one line and 130.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from s1lib import notebooks
from s1lib.artifacts import ArtifactError
from s1lib.profile import Profile, ProfileError, known_profiles, load_profile


class FetchError(RuntimeError):
    """Something the profile names cannot be had; the message says which and why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    with contextlib.suppress(ValueError):  # not in the main thread: tests
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        options.command(options)
    except KeyboardInterrupt:
        print("\ninterrupted; finished work is kept: run the same command again to go on", file=sys.stderr)
        return 130
    except (ProfileError, ArtifactError, FetchError, notebooks.NotebookError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("error: no space left on the disk: free some and run again; finished work is kept", file=sys.stderr)
        return 1
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="s1", description="s1: Simple test-time scaling, from notebooks")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="execute one notebook headless")
    run.add_argument("notebook", help="notebooks/NN_name.ipynb")
    run.set_defaults(command=_run)
    for name, command, text in (
        ("html", _html, "render the executed notebooks"),
        ("fetch", _fetch, "download what the profile names on a hub, for machines without a network"),
        ("rules", _rules, "print what each notebook depends on, for make"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=command)
    for command in commands.choices.values():
        command.add_argument("--profile", default=None, help="a name, or a YAML file (default: $PROFILE, else toy)")
        command.add_argument("--outputs", default=None, help="where outputs/<profile> goes (default: $S1_OUTPUTS, else outputs/)")
    commands.add_parser("profiles", help="list the profiles").set_defaults(command=_profiles)
    return parser


def _profile(options: argparse.Namespace) -> Profile:
    return load_profile(options.profile, outputs=options.outputs)


def _run(options: argparse.Namespace) -> None:
    profile = _profile(options)
    notebooks.run_notebook(options.notebook, profile=profile, profile_name=options.profile or profile.name)


def _html(options: argparse.Namespace) -> None:
    for page in notebooks.render_html(_profile(options)):
        print(page)


def _rules(options: argparse.Namespace) -> None:
    print(notebooks.make_rules(options.profile or "toy", outputs=options.outputs or "outputs"), end="")


def _profiles(_options: argparse.Namespace) -> None:
    for name in known_profiles():
        print(f"{name:8} {load_profile(name).description}")


def _fetch(options: argparse.Namespace) -> None:
    profile = _profile(options)
    wanted = profile.hub_references()
    if not wanted:
        print(f"profile {profile.name}: nothing to fetch, everything is made on this machine")
    for kind, name, revision in wanted:
        print(f"{kind} {name} at {revision or 'its newest revision'}: {_snapshot(kind, name, revision)}", flush=True)


def _snapshot(kind: str, name: str, revision: str | None) -> str:
    """Download one repository into the hub's cache; returns where it lies."""
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return snapshot_download(name, revision=revision, repo_type=kind)
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FetchError(f"cannot fetch the {kind} {name}: {reason}") from None


if __name__ == "__main__":
    sys.exit(main())
