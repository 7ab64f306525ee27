"""Files and folders that appear whole or not at all, and the JSON Lines files of a run."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from s1lib.errors import S1Error


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
        os.replace(temporary, path)
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
        temporary.mkdir(parents=True)
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
    except OSError as error:
        raise _explained(error, path) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def write_jsonl(path: Path | str, rows: Iterable[dict]) -> int:
    """Write one JSON object per line, whole or not at all; returns the number of rows."""
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path | str) -> list[dict]:
    """Read a JSON Lines file; raises ArtifactError for a line that is cut or is not JSON."""
    return list(iter_jsonl(path))


def iter_jsonl(path: Path | str) -> Iterator[dict]:
    """`read_jsonl`, one row at a time, for files that need not be in memory as a whole."""
    path = Path(path)
    if not path.exists():
        first = "run the notebook that writes it first (`make reproduce` runs all)"
        raise ArtifactError(f"{path} does not exist: {first}")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line.decode("utf-8"))
            except ValueError:
                cut = "not a complete JSON line; delete the file and run again"
                raise ArtifactError(f"{path}, line {number}: {cut}") from None
            yield row
