"""Do the verdicts of several runs agree? Other seeds and threads stand in for other machines.

    make bench BENCH=verdicts RUNS="outputs1/toy outputs2/toy"         # any finished runs
    make bench BENCH=verdicts RUNS="..." TABLE=docs/verdict_runs.md    # keeps the table there, too
    make bench BENCH=verdicts MADE=outputs/verdicts PROFILE=toy        # makes five runs first

A claim *flips* where one run says "holds" and another "does not hold", which must not happen. It
*wavers* where some runs say "inconclusive" and others decide, which may happen to one claim.
`MADE` runs a profile with five universe seeds, on two threads and on one in turn. What is finished
there is not made again, so that the same command goes on after an interruption.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from s1lib.drawing.table_text import markdown
from s1lib.errors import S1Error
from s1lib.keeping.files import write_text
from s1lib.profile import ROOT
from s1lib.scaling.verdicts import FAILS, HOLDS, OPEN

SEEDS = (0, 1, 2, 3, 4)
MAY_WAVER = 1
CLAIMS = Path("05_scaling_analysis") / "claims.csv"
HINT = (
    'no runs are named: give finished ones with RUNS="DIR DIR", or let five be made with '
    "`make bench BENCH=verdicts MADE=outputs/verdicts` (that takes as long as five runs)"
)


class VerdictError(S1Error):
    """There is nothing to compare, or verdicts flip."""


def verdicts(runs: Sequence[Path]) -> pd.DataFrame:
    """The declared claims in the order of the first run, and a column of verdicts for each run.

    A claim that a run does not have is empty there.
    """
    if len(runs) < 2:
        raise VerdictError(f"{runs[0]} alone has nothing to be compared with: name another run")
    columns = {}
    for run in runs:
        if not (run / CLAIMS).exists():
            raise VerdictError(f"{run / CLAIMS} does not exist: finish that run first")
        table = pd.read_csv(run / CLAIMS, keep_default_na=False)
        columns[str(run)] = table.set_index("claim")["verdict"]
    table = pd.DataFrame(columns).fillna("")
    order = dict.fromkeys(claim for column in columns.values() for claim in column.index)
    return table.loc[list(order)].rename_axis("claim")


def flips(table: pd.DataFrame) -> list[str]:
    """The claims that hold in one run and do not hold in another."""
    return [claim for claim, row in table.iterrows() if {HOLDS, FAILS} <= set(row)]


def wavers(table: pd.DataFrame) -> list[str]:
    """The claims that are inconclusive in one run and decided in another."""
    return [
        claim for claim, row in table.iterrows() if OPEN in set(row) and set(row) & {HOLDS, FAILS}
    ]


def make_runs(place: Path, profile: str) -> list[Path]:
    """Run the profile with every seed of SEEDS below `place`. Returns where the runs lie."""
    runs = []
    for seed in SEEDS:
        name = f"seed{seed}"
        values = {"extends": profile, "name": name, "threads": 1 + (seed + 1) % 2}
        path = place / f"{name}.yaml"
        write_text(path, yaml.safe_dump({**values, "universe": {"seed": seed}}))
        command = [sys.executable, "-m", "s1lib", "reproduce", "--profile", str(path)]
        print(f"{name}: {values['threads']} threads", flush=True)
        if subprocess.run([*command, "--outputs", str(place)], cwd=ROOT).returncode:
            raise VerdictError(f"{name} did not finish: see above, and run the same command again")
        runs.append(place / name)
    return runs


def report(table: pd.DataFrame) -> str:
    """The table, and below it how many claims flip and waver, with their names."""
    flipped, wavering = flips(table), wavers(table)
    lines = [
        f"holds in one run and does not hold in another: {len(flipped)} of {len(table)} claims "
        "(0 wanted)",
        *(f"- {claim}" for claim in flipped),
        f"inconclusive in one run and decided in another: {len(wavering)} "
        f"(at most {MAY_WAVER} wanted)",
        *(f"- {claim}" for claim in wavering),
    ]
    return "\n".join([markdown(table.reset_index()), *lines])


def main() -> None:
    if made := os.environ.get("MADE"):
        runs = make_runs(Path(made).resolve(), os.environ.get("PROFILE", "toy"))
    else:
        runs = [Path(run) for run in os.environ.get("RUNS", "").split()]
    if not runs:
        print(HINT)
        return

    table = verdicts(runs)
    print(report(table))
    if kept := os.environ.get("TABLE"):
        write_text(kept, report(table) + "\n")
    if flipped := flips(table):
        raise VerdictError(f"{len(flipped)} of {len(table)} verdicts flip from run to run")
