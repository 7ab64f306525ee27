"""`make bench BENCH=leaks` on a tiny run: silent where it is clean, and finds what is planted."""

import json
import shutil

import pytest

from s1lib.chat import ChatFormat
from s1lib.chat.length_control import token_limit
from s1lib.evaluation.benchmarks import load_benchmark
from s1lib.keeping.files import read_jsonl, write_jsonl
from s1lib.keeping.manifests import write_manifest
from s1lib.profile import load_profile
from s1lib.toy import pretrain
from s1lib.toy.models import base_model
from s1lib.toy.tokenizer import build_tokenizer
from s1lib.toy.universe import benchmark_rows, draw_benchmarks
from tests.bench import __main__ as bench
from tests.bench import bench_leaks, replayed_stream
from tests.bench.bench_leaks import Questions
from tests.bench.replayed_stream import Replay

OWN = "A shop holds 13 hats. a: buys 05. b: buys 06. c: sells 02. d: buys 03. How many hats?"
PROFILE = """
extends: smoke
name: tiny
universe:
  benchmark_size: 3
  large: {hidden_size: 32, layers: 1, heads: 2, kv_heads: 2, intermediate_size: 32,
          tokens: 6000, extra_tokens: 3000, max_tokens: 12000, gated: true}
"""
UNIVERSE, CURATION, EVALUATION = "00_toy_universe", "01_curation", "04_evaluation"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run of one base model, one training set and a few records, all clean.

    The base model fails its gate, so that its training goes on twice. Its curve has a point at
    every step, as so short a training would have none else.
    """
    place = tmp_path_factory.mktemp("leaks")
    (place / "tiny.yaml").write_text(PROFILE)
    profile = load_profile(str(place / "tiny.yaml"), outputs=str(place))
    universe, curation, evaluation = map(profile.create_stage, (UNIVERSE, CURATION, EVALUATION))
    for name, problems in draw_benchmarks(profile.universe).items():
        write_jsonl(universe / "benchmarks" / f"{name}.jsonl", benchmark_rows(name, problems))
    sample = {"id": "own", "question": OWN, "trace": "a: 47-05=42"}
    write_jsonl(curation / "sets" / "s1.jsonl", [sample])
    write_jsonl(evaluation / "records" / "made.jsonl", records(profile), marked=True)
    with pytest.MonkeyPatch.context() as patch:
        for module in (pretrain, replayed_stream):
            patch.setattr(module, "LOGGED_STEPS", 1)
        large, context = profile.universe.large, profile.sft.max_length
        seed = profile.universe.seed
        base_model(universe / "base-large", large, seed=seed, context=context, log=lambda _: None)
        for stage in (universe, curation, evaluation):
            write_manifest(stage)
        yield place


def records(profile) -> list[dict]:
    """What notebook 04 keeps of every problem under three methods, as far as leaks are concerned.

    The prompts are those of the package, and the check puts them together by itself.
    """
    chat, rows = ChatFormat(build_tokenizer()), []
    for benchmark in profile.evaluation.benchmarks:
        for problem in load_benchmark(profile, benchmark):
            limited = token_limit(problem.question, 32)
            for method, asked, prompt in (
                ("direct", {}, chat.prompt_ids(problem.question, think=False)),
                ("budget_forcing", {"waits": 2}, chat.prompt_ids(problem.question)),
                ("token_conditional", {"max_thinking": 32}, chat.prompt_ids(limited)),
            ):
                row = {"benchmark": benchmark.name, "problem_id": problem.id, "method": method}
                row |= {"parameters": asked, "gold": problem.gold, "prompt_tokens": len(prompt)}
                rows.append({**row, "thinking": "a: 01+02=03", "answer": "Answer: 03"})
    return rows


@pytest.fixture
def run(made, tmp_path):
    """A copy of the run to plant leaks in: its profile."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return load_profile(str(tmp_path / "tiny.yaml"), outputs=str(tmp_path))


def asked_in(profile) -> Questions:
    """The benchmarks of the run."""
    return Questions(profile.stage(UNIVERSE) / "benchmarks")


def in_sets(profile) -> list[str]:
    return bench_leaks.training_sets(profile.stage(CURATION), asked_in(profile)).leaks


def in_pretraining(profile) -> list[str]:
    (check,) = bench_leaks.pretraining(profile, profile.stage(UNIVERSE), asked_in(profile))
    return check.leaks


def in_records(profile) -> tuple[list[str], list[str]]:
    """Leaks of the prompts, and of what was written."""
    folder = profile.stage(EVALUATION)
    prompts, texts = bench_leaks.evaluation(folder, asked_in(profile), build_tokenizer())
    return prompts.leaks, texts.leaks


def changed(path, change) -> None:
    rows = read_jsonl(path)
    change(rows)
    write_jsonl(path, rows)


def question(profile, id_: str = "hard-000") -> str:
    name = id_.partition("-")[0]
    rows = read_jsonl(profile.stage(UNIVERSE) / "benchmarks" / f"{name}.jsonl")
    return next(row["question"] for row in rows if row["id"] == id_)


def test_a_clean_run_has_no_leak_and_counts_what_was_looked_at(run):
    checks = list(bench_leaks.checks(run))
    assert [check.leaks for check in checks] == [[]] * 5
    says = "\n".join(check.says for check in checks)
    assert "(s1): 1 samples" in says and "27 records" in says
    assert "pretraining of base-large: " in says and " documents, 1" in says  # 12,000 tokens


@pytest.mark.parametrize(
    "leaking",
    [
        lambda test: {"question": test},
        lambda test: {"question": test.upper().replace(" ", "  ") + "\n\nA) 1\nB) 2"},
        lambda test: {"question": " ".join([*test.split()[:13], "d: buys 03. How many?"])},
        lambda test: {"trace": f"Look at another one.\n{test}\na: 01+02=03"},
    ],
    ids=["the same", "spelled otherwise", "13 words of it", "in a trace"],
)
def test_a_benchmark_question_in_a_training_set_is_found(run, leaking):
    sample = {"id": "own", "question": OWN, "trace": "", **leaking(question(run))}
    changed(run.stage(CURATION) / "sets" / "s1.jsonl", lambda rows: rows.append(sample))
    assert in_sets(run) == ["s1/own holds hard-000"]


def test_a_benchmark_question_that_a_base_model_has_read_is_found(run):
    directory = run.stage(UNIVERSE) / "base-large"
    record = json.loads((directory / "training.json").read_text())
    facts = {"seed": run.universe.seed, "context": run.sft.max_length}
    replay = Replay(build_tokenizer(), run.universe.large, record, **facts)
    read = replay.run()[-1]  # read after the second extension
    stem = next(line for line in read.splitlines() if " a: " in line)

    def ask(rows) -> None:
        rows[0]["question"] = stem

    changed(run.stage(UNIVERSE) / "benchmarks" / "hard.jsonl", ask)
    place = len(replay.documents) - 1
    assert f"document {place} holds hard-000" in in_pretraining(run)


def test_a_stream_that_is_not_the_one_of_the_training_is_no_proof(run):
    path = run.stage(UNIVERSE) / "base-large" / "training.json"
    record = json.loads(path.read_text())
    record["curve"][3]["tokens"] += 1
    path.write_text(json.dumps(record))
    (leak,) = in_pretraining(run)
    assert leak.startswith("after 4 steps it had read ") and "has changed since" in leak

    record["curve"] = [*record["curve"][:3], *record["curve"][3:] * 2]
    record["curve"][3]["tokens"] -= 1
    path.write_text(json.dumps(record))
    (leak,) = in_pretraining(run)
    assert leak.startswith("it went on to ")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompt_tokens": 999}, "hard-000 took 999 tokens and not "),
        ({"gold": "x"}, "hard-000 with gold x is in no benchmark"),
        ({"problem_id": "other"}, "other with gold "),
    ],
)
def test_a_prompt_that_is_not_the_question_alone_is_found_with_its_place(run, change, says):
    path = run.stage(EVALUATION) / "records" / "made.jsonl"
    changed(path, lambda rows: rows[1].update(change))
    (leak,), texts = in_records(run)
    assert leak.startswith(f"made, line 2: {says}") and not texts


@pytest.mark.parametrize(("field", "other"), [("thinking", "mixed-001"), ("answer", "choice-002")])
def test_another_problems_question_in_a_text_is_found_with_its_place(run, field, other):
    path = run.stage(EVALUATION) / "records" / "made.jsonl"
    text = f"As before: {question(run, other)}"
    changed(path, lambda rows: rows[1].update({field: text}))
    assert in_records(run) == ([], [f"made, line 2: hard-000 holds {other}"])


def test_a_problems_own_question_in_its_thinking_is_no_leak(run):
    path = run.stage(EVALUATION) / "records" / "made.jsonl"
    changed(path, lambda rows: rows[1].update(thinking=question(run, rows[1]["problem_id"])))
    assert in_records(run) == ([], [])


def test_a_benchmark_question_among_the_development_problems_is_found(run):
    rows = [{"id": "d-0", "question": OWN}, {"id": "d-1", "question": question(run)}]
    write_jsonl(run.stage(UNIVERSE) / "development" / "development_hard.jsonl", rows)
    check = bench_leaks.development(run.stage(UNIVERSE), asked_in(run))
    assert check.leaks == ["d-1 holds hard-000"] and check.says.endswith(": 2")


def test_the_command_prints_a_line_per_check_and_ends_with_1_on_a_leak(run, monkeypatch, capsys):
    monkeypatch.setattr(bench, "host_speed", lambda: "")
    monkeypatch.setenv("OUTPUTS", str(run.outputs.parent))
    monkeypatch.setenv("PROFILE", str(run.outputs.parent / "tiny.yaml"))
    assert bench.main(["leaks"]) == 0
    assert capsys.readouterr().out.count("\nclean: ") == 5

    sample = {"id": "own", "question": question(run), "trace": ""}
    write_jsonl(run.stage(CURATION) / "sets" / "s1.jsonl", [sample] * 12)
    assert bench.main(["leaks"]) == 1
    printed = capsys.readouterr()
    assert printed.out.count("s1/own holds hard-000") == 10 and "and 2 more" in printed.out
    (line,) = printed.err.splitlines()
    assert line.startswith("error: leaks: ") and line.endswith("leaks in 1 of the checks above")

    (run.stage(EVALUATION) / "manifest.json").unlink()
    assert bench.main(["leaks"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "04_evaluation is not finished: run `make reproduce" in line
