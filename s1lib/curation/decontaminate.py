"""Keep test questions out of the training pool (paper, section 2.1).

The paper drops a question on *any* 8-gram of words shared with a test question, and then exact
duplicates. Its official scripts also drop what shares one with a question of an earlier source
(`across_sources`). The text is lower-cased and its white space normalised, nothing else. Text made
from templates needs longer n-grams.
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
    """The questions of a pool that are kept, and why the others are not.

    kept: in the order of the input.
    audit: one row per question and test item that share an n-gram, with the columns of `overlaps`
        and the question's source.
    duplicates: one row per question dropped for repeating an earlier one: id, source and first,
        the earlier one's id.
    """

    kept: list[Sample]
    audit: pd.DataFrame
    duplicates: pd.DataFrame


def decontaminate(
    samples: Sequence[Sample], tests: Mapping[str, str], *, n: int = 8, across_sources: bool = False
) -> Decontaminated:
    """Drop every question that shares a word n-gram with a test question, then exact duplicates.

    tests: test questions by name.
    across_sources: also drop what shares one with a question that was kept of an earlier source.
    """
    sources = {sample.id: sample.source for sample in samples}
    audit = overlaps({sample.id: sample.question for sample in samples}, tests, n=n)
    if across_sources:
        contaminated = set(audit["id"])
        clean = [sample for sample in samples if sample.id not in contaminated]
        audit = pd.concat([audit, overlaps_across_sources(clean, n=n)], ignore_index=True)
    audit.insert(1, "source", audit["id"].map(sources))

    # Of equal questions the first one stays.
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


def overlaps(questions: Mapping[str, str], tests: Mapping[str, str], *, n: int = 8) -> pd.DataFrame:
    """Audit of questions (id -> text) against test questions (name -> text), most overlap first.

    One row per pair that shares an n-gram: id, test, shared (distinct n-grams), share (of the
    question's distinct n-grams) and example (one of them).
    """
    vocabulary, ids = Vocabulary(), list(questions)
    found = Grams.of(questions.values(), n=n, vocabulary=vocabulary)
    touched = found.sharing(Grams.of(tests.values(), n=n, vocabulary=vocabulary))

    tests_with: dict[str, list[str]] = defaultdict(list)
    for name, text in tests.items() if len(touched) else ():
        for gram in ngrams(text, n):
            tests_with[gram].append(name)

    # Equal hashes point at these questions; the words decide.
    rows = []
    for id_ in (ids[position] for position in touched):
        grams = ngrams(questions[id_], n)
        common = sorted(gram for gram in grams if gram in tests_with)
        shared = Counter(name for gram in common for name in tests_with[gram])
        for name, count in shared.items():
            example = next(gram for gram in common if name in tests_with[gram])
            rows.append((id_, name, count, count / len(grams), example))
    audit = pd.DataFrame(rows, columns=AUDIT)
    order = ["share", "id", "test"]
    return audit.sort_values(order, ascending=[False, True, True], ignore_index=True)


def overlaps_across_sources(samples: Sequence[Sample], *, n: int = 8) -> pd.DataFrame:
    """Questions that share an n-gram with one of an earlier source, and are therefore dropped.

    Sources come in the order of their first sample. What is dropped drops nothing in turn, as in
    the official scripts. The columns are those of `overlaps`, with one row per question. In the
    column test stands the earlier question that shares most, as "source/id".
    """
    grams = Grams.of((sample.question for sample in samples), n=n, vocabulary=Vocabulary())
    distinct, numbers = np.unique(grams.hashes, return_inverse=True)
    first_kept = np.full(len(distinct), -1, dtype=np.int32)  # the sample that brought the n-gram in

    places = {name: place for place, name in enumerate(dict.fromkeys(s.source for s in samples))}
    place_of = np.array([places[sample.source] for sample in samples], dtype=np.int32)[grams.owners]
    rows = []
    for place in range(len(places)):
        mine, owners = numbers[place_of == place], grams.owners[place_of == place]

        # Per question of this source: how many n-grams each earlier question had first.
        hits = first_kept[mine] >= 0
        pairs = zip(owners[hits].tolist(), first_kept[mine[hits]].tolist(), strict=True)
        earlier: dict[int, Counter] = defaultdict(Counter)
        for owner, other in pairs:
            earlier[owner][other] += 1
        for owner, others in earlier.items():
            most = samples[others.most_common(1)[0][0]]
            if row := _shared_words(samples[owner], most, n):
                rows.append(row)

        # What is kept claims its n-grams; written backwards, so that the first of several stays.
        kept = ~np.isin(owners, list(earlier))
        first_kept[mine[kept][::-1]] = owners[kept][::-1]
    audit = pd.DataFrame(rows, columns=AUDIT)
    return audit.sort_values(["share", "id"], ascending=[False, True], ignore_index=True)


def _shared_words(sample: Sample, other: Sample, n: int) -> tuple | None:
    """The audit's row for two questions, or None when only their hashes agreed."""
    grams = ngrams(sample.question, n)
    common = sorted(grams & ngrams(other.question, n))
    if not common:
        return None
    share = len(common) / len(grams)
    return sample.id, f"{other.source}/{other.id}", len(common), share, common[0]


def dropped_by_n(
    questions: Mapping[str, str], tests: Mapping[str, str], ns: Iterable[int]
) -> pd.DataFrame:
    """For every n: how many questions share an n-gram with a test, how many share all they have."""
    rows = []
    for n in ns:
        audit = overlaps(questions, tests, n=n)
        dropped, copies = audit["id"].nunique(), audit.loc[audit["share"] == 1, "id"].nunique()
        rows.append({"n": n, "questions dropped": dropped, "complete copies": copies})
    return pd.DataFrame(rows)


def benchmark_questions(profile: Profile) -> dict[str, str]:
    """Every test question of the profile by "benchmark/id", whatever `limit` says.

    They are those of its benchmarks and of `curation.also_tests`. Raises PoolError for a test set
    without questions.
    """
    named = [(benchmark.name, benchmark.path) for benchmark in profile.evaluation.benchmarks]
    named += [(reference, reference) for reference in profile.curation.also_tests]
    questions: dict[str, str] = {}
    for name, reference in named:
        found = read_questions(profile.resolve(reference))
        if not found:
            raise PoolError(
                f"{reference} holds no question; decontamination needs every test question"
            )
        questions |= {f"{name}/{id_}": question for id_, question in found.items()}
    return questions
