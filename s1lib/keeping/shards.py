"""Shards: rows of a long job, kept under a key of what produced them.

A resumed run repeats no finished shard, and a changed setting never reuses a stale one.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from s1lib.keeping.files import ArtifactError, read_jsonl, write_jsonl

# A part of every key of decoded rows: the version of the code that decodes and grades. Raise it
# with a change of `chat`, `engines`, `thinking`, `grading` or `evaluation` after which the same
# model, settings and seed give other rows. It is no hash of the code, because a new comment must
# not cost days of GPU.
METHODS_VERSION = 3

Log = Callable[[str], None]


async def shard_async(
    directory: Path | str,
    name: str,
    key: str,
    make: Callable[[], Awaitable[list[dict]]],
    *,
    log: Log = print,
) -> list[dict]:
    """The rows of shard `name`, read where it was finished under the same `key` and made otherwise.

    A shard that is damaged or cut short is set aside as *.corrupt, named in the log and made again.
    """
    path = Path(directory) / f"{name}-{key}.jsonl"
    finished = _finished_shard(path, log)
    if finished is not None:
        return finished

    rows = await make()
    write_jsonl(path, rows, marked=True)
    log(f"{name}: {len(rows)} rows")
    return rows


def _finished_shard(path: Path, log: Log) -> list[dict] | None:
    if not path.exists():
        return None
    try:
        return read_jsonl(path, marked=True)
    except ArtifactError as error:
        aside = path.with_suffix(".corrupt")
        os.replace(path, aside)
        log(f"{error}; set aside as {aside.name}, making it again")
        return None
