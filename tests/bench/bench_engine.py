"""TorchEngine beside transformers' own `generate`: useful tokens per second on the same prompts.

    python -m tests.bench.bench_engine

Randomly initialised models of the toy's shape and of a real small model's, one thread, no
end-of-sequence: every length is as asked for. Ratios come from one run, in which both take turns
after a first turn that is not counted. `generate` gets static batches of as many rows as the engine
has, each decoded to its longest request.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from s1lib.engines.decode_steps import DecodeSteps
from s1lib.engines.protocol import Request
from s1lib.engines.schedule import Row
from s1lib.engines.torch_engine import TorchEngine
from s1lib.gpu_check.timed_decoding import decode, random_prompts, with_generate
from s1lib.profile import load_profile

ROWS, PROMPT, CONTEXT, VOCABULARY = 64, 60, 512, 120


def toy_model(*, seed: int = 0, vocabulary: int = VOCABULARY) -> Qwen2ForCausalLM:
    """The shape of the toy's large base model, not its weights."""
    torch.manual_seed(seed)
    toy = load_profile("toy").universe.large
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=toy.hidden_size,
        intermediate_size=toy.intermediate_size,
        num_hidden_layers=toy.layers,
        num_attention_heads=toy.heads,
        num_key_value_heads=toy.kv_heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.1,
    )
    return Qwen2ForCausalLM(config).eval()


def small_model() -> LlamaForCausalLM:
    """The shape of SmolLM2-135M, not its weights."""
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    }
    config = LlamaConfig(
        vocab_size=49152, max_position_embeddings=CONTEXT, tie_word_embeddings=True, **sizes
    )
    return LlamaForCausalLM(config).eval()


def workloads(
    *, rows: int = ROWS, equal: int = 200, shortest: int = 8, longest: int = 400
) -> list[tuple[str, list[int]]]:
    """(name, tokens of each answer): all alike, and log-uniform."""
    rng = random.Random(0)
    low, high = math.log(shortest), math.log(longest)
    unequal = [round(math.exp(rng.uniform(low, high))) for _ in range(4 * rows)]
    return [
        (f"equal lengths, {equal} tokens", [equal] * rows),
        (f"unequal lengths, {shortest} to {longest} tokens", unequal),
    ]


def prompts_of(lengths: list[int], *, seed: int = 0) -> list[list[int]]:
    return random_prompts(len(lengths), PROMPT, VOCABULARY, seed=seed)


class WatchedSteps(DecodeSteps):
    """Keeps the logits that every token behind a prompt is sampled from, by prompt."""

    def load(self, rows: list[Row], count: int) -> None:
        self.sampling = [row for row in rows if row.request and row.ahead == 0]
        super().load(rows, count)

    def logits(self, number: int, chosen: torch.Tensor | None) -> torch.Tensor:
        logits = super().logits(number, chosen)
        for row in self.sampling:
            self.seen.setdefault(tuple(row.request.prompt), []).append(logits[row.index].clone())
        return logits


def bits_that_depend_on_the_batch(rows: int, alone: int = 4) -> int:
    """How many of `alone` requests get other logits, in any bit, than among 40, in `rows` rows."""
    rng = random.Random(rows)
    prompts = [
        [rng.randrange(VOCABULARY) for _ in range(rng.choice((5, 17, 40, 60, 90, 140)))]
        for _ in range(40)
    ]
    lengths = [rng.randint(20, 200) for _ in prompts]

    def logits(numbers: list[int]) -> list[torch.Tensor]:
        engine = TorchEngine(toy_model(), vocab_size=VOCABULARY, max_rows=rows, max_context=CONTEXT)
        steps = engine._row_model.steps
        steps.__class__, steps.seen = WatchedSteps, {}

        async def run() -> None:
            await asyncio.gather(
                *(engine.complete(Request(prompts[n], max_tokens=lengths[n])) for n in numbers)
            )

        asyncio.run(run())
        return [torch.stack(steps.seen[tuple(prompts[n])]) for n in numbers]

    together = logits(list(range(40)))
    return sum(not torch.equal(logits([n])[0], together[n]) for n in range(alone))


def compare(
    make_model: Callable[[], PreTrainedModel],
    rows: int,
    loads: list[tuple[str, list[int]]],
    turns: int,
) -> dict[str, float]:
    """Print the speed of both on each of `loads`, as the best of `turns` turns; their ratios."""
    ratios = {}
    with asyncio.Runner() as runner:
        for name, lengths in loads:
            engine_model, model = make_model(), make_model()
            engine = TorchEngine(
                engine_model,
                vocab_size=engine_model.config.vocab_size,
                max_rows=rows,
                max_context=CONTEXT,
            )
            seconds: dict[str, list[float]] = {"engine": [], "generate": []}
            # In turns, so that whatever else the machine does falls on both.
            for turn in range(1 + turns):
                # New ones, since the engine's rows remember the old.
                prompts = prompts_of(lengths, seed=turn)
                seconds["engine"].append(runner.run(decode(engine, prompts, lengths)))
                seconds["generate"].append(with_generate(model, prompts, lengths, rows=rows))
            runner.run(engine.aclose())
            fast, generate = (sum(lengths) / min(times[1:]) for times in seconds.values())
            shown = f"TorchEngine {fast:,.0f} tokens/s, generate {generate:,.0f} tokens/s"
            ratios[name] = fast / generate
            print(f"{name}: {shown}, ratio {ratios[name]:.2f}", flush=True)
    return ratios


def main() -> dict[str, float]:
    torch.set_num_threads(1)
    print(f"the toy's shape, {toy_model().num_parameters() / 1e6:.1f}M parameters, {ROWS} rows")
    toy = compare(toy_model, ROWS, workloads(), turns=4)
    different = sum(bits_that_depend_on_the_batch(rows) for rows in (7, 24))
    print(f"logits alone and among 40 others: {8 - different} of 8 requests equal to the last bit")
    print("SmolLM2-135M's shape, vocabulary 49,152, 16 rows")
    loads = workloads(rows=16, equal=32, shortest=4, longest=64)
    small = compare(small_model, 16, loads, turns=2)
    return {**toy, **{f"135M, {name}": ratio for name, ratio in small.items()}}


if __name__ == "__main__":
    main()
