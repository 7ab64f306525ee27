"""Evaluation records with known effects, made from a few lines of probability.

A problem has a difficulty and a natural thinking length. A budget below that length cuts the trace,
which is then wrong but for a guess. Each Wait gives a wrong answer another chance and spoils a
right one now and then. Longer traces are wrong more often.

    rows = synthetic_records(problems=40)      # as `evaluation` writes them
    write_records(directory, rows)             # directory/records/*.jsonl, one file per benchmark
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

BENCHMARKS = {
    "hard": ("AIME24", "math", 0.60, 80),
    "mixed": ("MATH500", "math", 0.75, 60),
    "choice": ("GPQA-Diamond", "choice", 0.65, 75),
}
# Skill relative to s1.
MODELS = {
    "s1": 0.0,
    "random": -0.08,
    "diverse": -0.15,
    "longest": -0.10,
    "full": 0.01,
}
# Chance that it mends a wrong answer.
STRINGS = {
    "Wait": 0.35,
    "Hmm": 0.25,
    "Alternatively": 0.20,
    "": 0.10,
}
NATURAL = {"max_thinking": None, "waits": 0, "wait": "Wait"}
BUDGETS, WAITS, CAPS = (16, 32, 48, 64, 96), (1, 2, 4, 6), (60, 80, 120)
LIMITS, STEPS, CLASSES, WIDTHS = (
    (32, 64, 128),
    (4, 8),
    {"short": 0.7, "none": 1.0, "long": 1.3},
    (2, 4),
)


def synthetic_records(
    *,
    problems: int = 40,
    samples: int = 8,
    benchmarks: tuple[str, ...] = ("hard", "mixed", "choice"),
    seed: int = 0,
    replicas: tuple[tuple[int, int], ...] = (),
):
    """Records of every method on every benchmark; the same seed gives the same rows.

    replicas: (base_seed, sft_seed) of the models that are trained. All have the same skills, and
    only what is trained on sets is there for more than the first. Without any the records have no
    such fields, as those of older versions.
    """
    rows = []
    for name in benchmarks:
        rng = np.random.default_rng([seed, list(BENCHMARKS).index(name)])
        for problem in range(problems):
            one = _Problem(name, problem, rng)
            first = one.rows(samples)
            rows += [_of(row, *replicas[0]) for row in first] if replicas else first
            for replica in replicas[1:]:
                rows += [_of(row, *replica) for row in one.trained()]
            for base in sorted({base for base, _ in replicas[1:]} - {0}):
                rows.append(_of(one.base(), base, None))
    return rows


def _of(row: dict, base_seed: int, sft_seed: int | None) -> dict:
    """A record of a replica. The base model has no SFT seed."""
    trained = sft_seed if row["model"] != "base" else None
    return {**row, "base_seed": base_seed, "sft_seed": trained}


class _Problem:
    def __init__(self, benchmark: str, number: int, rng: np.random.Generator):
        role, kind, ease, length = BENCHMARKS[benchmark]
        self.rng, self.guess = rng, 0.25 if kind == "choice" else 0.0
        self.length = int(length * rng.uniform(0.7, 1.4))
        self.ease = float(
            np.clip(ease + rng.normal(0, 0.15) - (self.length / length - 1), 0.02, 0.98)
        )
        self.fixed = {
            "benchmark": benchmark,
            "role": role,
            "kind": kind,
            "problem_id": f"{benchmark}-{number}",
            "prompt_tokens": 60,
        }

    def rows(self, samples: int) -> list[dict]:
        rng = self.rng
        rows = [self.base(), *self.trained()]
        for sample in range(samples):
            right = rng.random() < self.ease - 0.05
            rows.append(
                self.row(
                    "s1",
                    "majority",
                    {"temperature": 0.6},
                    self.length,
                    "natural",
                    right,
                    sample=sample,
                )
            )
        for cap in CAPS:
            fits = self.length * 0.8 <= cap
            length, finish = (min(cap, self.length), "natural") if fits else (0, "rejected")
            right = fits and rng.random() < self.ease - cap / 1000
            rows.append(
                self.row("s1", "rejection", {"cap": cap, "tries": 8}, length, finish, right)
            )
        return rows + self.conditional() + [self.tree(width) for width in WIDTHS]

    def base(self) -> dict:
        right = self.rng.random() < max(self.guess, 0.02)
        return self.row("base", "direct", {}, 0, "natural", right)

    def trained(self) -> list[dict]:
        """Every model of a training set at its natural stop, and the sweep of s1."""
        rows = []
        for model, skill in MODELS.items():
            right = self.rng.random() < self.ease + skill
            rows.append(self.row(model, "budget_forcing", NATURAL, self.length, "natural", right))
            if model == "s1":
                rows += self.forced(right)
        return rows

    def conditional(self) -> list[dict]:
        """Models that hear a limit and do not always keep it; forced, they do."""
        rows = []
        for limit in LIMITS:
            used, right = (
                int(self.length * self.rng.uniform(0.6, 1.2)),
                self.rng.random() < self.ease - 0.1,
            )
            rows.append(
                self.row(
                    "token", "token_conditional", {"max_thinking": limit}, used, "natural", right
                )
            )
            rows.append(
                self.row(
                    "token",
                    "token_conditional_forced",
                    {"max_thinking": limit},
                    min(used, limit),
                    "natural",
                    right,
                )
            )
        for limit in STEPS:
            used, right = int(self.length // 10), self.rng.random() < self.ease - 0.1
            free = self.row(
                "step", "step_conditional", {"steps": limit}, 10 * used, "natural", right
            )
            forced = self.row(
                "step",
                "step_conditional_forced",
                {"steps": limit},
                10 * min(used, limit),
                "natural",
                right,
            )
            rows += [{**free, "steps_used": used}, {**forced, "steps_used": min(used, limit)}]
        for name, share in CLASSES.items():
            right = self.rng.random() < self.ease
            rows.append(
                self.row(
                    "class",
                    "class_conditional",
                    {"length": name},
                    int(share * self.length),
                    "natural",
                    right,
                )
            )
        return rows

    def tree(self, width: int) -> dict:
        right = self.rng.random() < self.ease + width / 100
        return self.row(
            "s1",
            "tree_search",
            {"width": width, "temperature": 0.6},
            int(0.8 * width * self.length),
            "natural",
            right,
        )

    def forced(self, right: bool) -> list[dict]:
        rng, rows = self.rng, []
        for budget in BUDGETS:
            cut = budget < self.length
            parameters = {"max_thinking": budget, "waits": 0, "wait": "Wait"}
            now = (
                rng.random() < max(self.guess, 0.6 * (budget / self.length) ** 3) if cut else right
            )
            rows.append(
                self.row(
                    "s1",
                    "budget_forcing",
                    parameters,
                    min(budget, self.length),
                    "forced" if cut else "natural",
                    now,
                )
            )
        for string, mends in STRINGS.items():
            now = right
            for wait in range(1, max(WAITS) + 1):
                now = rng.random() >= 0.04 if now else rng.random() < mends / wait
                if wait in WAITS and (string == "Wait" or wait == 2):
                    parameters = {"max_thinking": None, "waits": wait, "wait": string}
                    rows.append(
                        self.row(
                            "s1",
                            "budget_forcing",
                            parameters,
                            self.length + 90 * wait,
                            "natural",
                            now,
                        )
                    )
        return rows

    def row(
        self,
        model: str,
        method: str,
        parameters: dict,
        thinking: int,
        finish: str,
        right: bool,
        *,
        sample: int = 0,
    ) -> dict:
        answer = None if finish == "rejected" else "42" if right else str(self.rng.integers(0, 5))
        return {
            **self.fixed,
            "model": model,
            "method": method,
            "parameters": parameters,
            "seed": 0,
            "sample": sample,
            "thinking": "a: 1+1=2",
            "answer": f"Answer: {answer}",
            "thinking_tokens": int(thinking),
            "forced_tokens": int(parameters.get("waits", 0)),
            "answer_tokens": 6,
            "decoded_tokens": int(thinking) + 6,
            "finish": finish,
            "waits_used": parameters.get("waits", 0),
            "forced_spans": [],
            "steps_used": None,
            "extracted": answer,
            "gold": "42",
            "correct": bool(right),
            "engine": "synthetic",
        }


def write_records(directory: Path, rows: list[dict]) -> None:
    folder = Path(directory) / "records"
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted({row["benchmark"] for row in rows}):
        lines = [json.dumps(row) + "\n" for row in rows if row["benchmark"] == name]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
