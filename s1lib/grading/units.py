r"""Units behind a number: 5 cm is 5 where the gold answer names no unit, and neither 5 m nor 5 cm^2."""

from __future__ import annotations

import re

_ALIASES = {
    alias: unit
    for unit, aliases in {
        "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre", "km": "kilometer kilometre",
        "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile", "mg": "milligram", "g": "gram",
        "kg": "kilogram", "lb": "pound", "oz": "ounce", "l": "liter litre", "ml": "milliliter millilitre",
        "s": "second sec", "min": "minute", "h": "hour hr", "unit": "unit",
    }.items()
    for alias in aliases.split()
}  # fmt: skip
_POWERS = {"square": 2, "squared": 2, "sq": 2, "cubic": 3, "cubed": 3}
_MARKED = re.compile(r" ?\\unit\{([^{}]*)\}(?:\^\{?(\d)\}?)?$")
# Plain text: a known abbreviation, a single letter behind a space, or words of three letters and more.
_PLAIN = re.compile(
    r"(?<=[\d}]) ?((?:mm|cm|dm|km|mi|ft|in|yd|mg|kg|lb|oz|ml|mL|ms|min|hr|mph|rad|sq)\b(?: [A-Za-z]+)?"
    r"|(?<= )[mgshL]|(?<= )[A-Za-z]{3,}(?: [A-Za-z]{2,})*)(?:\^\{?([23])\}?)?$"
)


def units_apart(found: str, gold: str) -> tuple[str, str] | None:
    """Both answers without their units, None where the units differ; a unit on one side alone is dropped."""
    (left, unit), (right, wanted) = _split(found), _split(gold)
    if unit and wanted and unit != wanted:
        return None
    # Letters beside the number are variables, and what looked like a unit on the other side may be one as well.
    return (
        found if _PLAIN.search(found) and _has_letters(right) else left,
        gold if _PLAIN.search(gold) and _has_letters(left) else right,
    )


def _split(text: str) -> tuple[str, tuple[str, int] | None]:
    """(number, (unit, its power)); the unit is None where there is none."""
    found = _MARKED.search(text) or _PLAIN.search(text)
    if not found:
        return text, None
    words, power = re.findall(r"[a-z/]+", found[1].lower()), int(found[2] or 1)
    names = [word for word in words if word not in _POWERS]
    power = max([power, *(_POWERS[word] for word in words if word in _POWERS)])
    singular = [name if len(name) < 3 else name.removesuffix("s") for name in names]
    return text[: found.start()], (" ".join(_ALIASES.get(name, name) for name in singular), power)


def _has_letters(text: str) -> bool:
    r"""Whether a variable or a word stands in `text`; commands such as \frac are none."""
    return bool(re.search(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", text)))
