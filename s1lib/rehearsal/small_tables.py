"""Small copies of a profile's pools, in the columns that they are published in.

    reference = small_pool("simplescaling/s1K@main", rows=40, directory=place)

Benchmarks need none: their `limit` does it, and decontamination needs every test question.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from s1lib.curation.pool import COLUMNS, OPTIONAL
from s1lib.curation.sources import SOURCES
from s1lib.keeping.files import write_text
from s1lib.profile import ROOT
from s1lib.published.entries import BRACES, column_and_item, entry_for, section
from s1lib.published.table_files import Row, TableError, read_rows

ASKED_FOR = ("aime", "gpqa")  # by the official selection; part of the names of these sources
SKIPPED = 0.1  # of each source: the very shortest rows are often broken ones


def small_pool(reference: str, *, rows: int, directory: Path) -> str:
    """A pool of about `rows` questions of `reference`, as `curation.pool` names it.

    Sources take turns, AIME and GPQA first, with their shortest rows, which decode and train
    fastest. Raises TableError or HubError.
    """
    if reference.endswith((".yaml", ".yml")):
        return _limited_sources(ROOT / reference, rows, directory)
    own = set(COLUMNS) - set(OPTIONAL)
    path, entry = entry_for(reference, section(SOURCES, "pools").values(), own=own)
    column = column_and_item(BRACES.findall(entry.source)[0])[0] if entry else "source"
    files = entry.files if entry else "**/*"

    # Two passes, as the 59K are too large to be held.
    by_source = defaultdict(list)
    for number, (_, row) in enumerate(read_rows(path, files=files)):
        by_source[str(row.get(column))].append((len(_line(row)), number))
    if not by_source:
        raise TableError(f"{path} holds no rows")
    chosen = set(_in_turn(by_source, rows))
    lines = [
        _line(row)
        for number, (_, row) in enumerate(read_rows(path, files=files))
        if number in chosen
    ]
    file = directory / "pool.jsonl"
    write_text(file, "".join(f"{line}\n" for line in lines))
    return str(file)


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, default=str)


def _in_turn(by_source: Mapping[str, list[tuple[int, int]]], rows: int) -> Iterator[int]:
    """Numbers of `rows` rows, of each source in turn its shortest one that is left."""
    first = [name for name in by_source if any(part in name.lower() for part in ASKED_FOR)]
    shortest = []
    for source in dict.fromkeys([*first, *by_source]):
        ordered = sorted(by_source[source])
        shortest.append(ordered[int(SKIPPED * len(ordered)) :])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*shortest))
    return (number for _, number in itertools.islice(filter(None, turns), rows))


def _limited_sources(path: Path, rows: int, directory: Path) -> str:
    """A YAML file of the same sources, of which each gives its share of `rows`."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    share = -(-rows // len(content["sources"]))
    for entry in content["sources"]:
        entry.pop("count", None)
        entry["limit"] = share
    file = directory / "sources.yaml"
    write_text(file, yaml.safe_dump(content, allow_unicode=True))
    return str(file)
