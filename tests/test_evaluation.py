"""Evaluation: methods as records, shards that are never made twice, tables from the records."""

import asyncio
import copy
import json
from dataclasses import replace

import pandas as pd
import pytest
from scripted import ScriptedEngine, char_chat, random_traces, script
from synthetic_records import synthetic_records

from s1lib.chat import ChatFormat
from s1lib.evaluation import accuracy, audit
from s1lib.evaluation.benchmarks import Problem
from s1lib.evaluation.evaluated_model import EvaluatedModel, evaluated_models
from s1lib.evaluation.methods import (
    ClassConditional,
    Direct,
    Forcing,
    Sampling,
    StepConditional,
    TokenConditional,
    TreeSearch,
)
from s1lib.evaluation.model_methods import methods_for
from s1lib.evaluation.run import decode, evaluate, run_benchmark, write_records
from s1lib.evaluation.run_names import run_name
from s1lib.keeping.hashes import hash_of_model
from s1lib.profile import (
    SFT,
    Benchmark,
    EngineSettings,
    Evaluation,
    Profile,
    Replica,
    Universe,
    load_profile,
)
from s1lib.thinking.budget import Budget, BudgetError
from s1lib.thinking.thinker import Thinker

CHAT = char_chat()
MATH = Benchmark("hard", "", "AIME24", "math")
UNLIMITED = 60  # tokens
NATURAL = Budget(max_thinking=UNLIMITED, answer_tokens=20)
POINTS = (
    replace(NATURAL, max_thinking=8),
    NATURAL,
    *(replace(NATURAL, waits=n) for n in (1, 2)),
    replace(NATURAL, waits=1, wait="Hmm"),
)
SHARED = {
    "benchmark",
    "role",
    "kind",
    "problem_id",
    "model",
    "seed",
    "base_seed",
    "sft_seed",
    "gold",
    "engine",
    "extracted",
    "read_by",
    "correct",
}
OWN = {
    "method",
    "parameters",
    "sample",
    "prompt_tokens",
    "thinking",
    "answer",
    "finish",
    "waits_used",
    "forced_spans",
    "steps_used",
}
TOKENS = {"thinking_tokens", "forced_tokens", "answer_tokens", "decoded_tokens"}


def problems(count: int) -> list[Problem]:
    return [Problem(f"p{i}", f"Q{i}", "7", "math") for i in range(count)]


def traces(key: int):
    """Random traces of digits: their answers need no algebra to be graded."""
    return random_traces(CHAT, key, letters="17\n")


def evaluated(engine=None, name: str = "s1") -> EvaluatedModel:
    found = EvaluatedModel(name, "nowhere", EngineSettings(max_rows=4))
    found.__dict__.update(chat=CHAT, weights="w0", **({"engine": engine} if engine else {}))
    return found


def run(method, engine, some=None, directory=None, **more) -> list[dict]:
    silent = {"seed": 0, "directory": directory, "log": lambda _: None, **more}
    return asyncio.run(
        run_benchmark(evaluated(engine), MATH, some or problems(3), method, **silent)
    )


def one(thinking: dict[str, str], answer: str = "Answer: 7") -> ScriptedEngine:
    return ScriptedEngine(script(CHAT, "Q0", thinking, answer=answer))


# ---- methods as records --------------------------------------------------------------------------


def test_a_sweep_gives_one_record_per_point_and_counts_shared_tokens_once(tmp_path):
    first = "1 1 2\n3 4 7\n"
    engine = one(
        {
            "": f"{first}<|im_start|>",
            f"{first}Wait": ", 7\n<|im_start|>",
            f"{first}Wait, 7\nWait": "<|im_start|>",
        }
    )
    rows = run(Forcing(POINTS[:4], UNLIMITED), engine, problems(1), tmp_path)
    assert all(set(row) == SHARED | OWN | TOKENS for row in rows)
    assert [row["parameters"] for row in rows] == [
        {"max_thinking": 8, "waits": 0, "wait": "Wait"},
        {"max_thinking": None, "waits": 0, "wait": "Wait"},
        {"max_thinking": None, "waits": 1, "wait": "Wait"},
        {"max_thinking": None, "waits": 2, "wait": "Wait"},
    ]
    assert [row["thinking_tokens"] for row in rows] == [8, 12, 20, 60]
    assert [row["forced_tokens"] for row in rows] == [0, 0, 4, 8]
    # The second Wait bans an end at once.
    assert [row["finish"] for row in rows] == [
        "forced",
        "natural",
        "natural",
        "forced",
    ]
    assert rows[0]["thinking"] == "1 1 2\n3 " and rows[0]["answer"].startswith("Final Answer:")
    assert sum(row["decoded_tokens"] for row in rows) == engine.decoded_tokens


def test_records_of_a_sweep_equal_separate_runs(tmp_path):
    policy = traces(3)
    together = run(Forcing(POINTS, UNLIMITED), ScriptedEngine(policy), problems(2), tmp_path)
    for problem in problems(2):
        own = [row for row in together if row["problem_id"] == problem.id]
        for point, row in zip(POINTS, own, strict=True):
            trace = asyncio.run(
                Thinker(ScriptedEngine(policy), CHAT).force(problem.question, point)
            )
            assert (row["thinking"], row["answer"]) == trace.texts(CHAT)
            assert (row["thinking_tokens"], row["finish"], row["waits_used"]) == (
                trace.thinking_tokens,
                trace.finish,
                trace.waits_used,
            )


def test_direct_answers_have_no_thinking_and_only_the_answer_is_graded(tmp_path):
    start = tuple(CHAT.prompt_ids("Q0", think=False))
    text = CHAT.encode("so Answer: 7<|im_end|>")
    engine = ScriptedEngine(
        lambda ids, seed: (
            [text[len(ids) - len(start)]] if ids[: len(start)] == start else CHAT.encode(".")
        )
    )
    (row,) = run(Direct(30), engine, problems(1), tmp_path)
    assert (
        row["method"],
        row["thinking_tokens"],
        row["finish"],
        row["extracted"],
        row["correct"],
    ) == ("direct", 0, "natural", "7", True)
    (row,) = run(Direct(5), engine, problems(1), tmp_path)
    assert (row["finish"], row["extracted"], row["correct"]) == ("forced", None, False)


def test_a_request_stands_behind_the_question_and_names_the_run(tmp_path):
    asked = []
    engine = ScriptedEngine(lambda ids, seed: asked.append(CHAT.decode(ids)) or CHAT.encode("."))
    (row,) = run(Direct(2, "Check your work."), engine, problems(1), tmp_path)
    assert row["parameters"] == {"request": "Check your work."}
    assert "Q0\nCheck your work." in asked[0]
    assert run_name(row["method"], row["parameters"]) == "direct, asked to check"


def test_samples_differ_are_reproducible_and_belong_to_their_problem(tmp_path):
    method = Sampling(NATURAL, 1.0, votes=4)
    rows = run(method, ScriptedEngine(traces(1)), directory=tmp_path / "a")
    assert [row["sample"] for row in rows] == [0, 1, 2, 3] * 3
    assert len({row["thinking"] for row in rows}) > 6
    alone = run(method, ScriptedEngine(traces(1)), problems(3)[2:], directory=tmp_path / "b")
    assert alone == rows[8:]
    assert run(method, ScriptedEngine(traces(1)), directory=tmp_path / "c", seed=1) != rows


def test_rejection_takes_the_first_sample_that_fits_and_says_when_none_does(tmp_path):
    rows = run(
        Sampling(NATURAL, 1.0, votes=8, caps=(0, 5, 59), tries=6),
        ScriptedEngine(traces(2)),
        directory=tmp_path,
    )
    for problem in problems(3):
        own = [row for row in rows if row["problem_id"] == problem.id]
        samples = [row for row in own if row["method"] == "majority"][:6]
        for row in (row for row in own if row["method"] == "rejection"):
            cap = row["parameters"]["cap"]
            fitting = [
                s for s in samples if s["finish"] == "natural" and s["thinking_tokens"] <= cap
            ]
            spent = [min(sample["thinking_tokens"], cap + 1) for sample in samples]
            tries = samples.index(fitting[0]) + 1 if fitting else len(samples)
            assert row["spent_thinking_tokens"] == sum(spent[:tries]) >= row["thinking_tokens"]
            if fitting:
                assert row["thinking"] == fitting[0]["thinking"] and row["finish"] == "natural"
            else:
                assert (row["finish"], row["extracted"], row["correct"]) == (
                    "rejected",
                    None,
                    False,
                )
    assert {row["finish"] for row in rows if row["method"] == "rejection"} == {
        "natural",
        "rejected",
    }


def test_s1_gets_every_method_and_the_ablations_only_their_natural_stop():
    settings = Evaluation(
        max_thinking=60,
        budgets=(8, 16, 80),
        waits=(1, 2),
        strings=("Wait", "Hmm", ""),
        votes=(1, 4),
    )
    profile = Profile("mine", evaluation=settings)
    forcing, sampling, asked = methods_for(profile, "s1")
    settings = [(point.max_thinking, point.waits, point.wait) for point in forcing.points]
    assert settings == [
        (8, 0, "Wait"),
        (16, 0, "Wait"),
        *[(60, n, "Wait") for n in (0, 1, 2)],
        (60, 2, "Hmm"),
        (60, 2, ""),
    ]
    assert asked.name == "class_conditional"
    assert (sampling.votes, sampling.tries, sampling.caps) == (
        4,
        16,
        profile.evaluation.rejection_caps,
    )
    assert [
        [method.name for method in methods_for(profile, model)] for model in ("base", "random")
    ] == [["direct", "forcing"], ["forcing"]]
    two = methods_for(
        replace(profile, evaluation=replace(profile.evaluation, vote_temperature=0.6)), "s1"
    )[1:3]
    assert [(m.temperature, m.votes, bool(m.caps)) for m in two] == [
        (0.6, 4, False),
        (1.0, 0, True),
    ]
    fewer = methods_for(
        replace(profile, evaluation=replace(profile.evaluation, sampled_problems=5)), "s1"
    )
    assert [method.problems for method in fewer] == [None, 5, 5]


def test_further_trainings_of_s1_get_the_sweep_alone_and_others_what_the_first_gets():
    profile = Profile("mine", evaluation=Evaluation(max_thinking=60, reward="r", budgets=(8,)))
    sweep, *others = methods_for(profile, "s1")
    assert others and methods_for(profile, "s1", Replica(0, 1)) == [sweep]
    assert methods_for(profile, "s1", Replica(1, 0)) == [sweep]
    assert methods_for(profile, "random", Replica(1, 2)) == methods_for(profile, "random")
    assert methods_for(profile, "base", Replica(1)) == methods_for(profile, "base")


def test_every_training_of_every_model_is_evaluated_under_a_label_of_its_own():
    seeds = SFT(sets=("s1", "random"), conditional=("token",), seeds=2)
    models = evaluated_models(Profile("mine", universe=Universe(seeds=2), sft=seeds))
    trainings = ["", "-seed1", "-base1-seed0", "-base1-seed1"]
    trained = [f"{name}{suffix}" for name in ("s1", "random") for suffix in trainings]
    assert [model.label for model in models] == ["base", "base-1", *trained, "token"]
    assert [model.name for model in models[2:6]] == ["s1"] * 4
    assert [str(model.path).rpartition("/")[2] for model in models[2:]] == [*trained, "token"]


METHODS = (
    Direct(20),
    Forcing(POINTS, UNLIMITED),
    Sampling(NATURAL, 1.0, votes=2, caps=(5, 59), tries=3),
    TokenConditional((8,), NATURAL),
    StepConditional((2,), NATURAL),
    ClassConditional(NATURAL),
    TreeSearch((1, 2), NATURAL, 1.0, "nowhere", "w0", "\n"),
)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_one_prompt_longer_than_the_context_is_a_record_and_the_others_are_kept(
    method, tmp_path, monkeypatch
):
    class Equal:
        async def scores(self, question, paths):
            return [0.5] * len(paths)

    monkeypatch.setattr("s1lib.evaluation.methods.reward_model", lambda reference: Equal())
    some, said = problems(10), []
    some[3] = replace(some[3], question="a" * 600)
    engine = ScriptedEngine(traces(5), max_context=400)
    rows = run(method, engine, some, tmp_path / "a", log=said.append)
    long = [row for row in rows if row["problem_id"] == "p3"]
    assert {row["finish"] for row in long} == {"context"}
    assert not any(row["correct"] or row["extracted"] or row["decoded_tokens"] for row in long)
    assert not any(row["thinking"] or row["answer"] for row in long)
    assert all(row["prompt_tokens"] > 600 for row in long)
    assert "1 prompt(s) leave no room" in said[0] and said[0].endswith("p3")
    assert len(said) == 2  # the other line is the shard's own

    # The same rows as any other problem has, and the others are what they are without it.
    runs = [(row["method"], row["parameters"], row["sample"]) for row in long]
    assert runs == [
        (row["method"], row["parameters"], row["sample"])
        for row in rows
        if row["problem_id"] == "p0"
    ]
    others = run(method, engine, [p for p in some if p.id != "p3"], tmp_path / "b")
    assert [row for row in rows if row["problem_id"] != "p3"] == others


def test_an_answer_that_no_prompt_leaves_room_for_is_refused(tmp_path):
    with pytest.raises(BudgetError, match="do not fit the engine's context of 30"):
        run(
            Forcing(POINTS, UNLIMITED),
            ScriptedEngine(traces(5), max_context=30),
            directory=tmp_path,
        )


# ---- shards --------------------------------------------------------------------------------------


class Breaks(ScriptedEngine):
    """Stops working after so many requests, as a killed process does."""

    left = 0

    async def complete(self, request):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("killed")
        return await super().complete(request)


def test_an_interrupted_run_goes_on_and_repeats_no_finished_shard(tmp_path, monkeypatch):
    monkeypatch.setattr("s1lib.evaluation.run.SHARD", 20)
    method, some, policy = Forcing(POINTS, UNLIMITED), problems(50), traces(5)
    whole = run(method, ScriptedEngine(policy), some, tmp_path / "whole")
    first = Breaks(policy)
    first.left = len(some) * 6
    with pytest.raises(RuntimeError, match="killed"):
        run(method, first, some, tmp_path / "cut")
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut").iterdir()}
    assert 0 < len(finished) < 3
    second, said = ScriptedEngine(policy), []
    assert run(method, second, some, tmp_path / "cut", log=said.append) == whole
    done_before = sum(len(path.read_text().splitlines()) for path in finished) // len(POINTS)
    assert (
        len({CHAT.decode(request.prompt_ids).split("<|im_end|>")[0] for request in second.requests})
        == len(some) - done_before
    )
    assert {path: path.stat().st_mtime_ns for path in finished} == finished and len(
        said
    ) == 3 - len(finished)


def test_finished_shards_need_no_engine_and_another_setting_never_takes_them(tmp_path):
    method = Forcing(POINTS[:2], UNLIMITED)
    rows = run(method, ScriptedEngine(traces(5)), directory=tmp_path)
    again = evaluated()  # opening an engine on "nowhere" would fail
    assert (
        asyncio.run(run_benchmark(again, MATH, problems(3), method, seed=0, directory=tmp_path))
        == rows
    )
    for change in ({"seed": 1}, {"method": Forcing(POINTS[:1], UNLIMITED)}, {"some": problems(2)}):
        engine = ScriptedEngine(traces(5))
        run(**{"method": method, "engine": engine, "directory": tmp_path, **change})
        assert engine.requests


def test_another_chat_template_or_version_of_the_code_never_takes_a_finished_shard(
    tmp_path, monkeypatch
):
    def asked() -> int:
        run(Direct(8), engine := ScriptedEngine(traces(5)), problems(1), tmp_path)
        return len(engine.requests)

    assert (asked(), asked()) == (1, 0)
    tokenizer = copy.deepcopy(CHAT.tokenizer)
    tokenizer.chat_template = "<|im_start|>system\nBe brief.<|im_end|>\n" + tokenizer.chat_template
    monkeypatch.setattr("test_evaluation.CHAT", ChatFormat(tokenizer))
    assert (asked(), asked()) == (1, 0)
    monkeypatch.setattr("s1lib.evaluation.run.METHODS_VERSION", 0)
    assert (asked(), asked()) == (1, 0)


def test_outputs_that_were_moved_are_not_decoded_again(tmp_path, monkeypatch):
    class Equal:
        async def scores(self, question, paths):
            return [0.5] * len(paths)

    def searched(home, engine=None) -> list[dict]:
        reward = home / "00_toy_universe" / "models" / "reward"
        weights = hash_of_model(str(reward))
        method = TreeSearch((1, 2), NATURAL, 1.0, str(reward), weights, "\n")
        return run(method, engine, problems(2), home / "04_evaluation" / "shards")

    monkeypatch.setattr("s1lib.evaluation.methods.reward_model", lambda reference: Equal())
    (tmp_path / "outputs" / "00_toy_universe" / "models" / "reward").mkdir(parents=True)
    (tmp_path / "outputs" / "00_toy_universe" / "models" / "reward" / "config.json").write_text(
        "{}"
    )
    rows = searched(tmp_path / "outputs", ScriptedEngine(traces(5)))
    (tmp_path / "outputs").rename(tmp_path / "moved")
    assert searched(tmp_path / "moved") == rows  # opening an engine on "nowhere" would fail
    (tmp_path / "moved" / "00_toy_universe" / "models" / "reward" / "config.json").write_text("{ }")
    searched(tmp_path / "moved", engine := ScriptedEngine(traces(5)))
    assert engine.requests


def test_a_record_names_the_rule_that_read_its_answer(tmp_path):
    rows = run(Forcing(POINTS, UNLIMITED), ScriptedEngine(traces(5)), directory=tmp_path)
    assert {row["read_by"] is not None for row in rows if row["extracted"] is not None} == {True}


def test_a_truncated_shard_is_set_aside_and_made_again(tmp_path):
    rows = run(Forcing(POINTS[:2], UNLIMITED), ScriptedEngine(traces(5)), directory=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    said = []
    assert (
        run(
            Forcing(POINTS[:2], UNLIMITED),
            ScriptedEngine(traces(5)),
            directory=tmp_path,
            log=said.append,
        )
        == rows
    )
    assert "set aside" in said[0] and len(list(tmp_path.glob("*.corrupt"))) == 1


def test_all_methods_and_benchmarks_of_a_model_end_in_files_of_their_own(tmp_path):
    few = {"votes": (2,), "rejection_caps": (9,), "rejection_tries": 2, "sampled_problems": 1}
    settings = Evaluation(
        max_thinking=60, answer_tokens=20, budgets=(8,), waits=(1,), strings=(), **few
    )
    profile = Profile("mine", evaluation=settings)
    sets = {MATH: problems(2), replace(MATH, name="easy"): problems(1)}
    silent = {"directory": tmp_path / "shards", "log": lambda _: None}
    rows = asyncio.run(evaluate(evaluated(ScriptedEngine(traces(5))), profile, sets, **silent))
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "hard-s1-old.jsonl").write_text("stale")
    names = [path.name for path in write_records(tmp_path / "records", rows)]
    methods = ("budget_forcing", "class_conditional", "majority", "rejection")
    assert names == [f"{b}-s1-{m}.jsonl" for b in ("easy", "hard") for m in methods]
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == names
    for method, expected in (("majority", ["p0", "p0"]), ("rejection", ["p0"])):
        lines = (tmp_path / "records" / f"hard-s1-{method}.jsonl").open()
        assert [json.loads(line)["problem_id"] for line in lines] == expected


def test_records_tell_the_trainings_of_a_model_apart_and_share_its_file(tmp_path):
    method, rows = Forcing((NATURAL,), UNLIMITED), []
    for seed in (0, 1):
        model = replace(evaluated(), replica=Replica(0, seed))
        engine = ScriptedEngine(traces(seed))
        model.__dict__.update(chat=CHAT, weights=f"w{seed}", engine=engine)
        silent = {"seed": 0, "directory": tmp_path / "shards", "log": lambda _: None}
        rows += asyncio.run(run_benchmark(model, MATH, problems(2), method, **silent))
    assert [(row["model"], row["base_seed"], row["sft_seed"]) for row in rows] == [
        *[("s1", 0, 0)] * 2,
        *[("s1", 0, 1)] * 2,
    ]
    names = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "shards").iterdir())
    assert names == ["s1-forcing-hard-00000", "s1-seed1-forcing-hard-00000"]

    (tmp_path / "records").mkdir()
    (written,) = write_records(tmp_path / "records", rows)
    assert written.name == "hard-s1-budget_forcing.jsonl"
    assert [json.loads(line) for line in written.open()] == rows


# ---- tables --------------------------------------------------------------------------------------


def test_every_run_of_every_method_has_its_own_setting_in_words():
    table = accuracy.frame(synthetic_records(problems=1, samples=2, benchmarks=("hard",)))
    runs = table.drop_duplicates(["model", "method", "setting"])
    assert len(runs) == len(
        table.assign(parameters=table["parameters"].map(str)).drop_duplicates(
            ["model", "method", "parameters"]
        )
    )
    assert {
        "direct",
        "natural stop",
        "budget 32",
        "limit 32",
        "2 × nothing",
        "cap 60",
        "8 steps",
        "asked for long",
    } <= set(runs["setting"])


def test_tables_count_every_record_once_and_name_what_could_not_be_read(tmp_path):
    rows = run(Forcing(POINTS, UNLIMITED), ScriptedEngine(traces(5)), directory=tmp_path)
    table = accuracy.frame(rows)
    runs = accuracy.by_run(table)
    assert list(runs["setting"]) == ["budget 8", "natural stop", "1 × Wait", "2 × Wait", "1 × Hmm"]
    assert (runs["n"] == 3).all() and runs["decoded_tokens (sum)"].sum() == sum(
        row["decoded_tokens"] for row in rows
    )
    assert (runs["accuracy"][0], runs["low"][0]) == (0, 0) and runs["high"][0] == pytest.approx(
        56.1, abs=0.1
    )
    lost = audit.unread(table)
    assert lost["unread"].sum() == sum(row["extracted"] is None for row in rows) > 0
    examples = audit.unread_examples(table.assign(answer="<script>"))
    page = audit.page(examples, title="Unread")
    assert len(examples) and "<script>" not in page and "&lt;script&gt;" in page
    assert accuracy.ends(table)[accuracy.ENDS].sum(axis=1).to_list() == pytest.approx([100] * 5)


def test_both_readings_of_a_choice_stand_side_by_side():
    fixed = {
        "benchmark": "choice",
        "model": "s1",
        "method": "direct",
        "setting": "no thinking",
        "kind": "choice",
        "finish": "natural",
    }
    answers = [("A", "A"), (None, "A"), (None, "B"), ("B", "A")]
    table = pd.DataFrame(
        [
            {**fixed, "extracted": found, "gold": gold, "correct": found == gold}
            for found, gold in answers
        ]
    )
    row = audit.choice_readings(table).iloc[0]
    assert (row["n"], row["ours"], row["official"], row["difference"], row["no letter, %"]) == (
        4,
        25,
        50,
        25,
        50,
    )


def test_disputed_answers_are_those_whose_text_and_grade_disagree():
    rows = [
        ("7", "7", True),
        ("07", "7", True),
        ("7 apples", "7", False),
        ("8", "7", False),
        ("07", "7", True),
        (None, "7", False),
    ]
    table = pd.DataFrame(
        [
            {"benchmark": "b", "extracted": found, "gold": gold, "correct": right}
            for found, gold, right in rows
        ]
    )
    shown = audit.disputed(table)
    assert shown[["extracted", "correct", "records"]].values.tolist() == [
        ["07", True, 2],
        ["7 apples", False, 1],
    ]


def test_what_was_decoded_side_by_side_is_read_and_not_decoded_again(
    tiny_model_dir, tmp_path, monkeypatch
):
    smoke = load_profile("smoke", outputs=tmp_path)
    profile = replace(smoke, threads=2, engine=replace(smoke.engine, max_rows=4))
    sets = {
        MATH: [
            Problem(
                f"p{i}", f"Start with 0{i}. a: add 09. What is the result?", f"{i + 9:02d}", "math"
            )
            for i in range(3)
        ]
    }
    models = [EvaluatedModel(name, tiny_model_dir, profile.engine) for name in ("random", "full")]

    def records(directory) -> list[dict]:
        runs = [evaluate(replace(one), profile, sets, directory=directory) for one in models]
        return [row for rows in runs for row in asyncio.run(rows)]

    expected = records(tmp_path / "alone")
    decode(models, profile, sets, directory=tmp_path / "pair", log=lambda _: None)
    monkeypatch.setattr(
        "s1lib.evaluation.evaluated_model.open_engine", None
    )  # an engine would fail now
    assert records(tmp_path / "pair") == expected
