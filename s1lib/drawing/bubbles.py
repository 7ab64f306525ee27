"""The bubble chart of figure 2, left: one circle per domain, its area the number of selected questions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from s1lib.drawing.plots import PALETTE

Placed = tuple[float, float, float]  # x, y, radius
LABEL = 0.19  # radius, as a share of the whole's, from which a name fits into its circle


def bubbles(data: pd.DataFrame, ax: Axes, *, count: str = "selected") -> Axes:
    """data: domain and `count`, the number of questions; small circles go unnamed, the table has their names."""
    shown = data[data[count] > 0].sort_values(count, ascending=False)
    circles = pack(shown[count].tolist())
    reach = max(math.hypot(x, y) + r for x, y, r in circles)
    for place, ((x, y, r), domain, number) in enumerate(zip(circles, shown["domain"], shown[count], strict=True)):
        ax.add_patch(Circle((x, y), 0.97 * r, color=PALETTE[place % len(PALETTE)], alpha=0.35, linewidth=0))
        if r > LABEL * reach / 2:
            ax.text(x, y, f"{domain.replace(' ', chr(10))}\n{number:.0f}", ha="center", va="center", fontsize=min(9.0, 36 * r / reach))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.axis("off")
    return ax


def pack(counts: Sequence[float]) -> list[Placed]:
    """Circles of area proportional to `counts`, in their order, none overlapping: each as near the middle as it fits, largest first."""
    radii = np.sqrt(np.asarray(counts, dtype=float))
    placed: list[Placed] = []
    for index in np.argsort(-radii, kind="stable"):
        radius = float(radii[index])
        spots = sorted(_spots(placed, radius), key=lambda spot: (round(math.hypot(*spot), 9), spot))
        x, y = next(spot for spot in spots if all(math.hypot(spot[0] - a, spot[1] - b) >= radius + r - 1e-7 for a, b, r in placed))
        placed.append((x, y, radius))
    order = np.argsort(np.argsort(-radii, kind="stable"))
    return [placed[position] for position in order]


def _spots(placed: Sequence[Placed], radius: float) -> Iterator[tuple[float, float]]:
    """Middles of a circle that touches one or two of those placed."""
    if not placed:
        yield 0.0, 0.0
    for a, b, r in placed:
        yield a + r + radius, b
    for i, (a, b, r) in enumerate(placed):
        for c, d, s in placed[:i]:
            distance, first, second = math.hypot(c - a, d - b), r + radius, s + radius
            if not 0 < distance <= first + second:
                continue
            along = (first**2 - second**2 + distance**2) / (2 * distance)
            across = math.sqrt(max(0.0, first**2 - along**2))
            ux, uy = (c - a) / distance, (d - b) / distance
            for side in (across, -across):
                yield a + along * ux - side * uy, b + along * uy + side * ux
