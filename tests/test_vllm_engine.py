"""What only VLLMEngine has: what it says of itself and of what goes wrong.

The protocol itself is tested in tests/test_engine_conformance.py.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys

import pytest

from s1lib.chat import ChatFormat
from s1lib.engines import EngineError, open_engine
from s1lib.engines.checkpoint import open_checkpoint
from s1lib.engines.vllm_configuration import require_memory, sequence_bytes, weight_bytes
from s1lib.profile import EngineSettings
from s1lib.thinking.budget import Budget, Trace
from s1lib.thinking.thinker import Thinker

SETTINGS = EngineSettings(kind="vllm", dtype="float32", max_rows=4, max_context=64)
TRAINED = os.environ.get("S1_TRAINED")  # a model that notebook 02 has trained: .ci/run names one
installed = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"
)


def test_without_vllm_the_engine_says_how_to_install_it(tiny_model_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(
        EngineError, match=r"cannot be imported.*install requirements-gpu.lock.*or set engine.kind"
    ) as caught:
        open_engine(tiny_model_dir, SETTINGS)
    assert "\n" not in str(caught.value)


def test_a_model_that_cannot_fit_is_refused_before_vllm_starts(tiny_model_dir):
    checkpoint = open_checkpoint(tiny_model_dir)
    weights = weight_bytes(checkpoint, SETTINGS)
    assert weights == (tiny_model_dir / "model.safetensors").stat().st_size
    assert weight_bytes(checkpoint, EngineSettings(dtype="bfloat16")) == weights // 2
    # Keys and values, layers, heads, head size, tokens, bytes.
    assert sequence_bytes(checkpoint, SETTINGS, 64) == 2 * 2 * 1 * 16 * 64 * 4
    require_memory("it", needed=weights, available=weights)
    with pytest.raises(
        EngineError,
        match=r"too little GPU memory for it: .* 80.0 GiB per GPU, 24.0 are there: "
        r"raise engine.tensor_parallel",
    ):
        require_memory("it", needed=80 << 30, available=24 << 30)


@installed
def test_what_vllms_processes_die_of_is_one_line(tiny_model_dir, tmp_path):
    for file in tiny_model_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    # The weights are of another shape.
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 96}))
    with pytest.raises(EngineError, match="vLLM cannot start on") as caught:
        open_engine(tmp_path, SETTINGS)
    assert "\n" not in str(caught.value) and "See root cause above" not in str(caught.value)
    print(caught.value)


@installed
@pytest.mark.skipif(not TRAINED, reason="S1_TRAINED names no trained model")
def test_a_trained_model_thinks_the_same_on_vllm_as_on_torch():
    question = "Ann has 34 coins. a: wins 39. b: grows by 17. c: loses 60. How many coins?"

    async def think(kind: str) -> Trace:
        engine = open_engine(
            TRAINED, EngineSettings(kind=kind, dtype="float32", max_rows=4, max_context=400)
        )
        try:
            thinker = Thinker(engine, ChatFormat(engine.tokenizer))
            return await thinker.force(
                question, Budget(max_thinking=300, waits=1, answer_tokens=12)
            )
        finally:
            await engine.aclose()

    torch, vllm = (asyncio.run(think(kind)) for kind in ("torch", "vllm"))
    assert torch.thinking_ids == vllm.thinking_ids and torch.answer_ids == vllm.answer_ids
    assert torch.finish == "natural" and torch.waits_used == 1
