r"""The boxes of a text: \boxed{} and \fbox{}, with balanced braces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from s1lib.grading.comparer import decided

_BOX_OR_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|[{}]")
_TALK = {"text", "dots", "ldots", "insert", "your", "the", "my", "final", "answer", "here"}
# What may stand between boxes of one answer: "\boxed{3}, \boxed{5}", "x=\boxed{3} and y=\boxed{5}".
_BETWEEN = re.compile(
    r"(?:[\s$,;&{}]|\\[()\[\],;! ]|\\q?quad|\\text\b|\b(?:and|or)\b)*"
    r"(?:\\?[A-Za-z]\w?(?:_\{?\w\}?)?\s*=)?[\s$]*"
)
_MOST_COMPARED = 8  # boxes of one answer
_FARTHEST = 60  # characters between two boxes of one answer


@dataclass(frozen=True)
class Place:
    """Where an answer may stand, by the rule named: `value` with its place in characters."""

    start: int
    end: int
    value: str
    rule: str


def boxes(text: str, clean: Callable[[str], str]) -> Iterator[Place]:
    r"""The boxes that hold an answer, in order; `clean` is applied to what each holds.

    Boxes listed side by side are one answer. A box that is cut off is left out, and so is one that
    only quotes the instruction: "put your answer in \boxed{}".
    """
    group: list[tuple[int, int, str]] = []
    for start, opened, end in _closed(text):
        value = text[opened:end].strip()
        if _is_placeholder(value):
            continue
        if group and not _belong_together(text, group[-1][1] + 1, start):
            yield _one(group)
            group = []
        group.append((start, end, clean(value)))
    if group:
        yield _one(group)


def last_box(text: str) -> str | None:
    r"""What the last \boxed{} holds, None when it is cut off or there is none."""
    start = text.rfind("\\boxed{")
    return next((text[opened:end] for begin, opened, end in _closed(text) if begin == start), None)


def _closed(text: str) -> Iterator[tuple[int, int, int]]:
    """(start, start of content, closing brace) of every closed box with none inside, in turn."""
    stack: list[tuple[int, int] | None] = []
    latest = -1
    for token in _BOX_OR_BRACE.finditer(text):
        if token[0] != "}":
            stack.append((token.start(), token.end()) if len(token[0]) > 1 else None)
        elif stack and (box := stack.pop()) and box[0] > latest:
            latest = box[0]
            yield (*box, token.start())


def _is_placeholder(value: str) -> bool:
    """Whether a box holds nothing: blank, dots, or words such as "your answer here"."""
    words = re.findall(r"[A-Za-z]+", value)
    signs = re.sub(r"[A-Za-z]+", "", value).replace(r"\{\}", "∅")  # the empty set is an answer
    return {word.lower() for word in words} <= _TALK and not signs.strip(" \t\r\n.…?_<>[]{}~$\\-")


def _belong_together(text: str, start: int, end: int) -> bool:
    """Whether nothing but a separator stands between two boxes; a blank line separates answers."""
    between = text[start:end]
    return (
        0 <= end - start <= _FARTHEST
        and "\n\n" not in between
        and bool(_BETWEEN.fullmatch(between))
    )


def _one(group: list[tuple[int, int, str]]) -> Place:
    """One answer out of boxes side by side; a box that only repeats another counts once."""
    values: list[str] = []
    for value in dict.fromkeys(value for _, _, value in group):
        if not any(decided(value, other) for other in values[:_MOST_COMPARED]):
            values.append(value)
    return Place(
        group[0][0], group[-1][1], ", ".join(values), "boxes" if len(values) > 1 else "box"
    )
