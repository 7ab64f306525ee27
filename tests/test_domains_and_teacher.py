"""Domains from a classifier, traces from a teacher (paper, sections 2.1 and 2.2)."""

from __future__ import annotations

import asyncio
import re

import pytest
from chat_server import ChatServer, with_assistant
from samples import sample

from s1lib.assistants.assistant import TRIES
from s1lib.assistants.replies import AssistantError
from s1lib.curation.distillation import with_traces
from s1lib.curation.domains import DomainError, prompt, subject, with_domains
from s1lib.curation.quality import filter_quality

# ---- domains -------------------------------------------------------------------------------------


def test_a_subject_is_the_code_that_ends_the_reply():
    assert (
        subject("Triangles.\n51") == "Geometry"
        and subject("11.") == "Number theory"
        and subject("**92**") == "Biology"
    )
    assert (
        subject("51 fits best") is None
        and subject("99") is None
        and subject("2051") is None
        and subject("") is None
    )


def test_the_prompt_lists_every_class_once_and_those_of_table_6_among_them():
    codes = re.findall(r"^(\d\d) ", prompt("Q?"), re.MULTILINE)
    assert len(codes) == len(set(codes)) == 66
    for name in (
        "Geometry",
        "Number theory",
        "ODEs",
        "Electromagnetic theory",
        "Astronomy",
        "Algebraic systems",
    ):
        assert (
            subject(next(line for line in prompt("Q?").splitlines() if f" {name}:" in line)[:2])
            == name
        )


def test_questions_without_a_domain_are_classified_or_left_out(
    tmp_path,
):
    samples = [
        sample("known", domain="Logic"),
        sample("new", domain="", question="Triangle?"),
        sample("odd", domain="", question="Eh?"),
    ]
    said: list[str] = []
    with ChatServer(
        lambda prompt, body: "Plane figures.\n51" if "Triangle?" in prompt else "no idea"
    ) as server:
        labelled, _ = with_assistant(
            server.settings(),
            tmp_path / "d.jsonl",
            lambda a: with_domains(samples, a, log=said.append),
        )
        assert server.requests.total() == 1 + TRIES
    assert [(s.id, s.domain) for s in labelled] == [("known", "Logic"), ("new", "Geometry")]
    assert "1 of 2 questions left out" in said[0]


def test_a_classifier_of_which_no_reply_can_be_read_ends_the_run_in_one_line(tmp_path):
    samples = [sample("a", domain="Logic"), sample("b", domain=""), sample("c", domain="")]
    says = "tested: no reply to any of 2 prompts can be read, for example 'It is about coins.'"
    with (
        ChatServer(lambda prompt, body: "It is about coins.") as server,
        pytest.raises(AssistantError, match=says),
    ):
        with_assistant(server.settings(), tmp_path / "d.jsonl", lambda a: with_domains(samples, a))
    assert set(server.requests.values()) == {TRIES}


def test_labels_of_the_input_need_no_classifier_and_missing_ones_say_what_to_set():
    assert asyncio.run(with_domains([sample("a")], None)) == [sample("a")]
    with pytest.raises(
        DomainError, match=r"1 of 2 questions have no domain: name a model in curation\.classifier"
    ):
        asyncio.run(with_domains([sample("a"), sample("b", domain="")], None))


# ---- teacher -------------------------------------------------------------------------------------


def test_the_teacher_writes_missing_traces_and_a_failed_call_is_an_api_error(
    tmp_path,
):
    samples = [
        sample("has"),
        sample("new", trace="", attempt="", question="N?"),
        sample("bad", trace="", question="B?"),
        sample("mute", trace="", question="M?"),
        sample("old", trace="", error="503"),
    ]
    replies = {"N?": ("34+39=73\nresult 73", "Answer: 73"), "B?": 500, "M?": "Answer: 73"}
    with ChatServer(lambda prompt, body: replies[prompt]) as server:
        taught, assistant = with_assistant(
            server.settings(retries=1),
            tmp_path / "t.jsonl",
            lambda a: with_traces(samples, a, log=print),
            think=True,
        )
        assert set(server.requests) == {"N?", "B?", "M?"}
    assert taught[0] is samples[0] and taught[4] is samples[4]
    assert (taught[1].trace, taught[1].attempt, taught[1].error) == (
        "34+39=73\nresult 73",
        "Answer: 73",
        None,
    )
    assert "500" in taught[2].error and "reasoning parser" in taught[3].error
    assert filter_quality(taught).rejects["reason"].tolist() == ["API error"] * 3
    assert assistant.usage()["answered now"][0] == 2


def test_an_interrupted_teacher_goes_on_where_it_stopped(tmp_path):
    samples = [sample(f"s{n}", trace="", question=f"Q{n}") for n in range(20)]
    with ChatServer(lambda prompt, body: ("trace", "Answer: 1"), failing=0.5) as server:
        first, _ = with_assistant(
            server.settings(retries=0),
            tmp_path / "t.jsonl",
            lambda a: with_traces(samples, a, log=print),
            think=True,
        )
        done = {s.id for s in first if s.error is None}
        assert 0 < len(done) < 20
        second, _ = with_assistant(
            server.settings(retries=30),
            tmp_path / "t.jsonl",
            lambda a: with_traces(samples, a, log=print),
            think=True,
        )
        assert all(s.trace == "trace" and s.error is None for s in second)
        assert set(server.answered.values()) == {1}


def test_without_a_teacher_the_pool_stays_as_it_is():
    samples = [sample("a", trace="")]
    assert asyncio.run(with_traces(samples, None)) == samples
