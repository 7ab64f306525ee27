"""Do the verdicts of several runs agree? Other seeds and threads stand in for other machines.

    make bench BENCH=verdicts RUNS="outputs1/toy outputs2/toy"         # any finished runs
    make bench BENCH=verdicts RUNS="..." TABLE=docs/verdict_runs.md    # keeps the table there, too
    make bench BENCH=verdicts MADE=outputs/verdicts PROFILE=toy        # makes five runs first

A claim *flips* where one run says "holds" and another "does not hold", which must not happen. It
*wavers* where some runs say "inconclusive" and others decide, which may happen to one claim. The
last column judges the runs together by the claim's own rule. Each run is one observation there, and
the interval is Student's t over their effects. It holds all that differs between runs.

`MADE` runs a profile with five universe seeds that share no base model, on two threads and on one
in turn. What is finished there is not made again, so that the same command goes on after an
interruption.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml
from scipy import stats

from s1lib.drawing.table_text import markdown
from s1lib.errors import S1Error
from s1lib.keeping.files import write_text
from s1lib.profile import ROOT, load_profile
from s1lib.scaling.claims import Rule, read_rules
from s1lib.scaling.verdicts import FAILS, HOLDS, OPEN, verdict

RUNS = 5
MAY_WAVER = 1
CLAIMS = Path("05_scaling_analysis") / "claims.csv"
HINT = (
    'no runs are named: give finished ones with RUNS="DIR DIR", or let five be made with '
    "`make bench BENCH=verdicts MADE=outputs/verdicts` (that takes as long as five runs)"
)


class VerdictError(S1Error):
    """There is nothing to compare, or verdicts flip."""


def read(runs: Sequence[Path], column: str) -> pd.DataFrame:
    """One column of the declared claims of every run, in the order of the first run.

    A claim that a run does not have is empty there.
    """
    if len(runs) < 2:
        raise VerdictError(f"{runs[0]} alone has nothing to be compared with: name another run")
    place = Path(os.path.commonpath(runs))
    columns = {}
    for run in runs:
        if not (run / CLAIMS).exists():
            raise VerdictError(f"{run / CLAIMS} does not exist: finish that run first")
        table = pd.read_csv(run / CLAIMS, keep_default_na=False)
        columns[str(run.relative_to(place))] = table.set_index("claim")[column]
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


def together(rule: Rule, effects: pd.Series) -> str:
    """Verdict, mean and 95 % interval over the runs that have an effect, or "" for fewer than two.

    rule: what the claim asks. effects: of every run, as texts.
    """
    found = pd.to_numeric(effects, errors="coerce").dropna()
    if len(found) < 2:
        return ""
    mean, wide = found.mean(), stats.t.ppf(0.975, len(found) - 1) * found.sem()
    low, high = mean - wide, mean + wide
    found_so = verdict(rule.direction, rule.matters, mean, low, high, found)
    return f"{found_so} {mean:+.1f} [{low:.1f}, {high:.1f}]"


def make_runs(place: Path, profile: str) -> list[Path]:
    """Run the profile with RUNS universe seeds below `place`. Returns where the runs lie.

    A run's further base models have the seeds that follow its own, which no other run uses.
    """
    universe = load_profile(profile).universe
    if not universe:
        raise VerdictError(f"the profile {profile} has no toy universe to be drawn anew: name toy")
    runs = []
    for number in range(RUNS):
        seed = number * universe.seeds
        name = f"seed{seed}"
        values = {"extends": profile, "name": name, "threads": 1 + (number + 1) % 2}
        path = place / f"{name}.yaml"
        write_text(path, yaml.safe_dump({**values, "universe": {"seed": seed}}))
        command = [sys.executable, "-m", "s1lib", "reproduce", "--profile", str(path)]
        print(f"{name}: {values['threads']} threads", flush=True)
        if subprocess.run([*command, "--outputs", str(place)], cwd=ROOT).returncode:
            raise VerdictError(f"{name} did not finish: see above, and run the same command again")
        runs.append(place / name)
    return runs


def report(table: pd.DataFrame, effects: pd.DataFrame) -> str:
    """Verdicts with their effects, and below them how many claims flip and waver, with names."""
    numbers = effects.apply(pd.to_numeric, errors="coerce")
    shown = table + numbers.map(lambda number: "" if pd.isna(number) else f" {number:+.1f}")
    rules = {rule.claim: rule for rule in read_rules().values()}
    shown["together"] = [together(rules[claim], row) for claim, row in effects.iterrows()]

    flipped, wavering = flips(table), wavers(table)
    lines = [
        f"holds in one run and does not hold in another: {len(flipped)} of {len(table)} claims "
        "(0 wanted)",
        *(f"- {claim}" for claim in flipped),
        f"inconclusive in one run and decided in another: {len(wavering)} "
        f"(at most {MAY_WAVER} wanted)",
        *(f"- {claim}" for claim in wavering),
    ]
    return "\n".join([markdown(shown.reset_index()), *lines])


def main() -> None:
    if made := os.environ.get("MADE"):
        runs = make_runs(Path(made).resolve(), os.environ.get("PROFILE", "toy"))
    else:
        runs = [Path(run).resolve() for run in os.environ.get("RUNS", "").split()]
    if not runs:
        print(HINT)
        return

    table = read(runs, "verdict")
    told = report(table, read(runs, "effect"))
    print(told)
    if kept := os.environ.get("TABLE"):
        write_text(kept, told + "\n")
    if flipped := flips(table):
        raise VerdictError(f"{len(flipped)} of {len(table)} verdicts flip from run to run")
