"""Which tokens the loss is on: read off SFTTrainer's own batch, and shown in colour."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.profile import SFT
from s1lib.sft.dataset import training_set
from s1lib.sft.recipe import build_trainer, check_recipe

TRAINED, CONTEXT = "#cde8d8", "#eeeeee"
NO_LOSS = -100  # transformers' label of a token without loss


def loss_mask(sample: Sample, tokenizer: Any, settings: SFT) -> list[tuple[str, bool]]:
    """(token's text, is the loss on it) for the tokens of one example.

    Raises TrainingError for what cannot be trained with, so that notebook 02 says so before it
    trains.
    """
    check_recipe(settings, tokenizer)
    batch, chat = trainer_batch([sample], tokenizer, settings), ChatFormat(tokenizer)
    pairs = zip(batch["input_ids"][0].tolist(), batch["labels"][0].tolist(), strict=True)
    return [(chat.decode([token]), label != NO_LOSS) for token, label in pairs]


def trainer_batch(samples: Sequence[Sample], tokenizer: Any, settings: SFT) -> dict[str, Tensor]:
    """The one batch that SFTTrainer makes of these samples, in order of their length.

    Its input_ids, attention_mask and labels are of shape [samples, longest of them in tokens].
    """
    size = {"batch_size": len(samples), "micro_batch_size": len(samples)}
    data = training_set(samples, ChatFormat(tokenizer), max_length=settings.max_length)

    # The trainer wants a model, and any will do: the batch does not depend on it.
    with tempfile.TemporaryDirectory() as work:
        one_batch = replace(settings, **size)
        trainer = build_trainer(random_model(tokenizer), tokenizer, data, one_batch, work, cpu=True)
        return next(iter(trainer.get_train_dataloader()))


def random_model(tokenizer: Any, *, hidden_size: int = 8, layers: int = 1) -> Qwen2ForCausalLM:
    """A small Qwen2 with random weights and the tokenizer's vocabulary."""
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=1,
        num_key_value_heads=1,
    )
    return Qwen2ForCausalLM(config)


def mask_html(mask: Sequence[tuple[str, bool]]) -> str:
    """The tokens as HTML: green where the loss is, grey where the model only reads."""
    spans = []
    for text, trained in mask:
        shown = html.escape(text).replace("\n", "↵<br>")
        style = f"background:{TRAINED if trained else CONTEXT};border-right:1px solid white"
        spans.append(f'<span style="{style}">{shown}</span>')
    style = "font-family:monospace;line-height:1.6;white-space:pre-wrap;color:black"
    return f'<div style="{style}">{"".join(spans)}</div>'
