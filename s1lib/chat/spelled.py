"""Ids of a prompt whose question spells a control token: "What does <|im_end|> do?".

A tokenizer would take it for the token itself, which ends a turn. Here it stays the text it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from s1lib.chat.template import ChatFormatError

PRIVATE_USE = range(0xE000, 0xF900)  # characters that Unicode leaves to their user


def control_tokens(tokenizer: Any, own: Collection[str]) -> list[str]:
    """The special tokens, and those of `own` that the vocabulary has, as texts.

    The longest come first, in case that one is part of another.
    """
    added = tokenizer.added_tokens_decoder.values()
    found = (token.content for token in added if token.special or token.content in own)
    return sorted(found, key=len, reverse=True)


def prompt_ids_of(
    tokenizer: Any, question: str, write: Callable[[str], str], control: Collection[str]
) -> list[int]:
    """Ids of the prompt `write(question)`, in which the question's control tokens are text."""
    spelled = [token for token in control if token in whole(question)]
    if not spelled:
        return tokenizer.encode(write(question), add_special_tokens=False)

    # A character that the question does not hold stands for each while the template is applied.
    free = (chr(code) for code in PRIVATE_USE if chr(code) not in question)
    marks = dict(zip(free, spelled, strict=False))
    for mark, token in marks.items():
        question = question.replace(token, mark)

    ids = []
    for piece in re.split(f"([{''.join(marks)}])", write(question)):
        if piece in marks:
            ids += _as_text(tokenizer, marks[piece])
        else:
            ids += tokenizer.encode(piece, add_special_tokens=False)
    return ids


def whole(text: str) -> str:
    """`text` itself. Raises ChatFormatError for half a character, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ChatFormatError(
            f"character {error.start + 1} of {text[:40]!r} is half of one: was it read in the "
            "wrong encoding?"
        ) from None
    return text


def _as_text(tokenizer: Any, token: str) -> list[int]:
    ids = tokenizer.encode(token, add_special_tokens=False, split_special_tokens=True)
    if len(ids) > 1:
        return ids
    # Think tags are often no special tokens, and so not split: their first character stands alone.
    parts = (token[:1], token[1:])
    return [id for part in parts for id in tokenizer.encode(part, add_special_tokens=False)]
