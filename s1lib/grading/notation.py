r"""One spelling for one thing: Unicode, plain-text and LaTeX mathematics become the same LaTeX.

    normalised("10 − 2√5")      # "10-2\sqrt{5}"
    normalised("2 1/2 cm")      # "\frac{5}{2} cm"
    normalised("exp(16)")       # "e^{16}"

This is all that stands before math-verify. Each step is a function or a table of its own and keeps the value.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "∗": r"\cdot ",
    "÷": "/", "⁄": "/", "∕": "/", "√": " sqrt", "∛": " cbrt", "∞": r"\infty ", "±": r"\pm ", "∓": r"\mp ",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ",
    "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "∖": r"\setminus ", "°": r"^\circ ", "º": r"^\circ ", "˚": r"^\circ ",
    "′": "'", "∠": r"\angle ", "⟨": r"\langle ", "⟩": r"\rangle ", "…": r"\ldots ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}",
    "ℚ": r"\mathbb{Q}", "ℕ": r"\mathbb{N}", "ℂ": r"\mathbb{C}", "€": "", "£": "", "¥": "", "₹": "",
}  # fmt: skip
_GREEK = "alpha beta gamma delta epsilon theta lambda mu pi rho sigma tau phi omega".split()
_FUNCTIONS = "arcsin arccos arctan sinh cosh tanh sin cos tan cot sec csc ln log".split()

# Marks that change how mathematics looks and not what it says, and commands with a shorter name, in this order.
_MARKS = [
    (r",?\s*\\!\s*", lambda mark: "," if mark[0].startswith(",") else ""),
    (r"(?<=\d)\\,\s*(?=\d{3}(?!\d))|\{,\}(?=\d{3})", ","),
    (r"(?<!\\)\\[,;: ]|~|\\q?quad\b|\\(?:thin|med|thick)space\b", " "),
    (
        r"\\\$|\$|(?<!\\)\\[()\[\]]|\\displaystyle\b|\\(?:left|right|[bB]ig{1,2}[lr]?)(?![a-zA-Z])\.?",
        "",
    ),
    (r"_(\w)(?=\s)", r"_{\1}"),
    (r"\\[dtc]frac\b", r"\\frac"),
    (r"\\[dt]binom\b", r"\\binom"),
    (r"\\leq(?:slant)?\b", r"\\le"),
    (r"\\geq(?:slant)?\b", r"\\ge"),
    (r"\\neq\b|!=", r"\\ne "),
    (r"<=", r"\\le "),
    (r">=", r"\\ge "),
    (r"\\varnothing\b|\\O\b", r"\\emptyset"),
    (r"\\(?:mathrm|text|operatorname)\{\s*([ied])\s*\}", r"\1"),
    (
        r"\s*\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\circ\b|\\degree\b)|(?<=\d)\\degree\b|(?<=[\d}])\s*degrees?\b",
        "",
    ),
    (r"\\?%|\bper ?cent\b|\\text\{\s*per ?cent\s*\}", r"\\%"),
    (r"\\(?:text|mbox)\{\s*(and|or)\s*\}", r" \1 "),
    (r"(?<![A-Za-z]),?\s*\b(?:and|or)\b(?![A-Za-z])", ", "),
]
_MARKS = [(re.compile(pattern), replacement) for pattern, replacement in _MARKS]
_WORDS = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mbox|mathrm|mathbf|mathit|mathsf|operatorname|bf)\s*\{([^{}]*)\}"
)
_UNIT = re.compile(
    r"(?:(?<=[\d})])|(?<=\\pi))[\s\\,;]*\\(?:text|textrm|mbox|mathrm|rm)\s*\{([^{}]*)\}(\s*\^\s*\{?\d\}?)?\s*$"
)

_GROUPS = re.compile(
    r"(?<![\d.,])(?<!\d )\d{1,3}(?:,\d{3})+(?!\d|,\d)|(?<![\d.,])(?<!\d )\d{1,3}(?: \d{3})+(?! ?[\d/])"
)
_MIXED = re.compile(
    r"(?<![\d.^_{}])(\d{1,9})(?:\s+(\d{1,9})/(\d{1,9})(?![\d.])|\s*\\frac\{(\d{1,9})\}\{(\d{1,9})\})"
)


def normalised(text: str) -> str:
    """`text` as LaTeX in the one spelling that all others are brought to; its value stays the same."""
    text = _from_unicode(text)
    for pattern, replacement in _MARKS:
        text = pattern.sub(replacement, text)
    text = _WORDS.sub(r"\1", _UNIT.sub(r" \\unit{\1}\2", text))  # units.py takes the unit apart
    text = _from_plain_text(text)
    text = _braced_fractions(text)
    text = _MIXED.sub(_improper, text)
    text = re.sub(
        r"(?<=[\d)])(?<![_^]\d)\(", r"\\cdot (", text
    )  # math-verify takes 2(3) for a mixed number
    return _spaced(text.strip(" *").removesuffix(".").strip())


def numbers_joined(text: str) -> str:
    """Thousands written together: 1,234 and 1 234 are 1234; a comma inside brackets or before a space separates."""
    depth, parts = 0, []
    for part in re.split(r"(\\\{|\\\}|[()\[\]])", text):
        depth += {"(": 1, "[": 1, "\\{": 1, ")": -1, "]": -1, "\\}": -1}.get(part, 0)
        parts.append(
            part.replace(",", ", ")
            if depth > 0
            else _GROUPS.sub(lambda group: re.sub(r"[ ,]", "", group[0]), part)
        )
    return "".join(parts)


def is_grouped(text: str) -> bool:
    """Whether all of `text` can be one number with thousands separators, such as 100,200."""
    return "," in text and bool(_GROUPS.fullmatch(text))


def _from_unicode(text: str) -> str:
    """Raised and lowered characters become exponents and indices, ½ a fraction, symbols their commands."""
    if text.isascii():
        return text
    parts = []
    for kind, run in groupby(
        text, key=lambda char: unicodedata.decomposition(char).partition(" ")[0]
    ):
        characters = "".join(run)
        plain = "".join(_SYMBOLS.get(c) or unicodedata.normalize("NFKC", c) for c in characters)
        plain = "".join(_SYMBOLS.get(c, c) for c in plain)
        if kind in ("<super>", "<sub>") and "º" not in characters:
            parts.append(("^" if kind == "<super>" else "_") + "{" + plain + "}")
        elif kind == "<fraction>":
            parts.extend(
                " \\frac{%s}{%s}" % unicodedata.normalize("NFKC", c).partition("⁄")[::2]
                for c in characters
            )
        else:
            parts.append(
                "".join(_SYMBOLS.get(c, unicodedata.normalize("NFKC", c)) for c in characters)
            )
    return "".join(parts)


def _from_plain_text(text: str) -> str:
    """sqrt(2), exp(16), pi, x**2, 6.72e-5 and 10^-5 as LaTeX."""
    text = re.sub(r"(?<=\d)[eE]([+-]?\d+)(?![\d.])", r"\\cdot 10^{\1}", text)
    text = re.sub(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)", r"\\cdot ", text)
    text = re.sub(r"\*\*|\^\s*\*", "^", text)
    text = text.replace("*", r"\cdot ")
    text = re.sub(r"\^\s*([+-]\d+)", r"^{\1}", text)
    text = re.sub(
        r"\\?(?<![A-Za-z\\])(sqrt|cbrt)(?=\s*[({\d\\A-Za-z])", lambda name: " \\" + name[1], text
    )
    text = re.sub(
        r"\\(sqrt|cbrt)\s*(\d+(?:\.\d+)?(?![\d.])|[A-Za-z](?![A-Za-z])|\\[A-Za-z]+)(?!\()",
        r"\\\1{\2}",
        text,
    )
    text = _bracketed_argument(text, r"\\(sqrt|cbrt)\s*\(", r"\\\1{", "}")
    text = _bracketed_argument(text, r"(?<![A-Za-z])\\?exp\s*\(", "e^{", "}")
    text = _bracketed_argument(text, r"\^\s*\(", "^{", "}")
    text = text.replace(r"\cbrt{", r"\sqrt[3]{")
    text = re.sub(r"(?<![A-Za-z\\])(?:infinity|infty|inf|oo)(?![A-Za-z])", r"\\infty ", text)
    return re.sub(rf"(?<![A-Za-z\\])({'|'.join(_GREEK + _FUNCTIONS)})(?![A-Za-z])", r"\\\1 ", text)


def _bracketed_argument(text: str, name: str, opening: str, closing: str) -> str:
    """`text` with every `name` and its round brackets written as `opening` ... `closing`; unbalanced ones stay."""
    while call := re.search(name, text):
        depth, end = 1, call.end()
        while end < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        if depth:
            break
        text = (
            text[: call.start()]
            + call.expand(opening)
            + text[call.end() : end - 1]
            + closing
            + text[end:]
        )
    return text


def _braced_fractions(text: str) -> str:
    r"""\frac12, \frac 59, \frac9{19} and \frac{270}7 with all their braces."""
    text = re.sub(r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{", text)
    return re.sub(
        r"\\frac\s*\{([^{}]*)\}\s*(?:\{([^{}]*)\}|(\d))",
        lambda f: f"\\frac{{{f[1]}}}{{{f[2] or f[3] or ''}}}",
        text,
    )


def _improper(mixed: re.Match) -> str:
    """A mixed number as one fraction: 2 1/2 is 5/2; what only looks like one, 4 10/3, stays."""
    whole, above, below = int(mixed[1]), int(mixed[2] or mixed[4]), int(mixed[3] or mixed[5])
    return f"\\frac{{{whole * below + above}}}{{{below}}}" if 0 < above < below else mixed[0]


def _spaced(text: str) -> str:
    """Spaces only where they part two words, two numbers or the members of a list."""
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"(?<![\w,]) | (?![\w])|(?<=[A-Za-z]) (?=\d)", "", text)
