"""`s1 check-gpu`: every part in a process and a share of the time of its own, results as they come.

report = check("cuda", minutes=8, outputs=Path("outputs"))
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from packaging.version import Version

from s1lib.errors import S1Error
from s1lib.gpu_check.check_report import Figure, Part, Report
from s1lib.gpu_check.part_process import END, FIGURE
from s1lib.gpu_check.this_machine import machine_name
from s1lib.keeping.manifests import versions
from s1lib.profile import ROOT

OLDEST = "2.11"  # torch
# On a CPU: tiny shapes gain nothing from more threads, which wait for each other on a busy one.
THREADS = 1
PATIENCE = 10  # seconds that a stopped part has to stop what it started


@dataclass(frozen=True)
class Share:
    """A part's share of the time, and the seconds below which it is not begun."""

    share: float
    least: float


# In their order. A part that needs less leaves the rest to those after it.
PARTS = {
    "conformance": Share(0.75, 15),
    "decoding": Share(2.0, 20),
    "training": Share(2.0, 20),
    "sharded": Share(1.25, 20),
    "plan": Share(0.75, 10),
    "vllm": Share(0.75, 45),
    "notebooks": Share(0.5, 20),
}


class CheckError(S1Error):
    """The check cannot begin: one line that says why."""


def check(
    device: str,
    *,
    minutes: float,
    outputs: Path,
    only: Sequence[str] = (),
    log: Callable[[str], None] = print,
) -> Report:
    """Run the parts within `minutes` and return their report, which is written as they go.

    device: "cuda" or "cpu", where the same code runs on tiny shapes. only: the parts, if not all.
    Raises CheckError without a GPU, or where torch is too old.
    """
    _check_device(device)
    if device == "cpu":
        torch.set_num_threads(THREADS)  # so that the report tells how many the parts have
    day = time.strftime("%Y-%m-%d")
    facts = {
        "device": device,
        "machine": machine_name(device),
        "versions": versions(),
        "date": day,
        "minutes": minutes,
    }
    report = Report(outputs / "gpu" / f"check-{device}-{day}.json", facts)
    log(facts["machine"])
    log(", ".join(f"{name} {number}" for name, number in facts["versions"].items()))

    end = time.monotonic() + 60 * minutes
    names = [name for name in PARTS if name in only or not only]
    for place, name in enumerate(names):
        # A part's share of what is left.
        left = end - time.monotonic()
        shares = sum(PARTS[one].share for one in names[place:])
        seconds = left * PARTS[name].share / shares
        part = Part(name)
        report.parts.append(part)
        if seconds < PARTS[name].least:
            part.reason = f"{seconds:.0f} s are left for it: raise --minutes, or --only {name}"
        else:
            _run(part, device, report, seconds, log)
        report.write()
        log(str(part))
    return report


def _run(
    part: Part, device: str, report: Report, seconds: float, log: Callable[[str], None]
) -> None:
    """Run one part in a process and note what it says, until it ends or its time is up."""
    start = time.monotonic()
    report.write()
    process = subprocess.Popen(
        [sys.executable, "-m", "s1lib.gpu_check.part_process", part.name, device, report.path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_environment(device),
    )
    clock = threading.Timer(seconds, stop, [process])
    clock.start()
    last = ""
    ended: dict[str, str] = {}
    try:
        for line in process.stdout:
            if line.startswith(FIGURE):
                part.figures.append(Figure(**json.loads(line.removeprefix(FIGURE))))
                report.write()
                log(f"  {part.figures[-1]}")
            elif line.startswith(END):
                ended = json.loads(line.removeprefix(END))
            else:
                last = line.strip() or last
        process.wait()
    finally:
        clock.cancel()
        stop(process)

    # One that has not said how it ended was stopped, or died.
    part.seconds = time.monotonic() - start
    if ended:
        part.result, part.reason = ended["result"], ended["reason"]
    elif part.seconds >= seconds:
        said = f", and it had said: {last[:200]}" if last else ""
        part.result, part.reason = "stopped", f"its {seconds:.0f} s were up{said}"
    else:
        part.result, part.reason = "fail", _last_words(process, last)


def stop(process: subprocess.Popen) -> None:
    """End a process, which may end what it started first, and then all of that by force.

    Some of it has sessions of its own, which no signal to this one's group would reach.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def _last_words(process: subprocess.Popen, last: str) -> str:
    """How a process ended that has not said why, and the last line of its output."""
    ended = f"ended with status {process.returncode}"
    if process.returncode < 0:
        ended = f"ended by {signal.Signals(-process.returncode).name}"
    return f"{ended}: {last[:200]}" if last else ended


def _environment(device: str) -> dict[str, str]:
    """Of a part's process: this package, no hub, and on a CPU no GPU in sight."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    settings["TOKENIZERS_PARALLELISM"] = "false"
    if device == "cpu":
        settings |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(THREADS)}
    return {**os.environ, **settings}


def _check_device(device: str) -> None:
    """Raises CheckError for what would stop every part."""
    if Version(torch.__version__) < Version(OLDEST):
        raise CheckError(f"torch {torch.__version__} is older than {OLDEST}: take a newer one")
    if device == "cuda" and not torch.cuda.is_available():
        raise CheckError(
            f"torch {torch.__version__} sees no GPU: set --device cpu for the same check on tiny "
            "shapes"
        )
