"""Algorithm 1 and the ablation sets (paper, sections 2.2 and 5.1)."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from domain_pools import make, pools
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sample

from s1lib.chat import IM_END, ChatFormat
from s1lib.curation.ablation_sets import (
    ablations,
    diverse,
    longest,
    of_sizes,
    trainable,
    uniform,
    without_one,
)
from s1lib.curation.selection import SelectionError, select
from s1lib.toy.tokenizer import build_tokenizer


@given(pools, st.data())
def test_exactly_the_target_distinct_samples_are_selected(sizes, data):
    samples, lengths = make(sizes)
    target = data.draw(st.integers(0, len(samples)))
    for chosen in (
        select(samples, target, lengths=lengths, seed=1),
        diverse(samples, target, seed=1),
        uniform(samples, target, seed=1),
        longest(samples, target, lengths=lengths),
    ):
        assert len(chosen) == len({s.id for s in chosen}) == target
        assert set(chosen) <= set(samples)


@given(pools, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(sizes, seed, shuffler):
    samples, lengths = make(sizes)
    shuffled = shuffler.sample(samples, len(samples))
    target = len(samples) // 2
    assert select(shuffled, target, lengths=lengths, seed=seed) == select(
        samples, target, lengths=lengths, seed=seed
    )
    assert ablations(shuffled, target, lengths=lengths, seed=seed) == ablations(
        samples, target, lengths=lengths, seed=seed
    )


def test_the_same_seed_selects_the_same_and_another_seed_does_not():
    samples, lengths = make({"algebra": 50, "geometry": 50})
    first = select(samples, 20, lengths=lengths, seed=3)
    assert first == select(samples, 20, lengths=lengths, seed=3)
    assert first != select(samples, 20, lengths=lengths, seed=4)


def test_the_selection_of_a_seed_is_pinned():
    samples, lengths = make({"algebra": 4, "geometry": 4})
    assert [s.id for s in select(samples, 4, lengths=lengths, seed=0)] == [
        "geometry001",
        "geometry000",
        "geometry002",
        "geometry003",
    ]


def test_a_question_is_drawn_with_weight_two_to_the_minus_rank():
    samples, lengths = make({"algebra": 5})
    draws = 8000
    first = Counter(select(samples, 1, lengths=lengths, seed=seed)[0].id for seed in range(draws))
    total = sum(2.0**-rank for rank in range(5))
    for rank in range(5):
        share = 2.0**-rank / total
        assert first[f"algebra{rank:03d}"] / draws == pytest.approx(
            share, abs=4 * (share * (1 - share) / draws) ** 0.5
        )


def test_ranks_close_up_after_a_draw():
    samples, lengths = make({"algebra": 3})
    pairs = Counter(
        tuple(s.id[-1] for s in select(samples, 2, lengths=lengths, seed=seed))
        for seed in range(6000)
    )
    after_longest = pairs["0", "1"] / (pairs["0", "1"] + pairs["0", "2"])
    assert after_longest == pytest.approx(2 / 3, abs=0.03)


def test_domains_are_drawn_uniformly_whatever_their_size():
    samples, lengths = make({"algebra": 400, "geometry": 40, "logic": 40})
    for chosen in (select(samples, 90, lengths=lengths, seed=5), diverse(samples, 90, seed=5)):
        assert all(15 <= count <= 45 for count in Counter(s.domain for s in chosen).values())


def test_diverse_draws_a_domains_questions_uniformly():
    samples, _ = make({"algebra": 4})
    first = Counter(diverse(samples, 1, seed=seed)[0].id for seed in range(4000))
    assert all(count / 4000 == pytest.approx(0.25, abs=0.03) for count in first.values())


def test_an_exhausted_domain_gives_way_to_the_others():
    samples, lengths = make({"algebra": 2, "geometry": 60})
    chosen = Counter(s.domain for s in select(samples, 40, lengths=lengths, seed=0))
    assert chosen == {"algebra": 2, "geometry": 38}


def test_a_rank_beyond_the_resolution_of_a_double_is_no_error():
    samples, lengths = make({"algebra": 500})
    assert len(select(samples, 500, lengths=lengths, seed=0)) == 500


def test_too_small_a_pool_says_which_domains_ran_dry():
    samples, lengths = make({"algebra": 2, "geometry": 3})
    with pytest.raises(
        SelectionError, match=r"asked for 6 samples but only 5 .*algebra \(2\), geometry \(3\)"
    ):
        select(samples, 6, lengths=lengths)
    for draw in (uniform, diverse):
        with pytest.raises(SelectionError, match=r"lower curation\.target"):
            draw(samples, 6)
    with pytest.raises(SelectionError):
        longest(samples, 6, lengths=lengths)


def test_preselected_samples_count_towards_the_target_and_are_not_drawn_again():
    samples, lengths = make({"algebra": 6, "geometry": 6})
    before = [samples[7], samples[0]]
    chosen = select(samples, 12, lengths=lengths, seed=0, preselected=before)
    assert chosen[:2] == before
    assert {s.id for s in chosen} == {s.id for s in samples}
    with pytest.raises(SelectionError, match="12 samples are preselected but only 3"):
        select([], 3, lengths=lengths, preselected=samples)


def test_longest_takes_the_longest_traces_of_all_domains():
    samples, lengths = make({"algebra": 3, "geometry": 9})
    assert [lengths[s.id] for s in longest(samples, 7, lengths=lengths)] == [9, 8, 7, 6, 5, 4, 3]


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_full_is_everything_or_a_uniform_draw_of_its_size(seed):
    samples, lengths = make({"algebra": 20, "geometry": 5})
    everything = ablations(samples, 4, lengths=lengths, seed=seed)["full"]
    assert {s.id for s in everything} == {s.id for s in samples}
    some = ablations(samples, 4, lengths=lengths, full_size=10, seed=seed)["full"]
    assert len({s.id for s in some}) == 10
    assert len(ablations(samples, 4, lengths=lengths, full_size=99, seed=seed)["full"]) == 25


# ---- one criterion less, and other sizes ---------------------------------------------------------

WITHOUT = ("no_quality", "no_difficulty", "no_diversity")


def filtered(sizes, data):
    """A made-up pool as the filters split it: flawed, easy and hard, and all trace lengths."""
    samples, lengths = make(sizes)
    size = len(samples)
    kinds = data.draw(st.lists(st.sampled_from("feh"), min_size=size, max_size=size))
    parts = [[s for s, k in zip(samples, kinds, strict=True) if k == kind] for kind in "feh"]
    return *parts, lengths


@given(pools, st.data(), st.integers(0, 5))
def test_a_set_without_a_criterion_is_s1_where_its_filter_drops_nothing(sizes, data, seed):
    _, _, hard, lengths = filtered(sizes, data)
    draw = partial(select, lengths=lengths, seed=seed)
    target = len(hard) // 2
    found = without_one(WITHOUT, target, flawed=[], good=hard, hard=hard, draw=draw, seed=seed)
    assert found["no_quality"] == found["no_difficulty"] == draw(hard, target)


@given(pools, st.data(), st.integers(0, 5))
def test_each_set_without_a_criterion_is_drawn_from_what_the_two_others_leave(sizes, data, seed):
    flawed, easy, hard, lengths = filtered(sizes, data)
    draw = partial(select, lengths=lengths, seed=seed)
    pool = {"flawed": flawed, "good": [*hard, *easy], "hard": hard}
    found = without_one(WITHOUT, len(hard), **pool, draw=draw, seed=seed)
    assert [len(samples) for samples in found.values()] == [len(hard)] * 3
    assert set(found["no_quality"]) <= {*hard, *flawed}
    assert set(found["no_difficulty"]) <= {*hard, *easy}
    assert set(found["no_diversity"]) == {*hard}

    # What the criterion would have dropped can be drawn: with room for all, all of it is.
    everything = len(hard) + len(flawed)
    assert {*without_one(["no_quality"], everything, **pool, draw=draw)["no_quality"]} >= {*flawed}


def test_without_diversity_a_large_domain_and_short_traces_fill_the_set():
    samples, lengths = make({"algebra": 190, "geometry": 10})
    draw = partial(select, lengths=lengths)
    options = {"flawed": [], "good": samples, "hard": samples, "draw": draw}
    found = without_one(["no_diversity"], 100, **options)["no_diversity"]
    assert Counter(s.domain for s in found)["algebra"] > 85
    assert Counter(s.domain for s in draw(samples, 20))["algebra"] < 19
    assert sum(lengths[s.id] for s in found) < sum(lengths[s.id] for s in draw(samples, 100))


def test_only_the_sets_that_are_asked_for_are_drawn():
    samples, lengths = make({"algebra": 9})
    options = {"flawed": [], "good": samples, "hard": samples[:3]}
    draw = partial(select, lengths=lengths)
    assert not without_one(["s1", "random"], 5, **options, draw=draw)
    assert list(without_one(["no_difficulty", "s1"], 5, **options, draw=draw)) == ["no_difficulty"]
    with pytest.raises(SelectionError, match="asked for 5 samples but only 3"):
        without_one(["no_diversity"], 5, **options, draw=draw)


def test_a_flawed_trace_is_an_example_unless_it_is_missing_or_too_long():
    chat = ChatFormat(build_tokenizer())
    looping = sample("looping", trace="a: 34+39=73\n" * 5)
    cut = sample("cut", trace="a: 34+", attempt="")
    none = [
        sample("empty", trace=" \n"),
        sample("failed", error="503"),
        sample("spelled", trace=f"so 73{IM_END}"),
        sample("long", trace="a: 34+39=73\n" * 50),
    ]
    assert trainable([looping, *none, cut], chat, max_length=300) == [looping, cut]


@given(pools, st.data(), st.integers(0, 5))
def test_a_larger_s1_holds_the_smaller_one_and_no_size_exceeds_the_pool(sizes, data, seed):
    _, easy, hard, lengths = filtered(sizes, data)
    asked = {"s1_2": ("s1", 2), "random_2": ("random", 2), "s1_99": ("s1", 99)}
    draw = partial(select, lengths=lengths, seed=seed)
    found = of_sizes(asked, good=[*hard, *easy], hard=hard, draw=draw, seed=seed)
    assert found["s1_2"] == found["s1_99"][:2] and set(found["s1_99"]) == {*hard}
    assert found["random_2"] == uniform([*hard, *easy], len(found["random_2"]), seed=seed)
