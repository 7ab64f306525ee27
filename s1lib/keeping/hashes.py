"""Keys of what produced a result: hashes of settings, files and models, and seeds from them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any


def hash_of(*parts: Any) -> str:
    """A 12-digit key of anything that JSON can say, and of dataclasses."""
    text = json.dumps(parts, sort_keys=True, default=plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def derive_seed(seed: int | None, *path: str | int) -> int | None:
    """A seed of its own for one request or sample, whatever else is decoded; None stays None."""
    return None if seed is None else int(hash_of(seed, *path), 16) % 2**31


def hash_of_file(path: Path | str) -> str:
    """A 12-digit key of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def hash_of_model(reference: str) -> str:
    """A key of a model's configuration, tokenizer and weights, for work that decodes with it.

    Of every file of a local directory the first and last MiB count, because training changes all
    of the weights and 65 GB are done in an instant. A hub id with its revision is its own key.
    """
    directory = Path(reference)
    if not directory.is_dir():
        return hash_of(reference)
    parts = []
    for path in sorted(
        [
            *directory.glob("*.safetensors"),
            *directory.glob("config.json"),
            *directory.glob("tokenizer.json"),
        ]
    ):
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(1 << 20))
            file.seek(max(0, path.stat().st_size - (1 << 20)))
            digest.update(file.read())
        parts.append((path.name, path.stat().st_size, digest.hexdigest()))
    return hash_of(parts)


def plain(value: Any) -> Any:
    """What JSON cannot say, in a form that it can: `json.dumps(..., default=plain)`."""
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    return str(value)
