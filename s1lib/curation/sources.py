"""Pools and test questions from the hub or a local copy (paper, Table 7).

    pool = open_pool("simplescaling/s1K@main")       # or a file, a folder, a YAML file of sources
    pool = open_pool("s1lib/curation/sources.yaml")  # the 16 sources: questions without traces
    tests = read_questions("simplescaling/aime24_nofigures@main")

The entries of sources.yaml and test_sets.yaml say which column is what. A question that is there
twice gets an id that ends in "-2", so that de-duplication can show it. Missing traces and answers
become empty text, which the quality filter counts.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from s1lib.curation.pool import COLUMNS, OPTIONAL, PoolError, Sample, as_samples
from s1lib.profile import ROOT
from s1lib.published.cells import text_of
from s1lib.published.entries import TEST_SETS, Entry, entry_for, named, section
from s1lib.published.hub import local_copy
from s1lib.published.questions import answered, fill, question_id, questions
from s1lib.published.table_files import columns_of, read_rows

SOURCES = Path(__file__).with_name("sources.yaml")


def open_pool(reference: str, *, log: Callable[[str], None] = print) -> list[Sample]:
    """The samples of a pool.

    reference: a table with a pool's own columns, a published pool (a hub id, or a local copy that
    is told by its columns), or a YAML file of sources. Raises PoolError, TableError or HubError.
    """
    if reference.endswith((".yaml", ".yml")):
        return collect(section(ROOT / reference, "sources"), log=log)

    pools, own = section(SOURCES, "pools"), set(COLUMNS) - set(OPTIONAL)
    path, entry = entry_for(reference, pools.values(), own=own)
    if entry:
        return collect([entry], log=log)
    return as_samples(path, read_rows(path, columns=set(COLUMNS)))


def collect(entries: Iterable[Entry], *, log: Callable[[str], None] = print) -> list[Sample]:
    """The samples of all `entries`, one after the other, with a line for each entry."""
    samples: list[Sample] = []
    ids: Counter[str] = Counter()
    for entry in entries:
        before, dropped = len(samples), 0
        for sample in _samples(entry):
            if not sample.question:
                dropped += 1
                continue

            # An id is made of the question, so a second one is the same question again.
            ids[sample.id] += 1
            if (times := ids[sample.id]) > 1:
                sample = dataclasses.replace(sample, id=f"{sample.id}-{times}")
            samples.append(sample)

        _check_count(entry, len(samples) - before + dropped)
        left_out = f", {dropped:,} rows without one left out" if dropped else ""
        log(f"{entry.at}: {len(samples) - before:,} questions{left_out}")
    if not samples:
        raise PoolError("the sources hold no question")
    return samples


def read_questions(reference: str, *, log: Callable[[str], None] = print) -> dict[str, str]:
    """The questions of a test set, by their ids.

    reference: a name or hub id of test_sets.yaml, or a local table with a column 'question' or
    'problem'. An id that stands for another question as well gets "-2" behind it there, and a line
    says how many: AIME I and II both count from 1 to 15. Raises PoolError, TableError or HubError.
    """
    found: dict[str, str] = {}
    renamed = 0
    for place, question, id_ in _test_questions(reference):
        if not question:
            raise PoolError(
                f"{place}: column 'question' (or 'problem') is missing or empty; "
                "decontamination needs every test question"
            )
        id_ = id_ or question_id(question)
        name, times = id_, 1
        while found.get(name, question) != question:
            times += 1
            name = f"{id_}-{times}"
        renamed += name != id_ and name not in found
        found[name] = question

    if renamed:
        log(f"{reference}: {renamed:,} questions share an id with another; theirs end in -2, -3, …")
    return found


def _test_questions(reference: str) -> Iterator[tuple[str, str, str | None]]:
    """(place, question, id) of every row of a test set. The id of a published one is None."""
    if entry := _test_entry(reference):
        found = 0
        for place, _, question in questions(entry):
            found += 1
            yield f"{entry.at}, {place}", question, None
        _check_count(entry, found)
        return

    path = local_copy("dataset", reference)
    for place, row in read_rows(path):
        where = f"{path}, {place}"
        texts = [text_of(row.get(column), column, where) for column in ("question", "problem")]
        question = next((text for text in texts if text and text.strip()), "")
        yield where, question, text_of(row.get("id"), "id", where)


def _check_count(entry: Entry, found: int) -> None:
    """Refuse a table that holds another number of rows than its entry says."""
    if wrong := entry.miscount(found):
        where = f"{SOURCES.name}, {TEST_SETS.name}"
        raise PoolError(f"{entry.at} {wrong}: correct `files` or `count` of its entry ({where})")


def _test_entry(reference: str) -> Entry | None:
    tests = section(TEST_SETS, "test_sets")
    if entry := tests.get(reference) or named(reference, tests.values()):
        return entry

    # A copy on disk of a published test set, such as GPQA, is told by its columns.
    if columns_of(local_copy("dataset", reference)) & {"question", "problem"}:
        return None
    return entry_for(reference, tests.values(), own={"question"})[1]


def _samples(entry: Entry) -> Iterator[Sample]:
    # A published pool names the source of each row, in the authors' spelling.
    published = _published() if "{" in entry.source else {}
    for _, texts, question, answer, kind in answered(entry):
        source = fill(entry.source, texts)
        names = (name for start, name in published.items() if source.startswith(start))
        source = next(names, source)
        more = (fill(text, texts) for text in (entry.domain, entry.trace, entry.attempt))
        yield Sample(question_id(question), question, answer, source, *more, kind=kind)


def _published() -> dict[str, str]:
    """How the source_type of a published pool begins -> the source's name in Table 7."""
    entries = section(SOURCES, "sources")
    return {start: entry.source for entry in entries for start in entry.published_as}
