"""What endpoints answer beside plain chat completions: parts, nulls, errors in a 200, anything."""

from __future__ import annotations

import json

import pytest
from chat_server import ChatServer, Raw, with_assistant
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s1lib.assistants.endpoint import Endpoint
from s1lib.assistants.replies import AssistantError, NoReplyError, Reply


def completion(message: object, finish: object = "stop", **rest: object) -> str:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **rest})


def ask(server, directory, prompt="a", *, retries=2):
    """The reply or error that an assistant gets, and what it keeps."""

    async def work(assistant):
        return (await assistant.ask_all([prompt]))[0]

    cache = directory / "c.jsonl"
    try:
        found = with_assistant(server.settings(retries=retries), cache, work)[0]
    except AssistantError as error:
        found = error
    return found, cache.read_text().splitlines() if cache.exists() else []


TEXT, THOUGHT = {"type": "text", "text": "42"}, {"type": "text", "text": "6 * 7"}


@pytest.mark.parametrize(
    ("message", "thinking", "text"),
    [
        ({"content": [{"type": "thinking", "thinking": [THOUGHT]}, TEXT]}, "6 * 7", "42"),
        ({"content": [{"type": "thinking", "thinking": "6 * 7"}, TEXT]}, "6 * 7", "42"),
        ({"content": [{"type": "reasoning", "summary": [THOUGHT]}, TEXT]}, "6 * 7", "42"),
        ({"content": [TEXT]}, "", "42"),
        ({"content": ["4", {"type": "output_text", "text": "2"}]}, "", "42"),
        ({"content": TEXT}, "", "42"),
        ({"content": [{"type": "redacted_thinking", "data": "x"}, TEXT]}, "", "42"),
        ({"content": "42", "reasoning": {"content": "6 * 7"}}, "6 * 7", "42"),
        ({"content": "42", "reasoning_content": {"text": "6 * 7"}}, "6 * 7", "42"),
        ({"content": "42", "reasoning_content": [THOUGHT]}, "6 * 7", "42"),
        ({"content": "42", "reasoning": {}}, "", "42"),
        ({"content": None, "reasoning": "6 * 7"}, "6 * 7", ""),
        ({"content": "<think>6 * 7</think>42"}, "6 * 7", "42"),
        ({"content": "<think>6 * 7"}, "6 * 7", ""),
    ],
)
def test_thinking_and_text_are_told_apart_in_every_form(tmp_path, message, thinking, text):
    with ChatServer(lambda prompt, body: Raw(completion(message))) as server:
        reply, kept = ask(server, tmp_path)
    assert (reply.thinking, reply.text, reply.finish) == (thinking, text, "stop")
    assert len(kept) == 1 and reply.tries == 1


UNFIT = {
    "null": "null",
    "a list": "[1]",
    "html": "<html><body>Bad gateway</body></html>",
    "half of it": '{"choices": [{"mess',
    "no bytes": "",
    "not utf-8": b"\xff\xfe{",
    "deep": "[" * 100_000,
    "a long number": '{"usage": {"prompt_tokens": ' + "9" * 5000 + "}}",
    "choices missing": "{}",
    "choices null": '{"choices": null}',
    "choices empty": '{"choices": []}',
    "choices a text": '{"choices": "abc"}',
    "choice null": '{"choices": [null]}',
    "message missing": '{"choices": [{"text": "42"}]}',
    "message a text": completion("42"),
    "content null": completion({"content": None}),
    "content blank": completion({"content": " \n"}),
    "content a number": completion({"content": 42}),
    "content of pictures": completion({"content": [{"type": "image_url", "image_url": "x"}]}),
    "text a structure": completion({"content": [{"type": "text", "text": {"a": 1}}]}),
    "reasoning a structure": completion({"content": "42", "reasoning": {"a": 1}}),
    "an error": '{"error": {"message": "overloaded"}}',
    "an error text": '{"error": "overloaded"}',
    "an error of 503": '{"error": {"message": "overloaded", "code": "503"}}',
    "an error in the choice": '{"choices": [{"error": {"code": 502}, "message": {}}]}',
    "an error at its end": completion({"content": "4"}, "error"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_unfit_is_asked_for_again_and_never_kept(tmp_path, kind):
    def answer(prompt, body):
        first = server.requests[prompt] == 1
        return Raw(UNFIT[kind]) if first or prompt == "always" else "42"

    with ChatServer(answer) as server:
        found, kept = ask(server, tmp_path, "once")
        assert found.text == "42" and found.tries == 2 and len(kept) == 1
        found, kept = ask(server, tmp_path, "always")
        assert server.requests["always"] == 3 and len(kept) == 1
    assert isinstance(found, NoReplyError) and "\n" not in str(found)
    assert "no reply in 3 tries" in str(found) and len(str(found)) < 400


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ('{"error": {"message": "too long", "code": 400}}', NoReplyError, "status 400: too long"),
        ('{"error": {"message": "too long", "status": "422"}}', NoReplyError, "status 422"),
        ('{"object": "error", "message": "too long", "code": 400}', NoReplyError, "status 400"),
        ('{"error": {"message": "bad key", "code": 401}}', AssistantError, "status 401"),
        ('{"error": {"message": "no credit", "code": 402}}', AssistantError, "no credit"),
        (
            '{"error": {"message": "x", "type": "invalid_request_error"}}',
            NoReplyError,
            "status 400",
        ),
        ('{"error": {"message": "x", "code": "invalid_api_key"}}', AssistantError, "status 401"),
        ('{"error": {"message": "x", "code": "insufficient_quota"}}', AssistantError, "402"),
        (completion({"content": "4"}, "SAFETY"), NoReplyError, "safety"),
        (completion({"content": "4"}, "refusal"), NoReplyError, "refusal"),
        (completion({"content": "4"}, "content_filter"), NoReplyError, "content_filter"),
        (completion({"content": None, "refusal": "I will not"}), NoReplyError, "I will not"),
        (completion({"content": [{"type": "refusal", "refusal": "No"}]}), NoReplyError, "No"),
    ],
)
def test_a_final_fault_in_a_200_is_refused_at_once_and_not_kept(tmp_path, body, error, says):
    with ChatServer(lambda prompt, _: Raw(body)) as server:
        found, kept = ask(server, tmp_path)
        assert server.requests["a"] == 1
    assert type(found) is error and says in str(found) and "\n" not in str(found) and not kept


@pytest.mark.parametrize(
    ("status", "tries", "error"),
    [(400, 1, NoReplyError), (402, 1, AssistantError), (307, 1, AssistantError)]
    + [(status, 3, NoReplyError) for status in (408, 425, 429, 500, 503, 529)],
)
def test_a_status_says_whether_to_ask_again(tmp_path, status, tries, error):
    with ChatServer(lambda prompt, _: Raw("<p>wait</p>\n", status)) as server:
        found, _ = ask(server, tmp_path)
        assert server.requests["a"] == tries
    assert type(found) is error and f"status {status}" in str(found) and "\n" not in str(found)


def test_a_reply_cut_at_its_limit_says_so_even_when_nothing_is_left_of_it(tmp_path):
    with ChatServer(lambda prompt, _: Raw(completion({"content": ""}, "length"))) as server:
        reply, _ = ask(server, tmp_path)
    assert (reply.text, reply.finish, reply.tries) == ("", "length", 1)


@pytest.mark.parametrize("count", [None, -1, True, "9", [1], 1e400, float("nan"), 10**30])
def test_a_count_of_tokens_that_is_none_counts_zero(tmp_path, count):
    usage = {"prompt_tokens": count, "completion_tokens": 2.0}
    with ChatServer(lambda prompt, _: Raw(completion({"content": "4"}, usage=usage))) as server:
        reply, _ = ask(server, tmp_path)
    assert (reply.prompt_tokens, reply.reply_tokens) == (0, 2)


NAMES = ["choices", "message", "content", "text", "type", "thinking", "reasoning", "summary"]
NAMES += ["error", "code", "status", "object", "refusal", "finish_reason", "prompt_tokens"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["text", "thinking", "refusal", "stop", "length", "content_filter", "503"]),
)
SHAPES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
MESSAGES = st.fixed_dictionaries(
    {"content": SHAPES}, optional={"reasoning": SHAPES, "reasoning_content": SHAPES}
)
PAYLOADS = st.one_of(
    SHAPES,
    st.fixed_dictionaries({"choices": SHAPES}, optional={"error": SHAPES, "usage": SHAPES}),
    st.fixed_dictionaries(
        {"choices": st.tuples(st.fixed_dictionaries({"message": MESSAGES}))},
        optional={"usage": SHAPES, "error": SHAPES},
    ),
)


@pytest.fixture(scope="module")
def echo_server():
    """Answers with the prompt itself as the body."""
    with ChatServer(lambda prompt, body: Raw(prompt)) as server:
        yield server


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payload=PAYLOADS)
def test_any_payload_ends_in_a_reply_or_in_one_line(echo_server, tmp_path_factory, payload):
    body = json.dumps(payload)
    found, kept = ask(echo_server, tmp_path_factory.mktemp("any"), body, retries=1)
    assert len(kept) == isinstance(found, Reply)
    if isinstance(found, Reply):
        assert isinstance(found.text, str) and isinstance(found.thinking, str)
        assert found.text or found.thinking or found.finish == "length"
    else:
        assert str(found) and "\n" not in str(found)


def test_addresses_and_keys_that_no_request_can_use_are_one_line(monkeypatch):
    with ChatServer(lambda prompt, body: "42") as server:
        for url in ("http://", "http://[::1", "ftp://host/v1", "localhost:9"):
            with pytest.raises(AssistantError, match="write http://host:port/v1"):
                Endpoint(server.settings(url=url))
        for key in ("sk-\nabc", "schlüssel"):
            monkeypatch.setenv("MY_KEY", key)
            with pytest.raises(AssistantError, match="MY_KEY holds characters that no key has"):
                Endpoint(server.settings(key="MY_KEY"))
