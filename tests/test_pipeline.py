"""The whole chain on the smoke profile, through make.

From nothing, killed in the middle, resumed, repeated, and with broken inputs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s1lib.profile import load_profile

ROOT = Path(__file__).resolve().parent.parent
SMOKE = load_profile("smoke")
STAGES = SMOKE.notebooks
KILLED = "04_evaluation"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def environment() -> dict[str, str]:
    """This interpreter's environment, without what would change what a person's `make` does."""
    dropped = ("CONDA_PREFIX", "MAKEFLAGS", "MAKELEVEL", "PROFILE", "S1_OUTPUTS", "HF_HUB_OFFLINE")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    return {**kept, "VIRTUAL_ENV": sys.prefix, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def start(outputs: Path, target: str = "smoke", **more: str) -> subprocess.Popen:
    command = [
        "make",
        target,
        f"OUTPUTS={outputs}",
        *(f"{key}={value}" for key, value in more.items()),
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment(), start_new_session=True, **pipes)


def make(outputs: Path, target: str = "smoke", **more: str) -> tuple[int, str]:
    process = start(outputs, target, **more)
    try:
        printed, _ = process.communicate(timeout=900)
    finally:
        stop(process, signal.SIGKILL)
    return process.returncode, printed


def stop(process: subprocess.Popen, sign: signal.Signals) -> None:
    """Send `sign` to make and all that it started.

    The kernel has a session of its own, and goes when its parent is gone.
    """
    if process.poll() is None:
        os.killpg(process.pid, sign)


def shards(outputs: Path) -> list[Path]:
    """The finished shards of notebook 04."""
    return sorted((outputs / "smoke" / KILLED / "shards").glob("[!.]*.jsonl"))


def finished(outputs: Path) -> dict[Path, int]:
    """When each file of the stages before notebook 04, and each of its shards, was written."""
    early = [
        path
        for name in STAGES
        if name < KILLED
        for path in (outputs / "smoke" / name).rglob("*")
        if path.is_file()
    ]
    return times([*early, *shards(outputs)])


def times(paths) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in paths}


def begun(printed: str) -> list[str]:
    return [name for name in STAGES if f"{name}: started" in printed]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A run that is killed without warning after a few shards of notebook 04, and then repeated."""
    outputs = tmp_path_factory.mktemp("pipeline")
    first = start(outputs)
    deadline = time.monotonic() + 900
    while len(shards(outputs)) < 3:
        assert first.poll() is None, first.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    stop(first, signal.SIGKILL)
    before = first.communicate()[0]
    time.sleep(2)  # the kernel looks for its parent every second
    kept = finished(outputs)
    code, after = make(outputs)
    assert code == 0, after
    return {"outputs": outputs, "before": before, "after": after, "kept": kept}


def test_a_killed_run_goes_on_and_repeats_no_finished_work(chain):
    done = [
        path
        for path in chain["kept"]
        if path.parent.name == "shards" and path.parent.parent.name == KILLED
    ]
    assert 0 < len(done) < len(shards(chain["outputs"]))
    assert times(chain["kept"]) == chain["kept"]
    assert begun(chain["before"]) == [name for name in STAGES if name <= KILLED]
    assert begun(chain["after"]) == [name for name in STAGES if name >= KILLED]
    assert not any(f"{path.name.rpartition('-')[0]}: " in chain["after"] for path in done)


def test_every_stage_is_complete_and_every_executed_notebook_is_there(chain):
    out = chain["outputs"] / "smoke"
    for name in STAGES:
        manifest = json.loads((out / name / "manifest.json").read_text())
        for file, size in manifest["files"].items():
            assert (out / name / file).stat().st_size == size > 0, f"{name}/{file}"
        assert not [path for path in (out / name).rglob("*") if ".tmp" in path.name]
    assert sorted(path.name for path in (out / "notebooks").iterdir()) == [
        f"{name}.ipynb" for name in STAGES
    ]
    narrow = set(out.rglob("*-narrow.png"))  # of a figure, for phones
    figures = [path for path in out.rglob("*.png") if path not in narrow]
    assert {path.with_name(path.name.replace("-narrow", "")) for path in narrow} <= set(figures)
    assert len(figures) >= 8 and all(
        path.with_suffix(".pdf").exists() and path.with_suffix(".csv").exists() for path in figures
    )


def test_the_records_follow_the_contract(chain):
    rows = [
        json.loads(line)
        for path in (chain["outputs"] / "smoke" / KILLED / "records").glob("*.jsonl")
        for line in path.open()
    ]
    assert {row["model"] for row in rows} == {"base", *SMOKE.sft.models}
    conditional = {
        f"{kind}_conditional{forced}" for kind in ("token", "step") for forced in ("", "_forced")
    } | {"class_conditional"}
    assert {row["method"] for row in rows} == {
        "direct",
        "budget_forcing",
        "majority",
        "rejection",
        "tree_search",
        *conditional,
    }
    replicas = {(row["model"], row["base_seed"], row["sft_seed"]) for row in rows}
    bases = {("base", 0, None), ("base", 1, None)}
    assert {*bases, ("token", 0, 0), ("s1", 0, 0), ("s1", 1, 0), ("cut", 1, 0)} < replicas
    further = [row for row in rows if row["base_seed"] and row["model"] != "base"]
    assert {row["method"] for row in further} == {"budget_forcing"}
    assert {row["role"] for row in rows} == {"AIME24", "MATH500", "GPQA-Diamond"}
    assert {row["finish"] for row in rows} <= {"natural", "forced", "context", "rejected"}
    # What a prompt alone asks for may be broken.
    kept = {
        "budget_forcing",
        "majority",
        "rejection",
        "token_conditional_forced",
    }
    for row in rows:
        limit = (
            row["parameters"].get("max_thinking")
            or row["parameters"].get("cap")
            or SMOKE.evaluation.max_thinking
        )
        assert row["thinking_tokens"] <= limit or row["method"] not in kept
        assert row["forced_tokens"] <= row["thinking_tokens"]
        assert row["correct"] <= (row["extracted"] is not None)


def test_a_second_run_does_nothing_within_five_seconds(chain):
    before = times(chain["outputs"].rglob("*"))
    started = time.monotonic()
    code, printed = make(chain["outputs"])
    assert code == 0 and not begun(printed)
    assert times(chain["outputs"].rglob("*")) == before
    # Other jobs' load is not ours.
    assert time.monotonic() - started < 5 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.chain
def test_a_changed_plotting_function_retrains_no_model_and_decodes_nothing_again(chain):
    drawing = ROOT / "s1lib" / "sft" / "training_logs.py"
    source = drawing.read_text()
    kept = times(
        [
            *(chain["outputs"] / "smoke" / "02_sft" / "models").rglob("*.safetensors"),
            *shards(chain["outputs"]),
        ]
    )
    try:
        drawing.write_text(source + "# changed\n")
        code, printed = make(chain["outputs"])
    finally:
        drawing.write_text(source)
    assert code == 0 and begun(printed) == [name for name in STAGES if name >= "02_sft"]
    assert len(kept) > len(SMOKE.sft.sets) and times(kept) == kept


# ---- bad input, given in the same way ----


@pytest.fixture
def copy(chain, tmp_path):
    """A copy of the finished chain to break, modification times kept."""
    shutil.copytree(chain["outputs"], tmp_path / "outputs")
    return tmp_path / "outputs"


def run(outputs: Path, name: str) -> tuple[int, list[str]]:
    command = [
        sys.executable,
        "-m",
        "s1lib",
        "run",
        f"notebooks/{name}.ipynb",
        "--profile",
        "smoke",
        "--outputs",
        str(outputs),
    ]
    found = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600
    )
    return found.returncode, found.stderr.strip().splitlines()


def test_make_says_in_one_line_which_profile_is_unknown(tmp_path):
    code, printed = make(tmp_path, "reproduce", PROFILE="toi")
    assert (
        code != 0
        and "error: unknown profile 'toi'; did you mean 'toy'?" in printed
        and "Traceback" not in printed
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("notebook", "broken", "complaint"),
    [
        ("01_curation", "00_toy_universe/pool.jsonl", "pool.jsonl, line"),
        ("04_evaluation", "00_toy_universe/benchmarks/hard.jsonl", "hard.jsonl, line"),
        ("04_evaluation", "02_sft/models/s1/model.safetensors", "models/s1"),
        ("02_sft", "00_toy_universe/base-large/model.safetensors", "base-large"),
    ],
)
def test_a_truncated_input_is_one_line_that_names_it(copy, notebook, broken, complaint):
    path = copy / "smoke" / broken
    # Never at the end of a line.
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3].rstrip()[:-5])
    code, lines = run(copy, notebook)
    assert (
        code == 1
        and len(lines) == 1
        and lines[0].startswith(f"error: {notebook}: ")
        and complaint in lines[0]
    ), lines
    assert not (copy / "smoke" / notebook / "manifest.json").exists()


@pytest.mark.parametrize(
    ("notebook", "missing"),
    [
        ("02_sft", "01_curation"),
        ("04_evaluation", "02_sft"),
        ("05_scaling_analysis", "04_evaluation"),
    ],
)
def test_a_missing_upstream_output_is_one_line_that_says_what_to_run(copy, notebook, missing):
    shutil.rmtree(copy / "smoke" / missing)
    code, lines = run(copy, notebook)
    assert code == 1 and len(lines) == 1 and missing in lines[0] and "run" in lines[0], lines


def test_a_truncated_shard_is_made_again_and_nothing_else(copy):
    path, *others = shards(copy)
    path.write_bytes(path.read_bytes()[:-9])
    kept = times(others)
    code, lines = run(copy, KILLED)
    assert code == 0, lines
    assert path.with_suffix(".corrupt").exists() and times(others) == kept


@pytest.mark.chain
def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on_once_there_is_room(copy, tmp_path):
    """On a small file system of its own; test_artifacts.py and test_cli.py where none can be."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(place)], capture_output=True
    ).returncode:
        pytest.skip("no permission to mount a tmpfs")
    try:
        shutil.copytree(copy, place / "outputs")
        shutil.rmtree(place / "outputs" / "smoke" / KILLED)
        (place / "filler").write_bytes(bytes(shutil.disk_usage(place).free - (1 << 20)))
        code, lines = run(place / "outputs", KILLED)
        assert code == 1 and len(lines) == 1 and "no space left" in lines[0], lines
        (place / "filler").unlink()
        code, lines = run(place / "outputs", KILLED)
        assert code == 0, lines
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.chain
def test_ctrl_c_on_make_ends_everything_and_keeps_what_is_finished(copy):
    shutil.rmtree(copy / "smoke" / KILLED)
    process = start(copy)
    while not shards(copy):
        assert process.poll() is None
        time.sleep(0.02)
    stop(process, signal.SIGINT)
    printed = process.communicate(timeout=60)[0]
    assert (
        process.returncode != 0
        and "interrupted; finished work is kept" in printed
        and "Traceback" not in printed
    )
    kept = times(shards(copy))
    code, printed = make(copy)
    assert code == 0 and times(kept) == kept
