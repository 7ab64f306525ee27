"""Pools of several domains for the tests of selection."""

from __future__ import annotations

from hypothesis import strategies as st
from samples import sample


def make(domain_sizes: dict[str, int]):
    """Samples and their trace lengths: in a domain n, n-1, ..., 1, so that id and rank agree."""
    samples = [
        sample(f"{name}{rank:03d}", domain=name)
        for name, size in domain_sizes.items()
        for rank in range(size)
    ]
    lengths = {s.id: domain_sizes[s.domain] - int(s.id[-3:]) for s in samples}
    return samples, lengths


pools = st.dictionaries(
    st.sampled_from(["algebra", "geometry", "logic", "waves"]), st.integers(1, 12), min_size=1
)
