"""`s1 compare`: two runs problem by problem, and the authors' outputs in lm-eval's format."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_records import synthetic_records, write_records

from s1lib.chat import lettered
from s1lib.command.cli import main
from s1lib.keeping.files import ArtifactError
from s1lib.published.questions import question_id
from s1lib.published.table_files import TableError
from s1lib.scaling.comparison import compare, open_records
from s1lib.scaling.lm_eval_samples import read_samples, run_of
from s1lib.scaling.records import RecordError, records_from
from s1lib.site.comparison_page import write_comparison

NATURAL = {"max_thinking": None, "waits": 0}
CHOICES = ["Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"]


def record(problem: str, correct: bool, **changed) -> dict:
    """A record of s1's natural stop on AIME24."""
    return {
        "benchmark": "aime24",
        "role": "AIME24",
        "kind": "math",
        "problem_id": problem,
        "model": "s1",
        "method": "budget_forcing",
        "parameters": NATURAL,
        "seed": 0,
        "sample": 0,
        "finish": "natural",
        "extracted": "42",
        "correct": correct,
        "thinking_tokens": 100,
        "answer_tokens": 10,
        "decoded_tokens": 110,
        "steps_used": None,
        **changed,
    }


def records(*verdicts: bool, **changed):
    return records_from(
        record(f"p{number}", correct, **changed) for number, correct in enumerate(verdicts)
    )


def sample(number: int, correct: object, **doc) -> dict:
    """One line as the official harness logs it."""
    doc = {"id": number, "problem": f"Problem {number}?", "solution": "…", "answer": "42", **doc}
    return {
        "doc_id": number,
        "doc": doc,
        "target": doc["answer"],
        "arguments": [[doc["problem"], {"max_gen_toks": 32768, "until": []}]],
        "resps": [["<|im_start|>think\nhm\u2028<|im_start|>answer\n42"]],
        "filtered_resps": ["<|im_start|>think\nhm\u2028<|im_start|>answer\n42"],
        "doc_hash": "0" * 64,
        "prompt_hash": "0" * 64,
        "target_hash": "0" * 64,
        "exact_match": correct,
        "extracted_answers": ["42" if correct else "7"],
    }


def write_samples(folder: Path, task: str, rows: list[dict], *, date: str = "2025-01-20") -> Path:
    path = folder / "ckpts__s1" / f"samples_{task}_{date}T05-10-11.123456.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


# ---- two runs ----


def test_agreement_flips_and_mcnemar_are_counted_by_hand():
    first, second = records(True, True, False, False, True), records(True, False, True, True, True)
    row = compare(first, second).runs.iloc[0]
    assert (row["benchmark"], row["run"], row["n"]) == ("aime24", "natural stop", 5)
    assert (row["first, %"], row["second, %"], row["agreement, %"]) == (60, 80, 40)
    assert (row["gained"], row["lost"], row["p"]) == (2, 1, 1.0)


def test_every_flip_is_listed_with_both_verdicts_and_answers():
    second = records(False, True, extracted="7")
    flips = compare(records(True, True), second).flips
    assert flips["problem_id"].to_list() == ["p0"]
    row = flips.iloc[0]
    assert (row["correct_a"], row["correct_b"]) == (1, 0)
    assert (row["extracted_a"], row["extracted_b"]) == ("42", "7")


@settings(max_examples=20)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_swapping_the_runs_swaps_gained_and_lost(verdicts):
    first, second = (records(*side) for side in zip(*verdicts, strict=True))
    there, back = compare(first, second).runs.iloc[0], compare(second, first).runs.iloc[0]
    assert (there["gained"], there["lost"]) == (back["lost"], back["gained"])
    assert (there["p"], there["agreement, %"]) == (back["p"], back["agreement, %"])
    differ = there["n"] * (1 - there["agreement, %"] / 100)
    assert there["gained"] + there["lost"] == pytest.approx(differ)


def test_a_run_beside_itself_agrees_everywhere(tmp_path):
    write_records(tmp_path / "04_evaluation", synthetic_records(problems=5, samples=2))
    found = compare(open_records(tmp_path), open_records(tmp_path))
    assert found.flips.empty and (found.runs["agreement, %"] == 100).all()
    assert set(found.runs["benchmark"]) == {"hard", "mixed", "choice"}
    assert len(found.runs) == 3 * len(open_records(tmp_path).runs)


def test_only_problems_of_both_count():
    second = records_from([record("p1", False), record("p9", True)])
    row = compare(records(True, True, True), second).runs.iloc[0]
    assert (row["n"], row["lost"]) == (1, 1)


def test_several_samples_have_means_and_no_p():
    rows = [record("p0", correct, sample=n, method="majority") for n, correct in enumerate([1, 0])]
    row = compare(records_from(rows), records_from(rows)).runs.iloc[0]
    assert row["first, %"] == 50 and row["p"] != row["p"]


def test_single_runs_are_compared_whatever_they_are_called():
    row = compare(records(True), records(False, model="base")).runs.iloc[0]
    assert (row["model"], row["lost"]) == ("s1", 1)


def test_nothing_in_common_is_one_line_that_names_both():
    first, second = records(True), records_from([record("other", True)])
    with pytest.raises(RecordError, match="no problem of the same run is in both: the first has"):
        compare(first, second)


# ---- the authors' outputs ----


def test_a_problem_of_the_authors_has_the_id_of_the_published_table(tmp_path):
    write_samples(tmp_path / "forcingauto", "aime24_nofigures", [sample(1, 1), sample(2, 0)])
    rows = list(read_samples(tmp_path))
    assert [row["problem_id"] for row in rows] == [
        question_id("Problem 1?"),
        question_id("Problem 2?"),
    ]
    assert [(row["role"], row["correct"], row["extracted"]) for row in rows] == [
        ("AIME24", True, "42"),
        ("AIME24", False, "7"),
    ]


def test_our_run_beside_the_authors_pairs_by_benchmark_and_setting(tmp_path):
    rows = [sample(number, number % 2) for number in range(4)]
    write_samples(tmp_path / "forcingauto", "aime24_nofigures", rows)
    write_samples(tmp_path / "forcing2k", "aime24_nofigures", rows)
    ids = [question_id(f"Problem {number}?") for number in range(4)]
    ours = [record(problem, True) for problem in ids]
    ours += [record(problem, True, parameters={"max_thinking": 2000}) for problem in ids[:3]]
    found = compare(records_from(ours), open_records(tmp_path))
    assert found.runs[["run", "n", "lost", "gained"]].to_numpy().tolist() == [
        ["budget 2000", 3, 2, 0],
        ["natural stop", 4, 2, 0],
    ]
    assert (found.flips["benchmark"] == "aime24").all()


@pytest.mark.parametrize(
    ("folder", "model", "method", "parameters"),
    [
        ("forcing500", "s1", "budget_forcing", {"max_thinking": 500, "waits": 0}),
        ("forcing16k", "s1", "budget_forcing", {"max_thinking": 16000, "waits": 0}),
        ("forcingauto", "s1", "budget_forcing", NATURAL),
        (
            "forcingignore6wait",
            "s1",
            "budget_forcing",
            {"max_thinking": None, "waits": 6, "wait": "Wait"},
        ),
        (
            "forcingignore2",
            "s1",
            "budget_forcing",
            {"max_thinking": None, "waits": 2, "wait": ""},
        ),
        (
            "s1.1forcingignore1wait",
            "s1.1",
            "budget_forcing",
            {"max_thinking": None, "waits": 1, "wait": "Wait"},
        ),
        ("prompttoken2k", "token", "token_conditional", {"max_thinking": 2048}),
        ("promptstep64forcing", "step", "step_conditional_forced", {"steps": 64}),
        ("promptshort", "s1", "class_conditional", {"length": "short"}),
        ("rejection_sample4k", "s1", "rejection", {"cap": 4000}),
        ("qwen", "base", "direct", {}),
    ],
)
def test_the_folders_of_the_published_results_say_the_run(folder, model, method, parameters):
    path = Path("/results") / folder / "ckpts__s1" / "samples_openai_math_2025-01-20T05.jsonl"
    assert run_of(path) == (model, method, parameters)


def test_a_folder_of_another_name_is_a_method_of_that_name(tmp_path):
    path = write_samples(tmp_path / "mine", "openai_math", [sample(1, 1)])
    row = next(read_samples(path))
    assert (row["role"], row["method"], row["parameters"]) == ("MATH500", "ckpts__s1", {})


def test_a_letter_is_shown_in_our_order_of_the_options(tmp_path):
    texts = ["the right one", "a wrong one", "another", "a third"]
    doc = {
        "Question": "Which?",
        **dict(zip(CHOICES, texts, strict=True)),
        **{f"choice{n + 1}": text for n, text in enumerate(reversed(texts))},
        "answer": "D",
    }
    rows = [sample(1, 1, **doc) | {"extracted_answers": [letter]} for letter in "ABCD"]
    write_samples(tmp_path / "forcingauto", "gpqa_diamond_openai", rows)
    found = list(read_samples(tmp_path))
    orders = {question_id("Which?" + lettered(order)): order for order in permutations(texts)}
    ours = orders[found[0]["problem_id"]]
    named = [ours["ABCD".index(row["extracted"])] for row in found]
    assert named == list(reversed(texts))


def test_of_two_evaluations_of_one_task_the_newest_counts(tmp_path):
    folder = tmp_path / "forcingauto"
    write_samples(folder, "aime24_nofigures", [sample(1, 0)], date="2025-01-20")
    write_samples(folder / "again", "aime24_nofigures", [sample(1, 1)], date="2025-02-01")
    assert [row["correct"] for row in read_samples(tmp_path)] == [True]


def test_other_tasks_are_left_out(tmp_path):
    write_samples(tmp_path / "forcingauto", "aime24_figures", [sample(1, 1)])
    with pytest.raises(RecordError, match=r"holds no samples_<task>_<date>\.jsonl of aime24"):
        list(read_samples(tmp_path))


def test_bad_samples_end_in_one_line_with_file_and_place(tmp_path):
    folder = tmp_path / "forcingauto"
    path = write_samples(folder, "aime24_nofigures", [sample(1, 1), {"doc_id": 2}])
    with pytest.raises(RecordError, match="line 2: no 'doc' and 'exact_match'"):
        list(read_samples(path))
    write_samples(folder, "aime24_nofigures", [sample(1, None)])
    with pytest.raises(RecordError, match="line 1: no 'doc' and 'exact_match'"):
        list(read_samples(path))
    broken = sample(1, 1)
    del broken["doc"]["problem"]
    write_samples(folder, "aime24_nofigures", [broken])
    with pytest.raises(TableError, match="line 1: column 'problem' is missing"):
        list(read_samples(path))
    path.write_text('{"doc_id": 1, "doc":')
    with pytest.raises(ArtifactError, match="line 1: not a complete JSON line"):
        list(read_samples(path))


# ---- command and page ----


def test_the_command_prints_the_table_and_writes_the_page(tmp_path, capsys):
    for name, seed in (("one", 0), ("two", 1)):
        rows = synthetic_records(problems=6, samples=1, benchmarks=("hard",), seed=seed)
        write_records(tmp_path / name / "04_evaluation", rows)
    places = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert main(["compare", *places]) == 0
    printed = capsys.readouterr().out
    assert "agreement, %" in printed and "verdicts differ: --html DIR lists them" in printed

    assert main(["compare", *places, "--html", str(tmp_path / "page")]) == 0
    page = (tmp_path / "page" / "compare.html").read_text()
    assert "natural stop" in page and "Verdicts that differ" in page
    assert {path.suffix for path in (tmp_path / "page").iterdir()} == {".csv", ".html"}


def test_an_answer_of_a_model_is_never_html(tmp_path):
    first, second = records(True), records(False, extracted="<script>alert(1)</script>")
    page = write_comparison(compare(first, second), ("<b>a</b>", "b"), tmp_path).read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "<b>a</b>" not in page


def test_a_place_that_holds_nothing_is_one_line(tmp_path, capsys):
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "holds no records" in lines[0]
