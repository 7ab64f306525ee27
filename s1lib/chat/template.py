"""What a tokenizer's chat template writes, with nothing in it that changes from day to day.

Templates such as Llama 3.1's write today's date into the prompt. `TODAY` stands in its place, so
that a prompt has the same ids tomorrow and finished work is found again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from jinja2 import TemplateError

from s1lib.errors import S1Error

TODAY = date(2024, 7, 26)  # what Llama 3.2's template writes where it cannot know the date
MARK = "\ue000"  # of Unicode's private use, so that no template writes it

# A prompt that ends so has begun the thinking in its own way: "<think>", "[THINK]", s1's own.
OPENED = re.compile(
    r"(<[^<>/]*(think|thought|reason)[^<>/]*>|\[think\]|<\|im_start\|>think)\s*$", re.IGNORECASE
)


class ChatFormatError(S1Error):
    """The tokenizer cannot carry the thinking format, and the message says what is missing."""


def render(tokenizer: Any, messages: Sequence[dict], *, prompt: bool, **switches: Any) -> str:
    """The messages as the tokenizer's chat template writes them.

    prompt: go on to where the assistant's turn begins. switches: variables of the template.
    """
    try:
        return tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=prompt,
            strftime_now=TODAY.strftime,
            **switches,
        )
    except (TemplateError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ChatFormatError(
            f"the chat template cannot be applied ({reason}): set another one"
        ) from None


def turn_end(tokenizer: Any) -> str:
    """What the chat template writes after an assistant's answer; "" where that is nothing."""
    question, answer = {"role": "user", "content": "?"}, {"role": "assistant", "content": MARK}
    _, mark, after = render(tokenizer, [question, answer], prompt=False).rpartition(MARK)
    return after.strip() if mark else ""
