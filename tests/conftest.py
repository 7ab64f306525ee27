"""What several tests share.

One thread, properties without a clock, and a tiny Qwen2 with the toy's tokenizer on disk.

Some tests read published data that is not in the repository: MATH-500, AIME 2024 and 2025, and
Qwen's byte-pair ranks. They look for it in `../shared/data` beside the checkout (math500.jsonl,
aime24.jsonl, aime25.jsonl, qwen.tiktoken) and are skipped where it is not.
"""

from __future__ import annotations

import signal

import pytest
import torch
from hypothesis import settings

# A background job ignores Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)
# A busy machine is no failure, and a failure comes back.
settings.register_profile("s1", deadline=None, derandomize=True)
settings.load_profile("s1")


@pytest.fixture
def closed_figures():
    """Figures that a test draws are closed behind it."""
    yield
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory):
    """A random Qwen2 of two small layers with the toy's tokenizer and a context of 512 tokens."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from s1lib.toy.tokenizer import build_tokenizer

    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    directory = tmp_path_factory.mktemp("models") / "tiny"
    Qwen2ForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
