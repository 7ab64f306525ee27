"""Small copies of a profile's pools, in the columns that they are published in.

    reference = small_pool("simplescaling/s1K@main", rows=40, directory=place)

Benchmarks need none: their `limit` does it, and decontamination needs every test question.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from pathlib import Path

import yaml

from s1lib.curation.pool import COLUMNS, OPTIONAL
from s1lib.curation.sources import SOURCES
from s1lib.keeping.files import write_text
from s1lib.profile import ROOT
from s1lib.published.entries import BRACES, column_and_item, entry_for, section
from s1lib.published.table_files import TableError, read_rows

SKIPPED = 0.1  # of each source: the very shortest rows are often broken ones


def small_pool(reference: str, *, rows: int, directory: Path) -> str:
    """A pool of about `rows` questions of `reference`, as `curation.pool` names it.

    Every source gives as many as the others, the first of them the AIME and GPQA questions that the
    official selection asks for, and of each its shortest rows are taken, which decode and train
    fastest. Raises TableError or HubError.
    """
    if reference.endswith((".yaml", ".yml")):
        return _limited_sources(ROOT / reference, rows, directory)
    own = set(COLUMNS) - set(OPTIONAL)
    path, entry = entry_for(reference, section(SOURCES, "pools").values(), own=own)
    column = column_and_item(BRACES.findall(entry.source)[0])[0] if entry else "source"
    files = entry.files if entry else "**/*"

    by_source = defaultdict(list)
    for _, row in read_rows(path, files=files):
        by_source[str(row.get(column))].append(json.dumps(row, ensure_ascii=False, default=str))
    if not by_source:
        raise TableError(f"{path} holds no rows")
    wanted = sorted(
        by_source, key=lambda name: not any(s in name.lower() for s in ("aime", "gpqa"))
    )
    sorted_rows = []
    for source in wanted:
        ordered = sorted(by_source[source], key=len)
        sorted_rows.append(ordered[int(SKIPPED * len(ordered)) :])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*sorted_rows))
    chosen = itertools.islice(filter(None, turns), rows)
    file = directory / "pool.jsonl"
    write_text(file, "".join(f"{line}\n" for line in chosen))
    return str(file)


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
