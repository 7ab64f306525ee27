"""Differences and slopes on one benchmark, with their bootstrap draws over problems and seeds.

The model of every effect: the runs that are compared answer the same problems, and are those of
the same replicas. Problems are crossed with replicas, and seeds are nested in bases. An effect is
the mean of its replicas' own effects. A resample draws problems, which all replicas share, and
apart from them bases and seeds, which all benchmarks share. With one replica this is the plain
paired bootstrap over problems. docs/verdicts.md says how well its intervals cover.

Accuracies in %, differences in points. `Missing` says why the records do not give an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np
import pandas as pd

from s1lib.scaling import metrics
from s1lib.scaling.pairing import REPLICA, Paired, Replica
from s1lib.scaling.records import MAIN, Records

SAMPLE = [*REPLICA, "problem_id", "seed", "sample"]
SEEN = ["thinking_tokens", "answer_tokens", "finish", "extracted"]  # all that records tell of texts
SEVERAL = ["majority", "rejection", "tree_search"]  # methods that sample one answer out of several


class Missing(Exception):
    """The records do not hold what this needs. Tables print the reason beside "n/a"."""


@dataclass(frozen=True)
class Effect:
    """An effect in points over n problems, as the mean of its replicas.

    by_seed: the effect of each replica alone, over all problems.
    seed_draws: its bootstrap draws over problems [resamples, replicas], problems drawn alike.
    """

    by_seed: Mapping[Replica, float]
    seed_draws: np.ndarray
    n: int
    note: str = ""

    @cached_property
    def value(self) -> float:
        return float(np.mean(list(self.by_seed.values())))

    @cached_property
    def draws(self) -> np.ndarray:
        """Bootstrap draws over problems and replicas [resamples]."""
        bases = tuple(base for base, _ in self.by_seed)
        weights = metrics.replica_weights(bases, resamples=len(self.seed_draws))
        return metrics.over_seeds(self.seed_draws, np.array([*self.by_seed.values()]), weights)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p of the null hypothesis that the effect is `null`, in points."""
        bases = [base for base, _ in self.by_seed]
        freedom = metrics.freedom(self.draws, self.seed_draws, self.n, bases)
        return metrics.p_value(self.value, self.draws, null=null, freedom=freedom)


def pool(effects: Sequence[Effect]) -> Effect:
    """The mean over benchmarks of the replicas that all have. Problems are counted together."""
    shared = [one for one in effects[0].by_seed if all(one in each.by_seed for each in effects)]
    places = [[list(each.by_seed).index(one) for one in shared] for each in effects]
    draws = (each.seed_draws[:, at] for each, at in zip(effects, places, strict=True))
    return Effect(
        by_seed={one: float(np.mean([each.by_seed[one] for each in effects])) for one in shared},
        seed_draws=np.mean([*draws], axis=0),
        n=sum(effect.n for effect in effects),
        note="; ".join(dict.fromkeys(effect.note for effect in effects if effect.note)),
    )


@dataclass(frozen=True)
class Bench:
    """One benchmark of the records, and how to resample its problems and replicas."""

    records: Records
    name: str
    resamples: int = 10_000
    seed: int = 0

    def weights(self, n: int) -> np.ndarray:
        """Bootstrap weights of n problems [resamples, n], the same for every effect."""
        # benchmarks of equal size must not share their draws
        seed = (self.seed, crc32(self.name.encode()))
        return metrics.bootstrap_weights(n, resamples=self.resamples, seed=seed)

    def resampled(self, values: np.ndarray) -> np.ndarray:
        """The mean over problems of [problems, ...] in every resample: [resamples, ...]."""
        n, *rest = values.shape
        return (self.weights(n) @ values.reshape(n, -1)).reshape(self.resamples, *rest)

    def paired(self, runs: Sequence[int], value: str = "correct") -> Paired:
        """Problems x replicas x runs. Raises Missing when no problem has all runs."""
        found = self.records.paired(self.name, runs, value)
        if not len(found.problems):
            raise Missing("no problem with every run that this compares")
        return found

    def frame(self, runs: Sequence[int], value: str = "correct") -> pd.DataFrame:
        """Problems x runs, means over replicas. Raises Missing when no problem has all runs."""
        problems, _, values = self.paired(runs, value)
        return pd.DataFrame(values.mean(axis=1), index=problems, columns=list(runs))

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


def mean_effect(
    values: np.ndarray, replicas: Sequence[Replica], bench: Bench, note: str = ""
) -> Effect:
    """The mean of one value per problem and replica [problems, replicas]."""
    by_seed = dict(zip(replicas, values.mean(axis=0).tolist(), strict=True))
    return Effect(by_seed, bench.resampled(values), len(values), note)


def difference(bench: Bench, before: int, after: int, note: str = "") -> Effect:
    """Accuracy of run `after` minus that of run `before`, on the problems that both have."""
    _, replicas, correct = bench.paired([before, after])
    return mean_effect(100 * (correct[..., 1] - correct[..., 0]), replicas, bench, note)


def against_curve(bench: Bench, curve: Sequence[int], other: int) -> Effect:
    """Accuracy of a curve of runs minus that of another run at equal thinking tokens.

    The curve is interpolated on log2(tokens), in each replica at the tokens that the other run
    spends there. Beyond its ends it keeps the value of its end.
    """
    _, replicas, correct = bench.paired([*curve, other])
    _, _, thinking = bench.paired([*curve, other], "thinking_tokens")
    tokens = thinking.mean(axis=0)  # replicas x runs
    shares = np.array([metrics.shares_at(own[:-1], own[-1]) for own in tokens])
    reached = np.einsum("prj,rj->pr", correct[..., :-1], shares)

    spent, ends = tokens[:, -1].mean(), (tokens[:, :-1].min(axis=1), tokens[:, :-1].max(axis=1))
    beyond = ((tokens[:, -1] < ends[0]) | (tokens[:, -1] > ends[1])).any()
    note = f"{bench.name}: {spent:.0f} tokens{' (beyond the curve)' if beyond else ''}"
    return mean_effect(100 * (reached - correct[..., -1]), replicas, bench, note)


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

    Each replica has its own. Tokens are resampled with the problems. only: the problems to count,
    all by default.
    """
    if len(runs) < 2:
        raise Missing(f"{len(runs)} runs; a slope needs two")
    problems, replicas, correct = bench.paired(runs)
    tokens = bench.paired(runs, "thinking_tokens").values
    if only is not None:
        kept = problems.isin(only)
        correct, tokens = correct[kept], tokens[kept]
    if not len(correct):
        raise Missing("no problem is in every run")

    each = statistic(tokens.mean(axis=0), 100 * correct.mean(axis=0))
    if np.isnan(each).any():
        raise Missing("all runs think equally long")
    draws = statistic(bench.resampled(tokens), 100 * bench.resampled(correct))
    return Effect(dict(zip(replicas, each.tolist(), strict=True)), draws, len(correct))


def always_accepted(bench: Bench, runs: Sequence[int]) -> pd.Index:
    """Problems with an accepted trace at every cap of rejection sampling.

    On the others a cap would be graded for silence, not for thinking.
    """
    accepted = bench.frame(runs, "accepted")
    return accepted.index[(accepted == 1).all(axis=1)]


def controlled(bench: Bench, method: str) -> Effect:
    """Share of samples in % whose thinking kept within the limit: Control, sample by sample.

    A limit of steps is counted in steps.
    """
    runs = bench.records.find(method=method, model=None)
    limited = bench.records.runs["limit"].notna()
    runs = bench.having([run for run in runs if limited[run]])
    bench.first(runs, f"method {method} with a limit")
    _, replicas, within = bench.paired(runs, "within")
    return mean_effect(100 * within.mean(axis=2), replicas, bench, f"{len(runs)} limits")


def forced_answers(bench: Bench, run: int) -> Effect:
    """Accuracy that "Final Answer:" adds at a budget: right answers although thinking was cut.

    A trace that is merely truncated has an answer only where its thinking ended in time.
    """
    _, replicas, correct = bench.paired([run])
    natural = bench.paired([run], "natural").values
    return mean_effect(100 * (correct * (1 - natural))[..., 0], replicas, bench)


def best_base(bench: Bench) -> int:
    """The base model's run with the highest accuracy, among all that give one answer each."""
    runs = bench.records.runs
    own = runs[(runs["model"] == "base") & ~runs["method"].isin(SEVERAL)]
    found = bench.having(own.index)
    bench.first(found, "model base")
    return max(found, key=lambda run: bench.column(run).to_numpy().mean())
