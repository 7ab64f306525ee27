r"""Whether two answers are the same, as far as that takes no algebra; math-verify does the rest.

decided("2 1/2", "2.5")             # True: both are the fraction 5/2
decided("0.3333", r"\frac13")       # False: no rounding decides
decided(r"\sqrt{8}", r"2\sqrt2")    # None: this takes algebra
"""

from __future__ import annotations

import re
from functools import lru_cache

from s1lib.grading.notation import is_grouped, normalised, numbers_joined
from s1lib.grading.units import units_apart
from s1lib.grading.values import same_value, value_of

# Characters of an answer that is read as mathematics. A longer one must be the same text.
LONGEST = 2000

# The "x=" of "x=58500" and the "f(2)=" of "f(2)=5".
_ASSIGNED = re.compile(r"^[A-Za-z](?:_\{?\w\}?)?(?:\([^()=]*\))?=(?=[^=]*$)")
_COUNTED = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_NUMBER_WORD = re.compile(
    rf"\s*(?:\\(?:text|mbox|mathrm)\s*\{{\s*)?({_COUNTED})\s*\}}?[\s.]*", re.IGNORECASE
)
_BASED = re.compile(
    rf"([0-9][0-9A-F]*)(?:_\{{?(?:base ?)?(\d+|{_COUNTED})\}}?| ?\(?(?:in )?base ?(\d+)\)?)"
)
_WORDS = re.compile(
    r"\s*(?:\\(?:text|textbf|textit|mbox|mathrm)\s*\{[^{}]*[A-Za-z][^{}]*\}"
    r"|[A-Za-z][A-Za-z'’ -]{3,}|(?i:yes|no|odd))[\s.]*"
)
_ARTICLE = re.compile(r"^(?:the|an?|option|choice) (?=\w)")
# Two numbers side by side with nothing between, and what is left out by dots, have no value.
_NO_VALUE = re.compile(r"\d \d|(?<![\d.^_{}])\d+ ?\\frac\{\d+\}\{\d+\}|dots|\.\.\.")


@lru_cache(maxsize=100_000)
def decided(found: str, gold: str) -> bool | None:
    """Whether `found` is the gold answer, None where only algebra can tell."""
    if found.strip() == gold.strip():
        return True
    if max(len(found), len(gold)) > LONGEST:
        return False

    # A number may be a word.
    found, gold = (
        _digits(word[1]) if (word := _NUMBER_WORD.fullmatch(answer)) else answer
        for answer in (found, gold)
    )

    # Words are compared as words: for the algebra, "seat" and "eats" are one product of letters.
    if _WORDS.fullmatch(gold):
        return _folded(found) == _folded(gold)
    spelled = spellings(found, gold)
    if spelled is None:
        return False
    left, right = spelled
    if left == right:
        return True
    if _WORDS.fullmatch(left):
        return False

    # Numbers are compared as fractions, and digits in another base with their base.
    values = value_of(left), value_of(right)
    if None not in values:
        return same_value(*values)
    based = _based(left), _based(right)
    if any(based):
        return based[0] == based[1]
    return False if _NO_VALUE.search(left) or _NO_VALUE.search(right) else None


@lru_cache(maxsize=100_000)
def spellings(found: str, gold: str) -> tuple[str, str] | None:
    """Both answers as LaTeX for math-verify, each in the light of the other; None for two units."""
    left, right = normalised(found), normalised(gold)
    if "=" not in right:
        left = _ASSIGNED.sub("", left)

    # 100,200 is a number, unless the other side is a list: then it is a list as well.
    joined = numbers_joined(left), numbers_joined(right)
    if is_grouped(left) and "," in joined[1]:
        joined = left.replace(",", ", "), joined[1]
    elif is_grouped(right) and "," in joined[0]:
        joined = joined[0], right.replace(",", ", ")
    return units_apart(*joined)


def is_percentage(answer: str) -> bool:
    """Whether a percent sign, or the word, stands in an answer."""
    return len(answer) <= LONGEST and "\\%" in normalised(answer)


def _based(text: str) -> tuple[str, int] | None:
    """The digits and the base of 4210_5, None for other numbers."""
    found = _BASED.fullmatch(text)
    return (found[1], int(_digits(found[2] or found[3]))) if found else None


def _digits(number: str) -> str:
    """A number that may be a word, "five", in digits."""
    words = _COUNTED.split("|")
    return str(words.index(number.lower())) if number.lower() in words else number


def _folded(text: str) -> str:
    """Words without case, commands, punctuation and a leading article."""
    words = re.sub(r"\\[a-z]+", " ", text.casefold())
    return _ARTICLE.sub("", " ".join(re.findall(r"\w+", words)))
