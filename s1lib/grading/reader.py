"""Where the final answer stands in an answer segment."""

from __future__ import annotations

import re


def extract_answer(answer: str) -> str | None:
    r"""The final answer in an answer segment: the last \boxed{}, else what follows the last "Answer:"; None without either.

    s1_facts section 6, rule 9; braces are balanced, so \boxed{\frac{1}{2}} comes out whole.
    """
    boxed = _last_boxed(answer)
    if boxed is not None:
        return boxed.strip()
    found = re.split(r"(?:Final )?Answer:", answer)
    if len(found) > 1 and found[-1].strip():
        return found[-1].strip().splitlines()[0].strip()
    return None


def _last_boxed(text: str) -> str | None:
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    begin, depth = start + len("\\boxed{"), 1
    for position in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[begin:position]
    return None
