r"""Units behind a number: 5 cm is 5 where the gold answer has none, but neither 5 m nor 5 cm^2."""

from __future__ import annotations

import re

_ALIASES = {
    "millimeter": "mm", "millimetre": "mm", "centimeter": "cm", "centimetre": "cm", "meter": "m",
    "metre": "m", "kilometer": "km", "kilometre": "km", "inch": "in", "inche": "in", "foot": "ft",
    "feet": "ft", "yard": "yd", "mile": "mi", "milligram": "mg", "gram": "g", "kilogram": "kg",
    "pound": "lb", "ounce": "oz", "liter": "l", "litre": "l", "second": "s", "sec": "s",
    "minute": "min", "hour": "h", "hr": "h",
}  # fmt: skip
_POWERS = {"square": 2, "squared": 2, "sq": 2, "cubic": 3, "cubed": 3}
_MARKED = re.compile(r" ?\\unit\{([^{}]*)\}(?:\^\{?(\d)\}?)?$")
# In plain text a known abbreviation, a single letter behind a space, or words of three letters.
_PLAIN = re.compile(
    r"(?<=[\d}]) ?("
    r"(?:mm|cm|dm|km|mi|ft|in|yd|mg|kg|lb|oz|ml|mL|ms|min|hr|mph|rad|sq)\b(?: [A-Za-z]+)?"
    r"|[ap]\.m\b\.?|(?:[kc]?m|ft|mi)/(?:s|min|h|hr)\b"
    r"|(?<= )[mgshL]"
    r"|(?<= )[A-Za-z]{3,}(?: [A-Za-z]{2,})*"
    r")(?:\^\{?([23])\}?)?$"
)


def units_apart(found: str, gold: str) -> tuple[str, str] | None:
    """Both normalised answers without their units, None where they name different ones."""
    (left, unit), (right, wanted) = _split(found), _split(gold)
    if unit and wanted and unit != wanted:
        return None
    # Beside an answer with variables, what looks like a unit may be a variable as well.
    return (
        found if _PLAIN.search(found) and _has_letters(right) else left,
        gold if _PLAIN.search(gold) and _has_letters(left) else right,
    )


def _split(text: str) -> tuple[str, tuple[str, int] | None]:
    """(the number, (its unit, the unit's power)); the unit is None where there is none."""
    found = _MARKED.search(text) or _PLAIN.search(text)
    if not found:
        return text, None
    words = re.findall(r"[a-z/]+", found[1].lower())
    names = [word if len(word) < 3 else word.removesuffix("s") for word in words]
    power = max([int(found[2] or 1), *(_POWERS[name] for name in names if name in _POWERS)])
    unit = " ".join(_ALIASES.get(name, name) for name in names if name not in _POWERS)
    return text[: found.start()], (unit, power)


def _has_letters(text: str) -> bool:
    r"""Whether a variable or a word stands in `text`; commands such as \frac are none."""
    return bool(re.search(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", text)))
