"""Manifests: the last file that a stage writes, and the only sign that it is complete."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
import time
from pathlib import Path
from typing import Any

from s1lib.keeping.files import ArtifactError, write_text
from s1lib.keeping.hashes import plain

INPUTS = "inputs.key"  # beside the manifest: what `s1` remembers of a stage's inputs
PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "accelerate",
    "datasets",
    "numpy",
    "pandas",
    "math-verify",
)


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on, for manifests and records."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def write_manifest(directory: Path | str, **facts: Any) -> None:
    """Mark `directory` complete: of what it was made, with which versions, and all files in it."""
    directory = Path(directory)
    files = {
        str(p.relative_to(directory)): p.stat().st_size
        for p in sorted(directory.rglob("*"))
        if p.is_file() and p.name not in ("manifest.json", INPUTS)
    }
    manifest = {
        **facts,
        "versions": versions(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "files": files,
    }
    write_text(directory / "manifest.json", json.dumps(manifest, indent=1, default=plain) + "\n")


def require_manifest(directory: Path | str) -> dict:
    """The manifest of a finished stage, or ArtifactError that names the notebook to run."""
    path = Path(directory) / "manifest.json"
    if not path.exists():
        first = f"run notebook {path.parent.name} first (or `make reproduce`)"
        raise ArtifactError(f"{path.parent} is not finished: {first}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        again = "delete it and run `make reproduce` again"
        raise ArtifactError(f"{path} is damaged: {again}") from None
