"""Grading: what counts as the answer, what counts as right, and what hostile text may cost."""

import itertools
import json
import time
from pathlib import Path

import pytest

from s1lib.grading import Grade, grade, grade_many

MATH500 = Path(__file__).resolve().parents[2] / "shared" / "data" / "math500.jsonl"


@pytest.mark.parametrize(
    ("answer", "gold", "extracted", "correct"),
    [
        ("Answer: 7", "07", "7", True),
        ("Final Answer: 07", "7", "07", True),
        ("Answer: -7", "7", "-7", False),
        ("Answer: -0", "0", "-0", True),
        ("Answer: 1,234", "1234", "1,234", True),
        (r"Thus \boxed{12}. Answer: 13", "12", "12", True),
        (r"\boxed{ \dfrac{1}{2} }", r"\frac{1}{2}", r"\dfrac{1}{2}", True),
        ("Answer: 71\nAnswer: 72", "72", "72", True),
        ("71", "71", None, False),
        ("", "71", None, False),
        ("Answer:", "71", None, False),
        (r"\boxed{71", "71", None, False),
        ("Answer: " + "9" * 10_000, "9" * 9_999, "9" * 10_000, False),
    ],
)
def test_integers_and_identical_strings_are_decided_without_parsing(answer, gold, extracted, correct):
    start = time.perf_counter()
    assert grade(answer, gold) == Grade(extracted, correct)
    assert time.perf_counter() - start < 0.5  # no worker was started: that alone takes longer


@pytest.mark.parametrize(
    "answer",
    ["Answer: B", "Answer: (B)", "Answer: B) 42", r"\boxed{\text{B}}", "Final Answer: **B**", "Answer: $B$"],
)
def test_a_choice_is_read_by_its_letter(answer):
    assert grade(answer, "B", "choice") == Grade("B", True)
    assert grade(answer, "A", "choice") == Grade("B", False)


@pytest.mark.parametrize("answer", ["", "Answer: 42", "Answer: Because", "B", "Answer: b"])
def test_no_letter_is_wrong_and_never_counts_as_a(answer):
    assert grade(answer, "A", "choice") == Grade(None, False)


def test_equal_values_written_differently_are_right_and_others_are_not():
    items = [
        (r"Answer: 1/2", r"\frac{1}{2}", True),
        (r"\boxed{\frac{2}{4}}", r"\frac{1}{2}", True),
        (r"Answer: The value is $\frac12$.", "0.5", True),
        (r"\boxed{5\text{ cm}}", "5", True),
        (r"Answer: x = 5", "5", True),
        (r"\boxed{3,6,9}", "9,6,3", True),
        (r"\boxed{\$18.90}", "18.90", True),
        (r"Answer: \frac12", "12", False),
        (r"\boxed{x+1}", "x-1", False),
        (r"\boxed{}", "0", False),
        (r"\boxed{\undefined{{}", "0", False),
    ]
    grades = grade_many([(answer, gold, "math") for answer, gold, _ in items], processes=1)
    assert [g.correct for g in grades] == [correct for _, _, correct in items]


def test_a_hostile_expression_costs_its_time_limit_and_spoils_no_neighbour():
    answers = {r"\boxed{9^{9^{9^9}}}": False, r"\boxed{\frac{6}{2}}": True, "Answer: 10!!!!!!!!!": False, "Answer: 3": True}
    start = time.perf_counter()
    grades = grade_many([(answer, "3", "math") for answer in answers], processes=2, seconds=2.0)
    assert [g.correct for g in grades] == list(answers.values())
    assert time.perf_counter() - start < 30


@pytest.mark.skipif(not MATH500.exists(), reason="shared/data/math500.jsonl is not here")
def test_every_gold_answer_of_math500_equals_itself_and_not_its_neighbour():
    golds = [json.loads(line)["answer"] for line in MATH500.open(encoding="utf-8")]
    same = grade_many([(rf"\boxed{{{gold}}}", gold, "math") for gold in golds])
    assert [g.extracted for g in same] == golds
    assert all(g.correct for g in same)
    whole = [gold for gold in golds[:60] if gold.isdigit()]
    reworded = grade_many([(rf"Answer: $ {gold} $", rf"{gold}\cdot 1", "math") for gold in whole], processes=2)
    assert all(g.correct for g in reworded)
    pairs = [(a, b) for a, b in itertools.pairwise(golds[:40]) if a != b and "=" not in a + b]
    other = grade_many([(rf"\boxed{{{a}}}", b, "math") for a, b in pairs], processes=2)
    assert not any(g.correct for g in other)
