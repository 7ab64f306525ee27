r"""Numbers and fractions as exact values: 2.50, \frac{5}{2} and 2.5\cdot 10^0 are one value."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

_LARGEST_POWER = 5000  # of ten, that is written out

_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_FORMS = "|".join(
    [
        rf"(?P<plain>{_NUMBER})"
        r"(?:\\(?:cdot|times) ?10\^(?:\{(?P<power>[+-]?\d+)\}|(?P<digit>\d)))?",
        rf"\\frac\{{(?P<above>-?{_NUMBER})\}}\{{(?P<below>-?{_NUMBER})\}}",
        rf"(?P<over>{_NUMBER})/(?P<under>{_NUMBER})",
        r"(?P<start>\d*\.\d*)\\overline\{(?P<period>\d+)\}",
    ]
)
_VALUE = re.compile(rf"(?P<sign>[+-]?)(?:{_FORMS})(?P<percent>\\%)?")


class Value(NamedTuple):
    """A number as it was written: its exact value, and whether a percent sign stood behind it."""

    number: Fraction
    percent: bool


def value_of(text: str) -> Value | None:
    """The value of a normalised number or fraction, None for anything else."""
    found = _VALUE.fullmatch(text)
    number = _number(found.groupdict()) if found else None
    if number is None:
        return None
    return Value(-number if found["sign"] == "-" else number, bool(found["percent"]))


def same_value(left: Value, right: Value) -> bool:
    """Whether two values are equal, exactly.

    A percent sign on one side alone is a unit (10 for 10%) or a hundredth (0.1 for 10%).
    """
    if left.number == right.number:
        return True
    if left.percent == right.percent:
        return False
    percentage, other = (left, right) if left.percent else (right, left)
    return percentage.number / 100 == other.number


def _number(parts: dict[str, str | None]) -> Fraction | None:
    """The number without its sign from the named parts of its notation, None where it is none."""
    if parts["plain"]:
        exponent = int(parts["power"] or parts["digit"] or 0)
        if abs(exponent) > _LARGEST_POWER:
            return None
        return Fraction(Decimal(parts["plain"])) * Fraction(10) ** exponent
    if parts["period"]:  # 0.1\overline{6} is 1/10 and 6/9 of it
        start, places = parts["start"], len(parts["start"].partition(".")[2])
        repeated = Fraction(int(parts["period"]), 10 ** len(parts["period"]) - 1)
        return Fraction(Decimal("0" + start)) + repeated / 10**places
    below = Fraction(Decimal(parts["below"] or parts["under"]))
    return Fraction(Decimal(parts["above"] or parts["over"])) / below if below else None
