"""Pools and test sets as they lie on the hub or a disk (paper, Table 7).

Many forms, one schema, one line for what is wrong.
"""

from __future__ import annotations

import hashlib
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import sample

from s1lib.curation import sources
from s1lib.curation.pool import PoolError, fingerprint, save_pool
from s1lib.curation.sources import SOURCES, collect, open_pool, read_questions
from s1lib.published.entries import section
from s1lib.published.hub import HubError
from s1lib.published.paper_numbers import load
from s1lib.published.questions import question_id, reference_answer
from s1lib.published.table_files import TableError

PUBLISHED = {
    "solution": [r"so $x=2$, \boxed{2}", "by symmetry, Q.E.D. " * 9, "Answer: B", None],
    "question": ["Find x.", "Prove it.", "Which one?", "Write a program."],
    "cot_type": ["math", "math", "science", "coding"],
    "source_type": [
        "qfq/openaimath/Algebra",
        "AI-MO/NuminaMath-CoT/aops_forum",
        "Idavidrein/gpqa",
        "LiveCodeBench/release_v1",
    ],
    "metadata": ["{}"] * 4,
    "thinking_trajectories": [["I think"], ["first\nsecond"], None, []],
    "attempt": ["2", "it holds", "B", None],
}


def write(path, columns) -> str:
    """`columns` in the form that the suffix of `path` names."""
    table, rows = (
        pa.table(columns),
        [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".arrow":
        with pa.ipc.new_stream(path, table.schema) as file:
            file.write_table(table)
    elif path.suffix == ".feather":
        with pa.ipc.new_file(path.with_suffix(".arrow"), table.schema) as file:
            file.write_table(table)
        return str(path.with_suffix(".arrow"))
    elif path.suffix == ".csv":
        pd.DataFrame(columns).to_csv(path, index=False)
    else:
        path.write_text(
            json.dumps(rows)
            if path.suffix == ".json"
            else "".join(json.dumps(row) + "\n" for row in rows)
        )
    return str(path)


def quiet(reference):
    return open_pool(reference, log=lambda line: None)


@pytest.mark.parametrize(
    "name",
    ["s1K.parquet", "s1K.jsonl", "s1K.json", "s1K.arrow", "s1K.feather", "data/train-0.parquet"],
)
def test_a_published_pool_reads_the_same_from_every_form(tmp_path, name):
    path = write(tmp_path / name, PUBLISHED)
    pool = quiet(str(tmp_path) if "/" in name else path)
    assert [s.source for s in pool] == ["MATH", "NuminaMATH", "GPQA", "LiveCodeBench"]
    assert [(s.answer, s.kind) for s in pool][::2] == [("2", "math"), ("B", "choice")]
    assert [s.kind for s in pool][1::2] == ["open", "open"] and pool[3].answer == ""
    assert [s.trace for s in pool] == ["I think", "first\nsecond", "", ""] and pool[3].attempt == ""
    assert pool[0].id == hashlib.sha256(b"Find x.").hexdigest()[:16] and not any(
        s.domain for s in pool
    )


def test_s1K_1_1_is_told_by_its_columns_and_gives_the_traces_of_r1(tmp_path):
    columns = {key: PUBLISHED[key][:1] for key in ("solution", "question", "source_type")}
    path = write(
        tmp_path / "x.parquet",
        {**columns, "deepseek_thinking_trajectory": ["r1 thinks"], "deepseek_attempt": ["2"]},
    )
    assert [(s.trace, s.attempt) for s in quiet(path)] == [("r1 thinks", "2")]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
def test_a_pool_in_our_own_columns_reads_back_from_every_form(tmp_path, suffix):
    samples = [sample("a"), sample("b", error="503", kind="open")]
    save_pool(tmp_path / "pool.jsonl", samples)
    rows = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    path = write(
        tmp_path / f"copy{suffix}", {name: [row[name] for row in rows] for name in rows[0]}
    )
    assert quiet(path) == samples and fingerprint(quiet(path)) == fingerprint(
        samples
    ) != fingerprint(samples[:1])


def test_a_repeated_question_keeps_an_id_of_its_own_for_the_audit(tmp_path):
    twice = {name: [values[0], values[0]] for name, values in PUBLISHED.items()}
    first, second = quiet(write(tmp_path / "x.parquet", twice))
    assert second.id == f"{first.id}-2" and second.question == first.question


def test_rows_without_a_question_are_left_out_and_counted(tmp_path):
    said: list[str] = []
    pool = open_pool(
        write(tmp_path / "x.parquet", {**PUBLISHED, "question": ["Q", None, " ", "R"]}),
        log=said.append,
    )
    assert [s.question for s in pool] == [
        "Q",
        "R",
    ] and "2 questions, 2 rows without one left out" in said[0]


@pytest.mark.parametrize(
    ("solution", "answer", "kind"),
    [
        (r"long text \boxed{\frac{1}{2}} done", r"\frac{1}{2}", "math"),
        ("204", "204", "math"),
        ("(C)", "C", "choice"),
        ("D", "D", "choice"),
        ("text\n\nAnswer: A", "A", "choice"),
        ("a proof " * 20, ("a proof " * 20).strip(), "open"),
        ("two\nlines", "two\nlines", "open"),
        ("", "", "open"),
    ],
)
def test_a_solution_is_graded_by_program_where_it_has_an_answer_of_its_own(solution, answer, kind):
    assert reference_answer(solution) == (answer, kind)


def test_an_entry_filters_cleans_lists_choices_and_limits(tmp_path):
    write(
        tmp_path / "g.csv",
        {
            "Question": ["### Q one\nAnswer:", "two", "three", "four"],
            "Right": ["r", "r", "r", "r"],
            "Wrong 1": ["w", "w", "w", "w"],
            "Year": [2021, 2022, 1999, 2000],
            "Picture": [None, None, "p.png", None],
        },
    )
    (tmp_path / "mine.yaml").write_text(
        f"""
sources:
  - source: Mine
    at: {tmp_path}/g.csv
    question: "Think. {{Question}}"
    clean: {{"### ": "", "\\\\s*Answer:$": ""}}
    choices: {{right: Right, wrong: [Wrong 1]}}
    where: {{Year: {{most: 2021}}, Picture: [null, ""]}}
  - {{source: One, at: {tmp_path}/g.csv, question: "{{Question}}", limit: 1, kind: open}}
"""
    )
    pool = quiet(str(tmp_path / "mine.yaml"))
    mine = [s for s in pool if s.source == "Mine"]
    assert [s.question.splitlines()[0] for s in mine] == ["Think. Q one", "Think. four"]
    for s in mine:
        assert (
            s.kind == "choice"
            and f"{s.answer}) r" in s.question
            and {"A) w", "B) w"} & set(s.question.splitlines())
        )
    assert [s.kind for s in pool if s.source == "One"] == ["open"] and quiet(
        str(tmp_path / "mine.yaml")
    ) == pool


def test_the_entries_that_ship_are_the_16_of_table_7_and_the_published_pools():
    entries = section(SOURCES, "sources")
    assert {entry.source for entry in entries} == set(load("table7")["dataset"]) - {"total"}
    assert set(section(SOURCES, "pools")) == {"s1K", "s1K-1.1", "full59K"}
    assert all(entry.columns for entry in entries)
    assert set(sources._published().values()) == {entry.source for entry in entries}


def test_test_sets_are_read_by_path_or_by_an_entry(tmp_path, monkeypatch):
    (tmp_path / "t.jsonl").write_text('{"id": "a", "question": "Q1"}\n{"problem": "Q2"}\n')
    assert read_questions(str(tmp_path / "t.jsonl")) == {"a": "Q1", question_id("Q2"): "Q2"}
    (tmp_path / "bad.jsonl").write_text('{"text": "Q"}\n')
    with pytest.raises(PoolError, match=r"line 1: column 'question' \(or 'problem'\) is missing"):
        read_questions(str(tmp_path / "bad.jsonl"))
    options = {
        name: ["x"]
        for name in (
            "Correct Answer",
            "Incorrect Answer 1",
            "Incorrect Answer 2",
            "Incorrect Answer 3",
        )
    }
    # The entry of the hub's table says that it has 198 rows.
    rows = {name: cells * 198 for name, cells in {"Question": ["Hard?"], **options}.items()}
    write(tmp_path / "hub" / "gpqa_diamond.csv", rows)
    hub = str(tmp_path / "hub")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: hub)
    assert (
        list(read_questions("GPQA-Diamond").values())
        == list(read_questions("Idavidrein/gpqa@abc").values())
        == ["Hard?"]
    )


# ---- what is wrong, in one line ------------------------------------------------------------------


def refused(reference) -> str:
    with pytest.raises((PoolError, TableError)) as error:
        quiet(str(reference))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_bytes_that_are_not_utf_8_are_named_with_their_line(tmp_path):
    save_pool(tmp_path / "p.jsonl", [sample("a")])
    with (tmp_path / "p.jsonl").open("ab") as file:
        file.write(b'{"question": "caf\xe9"}\n')
    assert "p.jsonl, line 2: not UTF-8 (byte 0xe9)" in refused(tmp_path / "p.jsonl")
    (tmp_path / "p.csv").write_bytes(b"question,answer\ncaf\xe9,1\n")
    assert "p.csv" in refused(tmp_path / "p.csv")
    (tmp_path / "p.json").write_bytes(b'[{"question": "caf\xe9"}]')
    assert "not JSON in UTF-8" in refused(tmp_path / "p.json")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.jsonl", b'{"id": "a", "que', "line 1: not a complete JSON line"),
        ("p.jsonl", b"", "holds no samples"),
        ("p.parquet", b"PAR1 not really", "damaged"),
        ("p.arrow", b"nothing of the kind", "damaged"),
        ("p.json", b'{"a": 1}', "expected one list of rows, found dict"),
        ("p.xlsx", b"PK", "cannot read .xlsx; known: .jsonl"),
    ],
)
def test_a_damaged_or_unknown_file_is_one_line_with_its_name(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path / name)
    assert says in message and name in message


def test_a_missing_file_or_an_empty_folder_says_so(tmp_path):
    assert "does not exist" in refused(tmp_path / "none.parquet")
    assert "holds no .jsonl" in refused(tmp_path)


def test_a_missing_column_names_those_there_are(tmp_path):
    path = write(tmp_path / "x.jsonl", {key: PUBLISHED[key] for key in ("question", "solution")})
    assert "column 'id' is missing" in refused(path)
    (tmp_path / "mine.yaml").write_text(
        f'sources: [{{source: A, at: {path}, question: "{{problem}}"}}]'
    )
    assert "line 1: column 'problem' is missing; there are: question, solution" in refused(
        tmp_path / "mine.yaml"
    )


def test_a_value_that_is_no_text_is_named(tmp_path):
    path = write(tmp_path / "x.parquet", {"question": [{"a": 1}]})
    (tmp_path / "mine.yaml").write_text(f"sources: [{{source: A, at: {path}}}]")
    assert "row 1: column 'question' holds dict, not text" in refused(tmp_path / "mine.yaml")
    save_pool(tmp_path / "p.jsonl", [sample("a")])
    row = json.loads((tmp_path / "p.jsonl").read_text())
    (tmp_path / "p.jsonl").write_text(json.dumps({**row, "answer": 7}))
    assert "line 1: column 'answer' must be text, not int" in refused(tmp_path / "p.jsonl")


def test_half_a_surrogate_pair_is_refused_in_own_columns_and_replaced_elsewhere(
    tmp_path,
):
    save_pool(tmp_path / "p.jsonl", [sample("a")])
    row = json.loads((tmp_path / "p.jsonl").read_text())
    (tmp_path / "p.jsonl").write_text(json.dumps({**row, "trace": "\ud800"}))
    assert "line 1: column 'trace' holds half a surrogate pair" in refused(tmp_path / "p.jsonl")
    published = {name: values[0] for name, values in PUBLISHED.items()} | {
        "thinking_trajectories": ["so \ud800"]
    }
    (tmp_path / "x.jsonl").write_text(json.dumps(published))
    assert [s.trace for s in quiet(str(tmp_path / "x.jsonl"))] == ["so ?"]


def test_duplicated_ids_of_a_pool_in_our_own_columns_are_refused(tmp_path):
    save_pool(tmp_path / "p.jsonl", [sample("a"), sample("a")])
    assert "line 2: id 'a' was used on line 1" in refused(tmp_path / "p.jsonl")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sources: [{source: A}]", "sources[0]: an entry needs the key 'at'"),
        ("sources: [{at: a.jsonl, quesion: b}]", "unknown key 'quesion'"),
        ("sources: [{at: a.jsonl, kind: essay}]", "kind 'essay' is unknown"),
        ("tests: {}", "no section 'sources'"),
        ("sources: [", "not a YAML file of sources"),
    ],
)
def test_a_mistake_in_a_sources_file_is_one_line(tmp_path, text, says):
    (tmp_path / "mine.yaml").write_text(text)
    assert says in refused(tmp_path / "mine.yaml")


def test_what_the_hub_does_not_give_says_why_and_the_way_out(monkeypatch):
    def unreachable(*_, local_files_only=False, **__):
        raise OSError("no network here\nat all")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(
        HubError,
        match=r"cannot fetch the dataset simplescaling/s1K: no network here; run `make fetch`",
    ) as error:
        quiet("simplescaling/s1K@main")
    assert "\n" not in str(error.value)


def test_a_fetched_repository_needs_no_network(tmp_path, monkeypatch):
    # The entry of the hub's table says that it has 1,000 rows.
    write(tmp_path / "data" / "train-00000.parquet", {k: v * 250 for k, v in PUBLISHED.items()})
    asked = []

    def cached(name, *, revision, repo_type, local_files_only=False, **_):
        asked.append((name, revision, repo_type, local_files_only))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", cached)
    assert len(quiet("simplescaling/s1K@abc123")) == 1000
    assert asked[0] == ("simplescaling/s1K", "abc123", "dataset", True) and all(
        local for *_, local in asked
    )


def test_collecting_nothing_is_an_error():
    with pytest.raises(PoolError, match="the sources hold no question"):
        collect([], log=print)
