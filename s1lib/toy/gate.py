"""The gate of pretraining: what a base model must do nearly always right before SFT makes sense.

The skills are measured on held-out drills over the longest problems, by the model's own greedy
choice of every token.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import torch
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from s1lib.hardware.plain_attention import causal_mask
from s1lib.toy import corpus
from s1lib.toy.batching import collate, encode
from s1lib.toy.families import OPERATORS
from s1lib.toy.problems import LABELS

# Skill -> the share of right lines that must hold.
GATE = {"digit by digit": 0.97, "look-up": 0.99, "option walk": 0.95, "last result": 0.9}
ROWS = 32  # documents in one pass


@torch.inference_mode()
def right_spans(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, documents: list[corpus.Document]
) -> Iterator[tuple[str, list[bool]]]:
    """Yield every trained span, and for each of its tokens whether it is the greedy choice."""
    rows = sorted(encode(tokenizer, documents), key=lambda row: len(row[0]))
    for start in range(0, len(rows), ROWS):
        group = rows[start : start + ROWS]
        batch = collate(group, tokenizer.pad_token_id)
        mask = causal_mask(batch.ids.shape[1])
        logits = model(batch.ids, attention_mask=mask, use_cache=False).logits
        right = (logits[:, :-1].argmax(-1) == batch.ids[:, 1:]).tolist()

        # A token at position p is predicted by the logits at p - 1.
        for found, (ids, trained) in zip(right, group, strict=True):
            for wanted, span in itertools.groupby(range(len(ids)), key=trained.__getitem__):
                positions = list(span)
                if wanted:
                    text = tokenizer.decode([ids[p] for p in positions])
                    yield text, [found[p - 1] for p in positions]


def measure(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, *, seed: int, samples: int = 150
) -> dict[str, float]:
    """Shares of right held-out lines: the skills of the gate, and quick results by operator."""
    rng = random.Random(f"gate-{seed}")
    longest = len(LABELS)
    drills = [
        corpus.drill(rng, longest, careful=careful)
        for careful in (False, True)
        for _ in range(samples)
    ]
    walks = [corpus.walk(rng, 1) for _ in range(samples)]
    interruptions = [corpus.interrupted(rng, longest) for _ in range(samples)]
    quick = {operator: f"quick {operator}" for operator in OPERATORS}
    tally: dict[str, list[bool]] = {skill: [] for skill in (*GATE, *quick.values())}
    model.eval()

    # After the given `a: 34` a line has an operator and two digits, which must be looked up. Then
    # come "=" or ": " and the working, which must be calculated.
    for text, right in right_spans(model, tokenizer, drills):
        if text[0] not in OPERATORS:
            continue  # the end of the document
        tally["look-up"].append(all(right[:3]))
        tally["digit by digit" if ": " in text else quick[text[0]]].append(all(right[4:]))

    for text, right in right_spans(model, tokenizer, walks):
        if text.startswith(", "):
            tally["option walk"].append(all(right))

    for _, right in right_spans(model, tokenizer, interruptions):
        tally["last result"].append(all(right))

    model.train()
    return {skill: sum(right) / len(right) for skill, right in tally.items()}


def missing_skills(shares: dict[str, float]) -> list[str]:
    """The skills of the gate that do not hold."""
    return [skill for skill, least in GATE.items() if shares[skill] < least]
