"""Training sets of further sizes, for accuracy by the number of examples (Figure 2, right).

    sized_sets(profile.curation)     # {"s1_62": ("s1", 62), "random_62": ("random", 62), ...}

A profile names the sizes once (`curation.sizes`), and what is drawn is trained on.
"""

from __future__ import annotations

import re

from s1lib.profile.settings import Curation

GROWN = ("s1", "random")  # the sets that are drawn at several sizes


def sized_sets(curation: Curation) -> dict[str, tuple[str, int]]:
    """By the name of each set of a further size: the set that it is drawn like, and its size.

    `curation.target` is no further size: it is that of s1 and random themselves.
    """
    sizes = [size for size in curation.sizes if size != curation.target]
    return {f"{name}_{size}": (name, size) for size in sizes for name in GROWN}


def grown(model: str) -> str | None:
    """The set that a model's is drawn like: "s1" for s1 and s1_62, None for sets of one size."""
    found = re.fullmatch(rf"({'|'.join(GROWN)})(_\d+)?", model)
    return found and found[1]


def is_sized(model: str) -> bool:
    """Whether a model's training set is one of a further size, as s1_62 is and s1 is not."""
    return grown(model) not in (None, model)
