"""Wilson's interval of a share, which every accuracy of every notebook is drawn with."""

from __future__ import annotations

import numpy as np
from scipy import stats


def wilson(
    successes: np.ndarray | float, n: np.ndarray | float, *, alpha: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval for `successes` of `n`, as shares in [0, 1]. NaN where n is 0.

    With several samples per problem, pass the mean number of solved problems and the number of
    problems. Samples of one problem are not independent, and this errs on the wide side.
    """
    successes, n = np.asarray(successes, dtype=float), np.asarray(n, dtype=float)
    z = stats.norm.isf(alpha / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = successes / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        low, high = np.maximum(centre - half, 0), np.minimum(centre + half, 1)
        return np.minimum(low, share), np.maximum(high, share)
