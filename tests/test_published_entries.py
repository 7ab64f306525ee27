"""The entries that ship: how many rows each table has, what its columns hold, what the hub says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import httpx2
import pandas as pd
import pytest
from huggingface_hub.errors import GatedRepoError

from s1lib.curation.pool import PoolError
from s1lib.curation.sources import SOURCES, collect, open_pool, read_questions
from s1lib.profile import load_profile
from s1lib.published.entries import TEST_SETS, Entry, section
from s1lib.published.hub import HubError, local_copy
from s1lib.published.questions import answered, question_id
from s1lib.published.table_files import TableError


def source(name: str, at: Path) -> list[Entry]:
    """The entries of one source of Table 7 on tables of our own, of which any number is right."""
    known = [entry for entry in section(SOURCES, "sources") if entry.source == name]
    return [dataclasses.replace(entry, at=str(at), count=None) for entry in known]


def questions(entry: Entry) -> list[tuple[str, str]]:
    return [(found.question, found.answer) for found in answered(entry)]


def write_lines(path: Path, *rows: dict) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def on_the_hub(monkeypatch, answer) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", answer)


# ---- how many rows -------------------------------------------------------------------------------


def test_a_pool_or_test_set_with_another_number_of_rows_is_refused(tmp_path, monkeypatch):
    on_the_hub(monkeypatch, lambda *_, **__: str(tmp_path))
    write_lines(tmp_path / "a.jsonl", {"problem": "Q", "answer": "1"})
    says = r"aime24_nofigures@main holds 1 problems and should hold 30: correct `files` or `count`"
    with pytest.raises(PoolError, match=says):
        read_questions("simplescaling/aime24_nofigures@main")

    row = {"question": "Q", "solution": "1", "source_type": "x", "attempt": "1"}
    write_lines(tmp_path / "a.jsonl", {**row, "thinking_trajectories": ["t"]})
    with pytest.raises(PoolError, match="holds 1 problems and should hold 1,000"):
        open_pool("simplescaling/s1K@main", log=lambda _: None)
    # A local copy may hold any number.
    assert len(open_pool(str(tmp_path), log=lambda _: None)) == 1


def test_rows_without_a_question_count_as_rows(tmp_path):
    write_lines(tmp_path / "a.jsonl", {"question": "Q"}, {"question": None})
    entry = Entry(str(tmp_path / "a.jsonl"), count=2)
    assert len(collect([entry], log=lambda _: None)) == 1
    with pytest.raises(PoolError, match="holds 2 problems and should hold 1"):
        collect([dataclasses.replace(entry, count=1)], log=lambda _: None)


def test_a_count_is_that_of_the_rows_that_where_and_limit_leave(tmp_path):
    write_lines(tmp_path / "a.jsonl", *({"question": f"Q{n}", "Year": 2020 + n} for n in range(5)))
    entry = Entry(str(tmp_path / "a.jsonl"), where={"Year": {"most": 2022}}, count=3)
    assert len(collect([entry], log=lambda _: None)) == 3
    assert len(collect([dataclasses.replace(entry, limit=2, count=2)], log=lambda _: None)) == 2


@pytest.mark.parametrize(
    ("path", "part"), [(SOURCES, "pools"), (SOURCES, "sources"), (TEST_SETS, "test_sets")]
)
def test_every_verified_entry_but_one_says_how_many_rows_it_has(path, part):
    entries = section(path, part)
    entries = entries.values() if isinstance(entries, dict) else entries
    # How many questions of LiveCodeBench's releases 1 to 3 are hard is not known.
    uncounted = {entry.source for entry in entries if entry.verified and not entry.count}
    assert uncounted <= {"LiveCodeBench"}


# ---- what the columns hold -----------------------------------------------------------------------


def test_an_entry_reads_what_stands_under_a_key_of_a_dict(tmp_path):
    write_lines(
        tmp_path / "a.jsonl",
        {"question": "Q", "other": {"solution": "one", "level": 5}},
        {"question": "R", "other": {"level": 5}},
        {"question": "S", "other": None},
        {"question": "T", "other": {"solution": "two", "level": 4}},
    )
    entry = Entry(str(tmp_path / "a.jsonl"), answer="{other[solution]}", kind="open")
    assert questions(entry) == [("Q", "one"), ("R", ""), ("S", ""), ("T", "two")]
    hardest = dataclasses.replace(entry, where={"other[level]": [5]})
    assert questions(hardest) == [("Q", "one"), ("R", "")]
    assert hardest.columns == {"question", "other"}


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("text", "line 1: column 'other' holds str, which has no key 'solution'"),
        (["one"], "line 1: column 'other' holds list, which has no key 'solution'"),
        ({"solution": {"final": 1}}, "line 1: column 'other' holds dict, not text"),
    ],
)
def test_a_cell_that_is_no_dict_and_a_dict_in_a_dict_are_refused(tmp_path, cell, says):
    write_lines(tmp_path / "a.jsonl", {"question": "Q", "other": cell})
    with pytest.raises(TableError, match=says):
        questions(Entry(str(tmp_path / "a.jsonl"), answer="{other[solution]}"))


def test_AGIEval_is_read_as_the_official_script_reads_it(tmp_path):
    row = {"passage": "P.", "question": "Q?", "options": ["(A)1", "(B)2"], "label": "B"}
    write_lines(tmp_path / "sat-en.jsonl", {**row, "other": {"solution": "S"}})
    write_lines(tmp_path / "logiqa-en.jsonl", {**row, "passage": "L.", "other": None})
    write_lines(tmp_path / "sat-en-without-passage.jsonl", {**row, "passage": None})
    bare = {**row, "passage": None, "options": None}
    write_lines(tmp_path / "aqua-rat.jsonl", {**bare, "other": {"solution": "A"}})
    levels = [{**bare, "other": {"solution": str(level), "level": level}} for level in (4, 5)]
    write_lines(tmp_path / "math.jsonl", *levels)

    passages, plain, hardest = source("AGIEval", tmp_path)
    assert questions(passages) == [("L.Q?\n(A)1\n(B)2", ""), ("P.Q?\n(A)1\n(B)2", "S")]
    assert questions(plain) == [("Q?", "A")] and questions(hardest) == [("Q?", "5")]


def test_a_table_that_is_on_no_hub_says_how_to_get_it(tmp_path):
    entry, *_ = source("AGIEval", tmp_path / "data" / "v1")
    with pytest.raises(TableError, match="v1 does not exist, and no hub has it: run `git clone"):
        questions(entry)


def test_SciEval_leaves_out_rows_and_files_without_answers(tmp_path):
    rows = [
        {"question": "Which gas?\n\nA. x\n\nAnswer:", "answer": ["A"]},
        {"question": "Which metal?\n\nAnswer:", "answer": None},
        {"question": "Which base?\nOptimal solvent:", "answer": ["CO", "C"]},
        {"question": "Which acid?\n\nAnswer:", "answer": []},
    ]
    (tmp_path / "scieval-test-local.json").write_text(json.dumps(rows))
    (tmp_path / "scieval-test.json").write_text(json.dumps([{"question": "never read"}]))
    (entry,) = source("SciEval", tmp_path)
    assert sorted(questions(entry)) == [
        ("Which base?\nWhat is the optimal solvent?", "CO"),
        ("Which gas?\n\nA. x", "A"),
    ]


def test_a_crossword_has_the_text_and_so_the_id_of_the_published_pool(tmp_path):
    write_lines(
        tmp_path / "a.jsonl",
        {"input": "### Instruction: solve\n\nit\n\n### Clue: Bird in hand (4)", "output": "WREN"},
    )
    (entry,) = source("crosswords", tmp_path)
    ((question, answer),) = questions(entry)
    assert answer == "WREN" and question_id(question) == question_id(
        "Solve the crossword puzzle. You are presented with a clue as input and the number of "
        "letters in brackets.\n\nBird in hand (4)"
    )


def test_TheoremQA_leaves_out_questions_with_a_picture(tmp_path):
    picture = [None, {"bytes": b"png", "path": "p.png"}]
    columns = {"Question": ["Q", "R"], "Answer": ["1", "2"], "Picture": picture}
    pd.DataFrame(columns).to_parquet(tmp_path / "test-0.parquet")
    (entry,) = source("TheoremQA", tmp_path)
    assert questions(entry) == [("Q", "1")]


def test_AIME_of_2022_is_in_the_pool_and_later_years_are_not(tmp_path):
    years = range(2020, 2025)
    write_lines(
        tmp_path / "a.jsonl", *({"Question": f"{y}?", "Answer": y, "Year": y} for y in years)
    )
    (entry,) = source("AIME 1983–2021", tmp_path)
    assert [question for question, _ in questions(entry)] == ["2020?", "2021?", "2022?"]


# ---- what the profiles ask of the hub ------------------------------------------------------------


@pytest.mark.parametrize("name", ["gpu", "h100", "h100x16"])
def test_the_published_pools_are_not_decontaminated_twice(name):
    assert load_profile(name).curation.also_tests == ()


def test_what_has_a_known_revision_is_pinned_in_the_profile_as_in_its_entry():
    profile, pools = load_profile("h100"), section(SOURCES, "pools")
    published = {one.name: one.path for one in profile.sft.published}
    assert published["s1.1"] == pools["s1K-1.1"].at
    assert len(profile.evaluation.reward.partition("@")[2]) == 40


# ---- what the hub says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "page"), [("dataset", "datasets/some/body"), ("model", "some/body")]
)
def test_a_gated_repository_names_its_page_and_the_way_out(monkeypatch, kind, page):
    def gated(*_, **__):
        response = httpx2.Response(403, request=httpx2.Request("GET", "https://huggingface.co"))
        raise GatedRepoError("403 Client Error.\n\nCannot access gated repo", response=response)

    on_the_hub(monkeypatch, gated)
    with pytest.raises(HubError) as error:
        local_copy(kind, "some/body@main")
    assert str(error.value) == (
        f"cannot fetch the {kind} some/body: it is gated; accept its terms at "
        f"https://huggingface.co/{page} and log in with `hf auth login`, "
        "or name a local copy instead"
    )


def test_a_connection_that_breaks_off_is_one_line(monkeypatch):
    def broken(*_, **__):
        raise httpx2.ReadTimeout("the read operation timed out")

    on_the_hub(monkeypatch, broken)
    with pytest.raises(
        HubError, match=r"some/body: the read operation timed out; run `make fetch`"
    ):
        local_copy("dataset", "some/body@main")


def test_only_the_files_that_an_entry_reads_are_fetched(tmp_path, monkeypatch):
    asked = []

    def cached(*_, allow_patterns, **__):
        asked.append(allow_patterns)
        return str(tmp_path)

    on_the_hub(monkeypatch, cached)
    write_lines(tmp_path / "test.jsonl", *({"question_content": f"Q{n}"} for n in range(713)))
    assert len(read_questions("LiveCodeBench-v4")) == 713
    assert asked == [["test.jsonl", "test2.jsonl", "test3.jsonl", "test4.jsonl"]]
