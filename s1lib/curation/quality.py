"""The quality filter (paper, section 2.2): drop failed API calls, questions in a bad format, and broken traces.

The first two kinds are the paper's (its official scripts name the four formats). The paper found broken traces by
looking at samples; the rules here catch the ones a program can tell: the trace was cut off, loops, or is unreadable.
Each sample that is dropped is counted under the first rule it breaks. RULES["official"] holds the conditions of the
official scripts letter by letter, for the paper's own numbers: they also hit "Step1." and "**Find** 7".
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
    return any(len(set(same)) == 1 for same in zip(*(lines[i:] for i in range(SAME_LINE)), strict=False) if same[0] == same[-1])


def unreadable(sample: Sample) -> bool:
    """Characters that no encoding meant: U+FFFD, control, private-use and unassigned ones."""
    odd = sample.trace.encode("utf-8", "surrogatepass").translate(None, READABLE)  # of megabytes, little is left to look at
    return any(c == "\ufffd" or unicodedata.category(c) in ("Cc", "Co", "Cn", "Cs") for c in set(odd.decode("utf-8", "surrogatepass")))


FAILED: dict[str, Rule] = {
    "API error": lambda sample: sample.error is not None,
    "empty trace": lambda sample: not sample.trace.strip(),
}
PICTURES: dict[str, Rule] = {
    "drawing code": lambda sample: "[asy]" in sample.question and "AIME" not in sample.source.upper(),
    "missing image": lambda sample: "![Image]" in sample.question,
}
RULES: dict[str, dict[str, Rule]] = {
    "s1lib": {
        **FAILED,
        **PICTURES,
        "numbered parts": lambda sample: re.search(r"\bp\d+\.", sample.question),
        "bold number": lambda sample: any(re.search(r"\d", bold) for bold in re.findall(r"\*\*(.+?)\*\*", sample.question)),
        "unreadable trace": unreadable,
        "looping trace": loops,
        "cut-off trace": cut_off,
    },
    "official": {
        **FAILED,
        **PICTURES,
        "numbered parts": lambda sample: re.search(r"p[1-9]\d{0,2}\.", sample.question),
        "bold number": lambda sample: re.search(r"\*\*(?=.*\d)[^\s\]]*\*\*", sample.question),
    },
}


class QualityError(S1Error):
    """No such rules; the message names those there are."""


@dataclass(frozen=True)
class Filtered:
    """kept: in the order of the input. rejects: one row per dropped sample: id, source, reason, question, trace, answer."""

    kept: list[Sample]
    rejects: pd.DataFrame

    def by_source(self) -> pd.DataFrame:
        """How many samples of each source (columns) were dropped for each reason (rows), with totals."""
        table = pd.crosstab(self.rejects["reason"], self.rejects["source"])
        table = table.reindex([reason for reason in RULES["s1lib"] if reason in table.index])
        table["all"] = table.sum(axis=1)
        table.loc["all"] = table.sum()
        return table.rename_axis(columns=None).reset_index()


def broken_rule(sample: Sample, *, rules: str = "s1lib") -> str | None:
    """Name of the first of the `rules` that `sample` breaks; None for a good one."""
    return next((name for name, breaks in RULES[rules].items() if breaks(sample)), None)


def filter_quality(samples: Sequence[Sample], *, rules: str = "s1lib") -> Filtered:
    """Split samples into those that break none of the `rules` ("s1lib" or "official") and the rejects with their reason."""
    if rules not in RULES:
        raise QualityError(f"unknown curation.quality {rules!r}: use {' or '.join(map(repr, RULES))}")
    reasons = [broken_rule(sample, rules=rules) for sample in samples]
    rejects = [(s.id, s.source, reason, s.question, s.trace, s.attempt) for s, reason in zip(samples, reasons, strict=True) if reason]
    kept = [sample for sample, reason in zip(samples, reasons, strict=True) if not reason]
    return Filtered(kept, pd.DataFrame(rejects, columns=["id", "source", "reason", "question", "trace", "answer"]))


def _bare(text: str) -> str:
    """Letters and digits alone, as `1,234` and `1234` are one answer."""
    answer = text.rsplit("Answer:", 1)[-1]
    return "".join(c for c in answer.lower() if c.isalnum())
