"""Pools and test questions from the hub or a local copy, by the entries of sources.yaml and test_sets.yaml (paper, table 7).

    pool = open_pool("simplescaling/s1K@main")       # or a path: the toy's pool, a parquet file, a folder, a .yaml of sources
    pool = open_pool("s1lib/curation/sources.yaml")  # the 16 sources themselves: questions without traces
    tests = read_questions("simplescaling/aime24_nofigures@main")

A repeated question's id gets "-2", so that de-duplication can show it. Missing traces and answers become empty text: the
quality filter counts them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from s1lib.curation.pool import COLUMNS, OPTIONAL, PoolError, Sample, as_samples
from s1lib.profile import ROOT
from s1lib.published.entries import TEST_SETS, Entry, answered, entry_for, fill, named, question_id, questions, section
from s1lib.published.hub import local_copy
from s1lib.published.table_files import read_rows

SOURCES = Path(__file__).with_name("sources.yaml")


def open_pool(reference: str, *, log: Callable[[str], None] = print) -> list[Sample]:
    """The samples of a pool: a file or folder with a pool's own columns, a published one (by its columns), a hub id, or a .yaml of sources.

    Raises PoolError, TableError or HubError, in one line, when something does not fit or cannot be reached.
    """
    if reference.endswith((".yaml", ".yml")):
        return collect(section(ROOT / reference, "sources"), log=log)
    path, entry = entry_for(reference, section(SOURCES, "pools").values(), own=set(COLUMNS) - set(OPTIONAL))
    return collect([entry], log=log) if entry else as_samples(path, read_rows(path, columns=set(COLUMNS)))


def collect(entries: Iterable[Entry], *, log: Callable[[str], None] = print) -> list[Sample]:
    """The samples of all `entries`, one after the other, with a line for each."""
    samples: list[Sample] = []
    ids: Counter[str] = Counter()
    for entry in entries:
        before, dropped = len(samples), 0
        for sample in _samples(entry):
            if not sample.question:
                dropped += 1
                continue
            ids[sample.id] += 1
            samples.append(sample if ids[sample.id] == 1 else dataclasses.replace(sample, id=f"{sample.id}-{ids[sample.id]}"))
        log(f"{entry.at}: {len(samples) - before:,} questions" + (f", {dropped:,} rows without one left out" if dropped else ""))
    if not samples:
        raise PoolError("the sources hold no question")
    return samples


def read_questions(reference: str) -> dict[str, str]:
    """Questions of a test set by their ids: a name or hub id of test_sets.yaml, or a local table (column question or problem)."""
    tests = section(TEST_SETS, "test_sets")
    if entry := tests.get(reference) or named(reference, tests.values()):
        return {question_id(question): question for _, question in questions(entry)}
    path, found = local_copy("dataset", reference), {}
    for place, row in read_rows(path):
        question = isinstance(row, dict) and (row.get("question") or row.get("problem"))
        if not isinstance(question, str):
            raise PoolError(f"{path}, {place}: column 'question' (or 'problem') is missing; decontamination needs every test question")
        found[str(row.get("id") or question_id(question))] = question
    return found


# ---- from rows to samples ----------------------------------------------------------------------------------------------


def _samples(entry: Entry) -> Iterator[Sample]:
    published = _published() if "{" in entry.source else {}
    for row, question, answer, kind in answered(entry):
        source = fill(entry.source, row)
        source = next((name for start, name in published.items() if source.startswith(start)), source)
        texts = (fill(text, row) for text in (entry.domain, entry.trace, entry.attempt))
        yield Sample(question_id(question), question, answer, source, *texts, kind=kind)


def _published() -> dict[str, str]:
    """Beginning of a published pool's source_type -> name in table 7."""
    return {start: entry.source for entry in section(SOURCES, "sources") for start in entry.published_as}
