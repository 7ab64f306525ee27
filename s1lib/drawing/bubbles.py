"""The bubble chart of Figure 2, left: one circle per domain, its area the number of questions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from s1lib.drawing.plots import PALETTE, not_available

Placed = tuple[float, float, float]  # x, y, radius
LARGEST, SMALLEST = 9, 5.5  # points: a name that would be smaller is left out
NUMBER = 8  # points of a number alone
WIDTH = 0.57  # of a character, in font sizes


def bubbles(data: pd.DataFrame, ax: Axes, *, count: str = "selected") -> Axes:
    """Draw the domains of `data` with their number of questions, the column `count`.

    A circle too small for its name has the number alone.
    """
    shown = data[data[count] > 0].sort_values(count, ascending=False)
    if shown.empty:
        return not_available(ax, "no domains")
    circles = pack(shown[count].tolist())
    reach = max(math.hypot(x, y) + r for x, y, r in circles)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    points = min(ax.bbox.size) * 72 / ax.figure.dpi / (2 * reach)  # per unit of the chart

    named = zip(circles, shown["domain"], shown[count], strict=True)
    for place, ((x, y, r), domain, number) in enumerate(named):
        style = {"color": PALETTE[place % len(PALETTE)], "alpha": 0.35, "linewidth": 0}
        ax.add_patch(Circle((x, y), 0.97 * r, **style))

        # a name is as large as its longest word leaves room for
        words = domain.split()
        size = min(LARGEST, 1.94 * r * points / (WIDTH * max(map(len, words))))
        if size < SMALLEST:
            words, size = [], NUMBER
        text = "\n".join([*words, f"{number:.0f}"])
        ax.text(x, y, text, ha="center", va="center", fontsize=size)
    ax.axis("off")
    return ax


def pack(counts: Sequence[float]) -> list[Placed]:
    """Circles of area proportional to `counts`, in their order, that do not overlap.

    The largest comes first, and each is placed as near the middle as it fits.
    """
    radii = np.sqrt(np.asarray(counts, dtype=float))
    largest_first = np.argsort(-radii, kind="stable")
    placed: list[Placed] = []
    for radius in radii[largest_first].tolist():
        spots = _spots(placed, radius)
        spots = sorted(spots, key=lambda spot: (round(math.hypot(*spot), 9), spot))
        x, y = next(spot for spot in spots if _is_free(spot, radius, placed))
        placed.append((x, y, radius))
    return [placed[position] for position in np.argsort(largest_first)]


def _is_free(spot: tuple[float, float], radius: float, placed: Sequence[Placed]) -> bool:
    return all(
        math.hypot(spot[0] - x, spot[1] - y) >= radius + other - 1e-7 for x, y, other in placed
    )


def _spots(placed: Sequence[Placed], radius: float) -> Iterator[tuple[float, float]]:
    """Middles of a circle that touches one or two of those placed."""
    if not placed:
        yield 0.0, 0.0
    for a, b, r in placed:
        yield a + r + radius, b
    for i, (a, b, r) in enumerate(placed):
        for c, d, s in placed[:i]:
            # the two points at these distances from both middles, if there are any
            distance, first, second = math.hypot(c - a, d - b), r + radius, s + radius
            if not 0 < distance <= first + second:
                continue
            along = (first**2 - second**2 + distance**2) / (2 * distance)
            across = math.sqrt(max(0.0, first**2 - along**2))
            ux, uy = (c - a) / distance, (d - b) / distance
            for side in (across, -across):
                yield a + along * ux - side * uy, b + along * uy + side * ux
