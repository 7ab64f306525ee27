"""How a model sets its thinking apart from its answer: s1's way is one of several.

    ChatFormat(tokenizer, format_of(tokenizer))            # as the model's chat template tells
    ChatFormat(tokenizer, format_of(tokenizer, "plain"))   # as it is stated

A format is data. docs/thinking_formats.md shows a turn in each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from s1lib.chat.template import ChatFormatError

IM_START, IM_END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
THINK, ANSWER = IM_START + "think", IM_START + "answer"
FINAL_ANSWER = "Final Answer:"


@dataclass(frozen=True)
class ThinkingFormat:
    """The texts around a model's thinking; one that is empty does not exist.

    opens: begins the thinking, at the end of a prompt whose chat template has not begun it.
    closes: ends the thinking, and a text like it ends the answer. An end of the turn always does.
    answers: appended to thinking that the model itself has ended.
    forced: appended, after a line break, to thinking that is cut; without `answers`, to any. It
        begins with `answers`, and holds it there alone, since a turn is split at the last one.
    turn_end: what ends a turn, where that is not for the chat template to say.
    in_templates: chat templates know the format, so they may begin the thinking, and switch it.
    Raises ChatFormatError where `forced` would not end the thinking.
    """

    name: str
    opens: str = ""
    closes: str = ""
    answers: str = ""
    forced: str = FINAL_ANSWER
    turn_end: str = ""
    in_templates: bool = False

    def __post_init__(self) -> None:
        if self.answers and self.forced.rfind(self.answers) != 0:
            raise ChatFormatError(
                f"forced of the thinking format {self.name} must begin with its answers, "
                f"{self.answers!r}, and hold it only there: as it is, {self.forced!r} would not "
                "end a thinking that is cut"
            )


S1 = ThinkingFormat(
    "s1",
    opens=THINK,
    closes=IM_START,
    answers=ANSWER,
    forced=f"{ANSWER}\n{FINAL_ANSWER}",
    turn_end=IM_END,
)
THINK_TAGS = ThinkingFormat(
    "think",
    opens="<think>",
    closes="</think>",
    answers="</think>",
    forced=f"</think>\n\n{FINAL_ANSWER}",
    in_templates=True,
)
PLAIN = ThinkingFormat("plain")  # no delimiters: the thinking is the turn, then it is asked
FORMATS = {known.name: known for known in (S1, THINK_TAGS, PLAIN)}


def format_of(tokenizer: Any, stated: str = "auto") -> ThinkingFormat:
    """The format that is stated by name, or else the one that the tokenizer tells.

    A chat template that names the think tags tells them. Otherwise a vocabulary with the tokens
    that s1's delimiters are made of is taken for s1's. Raises ChatFormatError where neither is so.
    """
    if stated in FORMATS:
        return FORMATS[stated]
    if stated != "auto":
        raise ChatFormatError(
            f"there is no thinking format {stated!r}: state one of auto, {', '.join(FORMATS)}"
        )
    if told := told_by(tokenizer):
        return told
    # A tokenizer without a template cannot ask anything, which `ChatFormat` says.
    if {IM_START, IM_END} <= tokenizer.get_vocab().keys() or not tokenizer.chat_template:
        return S1
    raise ChatFormatError(
        "neither its chat template nor its vocabulary tells how this model thinks: state it as "
        f"`s1 think --format` or evaluation.thinking_format, one of {', '.join(FORMATS)}"
    )


def told_by(tokenizer: Any) -> ThinkingFormat | None:
    """The format that a model's chat template names, if it names one."""
    template = tokenizer.get_chat_template() if tokenizer.chat_template else ""
    tags = (THINK_TAGS.opens, THINK_TAGS.closes)
    return THINK_TAGS if any(tag in template for tag in tags) else None


def split_trace(text: str, format: ThinkingFormat = S1) -> tuple[str, str]:
    """(thinking, answer) of an assistant's turn, split at the *last* delimiter of the format."""
    thinking, delimiter, answer = text.rpartition(format.answers)
    if not delimiter:
        thinking, answer = text, ""
    thinking = thinking.removeprefix(format.opens).strip("\n")
    return thinking, answer.replace(format.turn_end, "").strip("\n")
