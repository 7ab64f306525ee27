"""How many tokens a run decodes: the lengths that the paper reports, method by method.

These are the lengths of a 32B model. A smaller one rambles more or stops earlier.
"""

from __future__ import annotations

from s1lib.chat.length_control import CLASSES
from s1lib.evaluation.methods import (
    ClassConditional,
    Direct,
    Forcing,
    Method,
    Sampling,
    StepConditional,
    TokenConditional,
    TreeSearch,
)
from s1lib.hardware.training_time import TOKENS
from s1lib.profile import CUT
from s1lib.published.paper_numbers import load

PROMPT = 200  # tokens of a question, assumed
ANSWER = 700  # after thinking that ended by itself (Table 12: 659 to 724)
CUT_ANSWER = 100  # after thinking that was ended (Table 12: 15 to 142)
DIRECT = 650  # an answer without thinking (Figure 4b: 128K tokens for GPQA's 198 questions)
WAIT = 450  # thinking that one Wait adds (Figure 4a: 6,657 tokens with two, 8,460 with six)
STEP = 66  # one step of a trace (Table 13: 56 to 70)
TOLD = 1.25  # thinking of a model that is told a limit, beside s1's (Table 12: 7,500 to 6,109)
# Tokens in and out when a model is asked for a domain, a verdict or a trace: assumed, but for the
# trace (Table 7), to which TOKENS' 700 of question and answer are added.
DOMAIN, VERDICT, TRACE = (200, 100), (1_250, 300), (200, 4_300)
JUDGED = 1 / 3  # of the pool's questions are proofs or prose, which a judge grades: assumed
POOL_SAMPLE = 4_300  # of the pool in training: 3,600 of trace (Table 7) and TOKENS' other 700
LONGEST_SAMPLE = 10_000  # of the longest traces, assumed


def natural_thinking(role: str, model: str) -> int:
    """Thinking tokens of a trace that ends by itself, on the benchmark that stands for `role`.

    The paper has them for three benchmarks (Table 14, and Table 8 for the model on cut examples).
    Any other counts as AIME24.
    """
    table = load("table14").query("`class` == 'none'")
    if model == CUT:
        table = load("table8").query("cut_percent > 0")
    by_role = dict(zip(table["benchmark"], table["thinking_tokens"], strict=True))
    return by_role.get(role, by_role["AIME24"])


def sample_tokens(name: str) -> int:
    """Tokens of one example of the training set `name`, before the limit of its length."""
    of_the_pool = dict.fromkeys(("random", "diverse", "full"), POOL_SAMPLE)
    return {**of_the_pool, "longest": LONGEST_SAMPLE}.get(name, TOKENS)


def decoded_tokens(method: Method, natural: int) -> float:
    """Tokens that a method decodes for one problem whose trace ends by itself after `natural`."""
    match method:
        case Direct():
            return min(DIRECT, method.max_tokens)
        case Forcing():
            return _swept(method, natural)
        case Sampling():
            count = max(method.votes, method.tries if method.caps else 0)
            return count * (natural + ANSWER)
        case TokenConditional() | StepConditional():
            return len(method.limits) * (TOLD * natural + ANSWER + CUT_ANSWER)
        case ClassConditional():
            return len(CLASSES) * (TOLD * natural + ANSWER)
        case TreeSearch():
            return sum(method.widths) * (natural + ANSWER)
    raise TypeError(f"no lengths known for {type(method).__name__}")


def separate_tokens(method: Forcing, natural: int) -> float:
    """Tokens of a sweep's points when each is decoded by itself (notebook 03)."""
    alone = (Forcing((point,), method.unlimited) for point in method.points)
    return sum(_swept(one, natural) for one in alone)


def judged_tokens(method: TreeSearch, natural: int) -> float:
    """Tokens that the reward model reads for one problem: every path anew after every step."""
    return sum(method.widths) * natural * natural / (2 * STEP)


def _swept(method: Forcing, natural: int) -> float:
    """One trace, of which a smaller budget cuts a prefix and each string goes on by its Waits."""
    caps = [
        natural if point.max_thinking is None else point.max_thinking for point in method.points
    ]
    cut = sum(cap < natural for cap in caps)
    waits: dict[str, int] = {}
    for point in method.points:
        waits[point.wait] = max(waits.get(point.wait, 0), point.waits)
    answered = (cut < len(caps)) + sum(point.waits > 0 for point in method.points)
    thinking = min(natural, max(caps)) + WAIT * sum(waits.values())
    return thinking + ANSWER * answered + CUT_ANSWER * cut
