"""The toy's process reward model: the large base model, taught to write "+" or "-" after every line of a solution.

It learns from the teacher's flawed solutions, whose right values are known; at test time it sees a question and steps, and
nothing else. Its tokenizer's chat template puts a solution's steps where `s1lib.thinking.reward_model` expects the user's turns.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from s1lib.toy.corpus import WORKED, Document
from s1lib.toy.pretrain import EXTRA_PEAK, FLOOR, Optimiser, batches, loss_of, right_spans
from s1lib.toy.problems import LABELS, draw_problem
from s1lib.toy.teacher import WAIT, is_right, solve

TEMPLATE = "{% for message in messages %}{{ message.content }}{% if message.role == 'assistant' %}{{ '\n' }}{% endif %}{% endfor %}"
SLIP_RATE = 0.2
EVERY = 100  # optimiser steps between lines of the log


def judged(rng: random.Random) -> Document:
    """A flawed solution with a verdict behind every line; only the verdicts are trained."""
    problem = draw_problem(
        rng, rng.choice(WORKED), rng.randint(1, len(LABELS)), choice=rng.random() < 0.2
    )
    solution = solve(problem, rng, slip_rate=SLIP_RATE, markers=[WAIT] * rng.choice((0, 0, 0, 1)))
    document = [(problem.question, False)]
    for line in solution.lines:
        document += [(f"\n{line}", False), ("+" if is_right(problem, line) else "-", True)]
    return document


def _documents(rng: random.Random) -> Iterator[Document]:
    while True:
        yield judged(rng)


def train_reward(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    *,
    tokens: int,
    seed: int,
    context: int,
    log: Callable[[str], None] = print,
) -> dict[str, float]:
    """Teach `model` (changed in place) for `tokens` tokens and save it to `out`; returns shares of right verdicts on held-out lines.

    Keys: right (of lines that are right), wrong (of lines that are not).
    """
    optimiser, seen, steps = Optimiser(model.train()), 0, 0
    stream = batches(
        tokenizer,
        _documents(random.Random(f"reward-{seed}")),
        random.Random(seed),
        max_length=context,
    )
    for batch in stream:
        loss, count = loss_of(model, batch)
        (loss / count).backward()
        optimiser.step(EXTRA_PEAK * max(FLOOR, 1 - seen / tokens))
        seen, steps = seen + batch.tokens, steps + 1
        if steps % EVERY == 0:
            log(f"{seen / 1e6:.2f}M tokens, loss {loss.item() / count:.3f}")
        if seen >= tokens:
            break
    model.eval()
    tokenizer.chat_template = TEMPLATE
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return verdicts(model, tokenizer, seed=seed)


def verdicts(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, *, seed: int, samples: int = 200
) -> dict[str, float]:
    """Shares of held-out lines that get the verdict they deserve, apart for right and wrong lines."""
    held_out = list(itertools.islice(_documents(random.Random(f"reward-gate-{seed}")), samples))
    found: dict[str, list[bool]] = {"+": [], "-": []}
    for text, right in right_spans(model, tokenizer, held_out):
        found[text].append(all(right))
    return {"right": sum(found["+"]) / len(found["+"]), "wrong": sum(found["-"]) / len(found["-"])}
