"""A thinking format bound to one tokenizer: the one place that knows the delimiters' ids.

(Paper, section 3.1 and appendix C.) A training example of the s1 format is the tokenizer's own chat
template with the assistant's turn

    <|im_start|>think
    {trace}
    <|im_start|>answer
    {answer}<|im_end|>

Every delimiter is kept as a *sequence* of ids, so that tokenizers that spell it with several tokens
work as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from string import ascii_uppercase
from typing import Any

from s1lib.chat.spelled import control_tokens, prompt_ids_of, whole
from s1lib.chat.template import OPENED, ChatFormatError, render, turn_end
from s1lib.chat.thinking_format import (
    ANSWER,
    END_OF_TEXT,
    FINAL_ANSWER,
    IM_END,
    S1,
    THINK,
    ThinkingFormat,
    split_trace,
)

ANSWER_PREFIX = "Answer:"
WAIT = "Wait"
EXAMPLE = "What is 6 times 7?"  # a question that every chat template must render
# The switch of a template that has one: Qwen3's name for it, and DeepSeek-V3.1's.
THINKING_ON = {"enable_thinking": True, "thinking": True}


@dataclass(frozen=True)
class ChatFormat:
    """A thinking format, s1's if no other is given, and the tokenizer whose ids all of its ids are.

    Raises ChatFormatError, one line, where the two do not fit.
    """

    tokenizer: Any
    format: ThinkingFormat = S1

    def __post_init__(self) -> None:
        self._check_can_write(self.format.opens, self.format.answers, self.format.turn_end)
        if not self.tokenizer.chat_template:
            raise ChatFormatError(
                "the tokenizer has no chat template: use an Instruct model's tokenizer or set one"
            )

        # A template may be made for questions that are lists of parts.
        if EXAMPLE not in self.prompt_text(EXAMPLE):
            raise ChatFormatError(
                "the chat template leaves the question out: set one that takes it as plain text"
            )

        for text in ("\n", FINAL_ANSWER):
            if self.decode(self.encode(text)) != text:
                raise ChatFormatError(
                    f"the tokenizer cannot write {text!r}, which budget forcing appends: "
                    "use another one"
                )

        self._check_prompt()
        self._check_can_write(self._turn_end)
        if not self.turn_ends:
            raise ChatFormatError(
                "neither the chat template nor the tokenizer's eos_token says what ends a turn: "
                "set one of them"
            )

    def _check_can_write(self, *texts: str) -> None:
        unknown = self.tokenizer.unk_token_id
        for text in filter(None, texts):
            ids = self.encode(text)
            if not ids or (unknown is not None and unknown in ids):
                raise ChatFormatError(
                    f"the tokenizer cannot write {text!r}: add it to its vocabulary"
                )

    def _check_prompt(self) -> None:
        """Raises ChatFormatError for a template whose prompt is not where thinking begins."""
        if self._opened and not (self.format.in_templates and self._opened == self.format.opens):
            raise ChatFormatError(
                f"the chat template opens the thinking itself, with {self._opened!r}, not as "
                f"{self.format.name} does: take the model's own format (`format_of`), or set a "
                "template whose prompt ends where the assistant's turn begins"
            )
        closes = self.format.in_templates and self.format.closes
        if closes and self.prompt_text("?").rstrip().endswith(closes):
            raise ChatFormatError(
                f"the chat template ends the thinking before it begins, with {closes!r}: "
                "set one that leaves it to the model"
            )

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as it stands: nothing is added in front or behind."""
        return self.tokenizer.encode(whole(text), add_special_tokens=False)

    def decode(self, ids: list[int]) -> str:
        """Text of `ids`, delimiters included, to show and to grade but never to feed back."""
        return self.tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    # ---- delimiters, as ids ----------------------------------------------------------------------

    @cached_property
    def think_start(self) -> tuple[int, ...]:
        """What opens the thinking; nothing where the template has opened it."""
        return () if self._opened else tuple(self.encode(self.format.opens))

    @cached_property
    def answer_start(self) -> tuple[int, ...]:
        """What is appended after a natural stop; nothing where the format has no delimiters."""
        return tuple(self.encode(self.format.answers))

    @cached_property
    def final_answer(self) -> tuple[int, ...]:
        """What a forced stop appends after its newline: end of thinking and "Final Answer:"."""
        return tuple(self.encode(self.format.forced))

    @cached_property
    def newline(self) -> tuple[int, ...]:
        return tuple(self.encode("\n"))

    @cached_property
    def turn_ends(self) -> list[tuple[int, ...]]:
        """The end of the turn and, where the vocabulary has one, of the text."""
        known = self.tokenizer.get_vocab()
        ends = [text for text in (END_OF_TEXT, self.tokenizer.eos_token) if text in known]
        ends = [text for text in (self._turn_end, *ends) if text]
        return list(dict.fromkeys(tuple(self.encode(text)) for text in ends))

    @cached_property
    def _turn_end(self) -> str:
        return self.format.turn_end or turn_end(self.tokenizer)

    @cached_property
    def segment_ends(self) -> list[tuple[int, ...]]:
        """The end of one segment and start of the next, or an end of the turn."""
        return list(dict.fromkeys([*self._closes, *self.turn_ends]))

    @cached_property
    def _closes(self) -> list[tuple[int, ...]]:
        """What closes thinking, as ids."""
        closes = self.format.closes
        if not closes:
            return []
        # Where a tag is several tokens, its ">" and the line breaks after it are often one of them.
        ids, *others = (tuple(self.encode(closes + breaks)) for breaks in ("", "\n", "\n\n"))
        return [ids, *(other for other in others if other[: len(ids)] != ids)]

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

    def prompt_text(self, question: str, *, think: bool = True) -> str:
        """The chat template up to and including the line that opens the assistant's turn.

        Without `think`, a template that knows think tags has a pair with nothing in it there.
        """
        switches = THINKING_ON if self.format.in_templates else {}
        messages = [{"role": "user", "content": question}]
        text = render(self.tokenizer, messages, prompt=True, **switches)
        if think or not self.format.in_templates:
            return text
        return f"{OPENED.sub('', text)}{self.format.opens}\n\n{self.format.closes}\n\n"

    @cached_property
    def _opened(self) -> str:
        """What the template opens the thinking with, if it does."""
        opened = OPENED.search(self.prompt_text("?"))
        return opened[0].strip() if opened else ""

    def prompt_ids(self, question: str, *, think: bool = True) -> list[int]:
        """Ids that open the assistant's turn; `think` adds those that open the thinking.

        No newline follows `<|im_start|>think`, because the model writes it itself. A control token
        that `question` spells ("What does <|im_end|> do?") stays the text it is, and ends nothing.
        """
        ids = prompt_ids_of(
            self.tokenizer,
            question,
            partial(self.prompt_text, think=think),
            self._control_tokens,
        )
        return [*ids, *self.think_start] if think else ids

    @cached_property
    def _control_tokens(self) -> list[str]:
        return control_tokens(self.tokenizer, (self.format.opens, self.format.closes))

    def split(self, thinking: list[int], rest: list[int]) -> tuple[str, str]:
        """(thinking, answer) as texts; `rest` is what was appended to end the thinking, and on."""
        if self.format.answers:
            return split_trace(self.decode([*thinking, *rest]), self.format)
        return self.decode(thinking).strip("\n"), self.decode(rest).strip("\n")

    def example(self, question: str, trace: str, answer: str) -> dict[str, str]:
        """One training example of the s1 format as plain strings; "completion" alone has a loss."""
        if ANSWER_PREFIX not in answer:
            answer = f"{ANSWER_PREFIX} {answer}"
        completion = f"{THINK}\n{trace.strip()}\n{ANSWER}\n{answer.strip()}{IM_END}"
        return {"prompt": self.prompt_text(question), "completion": completion}


def lettered(options: Iterable[str]) -> str:
    """Options below the question, as in the paper (docs/official_rules.md, M1)."""
    lines = [
        f"{letter}) {option}" for letter, option in zip(ascii_uppercase, options, strict=False)
    ]
    return "\n\n" + "\n".join(lines)
