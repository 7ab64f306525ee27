"""Keys of what produced a result: hashes of settings, files and models, and seeds from them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from s1lib.errors import S1Error
from s1lib.keeping.files import write_text
from s1lib.profile import is_hub_id, split_revision

# What transformers and vLLM read of a model's directory: weights, configuration, tokenizer, chat
# template.
MODEL_FILES = (
    "*.safetensors",
    "*.bin",
    "*.pt",
    "*.index.json",
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "vocab.*",
    "chat_template.*",
    "tekken.json",
    "*quant*_config.json",
)
# What a trainer leaves there, which they do not read.
TRAINER_FILES = ("training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "scaler.pt")
LEFT_OUT = "left_out.json"  # in a model's directory: hashes of files that a release came without
LARGE = 16 << 20  # bytes; smaller files are hashed each time
SETTLED = 2.0  # seconds without a change after which a file's times can be relied upon


def hash_of(*parts: Any) -> str:
    """A 12-digit key of anything that JSON can say, and of dataclasses."""
    text = json.dumps(parts, sort_keys=True, default=plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def derive_seed(seed: int | None, *path: str | int) -> int | None:
    """A seed of its own for one request or sample, whatever else is decoded (None stays None)."""
    return None if seed is None else int(hash_of(seed, *path), 16) % 2**31


def hash_of_file(path: Path | str) -> str:
    """A 12-digit key of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def plain(value: Any) -> Any:
    """A value as JSON can hold it, for `json.dumps(..., default=plain)`."""
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    return str(value)


def hash_of_model(reference: str) -> str:
    """A 12-digit key of a model: of every byte of its directory that decides what it decodes.

    Weights of 65 GB take minutes to hash, so the hash of a large file is kept in
    $XDG_CACHE_HOME/s1lib (~/.cache/s1lib) until the file's size or times change. A hub id counts
    with the commit that the local hub cache holds for it, or as it is written if there is none. A
    file that a released run came without counts with the hash that the release gives.
    """
    directory = Path(reference)
    if not directory.is_dir():
        return hash_of(_with_commit(reference))
    names = {path.name for pattern in MODEL_FILES for path in directory.glob(pattern)}
    files = [directory / name for name in sorted(names.difference(TRAINER_FILES))]
    hashes = {path.name: _hash_kept(path) for path in files if path.is_file()}
    return hash_of(sorted({**hashes, **left_out(directory)}.items()))


def left_out(directory: Path | str) -> dict[str, str]:
    """Hashes, by name, of the files of a model that a released run came without.

    With them a model has the key that it has with its weights, so that what was decoded with it
    still counts as finished. A file that is there after all counts as it is.
    """
    note = Path(directory) / LEFT_OUT
    if not note.exists():
        return {}
    try:
        hashes = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:
        raise S1Error(f"{note} is damaged: unpack the released run again (s1 course)") from None
    return {name: known for name, known in hashes.items() if not note.with_name(name).exists()}


def _with_commit(reference: str) -> str:
    """`owner/name@revision` with the commit that this revision is in the local hub cache."""
    from huggingface_hub import try_to_load_from_cache

    if not is_hub_id(reference):
        return reference
    name, revision = split_revision(reference)
    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return f"{name}@{Path(found).parent.name}" if isinstance(found, str) else reference


def _hash_kept(path: Path) -> str:
    """`hash_of_file`, computed once for a large file that does not change."""
    path = path.resolve()
    before = path.stat()
    if before.st_size < LARGE:
        return hash_of_file(path)

    # The time of the last change of status counts too, since copies may keep the modification time.
    stamp = [before.st_size, before.st_mtime_ns, before.st_ctime_ns]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = home / "s1lib" / "file_hashes" / f"{hash_of(str(path))}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # none yet, or damaged
        entry = json.loads(kept.read_text(encoding="utf-8"))
        if entry["stamp"] == stamp:
            return entry["hash"]

    # A file that was written a moment ago may change once more within one tick of its clock.
    found = hash_of_file(path)
    if time.time() - before.st_ctime > SETTLED:
        entry = {"path": str(path), "stamp": stamp, "hash": found}
        with contextlib.suppress(OSError, S1Error):  # a cache that cannot be written is no error
            write_text(kept, json.dumps(entry) + "\n")
    return found
