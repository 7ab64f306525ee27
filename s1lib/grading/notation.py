r"""One spelling for one thing: Unicode, plain-text and LaTeX mathematics become the same LaTeX.

    normalised("10 − 2√5")      # "10-2\sqrt{5}"
    normalised("2 1/2 cm")      # "\frac{5}{2} cm"
    normalised("exp(16)")       # "e^{16}"

This is all that stands before math-verify. Each step is a function or a table of its own, and none
changes a value.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import groupby

_SYMBOLS = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ",
        "∙": r"\cdot ", "∗": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/", "√": " sqrt", "∛": " cbrt",
        "∞": r"\infty ", "±": r"\pm ", "∓": r"\mp ", "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ",
        "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
        "∅": r"\emptyset ", "∖": r"\setminus ", "°": r"^\circ ", "º": r"^\circ ", "˚": r"^\circ ",
        "′": "'", "∠": r"\angle ", "⟨": r"\langle ", "⟩": r"\rangle ", "ℝ": r"\mathbb{R}",
        "ℤ": r"\mathbb{Z}", "ℚ": r"\mathbb{Q}", "ℕ": r"\mathbb{N}", "ℂ": r"\mathbb{C}",
        "π": r"\pi ", "θ": r"\theta ", "€": "", "£": "", "¥": "",
    }
)  # fmt: skip
_TYPOGRAPHY = {"<super>": "^{%s}", "<sub>": "_{%s}", "<fraction>": r" \frac{%s}"}

# What changes the looks of mathematics and not what it says, in the order of replacement.
_LOOKS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        # Thousands: 10,\!080 and 10{,}080 and 10\,080.
        (r",?\s*\\!\s*", lambda mark: "," if mark[0].startswith(",") else ""),
        (r"(?<=\d)\\,\s*(?=\d{3}(?!\d))|\{,\}(?=\d{3})", ","),
        # Spaces, signs for mathematics and for money, the size of brackets.
        (r"(?<!\\)\\[,;: ]|~|\\q?quad\b|\\(?:thin|med|thick)space\b", " "),
        (r"\\\$|\$|(?<!\\)\\[()\[\]]|\\displaystyle\b", ""),
        (r"^\s*\\approx\b", ""),
        (r"\\(?:left|right|[bB]ig{1,2}[lr]?)(?![a-zA-Z])\.?", ""),
        # Two names for one command.
        (r"\\langle\b", "("),
        (r"\\rangle\b", ")"),
        (r"_(\w)(?=\s)", r"_{\1}"),
        (r"\\[dtc]frac\b", r"\\frac"),
        (r"\\[dt]binom\b", r"\\binom"),
        (r"\\leq(?:slant)?\b|<=", r"\\le "),
        (r"\\geq(?:slant)?\b|>=", r"\\ge "),
        (r"\\neq\b|!=", r"\\ne "),
        (r"\\varnothing\b|\\O\b", r"\\emptyset"),
        (r"\\(?:mathrm|text|operatorname)\{\s*([ied])\s*\}", r"\1"),
        # Degrees and percentages. An angle has a value, which a function of it needs.
        (
            r"\\?\b(sin|cos|tan|cot|sec|csc)\s*(\(\s*)?(\d+)\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ\b)(?(2)\s*\))",
            r"\\\1(\\frac{\3\\pi}{180})",
        ),
        (r"\s*\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\circ\b|\\degree\b)", ""),
        (r"(?<=\d)\\degree\b|(?<=[\d}])\s*degrees?\b", ""),
        (r"\\?%|\bper ?cent\b|\\text\{\s*per ?cent\s*\}", r"\\%"),
        # Lists in words: "3 and 5", "3, 5, and 7".
        (r"\\(?:text|mbox)\{\s*(and|or)\s*\}", r" \1 "),
        (r",?\s*(?<![A-Za-z])(?:and|or)(?![A-Za-z])", ", "),
    ]
]
_WORDS = re.compile(
    r"\\(?:text(?:bf|it|rm|normal)?|mbox|math(?:rm|bf|it|sf)|operatorname|bf)\s*\{([^{}]*)\}"
)
_UNIT = re.compile(
    r"(?:(?<=[\d})])|(?<=\\pi))[\s\\,;]*\\(?:text|textrm|mbox|mathrm|rm)\s*\{([^{}]*)\}"
    r"(\s*\^\s*\{?\d\}?)?\s*$"
)

# Text that a calculator would take.
_PLAIN_TEXT = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"(?<=\d)[eE]([+-]?\d+)(?![\d.])", r"\\cdot 10^{\1}"),
        (r"(?<=\d)\s*[xX]\s*(?=10\s*\^)", r"\\cdot "),
        (r"\*\*", "^"),
        (r"\*", r"\\cdot "),
        (r"\^\s*([+-]\d+)", r"^{\1}"),
        (r"\\?(?<![A-Za-z\\])(sqrt|cbrt)(?=\s*[({\d\\A-Za-z])", r" \\\1"),
        (
            r"\\(sqrt|cbrt)\s*(\d+(?:\.\d+)?(?![\d.])|[A-Za-z](?![A-Za-z])|\\[A-Za-z]+)(?!\()",
            r"\\\1{\2}",
        ),
        (r"(?<![A-Za-z\\])(?:infinity|infty|inf|oo)(?![A-Za-z])", r"\\infty "),
        (
            r"(?<![A-Za-z\\])(alpha|beta|gamma|delta|epsilon|theta|lambda|mu|pi|rho|sigma|tau|phi|omega"
            r"|arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log)(?![A-Za-z])",
            r"\\\1 ",
        ),
    ]
]
_CALLS = [  # what becomes of the round brackets behind a name
    (re.compile(r"\\(sqrt|cbrt)\s*\("), r"\\\1{"),
    (re.compile(r"(?<![A-Za-z])\\?exp\s*\("), r"e^{"),
    (re.compile(r"\^\s*\("), r"^{"),
]

_GROUPS = re.compile(
    r"(?<![\d.,])(?<!\d )(?:\d{1,3}(?:,\d{3})+(?!\d|,\d)|\d{1,3}(?: \d{3})+(?! ?[\d/]))"
)
_MIXED = re.compile(
    r"(?<![\d.^_{}])(\d{1,9})"
    r"(?:\s+(\d{1,9})/(\d{1,9})(?![\d.])|\s*\\frac\{(\d{1,9})\}\{(\d{1,9})\})"
)


@lru_cache(maxsize=50_000)
def normalised(text: str) -> str:
    r"""`text` as LaTeX in the one spelling that all others are brought to.

    A unit that is marked as text comes out as \unit{...}.
    """
    text = _from_unicode(text)
    for pattern, replacement in _LOOKS:
        text = pattern.sub(replacement, text)
    text = _WORDS.sub(r"\1", _UNIT.sub(r" \\unit{\1}\2", text))
    text = _braced_fractions(_from_plain_text(text))
    text = _MIXED.sub(_improper, text)
    # math-verify takes 2(3) for the mixed number 5.
    text = re.sub(r"(?<=[\d)])(?<![_^]\d)\(", r"\\cdot (", text)
    return _spaced(text.strip(" *").removesuffix(".").strip())


def numbers_joined(text: str) -> str:
    """`text` with thousands written together: 1,234 and 1 234 are 1234.

    A comma inside brackets or before a space separates members of a list, and is left as one.
    """
    depth, parts = 0, []
    for part in re.split(r"(\\\{|\\\}|[()\[\]])", text):
        depth += {"(": 1, "[": 1, "\\{": 1, ")": -1, "]": -1, "\\}": -1}.get(part, 0)
        if depth > 0:
            parts.append(part.replace(",", ", "))
        else:
            parts.append(_GROUPS.sub(lambda group: re.sub(r"[ ,]", "", group[0]), part))
    return "".join(parts)


def is_grouped(text: str) -> bool:
    """Whether all of `text` can be one number with thousands separators, such as 100,200."""
    return "," in text and bool(_GROUPS.fullmatch(text))


def _from_unicode(text: str) -> str:
    """`text` with ½ as a fraction, raised and lowered characters as indices, signs as commands."""
    if text.isascii():
        return text
    parts = []
    for kind, run in groupby(text.translate(_SYMBOLS), key=_typography):
        plain = unicodedata.normalize("NFKC", "".join(run)).translate(_SYMBOLS)
        if kind == "<fraction>":
            plain = plain.replace("/", "}{")
        parts.append(_TYPOGRAPHY.get(kind, "%s") % plain)
    return "".join(parts)


def _typography(character: str) -> str:
    """How Unicode says that a character differs from the plain one: "<super>", "<sub>", ..."""
    return unicodedata.decomposition(character).partition(" ")[0]


def _from_plain_text(text: str) -> str:
    """`text` with sqrt(2), exp(16), pi, x**2, 6.72e-5 and 10^-5 as LaTeX."""
    for pattern, replacement in _PLAIN_TEXT:
        text = pattern.sub(replacement, text)
    for call, opening in _CALLS:
        text = _braced_call(text, call, opening)
    return text.replace(r"\cbrt{", r"\sqrt[3]{")


def _braced_call(text: str, call: re.Pattern, opening: str) -> str:
    """`text` with braces for the round brackets of every `call`, up to one that is left open."""
    while found := call.search(text):
        depth, end = 1, found.end()
        while end < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        if depth:
            break
        argument = text[found.end() : end - 1]
        text = text[: found.start()] + found.expand(opening) + argument + "}" + text[end:]
    return text


def _braced_fractions(text: str) -> str:
    r"""`text` with all the braces of \frac12, \frac 59, \frac9{19} and \frac{270}7."""
    text = re.sub(r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{", text)
    text = re.sub(r"\\frac\s*\{([^{}]*)\}\s*(\d)", r"\\frac{\1}{\2}", text)
    return re.sub(r"\\frac\s*\{([^{}]*)\}\s*\{", r"\\frac{\1}{", text)


def _improper(mixed: re.Match) -> str:
    """A mixed number as one fraction, 2 1/2 as 5/2; what only looks like one, 4 10/3, stays."""
    whole, above, below = int(mixed[1]), int(mixed[2] or mixed[4]), int(mixed[3] or mixed[5])
    return f"\\frac{{{whole * below + above}}}{{{below}}}" if 0 < above < below else mixed[0]


def _spaced(text: str) -> str:
    """`text` with spaces only where they part two words, two numbers or the members of a list."""
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"(?<![\w,]) | (?![\w])|(?<=[A-Za-z]) (?=\d)", "", text)
