"""Faults of a trace that a program can tell: it is unreadable, loops, or was cut off.

The paper found such traces by looking at samples (section 2.2). What decides is on the side of the
sample wherever two readings are possible: numbers, tables and lists may repeat, and an answer may
be written in LaTeX in one place and plainly in the other.
"""

from __future__ import annotations

import re
import unicodedata

from s1lib.curation.pool import Sample
from s1lib.grading import extract_answer

READABLE = bytes([*b"\n\t\r", *range(32, 127)])

SAME_LINE = 4  # as many equal lines in a row are a loop
ROUNDS, LOOP = 4, 300  # so is a passage said so often, if that fills so many characters
DATA_LOOP = 10_000  # characters that repeated numbers, rows of a table or symbols may fill
PASSAGE = 2000  # characters of the longest passage that is looked for
PROBE, STRIDE = 24, 100  # characters: samples of the text that are looked for again, how far apart

SHORT_ANSWER = 12  # letters and digits; a longer answer need not be in the trace word for word
CONCLUSION = 3  # lines at the end of a trace that must hold a short answer
TAIL = 4000  # characters that such lines may have in all
LONGEST_WORD = 50  # characters

_COMMAND = re.compile(r"\\(?:begin|end)\{[^}]*\}|\\[A-Za-z]+|π")
_UNIT = re.compile(r"(?<=\d)[\s\\,]*\\(?:text|mbox|mathrm)\{[^{}]*\}[\s$.]*$")
_LETTER = re.compile(r"[^\W\d_]")
_CELLS = re.compile(r"[|&\t]|\S {2,}\S")
_LIST_ITEM = re.compile(r"[-*•+] |\(?\w{1,3}[.)] ")
_OPEN_END = re.compile(r"(?:[=+×·/^\\(\[{≤≥&,−]|[\w)\]}]\s*-)$")
_OPEN_DOLLAR = re.compile(r"(?:^|[\s(])\$(?![\s\d.,;:!?)])")
_OPENED = [(r"\(", r"\)"), (r"\[", r"\]"), (r"\begin{", r"\end{")]
_NEVER_LAST = re.compile(r"the|an|of|and|or|but|because|if|with|by|from|is|are|was|were|we|since")


def unreadable(sample: Sample) -> bool:
    """Characters that no encoding meant: U+FFFD, control, private-use and unassigned ones."""
    # Of megabytes of plain text, little is left to look at one by one.
    odd = sample.trace.encode("utf-8", "surrogatepass").translate(None, READABLE)
    return any(
        character == "\ufffd" or unicodedata.category(character) in ("Cc", "Co", "Cn", "Cs")
        for character in set(odd.decode("utf-8", "surrogatepass"))
    )


# ---- loops ---------------------------------------------------------------------------------------


def loops(sample: Sample) -> bool:
    """The same words again and again: a line, several lines in turn, or a passage within a line."""
    return _repeats_a_line(sample.trace) or _repeats_a_passage(sample.trace)


def _repeats_a_line(text: str) -> bool:
    """SAME_LINE equal lines in a row that are a statement: no cells, no list item, not one word."""
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    for run in zip(*(lines[start:] for start in range(SAME_LINE)), strict=False):
        if run[0] == run[-1] and len(set(run)) == 1:
            line = run[0]
            if len(line.split()) > 1 and not _LIST_ITEM.match(line) and not _is_data(line):
                return True
    return False


def _repeats_a_passage(text: str) -> bool:
    """A passage of up to PASSAGE characters that is repeated back to back.

    It must come ROUNDS times and fill LOOP characters, or DATA_LOOP if it has no words.
    """
    place = 0
    while place + PROBE <= len(text):
        # Text rarely comes again so soon, in a loop always: it is enough to look at samples.
        again = text.find(text[place : place + PROBE], place + 1, place + PASSAGE + PROBE)
        end = place
        if again > 0:
            period = again - place
            start, end = _stretch(text, place, period)
            limit = DATA_LOOP if _is_data(text[place:again]) else LOOP
            if end - start >= max(limit, ROUNDS * period):
                return True
        place = max(place + STRIDE, end)
    return False


def _stretch(text: str, place: int, period: int) -> tuple[int, int]:
    """(start, end) of the text around `place` that repeats itself after `period` characters."""
    start, end = place, place + period
    while start > max(0, place - DATA_LOOP) and text[start - 1] == text[start - 1 + period]:
        start -= 1
    last = min(len(text), place + period + DATA_LOOP)
    while end < last and text[end] == text[end - period]:
        end += 1
    return start, end


def _is_data(text: str) -> bool:
    """Cells of a table or a matrix, or no letter outside of LaTeX commands."""
    return bool(_CELLS.search(text)) or not _LETTER.search(_COMMAND.sub(" ", text))


# ---- cut off -------------------------------------------------------------------------------------


def cut_off(sample: Sample) -> bool:
    """There is no answer, the trace stops within a formula or a sentence, or before its answer."""
    lines = [line for line in sample.trace[-TAIL:].splitlines() if line.strip()]
    if _stops_within_a_formula(lines) or _stops_within_a_sentence(sample):
        return True

    answer = _short_answer(sample.attempt)
    if answer is None:  # a proof, say, which no line of the trace repeats
        return False
    conclusion = "\n".join(lines[-CONCLUSION:])
    return not answer or not (_names(conclusion, answer) or extract_answer(conclusion))


def _short_answer(attempt: str) -> str | None:
    """Letters and digits of the attempt's answer, LaTeX commands left out.

    None for an answer that is too long to be looked for, or is made of commands alone.
    """
    one_line = len(attempt.strip().splitlines()) == 1
    text = (extract_answer(attempt) if one_line else None) or attempt.rsplit("Answer:", 1)[-1]
    # The trace may not say "x =" or name the unit.
    text = re.sub(r"^[\s$]*[A-Za-z]\s*(?:=|\\in\b)(?=[^=]*$)", "", _UNIT.sub("", text))
    answer = "".join(filter(str.isalnum, _COMMAND.sub(" ", text)))
    if len(answer) > SHORT_ANSWER or (not answer and _COMMAND.search(text)):
        return None
    return answer


def _names(text: str, answer: str) -> bool:
    r"""Whether `text` holds the answer's letters and digits in a row, and no others next to them.

    So `1,234` names 1234, `\frac{1}{2}` names 1/2 and "3 and 5" names 3, 5, but neither 17 nor
    1.7 names 7. The case of a single letter counts: "because of a" does not name A.
    """
    row = r"(?:[\W_]|\b(?:and|or)\b)*".join(map(re.escape, answer))
    flags = re.IGNORECASE if len(answer) > 1 else 0
    pattern = rf"(?<![^\W_])(?<!\d[.,]){row}(?![^\W_])(?![.,]\d)"
    return re.search(pattern, _COMMAND.sub(" ", text), flags) is not None


def _stops_within_a_formula(lines: list[str]) -> bool:
    """An operator or an open bracket comes last, or LaTeX was opened and not closed."""
    if not lines:
        return False
    tail, last = "\n".join(lines), lines[-1].rstrip()
    if _OPEN_END.search(last):
        return True
    if any(tail.replace(r"\\", "  ").rfind(a) > tail.rfind(b) for a, b in _OPENED):
        return True

    # Braces are LaTeX's in a line with commands; a dollar sign before a number is money.
    braces = last.replace(r"\{", "").replace(r"\}", "")
    if "\\" in last and braces.count("{") > braces.count("}"):
        return True
    place = tail.rfind("$")
    return place >= 0 and _OPEN_DOLLAR.match(tail, max(0, place - 1)) is not None


def _stops_within_a_sentence(sample: Sample) -> bool:
    """The last word ends no sentence, or is the beginning of one that is written out elsewhere."""
    trace = sample.trace.rstrip()
    found = re.search(r"[^\W\d_]+$", trace[-LONGEST_WORD:])
    if not found:
        return False
    last = found[0].lower()
    if _NEVER_LAST.fullmatch(last):
        return True
    if len(last) < 3:
        return False

    # "equat" at the end is the beginning of "equation" where that word is written out elsewhere.
    rest = f"{sample.question}\n{trace[: -len(found[0])]}\n{sample.attempt}".lower()
    words = [
        match[0]
        for match in re.finditer(last + r"[^\W\d_]*", rest)
        if not rest[match.start() - 1 : match.start()].isalpha()
    ]
    return last not in words and any(len(word) > len(last) + 1 for word in words)
