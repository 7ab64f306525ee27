"""`make bench` on finished runs: verdicts side by side, and what the host can do."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from s1lib.profile import load_profile
from s1lib.scaling.claims import read_rules
from tests.bench import __main__ as bench
from tests.bench import bench_verdicts

CLAIMS = (
    "Accuracy rises with the budget, up to the natural stop",
    "s1K beats a set of the same size: random",
    "Rejection sampling scales inversely",
    "Budget forcing keeps every limit",
)
EFFECTS = {"holds": 24.0, "inconclusive": 1.0, "does not hold": -3.0, "n/a": "n/a"}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """`runs(verdicts, verdicts, ...)` writes a claims.csv for each run, and names them in RUNS."""
    monkeypatch.setattr(bench, "host_speed", lambda: "")
    for name in ("RUNS", "MADE", "TABLE", "PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def write(*judged: list[str]) -> list[Path]:
        folders = [tmp_path / f"run{number}" for number in range(len(judged))]
        for folder, verdicts in zip(folders, judged, strict=True):
            (folder / "05_scaling_analysis").mkdir(parents=True, exist_ok=True)
            table = pd.DataFrame({"claim": CLAIMS[: len(verdicts)], "verdict": verdicts})
            table["effect"] = table["verdict"].map(EFFECTS)
            table.to_csv(folder / "05_scaling_analysis" / "claims.csv", index=False)
        monkeypatch.setenv("RUNS", " ".join(map(str, folders)))
        return folders

    return write


def test_verdicts_stand_in_a_row_per_claim_and_a_column_per_run(
    runs, tmp_path, monkeypatch, capsys
):
    runs(["holds", "inconclusive", "n/a"], ["holds", "holds", "n/a", "does not hold"])
    monkeypatch.setenv("TABLE", str(tmp_path / "docs" / "table.md"))
    assert bench.main(["verdicts"]) == 0
    printed = capsys.readouterr().out
    assert "| claim | run0 | run1 | together |" in printed
    assert f"| {CLAIMS[0]} | holds +24.0 | holds +24.0 | holds +24.0 [24.0, 24.0] |\n" in printed
    assert f"| {CLAIMS[2]} | n/a | n/a |  |\n" in printed
    assert f"| {CLAIMS[3]} |  | does not hold -3.0 |  |\n" in printed
    assert "another: 0 of 4 claims (0 wanted)" in printed
    assert f"decided in another: 1 (at most 1 wanted)\n- {CLAIMS[1]}" in printed
    assert (tmp_path / "docs" / "table.md").read_text() in printed


def test_a_claim_that_holds_in_one_run_and_not_in_another_ends_with_1(runs, capsys):
    runs(["holds", "holds"], ["inconclusive", "holds"], ["does not hold", "holds"])
    assert bench.main(["verdicts"]) == 1
    printed = capsys.readouterr()
    assert "another: 1 of 2 claims (0 wanted)\n- Accuracy rises" in printed.out
    assert printed.err == "error: verdicts: 1 of 2 verdicts flip from run to run\n"


def test_what_no_run_can_judge_neither_flips_nor_wavers(runs):
    table = bench_verdicts.read(runs(["n/a", "holds"], ["holds", "n/a"]), "verdict")
    assert not bench_verdicts.flips(table) and not bench_verdicts.wavers(table)


def test_runs_are_judged_together_by_students_t_over_their_effects():
    """Mean 6, standard error 2 / sqrt 3, and t of two degrees of freedom is 4.303."""
    rule = next(rule for rule in read_rules().values() if rule.claim == CLAIMS[1])
    found = bench_verdicts.together(rule, pd.Series(["4", "6", "8", "n/a"]))
    assert found == "holds +6.0 [1.0, 11.0]"
    assert bench_verdicts.together(rule, pd.Series(["2", "6", "10"])).startswith("inconclusive")
    assert bench_verdicts.together(rule, pd.Series(["4", "n/a"])) == ""


def test_without_runs_it_says_how_to_get_some(runs, capsys):
    assert bench.main(["verdicts"]) == 0
    assert "make bench BENCH=verdicts MADE=outputs/verdicts" in capsys.readouterr().out


def test_a_run_that_is_not_finished_or_alone_is_one_line(runs, capsys):
    first, _ = runs(["holds"], ["holds"])
    (first / "05_scaling_analysis" / "claims.csv").unlink()
    assert bench.main(["verdicts"]) == 1
    assert capsys.readouterr().err.endswith("claims.csv does not exist: finish that run first\n")
    runs(["holds"])
    assert bench.main(["verdicts"]) == 1
    assert "has nothing to be compared with" in capsys.readouterr().err


@pytest.fixture
def reproduced(monkeypatch, runs):
    """Commands that would make runs. In place of a run, the folder that it writes to is there."""
    commands: list[list[str]] = []

    def pretend(command, **_):
        commands.append(command)
        stage = Path(command[-1]) / Path(command[-3]).stem / "05_scaling_analysis"
        stage.mkdir(parents=True, exist_ok=True)
        table = {"claim": CLAIMS[:1], "verdict": ["holds"], "effect": [3.0]}
        pd.DataFrame(table).to_csv(stage / "claims.csv")
        return subprocess.CompletedProcess(command, pretend.code)

    pretend.code, pretend.commands = 0, commands
    monkeypatch.setattr(bench_verdicts.subprocess, "run", pretend)
    return pretend


def test_runs_are_made_with_five_seeds_on_two_threads_and_on_one(
    reproduced, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("MADE", str(tmp_path))
    monkeypatch.setenv("PROFILE", "smoke")
    assert bench.main(["verdicts"]) == 0
    commands = reproduced.commands
    assert all(command[:4] == [sys.executable, "-m", "s1lib", "reproduce"] for command in commands)
    profiles = [load_profile(command[5]) for command in commands]
    assert [profile.universe.seed for profile in profiles] == [0, 2, 4, 6, 8]  # two bases each
    assert [profile.threads for profile in profiles] == [2, 1, 2, 1, 2]
    assert {profile.universe.pool_size for profile in profiles} == {
        load_profile("smoke").universe.pool_size
    }
    assert "another: 0 of 1 claims" in capsys.readouterr().out

    reproduced.code = 1
    assert bench.main(["verdicts"]) == 1
    assert "seed0 did not finish" in capsys.readouterr().err


# ---- the host ----


def test_the_host_is_told_by_a_matrix_product_and_by_generate():
    line = bench.host_speed()
    found = re.fullmatch(
        r"host: ([\d,]+) GFLOP/s in float32, `generate` ([\d,]+) tokens/s \(toy's shape, .+\)", line
    )
    assert found and all(int(number.replace(",", "")) > 0 for number in found.groups())
