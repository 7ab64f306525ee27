"""The assistant that curation asks: nothing is lost, and nothing answered is asked again."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest
from chat_server import FAILURES, ChatServer, with_assistant

from s1lib.assistants.assistant import Assistant
from s1lib.assistants.replies import AssistantError, NoReplyError
from s1lib.profile import Assistant as AssistantSettings
from s1lib.profile import EngineSettings


def ask(settings, prompts, cache, *, said=None, **options):
    """(replies or errors, the assistant, closed) of one run of its own."""
    log = (said if said is not None else []).append
    return with_assistant(settings, cache, lambda a: a.ask_all(prompts), log=log, **options)


def echo(prompt, body):
    return f"reply to {prompt}"


def test_an_endpoint_that_fails_half_of_the_time_loses_and_repeats_nothing(
    tmp_path,
):
    prompts = [f"question {n}" for n in range(60)]
    with ChatServer(echo, failing=0.5) as server:
        replies, assistant = ask(
            server.settings(retries=30, concurrency=16), prompts, tmp_path / "c.jsonl"
        )
        assert [reply.text for reply in replies] == [f"reply to {prompt}" for prompt in prompts]
        assert set(server.failures) == set(FAILURES) and server.failures.total() > 30
        assert server.answered == Counter(prompts)
        again, _ = ask(server.settings(retries=30), prompts, tmp_path / "c.jsonl")
        assert again == replies and server.answered == Counter(prompts)
    row = assistant.usage().iloc[0]
    assert (row["answered now"], row["failed"]) == (60, 0) and row[
        "retries"
    ] == server.failures.total()


def test_a_reply_whose_line_lost_only_its_end_is_kept_and_so_is_the_next(tmp_path):
    cache = tmp_path / "c.jsonl"
    with ChatServer(echo) as server:
        ask(server.settings(), ["a"], cache)
        cache.write_bytes(cache.read_bytes().removesuffix(b"\n"))
        ask(server.settings(), ["b"], cache)
        replies, _ = ask(server.settings(), ["a", "b"], cache)
        assert server.answered == Counter(["a", "b"])
    assert [reply.text for reply in replies] == ["reply to a", "reply to b"]


def test_a_run_that_is_killed_keeps_every_reply_it_got(tmp_path):
    cache = tmp_path / "c.jsonl"
    prompts = [f"q{n}" for n in range(12)]

    def until_six(prompt, body):
        return "early" if prompt in prompts[:6] else 403

    with ChatServer(until_six) as server, pytest.raises(AssistantError, match="403"):
        ask(server.settings(concurrency=1), prompts, cache)
    with cache.open("a") as file:
        file.write('{"key": "abc", "reply": {"te')
    said: list[str] = []
    with ChatServer(lambda prompt, body: "late") as server:
        replies, _ = ask(server.settings(), prompts, cache, said=said)
        assert set(server.requests) == set(prompts[6:])
    assert [reply.text for reply in replies] == ["early"] * 6 + ["late"] * 6
    assert "1 damaged lines left out" in said[0] and len(cache.read_text().splitlines()) == 12


def test_a_request_that_fails_for_good_is_named_and_no_other_is_lost(tmp_path):
    with ChatServer(lambda prompt, body: {"bad": 500, "long": 413}.get(prompt, "fine")) as server:
        replies, assistant = ask(
            server.settings(retries=2), ["a", "bad", "long", "b"], tmp_path / "c.jsonl"
        )
        assert [getattr(reply, "text", None) for reply in replies] == ["fine", None, None, "fine"]
        assert (
            isinstance(replies[1], NoReplyError)
            and "no reply in 3 tries" in str(replies[1])
            and "413" in str(replies[2])
        )
        # A request that is wrong in itself is not repeated.
        assert server.requests == {
            "a": 1,
            "b": 1,
            "bad": 3,
            "long": 1,
        }
    assert assistant.usage()["failed"][0] == 2


@pytest.mark.parametrize(
    ("status", "says"), [(401, "check url, model and key"), (404, "no such thing here")]
)
def test_an_endpoint_that_refuses_everything_stops_the_run_in_one_line(tmp_path, status, says):
    with (
        ChatServer(lambda prompt, body: status) as server,
        pytest.raises(AssistantError, match=says) as error,
    ):
        ask(server.settings(), ["a", "b"], tmp_path / "c.jsonl")
    assert "\n" not in str(error.value)


def test_an_endpoint_that_is_not_there_is_one_line(tmp_path):
    settings = AssistantSettings(model="m", url="http://127.0.0.1:9/v1", retries=1)
    with pytest.raises(AssistantError, match="cannot be reached"):
        ask(settings, ["a"], tmp_path / "c.jsonl")
    with pytest.raises(AssistantError, match="write http://host:port/v1"):
        ask(AssistantSettings(model="m", url="localhost:9"), ["a"], tmp_path / "c.jsonl")
    with pytest.raises(AssistantError, match="needs a model"):
        Assistant(AssistantSettings(url="http://127.0.0.1:9/v1"), cache=tmp_path / "c.jsonl")


def test_the_key_comes_from_the_environment_and_stays_out_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-123")
    with ChatServer(echo) as server:
        ask(server.settings(key="MY_KEY"), ["a"], tmp_path / "c.jsonl")
        assert server.headers[0]["Authorization"] == "Bearer secret-123"
        monkeypatch.delenv("MY_KEY")
        with pytest.raises(AssistantError, match="environment variable MY_KEY is not set"):
            ask(server.settings(key="MY_KEY"), ["b"], tmp_path / "c.jsonl")
    assert "secret" not in (tmp_path / "c.jsonl").read_text()


def test_equal_prompts_share_one_request_and_another_limit_is_another_request(tmp_path):
    with ChatServer(echo) as server:
        replies, _ = ask(server.settings(), ["a", "a", "a"], tmp_path / "c.jsonl")
        assert len({reply.text for reply in replies}) == 1 and server.requests["a"] == 1
        ask(server.settings(max_tokens=7), ["a"], tmp_path / "c.jsonl")
        assert server.requests["a"] == 2 and [body["max_tokens"] for body in server.bodies] == [
            4096,
            7,
        ]


def test_requests_keep_to_the_rate_and_the_number_under_way(tmp_path):
    under_way, most = [0], [0]

    def slow(prompt, body):
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        under_way[0] -= 1
        return "x"

    with ChatServer(slow) as server:
        ask(server.settings(concurrency=3), [str(n) for n in range(12)], tmp_path / "c.jsonl")
        assert 1 <= most[0] <= 3
        start = time.monotonic()
        ask(
            server.settings(per_minute=600, max_tokens=9),
            [str(n) for n in range(6)],
            tmp_path / "c.jsonl",
        )
        assert time.monotonic() - start >= 0.5  # six requests, a tenth of a second apart


def test_tokens_and_cost_are_counted_now_and_over_all_that_is_kept(tmp_path):
    prices = {"prompt_price": 2.0, "reply_price": 10.0}
    with ChatServer(lambda prompt, body: "12345") as server:
        ask(server.settings(**prices), ["abc"], tmp_path / "c.jsonl")
        _, assistant = ask(server.settings(**prices), ["abc", "defg"], tmp_path / "c.jsonl")
    row = assistant.usage().iloc[0]
    assert (
        row["answered now"],
        row["answered before"],
        row["prompt tokens"],
        row["reply tokens"],
    ) == (1, 1, 4, 5)
    assert row["cost"] == pytest.approx((4 * 2 + 5 * 10) / 1e6) and row[
        "cost of all kept"
    ] == pytest.approx((7 * 2 + 10 * 10) / 1e6)


def test_thinking_is_told_apart_by_field_or_by_tag(tmp_path):
    answers = {
        "field": ("I thought", "so"),
        "half": "so \ud800",
        "tag": "<think>\nI thought\n</think>\n\nso",
        "none": "so",
    }
    with ChatServer(lambda prompt, body: answers[prompt]) as server:
        replies, _ = ask(server.settings(), list(answers), tmp_path / "c.jsonl")
    assert [(reply.thinking, reply.text) for reply in replies] == [
        ("I thought", "so"),
        ("", "so ?"),
        ("I thought", "so"),
        ("", "so"),
    ]


def test_a_local_model_is_opened_only_when_the_cache_lacks_an_answer(
    tmp_path, tiny_model_dir, monkeypatch
):
    settings = AssistantSettings(model=str(tiny_model_dir), max_tokens=12)
    engine = EngineSettings(kind="torch", max_rows=4, max_context=256)
    first, _ = ask(
        settings, ["How many coins?", "What is the result?"], tmp_path / "c.jsonl", engine=engine
    )
    assert all(0 < reply.reply_tokens <= 12 and reply.prompt_tokens > 3 for reply in first)
    monkeypatch.setattr(
        "s1lib.assistants.local_model.open_engine",
        lambda *_: pytest.fail("the cache has the answers"),
    )
    again, _ = ask(
        settings, ["How many coins?", "What is the result?"], tmp_path / "c.jsonl", engine=engine
    )
    assert again == first


def test_a_local_teacher_thinks_before_it_answers(tmp_path, tiny_model_dir):
    settings = AssistantSettings(model=str(tiny_model_dir), max_tokens=150)
    engine = EngineSettings(kind="torch", max_rows=4, max_context=256)
    (reply,), _ = ask(
        settings, ["How many coins?"], tmp_path / "c.jsonl", engine=engine, think=True
    )
    assert reply.reply_tokens <= 150 and (
        reply.finish == "stop" or reply.text == "" or reply.reply_tokens == 150
    )
    (lost,), _ = ask(settings, ["coins " * 300], tmp_path / "c.jsonl", engine=engine)
    assert isinstance(lost, NoReplyError)


def test_a_cache_line_holds_the_reply_and_the_key_of_its_request(tmp_path):
    with ChatServer(echo) as server:
        ask(server.settings(), ["a"], tmp_path / "deep" / "c.jsonl")
    (line,) = (tmp_path / "deep" / "c.jsonl").read_text().splitlines()
    assert json.loads(line)["reply"]["text"] == "reply to a" and len(json.loads(line)["key"]) == 12
