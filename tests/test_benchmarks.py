"""Test sets as problems: files of one's own, published ones, and what is wrong with one."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from s1lib.evaluation.benchmarks import (
    BenchmarkError,
    Problem,
    checksum,
    load_benchmark,
    problem_domains,
)
from s1lib.grading import grade
from s1lib.keeping.files import write_jsonl
from s1lib.profile import Benchmark, Evaluation, Profile
from s1lib.published.hub import HubError
from s1lib.published.table_files import TableError

MATH = Benchmark("hard", "", "AIME24", "math")


def load(tmp_path, *rows: dict, **changes) -> list[Problem]:
    write_jsonl(tmp_path / "b.jsonl", rows)
    return load_benchmark(Profile("mine"), replace(MATH, path=str(tmp_path / "b.jsonl"), **changes))


def test_a_test_set_keeps_its_order_and_its_first_problems(tmp_path):
    rows = [{"id": i, "question": f"Q{i}", "answer": i + 1} for i in (5, 3, 4)]
    assert load(tmp_path, *rows, limit=2) == [
        Problem("5", "Q5", "6", "math"),
        Problem("3", "Q3", "4", "math"),
    ]


def test_domains_are_those_that_a_test_set_of_ones_own_names(tmp_path):
    rows = [{"id": i, "question": f"Q{i}", "answer": i, "domain": "clock"} for i in (1, 2)]
    write_jsonl(tmp_path / "b.jsonl", [*rows, {"id": 3, "question": "Q3", "answer": 3}])
    own = replace(MATH, path=str(tmp_path / "b.jsonl"))
    absent = replace(MATH, name="absent", path=str(tmp_path / "absent.jsonl"))
    profile = Profile("mine", evaluation=Evaluation(benchmarks=(own, absent)))
    assert problem_domains(profile) == {("hard", "1"): "clock", ("hard", "2"): "clock"}


def test_options_are_listed_as_the_paper_lists_them(tmp_path):
    row = {
        "id": "x",
        "question": "Which?",
        "answer": "B",
        "kind": "choice",
        "options": ["one", "two"],
    }
    assert load(tmp_path, row) == [Problem("x", "Which?\n\nA) one\nB) two", "B", "choice")]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([{"id": "x", "question": "Q"}], "line 1: no 'answer'"),
        ([{"id": "x", "question": " ", "answer": "1"}], "line 1: no 'question'"),
        ([{"id": "x", "question": "Q", "answer": "1"}] * 2, "line 2: the id 'x' is there twice"),
        (
            [{"id": "x", "question": "Q", "answer": "E", "kind": "choice", "options": ["1", "2"]}],
            "not the letter of one of its 2 options",
        ),
        ([{"id": "x", "question": "Q", "answer": "1", "kind": "essay"}], "unknown kind 'essay'"),
        ([], "holds no problem"),
    ],
)
def test_a_test_set_with_a_defect_is_one_clear_line(tmp_path, rows, complaint):
    with pytest.raises(BenchmarkError) as error:
        load(tmp_path, *rows)
    assert complaint in str(error.value) and "\n" not in str(error.value)


def test_a_missing_or_cut_test_set_is_one_clear_line(tmp_path):
    with pytest.raises(TableError, match="does not exist"):
        load_benchmark(Profile("mine"), replace(MATH, path=str(tmp_path / "none.jsonl")))
    (tmp_path / "cut.jsonl").write_text('{"id": 1, "question": "Q", "answer": "1"}\n{"id": 2, "que')
    with pytest.raises(TableError, match="line 2"):
        load_benchmark(Profile("mine"), replace(MATH, path=str(tmp_path / "cut.jsonl")))


# ---- what a cell says ----------------------------------------------------------------------------


def test_an_empty_cell_is_absent_and_zero_is_a_value(tmp_path):
    rows = [{"id": n, "question": f"Q{n}", "answer": n} for n in (0, 1)]
    assert [(p.id, p.gold) for p in load(tmp_path, *rows)] == [("0", "0"), ("1", "1")]
    asked = {"id": False, "question": 0, "answer": False, "options": None, "kind": None}
    assert load(tmp_path, asked) == [Problem("False", "0", "False", "math")]
    options = {"id": "x", "question": "Q", "answer": "A", "kind": "choice", "options": [0, ""]}
    assert load(tmp_path, options)[0].question == "Q\n\nA) 0\nB) "


def test_a_row_with_options_is_a_choice_unless_it_says_otherwise(tmp_path):
    row = {"id": "x", "question": "Q", "answer": "(B)", "options": ["one", "two"]}
    assert load(tmp_path, row) == [Problem("x", "Q\n\nA) one\nB) two", "B", "choice")]


CHOICE = {"id": "x", "question": "Q", "answer": "A", "kind": "choice"}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"answer": None}, "no 'answer'"),
        ({"answer": ""}, "no 'answer'"),
        ({"answer": []}, "no 'answer'"),
        ({"answer": float("nan")}, "no 'answer'"),
        ({"id": None}, "no 'id'"),
        ({"question": None}, "no 'question'"),
        ({"answer": {"letter": "A"}}, "column 'answer' holds dict, not text"),
        ({"question": ["Q", "R"]}, "column 'question' holds 2 values, and one is needed"),
        ({"options": ["one", None]}, "option 2 of 2 is null"),
        ({"options": ["one", {"text": "two"}]}, "column 'options' holds dict, not text"),
        ({"options": "one, two"}, "'options' must be a list, not str"),
        ({"options": {"A": "one"}}, "'options' must be a list, not dict"),
        ({"options": list(range(27))}, "27 options are more than there are letters"),
        (
            {"options": ["one", "two"], "kind": "math"},
            "it has options, so its kind must be 'choice'",
        ),
        ({"options": ["one", "two"], "answer": "AB"}, "is not the letter of an option"),
        ({"answer": "iron"}, "the answer 'iron' to a choice is not the letter of an option"),
    ],
)
def test_what_is_absent_or_no_text_is_refused_with_its_row(tmp_path, row, complaint):
    with pytest.raises(TableError) as error:
        load(tmp_path, {**CHOICE, "id": "first"}, {**CHOICE, **row})
    place, _, says = str(error.value).partition("b.jsonl, line 2: ")
    assert place and complaint in says and "\n" not in says


@pytest.mark.parametrize("written", ["(B)", "B.", "b", " B ", "B)"])
@pytest.mark.parametrize("options", [None, ["one", "two"]])
def test_a_gold_letter_is_read_however_a_table_writes_it(tmp_path, written, options):
    (problem,) = load(tmp_path, {**CHOICE, "answer": written, "options": options})
    assert problem.gold == "B" and grade("Answer: B", problem.gold, "choice").correct


def test_a_row_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "b.jsonl").write_text('["id", "question", "answer"]\n')
    with pytest.raises(TableError, match=r"b\.jsonl, line 1: expected columns, found list"):
        published(tmp_path / "b.jsonl")


def test_repeated_ids_of_a_test_set_are_refused_with_both_rows(tmp_path):
    rows = [{"id": id_, "question": "Q", "answer": "1"} for id_ in (1, 2, "1")]
    says = "b.jsonl, line 3: the id '1' is there twice, first in line 1"
    with pytest.raises(BenchmarkError, match=says):
        load(tmp_path, *rows)


def test_a_csv_of_ones_own_keeps_its_answers_and_ids_as_text(tmp_path):
    text = 'id,question,answer,kind\n007,"two\nlines",1.10,\n008,Q,NA,math\n'
    (tmp_path / "b.csv").write_text(text)
    assert published(tmp_path / "b.csv") == [
        Problem("007", "two\nlines", "1.10", "math"),
        Problem("008", "Q", "NA", "math"),
    ]


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        ("Incorrect Answer 2", "row 2: the option in column 'Incorrect Answer 2' is null"),
        ("Correct Answer", "row 2: the option in column 'Correct Answer' is null"),
        ("Question", "row 2: no 'question'"),
    ],
)
def test_a_null_in_a_published_test_set_is_refused_with_its_row(tmp_path, column, complaint):
    columns = {**GPQA, column: [GPQA[column][0], None]}
    pd.DataFrame(columns).to_csv(tmp_path / "gpqa_diamond.csv", index=False)
    with pytest.raises(TableError, match=f"gpqa_diamond.csv, {complaint}"):
        published(tmp_path)


def test_a_published_problem_without_an_answer_is_refused_with_its_row(tmp_path):
    columns = {"problem": ["Q", "R"], "answer": [0, None]}
    pd.DataFrame(columns).to_parquet(tmp_path / "aime.parquet")
    with pytest.raises(BenchmarkError, match=r"row 2: no 'answer'"):
        published(tmp_path / "aime.parquet")


# ---- the published ones --------------------------------------------------------------------------

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
GPQA = {
    "Question": ["Which gas?\n", "Which metal?"],
    "Correct Answer": [" argon", "iron"],
    **{f"Incorrect Answer {n}": [f"gas {n}", f"metal {n}"] for n in (1, 2, 3)},
}


def on_the_hub(monkeypatch, folder: Path) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))


def published(path: object, **changes) -> list[Problem]:
    return load_benchmark(Profile("mine"), replace(MATH, path=str(path), **changes))


def test_a_choice_of_the_hub_lists_its_options_in_an_order_that_rows_do_not_change(
    tmp_path, monkeypatch
):
    def save(order) -> None:
        pd.DataFrame(GPQA).iloc[order].to_csv(tmp_path / "gpqa_diamond.csv", index=False)

    on_the_hub(monkeypatch, tmp_path)
    found = []
    for order in ([0, 1], [1, 0]):
        save(order)
        with pytest.raises(
            BenchmarkError, match="holds 2 problems and should hold 198: correct `files`"
        ):
            published("Idavidrein/gpqa@abc123")
        # A local folder is told by its columns, and may hold any number.
        found.append(published(tmp_path))
    assert found[0] == found[1][::-1]
    for problem, right in zip(found[0], ("argon", "iron"), strict=True):
        stem, *options = problem.question.splitlines()[:1] + problem.question.splitlines()[2:]
        assert stem in ("Which gas?", "Which metal?") and problem.kind == "choice"
        assert [option[:3] for option in options] == ["A) ", "B) ", "C) ", "D) "]
        assert options["ABCD".index(problem.gold)] == f"{problem.gold}) {right}"


def test_a_test_set_of_another_version_is_refused_by_its_checksum(tmp_path):
    rows = [{"id": "x", "question": "Q", "answer": "1"}]
    known = checksum(load(tmp_path, *rows))
    assert load(tmp_path, *rows, sha256=known)
    more = {**rows[0], "id": "y"}
    assert load(tmp_path, *rows, more, sha256=known, limit=1)  # of the problems that are asked
    with pytest.raises(BenchmarkError, match=f"the profile says {known}"):
        load(tmp_path, {**rows[0], "answer": "2"}, sha256=known)


def test_what_the_hub_does_not_give_is_one_line(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network here")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    says = "dataset simplescaling/aime24_nofigures: no network here; run `make fetch`"
    with pytest.raises(HubError, match=f"cannot fetch the {says}"):
        published("simplescaling/aime24_nofigures@main")


@pytest.mark.skipif(not DATA.exists(), reason="shared/data is not here")
@pytest.mark.parametrize(
    ("file", "hub", "count"),
    [
        ("aime24", "simplescaling/aime24_nofigures@main", 30),
        ("aime25", "simplescaling/aime25_nofigures@main", 30),
        ("math500", "simplescaling/openaimath@main", 500),
    ],
)
def test_the_real_test_sets_load_from_a_file_and_as_a_copy_of_the_hub(
    tmp_path, monkeypatch, file, hub, count
):
    here = published(DATA / f"{file}.jsonl")
    assert len(here) == count == len({problem.id for problem in here}) and {
        problem.kind for problem in here
    } == {"math"}
    (tmp_path / "data").mkdir()
    pd.read_json(DATA / f"{file}.jsonl", lines=True, dtype=False).to_parquet(
        tmp_path / "data" / "test-00000.parquet"
    )
    on_the_hub(monkeypatch, tmp_path)
    assert published(hub) == here
    assert all(
        grade(rf"so \boxed{{{problem.gold}}}", problem.gold).correct for problem in here[:30]
    )
