"""Files and folders that appear whole or not at all, and the JSON Lines files of a run.

What is written is synced before and after it gets its name, so that not even a power cut leaves an
empty file under it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from s1lib.errors import S1Error

# `make reproduce` takes a stage that has its manifest for complete.
AGAIN = "if its stage was finished, delete the stage's manifest.json as well"
TEMPORARY = re.compile(r"\..+\.\d+\.tmp(\..*)?")  # the names that `atomic_*` yield


class ArtifactError(S1Error):
    """A file that a stage needs is missing or unreadable."""


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name beside `path`, which is renamed on success and removed on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise _explained(error, path) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: Path | str) -> Iterator[Path]:
    """Yield an empty directory beside `path`, which takes its place on success, else is removed."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        ours = re.compile(rf"\.{re.escape(path.name)}\.\d+\.tmp")  # not s1.1's, where it is s1
        for leftover in path.parent.glob(".*.tmp"):  # of killed runs
            if ours.fullmatch(leftover.name):
                shutil.rmtree(leftover, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary

        # Its files are on the disk before their directory has its name.
        for written in (*temporary.rglob("*"), temporary):
            _sync(written)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise _explained(error, path) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(directory: Path) -> None:
    """Remove the files that killed runs left half written in `directory`.

    Nobody else may write there. What they left of a directory goes when `atomic_directory` makes it
    again.
    """
    for path in directory.rglob(".*.tmp*"):
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(error: OSError, path: Path) -> Exception:
    if error.errno == errno.ENOSPC:
        return ArtifactError(
            f"no space left on the disk that holds {path.parent}: free some and run again"
        )
    return error


def write_text(path: Path | str, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_jsonl(path: Path | str, rows: Iterable[dict], *, marked: bool = False) -> int:
    """Write one JSON object per line, whole or not at all, and return the number of rows.

    A marked file has one line more, `{"end": true, "rows": 5}`, so that a copy that was cut short,
    at whatever byte, is told from a whole one.
    """
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
        if marked:
            file.write(json.dumps(_mark(count)) + "\n")
    return count


def _mark(rows: int) -> dict:
    return {"end": True, "rows": rows}


def read_jsonl(path: Path | str, *, marked: bool = False) -> list[dict]:
    """Read the rows of a JSON Lines file.

    Raises ArtifactError for a line that is cut or is not JSON and, if the file must be `marked`,
    where its last line is missing.
    """
    return list(iter_jsonl(path, marked=marked))


def iter_jsonl(path: Path | str, *, marked: bool = False) -> Iterator[dict]:
    """`read_jsonl`, one row at a time, for files that need not be in memory as a whole."""
    path = Path(path)
    if not path.exists():
        first = "run the notebook that writes it first (`make reproduce` runs all)"
        raise ArtifactError(f"{path} does not exist: {first}; {AGAIN}")

    # Bytes are read and not text, since a copy may have been cut within a character.
    ended = False
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line.decode("utf-8"))
            except ValueError:
                cut = "not a complete JSON line; delete the file and run again"
                raise ArtifactError(f"{path}, line {number}: {cut}; {AGAIN}") from None
            ended = row == _mark(number - 1)
            if not ended:
                yield row
    if marked and not ended:
        missing = "its last line is missing; delete the file and run again"
        raise ArtifactError(f"{path}: {missing}; {AGAIN}")
