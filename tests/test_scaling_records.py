"""Records on disk as runs and problems: any order, nothing twice, every defect one clear line."""

import json
import random
import subprocess
import sys

import pandas as pd
import pytest
from synthetic_records import synthetic_records, write_records

from s1lib.keeping.files import ArtifactError
from s1lib.profile import Profile
from s1lib.scaling.records import RecordError, load_records, records_from


@pytest.fixture(scope="module")
def rows():
    return synthetic_records(problems=6, samples=4)


@pytest.fixture
def profile(tmp_path):
    return Profile(name="synthetic", outputs_root=str(tmp_path))


@pytest.fixture
def folder(profile, rows):
    write_records(profile.outputs / "04_evaluation", rows)
    return profile.outputs / "04_evaluation" / "records"


def test_scaling_reads_records_without_torch_or_an_engine():
    names = "verdicts figures accuracy_tables control_tables training_tables further_tables"
    modules = ", ".join(f"s1lib.scaling.{name}" for name in names.split())
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_file_of_the_evaluation_is_read(profile, folder, rows):
    records = load_records(profile)
    assert len(records.samples) == len(rows)
    assert list(records.benchmarks["benchmark"]) == ["hard", "mixed", "choice"]
    assert records.sizes == "n = 6 problems per benchmark"


def test_methods_are_compared_on_the_problems_that_all_of_them_have(rows):
    names = sorted({row["problem_id"] for row in rows if row["benchmark"] == "hard"})[:2]
    sampled = ("majority", "tree_search", "rejection")
    some = [
        row
        for row in rows
        if row["benchmark"] != "hard" or row["method"] not in sampled or row["problem_id"] in names
    ]
    shared = records_from(some).common()
    assert shared.benchmarks.set_index("benchmark")["problems"].to_dict() == {
        "hard": 2,
        "mixed": 6,
        "choice": 6,
    }
    assert set(shared.samples.query("benchmark == 'hard'")["problem_id"]) == set(names)
    assert records_from(rows).common().sizes == records_from(rows).sizes


def test_benchmarks_keep_the_order_of_the_papers_tables_whatever_their_names():
    renamed = {"hard": "z", "mixed": "y", "choice": "x"}
    rows = [
        {**row, "benchmark": renamed[row["benchmark"]]} for row in synthetic_records(problems=1)
    ]
    other = [{**row, "benchmark": "a", "role": "AIME25"} for row in rows if row["benchmark"] == "z"]
    assert list(records_from(other + rows).benchmarks["benchmark"]) == ["z", "y", "x", "a"]


def test_the_order_of_records_does_not_matter(rows):
    shuffled = random.Random(0).sample(rows, len(rows))
    for a, b in ((records_from(rows), records_from(shuffled)),):
        pd.testing.assert_frame_equal(a.problems, b.problems)
        pd.testing.assert_frame_equal(a.runs, b.runs)


def test_a_record_that_is_there_twice_counts_once(rows):
    pd.testing.assert_frame_equal(
        records_from(rows + rows[::3]).problems, records_from(rows).problems
    )


def test_the_natural_stop_is_one_run_whatever_wait_string_it_was_swept_with(rows):
    again = [
        {**row, "parameters": {"max_thinking": None, "waits": 0, "wait": "Hmm"}}
        for row in rows
        if row["parameters"].get("waits") == 0
    ]
    again = [
        row
        for row in again
        if row["finish"] == "natural"
        and row["method"] == "budget_forcing"
        and row["model"] == "full"
    ]
    records = records_from(rows + again)
    assert len(records.natural("full")) == 1
    assert len(records.samples) == len(rows)


def test_two_records_that_contradict_each_other_are_refused(rows):
    spoilt = {**rows[5], "correct": not rows[5]["correct"]}
    with pytest.raises(RecordError, match="two different records of hard problem hard-0"):
        records_from([*rows, spoilt])


def test_runs_are_found_by_what_they_did(rows):
    records = records_from(rows)
    assert list(records.runs["label"][records.budgets()]) == [
        "budget 16",
        "budget 32",
        "budget 48",
        "budget 64",
        "budget 96",
        "natural stop",
    ]
    assert list(records.runs["label"][records.waits()]) == [
        "1 × Wait",
        "2 × Wait",
        "4 × Wait",
        "6 × Wait",
    ]
    assert list(records.runs["label"][records.waits("")]) == ["2 × nothing"]
    assert list(records.runs["limit"][records.find(method="rejection")]) == [60, 80, 120]
    assert records.budgets("base") == [] and records.waits(model="full") == []


def test_waits_extend_the_natural_stop_also_when_it_has_a_limit(rows):
    limited = [
        {
            **row,
            "parameters": {
                **row["parameters"],
                "max_thinking": row["parameters"].get("max_thinking") or 900,
            },
        }
        for row in rows
    ]
    records = records_from([row for row in limited if row["method"] == "budget_forcing"])
    assert records.runs["limit"][records.natural()[0]] == 900
    assert len(records.waits()) == 4


def test_pairs_are_made_of_problems_that_every_run_has(rows):
    budget = {"max_thinking": 16, "waits": 0, "wait": "Wait"}
    some = [
        row for row in rows if not (row["problem_id"] == "hard-2" and row["parameters"] == budget)
    ]
    records = records_from(some)
    assert list(records.frame("hard", records.budgets()).index) == [
        "hard-0",
        "hard-1",
        "hard-3",
        "hard-4",
        "hard-5",
    ]
    assert len(records.frame("hard", records.natural())) == 6


def test_several_samples_of_a_problem_count_as_their_mean(rows):
    records = records_from(rows)
    run = records.find(method="majority")
    votes = [
        row["correct"]
        for row in rows
        if row["method"] == "majority" and row["problem_id"] == "hard-0"
    ]
    assert records.frame("hard", run).loc["hard-0", run[0]] == sum(votes) / 4


def test_no_records_name_the_notebook_to_run(profile):
    with pytest.raises(ArtifactError, match="holds no records: run notebook 04_evaluation first"):
        load_records(profile)
    with pytest.raises(RecordError, match="run notebook 04_evaluation again"):
        records_from([])


def test_a_truncated_file_names_file_and_line(profile, folder):
    path = folder / "hard.jsonl"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(
        ArtifactError,
        match=rf"hard\.jsonl, line {len(path.read_text().splitlines())}: not a complete JSON line",
    ):
        load_records(profile)


def test_a_record_of_another_version_names_the_missing_field(profile, folder):
    path = folder / "mixed.jsonl"
    lines = path.read_text().splitlines()
    row = json.loads(lines[2])
    del row["thinking_tokens"]
    path.write_text("\n".join([*lines[:2], json.dumps(row), *lines[3:]]))
    with pytest.raises(RecordError, match=r"mixed\.jsonl, line 3: no field 'thinking_tokens'"):
        load_records(profile)
