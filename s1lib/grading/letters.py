r"""The letter of a multiple-choice answer: "(B)", "B) 42", "\text{Option B}", "It must be B"."""

from __future__ import annotations

import re

TWO_LETTERS = "two letters"  # what read_letter says of "B or C"

LONGEST = 500  # characters of a value that are looked at

_COMMAND = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathsf|mbox|boxed|bf|rm)\b")
_MARKS = re.compile(r"[$*`\"“”‘’{}]|\\[()\[\],;! ]|(?<![A-Za-z0-9])[_']+|[_']+(?![A-Za-z0-9])")
_INTRODUCTION = re.compile(
    r"(?:\s*(?:it|i(?=\s+\w\w)|we|the|that|must|would|should|be|is|are|so|thus|therefore|hence|clearly"
    r"|most|likely|final|correct|right|best|my|answer|option|choice|letter|statement|choose|pick|select"
    r"|think|believe|guess|go|with)\b[\s,:]*)*",
    re.IGNORECASE,
)
# A letter alone: behind it comes the end, a sign that closes it, a tag such as <unk>, or a verb.
_LETTER = re.compile(
    r"\s*[(\[<]*\s*([A-Z])(?:\s*[)\]>]+|\s*$|\s*[.,:;!](?![A-Za-z0-9])|[-–—]+(?=\s)|<(?=[a-z|/])"
    r"|\s*[/&](?=\s*[(\[]*[A-Z]\b)"
    r"|\s+(?=[-–—(]|\d)|\s+(?=(?:is|because|since|as|but|which)\b)|\s*\n"
    r"|\s+(?=(?:and|or)\s+(?:option\s+)?[(\[]*[A-Z]\b))"
)
_ANOTHER = re.compile(
    r"\s*[)\]>]*\s*(?:,?\s*\b(?:and|or)\b|[,/&+]|(?=[(\[]))\s*(?:option|choice)?\s*[(\[]*"
    r"([B-HJ-Z]|[AI](?!\s+[a-z]))(?![A-Za-z0-9'])"
)
_BRACKETED = re.compile(r"[(\[](?:option |choice )?([A-Z])[)\]]")
_ENDING = re.compile(r"\b(?:is|be|option|choice|answer|choose|pick|select)\s+([A-Z])[\s.!]*$")


# A last line that concludes: "**B**", "Thus (B).", "That is option B.", "B is the right answer."
_CONCLUDED = re.compile(
    r"^\W{0,9}[*$(\[]\W{0,9}([A-Z])\W{0,9}$|[(\[]([A-Z])[)\]]"
    r"|\b(?:[Oo]ption|[Cc]hoice)\W{1,4}([A-Z])\b|\b([A-Z])\W{1,4}is\s+(?:the\s+)?(?:correct|right|best)\b"
)
_DENIED = re.compile(
    r"\b(?:not|wrong|incorrect|false|if|neither|cannot|eliminate\w*)\b|n't\b", re.IGNORECASE
)


def concluded_letter(text: str) -> str | None:
    """The one letter that the last line of `text` marks as an answer, without a label."""
    line = text.rstrip()[-LONGEST:].rpartition("\n")[2]
    letters = {next(filter(None, groups)) for groups in _CONCLUDED.findall(line)}
    return letters.pop() if len(letters) == 1 and not _DENIED.search(line) else None


def read_letter(value: str) -> str | None:
    """The capital letter that `value` names, TWO_LETTERS for different ones, None for none."""
    text = _MARKS.sub(" ", _COMMAND.sub(" ", value[:LONGEST]))
    if re.match(r"\s*(?:both|either)\b", text, re.IGNORECASE):
        text = re.sub(r"\b(?:both|either)\b", "", text, count=1, flags=re.IGNORECASE)

    # The letter opens the value, or follows an introduction such as "I would choose option".
    for start in dict.fromkeys((0, _INTRODUCTION.match(text).end())):
        found = _LETTER.match(text, start)
        if found:
            another = _ANOTHER.match(text, found.end(1))
            return TWO_LETTERS if another and another[1] != found[1] else found[1]

    # Elsewhere in the sentence only an unmistakable form counts: "(B)", or a final "... is B".
    letters = set(_BRACKETED.findall(text)) or set(_ENDING.findall(text))
    if len(letters) > 1:
        return TWO_LETTERS
    return letters.pop() if letters else None
