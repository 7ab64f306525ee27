"""Reading the answer: labels, boxes and letters as people write them, and which rule read them."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s1lib.grading import Grade, extract_answer, grade, official_answer, read_answer

# One case a line: text | answer | rule. A line break inside the text is written ⏎.
MATHEMATICS = r"""
**Final Answer:**⏎⏎42|42|label above
**Answer:** 42|42|label
**Answer**: 42|42|label
*Answer:* 42.|42|label
ANSWER: `42`|42|label
Ans: 42|42|label
Final answer is 42|42|label
The answer is: **42**.|42|label
The final answer is therefore 42.|42|label
The answer to the question is 42.|42|label
Answer (in cm): 42|42|label
### Final Answer⏎> 42|42|label above
**Answer:**⏎$$⏎42⏎$$|42|label above
Answer:⏎\[⏎x = 42⏎\]|x = 42|label above
Answer: it is as follows:⏎42|42|label above
Answer:⏎\begin{pmatrix}⏎1 \\⏎2⏎\end{pmatrix}|\begin{pmatrix}⏎1 \\⏎2⏎\end{pmatrix}|label above
#### 42|42|####
#### x = 5|x = 5|####
<answer>42</answer>|42|<answer>
Answer: 42, because 6 times 7 is 42|42|label
Answer: 42. Therefore we are done.|42|label
Answer: 42 (forty-two)|42|label
Answer: approximately 42<|im_end|>|42|label
Answer: The value is $\frac12$.|$\frac12$|label
The answers are $3$ and $5$.|$3$ and $5$|label
Answer: There are 12 ways.|12 ways|label
The answer is east.|east|label
Answer: 41⏎Answer: 42|42|label
Answer: 42⏎Answer:|42|label
The final answer is $42$. I hope it is correct.|$42$|label
Answer: 42. A quick check confirms it.|42|label
**Final Answer** 42|42|label
**Step 5: Final answer**⏎⏎42|42|label above
The answer seems to be 42.|42|label
Ans. 42|42|label
Answer: **73** ✔|73|label
Answer: $73$ ∎|$73$|label
Answer: $73$. $\blacksquare$|$73$|label
答案：42。|42|label
【答案】$42$|$42$|label
正确答案是 ４２。|42|label
Answer：42。|42|label
\[Answer: 009\]|009|label
The answer is clear from the figure above.|-|nothing
The answer is not 42.|-|nothing
#### Step 3|-|nothing
#### 3. Compute the sum|-|nothing
42|-|nothing
\boxed{42}|42|box
\fbox{42}|42|box
\boxed{3}, \boxed{5}|3, 5|boxes
$\boxed{3}$, $\boxed{5}$ and $\boxed{7}$.|3, 5, 7|boxes
x = \boxed{3} or x = \boxed{5}|3, 5|boxes
\boxed{42}, \boxed{42}|42|box
\boxed{2\frac12} or \boxed{\frac52}|2\frac12|box
\boxed{42}. So the answer is \boxed{42}.|42|box
\boxed{41}. That is wrong, it is \boxed{42}.|42|box
\boxed{41}⏎⏎\boxed{42}|42|box
\boxed{41}. Wait, that is wrong. The correct answer is 42.|42|corrected box
\boxed{42}. Answer: 41|42|box
\boxed{42}. In short: \boxed{4|42|box
Answer: 42. So \boxed{4|42|label
I put my answer in \boxed{}. Answer: 42|42|label
I put it within \boxed{your answer}. The answer is 42.|42|label
\boxed{42}, within \boxed{} as asked|42|box
\boxed{\text{Answer: } 42}|42|box
\boxed{**42**}|42|box
\boxed{\boxed{42}}|42|box
\boxed{42|-|nothing
"""
LETTERS = r"""
So \boxed{\Delta E}.⏎**Answer: D**|D|label
Answer: The correct answer is (B).|B|label
Answer: Option B|B|label
\boxed{\text{Option B}}|B|box
ANSWER: $B$|B|label
The answer is B.|B|label
Answer: `B`|B|label
**Answer:**⏎B|B|label above
\boxed{E: A polygenic risk score}|E|box
\boxed{\textbf{(D)}}|D|box
Answer: C. The mitochondria|C|label
Answer: C - by elimination|C|label
The correct option is (C).|C|label
I choose option B.|B|label
I would go with (B)|B|label
Answer: I would pick B|B|label
Answer: It must be B.|B|label
Answer: A is correct|A|label
Answer: B because A fails|B|label
The answer is B. Note that A is a common distractor.|B|label
The answer is C because I computed the integral.|C|label
The answer is (B), not (C).|B|label
The answer cannot be A. The answer is B|B|label
Answer: A⏎Wait, actually Answer: B|B|label
I first had \boxed{B}. The answer is C.|C|label
The answer is B, so \boxed{C}|C|box
Answer: A⏎⏎The answer is not B.|A|label
<answer>B</answer>|B|<answer>
Answer: I|I|label
Answer: B<unk> 42|B|label
Answer: 'B'|B|label
Answer: I think B|B|label
Answer: The nucleus (option B)|B|label
Ans. B|B|label
答案：（B）。|B|label
正确答案是Ｂ。|B|label
故选 B。|B|label
✅ **Answer:** B ✅|B|label
It is the nucleus.⏎⏎**B**|B|last line
Thus (B) is correct.|B|last line
Hence B is the right answer.|B|last line
This corresponds to option B.|B|last line
Answer: 42 m/s⏎⏎So option (B).|B|last line
Thus (B) is wrong.|-|nothing
It is option A or option B.|-|nothing
If (B) is correct, it moves.|-|nothing
B is correct.⏎⏎I hope this helps.|-|nothing
B|-|nothing
Answer: A proton|-|nothing
Answer: I would say a proton|-|nothing
The answer is a proton.|-|nothing
Answer: B-cells|-|nothing
Answer: X-ray|-|nothing
Answer: E = mc^2|-|nothing
Answer: Carbon|-|nothing
Answer: None of the above|-|nothing
Answer: A and a half|-|nothing
Answer: C or maybe D|-|nothing
The answer is D, as A, B and C are wrong.|D|label
Answer: B or C|-|two letters
Answer: (A) and (B)|-|two letters
Answer: Both A and B|-|two letters
Answer: B/C|-|two letters
Answer: (C)(D)|-|two letters
\boxed{A, C}|-|two letters
\boxed{B}, \boxed{C}|-|two letters
"""
HOSTILE = {
    "open boxes": r"\boxed{" * 20_000,
    "nested boxes": r"\boxed{" * 20_000 + "}" * 20_000,
    "far boxes": r"\boxed{1}" + " " * 20_000 + r"\boxed{2}",
    "labels": "the answer is " * 20_000,
    "label and spaces": "answer" + " " * 20_000,
    "label and stars": "Answer:" + " *_" * 20_000 + "x",
    "dollars": "Answer: " + "$" * 20_000,
    "brackets": "Answer: " + r"\(" * 20_000,
    "letters": "Answer: " + "A " * 20_000,
    "open matrix": "Answer: \\begin{x}" + "\n" * 20_000,
    "announced": "Answer: as:\n" * 20_000,
    "hashes": "####" * 20_000,
    "reasons": "Answer: " + ", ; " * 20_000 + "x",
    "steps": "step " + " " * 20_000 + "1. answer",
    "conclusion": "(*" * 20_000 + "B",
    "Chinese": "答案" + "]*" * 20_000,
}


def cases(table):
    return [tuple(row.replace("⏎", "\n").rsplit("|", 2)) for row in table.strip().splitlines()]


@pytest.mark.parametrize(("text", "answer", "rule"), cases(MATHEMATICS))
def test_an_answer_is_read_where_it_stands_and_its_rule_is_named(text, answer, rule):
    reading = read_answer(text)
    assert (reading.value or "-", reading.rule) == (answer, rule)
    assert extract_answer(text) == reading.value


@pytest.mark.parametrize(("text", "letter", "rule"), cases(LETTERS))
def test_a_letter_is_read_from_sentences_and_wrappers_but_never_from_words(text, letter, rule):
    reading = read_answer(text, "choice")
    assert (reading.value or "-", reading.rule) == (letter, rule)


def test_a_gold_letter_in_brackets_is_the_letter():
    assert grade("Answer: B", "(B)", "choice").correct
    assert not grade("Answer: C", "(B)", "choice").correct


def test_a_grade_names_the_rule_and_is_equal_without_it():
    graded = grade(r"\boxed{7}", "7")
    assert graded.rule == "box"
    assert graded == Grade("7", True)
    assert grade("I do not know", "7").rule == "nothing"


def test_the_official_extraction_stays_beside_ours():
    text = "**Answer:**\n42"
    assert (official_answer(text), extract_answer(text)) == ("**", "42")
    assert official_answer(r"\boxed{3}, \boxed{5}") == "5"
    assert official_answer("Final Answer: 12. So") == "12. So"
    assert official_answer(r"Answer: 5 and \boxed{4") == r"5 and \boxed{4"
    assert official_answer("42") is None


@pytest.mark.parametrize("kind", ["math", "choice"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_read_in_time_linear_in_its_length(text, kind):
    start = time.perf_counter()
    read_answer(text, kind)
    assert time.perf_counter() - start < 1.0


MARKS = st.sampled_from(
    [
        "**Answer:** ",
        "Answer: ",
        "answer is ",
        "\\boxed{",
        "}",
        "{",
        "$",
        "\n",
        "B",
        "(C)",
        " or ",
        "42",
        "#### ",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(MARKS, max_size=12).map("".join), st.sampled_from(["math", "choice"]))
def test_reading_never_fails_and_an_answer_is_never_blank(text, kind):
    reading = read_answer(text, kind)
    assert reading.value is None or reading.value.strip()
    assert (reading.value is None) == (reading.rule in ("nothing", "two letters"))


WRAPPED_LETTERS = [
    "Answer: {}",
    "**Answer:** ({})",
    "The answer is {}.",
    "\\boxed{{\\text{{{}}}}}",
    "Final Answer:\n\n{}",
    "Option {} fits. Answer: Option {}",
]


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from("ABCDEFGHIJ"),
    st.sampled_from(WRAPPED_LETTERS),
    st.sampled_from(["", "It is (A) or (B).\n", "I think a lot. "]),
)
def test_every_letter_is_read_in_every_wrapping_whatever_stands_before(letter, wrapping, before):
    assert read_answer(before + wrapping.format(letter, letter), "choice").value == letter
