"""ServerEngine when servers fail: nothing lost, nothing counted twice.

The protocol itself is tested in tests/test_engine_conformance.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time

import httpx
import pytest
import torch
from fake_server import FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st

from s1lib.chat import ChatFormat
from s1lib.engines import Completion, EngineError, completions_api, open_engine, server_engine
from s1lib.engines.protocol import Request
from s1lib.engines.server_engine import ServerEngine
from s1lib.engines.torch_engine import TorchEngine
from s1lib.profile import EngineSettings
from s1lib.thinking.budget import Budget
from s1lib.thinking.sweep import sweep
from s1lib.thinking.thinker import Thinker


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Random weights, large enough that greedy decoding wanders, no id outside the tokenizer."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from s1lib.toy.tokenizer import build_tokenizer

    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    config = Qwen2Config(
        vocab_size=len(tokenizer), max_position_embeddings=96, initializer_range=0.3, **sizes
    )
    directory = tmp_path_factory.mktemp("served")
    Qwen2ForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(autouse=True)
def short_rests(monkeypatch):
    monkeypatch.setattr(server_engine, "FIRST_REST", 0.005)
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.1)


REQUESTS = [
    {
        "prompt_ids": [1 + n % 90, 2, 3 + n % 7],
        "max_tokens": 2 + n % 5,
        "temperature": n % 2 * 1.0,
        "seed": n,
    }
    for n in range(60)
]


@pytest.fixture(scope="module")
def expected(checkpoint) -> list[Completion]:
    engine = TorchEngine.from_pretrained(checkpoint, dtype="float32", max_rows=16, max_context=96)
    return asyncio.run(decode_all(engine))


async def decode_all(engine, requests=REQUESTS) -> list[Completion]:
    return await asyncio.gather(*(engine.complete(Request(**request)) for request in requests))


def connect(checkpoint, *servers: FakeServer | str, rows: int = 16) -> ServerEngine:
    urls = tuple(server if isinstance(server, str) else server.url for server in servers)
    return open_engine(
        checkpoint, EngineSettings(kind="server", urls=urls, max_rows=rows, max_context=96)
    )


def decoded(engine: ServerEngine, expected: list[Completion]) -> bool:
    """Every request has its own answer, and the count is of the answers alone."""
    assert asyncio.run(decode_all(engine)) == expected
    assert engine.decoded_tokens == sum(completion.decoded_tokens for completion in expected)
    assert all(replica.load == 0 for replica in engine.replicas)
    return True


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


# ---- failures while decoding ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["500", "drop", "answer, then drop"])
def test_half_of_the_requests_fail_and_nothing_is_lost_or_counted_twice(checkpoint, expected, kind):
    with (
        FakeServer(checkpoint, fail=lambda number: kind if number % 2 else None) as one,
        FakeServer(checkpoint) as other,
    ):
        assert decoded(connect(checkpoint, one, other), expected)
        assert len(one.requests) + len(other.requests) > len(REQUESTS) + 2
    with FakeServer(checkpoint, fail=lambda number: kind if number % 2 else None) as alone:
        assert decoded(connect(checkpoint, alone, rows=4), expected)


def test_a_replica_that_dies_leaves_its_requests_to_the_others(checkpoint, expected):
    with FakeServer(checkpoint) as one, FakeServer(checkpoint) as other:
        engine = connect(checkpoint, one, other)
        # What it has never ends, then it is gone.
        one.fail = lambda number: one.kill_soon() if number == 8 else "hang"
        assert decoded(engine, expected)
        assert len(one.requests) > 5 and len(other.requests) > len(REQUESTS) / 2


def test_a_server_that_is_restarted_is_used_again(checkpoint, expected):
    with FakeServer(checkpoint) as server:
        engine = connect(checkpoint, server)
        server.kill()

        async def scenario() -> list[Completion]:
            work = asyncio.create_task(decode_all(engine))
            await asyncio.sleep(0.3)
            assert not work.done()
            await asyncio.to_thread(server.start)
            return await work

        assert asyncio.run(scenario()) == expected


def test_requests_are_given_up_when_no_server_comes_back(checkpoint, monkeypatch):
    monkeypatch.setattr(server_engine, "PATIENCE", 0.3)
    with FakeServer(checkpoint) as server:
        engine = connect(checkpoint, server)
        server.kill()
        with pytest.raises(
            EngineError,
            match=rf"for 0 seconds, the last was {server.url} \(ConnectError.*: look at its log",
        ) as caught:
            asyncio.run(decode_all(engine, REQUESTS[:1]))
        assert "\n" not in str(caught.value)


def test_a_key_is_sent_and_one_that_is_wanted_is_named(checkpoint, monkeypatch):
    monkeypatch.setenv(completions_api.KEY, " secret\n")
    assert completions_api.headers() == {"Authorization": "Bearer secret"}
    monkeypatch.delenv(completions_api.KEY)
    assert completions_api.headers() == {}
    asked = httpx.Response(401, request=httpx.Request("GET", "http://a/v1/models"))
    monkeypatch.setattr(httpx.Client, "get", lambda *_, **__: asked)
    with pytest.raises(EngineError, match="wants a key: set the environment variable VLLM_API_KEY"):
        ServerEngine.connect(checkpoint, urls="http://a", max_rows=8, max_context=160)


def test_a_server_that_leaves_its_stops_out_is_refused(checkpoint):
    answer = json.dumps({"choices": [{**GOOD, "token_ids": [], "finish_reason": "stop"}]})
    with (
        FakeServer(checkpoint, fail=lambda number: (200, answer.encode())) as server,
        pytest.raises(EngineError, match="leaves the token that it stops at out"),
    ):
        asyncio.run(decode_all(connect(checkpoint, server), REQUESTS[:1]))


# ---- answers that are unfit ----------------------------------------------------------------------

GOOD = {"index": 0, "text": "t", "token_ids": [1], "finish_reason": "length"}
# Answers that another try may not get: each in place of the first answer of one request.
MAY_PASS = {
    "an error": {"error": {"message": "overloaded"}},
    "an error that is text": {"error": "overloaded"},
    "an error with the code of a busy server": {"error": {"message": "slow down", "code": 429}},
    "null": None,
    "a list": [1],
    "a number": 3,
    "nothing": {},
    "no choices": {"choices": None},
    "empty choices": {"choices": []},
    "choices that are no list": {"choices": {"token_ids": [1]}},
    "a choice that is null": {"choices": [None]},
    "a choice that is a list": {"choices": [[1]]},
    "neither text nor ids": {"choices": [{}]},
    "ids that are null": {"choices": [{"token_ids": None, "text": ""}]},
    "no ids": {"choices": [{**GOOD, "token_ids": []}]},
    "ids that are text": {"choices": [{**GOOD, "token_ids": "12"}]},
    "texts as ids": {"choices": [{**GOOD, "token_ids": ["1", "2"]}]},
    "floats as ids": {"choices": [{**GOOD, "token_ids": [1.0, 2.0]}]},
    "booleans as ids": {"choices": [{**GOOD, "token_ids": [True, False]}]},
    "a null among the ids": {"choices": [{**GOOD, "token_ids": [1, None]}]},
    "a negative id": {"choices": [{**GOOD, "token_ids": [1, -1]}]},
    "an id beyond the vocabulary": {"choices": [{**GOOD, "token_ids": [10**6]}]},
    "a filtered answer": {"choices": [{**GOOD, "finish_reason": "content_filter"}]},
    "an aborted answer": {"choices": [{**GOOD, "finish_reason": "abort"}]},
}
BYTES = {
    "an empty body": b"",
    "HTML": b"<html><body>starting up</body></html>",
    "half an answer": b'{"choices": [{"token_ids": [1, ',
    "bytes": b"\xff\xfe\x00\x81",
    "deep nesting": b"[" * 100_000,
}
PASSING = {name: (200, json.dumps(body).encode()) for name, body in MAY_PASS.items()}
PASSING |= {name: (200, body) for name, body in BYTES.items()}
PASSING |= {f"status {status}": (status, b"<html>") for status in (201, 408, 425, 429, 500, 503)}


@pytest.fixture(scope="module")
def running_server(checkpoint):
    with FakeServer(checkpoint) as server:
        yield server


@pytest.fixture
def one_server(running_server):
    """A server that answers well until a test says otherwise."""
    running_server.fail = lambda number: None
    return running_server


@pytest.fixture(scope="module")
def decode_first(checkpoint, running_server):
    """What decodes the first request on that server, on one engine in one event loop."""
    running_server.fail = lambda number: None
    engine = connect(checkpoint, running_server)
    with asyncio.Runner() as runner:
        yield lambda: runner.run(decode_all(engine, REQUESTS[:1]))
        runner.run(engine.aclose())


def answered_once(server: FakeServer, answer: tuple[int, bytes]) -> None:
    """Let the next request get `answer`, and those after it what they ask for."""
    waiting = [answer]
    server.fail = lambda number: waiting.pop() if waiting else None


@pytest.mark.parametrize("name", PASSING)
def test_an_unfit_answer_is_tried_again_like_a_503(checkpoint, expected, one_server, name):
    engine = connect(checkpoint, one_server)
    answered_once(one_server, PASSING[name])
    before = len(one_server.requests)
    assert asyncio.run(decode_all(engine, REQUESTS[:1])) == expected[:1]
    assert len(one_server.requests) == before + 2
    assert engine.decoded_tokens == expected[0].decoded_tokens


def test_a_replica_with_an_unfit_answer_rests(checkpoint, expected, monkeypatch):
    monkeypatch.setattr(server_engine, "FIRST_REST", 60.0)
    monkeypatch.setattr(server_engine, "LONGEST_REST", 60.0)
    answer = 200, json.dumps({"error": {"message": "overloaded"}}).encode()
    with FakeServer(checkpoint, fail=lambda number: answer) as bad, FakeServer(checkpoint) as good:
        assert decoded(connect(checkpoint, bad, good), expected)
        assert len(good.requests) > len(REQUESTS)


def test_a_night_of_failures_is_no_longer_rest_than_the_longest():
    replica = server_engine.Replica("http://a", "m", failures=5000)
    replica.rest("down")
    assert replica.rests_until < time.monotonic() + 1


def test_unfit_answers_are_given_up_after_a_while_with_what_was_said(
    checkpoint, one_server, monkeypatch
):
    monkeypatch.setattr(server_engine, "PATIENCE", 0.1)
    engine = connect(checkpoint, one_server)
    one_server.fail = lambda number: (200, b'{"error": {"message": "over\\nloaded"}}')
    with pytest.raises(EngineError, match=r"\(status 200 with an error: over loaded\)"):
        asyncio.run(decode_all(engine, REQUESTS[:1]))


FINAL = {
    "status 400": (400, b'{"error": {"message": "too long", "code": 400}}', "too long"),
    "status 401": (401, b'{"detail": "no key"}', "no key"),
    "status 404": (404, b"<html>no such page</html>", "no such page"),
    "status 422": (422, b'{"detail": [{"msg": "min_p"}]}', "min_p"),
    "status 302": (302, b"", "status 302"),
    "a code in a 200": (200, b'{"error": {"message": "too long", "code": 400}}', "too long"),
    "a type in a 200": (
        200,
        b'{"error": {"message": "too long", "type": "invalid_request_error"}}',
        "too long",
    ),
    "text only": (200, b'{"choices": [{"text": "some text"}]}', "returns text only"),
    "half a character": (400, b'{"error": {"message": "a\\ud800b"}}', r"a\?b"),
}


@pytest.mark.parametrize("name", FINAL)
def test_a_refusal_is_final_and_says_the_status_and_why(checkpoint, one_server, name):
    status, body, says = FINAL[name]
    engine = connect(checkpoint, one_server)
    answered_once(one_server, (status, body))
    before = len(one_server.requests)
    with pytest.raises(EngineError, match=says) as caught:
        asyncio.run(decode_all(engine, REQUESTS[:1]))
    assert len(one_server.requests) == before + 1
    assert str(caught.value).isprintable()
    assert name == "text only" or f"(status {status}" in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.fixed_dictionaries({}, optional={"code": inner, "type": inner, "message": inner})
    ),
    max_leaves=6,
)
CHOICE = st.fixed_dictionaries(
    {}, optional={"token_ids": JSON, "text": JSON, "finish_reason": JSON, "index": JSON}
)
BODY = JSON | st.fixed_dictionaries(
    {}, optional={"choices": JSON | st.lists(CHOICE | JSON, max_size=2), "error": JSON}
)
STATUS = st.sampled_from([200] * 8 + [201, 302, 400, 404, 408, 422, 429, 500, 503, 529])


def is_fit(body: object) -> bool:
    """Whether an answer is one that the engine must take for the server's own."""
    try:
        tokens = body["choices"][0]["token_ids"]
        return bool(tokens) and all(type(token) is int for token in tokens)
    except (TypeError, KeyError, IndexError):
        return False


@settings(max_examples=200)
@given(status=STATUS, body=BODY.filter(lambda body: not is_fit(body)) | st.binary(max_size=20))
def test_whatever_a_server_answers_is_tried_again_or_one_line(
    expected, running_server, decode_first, status, body
):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answered_once(running_server, (status, data))
    try:
        completions = decode_first()
    except EngineError as error:
        assert str(error).isprintable() and len(str(error)) < 500
        assert status in (302, 400, 404, 422) or b"text" in data or b"error" in data
    else:
        assert completions == expected[:1] and status not in (302, 400, 404, 422)


# ---- which replica is asked, and for what --------------------------------------------------------


def test_requests_go_where_fewest_are_and_a_problem_stays_where_it_began(checkpoint):
    with FakeServer(checkpoint) as one, FakeServer(checkpoint) as other:
        engine = connect(checkpoint, one, other)

        async def method(number: int) -> None:
            first = await engine.complete(Request([number, 1], max_tokens=3))
            await engine.complete(Request([number, 1, *first.ids, 2], max_tokens=3))

        async def methods() -> None:
            await asyncio.gather(*(method(number) for number in range(1, 9)))

        asyncio.run(methods())
        served = [
            {request["prompt"][0] for request in server.requests if len(request["prompt"]) == 2}
            for server in (one, other)
        ]
        again = [
            {request["prompt"][0] for request in server.requests if len(request["prompt"]) == 6}
            for server in (one, other)
        ]
        assert served == again and [len(problems) for problems in served] == [4, 4]


def test_all_requests_of_a_sweep_go_where_its_problem_began(checkpoint, monkeypatch):
    monkeypatch.setattr(server_engine, "SLACK", 100)  # whatever the load
    with FakeServer(checkpoint) as one, FakeServer(checkpoint) as other:
        engine = connect(checkpoint, one, other)
        chat = ChatFormat(engine.tokenizer)
        points = [Budget(max_thinking=limit, answer_tokens=2) for limit in (3, 6)] + [
            Budget(max_thinking=12, waits=1, answer_tokens=2)
        ]
        prompts = [
            chat.prompt_ids(f"Ann has {number} coins. How many coins?") for number in range(10, 18)
        ]

        async def sweeps() -> None:
            await asyncio.gather(
                *(sweep(Thinker(engine, chat), prompt, points) for prompt in prompts)
            )

        asyncio.run(sweeps())
        served = [
            {
                i
                for request in server.requests
                for i, p in enumerate(prompts)
                if request["prompt"][: len(p)] == p
            }
            for server in (one, other)
        ]
        assert not served[0] & served[1] and [len(problems) for problems in served] == [4, 4]


def test_no_more_requests_are_under_way_than_there_are_rows(checkpoint):
    with FakeServer(checkpoint) as server:
        engine = connect(checkpoint, server, rows=3)
        now = most = 0
        decode = server._complete

        async def counting(request: dict) -> list[int]:
            nonlocal now, most
            now, most = now + 1, max(most, now + 1)
            # Long enough for the others to come, however fast the machine.
            await asyncio.sleep(0.02)
            tokens = await decode(request)
            now -= 1
            return tokens

        server._complete = counting
        asyncio.run(decode_all(engine, REQUESTS[:20]))
        assert most == 3


def test_the_models_own_sampling_defaults_are_switched_off(checkpoint):
    with FakeServer(checkpoint) as server:
        asyncio.run(decode_all(connect(checkpoint, server), REQUESTS[:1]))
        sent = server.requests[-1]
        assert (sent["top_p"], sent["top_k"], sent["repetition_penalty"], sent["ignore_eos"]) == (
            1.0,
            0,
            1.0,
            True,
        )
        json.dumps(sent, allow_nan=False)


# ---- refused before decoding ---------------------------------------------------------------------


def refusal(checkpoint, *servers: FakeServer | str) -> str:
    start = time.monotonic()
    with pytest.raises(EngineError) as caught:
        connect(checkpoint, *servers)
    assert "\n" not in str(caught.value) and time.monotonic() - start < 5
    return str(caught.value)


def test_a_server_that_returns_text_only_is_refused(checkpoint):
    with FakeServer(checkpoint, text_only=True) as server:
        assert "returns text only, not token ids: use one that knows return_token_ids" in refusal(
            checkpoint, server
        )


def test_a_server_of_another_model_is_refused_and_what_it_serves_is_named(checkpoint):
    with FakeServer(checkpoint, name="somebody/else") as server:
        assert f"serves {checkpoint}, they serve somebody/else" in refusal(checkpoint, server)


def test_nobody_at_the_address_and_no_address(checkpoint):
    url = f"http://127.0.0.1:{free_port()}"
    assert f"cannot reach the server {url} (ConnectError" in refusal(checkpoint, url)
    assert "cannot reach the server ftp://nowhere" in refusal(checkpoint, "ftp://nowhere")
    assert "engine.urls names none" in refusal(checkpoint)


def test_something_else_at_the_address(checkpoint):
    with FakeServer(checkpoint) as server:
        assert "cannot reach the server" in refusal(checkpoint, server.url + "/elsewhere")


ODD_LISTS = {
    "an empty list": {"data": []},
    "null": None,
    "a list": [{"id": "a"}],
    "data that is null": {"data": None},
    "data that is an object": {"data": {"id": "a"}},
    "entries that are no objects": {"data": [None, 3, "a", ["id"]]},
    "ids that are no text": {"data": [{"id": None}, {"id": 3}, {"id": ["a"]}, {"name": "a"}]},
    "an id that no path can hold": {"data": [{"id": "a\0b"}, {"id": "\ud800"}]},
}


@pytest.mark.parametrize("name", ODD_LISTS)
def test_a_list_without_models_is_no_openai_compatible_server(checkpoint, name):
    with FakeServer(checkpoint) as server:
        server.models = json.dumps(ODD_LISTS[name]).encode()
        message = refusal(checkpoint, server)
        assert f"{server.url} is no OpenAI-compatible server" in message
        server.models = b"<html>starting up</html>"
        assert refusal(checkpoint, server) == message


@pytest.mark.parametrize("odd", [None, "4096", 4096.5, True, 0, -1, [], {}])
def test_odd_fields_of_a_listed_model_count_as_not_said(checkpoint, odd):
    with FakeServer(checkpoint) as server:
        entry = {"id": "served", "root": str(checkpoint), "max_model_len": odd, "owned_by": [odd]}
        other = {"id": "other", "root": odd}
        server.models = json.dumps({"data": [None, other, entry]}).encode()
        engine = connect(checkpoint, server)
        assert (engine.max_context, engine.name) == (96, "server-openai")
        assert [replica.model for replica in engine.replicas] == ["served"]


@pytest.mark.parametrize("name", ["an error", "null", "HTML", "floats as ids", "status 503"])
def test_a_server_that_does_not_decode_at_the_start_is_refused(checkpoint, one_server, name):
    with FakeServer(checkpoint, fail=lambda _: PASSING[name], spare_first=False) as server:
        assert f"the server {server.url} does not decode (" in refusal(checkpoint, server)
        engine = connect(checkpoint, one_server, server)
        assert [replica.rests_until > 0 for replica in engine.replicas] == [False, True]


@pytest.mark.parametrize("url", ["http://[::1", "http://" + "a" * 70, "localhost:8000", "http://"])
def test_an_address_that_is_none_is_refused_though_others_answer(checkpoint, one_server, url):
    assert f"cannot reach the server {url.rstrip('/')}" in refusal(checkpoint, one_server, url)


def test_one_replica_that_is_down_at_the_start_joins_later(checkpoint, expected):
    with FakeServer(checkpoint) as one, FakeServer(checkpoint) as late:
        late.kill()
        engine = connect(checkpoint, one.url + "/v1/", late)
        late.start()
        time.sleep(0.1)
        assert decoded(engine, expected)
        assert late.requests


def test_a_closed_engine_cancels_what_is_pending(checkpoint):
    with FakeServer(checkpoint, fail=lambda number: "hang") as server:
        engine = connect(checkpoint, server)

        async def scenario() -> None:
            pending = asyncio.create_task(engine.complete(Request([1], max_tokens=5)))
            await asyncio.sleep(0.1)
            await engine.aclose()
            with pytest.raises(asyncio.CancelledError):
                await pending
            with pytest.raises(EngineError, match="closed"):
                await engine.complete(Request([1], max_tokens=5))

        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(scenario())
