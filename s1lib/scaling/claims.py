"""The paper's claims: rules from claims.yaml, and how the effect of each is measured.

Everything about a claim is written down there before the data are seen. This file only says which
function measures it in this run, and which one in the paper's numbers. verdicts.py judges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from s1lib.drawing.plots import ROLES
from s1lib.errors import S1Error
from s1lib.profile import CUT
from s1lib.scaling import claimed_effects, effects, published_effects
from s1lib.scaling.effects import Bench, Effect

RULES = Path(__file__).with_name("claims.yaml")
ALL = "all"
DIRECTIONS = ("greater", "less", "not worse", "always")
KINDS = ("open", "taught", "by construction")
SHOWN = ["claim", "hypothesis", "direction", "matters", "unit", "judged", "test"]
SHOWN += ["not_testable", "kind", "why"]


class RuleError(S1Error):
    """claims.yaml does not say what a claim needs. The message names the claim and the key."""


@dataclass(frozen=True)
class Rule:
    """One entry of claims.yaml, which explains the keys at its top.

    matters: the smallest effect that matters, in `unit`.
    judged: ALL, or the role of the one benchmark that counts.
    """

    claim: str
    hypothesis: str
    direction: str
    matters: float
    unit: str
    judged: str
    test: str
    not_testable: str
    kind: str
    why: str
    paper_source: str


@dataclass(frozen=True)
class Claim:
    """A rule, its effect in this run, and its effect in the paper by role of the benchmark."""

    rule: Rule
    effect: Callable[[Bench], Effect]
    paper: Callable[[str], float]


def claims(*, waits: int = 2, votes: Sequence[int] = (1, 2, 4, 8, 16)) -> list[Claim]:
    """The paper's claims in the order of claims.yaml.

    waits: how many are compared where one number must be. votes: the k of the majority votes.
    Raises RuleError for rules that cannot be used.
    """
    measures = _measures(waits, votes)
    rules = read_rules(waits=waits)
    if unmatched := sorted(set(rules) ^ set(measures)):
        raise RuleError(f"{RULES}: {unmatched[0]!r} has no rule, or no effect in claims.py")
    return [Claim(rule, *measures[name]) for name, rule in rules.items()]


def read_rules(path: Path = RULES, *, waits: int = 2) -> dict[str, Rule]:
    """The rules of a file like claims.yaml, by the name of the claim. Raises RuleError."""
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {name: _rule(name, entry, waits) for name, entry in dict(entries).items()}
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise RuleError(f"{path}: {' '.join(str(error).split())}") from None


def _rule(name: str, entry: dict[str, Any], waits: int) -> Rule:
    """One rule, with the number of Waits in its texts."""
    expected = {field.name for field in fields(Rule)}
    if wrong := sorted(expected ^ set(entry)):
        raise ValueError(f"{name}: the key {wrong[0]!r} is missing or not known")
    allowed = {"direction": DIRECTIONS, "kind": KINDS, "judged": (ALL, *ROLES)}
    for key, values in allowed.items():
        if entry[key] not in values:
            raise ValueError(f"{name}: {key} is {entry[key]!r}, not one of {', '.join(values)}")
    matters = entry["matters"]
    if not isinstance(matters, int | float) or matters < 0:
        raise ValueError(f"{name}: matters is {matters!r}, not a number of at least 0")
    return Rule(
        **{
            key: value.format(waits=waits) if isinstance(value, str) else value
            for key, value in entry.items()
        }
    )


def rules_table(*, waits: int = 2) -> pd.DataFrame:
    """The rules as a table, for a reader to see before the verdicts."""
    rules = pd.DataFrame(read_rules(waits=waits).values())[SHOWN]
    return rules.rename(columns={"not_testable": "n/a with"})


def _measures(waits: int, votes: Sequence[int]) -> dict[str, tuple[Callable, Callable]]:
    """Effect in this run and in the paper for each name of claims.yaml."""
    ours, paper = claimed_effects, published_effects
    return {
        "rises": (ours.rises, paper.rises),
        "extends": (partial(ours.extends, waits=waits), partial(paper.extends, waits=waits)),
        "adds_less": (ours.adds_less, paper.adds_less),
        "loses_nothing": (
            partial(ours.loses_nothing, waits=waits),
            partial(paper.loses_nothing, waits=waits),
        ),
        "forcing_keeps": (
            partial(effects.controlled, method="budget_forcing"),
            partial(paper.control, method="BF"),
        ),
        "tokens_break": _limits("token_conditional", "TCC"),
        "steps_break": _limits("step_conditional", "SCC"),
        "rejection": (ours.rejection, paper.rejection),
        "beats_random": _set("random"),
        "beats_diverse": _set("diverse"),
        "beats_longest": _set("longest"),
        "beats_longest_at_equal_tokens": (
            partial(ours.curation_at_equal_tokens, other="longest"),
            _not_published,
        ),
        "needs_quality": _set("no_quality"),
        "needs_difficulty": _set("no_difficulty"),
        "needs_diversity": _set("no_diversity"),
        "as_good_as_full": _set("full"),
        "whole_traces": (partial(ours.curation, other=CUT), paper.lengths),
        "sequential": (
            partial(ours.equal_tokens, waits=waits, votes=votes),
            paper.equal_tokens,
        ),
        "beats_hmm": _string("Hmm", waits),
        "beats_alternatively": _string("Alternatively", waits),
        "beats_nothing": _string("", waits),
        "lifts": (ours.lifts, paper.lifts),
    }


def _limits(method: str, short: str) -> tuple[Callable, Callable]:
    effect = partial(claimed_effects.beyond_limits, method=method)
    return effect, partial(published_effects.beyond_limits, method=short)


def _set(other: str) -> tuple[Callable, Callable]:
    effect = partial(claimed_effects.curation, other=other)
    return effect, partial(published_effects.curation, other=other)


def _string(other: str, waits: int) -> tuple[Callable, Callable]:
    effect = partial(claimed_effects.strings, other=other, waits=waits)
    return effect, partial(published_effects.strings, other=other)


def _not_published(role: str) -> float:
    return np.nan
