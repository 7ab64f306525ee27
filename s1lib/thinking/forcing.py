"""Budget forcing (paper, section 3.1): a lower and an upper limit on the tokens a model thinks.

Where the model would stop too early, its end of thinking is suppressed and "Wait" appended. Where
it thinks too long, the end of thinking is appended for it, with "Final Answer:". Ids are fed back
as they were sampled, because text that is tokenised a second time need not give the same ids.

`think_within` is the paper's definition, `think_strict` follows the official evaluation code
(docs/official_rules.md, B5 to B7). There every continuation has a cap of its own, the delimiter is
banned at the very start too, and an answer may go on into a new segment (see `Thinker.answer`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s1lib.chat import ChatFormat
from s1lib.engines.protocol import Completion
from s1lib.thinking.budget import Budget, Trace

if TYPE_CHECKING:
    from s1lib.thinking.thinker import Thinker


def closing_ids(chat: ChatFormat, thinking: list[int], *, natural: bool) -> list[int]:
    """The ids that end `thinking`: its delimiter alone after a natural stop, else `forced_stop`.

    Without delimiters it is `forced_stop` always: the model has ended its turn, and is asked.
    """
    return list(chat.answer_start) if natural and chat.answer_start else forced_stop(chat, thinking)


def forced_stop(chat: ChatFormat, thinking: list[int]) -> list[int]:
    """A newline unless `thinking` ends with one, then the end of thinking and "Final Answer:"."""
    newline = () if chat.ends_with_newline(thinking) else chat.newline
    return [*newline, *chat.final_answer]


async def think_within(
    thinker: Thinker, prompt: list[int], budget: Budget, cap: int, wait: list[int]
) -> Trace:
    """Think by the paper's definition: minimum and maximum together, one cap over the whole.

    cap: tokens of thinking at most. wait: the ids of `budget.wait`.
    """
    ids: list[int] = []
    forced: list[bool] = []
    waits = decoded = 0
    natural = False
    stops = thinker.chat.thinking_stops
    # An end of several tokens may begin within the cap; its rest is looked at, and not kept.
    beyond = max(map(len, stops)) - 1

    while not natural and len(ids) < cap:
        left = cap - len(ids)
        # After a Wait the end is banned as the first token, or the model would often stop at once.
        part = await thinker.complete(
            [*prompt, *ids],
            ("think", waits),
            max_tokens=left + beyond,
            stop=stops,
            min_tokens=1 if waits else 0,
        )
        sampled = part.ids[:left]
        ids, forced = ids + sampled, forced + [False] * len(sampled)
        decoded += part.decoded_tokens
        if part.finish == "length" or len(ids) == cap:
            break

        # The model wants to stop. There must be room for the string and for a thought after it.
        too_early = waits < budget.waits or len(ids) < budget.min_thinking
        if too_early and len(ids) + len(wait) < cap:
            ids, forced, waits = ids + wait, forced + [True] * len(wait), waits + 1
        else:
            natural = True

    return Trace(
        prompt,
        ids,
        forced,
        closing_ids(thinker.chat, ids, natural=natural),
        "natural" if natural else "forced",
        waits_used=waits,
        decoded_tokens=decoded,
    )


async def think_strict(
    thinker: Thinker, prompt: list[int], budget: Budget, cap: int, wait: list[int]
) -> Trace:
    """Think as the official evaluation does, quirks included.

    The cap counts from zero in every continuation. Their sum is cut to the cap afterwards, which
    leaves a natural end natural and the newline rule to look at the text before the cut. With Waits
    the delimiter is banned as the first token of every generation, the first included. A minimum
    of tokens bans it for as long, and is ignored with Waits. Two official rules look beyond one
    problem and are left out: the `auto` cap that follows the longest prompt of a batch, and the
    answer that takes what the context leaves.
    """
    ids: list[int] = []
    forced: list[bool] = []
    waits = decoded = 0
    stops = thinker.chat.thinking_stops
    at_least = 1 if budget.waits else budget.min_thinking

    # One generation more than there are Waits, whatever the tokens so far.
    while True:
        part = Completion(finish="length")
        if cap:
            part = await thinker.complete(
                [*prompt, *ids],
                ("think", waits),
                max_tokens=cap,
                stop=stops,
                min_tokens=min(at_least, cap),
            )
        ids, forced = ids + part.ids, forced + [False] * len(part.ids)
        decoded += part.decoded_tokens

        # Where the context is full there is nothing to continue.
        full = len(prompt) + len(ids) + len(wait) >= thinker.engine.max_context
        if part.finish == "length" or waits == budget.waits or full:
            break
        ids, forced, waits = ids + wait, forced + [True] * len(wait), waits + 1

    natural = part.finish == "stop"
    return Trace(
        prompt,
        ids[:cap],
        forced[:cap],
        closing_ids(thinker.chat, ids, natural=natural),  # looks at the text before the cut
        "natural" if natural else "forced",
        waits_used=waits,
        decoded_tokens=decoded,
    )
