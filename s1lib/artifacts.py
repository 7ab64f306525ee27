"""Files that survive interruption: atomic writes, resumable JSONL shards, manifests written last.

A manifest means "this stage is complete"; nothing else does. Work inside a stage is kept in shards named after a hash
of what produced them, so a resumed run repeats no finished shard and a changed setting never reuses a stale one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "trl", "accelerate", "datasets", "numpy", "pandas", "math-verify")


class ArtifactError(RuntimeError):
    """A file a stage needs is missing or unreadable; the message says which and what to run."""


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename onto it on success, leave nothing behind on failure."""
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
    """Yield an empty directory beside `path`; put it in the place of `path` on success, leave nothing behind on failure."""
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
        return ArtifactError(f"no space left on the disk that holds {path.parent}: free some and run again")
    return error


def write_text(path: Path | str, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_jsonl(path: Path | str, rows: Iterable[dict]) -> int:
    """Write one JSON object per line, atomically; returns the number of rows."""
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path | str) -> list[dict]:
    """Rows of a JSONL file. Raises ArtifactError naming the file and line when one is cut or is not JSON."""
    return list(iter_jsonl(path))


def iter_jsonl(path: Path | str) -> Iterator[dict]:
    """`read_jsonl`, one row at a time: for files whose texts need not all be in memory."""
    path = Path(path)
    if not path.exists():
        raise ArtifactError(f"{path} does not exist: run the notebook that writes it first (`make reproduce` runs all)")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line.decode("utf-8"))
            except ValueError:
                raise ArtifactError(f"{path}, line {number}: not a complete JSON line; delete the file and run again") from None
            yield row


def hash_of(*parts: Any) -> str:
    """A 12-digit key of anything JSON can say (dataclasses included)."""
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def derive_seed(seed: int | None, *path: str | int) -> int | None:
    """A seed of its own for one request or sample, the same whatever else is decoded; None stays None."""
    return None if seed is None else int(hash_of(seed, *path), 16) % 2**31


def hash_of_file(path: Path | str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    return str(value)


def hash_of_model(reference: str) -> str:
    """A key of a model's configuration, tokenizer and weights: what work that decodes with it is keyed by.

    Of every file of a local directory the first and last MiB count (training changes all of the weights, and 65 GB are
    done in an instant); a hub id with its revision is its own key.
    """
    directory = Path(reference)
    if not directory.is_dir():
        return hash_of(reference)
    parts = []
    for path in sorted([*directory.glob("*.safetensors"), *directory.glob("config.json"), *directory.glob("tokenizer.json")]):
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(1 << 20))
            file.seek(max(0, path.stat().st_size - (1 << 20)))
            digest.update(file.read())
        parts.append((path.name, path.stat().st_size, digest.hexdigest()))
    return hash_of(parts)


def shard(directory: Path | str, name: str, key: str, make: Callable[[], list[dict]], *, log: Callable[[str], None] = print) -> list[dict]:
    """Rows of shard `name`: read when it was finished under the same `key`, made (and kept) otherwise.

    A corrupt shard is set aside as *.corrupt, named in the log and made again.
    """
    path = Path(directory) / f"{name}-{key}.jsonl"
    finished = _finished_shard(path, log)
    return _keep_shard(path, make(), name, log) if finished is None else finished


async def shard_async(
    directory: Path | str, name: str, key: str, make: Callable[[], Awaitable[list[dict]]], *, log: Callable[[str], None] = print
) -> list[dict]:
    """`shard` for work that is awaited: decoding."""
    path = Path(directory) / f"{name}-{key}.jsonl"
    finished = _finished_shard(path, log)
    return _keep_shard(path, await make(), name, log) if finished is None else finished


def _finished_shard(path: Path, log: Callable[[str], None]) -> list[dict] | None:
    if not path.exists():
        return None
    try:
        return read_jsonl(path)
    except ArtifactError as error:
        aside = path.with_suffix(".corrupt")
        os.replace(path, aside)
        log(f"{error}; set aside as {aside.name}, making it again")
        return None


def _keep_shard(path: Path, rows: list[dict], name: str, log: Callable[[str], None]) -> list[dict]:
    write_jsonl(path, rows)
    log(f"{name}: {len(rows)} rows")
    return rows


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on, for manifests and records."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def write_manifest(directory: Path | str, **facts: Any) -> None:
    """Mark `directory` complete: what it was made from, with which versions, and every file in it with its size."""
    directory = Path(directory)
    files = {
        str(p.relative_to(directory)): p.stat().st_size for p in sorted(directory.rglob("*")) if p.is_file() and p.name != "manifest.json"
    }
    manifest = {**facts, "versions": versions(), "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "files": files}
    write_text(directory / "manifest.json", json.dumps(manifest, indent=1, default=_plain) + "\n")


def require_manifest(directory: Path | str) -> dict:
    """The manifest of a finished stage, or ArtifactError naming the notebook to run."""
    path = Path(directory) / "manifest.json"
    if not path.exists():
        raise ArtifactError(f"{Path(directory)} is not finished: run notebook {Path(directory).name} first (or `make reproduce`)")
    return json.loads(path.read_text())
