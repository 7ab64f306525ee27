"""The quality filter (paper, section 2.2)."""

from __future__ import annotations

import dataclasses
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sample

from s1lib.curation.pool import Sample
from s1lib.curation.quality import RULES, QualityError, broken_rule, filter_quality
from s1lib.keeping.files import read_jsonl
from s1lib.profile import ROOT, Universe
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


def pool(broken_rate: float) -> list[Sample]:
    universe = Universe(pool_size=300, benchmark_size=20, max_steps=6, broken_rate=broken_rate)
    return [Sample(**row) for row in make_pool(universe, draw_benchmarks(universe))]


def test_sound_traces_of_the_toys_teacher_are_all_kept():
    assert filter_quality(pool(0.0)).rejects.empty


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


# ---- loops, cut traces, control tokens -----------------------------------------------------------

MATH500 = ROOT.parent / "shared" / "data" / "math500.jsonl"
PROOF = "Suppose that n is even; then n+1 is odd, and therefore the claim holds for every number."


def reason(trace: str, attempt: str = "42", **values: str) -> str | None:
    return broken_rule(sample("a", trace=trace, attempt=attempt, **values))


@pytest.mark.parametrize(
    "loop",
    [
        "Let me check.\n" * 4,
        "Let me check.\nSo it is 460.\n" * 200,
        "First a.\nThen b.\nThen c, and I start again.\n" * 8,
        "Wait, " * 3000,
        "I should check that the sum of the digits is divisible by nine. " * 2000,
        "我再检查一下。所以是460。" * 100,
        "WaitWait" * 200,
        "A paragraph that is said again and again. " * 30 + "\n\n",
        ("Zeros: " + "0 " * 300 + "and once more from the start.\n") * 5,
        "0 " * 8000,
    ],
    ids=range(10),
)
def test_a_loop_is_found_within_a_line_over_lines_and_amid_sound_text(loop):
    before, after = "We count the coins one by one.\n", "\nSo there are 42"
    assert reason(loop + after) == reason(before + loop + after) == "looping trace"


@pytest.mark.parametrize(
    "repeated",
    [
        "0 0 0 0\n" * 4,
        "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" * 20,
        "\\begin{pmatrix}\n" + "a & 0 & 0 \\\\\n" * 6 + "\\end{pmatrix}\n",
        "| draw | white |\n|---|---|\n" + "| yes | no |\n" * 12,
        "yes  no  yes\n" * 5,
        "- a red ball\n" * 9,
        "heads, " * 12,
        "end\n" * 5,
        r"\frac{1}{2} \cdot " * 30,
        "1/3 = 0." + "3" * 400 + "\n",
    ],
    ids=range(10),
)
def test_a_matrix_a_table_and_a_list_may_repeat_themselves(repeated):
    assert reason(repeated + "\nSo there are 42") is None


@given(st.integers(2, 60), st.integers(0, 400), st.integers(4, 40))
def test_any_statement_repeated_over_300_characters_is_a_loop(words, shift, rounds):
    before = " ".join(f"w{number}" for number in range(shift))
    passage = " ".join(f"word{number}" for number in range(words)) + "; "
    expected = "looping trace" if len(passage) * rounds >= 300 else None
    assert reason(f"{before}. {passage * rounds}\nSo 42") == expected


@pytest.mark.parametrize(
    ("trace", "attempt", "whole"),
    [
        ("So the answer is 1/2.", r"\boxed{\frac{1}{2}}", True),
        ("So the answer is 7.", r"The final answer is $\boxed{7}$.", True),
        ("So we have \\boxed{\\text{Tuesday}}.", "Tuesday", True),
        ("Hence the area is pi.", r"\pi", True),
        ("**Answer: 0.5**", r"\frac{1}{2}", True),
        ("So the number is 58,500.", "x = 58500", True),
        ("so it must be (B).", "B", True),
        ("because of a proton", "B", False),
        ("We get 17 + 3", "7", False),
        ("We get 1.7 coins", "7", False),
        ("so it costs $15", "$15", True),
        ("so with $5 each it costs $ x $.", "x", True),
        ("so $\\left(1 +\n2\\right)$ and the $\\boxed{42}$ values differ.", "42", True),
        ("Thus it lies in [0, 1)", "[0, 1)", True),
        ("So we get \\frac{1}{", r"\frac{1}{2}", False),
        ("Let me see whether 42 is 6 *\n42 =", "42", False),
        ("Let me compute\n\\[ x = 42", "42", False),
        ("Hence \\[ x = 42. \\]", "42", True),
        ("\\begin{align} x &= 3 \\\\[2pt] y &= 42\n\\end{align}\nso 42", "42", True),
        ("Therefore it is odd. So n is even, therefo", PROOF, False),
        ("So n is odd, because of the", PROOF, False),
        ("so $x^2 + 3x", PROOF, False),
        ("Thus the claim holds for that number", PROOF, True),
        ("Thus the claim holds.", PROOF, True),
        ("Verify: it is 42. Let me veri", "42", False),
    ],
)
def test_a_cut_trace_is_told_from_a_whole_one(trace, attempt, whole):
    assert reason("We begin.\n" + trace, attempt) == (None if whole else "cut-off trace")


@settings(max_examples=60)
@given(st.integers(0, 999), st.sampled_from(["{}", r"\boxed{{{}}}", "${}$", "Answer: {}", "{}."]))
def test_a_short_attempt_is_whole_in_any_wrapping_and_cut_before_its_answer(value, wrapping):
    attempt, steps = wrapping.format(value), "We begin.\nWe add what there is to add.\nWe end."
    assert reason(f"{steps}\nSo the value is {value}.", attempt) is None
    assert reason(f"{steps}\nSo the value is {value}1.", attempt) == "cut-off trace"
    assert reason(steps, attempt) == "cut-off trace"


@pytest.mark.skipif(not MATH500.exists(), reason="needs MATH-500 in ../shared/data")
def test_solutions_of_math500_are_whole_and_most_cut_ones_are_found():
    rows = [row for row in read_jsonl(MATH500) if "[asy]" not in row["solution"]]
    rng, cut = random.Random(0), {"answer": 0, "solution": 0}
    for row in rows:
        solution = row["solution"]
        part = solution[: rng.randrange(len(solution) // 4, 3 * len(solution) // 4)]
        for attempt in cut:
            assert reason(solution, row[attempt]) is None, solution
            cut[attempt] += reason(part, row[attempt]) == "cut-off trace"
    print(
        {attempt: f"{found / len(rows):.0%} of cut traces found" for attempt, found in cut.items()}
    )
    assert cut["answer"] > 0.85 * len(rows) and cut["solution"] > 0.7 * len(rows)


@pytest.mark.parametrize("token", ["<|im_start|>", "<|im_end|>", "<|endoftext|>"])
@pytest.mark.parametrize("column", ["question", "trace", "attempt"])
def test_a_sample_that_spells_a_control_token_is_dropped_for_that(token, column):
    spelled = sample("a", **{column: f"What does {token} do? 73"})
    assert broken_rule(spelled) == "control token"
    assert broken_rule(spelled, rules="official") is None


@settings(max_examples=200)
@given(st.text(max_size=300), st.text(max_size=40))
def test_the_rules_read_any_text(trace, attempt):
    assert reason(trace, attempt) in {None, *RULES["s1lib"]}


def test_a_hostile_trace_is_read_in_time():
    start = time.perf_counter()
    for text in ("ab" * 500_000, "0 " * 400_000, "{" * 500_000, "\\(" * 400_000, " " * 10**6):
        reason("x" + text + "y 42")
        reason(text, PROOF)
    assert time.perf_counter() - start < 5
