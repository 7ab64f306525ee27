"""The quality filter (paper, section 2.2): failed API calls, questions in a bad format, bad traces.

The first two kinds are the paper's; its official scripts name the four formats. The paper found
broken traces by looking at samples; the rules here catch those that a program can tell: the trace
was cut off, loops, or is unreadable. A sample is counted under the first rule that it breaks.
RULES["official"] holds the conditions of the official scripts letter by letter, for the paper's own
numbers: they also hit "Step1." and "**Find** 7".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from s1lib.curation.pool import Sample
from s1lib.errors import S1Error

SAME_LINE = 4  # as many equal lines in a row are a loop
SHORT_ANSWER = 12  # characters; a longer answer need not be in the trace word for word
CONCLUSION = 3  # lines at the end of a trace that must hold a short answer
TAIL = 4000  # characters that such lines may have in all
READABLE = bytes([*b"\n\t\r", *range(32, 127)])

Rule = Callable[[Sample], object]


def cut_off(sample: Sample) -> bool:
    """The answer is missing, or is a short one that the end of the trace does not reach."""
    answer = _bare(sample.attempt)
    if len(answer) > SHORT_ANSWER:
        return False
    lines = [line for line in sample.trace[-TAIL:].splitlines() if line.strip()]
    return not answer or answer not in _bare(" ".join(lines[-CONCLUSION:]))


def loops(sample: Sample) -> bool:
    """The same line again and again."""
    lines = [line for line in map(str.strip, sample.trace.splitlines()) if line]
    runs = zip(*(lines[start:] for start in range(SAME_LINE)), strict=False)
    return any(run[0] == run[-1] and len(set(run)) == 1 for run in runs)


def unreadable(sample: Sample) -> bool:
    """Characters that no encoding meant: U+FFFD, control, private-use and unassigned ones."""
    # Of megabytes of plain text, little is left to look at one by one.
    odd = sample.trace.encode("utf-8", "surrogatepass").translate(None, READABLE)
    return any(
        character == "\ufffd" or unicodedata.category(character) in ("Cc", "Co", "Cn", "Cs")
        for character in set(odd.decode("utf-8", "surrogatepass"))
    )


FAILED: dict[str, Rule] = {
    "API error": lambda sample: sample.error is not None,
    "empty trace": lambda sample: not sample.trace.strip(),
}
PICTURES: dict[str, Rule] = {
    "drawing code": lambda s: "[asy]" in s.question and "AIME" not in s.source.upper(),
    "missing image": lambda s: "![Image]" in s.question,
}
RULES: dict[str, dict[str, Rule]] = {
    "s1lib": {
        **FAILED,
        **PICTURES,
        "numbered parts": lambda s: re.search(r"\bp\d+\.", s.question),
        "bold number": lambda s: any(
            re.search(r"\d", bold) for bold in re.findall(r"\*\*(.+?)\*\*", s.question)
        ),
        "unreadable trace": unreadable,
        "looping trace": loops,
        "cut-off trace": cut_off,
    },
    "official": {
        **FAILED,
        **PICTURES,
        "numbered parts": lambda s: re.search(r"p[1-9]\d{0,2}\.", s.question),
        "bold number": lambda s: re.search(r"\*\*(?=.*\d)[^\s\]]*\*\*", s.question),
    },
}


class QualityError(S1Error):
    """No such rules; the message names those there are."""


@dataclass(frozen=True)
class Filtered:
    """A pool, split by the quality rules.

    kept: in the order of the input.
    rejects: one row per dropped sample: id, source, reason, question, trace, answer.
    """

    kept: list[Sample]
    rejects: pd.DataFrame

    def by_source(self) -> pd.DataFrame:
        """How many samples of each source (columns) were dropped for each reason (rows)."""
        table = pd.crosstab(self.rejects["reason"], self.rejects["source"])
        table = table.reindex([reason for reason in RULES["s1lib"] if reason in table.index])
        table["all"] = table.sum(axis=1)
        table.loc["all"] = table.sum()
        return table.rename_axis(columns=None).reset_index()


def broken_rule(sample: Sample, *, rules: str = "s1lib") -> str | None:
    """Name of the first of the `rules` that `sample` breaks; None for a good one."""
    return next((name for name, breaks in RULES[rules].items() if breaks(sample)), None)


def filter_quality(samples: Sequence[Sample], *, rules: str = "s1lib") -> Filtered:
    """Split samples into those that break none of the `rules` and the rejects with their reason.

    Raises QualityError for other rules than "s1lib" and "official".
    """
    if rules not in RULES:
        known = " or ".join(map(repr, RULES))
        raise QualityError(f"unknown curation.quality {rules!r}: use {known}")
    kept, rejects = [], []
    for sample in samples:
        if reason := broken_rule(sample, rules=rules):
            texts = sample.question, sample.trace, sample.attempt
            rejects.append((sample.id, sample.source, reason, *texts))
        else:
            kept.append(sample)
    columns = ["id", "source", "reason", "question", "trace", "answer"]
    return Filtered(kept, pd.DataFrame(rejects, columns=columns))


def _bare(text: str) -> str:
    """Letters and digits alone, as `1,234` and `1234` are one answer."""
    answer = text.rsplit("Answer:", 1)[-1]
    return "".join(character for character in answer.lower() if character.isalnum())
