"""The s1 text format: delimiters, prompts and training examples, as text and as token ids."""

from s1lib.chat.format import (
    ANSWER,
    ANSWER_PREFIX,
    END_OF_TEXT,
    FINAL_ANSWER,
    IM_END,
    IM_START,
    THINK,
    WAIT,
    ChatFormat,
    ChatFormatError,
    lettered,
    split_trace,
)

__all__ = [
    "ANSWER",
    "ANSWER_PREFIX",
    "END_OF_TEXT",
    "FINAL_ANSWER",
    "IM_END",
    "IM_START",
    "THINK",
    "WAIT",
    "ChatFormat",
    "ChatFormatError",
    "lettered",
    "split_trace",
]
