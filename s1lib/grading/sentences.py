"""The answer inside a sentence: "The value is $5$, because ..." says $5$."""

from __future__ import annotations

import re

LONGEST = 2000  # characters of a line that is looked at as a sentence

_MATHEMATICS = re.compile(r"\$[^$\n]{1,400}\$|\\\([^\n]{1,400}?\\\)")
_LISTED = re.compile(r"[\s,;]*(?:\b(?:and|or)\b)?\s*")
_PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z][a-z]{2,}")
_SAID = re.compile(r"(.*\b(?:is|are|equals|be)\b|.*[a-z]{3} =)(?=\s)", re.DOTALL)
_REASON = re.compile(r"[\s,;(]+(?:because|since|which|where)\b.*", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[^\s.][.!])\s+(?=[A-Z][a-z]|[AI]\s[a-z]).*", re.DOTALL)
_ADVERBS = re.compile(
    r"^(?:(?:therefore|thus|then|simply|just|hence|clearly|indeed|approximately|about|roughly)\b[\s,:]*"
    r"|≈\s*|\\approx\b\s*)+",
    re.IGNORECASE,
)
# "(forty-two)" behind 42, a special token, the end of a proof.
_ASIDE = re.compile(
    r"(?<=\d)\s+\([a-z][a-z -]{2,60}\)$|<[|/].*|\s*\$?\\(?:blacksquare|square|qed)\b\$?$",
    re.DOTALL,
)
_EMPHASIS = ' \t\r\n*_`"“”'


def tidied(line: str) -> str:
    """`line` without emphasis, a reason behind it, a second sentence and the final full stop."""
    if len(line) > LONGEST:
        return line.strip()
    line = _REASON.sub("", _SENTENCE_END.sub("", line))
    line = _ADVERBS.sub("", line.strip(_EMPHASIS), count=1).strip(_EMPHASIS)
    line = _ASIDE.sub("", line.removesuffix("\\]").removesuffix("$$").rstrip(_EMPHASIS))
    return line.removesuffix("**!").removesuffix(".").rstrip(_EMPHASIS)


def stated(line: str) -> str:
    """The mathematics in a sentence such as "The value is $5$"; other text as it stands."""
    outside = _MATHEMATICS.sub(" ", line)
    if len(line) > LONGEST or not _PROSE.search(re.sub(r"\b(?:and|or)\b", " ", outside)):
        return line

    # Formulas that are listed, "$3$ and $5$", are one answer: the last run of them in the sentence.
    formulas = list(_MATHEMATICS.finditer(line))
    if formulas:
        first = len(formulas) - 1
        while first and _LISTED.fullmatch(line, formulas[first - 1].end(), formulas[first].start()):
            first -= 1
        begins_with_it = not line[: formulas[first].start()].strip()
        return line if begins_with_it else line[formulas[first].start() : formulas[-1].end()]

    # Without formulas it is what comes after the verb, if that holds a number.
    said = _SAID.match(line)
    tail = line[said.end() :].strip() if said else ""
    return tail if re.search(r"[\d\\]", tail) else line
