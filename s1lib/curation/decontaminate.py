"""Keep test questions out of the training pool (paper, section 2.1): word n-grams shared with the test sets, exact duplicates.

The paper drops a question on *any* 8-gram of words shared with a test question, and then exact duplicates; its official
scripts also drop what shares one with a question of an earlier source (`across_sources`). The text is lower-cased and
its white space normalised; nothing else is. Text made from templates needs longer n-grams.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from s1lib.curation.ngrams import Grams, Vocabulary, ngrams, normalise
from s1lib.curation.pool import PoolError, Sample
from s1lib.curation.sources import read_questions
from s1lib.profile import Profile

AUDIT = ["id", "test", "shared", "share", "example"]


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


def overlaps(questions: Mapping[str, str], tests: Mapping[str, str], *, n: int = 8) -> pd.DataFrame:
    """Audit of any set of questions (id -> text) against test questions (name -> text), most overlap first.

    Columns: id, test, shared (distinct n-grams), share (of the question's), example.
    """
    vocabulary, ids = Vocabulary(), list(questions)
    found = Grams.of(questions.values(), n=n, vocabulary=vocabulary)
    touched = found.sharing(Grams.of(tests.values(), n=n, vocabulary=vocabulary))
    where: dict[str, list[str]] = defaultdict(list)
    for name, text in tests.items() if len(touched) else ():
        for gram in ngrams(text, n):
            where[gram].append(name)
    rows = []
    for id_ in (ids[position] for position in touched):  # equal hashes point here; the words decide
        grams = ngrams(questions[id_], n)
        common = sorted(gram for gram in grams if gram in where)
        shared = Counter(name for gram in common for name in where[gram])
        for name, count in shared.items():
            rows.append((id_, name, count, count / len(grams), next(gram for gram in common if name in where[gram])))
    return pd.DataFrame(rows, columns=AUDIT).sort_values(["share", "id", "test"], ascending=[False, True, True], ignore_index=True)


def overlaps_across_sources(samples: Sequence[Sample], *, n: int = 8) -> pd.DataFrame:
    """Questions that share an n-gram with one of an earlier source, and are therefore dropped; the same columns.

    Sources come in the order of their first sample. What is dropped drops nothing in turn, as in the official scripts.
    test: the earlier question that shares most, as "source/id"; one row per question.
    """
    grams = Grams.of((sample.question for sample in samples), n=n, vocabulary=Vocabulary())
    distinct, numbers = np.unique(grams.hashes, return_inverse=True)
    first_kept = np.full(len(distinct), -1, dtype=np.int32)  # the sample that brought the n-gram in
    rank = {source: place for place, source in enumerate(dict.fromkeys(sample.source for sample in samples))}
    ranks = np.array([rank[sample.source] for sample in samples], dtype=np.int32)[grams.owners]
    rows = []
    for place in range(len(rank)):
        mine, owners = numbers[ranks == place], grams.owners[ranks == place]
        hits = first_kept[mine] >= 0
        earlier: dict[int, Counter] = defaultdict(Counter)
        for owner, other in zip(owners[hits].tolist(), first_kept[mine[hits]].tolist(), strict=True):
            earlier[owner][other] += 1
        rows += [row for owner, others in earlier.items() if (row := _pair(samples[owner], samples[others.most_common(1)[0][0]], n))]
        kept = ~np.isin(owners, list(earlier))
        first_kept[mine[kept][::-1]] = owners[kept][::-1]  # the first of several writes last
    return pd.DataFrame(rows, columns=AUDIT).sort_values(["share", "id"], ascending=[False, True], ignore_index=True)


def _pair(sample: Sample, other: Sample, n: int) -> tuple | None:
    """The audit's row for two questions; None when only their hashes agreed."""
    grams = ngrams(sample.question, n)
    common = sorted(grams & ngrams(other.question, n))
    return (sample.id, f"{other.source}/{other.id}", len(common), len(common) / len(grams), common[0]) if common else None


def dropped_by_n(questions: Mapping[str, str], tests: Mapping[str, str], ns: Iterable[int]) -> pd.DataFrame:
    """How many questions share an n-gram with a test question, and how many of them share all they have, for every n."""
    rows = []
    for n in ns:
        audit = overlaps(questions, tests, n=n)
        rows.append({"n": n, "questions dropped": audit["id"].nunique(), "complete copies": audit.loc[audit["share"] == 1, "id"].nunique()})
    return pd.DataFrame(rows)


def decontaminate(samples: Sequence[Sample], tests: Mapping[str, str], *, n: int = 8, across_sources: bool = False) -> Decontaminated:
    """Drop every question that shares a word n-gram with a test question, then exact duplicates (the first one stays).

    across_sources: also drop what shares one with a question that was kept of an earlier source, before the duplicates.
    """
    sources = {sample.id: sample.source for sample in samples}
    audit = overlaps({sample.id: sample.question for sample in samples}, tests, n=n)
    if across_sources:
        contaminated = set(audit["id"])
        clean = [sample for sample in samples if sample.id not in contaminated]
        audit = pd.concat([audit, overlaps_across_sources(clean, n=n)], ignore_index=True)
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
    """Every question of the profile's benchmarks (all of them, whatever `limit` says) and of `curation.also_tests`, by "benchmark/id"."""
    named = [(benchmark.name, benchmark.path) for benchmark in profile.evaluation.benchmarks]
    named += [(reference, reference) for reference in profile.curation.also_tests]
    questions: dict[str, str] = {}
    for name, reference in named:
        found = read_questions(profile.resolve(reference))
        if not found:
            raise PoolError(f"{reference} holds no question; decontamination needs every test question")
        questions |= {f"{name}/{id_}": question for id_, question in found.items()}
    return questions
