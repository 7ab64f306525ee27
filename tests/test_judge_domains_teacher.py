"""What curation asks a language model for: verdicts, domains, traces (paper, sections 2.1 and 2.2)."""

from __future__ import annotations

import asyncio
import re

import pytest
from chat_server import ChatServer
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sample
from scripted import char_chat

from s1lib.assistants import endpoint
from s1lib.assistants.assistant import TRIES, Assistant
from s1lib.curation.difficulty import accuracy, judged, solved_by, teacher_attempts, unsolved
from s1lib.curation.distillation import with_traces
from s1lib.curation.domains import DomainError, prompt, subject, with_domains
from s1lib.curation.judge import verdict, verdicts_of
from s1lib.curation.quality import filter_quality
from s1lib.engines.protocol import Completion
from s1lib.profile import Assistant as AssistantSettings


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_PAUSE", 0.002)
    monkeypatch.setattr(endpoint, "LONGEST_PAUSE", 0.01)


def with_assistant(settings, cache, work, **options):
    """What `work(assistant)` returns, and the assistant."""

    async def run():
        assistant = Assistant(settings, cache=cache, log=lambda line: None, **options)
        try:
            return await work(assistant), assistant
        finally:
            await assistant.aclose()

    return asyncio.run(run())


# ---- judge -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("They agree.\nYes", True),
        ("They differ.\n\n**No.**\n", False),
        ("yes", True),
        ("Yes, they agree", None),
        ("Yes\nI am not sure", None),
        ("Answer: Yes", None),
        ("YES or no", None),
        ("", None),
    ],
)
def test_a_verdict_is_the_word_alone_on_the_last_line(text, found):
    assert verdict(text) is found


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_no_text_makes_the_reading_of_a_verdict_fail(text):
    assert verdict(text) in (True, False, None)


def test_a_judge_that_says_neither_is_asked_again_then_set_aside_and_reported(tmp_path):
    def judge(prompt, body):
        if "ATTEMPT-never" in prompt:
            return "Perhaps"
        return "Hmm" if "ATTEMPT-late" in prompt and body["seed"] == 0 else "They agree.\nYes"

    said: list[str] = []
    items = [("q", f"ATTEMPT-{name}", "reference") for name in ("now", "late", "never")]
    with ChatServer(judge) as server:
        found, _ = with_assistant(server.settings(), tmp_path / "j.jsonl", lambda a: verdicts_of(a, items, log=said.append))
        assert found == [True, True, None]
        asked = {name: sum(f"ATTEMPT-{name}" in text for text in server.requests.elements()) for name in ("now", "late", "never")}
        assert asked == {"now": 1, "late": 2, "never": TRIES}
        assert [body["temperature"] for body in server.bodies if body["seed"] == 0] == [0.0] * 3
        before = server.requests.total()
        again, _ = with_assistant(server.settings(), tmp_path / "j.jsonl", lambda a: verdicts_of(a, items, log=said.append))
        assert again == found and server.requests.total() == before
    assert said[0] == "judge: 1 of 3 attempts set aside, no reply that ends in Yes or No in 3 tries"


def test_the_judge_sees_problem_attempt_and_reference_whatever_braces_they_hold(tmp_path):
    item = (r"Prove {x}.", r"\frac{1}{2} {question}", "{reference}")
    with ChatServer(lambda prompt, body: "No") as server:
        assert with_assistant(server.settings(), tmp_path / "j.jsonl", lambda a: verdicts_of(a, [item]))[0] == [False]
        (asked,) = server.requests
    assert all(text in asked for text in item)


def tries(samples, correct):
    return [{"id": s.id, "text": f"attempt {s.id}", "extracted": None, "correct": c} for s, c in zip(samples, correct, strict=True)]


def test_only_what_no_program_can_grade_goes_to_the_judge_and_what_nobody_can_is_set_aside(tmp_path):
    samples = [sample("sum"), sample("proof", kind="open"), sample("wrong", kind="open"), sample("code", kind="open", answer="")]
    attempts = tries(samples, [False, None, None, None])
    said: list[str] = []
    with ChatServer(lambda prompt, body: "Yes" if "attempt proof" in prompt else "No") as server:
        graded, _ = with_assistant(server.settings(), tmp_path / "j.jsonl", lambda a: judged(samples, attempts, a, log=said.append))
        assert server.requests.total() == 2
    assert [attempt["correct"] for attempt in graded] == [False, True, False, None]
    assert [s.id for s in unsolved(samples, [graded])] == ["sum", "wrong"]
    assert said == ["difficulty: 1 of 4 attempts set aside: they have no reference answer"]
    assert accuracy(samples, {"small": graded})["small"].tolist() == pytest.approx([100 / 3, 100 / 3])


def test_without_a_judge_open_questions_are_set_aside_in_one_line():
    samples = [sample("sum"), sample("proof", kind="open")]
    said: list[str] = []
    graded = asyncio.run(judged(samples, tries(samples, [False, None]), None, log=said.append))
    assert [s.id for s in unsolved(samples, [graded])] == ["sum"]
    assert "1 of 2 attempts set aside" in said[0] and "curation.judge names no model" in said[0]


def test_the_teachers_attempts_are_graded_by_program_and_judge(tmp_path):
    samples = [sample("bare"), sample("boxed", attempt=r"so \boxed{73}"), sample("off", attempt="Answer: 72"), sample("proof", kind="open")]
    with ChatServer(lambda prompt, body: "fine\nYes") as server:
        graded, _ = with_assistant(server.settings(), tmp_path / "j.jsonl", lambda a: teacher_attempts(samples, a))
    assert solved_by(graded) == {"bare", "boxed", "proof"}


class Agreeable:
    """An engine whose model says Yes to everything; counts the requests."""

    name, max_context, requests = "agreeable", 100_000, 0

    def __init__(self) -> None:
        self.chat = char_chat()
        self.tokenizer = self.chat.tokenizer

    async def complete(self, request):
        self.requests += 1
        return Completion(self.chat.encode("They agree\nYes")[: request.max_tokens], "stop", request.stop[0])

    async def aclose(self):
        pass


def test_a_local_model_can_judge_without_any_endpoint(tmp_path, monkeypatch):
    engine = Agreeable()
    monkeypatch.setattr("s1lib.assistants.assistant.open_engine", lambda model, settings: engine)
    local = AssistantSettings(model=str(tmp_path), max_tokens=100)
    found, judge = with_assistant(local, tmp_path / "j.jsonl", lambda a: verdicts_of(a, [("1+1=?", "2", "2"), ("2+2=?", "4", "4")]))
    assert found == [True, True] and judge.asked == engine.requests == 2


# ---- domains -----------------------------------------------------------------------------------------------------------


def test_a_subject_is_the_code_that_ends_the_reply():
    assert subject("Triangles.\n51") == "Geometry" and subject("11.") == "Number theory" and subject("**92**") == "Biology"
    assert subject("51 fits best") is None and subject("99") is None and subject("2051") is None and subject("") is None


def test_the_prompt_lists_every_class_once_and_the_papers_table_6_is_among_their_names():
    codes = re.findall(r"^(\d\d) ", prompt("Q?"), re.MULTILINE)
    assert len(codes) == len(set(codes)) == 66
    for name in ("Geometry", "Number theory", "ODEs", "Electromagnetic theory", "Astronomy", "Algebraic systems"):
        assert subject(next(line for line in prompt("Q?").splitlines() if f" {name}:" in line)[:2]) == name


def test_only_questions_without_a_domain_are_classified_and_those_without_a_readable_reply_left_out(tmp_path):
    samples = [sample("known", domain="Logic"), sample("new", domain="", question="Triangle?"), sample("odd", domain="", question="Eh?")]
    said: list[str] = []
    with ChatServer(lambda prompt, body: "Plane figures.\n51" if "Triangle?" in prompt else "no idea") as server:
        labelled, _ = with_assistant(server.settings(), tmp_path / "d.jsonl", lambda a: with_domains(samples, a, log=said.append))
        assert server.requests.total() == 1 + TRIES
    assert [(s.id, s.domain) for s in labelled] == [("known", "Logic"), ("new", "Geometry")]
    assert "1 of 2 questions left out" in said[0]


def test_labels_that_the_input_has_need_no_classifier_and_missing_ones_say_what_to_set():
    assert asyncio.run(with_domains([sample("a")], None)) == [sample("a")]
    with pytest.raises(DomainError, match=r"1 of 2 questions have no domain: name a model in curation\.classifier"):
        asyncio.run(with_domains([sample("a"), sample("b", domain="")], None))


# ---- teacher -----------------------------------------------------------------------------------------------------------


def test_the_teacher_writes_the_traces_that_are_missing_and_a_failed_call_is_an_api_error_to_the_quality_filter(tmp_path):
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
            server.settings(retries=1), tmp_path / "t.jsonl", lambda a: with_traces(samples, a, log=print), think=True
        )
        assert set(server.requests) == {"N?", "B?", "M?"}
    assert taught[0] is samples[0] and taught[4] is samples[4]
    assert (taught[1].trace, taught[1].attempt, taught[1].error) == ("34+39=73\nresult 73", "Answer: 73", None)
    assert "500" in taught[2].error and "reasoning parser" in taught[3].error
    assert filter_quality(taught).rejects["reason"].tolist() == ["API error"] * 3
    assert assistant.usage()["answered now"][0] == 2


def test_an_interrupted_teacher_goes_on_where_it_stopped(tmp_path):
    samples = [sample(f"s{n}", trace="", question=f"Q{n}") for n in range(20)]
    with ChatServer(lambda prompt, body: ("trace", "Answer: 1"), failing=0.5) as server:
        first, _ = with_assistant(
            server.settings(retries=0), tmp_path / "t.jsonl", lambda a: with_traces(samples, a, log=print), think=True
        )
        done = {s.id for s in first if s.error is None}
        assert 0 < len(done) < 20
        second, _ = with_assistant(
            server.settings(retries=30), tmp_path / "t.jsonl", lambda a: with_traces(samples, a, log=print), think=True
        )
        assert all(s.trace == "trace" and s.error is None for s in second)
        assert set(server.answered.values()) == {1}


def test_without_a_teacher_the_pool_stays_as_it_is():
    samples = [sample("a", trace="")]
    assert asyncio.run(with_traces(samples, None)) == samples
