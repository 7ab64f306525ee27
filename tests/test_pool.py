"""The pool's file (paper, section 2.1): what reads back, and what is refused."""

from __future__ import annotations

import json

import pytest
from samples import sample

from s1lib.curation.pool import PoolError, load_pool, save_pool, trace_tokens
from s1lib.keeping.files import ArtifactError


def test_a_pool_reads_back_as_it_was_saved(tmp_path):
    samples = [
        sample("a"),
        sample("b", trace="", attempt="", error="503"),
        sample("ü", kind="choice", answer="B"),
    ]
    save_pool(tmp_path / "pool.jsonl", samples)
    assert load_pool(tmp_path / "pool.jsonl") == samples


GOOD = {
    "id": "a",
    "question": "q",
    "answer": "1",
    "source": "s",
    "domain": "d",
    "trace": "t",
    "attempt": "1",
}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([GOOD, {**GOOD, "id": "b", "trace": None}], "line 2: column 'trace' is null"),
        ([{k: v for k, v in GOOD.items() if k != "domain"}], "line 1: column 'domain' is missing"),
        ([GOOD, GOOD], "line 2: id 'a' was used on line 1"),
        ([{**GOOD, "answer": 7}], "line 1: column 'answer' must be text, not int"),
        ([{**GOOD, "kind": "essay"}], "kind 'essay' is unknown"),
        ([["a"]], "expected one JSON object per line, found list"),
        ([], "holds no samples"),
    ],
)
def test_a_bad_pool_is_refused_in_one_line_that_says_where(tmp_path, rows, says):
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(PoolError) as error:
        load_pool(path)
    assert (
        says in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)
    )


def test_a_cut_or_missing_pool_is_an_artifact_error(tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD)[:20])
    with pytest.raises(ArtifactError, match="line 2"):
        load_pool(path)
    with pytest.raises(ArtifactError, match="does not exist"):
        load_pool(tmp_path / "none.jsonl")


def test_a_hub_id_is_refused_with_the_way_out():
    with pytest.raises(PoolError, match="save it as JSON lines"):
        load_pool("simplescaling/s1K@main")


def test_trace_length_is_counted_in_tokens_of_the_models_tokenizer(tiny_model_dir):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    traces = ["a: 34+39=73", "", "result 73\nWait, again "]
    samples = [sample(str(i), trace=trace) for i, trace in enumerate(traces)]
    assert trace_tokens(samples, tokenizer, batch=2) == {
        str(i): len(tokenizer.tokenize(trace)) for i, trace in enumerate(traces)
    }
    assert (
        trace_tokens(samples, tokenizer)["1"]
        == 0
        < trace_tokens(samples, tokenizer)["0"]
        <= len(traces[0])
    )
