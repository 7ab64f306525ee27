"""The toy's base models, the parts of Qwen2.5-7B and 32B, trained from scratch on a CPU in minutes.

Skills emerge late and at different times from run to run, so training ends by a gate (`gate.py`)
and not by a clock. It goes on until the skills hold, up to a limit that is then reported.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM

from s1lib.hardware.plain_attention import PLAIN_ATTENTION, causal_mask
from s1lib.profile import BaseModel
from s1lib.toy import corpus
from s1lib.toy.batching import IGNORED, Batch, batches
from s1lib.toy.gate import GATE, measure, missing_skills
from s1lib.toy.muon import Muon
from s1lib.toy.process_group import ProcessGroup, process_group

Log = Callable[[str], None]

# Documents of like length are of like kind, and every step should see several kinds.
ACCUMULATED = 2  # micro-batches in a step
WARMUP_STEPS = 60
FLOOR = 0.1  # what the learning rate falls to, relative to its peak
EXTRA_PEAK = 0.4  # where it starts again when the gate asks for more
LOGGED_STEPS = 50  # averaged in one line of the log and one point of the curve
WATCH_EVERY = 500_000  # tokens between two looks at the skills as they emerge
COUNTS = 3  # numbers that are reduced with the gradients: loss, trained tokens, tokens


def build_model(
    tokenizer: PreTrainedTokenizerBase, settings: BaseModel, *, seed: int, context: int
) -> Qwen2ForCausalLM:
    """A Qwen2 with random weights, tied embeddings and a context of `context` tokens."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.kv_heads,
        intermediate_size=settings.intermediate_size,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
        attn_implementation=PLAIN_ATTENTION,
    )
    return Qwen2ForCausalLM(config)


def loss_of(model: Qwen2ForCausalLM, batch: Batch) -> tuple[torch.Tensor, int]:
    """The cross entropy of the trained tokens, summed (nats), and how many there are."""
    mask = causal_mask(batch.ids.shape[1])
    hidden = model.model(batch.ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
    wanted = batch.labels[:, 1:]
    trained = wanted != IGNORED
    logits = model.lm_head(hidden[trained])
    return functional.cross_entropy(logits, wanted[trained], reduction="sum"), int(trained.sum())


class Optimiser:
    """Muon on the hidden matrices and AdamW on the rest, which alone learns nothing so soon."""

    def __init__(
        self, model: Qwen2ForCausalLM, *, muon_lr: float = 0.01, adam_lr: float = 2e-3
    ) -> None:
        matrices, rest = [], []
        for name, parameter in model.named_parameters():
            hidden = parameter.ndim == 2 and "embed" not in name
            (matrices if hidden else rest).append(parameter)
        muon = Muon(matrices, lr=muon_lr, weight_decay=0.05)
        adam = torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0)
        self.parts = [(muon, muon_lr), (adam, adam_lr)]
        self.parameters = list(model.parameters())

    def step(self, scale: float) -> None:
        """One update at `scale` times the peak learning rates."""
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimiser, peak in self.parts:
            for group in optimiser.param_groups:
                group["lr"] = peak * scale
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class Pretrained:
    """A base model and how it came about."""

    model: Qwen2ForCausalLM
    curve: list[dict]  # rows tokens, loss (nats per trained token)
    gate: list[dict]  # rows tokens, skill, share
    passed: bool
    seconds: float


def pretrain(
    tokenizer: PreTrainedTokenizerBase,
    settings: BaseModel,
    *,
    seed: int,
    context: int,
    log: Log = print,
    processes: int = 1,
) -> Pretrained:
    """Train from scratch on `settings.tokens` tokens, and more until the gate holds.

    `settings.extra_tokens` are added at a time, to at most `settings.max_tokens`. The weights do
    not depend on `processes`, which is 1 or 2.
    """
    size = build_model(tokenizer, settings, seed=seed, context=context).num_parameters()
    arguments = (tokenizer, settings, seed, context)
    with process_group(_train, arguments, processes=processes, numbers=size + COUNTS) as group:
        return _train(*arguments, group, log)


def _train(*arguments: Any) -> Pretrained:
    """The training as every process of the group runs it."""
    return _Training(*arguments).run()


@dataclass
class _Training:
    """The training of a base model in progress, in one process of its group."""

    tokenizer: PreTrainedTokenizerBase
    settings: BaseModel
    seed: int
    context: int
    group: ProcessGroup
    log: Log = print

    def __post_init__(self) -> None:
        model = build_model(self.tokenizer, self.settings, seed=self.seed, context=self.context)
        self.model = model.train()
        self.optimiser = Optimiser(model)
        self.seen = self.steps = 0  # tokens and optimiser steps so far
        self.watched = 0  # multiples of WATCH_EVERY that have been passed
        self.recent: list[float] = []  # losses since the last point of the curve
        self.curve: list[dict] = []
        self.gate: list[dict] = []
        self.start = time.perf_counter()

    def run(self) -> Pretrained:
        """Train up to the first goal, then from gate to gate."""
        settings = self.settings
        begin, goal, peak, missing = 0, settings.tokens, 1.0, []
        while True:
            self._train_to(goal, begin=begin, peak=peak, missing=missing)
            missing = self._missing()
            over = goal + settings.extra_tokens > settings.max_tokens
            if not missing or not settings.gated or over:
                break
            begin, goal, peak = goal, goal + settings.extra_tokens, EXTRA_PEAK
        seconds = time.perf_counter() - self.start
        return Pretrained(self.model.eval(), self.curve, self.gate, not missing, seconds)

    def _train_to(self, goal: int, *, begin: int, peak: float, missing: Collection[str]) -> None:
        """Train until `goal` tokens, the learning rate falling in a line from `peak` at `begin`."""
        names = [
            f"{self.seed}-{place}{f'-{begin}' if begin else ''}" for place in range(ACCUMULATED)
        ]
        streams = self.group.own([self._stream(name, missing) for name in names])
        while self.seen < goal:
            # This process's micro-batches.
            counts = torch.zeros(COUNTS)
            for batch in map(next, streams):
                loss, count = loss_of(self.model, batch)
                loss.backward()
                counts += torch.tensor([loss.item(), count, batch.tokens])

            # The same update in every process.
            total, trained, tokens = self._reduce_gradients(counts)
            self.steps, self.seen = self.steps + 1, self.seen + int(tokens)
            falling = peak * (goal - self.seen) / (goal - begin)
            self.optimiser.step(min(self.steps / WARMUP_STEPS, max(FLOOR, falling)))

            self.recent.append(total / trained)
            if len(self.recent) == LOGGED_STEPS:
                self._report()

    def _stream(self, name: str, missing: Collection[str]) -> Iterator[Batch]:
        rng = random.Random(name)
        documents = corpus.documents(rng, self._progress, missing=missing)
        return batches(self.tokenizer, documents, rng, max_length=self.context)

    def _progress(self) -> float:
        return self.seen / self.settings.tokens

    def _reduce_gradients(self, counts: torch.Tensor) -> list[float]:
        """Make every gradient the mean over the group's trained tokens, return `counts`, summed."""
        parameters = self.optimiser.parameters
        own = torch.cat([*(parameter.grad.flatten() for parameter in parameters), counts])
        summed = self.group.all_reduce(own)
        gradients, sums = summed[:-COUNTS], summed[-COUNTS:].tolist()
        parts = gradients.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter) / sums[1]
        return sums

    def _report(self) -> None:
        """Add a point to the curve, and now and then look at the skills."""
        loss = sum(self.recent) / LOGGED_STEPS
        self.curve.append({"tokens": self.seen, "loss": loss})
        self.recent.clear()
        if self.group.rank:
            return
        speed = self.seen / (time.perf_counter() - self.start)
        self.log(f"{self.seen / 1e6:.2f}M tokens, loss {loss:.3f}, {speed:,.0f} tokens/s")
        if self.seen // WATCH_EVERY > self.watched:
            self.watched = self.seen // WATCH_EVERY
            self._watch(20)

    def _watch(self, samples: int) -> dict[str, float]:
        shares = measure(self.model, self.tokenizer, seed=self.seed, samples=samples)
        for skill, share in shares.items():
            self.gate.append({"tokens": self.seen, "skill": skill, "share": share})
        told = ", ".join(f"{skill} {share:.1%}" for skill, share in shares.items())
        self.log(f"gate: {told}")
        return shares

    def _missing(self) -> list[str]:
        """The skills that do not hold, which the first process measures and tells the others."""
        failed = [] if self.group.rank else missing_skills(self._watch(150))
        own = torch.tensor([float(skill in failed) for skill in GATE])
        flags = self.group.all_reduce(own).tolist()
        return [skill for skill, flag in zip(GATE, flags, strict=True) if flag]
