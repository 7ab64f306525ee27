"""ServerEngine when servers fail: nothing lost, nothing counted twice.

The protocol itself is tested in tests/test_engine_conformance.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time

import pytest
import torch
from fake_server import FakeServer

from s1lib.chat import ChatFormat
from s1lib.engines import Completion, EngineError, open_engine, server_engine
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
    monkeypatch.setattr(server_engine, "FIRST_REST", 0.02)
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
        one.fail = lambda number: (
            one.kill_soon() if number == 8 else "hang"
        )  # what it has never ends, then it is gone
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
            match=rf"no server answered for 0 seconds, the last was {server.url} \(ConnectError",
        ) as caught:
            asyncio.run(decode_all(engine, REQUESTS[:1]))
        assert "\n" not in str(caught.value)


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
            await asyncio.gather(*(sweep(Thinker(engine, chat), prompt, points) for prompt in prompts))

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
            await asyncio.sleep(
                0.02
            )  # long enough for the others to come, however fast the machine
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
