"""The fields of a record, which describe one trace.

method, parameters, sample: which run it belongs to, and the number of the sample in it.
prompt_tokens, thinking_tokens, forced_tokens, answer_tokens: delimiters are not counted.
decoded_tokens: what was sampled for this record alone, delimiters included.
spent_thinking_tokens: in rejection sampling alone, the thinking tokens of all tries, the rejected
    ones included (thinking_tokens are the accepted trace's).
thinking, answer: the texts, without delimiters.
finish: why thinking ended: "natural", "forced", "context" (without an answer where the prompt alone
    was too long), or "rejected" (no sample fits the cap).
waits_used: how often "Wait" was appended.
steps_used: steps counted, in step-conditional control alone, and else null.
forced_spans: where in `thinking` the appended tokens stand, [start, end) in characters.

`run.run_benchmark` adds what all records of a shard share, which training of the model it was, and
the grade:

base_seed, sft_seed: as in `s1lib.profile.Replica`: 0 for the first base model and for the first
    fine-tuning of it. sft_seed is null for the base model and for models that are not trained here.

extracted: the answer that was read, null where none was (then `correct` is false).
read_by: the rule that read it (docs/answers.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from s1lib.chat import ChatFormat
from s1lib.profile import Replica
from s1lib.thinking.budget import Trace


def record_fields(
    chat: ChatFormat, trace: Trace, method: str, parameters: dict, *, sample: int = 0
) -> dict:
    """The fields above, in the order in which records hold them."""
    thinking, answer = trace.texts(chat)
    return {
        "method": method,
        "parameters": parameters,
        "sample": sample,
        "prompt_tokens": len(trace.prompt_ids),
        "thinking": thinking,
        "answer": answer,
        "thinking_tokens": trace.thinking_tokens,
        "forced_tokens": trace.forced_tokens,
        "answer_tokens": len(trace.answer_ids),
        "decoded_tokens": trace.decoded_tokens,
        "finish": trace.finish,
        "waits_used": trace.waits_used,
        "steps_used": None,
        "forced_spans": _forced_spans(chat, trace, thinking),
    }


def of_first_training(record: Mapping[str, Any]) -> bool:
    """Whether a record is of the first or only training of its model.

    One that does not say is: records of older runs and of other programs know no trainings.
    """
    return Replica(record.get("base_seed", 0), record.get("sft_seed")).is_first


def _forced_spans(chat: ChatFormat, trace: Trace, thinking: str) -> list[list[int]]:
    # The text begins after the blank lines that the ids begin with.
    whole = chat.decode(trace.thinking_ids)
    at, spans = -(len(whole) - len(whole.lstrip("\n"))), []

    marked = zip(trace.thinking_ids, trace.forced, strict=True)
    for forced, group in groupby(marked, key=itemgetter(1)):
        end = at + len(chat.decode([token for token, _ in group]))
        if forced and at < len(thinking):
            spans.append([max(at, 0), min(end, len(thinking))])
        at = end
    return spans
