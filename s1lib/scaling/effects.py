"""Differences and slopes on one benchmark, with their paired bootstrap draws.

Accuracies in %, differences in points. `Missing` says why the records do not give an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from s1lib.scaling import metrics
from s1lib.scaling.records import MAIN, Records

SAMPLE = ["problem_id", "seed", "sample"]
SEEN = ["thinking_tokens", "answer_tokens", "finish", "extracted"]  # all that records tell of texts


class Missing(Exception):
    """The records do not hold what this needs. Tables print the reason beside "n/a"."""


@dataclass(frozen=True)
class Effect:
    """A value in points, its bootstrap draws [resamples] and the number of problems.

    gained and lost count the problems that the second or the first run alone solved. They are None
    where McNemar's test does not apply.
    """

    value: float
    draws: np.ndarray
    n: int
    gained: int | None = None
    lost: int | None = None
    note: str = ""

    @property
    def p(self) -> float:
        """Exact McNemar, two-sided. NaN where the test does not apply."""
        return np.nan if self.gained is None else metrics.mcnemar_p(self.gained, self.lost)


def mean_effect(values: np.ndarray, bench: Bench, note: str = "") -> Effect:
    """The mean of one value per problem."""
    draws = bench.weights(len(values)) @ values
    return Effect(values.mean(), draws, len(values), note=note)


def pool(effects: Sequence[Effect]) -> Effect:
    """The mean over benchmarks, whose draws are independent. Problems are counted together."""
    counted = all(effect.gained is not None for effect in effects)
    return Effect(
        value=float(np.mean([effect.value for effect in effects])),
        draws=np.mean([effect.draws for effect in effects], axis=0),
        n=sum(effect.n for effect in effects),
        gained=sum(effect.gained for effect in effects) if counted else None,
        lost=sum(effect.lost for effect in effects) if counted else None,
        note="; ".join(dict.fromkeys(effect.note for effect in effects if effect.note)),
    )


@dataclass(frozen=True)
class Bench:
    """One benchmark of the records, and how to resample its problems."""

    records: Records
    name: str
    resamples: int = 10_000
    seed: int = 0
    _weights: dict[int, np.ndarray] = field(default_factory=dict)

    def weights(self, n: int) -> np.ndarray:
        """Bootstrap weights of n problems [resamples, n], the same for every effect."""
        if n not in self._weights:
            drawn = metrics.bootstrap_weights(n, resamples=self.resamples, seed=self.seed)
            self._weights[n] = drawn
        return self._weights[n]

    def frame(self, runs: Sequence[int], value: str = "correct") -> pd.DataFrame:
        """Problems x runs as `Records.frame`. Raises Missing when no problem has all runs."""
        frame = self.records.frame(self.name, runs, value)
        if frame.empty:
            raise Missing("no problem with every run that this compares")
        return frame

    def column(self, run: int, value: str = "correct") -> pd.Series:
        """One value per problem of a run."""
        return self.frame([run], value)[run]

    @cached_property
    def present(self) -> set[int]:
        """The runs that this benchmark has."""
        problems = self.records.problems
        return set(problems["run"][problems["benchmark"] == self.name])

    def having(self, runs: Sequence[int]) -> list[int]:
        """The runs among `runs` that this benchmark has, in their order."""
        return [run for run in runs if run in self.present]

    def first(self, runs: Sequence[int], what: str) -> int:
        """The first of `runs` that this benchmark has."""
        if found := self.having(runs):
            return found[0]
        raise Missing(f"no records of {what}")

    def natural(self, model: str = MAIN) -> int:
        """The run of a model that thinks to its natural stop."""
        return self.first(self.records.natural(model), f"model {model} with natural stop")

    def waits(self, string: str, number: int) -> int:
        """The run of s1 whose end of thinking was ignored so many times with this string."""
        waits = self.records.runs["waits"]
        runs = [run for run in self.records.waits(string) if waits[run] == number]
        return self.first(runs, f"{number} × {string or 'no string'}")


def difference(bench: Bench, before: int, after: int) -> Effect:
    """Accuracy of run `after` minus that of run `before`, on the problems that both have."""
    correct = bench.frame([before, after]).to_numpy()
    effect = mean_effect(100 * (correct[:, 1] - correct[:, 0]), bench)
    test = metrics.mcnemar(correct[:, 0], correct[:, 1])
    return effect if np.isnan(test.p) else replace(effect, gained=test.gained, lost=test.lost)


def same_traces(bench: Bench, first: int, second: int) -> bool:
    """Whether every sample of two runs has the same length, the same end and the same answer."""
    samples = bench.records.samples
    samples = samples[samples["benchmark"] == bench.name]
    parts = (samples[samples["run"] == run] for run in (first, second))
    one, other = (part.set_index(SAMPLE)[SEEN].sort_index() for part in parts)
    return one.equals(other)


def slope(
    bench: Bench,
    runs: Sequence[int],
    *,
    statistic: Callable = metrics.slope,
    only: pd.Index | None = None,
) -> Effect:
    """Points of accuracy per doubling of average thinking tokens over `runs`.

    Tokens are resampled with the problems. only: the problems to count, all by default.
    """
    if len(runs) < 2:
        raise Missing(f"{len(runs)} runs; a slope needs two")
    correct, tokens = (bench.frame(runs, value) for value in ("correct", "thinking_tokens"))
    if only is not None:
        correct, tokens = (table[table.index.isin(only)] for table in (correct, tokens))
    if correct.empty:
        raise Missing("no problem is in every run")

    value = statistic(tokens.mean().to_numpy(), 100 * correct.mean().to_numpy())
    if np.isnan(value):
        raise Missing("all runs think equally long")
    weights = bench.weights(len(correct))
    draws = statistic(weights @ tokens.to_numpy(), 100 * weights @ correct.to_numpy())
    return Effect(float(value), draws, len(correct))


def always_accepted(bench: Bench, runs: Sequence[int]) -> pd.Index:
    """Problems with an accepted trace at every cap of rejection sampling.

    On the others a cap would be graded for silence, not for thinking.
    """
    accepted = bench.frame(runs, "accepted")
    return accepted.index[(accepted == 1).all(axis=1)]


def controlled(bench: Bench, method: str) -> Effect:
    """Share of samples in % whose thinking kept within the limit: Control, sample by sample."""
    runs = bench.records.find(method=method, model=None)
    limited = bench.records.runs["limit"].notna()
    runs = bench.having([run for run in runs if limited[run]])
    bench.first(runs, f"method {method} with a limit")
    within = 100 * bench.frame(runs, "within").mean(axis=1).to_numpy()
    return mean_effect(within, bench, f"{len(runs)} limits")


def forced_answers(bench: Bench, run: int) -> Effect:
    """Accuracy that "Final Answer:" adds at a budget: right answers although thinking was cut.

    A trace that is merely truncated has an answer only where its thinking ended in time.
    """
    correct, natural = (bench.column(run, value).to_numpy() for value in ("correct", "natural"))
    return mean_effect(100 * correct * (1 - natural), bench)


def best_base(bench: Bench) -> int:
    """The base model's run with the highest accuracy, with or without thinking."""
    find = bench.records.find
    runs = bench.having([*find(model="base", method="direct"), *find(model="base")])
    bench.first(runs, "model base")
    return max(runs, key=lambda run: bench.column(run).to_numpy().mean())
