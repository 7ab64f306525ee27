r"""Where the answer stands in what a model or a person wrote.

    read_answer("So **Answer:** 42.")             # Reading(value="42", rule="label")
    read_answer(r"\boxed{3}, \boxed{5}")          # Reading(value="3, 5", rule="boxes")
    read_answer("The answer is (B).", "choice")   # Reading(value="B", rule="label")

Every place that needs an answer reads it here: grading, votes, difficulty, the audit of the
teacher's attempts and published solutions. docs/answers.md lists the rules with an example each. No
pattern has unbounded parts that overlap, so a hostile text costs time in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from s1lib.grading.boxes import Place, boxes, last_box
from s1lib.grading.letters import TWO_LETTERS, concluded_letter, read_letter
from s1lib.grading.sentences import stated, tidied

_AFTER = r"[ \t*_]{0,9}(?:\([^()\n]{0,40}\)[ \t*_]{0,9})?(?:[:：]|=(?!=)|[-–—](?=\s))"
_VERB = (
    r"(?:[ \t]{1,9}(?:to|of|for|in)\b[^.:=\n]{0,80}?)?[ \t]{1,9}"
    r"(?:is|are|equals|(?:would|should|must|seems to|appears to) be)\b[ \t]{0,9}:?"
)
_LABEL = re.compile(
    rf"(?<![A-Za-z])(?:(?:answers?|ans\.?)(?:{_AFTER}|{_VERB})|ans\.(?=[ \t]))", re.IGNORECASE
)
_CHINESE = re.compile(r"答案(?:\]|[ \]*]{0,9}(?:应该?|就)?[:是为选])[ :]{0,9}|故选[ :]{0,9}")
_LABEL_IN_BOX = re.compile(
    rf"(?:\\text(?:bf)?\{{)?\s*(?:the )?(?:final )?{_LABEL.pattern}", re.IGNORECASE
)
# "### Final Answer", "**Step 5: Answer**", or "**Final Answer** 42" with the value behind it.
_HEADING = re.compile(
    r"^[ \t#>*_]*(?:(?:step[ \t]{1,9})?\d{1,3}[.:)][ \t]{1,9})?"
    r"(?:(?:the|final|correct)[ \t]{1,9}){0,2}answers?"
    r"(?:[ \t*_]{0,9}$|\*\*[ \t]{1,9}(?=[$\\\d(-]))",
    re.IGNORECASE | re.MULTILINE,
)
# "#### 42" or "#### x = 5", and not the headings "#### 3. Compute" and "#### Step 3".
_HASHES = re.compile(
    r"^[ \t]*####[ \t]*(?=[-+$\\(\[{.\d]|(?:[^A-Za-z\n\\]|[A-Za-z]{1,2}(?![A-Za-z])|\\[A-Za-z]+)+$)"
    r"(?!\d{1,9}[.)][ \t]{1,9}[A-Za-z])",
    re.MULTILINE,
)
_TAG = re.compile(r"<answer>", re.IGNORECASE)
_CHOSEN = re.compile(
    r"(?<![A-Za-z])(?:(?:option|choice)(?:[ \t]{1,9}is\b|[ \t]{0,9}:)"
    r"|(?:choose|pick|select|go with)\b)",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(r"(?:not|n't|that|obtained|clear|given|found)\b", re.IGNORECASE)
_TAKEN_BACK = re.compile(
    r"\b(?:wait|wrong|mistake\w*|incorrect|correction|corrected|actually|sorry|oops|should be)\b",
    re.IGNORECASE,
)
# Signs of Chinese text, "答案：（Ｂ）。" for "答案:(B).", and what is part of no answer: marks as
# in "42 ✅" and characters without a width.
_SIGNS = str.maketrans(
    {
        **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
        **{"。": ". ", "、": ", ", "【": "[", "】": "]"},
        **dict.fromkeys("✅✔☑✓∎■\u200b\u200c\u200d\u2060\ufeff\ufe0f", ""),
    }
)
_LEADING = re.compile(r"(?:[\s*_`}:>]|```\w*)*")
_DISPLAYS = {"$$": "$$", "\\[": "\\]"}
_MOST_ROWS = 50  # of a matrix that is written over several lines


@dataclass(frozen=True)
class Reading:
    """An answer as it was found, None when there is none, and the rule that found it."""

    value: str | None
    rule: str


def extract_answer(answer: str) -> str | None:
    """The final answer in an answer segment, None when it names none."""
    return read_answer(answer).value


def read_answer(text: str, kind: str = "math") -> Reading:
    """Read the final answer of `text`, an answer segment or a published solution.

    kind: "math", where a box comes before a label, or "choice", where the later of the two counts
    and the value is a capital letter.
    """
    text = text.translate(_SIGNS)
    boxed, labelled = list(boxes(text, unlabelled)), list(_labelled(text, kind))
    if kind == "choice":
        reading = _letter(sorted(boxed + labelled, key=lambda place: place.end))
        if reading.rule == "nothing" and (letter := concluded_letter(text)):
            return Reading(letter, "last line")
        return reading

    # The last box is the answer, unless the text takes it back and names another answer below.
    if boxed:
        last = boxed[-1]
        for place in reversed(labelled):
            if place.start > last.end and _TAKEN_BACK.search(text, last.end, place.start):
                return Reading(stated(place.value), "corrected box")

        # Boxes side by side are one answer where the text ends with them. What names an answer once
        # more has not listed its answer there, and the last of them counts.
        if last.rule == "boxes" and any(place.start > last.end for place in labelled):
            return Reading(last_box(text).strip(), "box")
        return Reading(last.value, last.rule)
    return (
        Reading(stated(labelled[-1].value), labelled[-1].rule)
        if labelled
        else Reading(None, "nothing")
    )


def official_answer(answer: str) -> str | None:
    r"""The answer as the official evaluation extracts it (docs/official_rules.md, G1).

    It is the last \boxed{}, else the line after the last "Answer:", in the answer segment.
    """
    box = last_box(answer)
    if box is not None:
        return box.strip()
    named = re.split(r"(?:Final )?Answer:", answer)
    return (
        named[-1].strip().splitlines()[0].strip() if len(named) > 1 and named[-1].strip() else None
    )


def unlabelled(value: str) -> str:
    """A box's content without a label that is written into the box: "Answer: 42" is 42."""
    label = _LABEL_IN_BOX.match(value)
    return (_LEADING.sub("", value[label.end() :], count=1) if label else value).strip(" *`")


def _letter(places: list[Place]) -> Reading:
    """The letter at the last place that names one; two letters at one place end the search."""
    for place in reversed(places):
        letter = read_letter(place.value)
        if letter == TWO_LETTERS:
            return Reading(None, TWO_LETTERS)
        if letter:
            return Reading(letter, place.rule)
    return Reading(None, "nothing")


def _labelled(text: str, kind: str) -> Iterator[Place]:
    """What follows each label, in the order of the text; labels without an answer are left out."""
    patterns = {_LABEL: "label", _CHINESE: "label", _HEADING: "label"}
    patterns |= {_HASHES: "####", _TAG: "<answer>"}
    if kind == "choice":
        patterns[_CHOSEN] = "label"
    marks = [
        (label, rule) for pattern, rule in patterns.items() for label in pattern.finditer(text)
    ]
    marks.sort(key=lambda mark: mark[0].start())

    ends = [label.start() for label, _ in marks[1:]] + [len(text)]
    for (label, rule), end in zip(marks, ends, strict=False):
        value, below = _value(text[label.end() : end].partition("</answer>")[0])
        loose = label.re is _LABEL and label[0][-1] not in ":：="
        if value and not (loose and _is_talk(value, kind)):
            yield Place(
                label.start(),
                label.end(),
                value,
                "label above" if below and rule == "label" else rule,
            )


def _value(text: str) -> tuple[str, bool]:
    """(the answer that opens `text`, whether it stands on a line below the label's)."""
    lead = _LEADING.match(text).end()
    below, text = "\n" in text[:lead], text[lead:]
    line, rest = _first_line(text)
    if (
        line.rstrip(" *_").endswith(":") and rest.strip()
    ):  # "Answer: it is as follows:" announces the next line
        return tidied(_first_line(rest[_LEADING.match(rest).end() :])[0]), True
    return tidied(line), below


def _first_line(text: str) -> tuple[str, str]:
    """(the first line, the rest); a displayed formula or a matrix counts as one line."""
    for opening, closing in _DISPLAYS.items():
        if text.startswith(opening):
            inside, _, rest = text[len(opening) :].partition(closing)
            return inside.strip(), rest
    line, _, rest = text.partition("\n")
    for _ in range(_MOST_ROWS):
        if not rest or line.count("\\begin{") <= line.count("\\end{"):
            break
        row, _, rest = rest.partition("\n")
        line += "\n" + row
    return line, rest


def _is_talk(value: str, kind: str) -> bool:
    """Whether what follows "the answer is" is no answer: "clear", "not 5", "obtained by adding"."""
    if _NO_ANSWER.match(value):
        return True
    return kind != "choice" and not re.search(r"[\d$\\]", value) and len(value.split()) > 6
