"""Thinking formats, s1's above all: delimiters, prompts and examples, as text and as token ids."""

from s1lib.chat.format import ANSWER_PREFIX, WAIT, ChatFormat, lettered
from s1lib.chat.template import ChatFormatError
from s1lib.chat.thinking_format import (
    ANSWER,
    END_OF_TEXT,
    FINAL_ANSWER,
    IM_END,
    IM_START,
    S1,
    THINK,
    format_of,
    split_trace,
)

__all__ = [
    "ANSWER",
    "ANSWER_PREFIX",
    "END_OF_TEXT",
    "FINAL_ANSWER",
    "IM_END",
    "IM_START",
    "S1",
    "THINK",
    "WAIT",
    "ChatFormat",
    "ChatFormatError",
    "format_of",
    "lettered",
    "split_trace",
]
