"""The paper's claims, each with its comparison, its direction and where it is judged.

All of this is written down before the data are seen: a claim is judged on the hard benchmark where
the paper argues on AIME24, and on the mean over all benchmarks otherwise. verdicts.py judges them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from s1lib.profile import CUT
from s1lib.scaling import claimed_effects, effects, published_effects
from s1lib.scaling.effects import Bench, Effect

ALL, HARD = "all", "AIME24"
MARGIN = 5.0  # points within which two training sets count as equal
SLOPE, BOOTSTRAP = "points per doubling", "paired bootstrap"


@dataclass(frozen=True)
class Claim:
    """A claim, its effect in this run and in the paper (by role of the benchmark), and its rule.

    direction: "greater" | "less" | "equal" | "always" | "not always".
    judged: ALL, or the role of the one benchmark that counts.
    """

    text: str
    effect: Callable[[Bench], Effect]
    paper: Callable[[str], float]
    paper_source: str
    direction: str = "greater"
    unit: str = "points"
    judged: str = ALL
    test: str = f"{BOOTSTRAP}; McNemar exact"


def claims(*, waits: int = 2, votes: Sequence[int] = (1, 2, 4, 8, 16)) -> list[Claim]:
    """The paper's claims in its order.

    waits: how many are compared where one number must be. votes: the k of the majority votes.
    """
    return [
        *_longer_thinking(waits),
        *_other_control(),
        *_training_sets(),
        Claim(
            f"Sequential scaling ({waits} × Wait) beats a majority vote at equal tokens",
            partial(claimed_effects.equal_tokens, waits=waits, votes=votes),
            published_effects.equal_tokens,
            "Figure 4b",
            test=BOOTSTRAP,
        ),
        *(_string(other, waits) for other in ("Hmm", "Alternatively", "")),
        Claim(
            "Fine-tuning on the traces lifts the base model",
            claimed_effects.lifts,
            published_effects.lifts,
            "Table 1",
        ),
    ]


def _longer_thinking(waits: int) -> list[Claim]:
    """The curve of Figures 1 and 4a: it rises, Waits extend it, and then it flattens."""
    return [
        Claim(
            "Accuracy rises with the budget, up to the natural stop",
            claimed_effects.rises,
            published_effects.rises,
            "Figure 1",
            unit=SLOPE,
            test=BOOTSTRAP,
        ),
        Claim(
            f'Ignoring the end of thinking {waits} times ("Wait") '
            "raises accuracy beyond the natural stop",
            partial(claimed_effects.extends, waits=waits),
            partial(published_effects.extends, waits=waits),
            "Table 5",
            judged=HARD,
        ),
        Claim(
            "Then it flattens: a Wait adds less at the end than at the start",
            claimed_effects.flattens,
            published_effects.flattens,
            "Figure 4a, log",
            direction="less",
            unit="points per Wait",
            judged=HARD,
            test=BOOTSTRAP,
        ),
    ]


def _other_control() -> list[Claim]:
    """Budget forcing keeps its limits, and other ways to control thinking do worse."""
    return [
        _control("Budget forcing keeps every limit", "budget_forcing", "BF", "always"),
        _control("Token-conditional control does not keep its limits", "token_conditional", "TCC"),
        _control("Step-conditional control does not keep its limits", "step_conditional", "SCC"),
        Claim(
            "Rejection sampling scales inversely",
            claimed_effects.rejection,
            published_effects.rejection,
            "Figure 6",
            direction="less",
            unit=SLOPE,
            judged=HARD,
            test=BOOTSTRAP,
        ),
    ]


def _training_sets() -> list[Claim]:
    """The choice of the thousand examples, and their whole length, matter."""
    return [
        *(
            _curation(f"s1K beats a set of the same size: {other}", other)
            for other in ("random", "diverse", "longest")
        ),
        _curation(f"s1K is as good as the full pool (within {MARGIN:.0f} points)", "full", "equal"),
        Claim(
            "Whole traces teach more than cut ones",
            partial(claimed_effects.curation, other=CUT),
            published_effects.lengths,
            "Table 8",
        ),
    ]


def _control(text: str, method: str, short: str, direction: str = "not always") -> Claim:
    effect = partial(effects.controlled, method=method)
    paper = partial(published_effects.control, method=short)
    return Claim(text, effect, paper, "Table 3", direction, "% within", test="count")


def _curation(text: str, other: str, direction: str = "greater") -> Claim:
    effect = partial(claimed_effects.curation, other=other)
    paper = partial(published_effects.curation, other=other)
    return Claim(text, effect, paper, "Table 2", direction)


def _string(other: str, waits: int) -> Claim:
    name = f'"{other}"' if other else "no string"
    effect = partial(claimed_effects.strings, other=other, waits=waits)
    paper = partial(published_effects.strings, other=other)
    return Claim(f'"Wait" beats {name}, {waits} times each', effect, paper, "Table 4")
