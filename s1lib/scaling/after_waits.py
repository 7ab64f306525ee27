"""What a Wait does: to the answer, and in the text that follows it.

    followed = pd.concat(map(texts_after_waits, traces))     # the records of one file after another
    table = waits_table(records, followed)

The texts are not in `Records`, since half a million would not fit into memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, pairwise

import numpy as np
import pandas as pd

from s1lib.chat import WAIT
from s1lib.scaling import effects
from s1lib.scaling.records import MAIN, Records
from s1lib.scaling.table_cells import benches, effect_cells

KINDS = ["recomputes", "repeats", "closes"]
WORD = re.compile(r"\w+|[^\w\s]")  # a sign counts as a word: 2 + 3 is not 2 * 3
SEQUENCE = 6  # words: shorter sequences recur by chance
FEW = 12  # words: less than this only closes
REPEATED = 0.6  # share of a text's sequences from which on it repeats

OUTCOMES = ["wrong_to_right", "right_to_wrong", "changed_wrong", "kept_right", "kept_wrong"]
NET = ["net", "low", "high", "p"]
COLUMNS = ["benchmark", "step", *OUTCOMES, *NET, *KINDS, "tokens", "n", "note"]
TRACE = ["benchmark", *effects.SAMPLE]


def by_trace(rows: Iterable[dict]) -> dict[tuple, dict[int, dict]]:
    """s1's records without a budget by trace, each by the number of Waits that were asked for."""
    traces: dict[tuple, dict[int, dict]] = {}
    for row in rows:
        asked = row["parameters"]
        if row["model"] != MAIN or row["method"] != "budget_forcing":
            continue
        waits = asked.get("waits", 0)
        waited = not waits or asked.get("wait", WAIT) == WAIT
        if asked.get("max_thinking") is None and waited:
            traces.setdefault(tuple(map(row.get, TRACE)), {})[waits] = row
    return traces


def kinds(row: dict) -> list[str]:
    """What the model does after each appended string of a record, up to the next one.

    It *closes* with fewer than 12 words (a sign counts as one). It *repeats* when at least 60 % of
    the sequences of six words stand word for word earlier in its thinking. Else it *recomputes*:
    it says something new. A paraphrase is new in this sense, because words are compared.
    """
    edges = [0, *chain.from_iterable(row["forced_spans"]), None]
    said: set[tuple] = set()
    found = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        words = WORD.findall(row["thinking"][start:end])
        repeated = _repeated(words, said)
        if len(words) < FEW:
            found.append("closes")
        else:
            found.append("repeats" if repeated >= REPEATED else "recomputes")
    return found[1:]  # the first text stands before any appended string


def _repeated(words: list[str], said: set[tuple]) -> float:
    """The share of the sequences of `words` that were said, and add them to `said`."""
    old = []
    for at in range(len(words) - SEQUENCE + 1):
        sequence = tuple(words[at : at + SEQUENCE])
        old.append(sequence in said)
        said.add(sequence)
    return float(np.mean(old)) if old else 0.0


def texts_after_waits(rows: Iterable[dict]) -> pd.DataFrame:
    """The kind of every text after a Wait that a record has more than the one with fewer Waits.

    waits: of the record. number: of the Wait that the text follows, from 1.
    """
    found = []
    for trace in by_trace(rows).values():
        for fewer, more in pairwise(sorted(trace)):
            added = enumerate(kinds(trace[more])[fewer:], start=fewer + 1)
            found += [(trace[more]["benchmark"], more, number, kind) for number, kind in added]
    return pd.DataFrame(found, columns=["benchmark", "waits", "number", "kind"])


def waits_table(
    records: Records, followed: pd.DataFrame, *, resamples: int = 10_000, alpha: float = 0.05
) -> pd.DataFrame:
    """What changes from each number of Waits to the next, and what the added texts are.

    wrong_to_right, ...: % of samples. changed_wrong: from one wrong answer to another.
    net: what the step gains in points, with its paired bootstrap interval and p.
    recomputes, repeats, closes: % of the texts of `followed` (see `kinds`).
    tokens: thinking tokens that each Wait adds on average, the appended string included.
    """
    rows = []
    waits = records.runs["waits"]
    for bench, _ in benches(records, resamples):
        runs = bench.having([*records.natural(), *records.waits()])
        if len(runs) < 2:
            note = "fewer than two numbers of Waits"
            rows.append({"benchmark": bench.name, "n": 0, "note": note})
        texts = followed[followed["benchmark"] == bench.name]
        samples = records.samples[records.samples["benchmark"] == bench.name]
        for before, after in pairwise(runs):
            row = {"benchmark": bench.name, "step": f"W{waits[before]:.0f} → W{waits[after]:.0f}"}
            row |= effect_cells(alpha, effects.difference, bench, before, after)
            row["net"] = row.pop("difference")
            added = texts["kind"][texts["waits"] == waits[after]]
            row |= {kind: 100 * (added == kind).mean() for kind in KINDS}
            rows.append({**row, **_outcomes(samples, before, after, waits[after] - waits[before])})
    return pd.DataFrame(rows, columns=COLUMNS)


def _outcomes(samples: pd.DataFrame, before: int, after: int, added: float) -> dict:
    """% of each outcome over the samples of two runs, which are so many Waits apart."""
    kept = [*effects.SAMPLE, "correct", "extracted", "thinking_tokens"]
    parts = (samples.loc[samples["run"] == run, kept] for run in (before, after))
    both = next(parts).merge(next(parts), on=effects.SAMPLE, suffixes=("", "_after"))

    # an answer that could not be read equals another that could not
    was, now = both["correct"].astype(bool), both["correct_after"].astype(bool)
    changed = both["extracted"].fillna("") != both["extracted_after"].fillna("")
    wrong = ~was & ~now
    masks = (~was & now, was & ~now, wrong & changed, was & now, wrong & ~changed)
    shares = {name: 100 * mask.mean() for name, mask in zip(OUTCOMES, masks, strict=True)}
    more = both["thinking_tokens_after"] - both["thinking_tokens"]
    return {**shares, "tokens": more.mean() / added}
