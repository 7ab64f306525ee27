"""Does a run that is killed at any moment end in the same bytes? SIGKILLs on the smoke profile.

    python -m tests.bench kills                  # fifty of them, about half an hour on two cores
    make bench BENCH=kills KILLS=6

Every process of a run is killed at a random moment, and the run is begun again, until it comes to
its end. Then its files are compared with those of a run that nobody disturbed. What tells the time
of day or a duration is left out: manifests, training.json, executed notebooks.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
KILLS = 50
LONGEST = 0.4  # of the undisturbed run's time: the latest moment of a kill
TIMED = {"manifest.json", "training.json", "inputs.key"}
TIMED_FOLDERS = {"notebooks", ".locks"}


def main(kills: int | None = None, seed: int = 0) -> None:
    kills, rng = kills or int(os.environ.get("KILLS", KILLS)), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="s1-kills-") as place:
        whole, disturbed = Path(place) / "whole", Path(place) / "disturbed"
        start = time.perf_counter()
        if run(whole).wait():
            raise RuntimeError("the undisturbed run failed")
        seconds = time.perf_counter() - start
        expected = contents(whole)
        print(f"undisturbed: {seconds:.0f} s, {len(expected)} files compared", flush=True)

        done, ends = 0, 0
        while done < kills:
            shutil.rmtree(disturbed, ignore_errors=True)
            killed = 0
            while killed + done < kills and not finishes(
                disturbed, rng.uniform(0, LONGEST * seconds)
            ):
                killed += 1
            if killed + done == kills and run(disturbed).wait():  # the last one may go to its end
                raise RuntimeError(f"after {killed} kills the run did not come to its end")
            done, ends = done + killed, ends + 1
            told = ", ".join(differing(expected, contents(disturbed))) or "none"
            print(f"run {ends}: {killed} kills; differing files: {told}", flush=True)
    print(f"{done} kills in {ends} runs of the smoke profile")


def run(outputs: Path) -> subprocess.Popen:
    """Start `s1 reproduce`, its output in outputs/log."""
    outputs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "s1lib", "reproduce", "--profile", "smoke"]
    with (outputs / "log").open("a") as log:
        return subprocess.Popen(
            [*command, "--outputs", str(outputs)], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )


def finishes(outputs: Path, seconds: float) -> bool:
    """Whether a run comes to its end within `seconds`; if not, all its processes are killed."""
    process = run(outputs)
    try:
        if process.wait(seconds):
            raise RuntimeError(f"the run failed: {(outputs / 'log').read_text()[-500:]}")
        return True
    except subprocess.TimeoutExpired:
        family = [*psutil.Process(process.pid).children(recursive=True), process]
        for one in family:
            one.kill()
        process.wait()
        return False


def contents(outputs: Path) -> dict[str, bytes]:
    """Every file that must not depend on what happened on the way, temporary ones included."""
    folder = outputs / "smoke"
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in sorted(files.items())
        if path.name not in TIMED and path.relative_to(folder).parts[0] not in TIMED_FOLDERS
    }


def differing(expected: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """Names of files that are missing, new or other."""
    return sorted(name for name in expected | found if expected.get(name) != found.get(name))


if __name__ == "__main__":
    main()
