"""Checkpoints of a training under way: where they lie, and which one a killed run goes on from.

They lie beside the model's directory (`.s1.checkpoints` beside `s1`) and go away when the model is
finished.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s1lib.errors import S1Error
from s1lib.keeping.files import write_text


class CheckpointError(S1Error):
    """There are checkpoints of another training: one line that says what differs."""


def directory_of(model: Path | str) -> Path:
    """The directory of the checkpoints of the training that writes `model`."""
    model = Path(model)
    return model.with_name(f".{model.name}.checkpoints")


def last_checkpoint(directory: Path) -> Path | None:
    """The newest complete checkpoint, or None."""
    # The trainer's state is written last, so a checkpoint cut short has none.
    complete = [path.parent for path in directory.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda path: int(re.sub(r"\D", "", path.name)), default=None)


def claim(directory: Path, *, settings: Mapping[str, Any], data: str, write: bool) -> Path | None:
    """The checkpoint to go on from, or None to begin.

    `data` is the data set's hash, and `write` is true in one process of several. Raises
    CheckpointError when the checkpoints were written with other settings or data: going on would
    mix two trainings.
    """
    settings, kept = json.loads(json.dumps(settings)), directory / "training.json"
    checkpoint = last_checkpoint(directory)
    if checkpoint is None:
        if write:
            write_text(kept, json.dumps({"settings": settings, "data": data}, indent=1) + "\n")
        return None

    # What differs is named, since setting it back is one of two ways on.
    before = json.loads(kept.read_text(encoding="utf-8"))
    other = [
        f"{key} {before['settings'].get(key)} there, {value} here"
        for key, value in settings.items()
        if before["settings"].get(key) != value
    ]
    if other:
        raise CheckpointError(
            f"{checkpoint} is of other settings ({'; '.join(other)}): set them back, "
            f"or delete {directory} to begin anew"
        )
    if before["data"] != data:
        raise CheckpointError(
            f"{checkpoint} was trained on other data: bring the samples back, "
            f"or delete {directory} to begin anew"
        )
    return checkpoint
