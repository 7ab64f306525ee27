"""The toy's base models, trained from scratch on a CPU in minutes (the roles of Qwen2.5-7B and 32B-Instruct).

Skills emerge late and at different times from run to run, so training ends by a gate, not by a clock: it goes on until
arithmetic, look-up by label and the walk over options hold on held-out problems, up to a limit that is then reported.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM

from s1lib.hardware.plain_attention import PLAIN_ATTENTION, causal_mask
from s1lib.profile import BaseModel
from s1lib.toy import corpus
from s1lib.toy.muon import Muon
from s1lib.toy.problems import LABELS, OPERATORS
from s1lib.toy.together import Team, together

MICRO_BATCH = 768  # tokens, padding included
ACCUMULATED = 2  # micro-batches of different lengths per step: kinds of documents differ in length, and every step should see several
FLOOR = 0.1  # what the learning rate falls to, relative to its peak
EXTRA_PEAK = 0.4  # where it starts again when the gate asks for more
COUNTS = 3  # summed over processes with the gradients: loss, trained tokens, tokens
WARMUP_STEPS = 60
IGNORED = -100  # the label that torch's cross entropy leaves out


@dataclass(frozen=True)
class Batch:
    """Documents of like length, one a row, padded on the right. ids, labels: [rows, length]."""

    ids: torch.Tensor
    labels: torch.Tensor

    @property
    def tokens(self) -> int:
        return self.ids.numel()


Row = tuple[list[int], list[bool]]  # ids, trained?


def encode(tokenizer: PreTrainedTokenizerBase, documents: list[corpus.Document]) -> list[Row]:
    """Ids of every document with what is trained; segments meet at token borders, so they can be encoded apart."""
    segments = tokenizer(
        [text for document in documents for text, _ in document], add_special_tokens=False
    )["input_ids"]
    encoded = iter(segments)
    rows = []
    for document in documents:
        ids: list[int] = []
        trained: list[bool] = []
        for _, wanted in document:
            part = next(encoded)
            ids += part
            trained += [wanted] * len(part)
        rows.append((ids, trained))
    return rows


def collate(rows: list[Row], pad: int) -> Batch:
    length = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([tokens + [pad] * (length - len(tokens)) for tokens, _ in rows])
    trained = torch.tensor([wanted + [False] * (length - len(wanted)) for _, wanted in rows])
    return Batch(ids, ids.masked_fill(~trained, IGNORED))


def batches(
    tokenizer: PreTrainedTokenizerBase,
    source: Iterator[corpus.Document],
    rng: random.Random,
    *,
    max_length: int,
    batch_tokens: int = MICRO_BATCH,
    pool: int = 512,
) -> Iterator[Batch]:
    """Batches without end, each of documents of like length: a row is a document, so nothing attends across documents."""
    while True:
        rows = encode(tokenizer, list(itertools.islice(source, pool)))
        rows = sorted(
            (row for row in rows if len(row[0]) <= max_length), key=lambda row: len(row[0])
        )
        cut: list[list] = [[]]
        for row in rows:
            if cut[-1] and (len(cut[-1]) + 1) * len(row[0]) > batch_tokens:
                cut.append([])
            cut[-1].append(row)
        rng.shuffle(cut)
        for group in cut:
            yield collate(group, tokenizer.pad_token_id)


def build_model(
    tokenizer: PreTrainedTokenizerBase, settings: BaseModel, *, seed: int, context: int
) -> Qwen2ForCausalLM:
    """A Qwen2 with random weights, one embedding a token, tied."""
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
    """Summed cross entropy of the labelled tokens (nats), and how many there are."""
    hidden = model.model(
        batch.ids, attention_mask=causal_mask(batch.ids.shape[1]), use_cache=False
    ).last_hidden_state[:, :-1]
    wanted = batch.labels[:, 1:]
    trained = wanted != IGNORED
    return functional.cross_entropy(
        model.lm_head(hidden[trained]), wanted[trained], reduction="sum"
    ), int(trained.sum())


class Optimiser:
    """Muon on the hidden matrices, AdamW on the rest: with AdamW alone nothing is learnt in this budget."""

    def __init__(
        self, model: Qwen2ForCausalLM, *, muon_lr: float = 0.01, adam_lr: float = 2e-3
    ) -> None:
        matrices = [
            p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name
        ]
        rest = [
            p for name, p in model.named_parameters() if not (p.ndim == 2 and "embed" not in name)
        ]
        self.parts = [
            (Muon(matrices, lr=muon_lr, weight_decay=0.05), muon_lr),
            (torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0), adam_lr),
        ]
        self.parameters = list(model.parameters())

    def step(self, scale: float) -> None:
        """One update at `scale` times the peak learning rates."""
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimiser, peak in self.parts:
            for group in optimiser.param_groups:
                group["lr"] = peak * scale
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)


# ---- the gate --------------------------------------------------------------------------------------------------------

WATCH_EVERY = 500_000  # tokens between looks at the skills as they emerge
GATE = {
    "digit by digit": 0.97,
    "look-up": 0.99,
    "option walk": 0.95,
}  # share of right lines that must hold before SFT


@torch.inference_mode()
def right_spans(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, documents: list[corpus.Document]
) -> Iterator[tuple[str, list[bool]]]:
    """Every trained span of the documents, with whether each token would have been the model's own greedy choice."""
    rows = encode(tokenizer, documents)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index][0]))
    for start in range(0, len(order), 32):
        group = order[start : start + 32]
        batch = collate([rows[index] for index in group], tokenizer.pad_token_id)
        logits = model(
            batch.ids, attention_mask=causal_mask(batch.ids.shape[1]), use_cache=False
        ).logits
        right = (logits[:, :-1].argmax(-1) == batch.ids[:, 1:]).tolist()
        for row, index in enumerate(group):
            ids, trained = rows[index]
            for wanted, span in itertools.groupby(range(len(ids)), key=trained.__getitem__):
                positions = list(span)
                if wanted:
                    yield (
                        tokenizer.decode([ids[p] for p in positions]),
                        [right[row][p - 1] for p in positions],
                    )


def measure(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, *, seed: int, samples: int = 150
) -> dict[str, float]:
    """Shares of right spans on held-out drills over the longest problems: the gate's skills, and quick results by operator.

    A drill's line is `a: 34` (given) and then operator, operand (2 digits), "=" or ": ", working, result (2 digits).
    """
    rng = random.Random(f"gate-{seed}")
    drills = [
        corpus.drill(rng, len(LABELS), careful=careful)
        for careful in (False, True)
        for _ in range(samples)
    ]
    walks = [corpus.walk(rng, 1) for _ in range(samples)]
    model.eval()
    tally: dict[str, list[bool]] = {
        skill: [] for skill in (*GATE, *(f"quick {operator}" for operator in OPERATORS))
    }
    for text, right in right_spans(model, tokenizer, drills):
        if text[0] not in OPERATORS:
            continue  # the end of the document
        tally["look-up"].append(all(right[:3]))
        tally["digit by digit" if ": " in text else f"quick {text[0]}"].append(all(right[4:]))
    for text, right in right_spans(model, tokenizer, walks):
        if text.startswith(", "):
            tally["option walk"].append(all(right))
    model.train()
    return {skill: sum(right) / len(right) for skill, right in tally.items()}


def missing_skills(shares: dict[str, float]) -> list[str]:
    """What of the gate does not hold."""
    return [skill for skill, least in GATE.items() if shares[skill] < least]


# ---- training --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pretrained:
    """A base model and how it came about: `curve` rows (tokens, loss), `gate` rows (tokens, skill, share)."""

    model: Qwen2ForCausalLM
    curve: list[dict]
    gate: list[dict]
    passed: bool
    seconds: float


def pretrain(
    tokenizer: PreTrainedTokenizerBase,
    settings: BaseModel,
    *,
    seed: int,
    context: int,
    log: Callable[[str], None] = print,
    processes: int = 1,
) -> Pretrained:
    """Train from scratch on `settings.tokens` tokens, then `extra_tokens` at a time until the gate holds (or `max_tokens`).

    processes: 1 or 2; the weights do not depend on it.
    """
    parameters = build_model(tokenizer, settings, seed=seed, context=context).num_parameters()
    arguments = (tokenizer, settings, seed, context)
    with together(_train, arguments, processes=processes, numbers=parameters + COUNTS) as team:
        return _train(*arguments, team, log)


def _train(
    tokenizer: PreTrainedTokenizerBase,
    settings: BaseModel,
    seed: int,
    context: int,
    team: Team,
    log: Callable[[str], None] = print,
) -> Pretrained:
    """What every process of the team does; the first one looks at the skills and tells the others whether to go on."""
    model = build_model(tokenizer, settings, seed=seed, context=context).train()
    optimiser = Optimiser(model)
    seen, begin, goal, peak, step, watched, start = (
        0,
        0,
        settings.tokens,
        1.0,
        0,
        0,
        time.perf_counter(),
    )
    curve: list[dict] = []
    gate: list[dict] = []
    recent: list[float] = []

    def stream(name: str, missing: Collection[str] = ()) -> Iterator[Batch]:
        rng = random.Random(name)
        source = corpus.documents(rng, lambda: seen / settings.tokens, missing=missing)
        return batches(tokenizer, source, rng, max_length=context)

    streams = team.share([stream(f"{seed}-{place}") for place in range(ACCUMULATED)])

    def watch(samples: int) -> dict[str, float]:
        shares = measure(model, tokenizer, seed=seed, samples=samples)
        gate.extend(
            {"tokens": seen, "skill": skill, "share": share} for skill, share in shares.items()
        )
        log("gate: " + ", ".join(f"{skill} {share:.1%}" for skill, share in shares.items()))
        return shares

    while True:
        while seen < goal:
            counts = torch.zeros(COUNTS)
            for batch in map(next, streams):
                loss, count = loss_of(model, batch)
                loss.backward()
                counts += torch.tensor([loss.item(), count, batch.tokens])
            total, trained, tokens = _add_gradients(optimiser.parameters, counts, team)
            step, seen = step + 1, seen + int(tokens)
            optimiser.step(
                min(step / WARMUP_STEPS, max(FLOOR, peak * (goal - seen) / (goal - begin)))
            )
            recent.append(total / trained)
            if len(recent) == 50:
                curve.append({"tokens": seen, "loss": sum(recent) / 50})
                recent.clear()
                if team.rank == 0:
                    log(
                        f"{seen / 1e6:.2f}M tokens, loss {curve[-1]['loss']:.3f}, {seen / (time.perf_counter() - start):,.0f} tokens/s"
                    )
                    if seen // WATCH_EVERY > watched:
                        watched = seen // WATCH_EVERY
                        watch(20)
        failed = missing_skills(watch(150)) if team.rank == 0 else []
        flags = team.add(torch.tensor([float(skill in failed) for skill in GATE]))
        missing = [skill for skill, flag in zip(GATE, flags.tolist(), strict=True) if flag]
        if not missing or not settings.gated or goal + settings.extra_tokens > settings.max_tokens:
            return Pretrained(model.eval(), curve, gate, not missing, time.perf_counter() - start)
        begin, goal, peak = goal, goal + settings.extra_tokens, EXTRA_PEAK
        streams = team.share(
            [stream(f"{seed}-{place}-{begin}", missing) for place in range(ACCUMULATED)]
        )


def _add_gradients(
    parameters: list[torch.nn.Parameter], counts: torch.Tensor, team: Team
) -> list[float]:
    """Every process's gradients become the mean over all trained tokens of the team; returns the sums of `counts`."""
    summed = team.add(torch.cat([*(parameter.grad.flatten() for parameter in parameters), counts]))
    gradients, counts = summed[:-COUNTS], summed[-COUNTS:].tolist()
    for parameter, part in zip(
        parameters, gradients.split([p.numel() for p in parameters]), strict=True
    ):
        parameter.grad = part.view_as(parameter) / counts[1]
    return counts
