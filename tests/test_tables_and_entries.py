"""What a cell of a table is as text, whatever form the table lies in, and what is refused."""

from __future__ import annotations

import csv
import datetime
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s1lib.curation.pool import PoolError
from s1lib.curation.sources import read_questions
from s1lib.published.entries import Entry, section
from s1lib.published.questions import answered, gold_letter, questions
from s1lib.published.table_files import TableError, columns_of, read_rows

FORMS = ("jsonl", "json", "csv", "parquet", "arrow")


def write(path: Path, columns: dict[str, list]) -> Path:
    """A table in the form that the suffix of `path` names."""
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix in (".json", ".jsonl"):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(json.dumps(rows) if path.suffix == ".json" else lines)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        with pa.ipc.new_stream(path, pa.table(columns).schema) as file:
            file.write_table(pa.table(columns))
    return path


def texts(path: Path, entry: str = "{a}", **more) -> list[str]:
    """What an entry reads of a table's answers."""
    return [found.answer for found in answered(Entry(str(path), answer=entry, kind="open", **more))]


def refused(path: Path, entry: str = "{a}", **more) -> str:
    with pytest.raises(TableError) as error:
        texts(path, entry, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- a cell as text ------------------------------------------------------------------------------

CELLS = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.sampled_from(["1.10", "007", "1e3", "NA", "null", "True", "2020-01-31", "a,b", 'say "x"']),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
COLUMN = st.one_of(*(st.lists(st.none() | cell, min_size=3, max_size=3) for cell in CELLS))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(COLUMN, COLUMN)
def test_a_table_gives_the_same_texts_from_every_form(tmp_path, first, second):
    columns = {"question": ["one", "two", "three"], "a": first, "b": second}
    found = {}
    for form in FORMS:
        entry = Entry(str(write(tmp_path / f"t.{form}", columns)), answer="{a}", trace="{b}")
        found[form] = [[row[name] or "" for name in "ab"] for _, row, _ in questions(entry)]
    expected = [
        ["" if cell is None else str(cell) for cell in row]
        for row in zip(first, second, strict=True)
    ]
    assert found == dict.fromkeys(FORMS, expected)


def test_cells_of_a_csv_stay_the_text_they_are(tmp_path):
    cells = ["1.10", "007", "1e3", "NA", "True", "two\nlines", "2020-01-31", "12345678901234567890"]
    columns = {"question": ["Q"] * len(cells), "a": cells}
    assert texts(write(tmp_path / "t.csv", columns)) == cells


def test_an_empty_cell_is_absent_and_zero_is_a_value(tmp_path):
    (tmp_path / "t.csv").write_text('question,a\nQ,\nQ,""\nQ,0\n')
    assert [row["a"] for _, row in read_rows(tmp_path / "t.csv")] == [None, "", "0"]
    columns = {"question": ["Q"] * 4, "a": [None, 0, False, ""]}
    assert texts(write(tmp_path / "t.jsonl", columns)) == ["", "0", "False", ""]
    nan = {"question": ["Q", "Q"], "a": [float("nan"), 1.5]}
    for form in ("parquet", "arrow", "jsonl", "json"):
        assert texts(write(tmp_path / f"t.{form}", nan)) == ["", "1.5"]


def test_numbers_keep_every_digit_that_their_file_holds(tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"question": "Q", "a": 1.10}\n'
        '{"question": "Q", "a": 3.14159265358979323846}\n'
        '{"question": "Q", "a": 123456789012345678901234567890}\n'
        '{"question": "Q", "a": 42.0}\n'
    )
    as_written = ["1.10", "3.14159265358979323846", "123456789012345678901234567890", "42.0"]
    assert texts(tmp_path / "t.jsonl") == as_written
    for cells, expected in (
        ([0.1, 42.0], ["0.1", "42.0"]),
        ([2**62 + 1, 7], [str(2**62 + 1), "7"]),
        ([Decimal("1.10"), Decimal("0.00")], ["1.10", "0.00"]),
    ):
        columns = {"question": ["Q", "Q"], "a": cells}
        assert texts(write(tmp_path / "t.parquet", columns)) == expected


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ({"final": "7"}, "row 2: column 'a' holds dict, not text"),
        ([{"final": "7"}], "row 2: column 'a' holds dict, not text"),
        (b"7", "row 2: column 'a' holds bytes, not text"),
        (datetime.date(2025, 1, 2), "row 2: column 'a' holds date, not text"),
        (float("inf"), "row 2: column 'a' holds an infinite number"),
        (["7", "8"], "row 2: column 'a' holds 2 values, and one is needed"),
    ],
)
def test_what_is_no_text_is_refused_with_its_row_and_column(tmp_path, cell, says):
    path = write(tmp_path / "t.parquet", {"question": ["Q", "Q"], "a": [None, cell]})
    assert f"t.parquet, {says}" in refused(path)


def test_a_list_of_one_is_its_text_and_an_entry_chooses_among_several(tmp_path):
    one, two = {"question": ["Q"], "a": [["x"]]}, {"question": ["Q"], "a": [["x", "y"]]}
    assert texts(write(tmp_path / "one.jsonl", one)) == ["x"]
    path = write(tmp_path / "two.jsonl", two)
    assert "{a[0]} is the first, {a[*]} all of them as lines" in refused(path)
    assert texts(path, "{a[1]}") == ["y"] and texts(path, "{a[*]}") == ["x\ny"]
    assert texts(path, "{a[2]}") == [""]
    assert Entry("x", question="{q[0]} {r[*]}").columns == {"q", "r"}


# ---- rows ----------------------------------------------------------------------------------------


def test_rows_that_an_entry_leaves_out_may_hold_what_is_no_text(tmp_path):
    columns = {"question": ["Q", "R"], "Picture": [{"bytes": "x"}, None], "a": [{"b": 1}, "7"]}
    path = write(tmp_path / "t.jsonl", columns)
    assert texts(path, where={"Picture": [None]}) == ["7"]


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_chosen_by_value_whatever_form_the_table_lies_in(tmp_path, form):
    columns = {"question": ["Q"] * 3, "level": [5, 4, None], "a": ["x", "y", "z"]}
    path = write(tmp_path / f"t.{form}", columns)
    assert texts(path, where={"level": [5]}) == ["x"]
    assert texts(path, where={"level": [None]}) == ["z"]
    assert texts(path, where={"level": {"most": 4}}) == ["y"]


def test_a_row_that_is_no_object_and_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"question": "Q", "a": "1"}\n["Q", "1"]\n')
    assert "t.jsonl, line 2: expected columns, found list" in refused(tmp_path / "t.jsonl")
    (tmp_path / "t.csv").write_text("question,a,a\nQ,1,2\n")
    assert "t.csv: two columns have the same name" in refused(tmp_path / "t.csv")
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    assert "line 1: not a complete JSON line" in refused(tmp_path / "deep.jsonl")


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path):
    for name, text in (("t.jsonl", '{"a": "1"}'), ("t.json", '[{"a": "1"}]'), ("t.csv", "a\n1\n")):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert columns_of(tmp_path / name) == {"a"}


def test_a_filter_of_an_entry_that_is_no_list_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text("sources: [{at: a.jsonl, where: {language: EN}}]")
    with pytest.raises(TableError, match=r"where, 'language': expected a list of values"):
        section(tmp_path / "mine.yaml", "sources")


# ---- choices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["B", "b", "(B)", " B ", "B.", "B)", "(b).", "B:"])
def test_a_gold_letter_is_read_however_a_table_writes_it(written):
    assert gold_letter(written, "row 1") == "B"


@pytest.mark.parametrize("written", ["AB", "42", "iron", "(B) iron", "", "É", "A, B"])
def test_a_gold_answer_that_is_no_letter_is_refused_for_a_choice(written):
    with pytest.raises(TableError, match=r"row 1: the answer .* is not the letter of an option"):
        gold_letter(written, "row 1")


def test_the_answer_to_a_choice_of_an_entry_is_its_letter(tmp_path):
    path = write(tmp_path / "t.csv", {"question": ["Q", "R"], "a": ["(B)", None]})
    found = answered(Entry(str(path), answer="{a}", kind="choice"))
    assert [question.answer for question in found] == ["B", ""]
    path = write(tmp_path / "t.csv", {"question": ["Q"], "a": ["iron"]})
    with pytest.raises(TableError, match="row 1: the answer 'iron' to a choice is not the letter"):
        list(answered(Entry(str(path), answer="{a}", kind="choice")))


def test_options_keep_their_spelling_and_a_null_one_is_refused(tmp_path):
    choices = {"right": "right", "wrong": ["wrong"]}
    path = write(tmp_path / "t.csv", {"question": ["Q"], "right": ["1.10"], "wrong": ["007"]})
    (found,) = answered(Entry(str(path), choices=choices))
    assert sorted(line[3:] for line in found.question.splitlines()[2:]) == ["007", "1.10"]
    assert f"{found.answer}) 1.10" in found.question
    for form in FORMS:
        columns = {"question": ["Q", "R"], "right": ["1", "2"], "wrong": ["3", None]}
        path = write(tmp_path / f"null.{form}", columns)
        with pytest.raises(TableError, match=r"(row|line) 2: the option in column 'wrong' is null"):
            list(answered(Entry(str(path), choices=choices)))


# ---- test questions to keep out of training ------------------------------------------------------


def test_two_questions_of_one_id_are_both_kept_numbered_and_said(tmp_path):
    columns = {"id": [1, 1, 1, 2], "problem": ["first", "second", "first", "third"]}
    said: list[str] = []
    found = read_questions(str(write(tmp_path / "aime.jsonl", columns)), log=said.append)
    assert found == {"1": "first", "1-2": "second", "2": "third"}
    assert len(said) == 1 and "aime.jsonl: 1 questions share an id with another" in said[0]


@given(st.lists(st.tuples(st.sampled_from(["1", "1-2", "2"]), st.sampled_from("abcd"))))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_test_question_is_lost_whatever_the_ids(tmp_path, rows):
    columns = {"id": [id_ for id_, _ in rows], "problem": [question for _, question in rows]}
    found = read_questions(str(write(tmp_path / "t.jsonl", columns)), log=lambda _: None)
    assert set(found.values()) == {question for _, question in rows}


def test_an_id_of_zero_is_an_id_and_a_null_question_is_refused(tmp_path):
    path = write(tmp_path / "t.jsonl", {"id": [0], "question": [None], "problem": ["Q"]})
    assert read_questions(str(path)) == {"0": "Q"}
    path = write(tmp_path / "t.jsonl", {"id": [0], "question": [" "]})
    with pytest.raises(PoolError, match=r"line 1: column 'question' .* is missing or empty"):
        read_questions(str(path))


def test_a_copy_of_a_published_test_set_is_told_by_its_columns(tmp_path):
    wrong = {f"Incorrect Answer {number}": ["x", "y"] for number in (1, 2, 3)}
    columns = {"Question": ["Which gas?", "Which metal?"], "Correct Answer": ["a", "b"], **wrong}
    path = write(tmp_path / "gpqa_diamond.csv", columns)
    assert list(read_questions(str(path)).values()) == columns["Question"]
    columns["Question"] = ["Which gas?", None]
    with pytest.raises(PoolError, match=r"row 2: column 'question' .* is missing or empty"):
        read_questions(str(write(path, columns)))
