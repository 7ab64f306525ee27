"""Grading: what counts as the answer, what counts as right, and what hostile text may cost."""

import json
import re
import time
from pathlib import Path

import psutil
import pytest

from s1lib.grading import Grade, grade, grade_many, official_choice, processes

MATH500 = Path(__file__).resolve().parents[2] / "shared" / "data" / "math500.jsonl"

WRAPPINGS = [
    r"\boxed{%s}",
    "Answer: %s",
    "Final Answer: $%s$.",
    r"Final Answer: The final answer is $\boxed{%s}$. I hope it is correct.",
    r"Answer: \(%s\)",
    "Answer: The answer is $%s$.",
    "Answer: **%s**",
]
FORMATS = r"""
5\text{ cm}|5|yes
5 \mbox{ square units}|5|yes
10%|10\%|yes
50 percent|50\%|yes
90 degrees|90^\circ|yes
(2, 5]|(2,5]|yes
(2, 5]|(2,5)|no
(-\infty, 2)\cup(3,\infty)|(3,\infty)\cup(-\infty,2)|yes
x \in [-2,7]|[-2,7]|yes
\{1,2\}|\{2,1\}|yes
1 and 2|1,2|yes
(1,2)|(2,1)|no
\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}|\begin{pmatrix}1&2\\3&4\end{pmatrix}|yes
\begin{pmatrix} 1 & 2 \\ 3 & 5 \end{pmatrix}|\begin{pmatrix}1&2\\3&4\end{pmatrix}|no
Evelyn|\text{Evelyn}|yes
Evelin|\text{Evelyn}|no
\text{June 20}|June 20|yes
C|\text{(C)}|yes
B|\text{(C)}|no
x = 58,500|58,500|yes
y=2x+4|y=2x+3|no
32,\!348|32348|yes
1\frac{1}{2}|\frac32|yes
0.333|\frac13|no
\binom{5}{2}|10|yes
"""


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
def test_integers_and_identical_strings_are_decided_without_parsing(
    answer, gold, extracted, correct
):
    start = time.perf_counter()
    assert grade(answer, gold) == Grade(extracted, correct)
    assert time.perf_counter() - start < 0.5  # no worker was started: that alone takes longer


@pytest.mark.parametrize(
    "answer",
    [
        "Answer: B",
        "Answer: (B)",
        "Answer: B) 42",
        r"\boxed{\text{B}}",
        "Final Answer: **B**",
        "Answer: $B$",
    ],
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


@pytest.mark.parametrize("wrapping", [r"\boxed{%s}", "Answer: %s"])
def test_formats_are_compared_by_what_they_mean(wrapping):
    rows = [row.rsplit("|", 2) for row in FORMATS.strip().splitlines()]
    grades = grade_many(
        [(wrapping.replace("%s", found), gold, "math") for found, gold, _ in rows], processes=1
    )
    for (found, gold, correct), graded in zip(rows, grades, strict=True):
        assert graded.correct == (correct == "yes"), f"{found} for {gold}"


def test_no_letter_counts_as_a_in_the_official_reading_alone():
    answers = ["Answer: B", "I do not know", "Answer: 42", "Answer: A"]
    ours = [grade(answer, "A", "choice") for answer in answers]
    assert [graded.correct for graded in ours] == [False, False, False, True]
    assert [official_choice(graded.extracted, "A") for graded in ours] == [False, True, True, True]
    assert [official_choice(graded.extracted, "B") for graded in ours] == [
        True,
        False,
        False,
        False,
    ]


def test_a_worker_whose_child_dies_while_nobody_asks_still_answers_in_step():
    asked = [(rf"\sqrt{{{n * n * 2}}}", rf"{n + n % 2}\sqrt2") for n in range(2, 8)]
    processes._known.clear()
    assert list(processes.verdicts(asked[:1], processes=1).values()) == [True]
    for worker in processes._idle:
        for child in psutil.Process(worker.process.pid).children():
            child.kill()
    time.sleep(0.2)
    assert list(processes.verdicts(asked[1:], processes=1).values()) == [False, True] * 2 + [False]


def test_workers_that_end_at_once_are_one_line_and_no_wrong_answers(monkeypatch):
    processes._close_idle()
    processes._known.clear()
    monkeypatch.setattr(processes.worker, "__name__", "no_such_module")
    with pytest.raises(processes.GradingError, match="end at once"):
        processes.verdicts([(r"\sqrt{8}", r"2\sqrt2")])


def test_a_worker_that_ran_out_of_time_is_there_again_at_once():
    grade(r"\boxed{\frac{6}{2}}", "3")  # one worker, warm
    start = time.perf_counter()
    assert not grade_many([(r"\boxed{9^{9^{9^9}}}", "3", "math")], seconds=0.3)[0].correct
    assert grade(r"\boxed{\frac{9}{3}}", "3").correct
    assert time.perf_counter() - start < 2.5  # a new worker would import sympy first


def test_a_hostile_expression_costs_its_time_limit_and_spoils_no_neighbour():
    answers = {
        r"\boxed{9^{9^{9^9}}}": False,
        r"\boxed{\frac{6}{2}}": True,
        "Answer: 10!!!!!!!!!": False,
        "Answer: 3": True,
    }
    start = time.perf_counter()
    grades = grade_many([(answer, "3", "math") for answer in answers], processes=2, seconds=2.0)
    assert [g.correct for g in grades] == list(answers.values())
    assert time.perf_counter() - start < 30


@pytest.fixture(scope="module")
def golds():
    if not MATH500.exists():
        pytest.skip("shared/data/math500.jsonl is not here")
    return [json.loads(line)["answer"] for line in MATH500.open(encoding="utf-8")]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_gold_answer_of_math500_is_right_in_each_wrapping(golds, wrapping):
    grades = grade_many([(wrapping.replace("%s", gold), gold, "math") for gold in golds])
    assert [gold for gold, graded in zip(golds, grades, strict=True) if not graded.correct] == []


def test_every_gold_answer_is_wrong_when_a_digit_or_a_letter_is_changed(golds):
    grades = grade_many([(rf"\boxed{{{perturbed(gold)}}}", gold, "math") for gold in golds])
    assert [gold for gold, graded in zip(golds, grades, strict=True) if graded.correct] == []


def perturbed(gold):
    """The first digit one higher (9: 0), or an x more where there is none."""
    digit = re.search(r"\d", gold)
    if digit:
        return gold[: digit.start()] + str((int(digit[0]) + 1) % 10) + gold[digit.end() :]
    return gold + "x" if not gold.endswith("}") else gold[:-1] + "x}"
