r"""Whether two answers are the same: what can be decided without algebra, exactly; the rest is for math-verify.

decided("2 1/2", "2.5")         # True: both are the fraction 5/2
decided("0.3333", r"\frac13")   # False
decided(r"\sqrt{8}", r"2\sqrt2")  # None: math-verify is asked
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from s1lib.grading.notation import is_grouped, normalised, numbers_joined
from s1lib.grading.units import units_apart

LONGEST = (
    2000  # characters of an answer that is read as mathematics; a longer one must be the same text
)
_LARGEST_POWER = 5000  # of ten, that is written out

_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_POWER = rf"(?:\\(?:cdot|times) ?)10\^(?:\{{([+-]?\d+)\}}|(\d))"
_VALUE = re.compile(
    rf"([+-]?)(?:({_NUMBER})(?:{_POWER})?|\\frac\{{(-?{_NUMBER})\}}\{{(-?{_NUMBER})\}}|({_NUMBER})/({_NUMBER})"
    r"|(\d*\.\d*)\\overline\{(\d+)\})(\\%)?"
)
_ASSIGNED = re.compile(r"^[A-Za-z](?:_\{?\w\}?)?=(?=[^=]*$)")  # the "x=" of "x=58500"
_BASED = re.compile(r"([0-9][0-9A-F]*)(?:_\{?(?:base ?)?(\d+)\}?| ?\(?(?:in )?base ?(\d+)\)?)")
_WORDS = re.compile(
    r"\s*(?:\\(?:text|textbf|textit|mbox|mathrm)\s*\{[^{}]*[A-Za-z][^{}]*\}|[A-Za-z][A-Za-z'’ -]{3,})[\s.]*"
)
_ARTICLE = re.compile(r"^(?:the|an?|option|choice) (?=\w)")
_SIDE_BY_SIDE = re.compile(r"\d \d|(?<![\d.^_{}])\d+ ?\\frac\{\d+\}\{\d+\}")


class Value(NamedTuple):
    """A number as it was written: its exact value, and whether a percent sign stood behind it."""

    number: Fraction
    percent: bool


@lru_cache(maxsize=100_000)
def decided(found: str, gold: str) -> bool | None:
    """Whether `found` is the gold answer, as far as it can be told without algebra; None otherwise."""
    if found.strip() == gold.strip():
        return True
    if max(len(found), len(gold)) > LONGEST:
        return False
    if _WORDS.fullmatch(gold) or (_WORDS.fullmatch(found) and not re.search(r"\d", gold)):
        same = _folded(found) == _folded(gold)
        if same or (_WORDS.fullmatch(gold) and _WORDS.fullmatch(found)):
            return same
    spelled = spellings(found, gold)
    if spelled is None:
        return False
    left, right = spelled
    if left == right:
        return True
    values = value_of(left), value_of(right)
    if None not in values:
        return _same_number(*values)
    bases = _BASED.fullmatch(left), _BASED.fullmatch(right)
    if any(bases):
        return (
            all(bases)
            and bases[0].group(1) == bases[1].group(1)
            and _base(bases[0]) == _base(bases[1])
        )
    # No algebra is asked what two numbers side by side or an ellipsis mean: only the same text is the same answer.
    if any(_SIDE_BY_SIDE.search(side) or "dots" in side or "..." in side for side in (left, right)):
        return False
    return None


@lru_cache(maxsize=100_000)
def spellings(found: str, gold: str) -> tuple[str, str] | None:
    """Both answers as LaTeX that math-verify reads, each in the light of the other; None where their units differ."""
    left, right = normalised(found), normalised(gold)
    if "=" not in right:
        left = _ASSIGNED.sub("", left)

    # 100,200 is a number, unless the other side is a list: then it is one as well.
    joined = numbers_joined(left), numbers_joined(right)
    if is_grouped(left) and "," in joined[1]:
        joined = left.replace(",", ", "), joined[1]
    elif is_grouped(right) and "," in joined[0]:
        joined = joined[0], right.replace(",", ", ")

    return units_apart(*joined)


def value_of(text: str) -> Value | None:
    """The exact value of a normalised number or fraction, None for anything else."""
    found = _VALUE.fullmatch(text)
    if not found:
        return None
    sign, plain, power, digit, above, below, over, under, start, period, percent = found.groups()
    if plain:
        exponent = int(power or digit or 0)
        if abs(exponent) > _LARGEST_POWER:
            return None
        number = Fraction(Decimal(plain)) * Fraction(10) ** exponent
    elif period:
        scale = 10 ** len(start.partition(".")[2])
        number = Fraction(Decimal(start if start != "." else "0")) + Fraction(
            int(period), (10 ** len(period) - 1) * scale
        )
    else:
        divisor = Fraction(Decimal(below or under))
        if not divisor:
            return None
        number = Fraction(Decimal(above or over)) / divisor
    return Value(-number if sign == "-" else number, bool(percent))


def is_percentage(answer: str) -> bool:
    """Whether a percent sign, or the word, stands in an answer."""
    return "\\%" in normalised(answer) if len(answer) <= LONGEST else False


def _same_number(left: Value, right: Value) -> bool:
    """Equal exactly; a percent sign on one side alone is a unit (10 for 10%) or a hundredth (0.1 for 10%)."""
    if left.number == right.number:
        return True
    if left.percent == right.percent:
        return False
    percent, other = (left, right) if left.percent else (right, left)
    return percent.number / 100 == other.number


def _base(based: re.Match) -> int:
    return int(based.group(2) or based.group(3))


def _folded(text: str) -> str:
    """Words without case, commands, punctuation and a leading article."""
    words = re.sub(r"\\[a-z]+", " ", text.casefold())
    return _ARTICLE.sub("", " ".join(re.findall(r"\w+", words)))
