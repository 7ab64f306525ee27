"""How often does the interval of an effect hold the true effect? Simulated, with known truth.

    python -m tests.bench coverage

Two models answer the same problems, each trained from several seeds. A problem is easy or hard for
both, better for one of them, and every seed moves the difference of the models by a normal amount.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from s1lib.scaling import metrics

PROBLEMS, RUNS, RESAMPLES = 200, 2000, 2000
SEED_SD = (0, 1, 2, 3, 5, 10)  # points by which a seed moves the difference
GAIN = 0.05  # the true difference in accuracy
GRIDS = {
    "1 seed": (0,),
    "3 seeds": (0, 0, 0),
    "5 seeds": (0,) * 5,
    "2 bases x 3": (0, 0, 0, 1, 1, 1),
}


def main() -> None:
    problems = metrics.bootstrap_weights(PROBLEMS, resamples=RESAMPLES)
    rows = []
    for name, bases in GRIDS.items():
        seeds = metrics.replica_weights(bases, resamples=RESAMPLES)
        for sd in SEED_SD:
            rng = np.random.default_rng([len(bases), sd])
            held = [_held(rng, bases, sd / 100, problems, seeds) for _ in range(RUNS)]
            both, only, width = np.mean(held, axis=0)
            row = {"grid": name, "seed sd": sd, "problems and seeds": 100 * both}
            rows.append({**row, "problems alone": 100 * only, "half width": 50 * width})
    print(f"{PROBLEMS} problems, {RUNS} simulated runs each; % of the 95 % intervals that hold the")
    print("true difference; sd and half width in points. With two bases, the sd is that of a base")
    print("and of a seed alike.")
    print(pd.DataFrame(rows).round(1).to_string(index=False))


def _held(
    rng: np.random.Generator,
    bases: tuple[int, ...],
    sd: float,
    problems: np.ndarray,
    seeds: np.ndarray,
) -> tuple[bool, bool, float]:
    """Whether either interval holds GAIN, and the width of the one over problems and seeds."""
    ease = rng.uniform(0.3, 0.7, size=(PROBLEMS, 1))
    liked = rng.uniform(-0.2, 0.2, size=(PROBLEMS, 1))
    moved = rng.normal(0, sd, size=len(bases))
    if len(set(bases)) > 1:
        moved += rng.normal(0, sd, size=len(set(bases)))[list(bases)]
    half = (GAIN + liked + moved) / 2
    first, second = (rng.random(half.shape) < ease + sign * half for sign in (1, -1))

    gains = first.astype(float) - second
    draws = problems @ gains
    both = metrics.interval(metrics.over_seeds(draws, gains.mean(axis=0), seeds))
    alone = metrics.interval(draws.mean(axis=1))
    holds = [low <= GAIN <= high for low, high in (both, alone)]
    return *holds, both[1] - both[0]


if __name__ == "__main__":
    main()
