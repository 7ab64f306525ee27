"""Faults of a trace (paper, section 2.2): loops and cut ones, told from data and whole ones."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sample

from s1lib.curation.quality import RULES, broken_rule
from s1lib.keeping.files import read_jsonl
from s1lib.profile import ROOT

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
        ("So x lies in [1, 2].", r"$x \in [1,2]$", True),
        ("So the area is 4π.", r"4\pi", True),
        (r"So the area is $4\pi$.", "4π", True),
        ("So it is 5.", r"5 \text{ cm}", True),
        ("So it is 3 and 5.", "3, 5", True),
        ("So it is 3 and 15.", "3, 5", False),
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
