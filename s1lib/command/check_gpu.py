"""`s1 check-gpu`: does the package work on this GPU, and how fast?

s1 check-gpu --only decoding --only training
"""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from s1lib.errors import S1Error
from s1lib.profile import ROOT

NEEDED = ("torch", "transformers", "trl", "accelerate")


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `s1`."""
    about = "does it work on this GPU, and how fast: decoding, training, memory, vLLM, notebooks"
    parser = commands.add_parser("check-gpu", help=about)
    parser.set_defaults(command=run)
    add = parser.add_argument
    tiny = "cpu: the same code on tiny shapes (default: cuda)"
    add("--device", choices=("cuda", "cpu"), default="cuda", help=tiny)
    part = "one part alone (may be repeated)"
    add("--only", metavar="PART", action="append", default=[], help=part)
    add("--minutes", type=float, default=8.0, help="for all parts together (default: 8)")
    place = "where gpu/check-DEVICE-DATE.json goes (default: $S1_OUTPUTS, else outputs/)"
    add("--outputs", help=place)


def run(options: argparse.Namespace) -> None:
    """Run the command: a line per figure, then the table.

    Raises S1Error where a library is missing, the check cannot begin, or a part of it failed.
    """
    if missing := [name for name in NEEDED if not find_spec(name)]:
        raise S1Error(f"cannot import {', '.join(missing)}: put the wheels on PYTHONPATH")
    from s1lib.gpu_check.check import PARTS, check

    if unknown := sorted(set(options.only) - set(PARTS)):
        raise S1Error(f"no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    outputs = Path(options.outputs or os.environ.get("S1_OUTPUTS") or ROOT / "outputs")
    report = check(
        options.device, minutes=options.minutes, outputs=outputs, only=tuple(options.only)
    )
    print(f"\n{report.table()}\n\n{os.path.relpath(report.path)}")

    failed = [part for part in report.parts if part.result == "fail"]
    if failed:
        names = ", ".join(part.name for part in failed)
        raise S1Error(f"failed: {names} ({failed[0].reason})")
