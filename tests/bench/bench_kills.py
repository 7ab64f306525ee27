"""Does a run that is killed at any moment end in the same bytes? SIGKILLs on the smoke profile.

    python -m tests.bench kills                  # fifty of them, about half an hour on two cores
    make bench BENCH=kills KILLS=6

Every process of a run is killed at a random moment, and the run is begun again, until it comes to
its end. Then its files are compared with those of a run that nobody disturbed. Left out is what
tells the time of day or a duration: manifests, training.json, executed notebooks, and the columns
and rows of minutes and seconds in three tables.
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

import pandas as pd
import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
KILLS = 50
LONGEST = 0.4  # of the undisturbed run's time: the latest moment of a kill
TIMED = {"manifest.json", "training.json", "inputs.key"}
TIMED_FOLDERS = {"notebooks", ".locks"}
TIMED_TABLES = {"trainings", "paper_and_this_run", "cost"}
DURATION = "minutes|seconds|time"


def main(kills: int | None = None, seed: int = 0) -> None:
    kills, rng = kills or int(os.environ.get("KILLS", KILLS)), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="s1-kills-") as place:
        outputs, start = Path(place) / "outputs", time.perf_counter()
        finish(outputs)
        seconds, expected = time.perf_counter() - start, contents(outputs)
        print(f"undisturbed: {seconds:.0f} s, {len(expected)} files compared", flush=True)

        done = runs = 0
        while done < kills:
            shutil.rmtree(outputs)
            killed, ended = 0, False
            while not ended and done + killed < kills:
                ended = ends_within(outputs, rng.uniform(0, LONGEST * seconds))
                killed += not ended
            if not ended:  # no kills are left
                finish(outputs)
            done, runs = done + killed, runs + 1
            told = ", ".join(differing(expected, contents(outputs))) or "none"
            print(f"run {runs}: {killed} kills; differing files: {told}", flush=True)
    print(f"{done} kills in {runs} runs of the smoke profile")


def run(outputs: Path) -> subprocess.Popen:
    """Start `s1 reproduce`, its output in outputs/log."""
    outputs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "s1lib", "reproduce", "--profile", "smoke"]
    with (outputs / "log").open("a") as log:
        return subprocess.Popen(
            [*command, "--outputs", str(outputs)], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )


def finish(outputs: Path) -> None:
    """Let a run come to its end."""
    if run(outputs).wait():
        raise RuntimeError(f"the run failed: {(outputs / 'log').read_text()[-500:]}")


def ends_within(outputs: Path, seconds: float) -> bool:
    """Whether a run comes to its end within `seconds`; if not, all its processes are killed."""
    process = run(outputs)
    try:
        if process.wait(seconds):
            raise RuntimeError(f"the run failed: {(outputs / 'log').read_text()[-500:]}")
        return True
    except subprocess.TimeoutExpired:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        process.wait()
        return False


def contents(outputs: Path) -> dict[str, bytes]:
    """Every file that must not depend on what happened on the way, temporary ones included."""
    folder, found = outputs / "smoke", {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_dir() or path.name in TIMED or name.parts[0] in TIMED_FOLDERS:
            continue
        if path.stem not in TIMED_TABLES:
            found[str(name)] = path.read_bytes()
        elif path.suffix == ".csv":  # the others are made from it
            found[str(name)] = without_durations(path).to_csv().encode()
    return found


def without_durations(path: Path) -> pd.DataFrame:
    """A table without its columns and rows of minutes and seconds."""
    table = pd.read_csv(path, index_col=0, dtype=str)
    table = table.loc[:, ~table.columns.str.contains(DURATION)]
    return table[~table.index.astype(str).str.contains(DURATION)]


def differing(expected: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """Names of files that are missing, new or other."""
    return sorted(name for name in expected | found if expected.get(name) != found.get(name))


if __name__ == "__main__":
    main()
