"""The official notebook's version of the selection (docs/official_rules.md, S8)."""

from __future__ import annotations

from collections import Counter

import pytest
from domain_pools import make, pools
from hypothesis import given
from hypothesis import strategies as st
from samples import sample

from s1lib.curation.selection import (
    SelectionError,
    benchmark_weights,
    choose,
    preselect,
    select,
    select_official,
)


def benchmark_pool(domains: dict[str, tuple[int, int, int]]):
    """domains: how many questions of each come from AIME, GPQA and elsewhere; as `make`."""
    samples, lengths = [], {}
    for name, counts in domains.items():
        sources = [
            source
            for source, count in zip(("AIME 1983–2021", "GPQA", "NuminaMATH"), counts, strict=True)
            for _ in range(count)
        ]
        for rank, source in enumerate(sources):
            samples.append(sample(f"{name}{rank:03d}", domain=name, source=source))
            lengths[samples[-1].id] = len(sources) - rank
    return samples, lengths


def test_a_domain_weighs_its_aime_questions_and_half_as_much_gpqa_in_all():
    samples, _ = benchmark_pool(
        {"geometry": (30, 0, 5), "waves": (0, 3, 9), "cells": (10, 1, 0), "logic": (0, 0, 50)}
    )
    assert benchmark_weights(samples) == {"cells": 10 + 5.0, "geometry": 30, "waves": 15.0}


def test_the_official_version_draws_uniformly_to_70_percent_then_by_weight():
    samples, lengths = make({"algebra": 600, "geometry": 600, "logic": 600})
    chosen = select_official(
        samples, 1000, lengths=lengths, weights={"algebra": 3, "geometry": 1}, seed=4
    )
    assert chosen[:700] == select(samples, 700, lengths=lengths, seed=4)
    late = Counter(s.domain for s in chosen[700:])
    assert set(late) == {"algebra", "geometry"} and late["algebra"] / 300 == pytest.approx(
        0.75, abs=0.09
    )


@given(pools, st.integers(0, 5), st.data())
def test_the_official_version_draws_nothing_twice_in_whatever_order_it_comes(sizes, seed, data):
    samples, lengths = make(sizes)
    target = data.draw(st.integers(0, len(samples)))
    first = data.draw(st.lists(st.sampled_from(samples), max_size=target, unique=True))
    options = {
        "lengths": lengths,
        "weights": dict.fromkeys(sizes, 1.0),
        "seed": seed,
        "preselected": first,
    }
    chosen = select_official(samples, target, **options)
    assert len({s.id for s in chosen}) == target and chosen[: len(first)] == first
    assert select_official(samples[::-1], target, **options) == chosen


@given(pools, st.data())
def test_a_benchmark_weight_that_runs_dry_is_one_line_that_names_the_domains(sizes, data):
    samples, lengths = make({**sizes, "stars": 2})
    weighted = data.draw(st.sampled_from(["stars", "nowhere"]))
    with pytest.raises(
        SelectionError,
        match=rf"2 of \d+ .*ran dry \({weighted}\)" if weighted == "stars" else "0 of",
    ) as error:
        select_official(
            samples, len(samples), lengths=lengths, weights={weighted: 1.0}, uniform_until=0
        )
    assert "\n" not in str(error.value)


def test_preselection_is_what_the_teacher_solved_of_aime_gpqa_and_long_math():
    samples = [
        sample("aime", source="qq8933/AIME_1983_2024"),
        sample("gpqa", source="GPQA"),
        sample("wrong", source="GPQA"),
        sample("long", source="MATH"),
        sample("short", source="MATH"),
        sample("numina", source="NuminaMATH"),
        sample("omni", source="KbsdJames/Omni-MATH"),
    ]
    lengths = {s.id: 5600 if s.id == "short" else 5601 for s in samples}
    chosen = preselect(samples, {s.id for s in samples} - {"wrong"}, lengths=lengths)
    assert [s.id for s in chosen] == ["aime", "gpqa", "long"]


def test_the_profile_chooses_the_variant_and_an_unknown_one_is_named():
    samples, lengths = benchmark_pool(
        {"geometry": (6, 0, 40), "waves": (0, 4, 40), "logic": (0, 0, 40)}
    )
    right = preselect(samples, {"geometry000", "waves001"}, lengths=lengths)
    paper, official = (
        choose(variant, samples, 100, lengths=lengths, preselected=right)
        for variant in ("paper", "official")
    )
    assert paper == select(samples, 100, lengths=lengths, preselected=right)
    assert paper[:70] == official[:70] and paper != official
    assert "logic" not in {s.domain for s in official[70:]}
    with pytest.raises(SelectionError, match=r"unknown curation\.selection 'offical'"):
        choose("offical", samples, 10, lengths=lengths)
