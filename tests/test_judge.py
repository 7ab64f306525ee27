"""The judge: what only a language model can grade (paper, section 2.2)."""

from __future__ import annotations

import asyncio

import pytest
from chat_server import ChatServer, with_assistant
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sample
from scripted import char_chat

from s1lib.assistants.assistant import TRIES
from s1lib.assistants.replies import AssistantError
from s1lib.curation.difficulty import accuracy, judged, solved_by, teacher_attempts, unsolved
from s1lib.curation.judge import verdict, verdicts_of
from s1lib.engines.protocol import Completion
from s1lib.profile import Assistant as AssistantSettings


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
        found, _ = with_assistant(
            server.settings(),
            tmp_path / "j.jsonl",
            lambda a: verdicts_of(a, items, log=said.append),
        )
        assert found == [True, True, None]
        asked = {
            name: sum(f"ATTEMPT-{name}" in text for text in server.requests.elements())
            for name in ("now", "late", "never")
        }
        assert asked == {"now": 1, "late": 2, "never": TRIES}
        assert [body["temperature"] for body in server.bodies if body["seed"] == 0] == [0.0] * 3
        before = server.requests.total()
        again, _ = with_assistant(
            server.settings(),
            tmp_path / "j.jsonl",
            lambda a: verdicts_of(a, items, log=said.append),
        )
        assert again == found and server.requests.total() == before
    assert said[0] == "judge: 1 of 3 attempts set aside, no reply that ends in Yes or No in 3 tries"


@pytest.mark.parametrize(
    ("replies", "shows"),
    [
        (lambda prompt, body: "Well, **perhaps**\nso", r"'Well, \*\*perhaps\*\*"),
        (lambda prompt, body: ("much thought", ""), "''"),
        (lambda prompt, body: 413, "status 413"),
    ],
)
def test_a_judge_of_whom_no_reply_can_be_read_ends_the_run_in_one_line(tmp_path, replies, shows):
    items = [("q", f"attempt {number}", "reference") for number in range(3)]
    says = rf"tested: no reply to any of 3 prompts can be read, for example .*{shows}"
    with ChatServer(replies) as server, pytest.raises(AssistantError, match=says) as error:
        with_assistant(server.settings(), tmp_path / "j.jsonl", lambda a: verdicts_of(a, items))
    assert "\n" not in str(error.value)


def test_the_judge_sees_problem_attempt_and_reference_whatever_braces_they_hold(tmp_path):
    item = (r"Prove {x}.", r"\frac{1}{2} {question}", "{reference}")
    with ChatServer(lambda prompt, body: "No") as server:
        assert with_assistant(
            server.settings(), tmp_path / "j.jsonl", lambda a: verdicts_of(a, [item])
        )[0] == [False]
        (asked,) = server.requests
    assert all(text in asked for text in item)


def tries(samples, correct):
    return [
        {"id": s.id, "text": f"attempt {s.id}", "extracted": None, "correct": c}
        for s, c in zip(samples, correct, strict=True)
    ]


def test_the_judge_gets_what_no_program_can_grade_and_the_rest_is_set_aside(
    tmp_path,
):
    samples = [
        sample("sum"),
        sample("proof", kind="open"),
        sample("wrong", kind="open"),
        sample("code", kind="open", answer=""),
    ]
    attempts = tries(samples, [False, None, None, None])
    said: list[str] = []
    with ChatServer(lambda prompt, body: "Yes" if "attempt proof" in prompt else "No") as server:
        graded, _ = with_assistant(
            server.settings(),
            tmp_path / "j.jsonl",
            lambda a: judged(samples, attempts, a, log=said.append),
        )
        assert server.requests.total() == 2
    assert [attempt["correct"] for attempt in graded] == [False, True, False, None]
    assert [s.id for s in unsolved(samples, [graded])] == ["sum", "wrong"]
    assert said == ["difficulty: 1 of 4 attempts set aside: they have no reference answer"]
    assert accuracy(samples, {"small": graded})["small"].tolist() == pytest.approx(
        [100 / 3, 100 / 3]
    )


def test_without_a_judge_open_questions_are_set_aside_in_one_line():
    samples = [sample("sum"), sample("proof", kind="open")]
    said: list[str] = []
    graded = asyncio.run(judged(samples, tries(samples, [False, None]), None, log=said.append))
    assert [s.id for s in unsolved(samples, [graded])] == ["sum"]
    assert "1 of 2 attempts set aside" in said[0] and "curation.judge names no model" in said[0]


def test_the_teachers_attempts_are_graded_by_program_and_judge(tmp_path):
    samples = [
        sample("bare"),
        sample("boxed", attempt=r"so \boxed{73}"),
        sample("off", attempt="Answer: 72"),
        sample("proof", kind="open"),
    ]
    with ChatServer(lambda prompt, body: "fine\nYes") as server:
        graded, _ = with_assistant(
            server.settings(), tmp_path / "j.jsonl", lambda a: teacher_attempts(samples, a)
        )
    assert solved_by(graded) == {"bare", "boxed", "proof"}


class Agreeable:
    """An engine whose model says Yes to everything; counts the requests."""

    name, max_context, requests = "agreeable", 100_000, 0

    def __init__(self) -> None:
        self.chat = char_chat()
        self.tokenizer = self.chat.tokenizer

    async def complete(self, request):
        self.requests += 1
        ids = self.chat.encode("They agree\nYes")
        return Completion(ids[: request.max_tokens], "stop", request.stop[0])

    async def aclose(self):
        pass


def test_a_local_model_can_judge_without_any_endpoint(tmp_path, monkeypatch):
    engine = Agreeable()
    monkeypatch.setattr("s1lib.assistants.local_model.open_engine", lambda model, settings: engine)
    local = AssistantSettings(model=str(tmp_path), max_tokens=100)
    found, judge = with_assistant(
        local,
        tmp_path / "j.jsonl",
        lambda a: verdicts_of(a, [("1+1=?", "2", "2"), ("2+2=?", "4", "4")]),
    )
    assert found == [True, True] and judge.asked == engine.requests == 2
