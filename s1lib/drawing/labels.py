"""Labels at data points that keep clear of each other and of the markers.

The points of a curve that flattens lie close together: W2, W4 and W6 of Figure 1 would print over
each other at a fixed offset.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties

from s1lib.drawing.plots import note

AROUND = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]
REACHES = (5, 12, 20)  # points between a label and its marker
Box = tuple[float, float, float, float]  # left, bottom, right, top in points


def notes(ax: Axes, labels: Iterable[tuple[str, float, float]], **options: Any) -> None:
    """Each label (text, x, y) in the first free place around its point.

    Call it when everything is plotted and the axes are scaled. A label that had to move away gets
    a thin line to its point.
    """
    ax.autoscale_view()
    to_points = 72 / ax.figure.dpi
    height = FontProperties(size=options.get("fontsize", "x-small")).get_size_in_points()

    left, _, right, _ = to_points * ax.bbox.extents
    within = (left, -np.inf, right, np.inf)  # above and below the axes is room for a label

    # what is taken before the first label: every marker drawn
    lines = [line for line in ax.get_lines() if line.get_marker() not in ("None", "", None)]
    drawn = np.concatenate([line.get_xydata() for line in lines] or [np.empty((0, 2))])
    taken = [_box(at, 8, 8) for at in to_points * ax.transData.transform(drawn)]

    for text, x, y in labels:
        at = to_points * ax.transData.transform((x, y))
        width = 0.65 * height * len(text) + 2  # with room on both sides
        places = [
            (dx * (width / 2 + reach / 2), dy * (height / 2 + reach))
            for reach in REACHES
            for dx, dy in AROUND
        ]

        # the first of the places that cover least of what is there and beside the axes
        boxes = [_box(at + place, width, height) for place in places]
        outside = [width * height - _overlap(box, within) for box in boxes]
        covered = [
            beyond + sum(_overlap(box, other) for other in taken)
            for box, beyond in zip(boxes, outside, strict=True)
        ]
        best = covered.index(min(covered))
        taken.append(boxes[best])
        line = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "shrinkB": 3}
        far = {"arrowprops": line} if best >= len(AROUND) else {}
        note(ax, text, x, y, offset=places[best], **far, **options)


def _box(centre: np.ndarray, width: float, height: float) -> Box:
    x, y = centre
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
