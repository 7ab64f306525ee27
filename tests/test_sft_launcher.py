"""The processes of a training: what a failing one is heard to say, and what Slurm starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import torch
from accelerate.commands.launch import launch_command_parser

from s1lib.hardware import launcher
from s1lib.hardware.base_model import TrainingError
from s1lib.profile import load_profile

SLURM = Path(__file__).resolve().parent.parent / "slurm"
OTHERS_WAIT = "import os, signal, sys, time\nif os.environ['RANK'] == '0':\n    time.sleep(60)\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(code)`: launch the code in two processes; returns what was logged."""

    def run(code: str, *arguments: str) -> list[str]:
        (tmp_path / "a_process.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
        said: list[str] = []
        launcher.launch("a_process", arguments, processes=2, name="s1", log=said.append)
        return said

    return run


def test_only_lines_of_the_training_are_logged(run):
    line = "f\"s1: {os.environ['RANK']} {sys.argv[1]}\\na warning\\n\""
    code = f"import os, sys\nsys.stdout.write({line})"
    said = run(code, "x")
    assert sorted(said) == ["s1: 0 x", "s1: 1 x"]


def test_a_failing_process_is_heard_and_not_torchruns_report(run):
    first = "try:\n    raise KeyError('first')\n"
    second = "except KeyError:\n    raise ValueError('no such column')"
    with pytest.raises(TrainingError, match=r"^s1: ValueError: no such column$"):
        run(OTHERS_WAIT + first + second)


def test_the_reason_that_a_process_gives_comes_before_its_exception(run):
    code = "print('error: set sft.processes: 1', flush=True)\nraise ValueError('later')"
    with pytest.raises(TrainingError, match=r"^set sft\.processes: 1$"):
        run(OTHERS_WAIT + code)


def test_a_killed_process_is_named_by_its_signal(run):
    with pytest.raises(
        TrainingError, match=r"^s1: a process was ended by SIGKILL; is the host memory full\?$"
    ):
        run(OTHERS_WAIT + "os.kill(os.getpid(), signal.SIGKILL)")


def test_a_silent_failure_still_says_its_status(run):
    with pytest.raises(TrainingError, match=r"^s1: a process ended with status 3$"):
        run(OTHERS_WAIT + "sys.exit(3)")


def test_the_allocator_setting_is_left_out_where_torch_would_die_of_it(monkeypatch):
    def older(setting: str) -> None:  # 2.11's words
        raise ValueError(f"Unrecognized key '{setting.split(':')[0]}' in CUDA allocator config")

    assert launcher.environment(8)["PYTORCH_ALLOC_CONF"] == "pinned_max_round_threshold_mb:1"
    monkeypatch.setattr(torch._C, "_accelerator_setAllocatorSettings", older)
    assert "PYTORCH_ALLOC_CONF" not in launcher.environment(8)


@pytest.mark.parametrize(
    ("script", "profile", "nodes"), [("sft_1x8", "h100", 1), ("sft_2x8", "h100x16", 2)]
)
def test_slurm_starts_what_the_profile_asks_for(script, profile, nodes, tmp_path, monkeypatch):
    def tool(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    # Slurm's own tools and Python, replaced by scripts that say what they were asked.
    tool("bin/srun", 'shift; SLURM_NODEID=1 exec "$@"')
    tool("bin/scontrol", 'printf "node-a\\nnode-b\\n"')
    tool(".venv/bin/python", 'printf "%s\\n" "$@"')
    slurm = {
        "SLURM_SUBMIT_DIR": tmp_path,
        "SLURM_CPUS_PER_TASK": 64,
        "SLURM_JOB_NODELIST": "node-[a-b]",
    }
    variables = {**os.environ, **{key: str(value) for key, value in slurm.items()}}
    variables["PATH"] = f"{tmp_path}/bin:{variables['PATH']}"
    asked = subprocess.run(
        ["bash", SLURM / f"{script}.sbatch", "random"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert asked[:2] == ["-m", "s1lib.hardware.launcher"]

    started: list[list[str]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(os, "execve", lambda path, command, variables: started.append(command))
    launcher.main(asked[2:])
    options = launch_command_parser().parse_args(started[0][3:])
    assert options.num_processes == load_profile(profile).sft.processes
    assert (options.num_machines or 1) == nodes
    assert nodes == 1 or (options.machine_rank, options.main_process_ip) == (1, "node-a")
    assert options.module and options.training_script == "s1lib.sft.training_process"
    assert options.training_script_args == ["--profile", profile, "--set", "random"]
