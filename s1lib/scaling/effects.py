"""What is measured on one benchmark: differences and slopes with paired bootstrap draws, pooled over benchmarks by averaging.

Accuracies in %, differences in points. An effect that the records cannot give raises `Missing` with the reason, which
tables print beside "n/a". Pooled effects are means over benchmarks, problems resampled within each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from s1lib.scaling import metrics
from s1lib.scaling.records import MAIN, Records
from s1lib.thinking.voting import expected_accuracy


class Missing(Exception):
    """The records do not hold what this needs; the message is the reason that stands beside "n/a"."""


@dataclass(frozen=True)
class Effect:
    """value: points (or what the claim says); draws: its bootstrap resamples; n: problems."""

    value: float
    draws: np.ndarray
    n: int
    gained: int | None = None  # problems solved by the second run alone; None where McNemar's test does not apply
    lost: int | None = None
    note: str = ""

    @property
    def p(self) -> float:
        """Exact McNemar, two-sided; over all problems when pooled."""
        return np.nan if self.gained is None else metrics.mcnemar_p(self.gained, self.lost)


def pool(effects: Sequence[Effect]) -> Effect:
    """Mean over benchmarks; the draws of different benchmarks are independent."""
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
        if n not in self._weights:
            self._weights[n] = metrics.bootstrap_weights(n, resamples=self.resamples, seed=self.seed)
        return self._weights[n]

    def frame(self, runs: Sequence[int], value: str = "correct") -> pd.DataFrame:
        frame = self.records.frame(self.name, runs, value)
        if frame.empty:
            raise Missing("no problem with every run that this compares")
        return frame

    def first(self, runs: Sequence[int], what: str) -> int:
        """The first of `runs` that this benchmark has."""
        if found := self.having(runs):
            return found[0]
        raise Missing(f"no records of {what}")

    def having(self, runs: Sequence[int]) -> list[int]:
        return [run for run in runs if run in self.present]

    @cached_property
    def present(self) -> set[int]:
        problems = self.records.problems
        return set(problems["run"][problems["benchmark"] == self.name])

    def natural(self, model: str = MAIN) -> int:
        return self.first(self.records.natural(model), f"model {model} with natural stop")


def difference(bench: Bench, before: int, after: int) -> Effect:
    """Accuracy of run `after` minus that of run `before`, in points, on the problems that both have."""
    correct = bench.frame([before, after]).to_numpy()
    test = metrics.mcnemar(correct[:, 0], correct[:, 1])
    paired = 100 * (correct[:, 1] - correct[:, 0])
    gained, lost = (None, None) if np.isnan(test.p) else (test.gained, test.lost)
    return Effect(paired.mean(), bench.weights(len(paired)) @ paired, len(paired), gained, lost)


def all_differences(bench: Bench, runs: Sequence[int]) -> tuple[np.ndarray, np.ndarray, int]:
    """Accuracies of `runs` in % [runs], their bootstrap draws [resamples, runs] on the same problems, and the number of problems."""
    correct = 100 * bench.frame(runs).to_numpy()
    return correct.mean(axis=0), bench.weights(len(correct)) @ correct, len(correct)


def forced_answers(bench: Bench, run: int) -> Effect:
    """What "Final Answer:" adds at a budget, in points: answers that are right although the thinking was cut.

    A trace that is merely truncated has an answer only where its thinking ended in time.
    """
    correct, natural = (bench.frame([run], value)[run].to_numpy() for value in ("correct", "natural"))
    added = 100 * correct * (1 - natural)
    return Effect(added.mean(), bench.weights(len(added)) @ added, len(added))


def slope(bench: Bench, runs: Sequence[int], *, statistic=metrics.slope, only: np.ndarray | None = None) -> Effect:
    """Points of accuracy per doubling of average thinking tokens over `runs`; tokens are resampled with the problems."""
    if len(runs) < 2:
        raise Missing(f"{len(runs)} runs; a slope needs two")
    correct, tokens = (bench.frame(runs, value) for value in ("correct", "thinking_tokens"))
    if only is not None:
        correct, tokens = correct[correct.index.isin(only)], tokens[tokens.index.isin(only)]
    if correct.empty:
        raise Missing("no problem is in every run")
    value = statistic(tokens.mean().to_numpy(), 100 * correct.mean().to_numpy())
    if np.isnan(value):
        raise Missing("all runs think equally long")
    weights = bench.weights(len(correct))
    return Effect(float(value), statistic(weights @ tokens.to_numpy(), 100 * weights @ correct.to_numpy()), len(correct))


def below_natural(bench: Bench, model: str = MAIN) -> list[int]:
    """Budgets that really cut: average thinking at least 1 % below the natural stop's, which comes last."""
    natural = bench.natural(model)
    runs = bench.having(bench.records.budgets(model))
    tokens = bench.frame(runs, "thinking_tokens").mean()
    return [run for run in runs if run == natural or tokens[run] < tokens[natural] / 2**metrics.NEAR]


def rises(bench: Bench) -> Effect:
    """Slope over the budgets below the natural stop (Figure 1)."""
    runs = below_natural(bench)
    effect = slope(bench, runs)
    steps = np.diff(bench.frame(runs).mean())
    return replace(effect, note=f"{bench.name}: {int((steps > 0).sum())} of {len(steps)} steps up")


def extends(bench: Bench, *, waits: int) -> Effect:
    """`waits` Waits against the natural stop (Figure 4a)."""
    return difference(bench, bench.natural(), string_run(bench, "Wait", waits))


def string_run(bench: Bench, string: str, waits: int, model: str = MAIN) -> int:
    runs = [run for run in bench.records.waits(string, model) if bench.records.runs["waits"][run] == waits]
    return bench.first(runs, f"{waits} × {string or 'no string'}")


def flattens(bench: Bench) -> Effect:
    """Gain per Wait of the last step minus that of the first one (Figure 4a): negative when the curve flattens."""
    runs = [bench.natural(), *bench.having(bench.records.waits())]
    if len(runs) < 3:
        raise Missing("fewer than two numbers of Waits")
    waits = bench.records.runs["waits"][runs].to_numpy()
    gains = 100 * np.diff(bench.frame(runs).to_numpy(), axis=1) / np.diff(waits)
    paired = gains[:, -1] - gains[:, 0]
    note = f"gain per Wait, {waits[0]:.0f} to {waits[1]:.0f} against {waits[-2]:.0f} to {waits[-1]:.0f}"
    return Effect(paired.mean(), bench.weights(len(paired)) @ paired, len(paired), note=note)


def strings(bench: Bench, other: str, *, waits: int) -> Effect:
    """ "Wait" against another string, appended equally often (Table 4)."""
    return difference(bench, string_run(bench, other, waits), string_run(bench, "Wait", waits))


def curation(bench: Bench, other: str) -> Effect:
    """The s1 set against another training set, both at the natural stop (Table 2)."""
    return difference(bench, bench.natural(other), bench.natural())


def best_base(bench: Bench) -> int:
    """The base model's run with the highest accuracy, with or without thinking."""
    runs = bench.having([*bench.records.find(model="base", method="direct"), *bench.records.find(model="base")])
    bench.first(runs, "model base")
    return max(runs, key=lambda run: bench.frame([run]).to_numpy().mean())


def lifts(bench: Bench) -> Effect:
    """s1 at its natural stop against the base model's *best* run, so that the comparison favours the base."""
    base = best_base(bench)
    note = f"{bench.name}: base at its best ({bench.records.runs['label'][base]})"
    return replace(difference(bench, base, bench.natural()), note=note)


def rejection(bench: Bench) -> Effect:
    """Slope over the caps of rejection sampling (Figure 6), on the problems for which something fitted every cap."""
    runs = bench.having(bench.records.find(method="rejection"))
    bench.first(runs, "rejection sampling")
    accepted = always_accepted(bench, runs)
    return replace(slope(bench, runs, only=accepted), note=f"{bench.name}: {len(accepted)} problems accepted at every cap")


def always_accepted(bench: Bench, runs: Sequence[int]) -> np.ndarray:
    """Problems with an accepted trace at every cap: on others a cap would be graded for silence, not for thinking."""
    accepted = bench.frame(runs, "accepted")
    return accepted.index[(accepted == 1).all(axis=1)]


def controlled(bench: Bench, method: str) -> Effect:
    """Share of samples in % whose thinking kept within the limit (Table 3's Control, sample by sample)."""
    runs = bench.records.find(method=method, model=None)
    runs = bench.having([run for run in runs if not np.isnan(bench.records.runs["limit"][run])])
    bench.first(runs, f"method {method} with a limit")
    within = 100 * bench.frame(runs, "within").mean(axis=1).to_numpy()
    return Effect(within.mean(), bench.weights(len(within)) @ within, len(within), note=f"{len(runs)} limits")


def equal_tokens(bench: Bench, *, waits: int, votes: Sequence[int]) -> Effect:
    """Sequential (`waits` Waits) minus parallel (majority vote) at the same total tokens, thinking and answer (Figure 4b).

    The vote's accuracy is interpolated on log2(tokens); beyond its last k it keeps the last value.
    """
    sequential = string_run(bench, "Wait", waits)
    accuracy, tokens = parallel(bench, bench.first(bench.records.find(method="majority"), "majority vote"), votes)
    correct, spent = bench.frame([sequential])[sequential], bench.frame([sequential], "total_tokens")[sequential]
    both = accuracy.index.intersection(correct.index)
    if both.empty:
        raise Missing("no problem with both")
    at = np.log2(spent[both].mean())
    k_tokens = np.log2(tokens.loc[both].mean().to_numpy())
    share = np.array([np.interp(at, k_tokens, unit) for unit in np.eye(len(k_tokens))])
    paired = 100 * (correct[both].to_numpy() - accuracy.loc[both].to_numpy() @ share)
    k = np.interp(at, k_tokens, np.log2(accuracy.columns.to_numpy(dtype=float)))
    clipped = "" if k_tokens[0] <= at <= k_tokens[-1] else " (end of the vote's range)"
    note = f"{bench.name}: {2**at:.0f} tokens, k = {2**k:.1f}{clipped}"
    return Effect(paired.mean(), bench.weights(len(both)) @ paired, len(both), note=note)


def parallel(bench: Bench, run: int, votes: Sequence[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Problems x k: expected accuracy of a vote among k samples, and the total tokens that the k samples cost."""
    samples = bench.records.samples
    samples = samples[(samples["run"] == run) & (samples["benchmark"] == bench.name)]
    given: dict[str, list[tuple[str | None, bool]]] = defaultdict(list)
    for problem, answer, right in zip(samples["problem_id"], samples["extracted"], samples["correct"], strict=True):
        given[problem].append((None if pd.isna(answer) else answer, bool(right)))
    votes = [k for k in votes if k <= min(map(len, given.values()))]
    if not votes:
        raise Missing("fewer samples per problem than the smallest vote")
    accuracy = pd.DataFrame({problem: _vote(_pattern(answers))[np.array(votes) - 1] for problem, answers in given.items()}, index=votes).T
    tokens = bench.frame([run], "total_tokens")[run]
    return accuracy, pd.DataFrame({k: k * tokens for k in votes}).loc[accuracy.index]


def _pattern(answers: list[tuple[str | None, bool]]) -> tuple[tuple[int, bool | None], ...]:
    """What a vote depends on: how often each answer was given, and whether it is right (None: no answer could be read)."""
    right = dict(answers)
    counts = Counter(name for name, _ in answers)
    return tuple(sorted(((count, None if name is None else right[name]) for name, count in counts.items()), key=str))


@lru_cache(maxsize=100_000)  # most problems share their pattern with another one
def _vote(pattern: tuple[tuple[int, bool | None], ...]) -> np.ndarray:
    answers = [(None if right is None else str(name), bool(right)) for name, (count, right) in enumerate(pattern) for _ in range(count)]
    return expected_accuracy(*zip(*answers, strict=True))
