"""The toy's process reward model: the large base model, taught to write "+" or "-" after each line.

It learns from exercises and from the teacher's flawed solutions, whose right values are known. At
test time it sees a question and steps and nothing else. Its tokenizer's chat template puts the
steps of a solution where `s1lib.thinking.reward_model` expects the user's turns.

A solution ends with its first wrong line here. Every line behind it is wrong as well, and a model
that is shown all of them learns to repeat the verdict before and never to find an error: it then
judges most wrong lines rightly, and not one of the first wrong ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from s1lib.toy.batching import batches
from s1lib.toy.corpus import WORKED, Document, exercise
from s1lib.toy.gate import right_spans
from s1lib.toy.pretrain import EXTRA_PEAK, FLOOR, Optimiser, loss_of
from s1lib.toy.problems import LABELS, draw_problem
from s1lib.toy.teacher import WAIT, is_right, solve

TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.question is defined %}{{ message.question ~ '\n' ~ message.step }}"
    "{% else %}{{ message.content }}{% endif %}"
    "{% if message.role == 'assistant' %}{{ '\n' }}{% endif %}{% endfor %}"
)
RIGHT, WRONG = "+", "-"
SLIP_RATE = 0.3  # of the quick lines in solutions
EXERCISES = 0.6  # of the documents: they hold more errors than solutions, of which each has one
EVERY = 100  # optimiser steps between lines of the log
HELD_OUT = 200  # solutions


def judged_exercises(rng: random.Random) -> Document:
    """A question's steps in random order on random values, half of them wrong, with verdicts."""
    problem = draw_problem(rng, rng.choice(WORKED), rng.randint(1, len(LABELS)))
    document = [(f"{problem.stem}\nExercises", False)]
    for _ in range(10):
        index, solution = exercise(rng, problem, slip_rate=0.5)
        line = solution.quick(index)
        value, result = int(line[len("a: ") :][:2]), int(line[-2:])
        document += _with_verdict(line, problem.steps[index].apply(value) == result)
    return document


def judged_solution(rng: random.Random) -> Document:
    """A flawed solution up to its first wrong line, with a verdict after every line."""
    family, steps = rng.choice(WORKED), rng.randint(1, len(LABELS))
    problem = draw_problem(rng, family, steps, choice=rng.random() < 0.2)
    markers = [WAIT] * rng.choice((0, 0, 0, 1))
    document = [(problem.question, False)]
    for line in solve(problem, rng, slip_rate=SLIP_RATE, markers=markers).lines:
        right = is_right(problem, line)
        document += _with_verdict(line, right)
        if not right:
            break
    return document


def _with_verdict(line: str, right: bool) -> Document:
    """A line and its verdict. A right result is trained as well, or arithmetic is forgotten."""
    result = line[-2:] if line[-2:].isdigit() else ""
    shown = line.removesuffix(result)
    return [(f"\n{shown}", False), (result, right), (RIGHT if right else WRONG, True)]


def _documents(rng: random.Random) -> Iterator[Document]:
    while True:
        yield judged_exercises(rng) if rng.random() < EXERCISES else judged_solution(rng)


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
    """Train `model` in place on `tokens` tokens, save it to `out` and return its `verdicts`."""
    optimiser, seen, steps = Optimiser(model.train()), 0, 0
    documents, rng = _documents(random.Random(f"reward-{seed}")), random.Random(seed)
    for batch in batches(tokenizer, documents, rng, max_length=context):
        loss, count = loss_of(model, batch)
        (loss / count).backward()
        optimiser.step(EXTRA_PEAK * max(FLOOR, 1 - seen / tokens))
        seen, steps = seen + batch.tokens, steps + 1
        if steps % EVERY == 0:
            log(f"{seen / 1e6:.2f}M tokens, loss {loss.item() / count:.3f}")
        if seen >= tokens:
            break

    # The template is what tells a process reward model from any other checkpoint.
    model.eval()
    tokenizer.chat_template = TEMPLATE
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return verdicts(model, tokenizer, seed=seed)


def verdicts(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, *, seed: int
) -> dict[str, float]:
    """Shares of held-out lines that get the verdict they deserve, of right and of wrong ones.

    A wrong line is the first of a solution, so that no verdict before it gives it away.
    """
    rng = random.Random(f"reward-gate-{seed}")
    held_out = [
        [(text, text in (RIGHT, WRONG)) for text, _ in judged_solution(rng)]
        for _ in range(HELD_OUT)
    ]
    found: dict[str, list[bool]] = {RIGHT: [], WRONG: []}
    for text, right in right_spans(model, tokenizer, held_out):
        found[text].append(all(right))
    names = {"right": RIGHT, "wrong": WRONG}
    return {name: sum(found[mark]) / len(found[mark]) for name, mark in names.items()}
