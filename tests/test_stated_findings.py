"""What the notebooks say of a run is said by the run: no text holds a number of one from memory.

`test_reduced_profiles.py` executes notebook 05 on two runs that say the opposite.
"""

import ast
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
COUNTED = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
MEASURED = re.compile(
    rf"\b(\d[\d,]*(?:\.\d+)?|{COUNTED})\s+(%|percent|points?|seconds?|minutes?)(?!\w)"
)
# Whose numbers a paragraph may hold: the paper names its tables, figures and test sets.
OF_THE_PAPER = re.compile(r"[Pp]aper|Tables? \d|Figures? \d|AIME|MATH-?500|GPQA|authors|official")
# A guess among four options, an interval, all. And of 30 problems, as AIME24 has, one.
OF_NO_RUN = {"25 %", "95 %", "100 %", "3.3 points"}


@pytest.fixture(params=NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def stated(text: str) -> list[str]:
    """Shares, points and durations in the paragraphs of a cell that are not about the paper.

    Left out: what is made up, in the quiz and in the tasks of exercises (though not what one should
    see there), the line of reading times, and "two points", which are points of a curve.
    """
    found, asked = [], False
    for paragraph in re.split(r"\n\s*\n", text.partition("## Quiz")[0]):
        asked = asked or re.match(r"##+ Exercise", paragraph) is not None
        invented = asked and not paragraph.startswith("**You should see**")
        if invented or paragraph.startswith("**Time**") or OF_THE_PAPER.search(paragraph):
            continue
        for number, unit in MEASURED.findall(paragraph):
            of_a_curve = unit.startswith("point") and number.isalpha()
            found += [] if of_a_curve else [f"{number} {unit}"]
    return found


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("A Wait gains 23.5 points here, in nine minutes.", ["23.5 points", "nine minutes"]),
        ("Half of them are cut:\n62 % of the traces.", ["62 %"]),
        ("The paper gains 3.3 points.\n\nHere it is 4 points.", ["4 points"]),
        ("Compare two points of a curve.\n\n**Time**: runs in 6 minutes.", []),
        ("## Quiz\n\nSomeone gains 12 points.", []),
        ("### Exercise 5.3: power (easy, 9 minutes)\n\nSay 10 % of them differ.", []),
        ("### Exercise 5.3\n\n**You should see** a gain of 8 points.", ["8 points"]),
    ],
)
def test_a_number_of_a_run_is_told_from_one_of_the_paper(text, numbers):
    assert stated(text) == numbers


def test_no_text_states_a_share_or_a_duration_of_a_run(notebook):
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert {number for text in texts for number in stated(text)} <= OF_NO_RUN


def test_a_printed_sentence_holds_something_that_was_computed(notebook):
    """A sentence of words alone is the same after any run. What is said of the paper may be."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        plain = re.sub(r"(?m)^[%!].*$", "", cell.source)
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        for node in ast.walk(compile(plain, "cell", "exec", flags)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "display"):
                words = [ast.unparse(word) for word in node.args if isinstance(word, ast.Constant)]
                if len(words) == len(node.args):
                    assert words and OF_THE_PAPER.search(words[0]), ast.unparse(node)
