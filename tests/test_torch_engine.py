"""TorchEngine against a decoder of a few lines that feeds everything again for every token."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from s1lib.engines import Completion, EngineError, open_engine
from s1lib.engines.decode_steps import DecodeSteps
from s1lib.engines.fused_norms import FusedNorms
from s1lib.engines.protocol import Request
from s1lib.engines.row_model import RowModel, Sizes
from s1lib.engines.torch_engine import TorchEngine
from s1lib.profile import EngineSettings

VOCABULARY, CONTEXT = 24, 160
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def make_model() -> Qwen2ForCausalLM:
    """Random weights, large enough that greedy decoding wanders, and 8 ids of padding."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY + 8,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
        eos_token_id=None,
        **SIZES,
    )
    model = Qwen2ForCausalLM(config).eval()
    model.lm_head.weight.data[VOCABULARY:] *= 4  # what is padding would often win
    return model


REFERENCE = make_model()  # keeps its own attention


# As on a GPU: several steps before a look at what was sampled, few shapes. Small pages.
AHEAD = Sizes(page=8, prefill=256, mixed=True, ahead=5, graphs=True)


def make_engine(
    rows: int = 8,
    context: int = CONTEXT,
    model: torch.nn.Module | None = None,
    sizes: Sizes | None = None,
) -> TorchEngine:
    return TorchEngine(
        model or make_model(),
        vocab_size=VOCABULARY,
        max_rows=rows,
        max_context=context,
        sizes=sizes,
    )


def prompt(number: int, length: int | None = None) -> list[int]:
    rng = random.Random(number)
    return [rng.randrange(VOCABULARY) for _ in range(length or rng.randrange(1, 60))]


def greedy(
    ids: Sequence[int], max_tokens: int, stop: Sequence[tuple[int, ...]] = (), min_tokens: int = 0
) -> Completion:
    """What the protocol says, with one whole forward pass per token."""
    out: list[int] = []
    while len(out) < max_tokens:
        with torch.no_grad():
            order = (
                REFERENCE(torch.tensor([[*ids, *out]]))
                .logits[0, -1, :VOCABULARY]
                .argsort(descending=True)
                .tolist()
            )
        for token in order:
            found = next((s for s in stop if tuple([*out, token][-len(s) :]) == s), None)
            early = any(
                tuple([*out, token][-len(s) :]) == s and len(out) + 1 - len(s) < min_tokens
                for s in stop
            )
            if not early:
                break
        out.append(token)
        if found:
            return Completion(out[: -len(found)], "stop", found)
    return Completion(out, "length")


def run(engine: TorchEngine, *requests: dict) -> list[Completion]:
    async def together() -> list[Completion]:
        return await asyncio.gather(
            *(
                engine.complete(Request(r["ids"], **{k: v for k, v in r.items() if k != "ids"}))
                for r in requests
            )
        )

    return asyncio.run(together())


def count_fed(engine: TorchEngine) -> list[int]:
    """A list that gets the number of tokens of each pass (rows that are not live included)."""
    fed: list[int] = []
    engine.model.get_input_embeddings().register_forward_hook(
        lambda module, args, output: fed.append(args[0].numel())
    )
    return fed


# ---- greedy decoding -----------------------------------------------------------------------------


def test_greedy_tokens_are_those_of_transformers_generate():
    prompts = [prompt(n, length) for n, length in enumerate((1, 7, 18, 40, 90))]
    done = run(make_engine(), *({"ids": ids, "max_tokens": 30} for ids in prompts))
    options = {
        "max_new_tokens": 30,
        "do_sample": False,
        "suppress_tokens": list(range(VOCABULARY, VOCABULARY + 8)),
        "pad_token_id": 0,
    }
    for ids, completion in zip(prompts, done, strict=True):
        expected = REFERENCE.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), **options
        )[0, len(ids) :].tolist()
        assert completion == Completion(expected, "length")
    assert len({token for completion in done for token in completion.ids}) > VOCABULARY / 2


@pytest.mark.parametrize("sizes", [None, AHEAD], ids=["one step", "steps ahead"])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_mixture_of_requests_gets_what_the_protocol_says(sizes, data):
    tokens = st.integers(0, VOCABULARY - 1)
    requests = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    # Few seeds, so that many share a prefix.
                    "ids": st.builds(prompt, st.integers(0, 3), st.integers(1, 40)),
                    "max_tokens": st.integers(0, 12),
                    "stop": st.lists(
                        st.lists(tokens, min_size=1, max_size=2).map(tuple), max_size=8
                    ),
                    "min_tokens": st.integers(0, 4),
                }
            ),
            min_size=1,
            max_size=7,
        )
    )
    engine = make_engine(rows=3, sizes=sizes)
    assert run(engine, *requests) == [greedy(**request) for request in requests]


def test_other_decoders_work_and_a_short_window_is_refused():
    torch.manual_seed(0)
    shape = {"vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT, **SIZES}
    config = MistralConfig(initializer_range=0.3, sliding_window=None, **shape)
    model = MistralForCausalLM(config).eval()
    ids = prompt(0, 20)
    expected = model.generate(
        torch.tensor([ids]), max_new_tokens=12, do_sample=False, eos_token_id=None
    )[0, 20:].tolist()
    assert run(make_engine(model=model), {"ids": ids, "max_tokens": 12})[0].ids == expected
    with pytest.raises(EngineError, match="window of 64 tokens: lower"):
        make_engine(model=MistralForCausalLM(MistralConfig(sliding_window=64, **shape)))


# ---- independence of the batch -------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_result_does_not_depend_on_what_else_is_decoded(temperature):
    requests = [
        {"ids": prompt(n), "max_tokens": 5 + 7 * (n % 5), "temperature": temperature, "seed": n}
        for n in range(16)
    ]
    together = run(make_engine(rows=10), *requests)
    for number in (0, 9, 14):
        assert run(make_engine(rows=10), requests[number]) == [together[number]]
    assert run(make_engine(rows=10), *reversed(requests)) == together[::-1]


@pytest.mark.parametrize("sizes", [None, AHEAD], ids=["large pages", "small pages"])
def test_rows_move_together_when_few_are_left(sizes):
    """The long requests sit in rows and pages far apart, which are brought together."""
    requests = [{"ids": prompt(n), "max_tokens": 30 if n in (3, 17, 30) else 2} for n in range(32)]
    engine = make_engine(rows=32, sizes=sizes)
    assert run(engine, *requests) == [greedy(**request) for request in requests]


def test_steps_ahead_sample_what_single_steps_do():
    requests = [
        {
            "ids": prompt(n % 6),
            "max_tokens": 1 + 5 * (n % 7),
            "temperature": n % 3,
            "seed": n,
            "stop": [(n % VOCABULARY,)],
            "min_tokens": n % 4,
        }
        for n in range(40)
    ]
    one, ahead = make_engine(), make_engine(sizes=AHEAD)
    assert run(one, *requests) == run(ahead, *requests)
    assert one.decoded_tokens == ahead.decoded_tokens


def test_a_step_that_cannot_be_recorded_is_decoded_without(monkeypatch):
    def fails(self: DecodeSteps, shape: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(DecodeSteps, "_recorded", fails)
    engine = make_engine(sizes=AHEAD)
    engine._row_model.steps._record = True
    with pytest.warns(UserWarning, match="without CUDA graphs .*not permitted"):
        done = run(engine, {"ids": prompt(1), "max_tokens": 9})
    assert done == [greedy(prompt(1), 9)]


class Crossings(TorchDispatchMode):
    """Notes the operations that have to do with the host's memory.

    An assigned number crosses as a tensor: on a GPU it is copied from the host.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, result)) if torch.is_tensor(one)]
        assigned = operation is torch.ops.aten.scalar_tensor.default
        if assigned or any(one.device.type == "cpu" for one in tensors):
            self.found.append(str(operation))
        return result


def test_the_steps_of_a_load_have_nothing_to_do_with_the_host():
    # A CUDA graph cannot record what crosses to the host. "meta" stands for such a device.
    row_model = RowModel(
        make_model().to("meta"), vocab_size=VOCABULARY, rows=8, columns=CONTEXT, sizes=AHEAD
    )
    row_model.steps._shape = (8, 4, 16)
    with torch.inference_mode(), Crossings() as crossings:
        chosen = row_model.steps.logits(0, None).argmax(-1)
        row_model.steps.logits(1, chosen)
    assert not crossings.found


def test_fused_norms_decode_alike_and_are_undone():
    model, plain = make_model(), make_model()
    norms = FusedNorms(model)
    fused = [one for one in model.modules() if "forward" in vars(one)]
    assert len(fused) == 2 * SIZES["num_hidden_layers"] + 1
    requests = [{"ids": prompt(n), "max_tokens": 20} for n in range(6)]
    assert run(make_engine(model=model), *requests) == run(make_engine(model=plain), *requests)
    norms.close()
    assert not any("forward" in vars(one) for one in model.modules())


def test_a_norm_that_is_more_than_its_name_says_stays_as_it_is():
    config = GemmaConfig(vocab_size=VOCABULARY, head_dim=8, **SIZES)  # adds 1 to its weights
    model = GemmaForCausalLM(config)
    for norm in (one for one in model.modules() if type(one).__name__ == "GemmaRMSNorm"):
        norm.variance_epsilon = norm.eps
    FusedNorms(model)
    assert not any("forward" in vars(one) for one in model.modules())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_recorded_step_gives_what_the_same_step_gives_unrecorded():
    def completions(graphs: bool) -> list[Completion]:
        sizes = dataclasses.replace(AHEAD, graphs=graphs)
        engine = make_engine(model=make_model().cuda(), sizes=sizes)
        return run(engine, *({"ids": prompt(n), "max_tokens": 40} for n in range(20)))

    assert completions(True) == completions(False)


def test_five_hundred_requests_at_once():
    engine = make_engine(rows=64)
    requests = [{"ids": prompt(n, 12), "max_tokens": 1 + n % 7} for n in range(500)]
    done = run(engine, *requests)
    assert [len(completion.ids) for completion in done] == [1 + n % 7 for n in range(500)]
    assert all(done[n] == greedy(**requests[n]) for n in (0, 250, 499))
    assert engine.decoded_tokens == sum(completion.decoded_tokens for completion in done)


# ---- stops, limits -------------------------------------------------------------------------------


def test_a_stop_id_ends_the_completion_and_is_reported_apart():
    ids, text = prompt(1), greedy(prompt(1), 20).ids
    place = next(n for n in range(3, 20) if text[n] not in text[:n])
    engine = make_engine()
    (done,) = run(engine, {"ids": ids, "max_tokens": 20, "stop": [(text[place],)]})
    assert done == Completion(text[:place], "stop", (text[place],))
    assert engine.decoded_tokens == done.decoded_tokens == place + 1


def test_a_stop_on_the_first_token_leaves_nothing():
    first = greedy(prompt(1), 1).ids[0]
    assert run(make_engine(), {"ids": prompt(1), "max_tokens": 9, "stop": [(first,)]}) == [
        Completion([], "stop", (first,))
    ]


def test_a_stop_of_several_ids_must_be_sampled_as_a_whole():
    text = greedy(prompt(1), 20).ids
    stop = tuple(text[4:7])
    assert run(make_engine(), {"ids": prompt(1), "max_tokens": 20, "stop": [stop]}) == [
        greedy(prompt(1), 20, [stop])
    ]
    # The prompt already ends in the first two of its ids; the third alone does not stop.
    begun = [*prompt(1), *text[:6]]
    assert run(make_engine(), {"ids": begun, "max_tokens": 3, "stop": [stop]}) == [
        greedy(begun, 3, [stop])
    ]


def test_min_tokens_bans_the_id_that_would_complete_a_stop():
    ids, text = prompt(1), greedy(prompt(1), 20).ids
    one, two = (text[0],), tuple(text[2:4])
    (done,) = run(
        make_engine(), {"ids": ids, "max_tokens": 20, "stop": [one, two], "min_tokens": 6}
    )
    assert done == greedy(ids, 20, [one, two], 6)
    assert text[0] not in done.ids[:6] and len(done.ids) >= 6


def test_a_stop_id_outside_the_tokenizer_is_never_there_and_does_no_harm():
    request = {"ids": prompt(1), "max_tokens": 9, "min_tokens": 4}
    outside = [(VOCABULARY,), (VOCABULARY + 7,), (10**6,), (-1,)]
    assert run(make_engine(), {**request, "stop": outside}) == [greedy(prompt(1), 9)]


def test_no_tokens_asked_for_none_decoded():
    engine = make_engine()
    assert run(engine, {"ids": prompt(0), "max_tokens": 0}) == [Completion([], "length")]
    assert engine.decoded_tokens == 0


def test_the_context_ends_a_completion():
    (done,) = run(make_engine(context=50), {"ids": prompt(0, 40), "max_tokens": 1000})
    assert done == greedy(prompt(0, 40), 10)
    assert make_engine(context=10_000).max_context == CONTEXT  # the model's own window


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"ids": prompt(0, 50), "max_tokens": 1}, "leaves no room in engine.max_context"),
        ({"ids": [], "max_tokens": 1}, "empty"),
        ({"ids": [VOCABULARY + 8], "max_tokens": 1}, "ids that the model does not have"),
        ({"ids": [1], "max_tokens": 1, "stop": [()]}, "stop sequence"),
        ({"ids": [1], "max_tokens": -1}, "must not be negative"),
    ],
)
def test_an_impossible_request_is_one_clear_line(request_, message):
    with pytest.raises(EngineError, match=message) as caught:
        run(make_engine(context=50), request_)
    assert "\n" not in str(caught.value)


# ---- sampling ------------------------------------------------------------------------------------


def test_ids_beyond_the_tokenizer_are_never_sampled():
    requests = [
        {"ids": prompt(n, 5), "max_tokens": 30, "temperature": 2.0 * (n % 2), "seed": n}
        for n in range(16)
    ]
    assert (
        max(token for completion in run(make_engine(), *requests) for token in completion.ids)
        < VOCABULARY
    )


def test_a_seed_fixes_the_sample_and_another_one_changes_it():
    request = {"ids": prompt(2, 10), "max_tokens": 20, "temperature": 1.5}
    a, b, c, short = run(
        make_engine(),
        *({**request, "seed": seed} for seed in (1, 1, 2)),
        {**request, "seed": 1, "max_tokens": 8},
    )
    assert a == b != c
    assert short.ids == a.ids[:8]


def test_samples_follow_the_softmax_of_logits_over_temperature():
    ids = prompt(4, 10)
    done = run(
        make_engine(rows=64),
        *({"ids": ids, "max_tokens": 1, "temperature": 3.0, "seed": seed} for seed in range(2000)),
    )
    with torch.no_grad():
        expected = torch.softmax(
            REFERENCE(torch.tensor([ids])).logits[0, -1, :VOCABULARY] / 3.0, -1
        )
    counts = torch.bincount(
        torch.tensor([completion.ids[0] for completion in done]), minlength=VOCABULARY
    )
    deviation = (counts - 2000 * expected) / (2000 * expected * (1 - expected)).sqrt()
    assert expected.max() < 0.9 and deviation.abs().max() < 4


# ---- prefixes ------------------------------------------------------------------------------------


def test_a_continuation_feeds_only_what_is_new_and_changes_nothing():
    ids = prompt(5, 40)
    text = greedy(ids, 40).ids
    engine = make_engine(rows=4)
    fed = count_fed(engine)

    async def method() -> Completion:
        await engine.complete(Request(ids, max_tokens=30))
        fed.clear()
        return await engine.complete(Request([*ids, *text[:30], 3, 4], max_tokens=5))

    assert asyncio.run(method()) == greedy([*ids, *text[:30], 3, 4], 5)
    assert fed == [4] * 7  # the last token, two forced ones, four sampled ones; four rows each


def test_branches_of_a_trace_share_its_prefix_while_it_goes_on():
    ids = prompt(6, 40)
    text = greedy(ids, 60).ids
    for rows in (1, 2, 8):
        engine = make_engine(rows=rows)
        fed = count_fed(engine)

        async def method(engine: TorchEngine = engine, fed: list[int] = fed) -> list[Completion]:
            await engine.complete(Request(ids, max_tokens=30))
            fed.clear()
            branches = [[*ids, *text[:cut], 7, 8] for cut in (30, 5, 20, 12)]
            return await asyncio.gather(
                *(
                    engine.complete(Request(branch, max_tokens=4))
                    for branch in [*branches, [*ids, *text[:30]]]
                )
            )

        expected = [greedy([*ids, *text[:cut], 7, 8], 4) for cut in (30, 5, 20, 12)] + [
            Completion(text[30:34], "length")
        ]
        assert asyncio.run(method()) == expected
        assert max(fed) <= rows  # no prompt was fed again


def test_the_same_prompt_is_computed_once_for_all_its_samples():
    engine = make_engine(rows=16)
    fed = count_fed(engine)
    run(
        engine,
        *(
            {"ids": prompt(7, 60), "max_tokens": 2, "temperature": 1.0, "seed": seed}
            for seed in range(16)
        ),
    )
    assert [tokens for tokens in fed if tokens > 16] == [64]  # 59 tokens, padded


def test_a_problem_under_way_goes_on_before_a_new_one_begins():
    order = []

    async def method(engine: TorchEngine, number: int) -> None:
        first = await engine.complete(Request(prompt(number, 20), max_tokens=3))
        await engine.complete(Request([*prompt(number, 20), *first.ids, 1], max_tokens=3))
        order.append(number)

    async def all_of_them(engine: TorchEngine) -> None:
        starts = []
        complete = engine.complete

        async def spy(request: Request) -> Completion:
            done = await complete(request)
            starts.append(len(request.prompt_ids))
            return done

        engine.complete = spy
        await asyncio.gather(*(method(engine, number) for number in range(4)))
        assert starts == [20, 24] * 4

    asyncio.run(all_of_them(make_engine(rows=1)))
    assert order == [0, 1, 2, 3]


# ---- ends ----------------------------------------------------------------------------------------


def test_a_cancelled_request_frees_its_row():
    async def scenario() -> None:
        engine = make_engine(rows=1)
        long = [
            asyncio.create_task(engine.complete(Request(prompt(n), max_tokens=100)))
            for n in range(3)
        ]
        while engine.decoded_tokens < 5:
            await asyncio.sleep(0)
        for task in long:
            task.cancel()
        assert await engine.complete(Request(prompt(9), max_tokens=4)) == greedy(prompt(9), 4)
        assert engine.decoded_tokens < 100
        assert all(
            result.__class__ is asyncio.CancelledError
            for result in await asyncio.gather(*long, return_exceptions=True)
        )

    asyncio.run(scenario())


def test_an_error_in_the_model_reaches_every_waiter_and_the_engine_goes_on(monkeypatch):
    engine = make_engine(rows=2)
    forward = engine.model.model.forward
    steps = iter(range(1000))

    def failing(*args: object, **kwargs: object) -> object:
        if next(steps) == 3:
            raise RuntimeError("the third step\nfails")
        return forward(*args, **kwargs)

    monkeypatch.setattr(engine.model.model, "forward", failing)

    async def scenario() -> list[object]:
        return await asyncio.gather(
            *(engine.complete(Request(prompt(n), max_tokens=20)) for n in range(5)),
            return_exceptions=True,
        )

    errors = asyncio.run(scenario())
    assert {str(error) for error in errors} == {
        "decoding failed (RuntimeError: the third step fails)"
    }
    assert all(isinstance(error, EngineError) for error in errors)
    assert run(engine, {"ids": prompt(1), "max_tokens": 5}) == [greedy(prompt(1), 5)]


def test_ctrl_c_in_the_middle_of_a_step_leaves_the_engine_usable(monkeypatch):
    engine = make_engine()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_decode", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(engine, {"ids": prompt(1), "max_tokens": 5})
    assert run(engine, {"ids": prompt(1), "max_tokens": 5}) == [greedy(prompt(1), 5)]


def test_closing_cancels_what_is_pending_and_gives_the_model_back():
    async def scenario() -> None:
        engine = make_engine()
        pending = asyncio.create_task(engine.complete(Request(prompt(1), max_tokens=100)))
        await asyncio.sleep(0)
        await engine.aclose()
        with pytest.raises(asyncio.CancelledError):
            await pending
        with pytest.raises(EngineError, match="closed"):
            await engine.complete(Request(prompt(1), max_tokens=1))
        ids = torch.tensor([prompt(1)])
        assert torch.equal(engine.model(ids).logits, REFERENCE(ids).logits)

    asyncio.run(scenario())


# ---- checkpoints ---------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tiny_model_dir, tmp_path):
    """A copy that a test may damage."""
    for file in tiny_model_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_a_checkpoint_opens_with_its_tokenizer(checkpoint):
    engine = open_engine(checkpoint, EngineSettings(max_rows=4, max_context=1024), device="cpu")
    assert (engine.name, engine.max_context, engine.vocab_size) == (
        "torch-float32-cpu",
        512,
        len(engine.tokenizer),
    )
    (done,) = run(engine, {"ids": engine.tokenizer.encode("a: 34+39=73"), "max_tokens": 3})
    assert len(done.ids) == 3
    assert (
        open_engine(checkpoint, EngineSettings(dtype="bfloat16"), device="cpu").name
        == "torch-bfloat16-cpu"
    )


def damage(directory, what):
    weights = directory / "model.safetensors"
    if what == "gone":
        weights.unlink()
    elif what == "cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif what == "empty":
        weights.write_bytes(b"")
    elif what == "one missing":
        tensors = load_file(weights)
        del tensors["model.norm.weight"]
        save_file(tensors, weights, {"format": "pt"})
    elif what == "no config":
        (directory / "config.json").unlink()
    elif what == "null config":
        (directory / "config.json").write_text("null")
    elif what == "config of no model":
        (directory / "config.json").write_text("{}")
    elif what == "no tokenizer":
        (directory / "tokenizer.json").unlink()
    elif what == "bad tokenizer":
        (directory / "tokenizer.json").write_text("{")


DAMAGES = {
    "gone": "no file named model.safetensors",
    "cut": "SafetensorError",
    "empty": "SafetensorError",
    "one missing": "lacks 1 of the model's weights",
    "no config": "",
    "null config": "",
    "config of no model": "model_type",
    "no tokenizer": "has no tokenizer: save one beside the model",
    "bad tokenizer": "",
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_checkpoint_is_one_clear_line(checkpoint, what):
    damage(checkpoint, what)
    with pytest.raises(EngineError, match=r"write|save") as caught:
        open_engine(checkpoint, EngineSettings(), device="cpu")
    assert str(checkpoint) in str(caught.value) and "\n" not in str(caught.value)
    assert DAMAGES[what] in str(caught.value)


def test_a_checkpoint_of_bin_weights_is_read(checkpoint):
    expected = open_engine(checkpoint, EngineSettings(), device="cpu")
    torch.save(load_file(checkpoint / "model.safetensors"), checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    engine = open_engine(checkpoint, EngineSettings(), device="cpu")
    request = {"ids": [1, 2, 3], "max_tokens": 5}
    assert run(engine, request) == run(expected, request)


def test_a_directory_that_is_not_there_and_an_unknown_engine_say_so(tmp_path):
    with pytest.raises(EngineError, match="does not exist"):
        open_engine(tmp_path / "nothing", EngineSettings())
    with pytest.raises(EngineError, match="kind 'vlm'"):
        open_engine(tmp_path, EngineSettings(kind="vlm"))


# ---- what a user of the engine alone may do ------------------------------------------------------


def test_one_event_loop_decodes_at_a_time():
    engine, seen = make_engine(), []
    under_way, refused = threading.Event(), threading.Event()

    async def long() -> Completion:
        decoding = asyncio.create_task(engine.complete(Request(prompt(0), max_tokens=90)))
        await asyncio.sleep(0)
        under_way.set()
        refused.wait(60)  # nothing is decoded until the other loop has been told
        return await decoding

    first = threading.Thread(target=lambda: seen.append(asyncio.run(long())))
    first.start()
    under_way.wait()
    with pytest.raises(EngineError, match="another loop"):
        run(engine, {"ids": prompt(1), "max_tokens": 2})
    refused.set()
    first.join()
    assert seen == [greedy(prompt(0), 90)]
    assert run(engine, {"ids": prompt(1), "max_tokens": 2}) == [greedy(prompt(1), 2)]


def test_a_model_decodes_for_one_engine_at_a_time():
    model = make_model()
    first = make_engine(model=model)
    with pytest.raises(EngineError, match="another engine decodes with this model object"):
        make_engine(model=model)
    asyncio.run(first.aclose())
    assert run(make_engine(model=model), {"ids": prompt(1), "max_tokens": 3}) == [
        greedy(prompt(1), 3)
    ]


def test_a_cache_that_does_not_fit_is_refused_before_it_is_allocated():
    model = make_model()
    own = model.config._attn_implementation
    with pytest.raises(EngineError, match=r"GiB, and .* are free: lower engine.max_rows"):
        make_engine(rows=10**9, model=model)
    assert model.config._attn_implementation == own


@pytest.mark.parametrize(
    "wrong",
    [{"stop": [2]}, {"stop": "\n"}, {"stop": ["\n"]}, {"max_tokens": "5"}, {"max_tokens": 5.5}],
)
def test_what_is_no_whole_number_is_refused(wrong):
    with pytest.raises(EngineError, match="token ids"):
        Request(**{"prompt_ids": [1], "max_tokens": 5, **wrong})
    with pytest.raises(EngineError, match="token ids"):
        Request("a text", max_tokens=5)


def test_ids_of_numpy_are_ids():
    ids = np.array(prompt(0))
    request = Request(ids, max_tokens=np.int64(4), stop=[ids[:1]])
    assert request == Request(ids.tolist(), max_tokens=4, stop=[ids[:1].tolist()])
    assert type(request.prompt_ids[0]) is type(request.max_tokens) is int


@pytest.mark.parametrize("temperature", [float("nan"), float("inf"), -1.0, 1e-300])
def test_a_temperature_that_nothing_can_be_drawn_at_is_refused(temperature):
    with pytest.raises(EngineError, match="must be 0 or a number from"):
        run(make_engine(), {"ids": [1], "max_tokens": 1, "temperature": temperature})
