"""The quality filter (paper, section 2.2): failed API calls, questions in a bad format, bad traces.

The first two kinds are the paper's, and its official scripts name the four formats. The paper found
broken traces by looking at samples. Here rules find them (`s1lib.curation.trace_faults`), and text
that spells a token of the chat format is refused. A sample is counted under the first rule that it
breaks. RULES["official"] holds the conditions of the official scripts letter by letter, for the
paper's own numbers: they also hit "Step1." and "**Find** 7".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from s1lib.chat import END_OF_TEXT, IM_END, IM_START
from s1lib.curation.pool import Sample
from s1lib.curation.trace_faults import cut_off, loops, unreadable
from s1lib.errors import S1Error

Rule = Callable[[Sample], object]


def spells_control_token(sample: Sample) -> bool:
    """A token of the chat format stands in the text, where it would end a turn or begin one."""
    return any(
        token in text
        for text in (sample.question, sample.trace, sample.attempt)
        for token in (IM_START, IM_END, END_OF_TEXT)
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
        "control token": spells_control_token,
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
    """The profile asks for rules that do not exist."""


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
    """Name of the first of the `rules` that `sample` breaks, or None for a good one."""
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
