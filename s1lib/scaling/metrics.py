"""Statistics of the paper's tables (sections 3.2 and 5): intervals, paired tests and its metrics.

Arrays are problems x runs. Accuracies may be shares or %, and results come in the same unit.
Everything that compares runs is *paired*: the same problems are resampled for all of them, so that
what the problems share cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

SAME = 0.0015  # doublings (0.1 %): runs closer than this in tokens have no slope between them
NEAR = 0.015  # doublings (1 %): a budget this near the natural stop does not cut it
NOISE = 1e-9  # what floating point leaves of an effect that is 0


# Every table resamples the same problems of the same benchmarks.
@lru_cache(maxsize=8)
def bootstrap_weights(
    n: int, *, resamples: int = 10_000, seed: int | tuple[int, ...] = 0
) -> np.ndarray:
    """How much each of n problems counts in each resample with replacement: [resamples, n].

    Rows sum to 1, so that `weights @ matrix` is the mean of every run in every resample at once.
    """
    drawn = np.random.default_rng(seed).integers(max(n, 1), size=(resamples, n))
    drawn += np.arange(resamples)[:, None] * n
    weights = np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n) / max(n, 1)
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=8)
def replica_weights(
    bases: tuple[int, ...], *, resamples: int = 10_000, seed: int = 0
) -> np.ndarray:
    """How much each replica counts in each resample: [resamples, replicas]. Rows sum to 1.

    bases: the base model that each replica starts from. Bases are drawn with replacement, and then
    seeds within each drawn base. A mean of k units that are drawn out of k varies too little, by
    (k - 1) / k, so that the deviations of bases and of seeds are stretched by sqrt(k / (k - 1)).
    A single base, or the single seed of a base, is not resampled.
    """
    rng = np.random.default_rng(seed)
    _, place, seeds = np.unique(bases, return_inverse=True, return_counts=True)
    k = len(seeds)
    drawn = rng.multinomial(k, np.full(k, 1 / k), size=resamples)
    weights = (1 + _stretch(k) * (drawn - 1))[:, place] / (k * seeds[place])
    for base, m in enumerate(seeds):
        counts = rng.multinomial(drawn[:, base] * m, np.full(m, 1 / m))
        weights[:, place == base] += _stretch(m) * (counts - drawn[:, [base]]) / (k * m)
    weights.flags.writeable = False
    return weights


def over_seeds(seed_draws: np.ndarray, by_seed: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Bootstrap draws over problems and replicas of a mean over replicas: [resamples, ...].

    seed_draws: draws over problems alone of each replica's value [resamples, replicas, ...].
    by_seed: the values themselves [replicas, ...]. weights: as from `replica_weights`.

    Problems and replicas are drawn apart, and their deviations are added. Replicas differ in part
    because each is measured on few problems, and the draws over problems hold that part already.
    It is taken off the replicas' deviations, so that it does not count twice.
    """
    replicas = len(by_seed)
    if replicas == 1:
        return seed_draws[:, 0]
    mean = seed_draws.mean(axis=1)
    apart = np.tensordot(weights - 1 / replicas, by_seed, axes=1)

    # the variance that problems alone give to the difference of a replica from their mean
    own = np.nanvar(seed_draws - mean[:, None], axis=0).sum(axis=0) / (replicas - 1)
    noise, spread = own * weights.var(axis=0).sum(), apart.var(axis=0)
    kept = 1 - noise / np.where(spread > 0, spread, np.inf)
    return mean + np.sqrt(np.maximum(kept, 0)) * apart


def _stretch(k: int) -> float:
    return np.sqrt(k / (k - 1)) if k > 1 else 0.0


def interval(draws: np.ndarray, *, alpha: float = 0.05) -> tuple[float, float]:
    """Percentile interval of bootstrap draws.

    Draws of NaN, in which the statistic does not exist, are left out.
    """
    draws = draws[~np.isnan(draws)]
    quantiles = [alpha / 2, 1 - alpha / 2]
    return tuple(np.quantile(draws, quantiles)) if len(draws) else (np.nan, np.nan)


def freedom(draws: np.ndarray, seed_draws: np.ndarray, n: int, bases: Sequence[int]) -> float:
    """Degrees of freedom of the spread of `draws`, after Satterthwaite.

    draws: over problems and replicas, made from `seed_draws` [resamples, replicas] of n problems by
    `over_seeds`. The part of n problems has n - 1 degrees of freedom. The part of the replicas has
    one less than their number or, where they start from several bases, than that of the bases.
    """
    problems = np.nanvar(seed_draws.mean(axis=1))
    replicas = max(np.nanvar(draws) - problems, 0)
    several = len(set(bases))
    units = several if several > 1 else len(bases)
    parts = problems**2 / max(n - 1, 1) + replicas**2 / max(units - 1, 1)
    return float((problems + replicas) ** 2 / parts) if parts > 0 else np.inf


def p_value(
    value: float, draws: np.ndarray, *, null: float = 0.0, freedom: float = np.inf
) -> float:
    """Two-sided p of the null hypothesis that the effect is `null`.

    The effect follows Student's t around its true value, with the spread of its bootstrap draws. A
    spread that is known from few seeds has few degrees of freedom.
    """
    distance, error = abs(value - null), np.nanstd(draws)
    if error < NOISE:
        return float(distance < NOISE)
    return float(2 * stats.t.sf(distance / error, freedom))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p of each of several tests. NaN is no test and stays NaN.

    Below alpha they count as found, with a chance of at most alpha that any true null is among
    them.
    """
    order = np.argsort(p)  # NaN comes last
    left = np.arange(np.sum(~np.isnan(p)), 0, -1)  # tests that are not yet rejected
    adjusted = np.full(len(p), np.nan)
    tested = order[: len(left)]
    adjusted[tested] = np.minimum(np.maximum.accumulate(left * p[tested]), 1)
    return adjusted


class McNemar(NamedTuple):
    gained: int  # problems solved by b alone
    lost: int  # problems solved by a alone
    p: float  # exact two-sided


def mcnemar(a: np.ndarray, b: np.ndarray) -> McNemar:
    """Exact McNemar test of b against a. p is NaN unless each problem has one sample."""
    gained, lost = int(np.sum(b > a)), int(np.sum(a > b))
    single = np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()
    return McNemar(gained, lost, mcnemar_p(gained, lost) if single else np.nan)


def mcnemar_p(gained: int, lost: int) -> float:
    """Exact two-sided p of so many problems gained and lost."""
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def scaling(tokens: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """The paper's Scaling (section 3.2, equation 2): mean slope over all pairs of runs.

    Unit: accuracy per *doubling* of thinking tokens. The paper's formula divides by tokens, but
    only doublings give the numbers that it prints in Table 3. Runs are along the last axis. Pairs
    within 0.1 % of each other's tokens are left out, and without any other pair it is NaN.
    """
    x, y = _doublings(tokens), np.asarray(accuracy, dtype=float)
    first, second = np.triu_indices(x.shape[-1], k=1)
    dx, dy = x[..., second] - x[..., first], y[..., second] - y[..., first]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(dx) >= SAME
        slopes = np.where(apart, dy / np.where(apart, dx, 1), 0)
        return slopes.sum(-1) / np.where(apart.any(-1), apart.sum(-1), np.nan)


def slope(tokens: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Least-squares slope of accuracy on log2(tokens) along the last axis.

    The paper's Scaling lets two runs of nearly equal length outweigh all others: the printed -24
    of token-conditional control would be +10 without the pair at 7,108 and 7,158 tokens. NaN when
    all runs are within 1 % of each other's tokens.
    """
    x, y = _doublings(tokens), np.asarray(accuracy, dtype=float)
    if not x.shape[-1]:
        return np.full(x.shape[:-1], np.nan)
    dx = x - x.mean(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = np.ptp(x, axis=-1) >= NEAR
        return np.where(wide, (dx * y).sum(-1) / (dx**2).sum(-1), np.nan)


def _doublings(tokens: np.ndarray) -> np.ndarray:
    tokens = np.asarray(tokens, dtype=float)
    return np.log2(np.where(tokens > 0, tokens, np.nan))


def shares_at(tokens: np.ndarray, at: float) -> np.ndarray:
    """How much each point of a curve counts where `at` tokens are spent, linear on log2(tokens)."""
    order = np.argsort(tokens, kind="stable")
    places = np.log2(np.maximum(tokens[order], 1))
    shares = np.zeros(len(order))
    shares[order] = [np.interp(np.log2(max(at, 1)), places, unit) for unit in np.eye(len(order))]
    return shares


def control(tokens: np.ndarray, high: np.ndarray, low: np.ndarray | None = None) -> float:
    """The paper's Control (section 3.2, equation 1) in %.

    It is the share of runs whose average thinking tokens lie within [low, high]. Runs without any
    limit (NaN) do not count, and when none has one it is NaN.
    """
    tokens, high = np.asarray(tokens, dtype=float), np.asarray(high, dtype=float)
    low = np.full_like(high, np.nan) if low is None else np.asarray(low, dtype=float)
    limited = ~(np.isnan(high) & np.isnan(low))
    below = tokens <= np.where(np.isnan(high), np.inf, high)
    within = below & (tokens >= np.where(np.isnan(low), -np.inf, low))
    return 100 * float(within[limited].mean()) if limited.any() else np.nan


def performance(accuracy: np.ndarray) -> float:
    """The paper's Performance (section 3.2, equation 3): the best accuracy of any run."""
    accuracy = np.asarray(accuracy, dtype=float)
    known = accuracy[~np.isnan(accuracy)]
    return float(known.max()) if known.size else np.nan


def minimal_detectable_difference(
    n: int, *, discordant: float, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest paired difference, in points, that n problems show with this power.

    discordant: the share of problems on which the two runs disagree. NaN when not even that whole
    share would be enough. McNemar's test in normal approximation (Connor 1987) asks that
    sqrt(n) d = z_alpha sqrt(q) + z_power sqrt(q - d²), solved for d.
    """
    if n <= 0 or not discordant > 0:
        return np.nan
    z_alpha, z_power = stats.norm.isf(alpha / 2), stats.norm.ppf(power)
    # n d² - 2 z_alpha sqrt(n q) d + z_alpha² q = z_power² (q - d²) is a quadratic in d
    a, b = n + z_power**2, -2 * z_alpha * np.sqrt(n * discordant)
    c = (z_alpha**2 - z_power**2) * discordant
    root = b**2 - 4 * a * c
    difference = (-b + np.sqrt(root)) / (2 * a) if root >= 0 else np.inf
    return 100 * float(difference) if difference <= discordant else np.nan
