"""Keep test questions out of the training pool (paper, section 2.1): word n-grams shared with the test sets, exact duplicates.

The paper drops a question on *any* 8-gram of words shared with a test question, and then exact duplicates. The text is
lower-cased and its white space normalised; nothing else is. Text made from templates needs longer n-grams.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from s1lib.artifacts import read_jsonl
from s1lib.curation.pool import PoolError, Sample
from s1lib.profile import Profile


@dataclass(frozen=True)
class Decontaminated:
    """What is left, and why the rest is not.

    kept: in the order of the input.
    audit: one row per (question, test item) that share an n-gram: id, source, test, shared (distinct n-grams), share (of the
        question's distinct n-grams), example (one of them).
    duplicates: one row per question dropped for repeating an earlier one: id, source, first (the earlier one's id).
    """

    kept: list[Sample]
    audit: pd.DataFrame
    duplicates: pd.DataFrame


def normalise(text: str) -> str:
    return " ".join(text.lower().split())


def ngrams(text: str, n: int) -> set[str]:
    """Distinct n-grams of words; a text of fewer than n words is one gram of its own, so that equal short texts meet."""
    words = normalise(text).split()
    if not words:
        return set()
    return {" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def overlaps(questions: Mapping[str, str], tests: Mapping[str, str], *, n: int = 8) -> pd.DataFrame:
    """Audit of any set of questions (id -> text) against test questions (name -> text), most overlap first.

    Columns: id, test, shared (distinct n-grams), share (of the question's), example.
    """
    where: dict[str, list[str]] = defaultdict(list)
    for name, text in tests.items():
        for gram in ngrams(text, n):
            where[gram].append(name)
    rows = []
    for id_, text in questions.items():
        grams = ngrams(text, n)
        common = sorted(gram for gram in grams if gram in where)
        shared = Counter(name for gram in common for name in where[gram])
        for name, count in shared.items():
            rows.append((id_, name, count, count / len(grams), next(gram for gram in common if name in where[gram])))
    table = pd.DataFrame(rows, columns=["id", "test", "shared", "share", "example"])
    return table.sort_values(["share", "id", "test"], ascending=[False, True, True], ignore_index=True)


def dropped_by_n(questions: Mapping[str, str], tests: Mapping[str, str], ns: Iterable[int]) -> pd.DataFrame:
    """How many questions share an n-gram with a test question, and how many of them share all they have, for every n."""
    rows = []
    for n in ns:
        audit = overlaps(questions, tests, n=n)
        rows.append({"n": n, "questions dropped": audit["id"].nunique(), "complete copies": audit.loc[audit["share"] == 1, "id"].nunique()})
    return pd.DataFrame(rows)


def decontaminate(samples: Sequence[Sample], tests: Mapping[str, str], *, n: int = 8) -> Decontaminated:
    """Drop every question that shares a word n-gram with a test question, then exact duplicates (the first one stays)."""
    sources = {sample.id: sample.source for sample in samples}
    audit = overlaps({sample.id: sample.question for sample in samples}, tests, n=n)
    audit.insert(1, "source", audit["id"].map(sources))
    contaminated = set(audit["id"])
    kept, duplicates, first = [], [], {}
    for sample in samples:
        if sample.id in contaminated:
            continue
        earlier = first.setdefault(normalise(sample.question), sample.id)
        if earlier == sample.id:
            kept.append(sample)
        else:
            duplicates.append((sample.id, sample.source, earlier))
    return Decontaminated(kept, audit, pd.DataFrame(duplicates, columns=["id", "source", "first"]))


def benchmark_questions(profile: Profile) -> dict[str, str]:
    """Every question of the profile's benchmarks (all of them, whatever `limit` says), by "benchmark/id"."""
    questions = {}
    for benchmark in profile.evaluation.benchmarks:
        path = profile.resolve(benchmark.path)
        for line, row in enumerate(read_jsonl(path), start=1):
            if "question" not in row:
                raise PoolError(f"{path}, line {line}: column 'question' is missing; decontamination needs every test question")
            questions[f"{benchmark.name}/{row.get('id', line)}"] = row["question"]
    return questions
