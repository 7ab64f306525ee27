"""The quality filter (paper, section 2.2)."""

from __future__ import annotations

import dataclasses

import pytest
from samples import sample

from s1lib.curation.pool import Sample
from s1lib.curation.quality import QualityError, broken_rule, filter_quality
from s1lib.profile import Universe
from s1lib.toy.universe import draw_benchmarks, make_pool


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, None),
        ({"error": "503: overloaded", "trace": "", "attempt": ""}, "API error"),
        ({"trace": " \n"}, "empty trace"),
        ({"question": "Find x. [asy] draw((0,0)--(1,1)); [/asy]"}, "drawing code"),
        (
            {
                "question": "Find x. [asy] draw((0,0)--(1,1)); [/asy]",
                "source": "qq8933/AIME_1983_2024",
            },
            None,
        ),
        ({"question": "In ![Image](a.png) find x."}, "missing image"),
        ({"question": "p1. How many? p2. How much?"}, "numbered parts"),
        ({"question": "Step1. Add.", "trace": "result 73"}, None),
        ({"question": "**7.** Find x."}, "bold number"),
        ({"question": "**Find** 7 of **them**."}, None),
        ({"trace": "a: 34+\ufffd=73\nresult 73"}, "unreadable trace"),
        ({"trace": "a: 34\x00\nresult 73"}, "unreadable trace"),
        ({"trace": "Größe: ∑ 中\tresult 73"}, None),
        ({"trace": "a\n" + "b: 1+1=02\n" * 4 + "result 73"}, "looping trace"),
        ({"trace": "a\n" + "b: 1+1=02\n" * 3 + "result 73"}, None),
        ({"attempt": ""}, "cut-off trace"),
        ({"attempt": "Answer: "}, "cut-off trace"),
        ({"trace": "a: 34+39=", "attempt": "73"}, "cut-off trace"),
        ({"trace": "so 73\nx\ny\nz", "attempt": "73"}, "cut-off trace"),
        ({"trace": "so it is 1,234 coins", "attempt": "Answer: 1234"}, None),
        (
            {
                "trace": "thus the claim holds",
                "attempt": "Suppose that n is even; then n+1 is odd.",
            },
            None,
        ),
    ],
)
def test_a_sample_is_kept_or_dropped_for_the_first_rule_it_breaks(values, reason):
    assert broken_rule(sample("a", **values)) == reason


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("Step1. Add.", "numbered parts"),  # any "p" before a number from 1 to 999 and a full stop
        ("p0. Add.", None),
        ("p1000. Add.", None),
        ("**Find** 7 of them.", "bold number"),  # a digit anywhere later in the line
        ("**Find**\n7 of them.", None),
        ("**two words 7**", None),  # no space within the bold text
        ("**7.** Find x.", "bold number"),
        ("[asy] draw; [/asy]", "drawing code"),
        ("![Image](a.png)", "missing image"),
        ("Find x.", None),
    ],
)
def test_the_official_rules_are_those_of_the_official_scripts_letter_by_letter(question, reason):
    assert (
        broken_rule(sample("a", question=question, trace="cut off", attempt="73"), rules="official")
        == reason
    )


def test_unknown_rules_name_those_there_are():
    with pytest.raises(
        QualityError, match=r"unknown curation\.quality 'offical': use 's1lib' or 'official'"
    ):
        filter_quality([sample("a")], rules="offical")


def test_reasons_are_counted_per_source_and_add_up_to_what_was_dropped():
    samples = [
        sample("a"),
        sample("b", source="market", trace=""),
        sample("c", source="market", trace=""),
        sample("d", error="503", trace=""),
        sample("e", source="market"),
    ]
    filtered = filter_quality(samples)
    assert [s.id for s in filtered.kept] == ["a", "e"]
    table = filtered.by_source()
    assert table["reason"].tolist() == ["API error", "empty trace", "all"]
    assert table["market"].tolist() == [0, 2, 2] and table["all"].tolist() == [1, 2, 3]
    assert filtered.rejects["id"].tolist() == ["b", "c", "d"]


def test_a_pool_without_rejects_has_an_empty_table():
    assert filter_quality([sample("a")]).by_source()["all"].tolist() == [0]


def pool(broken_rate: float, hidden_rate: float = 0.0) -> list[Sample]:
    rates = {"broken_rate": broken_rate, "hidden_rate": hidden_rate}
    universe = Universe(pool_size=300, benchmark_size=20, max_steps=6, **rates)
    return [Sample(**row) for row in make_pool(universe, draw_benchmarks(universe))]


def test_sound_traces_of_the_toys_teacher_are_all_kept():
    assert filter_quality(pool(0.0)).rejects.empty


def test_no_rule_finds_the_hidden_faults_although_most_end_in_a_wrong_answer():
    samples = pool(0.0, hidden_rate=1.0)
    assert filter_quality(samples).rejects.empty
    assert sum(sample.attempt != sample.answer for sample in samples) > 0.8 * len(samples)


def test_every_fault_of_the_toys_teacher_is_found():
    faults = {
        "API error",
        "empty trace",
        "cut-off trace",
        "looping trace",
        "unreadable trace",
        "missing image",
        "bold number",
    }
    filtered = filter_quality(pool(1.0))
    assert set(filtered.rejects["reason"]) == faults
    # A fault that found nothing to spoil (a digit that does not occur) leaves its sample sound.
    assert not any(
        "\ufffd" in s.trace or "![Image]" in s.question or "**" in s.question or s.error
        for s in filtered.kept
    )
    assert len(filtered.kept) < 0.1 * 300


def test_filtering_is_idempotent():
    kept = filter_quality(pool(0.5)).kept
    assert filter_quality([dataclasses.replace(s) for s in kept]).kept == kept


@pytest.mark.parametrize("token", ["<|im_start|>", "<|im_end|>", "<|endoftext|>"])
@pytest.mark.parametrize("column", ["question", "trace", "attempt"])
def test_a_sample_that_spells_a_control_token_is_dropped_for_that(token, column):
    spelled = sample("a", **{column: f"What does {token} do? 73"})
    assert broken_rule(spelled) == "control token"
    assert broken_rule(spelled, rules="official") is None
