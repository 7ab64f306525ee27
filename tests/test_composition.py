"""Notebook 01's tables and figures: the funnel, the domains, what the sets are made of."""

from __future__ import annotations

import math
import random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import sample

from s1lib.curation.composition import (
    beside,
    composition,
    domain_bars,
    domains,
    funnel,
    length_histogram,
    sources,
    trace_lengths,
)
from s1lib.curation.decontaminate import decontaminate, dropped_by_n
from s1lib.curation.difficulty import accuracy
from s1lib.curation.quality import filter_quality
from s1lib.curation.selection import select
from s1lib.drawing.bubbles import bubbles, pack
from s1lib.drawing.plots import panels
from s1lib.published.paper_numbers import load


def test_the_funnel_stands_beside_the_papers_where_the_paper_gives_a_number():
    published = pd.DataFrame(
        {"stage": ["collected", "quality", "selected"], "paper": [59_029, 54_116, 1_000]}
    )
    table = funnel(
        {"collected": 400, "decontaminated": 360, "quality": 342, "selected": 100}, published
    )
    assert table["this run, % kept"].tolist()[1:] == pytest.approx([90.0, 95.0, 100 * 100 / 342])
    assert table["paper"].isna().tolist() == [False, True, False, False]
    assert table["paper, % kept"].tolist()[2:] == pytest.approx(
        [100 * 54_116 / 59_029, 100 * 1_000 / 54_116]
    )


def test_what_is_preselected_is_no_stage_of_its_own_in_the_shares_kept():
    published = pd.DataFrame(
        {"stage": ["difficulty", "preselected", "selected"], "paper": [24_496, 384, 1_000]}
    )
    table = funnel({"difficulty": 200, "preselected": 0, "selected": 50}, published)
    assert (
        table["this run, % kept"].isna().tolist() == [True, True, False]
        and table["this run, % kept"][2] == 25
    )
    assert table["paper, % kept"][2] == pytest.approx(100 * 1_000 / 24_496)


def test_the_official_notebooks_numbers_stand_beside_the_papers():
    published = pd.DataFrame(
        {
            "stage": ["collected", "difficulty"],
            "paper": [59_029, 24_496],
            "official": [None, 24_517],
        }
    )
    table = funnel({"collected": 400, "difficulty": 90}, published)
    assert table["official notebook"].tolist() == [None, 24_517] and table["paper"].tolist() == [
        59_029,
        24_496,
    ]


def test_the_papers_tables_stand_beside_ours_where_names_agree_and_nowhere_else():
    paper = pd.DataFrame(
        {"domain": ["Geometry", "Biology"], "questions": [109, 41], "source": ["Table 6"] * 2}
    )
    ours = pd.DataFrame({"domain": ["Biology", "Other"], "selected": [3, 4]})
    table = beside(ours, paper, on="domain")
    assert table.columns.tolist() == ["domain", "selected", "paper: questions"]
    assert table["paper: questions"][0] == 41 and table["paper: questions"].isna().tolist() == [
        False,
        True,
    ]
    assert beside(ours.replace("Biology", "coins"), paper, on="domain").columns.tolist() == [
        "domain",
        "selected",
    ]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60))
def test_bubbles_touch_but_never_overlap_and_their_area_is_the_count(counts):
    circles = pack(counts)
    assert [r for _, _, r in circles] == pytest.approx([count**0.5 for count in counts])
    for i, (x, y, r) in enumerate(circles):
        gaps = [math.hypot(x - a, y - b) - r - s for j, (a, b, s) in enumerate(circles) if j != i]
        assert all(gap > -1e-6 for gap in gaps)
        assert not gaps or min(gaps) < 1e-6


def test_the_bubble_chart_shows_every_domain_that_was_selected():
    table = pd.DataFrame({"domain": ["Geometry", "Biology", "None"], "selected": [9, 4, 0]})
    _, axes = panels(1)
    bubbles(table, axes[0])
    assert len(axes[0].patches) == 2 and "Geometry\n9" in {
        text.get_text() for text in axes[0].texts
    }


def test_tables_of_domains_sources_and_sets_add_up():
    samples = [sample(f"a{i}", domain="algebra") for i in range(10)]
    samples += [sample(f"g{i}", domain="geometry") for i in range(30)]
    lengths = {s.id: 10 + number for number, s in enumerate(samples)}
    chosen = select(samples, 10, lengths=lengths, seed=2)
    table = domains(samples, chosen, lengths=lengths)
    assert table["pool"].sum() == 40 and table["selected"].sum() == 10
    assert table["selected, %"].sum() == pytest.approx(100)
    assert table["selected, 1K tokens"].sum() * 1000 == pytest.approx(
        sum(lengths[s.id] for s in chosen)
    )
    table = sources(samples, chosen, lengths=lengths)
    assert table[["pool", "selected"]].values.tolist() == [[40, 10]]
    assert table["average trace tokens"][0] == pytest.approx(sum(lengths.values()) / 40)
    sets = {"s1": chosen, "full": random.Random(0).sample(samples, 40)}
    overlap = composition(sets, lengths=lengths)
    assert overlap["also in s1, %"].tolist() == [100.0, 25.0] and overlap["domains"].tolist() == [
        2,
        2,
    ]
    assert len(trace_lengths(sets, lengths=lengths)) == 50


@pytest.mark.parametrize("questions", [0, 1, 5])
@pytest.mark.parametrize("selected", [0, 1])
def test_an_empty_pool_selection_or_set_is_shown_as_empty(questions, selected):
    pool = [sample(f"q{number}") for number in range(questions)]
    chosen, lengths = pool[:selected], {s.id: 10 for s in pool}
    assert len(domains(pool, chosen, lengths=lengths)) == min(questions, 1)
    assert len(sources(pool, chosen, lengths=lengths)) == min(questions, 1)
    sets = composition({"s1": chosen, "full": pool}, lengths=lengths)
    assert sets["questions"].tolist() == [len(chosen), questions]
    assert sets["largest domain"].tolist() == [
        "number (100 %)" if s else "" for s in (chosen, pool)
    ]
    counts = {"collected": questions, "difficulty": 0, "selected": len(chosen)}
    assert len(funnel(counts, load("funnel"))) == 3
    assert (
        beside(domains(pool, [], lengths=lengths), load("table6"), on="domain")["selected"].sum()
        == 0
    )


@pytest.mark.parametrize("questions", [0, 1])
def test_figures_of_an_empty_pool_are_drawn_without_a_mark(questions):
    pool = [sample(f"q{number}") for number in range(questions)]
    lengths = {s.id: 10 for s in pool}
    fig, axes = panels(3)
    domain_bars(domains(pool, [], lengths=lengths), axes[0])
    length_histogram(trace_lengths({"pool": pool, "s1": []}, lengths=lengths), axes[1], name="s1")
    length_histogram(trace_lengths({}, lengths={}), axes[2], name="s1")
    fig.canvas.draw()


def test_attempts_and_rejects_of_nothing_are_empty_tables():
    assert accuracy([], {"small": []})["small"].tolist() == []
    assert accuracy([], {}).empty
    assert filter_quality([]).by_source()["all"].tolist() == [0]
    found = decontaminate([], {})
    assert found.kept == [] and found.audit.empty and found.duplicates.empty
    assert decontaminate([sample("a")], {}, across_sources=True).audit.empty
    assert dropped_by_n({}, {}, [8])["questions dropped"].tolist() == [0]
