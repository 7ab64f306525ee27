"""Which tokens the loss is on: read off SFTTrainer's own batch, and shown in colour."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Sequence
from typing import Any

from transformers import Qwen2Config, Qwen2ForCausalLM

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.profile import SFT
from s1lib.sft.dataset import training_set
from s1lib.sft.recipe import build_trainer, check_recipe

TRAINED, CONTEXT = "#cde8d8", "#eeeeee"


def loss_mask(sample: Sample, tokenizer: Any, settings: SFT) -> list[tuple[str, bool]]:
    """(token's text, is the loss on it) for the tokens of one example.

    Raises TrainingError for what cannot be trained with, so that notebook 02 says so before it
    trains.
    """
    check_recipe(settings, tokenizer)
    chat = ChatFormat(tokenizer)

    # The trainer wants a model, and any will do: the batch does not depend on it.
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 1, "num_key_value_heads": 1}
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **sizes, **heads))

    with tempfile.TemporaryDirectory() as work:
        data = training_set([sample], chat, max_length=settings.max_length)
        trainer = build_trainer(model, tokenizer, data, settings, work, cpu=True)
        batch = next(iter(trainer.get_train_dataloader()))

    # Transformers gives the label -100 to tokens without loss.
    pairs = zip(batch["input_ids"][0].tolist(), batch["labels"][0].tolist(), strict=True)
    return [(chat.decode([token]), label != -100) for token, label in pairs]


def mask_html(mask: Sequence[tuple[str, bool]]) -> str:
    """The tokens as HTML: green where the loss is, grey where the model only reads."""
    spans = []
    for text, trained in mask:
        shown = html.escape(text).replace("\n", "↵<br>")
        style = f"background:{TRAINED if trained else CONTEXT};border-right:1px solid white"
        spans.append(f'<span style="{style}">{shown}</span>')
    style = "font-family:monospace;line-height:1.6;white-space:pre-wrap;color:black"
    return f'<div style="{style}">{"".join(spans)}</div>'
