"""`make check-gpu` on a CPU: parts that pass, fail, crash, run over, and what is kept of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest
import torch

from s1lib.command.cli import main
from s1lib.gpu_check import check as runner
from s1lib.gpu_check import conformance
from s1lib.gpu_check.check import PARTS, Share, check
from s1lib.gpu_check.check_report import Figure, Part, Report
from s1lib.gpu_check.decoding import steps_of
from s1lib.gpu_check.random_models import TINY, random_model
from s1lib.gpu_check.recording import covered
from s1lib.gpu_check.sharded import StepLines
from tests.bench import __main__ as bench
from tests.bench.bench_fleet import nodes_table

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def on_cpu(tmp_path):
    """`on_cpu(*parts, minutes)`: the report of these parts, and what was said."""

    def run(*parts: str, minutes: float = 60) -> tuple[Report, list[str]]:
        said: list[str] = []
        return check("cpu", minutes=minutes, outputs=tmp_path, only=parts, log=said.append), said

    return run


@pytest.fixture
def at_start(tmp_path, monkeypatch):
    """`at_start(code)`: runs in every process of a part before anything else."""

    def run(code: str) -> None:
        place = tmp_path / "site"
        place.mkdir()
        begun = (
            f"import os, sys, time\nif 's1lib.gpu_check.part_process' in sys.orig_argv:\n {code}"
        )
        (place / "sitecustomize.py").write_text(begun)
        monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)

    return run


@pytest.mark.chain
def test_decoding_and_training_pass_and_the_plan_holds_their_memory(on_cpu):
    report, said = on_cpu("conformance", "decoding", "training", "plan")
    assert {part.name: part.result for part in report.parts} == dict.fromkeys(
        ("conformance", "decoding", "training", "plan"), "pass"
    ), "\n".join(said)

    # The report on the disk says the same, with the machine and the versions.
    kept = json.loads(report.path.read_text())
    assert [len(part["figures"]) for part in kept["parts"]] == [2, 3, 3, 1]
    assert kept["versions"]["torch"] == torch.__version__ and "cores" in kept["machine"]
    speed = kept["parts"][2]["figures"][1]["values"]
    assert speed["tokens/s"] > 0 and 0 < speed["MFU"] < 1
    assert "| training |" in report.table() and report.table().count("\n") == 1 + 4 + 9


@pytest.mark.chain
def test_the_sharded_training_runs_and_is_extrapolated_to_32b(on_cpu):
    report, said = on_cpu("sharded")
    (part,) = report.parts
    assert part.result == "pass", said
    speeds, alone, large = part.figures
    assert speeds.values["AdamW on the host, GB/s"] > 0
    assert alone.values["seconds a micro-batch"] > 0
    # 64 layers of 5,120 beside two of 64: the operations grow nearly as the parameters do.
    assert large.values["ratio of operations"] == pytest.approx(
        large.values["ratio of parameters"], rel=0.1
    )


def test_a_part_that_dies_costs_itself_alone(on_cpu, at_start):
    at_start("os.kill(os.getpid(), 9) if 'decoding' in sys.orig_argv else None")
    report, _ = on_cpu("decoding", "plan")
    dead, plan = report.parts
    assert (dead.result, dead.reason) == ("fail", "ended by SIGKILL")
    missing = "it needs the trainings' peaks: add --only training"
    assert (plan.result, plan.reason) == ("not run", missing)


def test_a_part_that_runs_over_is_stopped_and_keeps_its_figures(on_cpu, at_start, monkeypatch):
    figure = json.dumps({"what": "first", "values": {"tokens/s": 5}})
    at_start(f"print('figure: ' + {figure!r}, flush=True); time.sleep(60)")
    monkeypatch.setitem(PARTS, "decoding", Share(1, 0))
    report, said = on_cpu("decoding", minutes=0.05)
    (part,) = report.parts
    assert (part.result, part.reason) == ("stopped", "its 3 s were up") and part.seconds < 30
    assert part.figures == [Figure("first", {"tokens/s": 5})] and "  first: tokens/s 5" in said
    assert json.loads(report.path.read_text())["parts"][0]["figures"][0]["what"] == "first"


def test_what_a_stopped_part_started_is_ended_too(on_cpu, at_start, monkeypatch, tmp_path):
    # In a session of its own, as the launcher's processes are.
    child = "__import__('subprocess').Popen(['sleep', '60'], start_new_session=True)"
    at_start(f"open({str(tmp_path / 'pid')!r}, 'w').write(str({child}.pid)); time.sleep(60)")
    monkeypatch.setitem(PARTS, "decoding", Share(1, 0))
    on_cpu("decoding", minutes=0.05)
    pid = int((tmp_path / "pid").read_text())
    gone = psutil.STATUS_ZOMBIE  # killed, and not yet forgotten by the system
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == gone


def test_a_part_without_enough_time_is_not_begun(on_cpu, monkeypatch):
    monkeypatch.setattr(runner, "_run", lambda *_: pytest.fail("it was begun"))
    report, said = on_cpu(minutes=0.1)
    assert {part.result for part in report.parts} == {"not run"}
    assert "conformance: not run (1 s are left for it: raise --minutes" in said[2]


def test_time_that_a_part_leaves_goes_to_those_after_it(on_cpu, monkeypatch):
    given = {}

    def at_once(part: Part, device, report, seconds, log) -> None:
        given[part.name] = seconds

    monkeypatch.setattr(runner, "_run", at_once)
    on_cpu("decoding", "notebooks", minutes=8)
    assert given["decoding"] == pytest.approx(8 * 60 * 2.0 / 2.5, abs=1)
    assert given["notebooks"] == pytest.approx(8 * 60, abs=1)


def test_a_wrong_token_fails_the_conformance(monkeypatch):
    decode = conformance._decode

    async def wrong(model, prompts):
        ids = await decode(model, prompts)
        ids[3][5] = (ids[3][5] + 1) % model.config.vocab_size
        return ids

    monkeypatch.setattr(conformance, "_decode", wrong)
    exact, _ = conformance.measure("cpu")
    assert exact.passed is False and exact.values["as generate"] == "23 of 24"
    assert exact.reason == "a token that is worse than the best by more than 0.001"


def test_a_random_model_says_more_than_one_token():
    model = random_model(TINY, device="cpu", dtype=torch.float32)
    prompts = conformance._prompts(model.config.vocab_size)
    ids = conformance.asyncio.run(conformance._decode(model, prompts))
    assert len({token for line in ids for token in line}) > 50


def test_the_last_step_tells_the_optimiser_from_the_micro_batches():
    # Four micro-batches of 2 s and an optimiser of 1 s; the last step has one micro-batch.
    micro, optimiser = StepLines([0.0, 9.0, 18.0, 21.0]).apart()
    assert (micro, optimiser) == (2.0, 1.0)


def test_rows_that_run_empty_are_told_from_a_slow_engine():
    # Two rows: 3 then 1, and 2 then 4, end after 6 steps, where 10 tokens would fill 5.
    assert steps_of([3, 2, 4, 1], rows=2) == 6


def test_kernels_that_overlap_are_counted_once():
    assert covered([(0, 10), (2, 5), (8, 12), (20, 21)]) == 13


def test_a_failure_is_one_line_and_status_1(tmp_path, capsys, monkeypatch):
    def failing(part: Part, *_) -> None:
        part.result, part.reason = "fail", "at least 0.5 of the limit is wanted"

    monkeypatch.setattr(runner, "_run", failing)
    options = ["--device", "cpu", "--only", "decoding", "--outputs", str(tmp_path)]
    assert main(["check-gpu", *options]) == 1
    told = capsys.readouterr()
    assert told.err == "error: failed: decoding (at least 0.5 of the limit is wanted)\n"
    assert "| part | what | figures | result |" in told.out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(capsys):
    assert main(["check-gpu"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: torch ") and "sees no GPU: set --device cpu" in told


def test_an_unknown_part_is_refused_with_the_known_ones(capsys):
    assert main(["check-gpu", "--only", "decodnig"]) == 1
    assert "no part 'decodnig'; there are: conformance, decoding" in capsys.readouterr().err


def test_a_torch_that_is_too_old_is_refused(on_cpu, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.10.0")
    with pytest.raises(runner.CheckError, match=r"torch 2\.10\.0 is older than 2\.11"):
        on_cpu("conformance")


def test_the_hours_on_several_nodes_are_those_of_the_plan():
    assert nodes_table() in (ROOT / "docs" / "h100.md").read_text(encoding="utf-8")


def test_a_benchmark_is_shown_beside_the_one_last_recorded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "RECORD", tmp_path / "benchmarks.json")
    bench.compare("engine", {"equal": 1.5})
    bench.record("engine", {"equal": 1.9})
    bench.compare("engine", {"equal": 1.5})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "-- equal: 1.5 (new)"
    assert second.startswith("-- equal: 1.5 (last recorded 1.9 on 20")
    kept = json.loads(bench.RECORD.read_text())["engine"]
    assert set(kept) == {"date", "commit", "machine", "ratios"}
