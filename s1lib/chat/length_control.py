"""What a prompt says about how long to think (paper, section 3.2), in training and when asked.

    token_limit(question, 1024)        # "... Think for up to 1024 tokens."
    step_limit(question, 64)           # "... Think for up to 64 steps."
    count_down(trace, separator="\n\n")
    # (64, "<|im_start|>64 steps left\n...\n<|im_start|>63 steps left\n...")

Limits are rounded up to powers of two, so that a model sees each of them often. The class sentences
are our own words, as the paper's are not published.
"""

from __future__ import annotations

import re

from s1lib.chat import IM_START

TOKEN_LIMIT, STEP_LIMIT = "\nThink for up to {} tokens.", "\nThink for up to {} steps."
STEPS_LEFT = IM_START + "{} steps left"
CLASSES = {  # a length of "none" leaves the question as it is
    "short": "\nThink for a short time.",
    "none": "",
    "long": "\nThink for a long time.",
}
COUNTED = re.compile(re.escape(IM_START) + r"\d+ steps left")


def token_limit(question: str, tokens: int) -> str:
    return question + TOKEN_LIMIT.format(tokens)


def step_limit(question: str, steps: int) -> str:
    return question + STEP_LIMIT.format(steps)


def length_class(question: str, length: str) -> str:
    """`length`: a key of CLASSES."""
    return question + CLASSES[length]


def power_of_two(number: int) -> int:
    """The smallest power of two that is at least `number`."""
    return 1 << max(0, number - 1).bit_length()


def split_steps(trace: str, separator: str) -> list[str]:
    """The steps of a trace: what stands between separators (blank lines in the paper's)."""
    return [step.strip() for step in trace.split(separator) if step.strip()]


def count_down(trace: str, *, separator: str) -> tuple[int, str]:
    """(limit, trace with "<|im_start|>N steps left" before each step), counted down from limit."""
    steps = split_steps(trace, separator)
    limit = power_of_two(len(steps))
    counted = [f"{STEPS_LEFT.format(limit - index)}\n{step}" for index, step in enumerate(steps)]
    return limit, "\n".join(counted)


def words() -> list[str]:
    """The fixed pieces of these texts, for a tokenizer that wants them as tokens."""
    texts = (TOKEN_LIMIT, STEP_LIMIT, STEPS_LEFT.removeprefix(IM_START))
    pieces = [piece for text in texts for piece in text.split("{}")]
    return [piece for piece in dict.fromkeys([*pieces, *CLASSES.values()]) if piece]
