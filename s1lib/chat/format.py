"""The s1 text format and its token ids: the one place that knows the delimiters.

(Paper, section 3.1 and appendix C.) A training example is the tokenizer's own chat template with
the assistant's turn

    <|im_start|>think
    {trace}
    <|im_start|>answer
    {answer}<|im_end|>

Every delimiter is kept as a *sequence* of ids, so that tokenizers that spell it with several tokens
work as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase
from typing import Any

from jinja2 import TemplateError

from s1lib.errors import S1Error

IM_START, IM_END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
THINK, ANSWER = IM_START + "think", IM_START + "answer"
FINAL_ANSWER = "Final Answer:"
ANSWER_PREFIX = "Answer:"
WAIT = "Wait"
EXAMPLE = "What is 6 times 7?"  # a question that every chat template must render

# A prompt that ends so has begun the thinking in its own way: "<think>", "[THINK]", our THINK.
OPENED = re.compile(
    rf"(<[^<>/]*(think|thought|reason)[^<>/]*>|\[think\]|{re.escape(THINK)})\s*$", re.IGNORECASE
)
PRIVATE_USE = range(0xE000, 0xF900)  # characters that Unicode leaves to their user


class ChatFormatError(S1Error):
    """The tokenizer cannot carry the s1 format, and the message says what is missing."""


@dataclass(frozen=True)
class ChatFormat:
    """The s1 format bound to one tokenizer, whose ids all of its ids are."""

    tokenizer: Any

    def __post_init__(self) -> None:
        unknown = self.tokenizer.unk_token_id
        for delimiter in (THINK, ANSWER, IM_END):
            ids = self.encode(delimiter)
            if not ids or (unknown is not None and unknown in ids):
                raise ChatFormatError(
                    f"the tokenizer cannot write {delimiter!r}: add it to its vocabulary"
                )

        if not self.tokenizer.chat_template:
            raise ChatFormatError(
                "the tokenizer has no chat template: use an Instruct model's tokenizer or set one"
            )

        # A template may be broken, or made for questions that are lists of parts.
        try:
            asked = self.prompt_text(EXAMPLE)
        except (TemplateError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ChatFormatError(
                f"the chat template cannot be applied ({reason}): set another one"
            ) from None
        if EXAMPLE not in asked:
            raise ChatFormatError(
                "the chat template leaves the question out: set one that takes it as plain text"
            )

        for text in ("\n", FINAL_ANSWER):
            if self.decode(self.encode(text)) != text:
                raise ChatFormatError(
                    f"the tokenizer cannot write {text!r}, which budget forcing appends: "
                    "use another one"
                )

        if opened := OPENED.search(self.prompt_text("?")):
            raise ChatFormatError(
                f"the chat template opens the thinking itself, with {opened[0].strip()!r}: "
                "set one whose prompt ends where the assistant's turn begins"
            )

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as it stands: nothing is added in front or behind."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def decode(self, ids: list[int]) -> str:
        """Text of `ids`, delimiters included, to show and to grade but never to feed back."""
        return self.tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    # ---- delimiters, as ids ----------------------------------------------------------------------

    @cached_property
    def think_start(self) -> tuple[int, ...]:
        return tuple(self.encode(THINK))

    @cached_property
    def answer_start(self) -> tuple[int, ...]:
        return tuple(self.encode(ANSWER))

    @cached_property
    def final_answer(self) -> tuple[int, ...]:
        """What a forced stop appends after its newline: end of thinking and "Final Answer:"."""
        return tuple(self.encode(f"{ANSWER}\n{FINAL_ANSWER}"))

    @cached_property
    def newline(self) -> tuple[int, ...]:
        return tuple(self.encode("\n"))

    @cached_property
    def turn_ends(self) -> list[tuple[int, ...]]:
        """The end of the turn and, where the vocabulary has one, of the text."""
        known = self.tokenizer.get_vocab()
        ends = [text for text in (END_OF_TEXT, self.tokenizer.eos_token) if text in known]
        return list(dict.fromkeys(tuple(self.encode(text)) for text in (IM_END, *ends)))

    @cached_property
    def segment_ends(self) -> list[tuple[int, ...]]:
        """The start of a new segment, or an end of the turn."""
        return list(dict.fromkeys([tuple(self.encode(IM_START)), *self.turn_ends]))

    @property
    def thinking_stops(self) -> list[tuple[int, ...]]:
        """What ends thinking."""
        return self.segment_ends

    @property
    def answer_stops(self) -> list[tuple[int, ...]]:
        """What ends the answer: the same, as a segment after the answer is not part of it."""
        return self.segment_ends

    def step_ends(self, separator: str) -> list[tuple[int, ...]]:
        """Ids at which a text ends with `separator`: it alone, and each token that ends with it."""
        if separator not in self._step_ends:
            texts = self.tokenizer.batch_decode([[token] for token in range(len(self.tokenizer))])
            carried = [(token,) for token, text in enumerate(texts) if text.endswith(separator)]
            alone = tuple(self.encode(separator))
            self._step_ends[separator] = list(dict.fromkeys([alone, *carried]))
        return self._step_ends[separator]

    @cached_property
    def _step_ends(self) -> dict[str, list[tuple[int, ...]]]:
        return {}

    def ends_with_newline(self, ids: list[int]) -> bool:
        return bool(ids) and self.decode(ids[-1:]).endswith("\n")

    # ---- prompts and examples --------------------------------------------------------------------

    def prompt_text(self, question: str) -> str:
        """The chat template up to and including the line that opens the assistant's turn."""
        messages = [{"role": "user", "content": question}]
        return self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )

    def prompt_ids(self, question: str, *, think: bool = True) -> list[int]:
        """Ids that open the assistant's turn; `think` adds those of `<|im_start|>think`.

        No newline follows, because the model writes it itself. A special token that `question`
        spells ("What does <|im_end|> do?") stays the text it is, and ends nothing.
        """
        ids = self._template_ids(question)
        return [*ids, *self.think_start] if think else ids

    def _template_ids(self, question: str) -> list[int]:
        spelled = [token for token in self._special_tokens if token in question]
        if not spelled:
            return self.encode(self.prompt_text(question))

        # A character that the question does not hold stands for each while the template is applied.
        free = (chr(code) for code in PRIVATE_USE if chr(code) not in question)
        marks = dict(zip(free, spelled, strict=False))
        for mark, token in marks.items():
            question = question.replace(token, mark)

        ids = []
        for piece in re.split(f"([{''.join(marks)}])", self.prompt_text(question)):
            if piece in marks:
                ids += self.tokenizer.encode(
                    marks[piece], add_special_tokens=False, split_special_tokens=True
                )
            else:
                ids += self.encode(piece)
        return ids

    @cached_property
    def _special_tokens(self) -> list[str]:
        """Longest first, in case that one is part of another."""
        added = self.tokenizer.added_tokens_decoder.values()
        return sorted((token.content for token in added if token.special), key=len, reverse=True)

    def example(self, question: str, trace: str, answer: str) -> dict[str, str]:
        """One training example as plain strings, of which "completion" alone has a loss."""
        if ANSWER_PREFIX not in answer:
            answer = f"{ANSWER_PREFIX} {answer}"
        completion = f"{THINK}\n{trace.strip()}\n{ANSWER}\n{answer.strip()}{IM_END}"
        return {"prompt": self.prompt_text(question), "completion": completion}


def split_trace(text: str) -> tuple[str, str]:
    """(thinking, answer) of an assistant's turn, split at the *last* answer delimiter."""
    thinking, delimiter, answer = text.rpartition(ANSWER)
    if not delimiter:
        thinking, answer = text, ""
    thinking = thinking.removeprefix(THINK).strip("\n")
    return thinking, answer.replace(IM_END, "").strip("\n")


def lettered(options: Iterable[str]) -> str:
    """Options below the question, as in the paper (docs/official_rules.md, M1)."""
    lines = [
        f"{letter}) {option}" for letter, option in zip(ascii_uppercase, options, strict=False)
    ]
    return "\n\n" + "\n".join(lines)
