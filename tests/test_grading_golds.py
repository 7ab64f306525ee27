"""The golds of MATH-500 and AIME: right in every wrapping, wrong with any change."""

import json
import re
from pathlib import Path

import pytest

from s1lib.grading import grade_many

DATA = next(
    (
        p / "shared" / "data"
        for p in Path(__file__).resolve().parents
        if (p / "shared" / "data").exists()
    ),
    Path("absent"),
)

WRAPPINGS = [
    r"\boxed{%s}",
    r"\fbox{%s}",
    r"\boxed{%s} is what \boxed{} asks for",
    "Answer: %s",
    "answer: **%s**",
    "**Answer:** %s",
    "**Final Answer:**\n\n%s",
    "**Answer**\n$$\n%s\n$$",
    "Answer:\n\\[ %s \\]",
    "Final answer is $%s$",
    "The answer is: %s.",
    "The answer is $%s$, because it follows.",
    "#### %s",
    "<answer>%s</answer>",
    "### Final Answer\n> %s\n\nDone.",
]


def answers_in(name):
    path = DATA / name
    return (
        [str(json.loads(line)["answer"]) for line in path.open(encoding="utf-8")]
        if path.exists()
        else []
    )


GOLDS = [
    answer
    for name in ("math500.jsonl", "aime24.jsonl", "aime25.jsonl")
    for answer in answers_in(name)
]
needs_golds = pytest.mark.skipif(not GOLDS, reason="shared/data is not here")


@needs_golds
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_gold_answer_is_right_in_every_wrapping(wrapping):
    grades = grade_many([(wrapping.replace("%s", gold), gold, "math") for gold in GOLDS])
    assert [gold for gold, graded in zip(GOLDS, grades, strict=True) if not graded.correct] == []


@needs_golds
def test_every_published_solution_of_math500_gives_its_answer():
    rows = [json.loads(line) for line in (DATA / "math500.jsonl").open(encoding="utf-8")]
    grades = grade_many([(row["solution"], row["answer"], "math") for row in rows])
    assert [g for g in grades if not g.correct] == []


def last_digit_changed(gold):
    digit = re.search(r"\d(?=\D*$)", gold)
    return digit and gold[: digit.start()] + str((int(digit[0]) + 1) % 10) + gold[digit.end() :]


PERTURBED = {
    "another last digit": last_digit_changed,
    "without its minus": lambda gold: gold.startswith("-") and gold[1:],
    "one member more": lambda gold: gold + ", 17",
    "a little more": lambda gold: re.fullmatch(r"-?\d+", gold) and gold + ".0000001",
    "one tiny term more": lambda gold: (
        re.fullmatch(r"[-\\{}a-z\s\d]+[}\d]", gold) and gold + "+10^{-30}"
    ),
    "another sign inside": lambda gold: "+" in gold and gold.replace("+", "-", 1),
    "another root": lambda gold: "\\sqrt{" in gold and gold.replace("\\sqrt{", "\\sqrt[3]{", 1),
}


@needs_golds
@pytest.mark.parametrize("how", PERTURBED)
def test_no_perturbed_gold_answer_is_right(how):
    pairs = [(PERTURBED[how](gold), gold) for gold in GOLDS]
    pairs = [(found, gold) for found, gold in pairs if found]
    grades = grade_many([(rf"\boxed{{{found}}}", gold, "math") for found, gold in pairs])
    assert (
        pairs and [pair for pair, graded in zip(pairs, grades, strict=True) if graded.correct] == []
    )
