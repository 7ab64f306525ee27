"""What another profile has finished, for a profile that goes on from it (`continues`).

    link_finished(profile, "04_evaluation/shards")

Shards and models are found by keys of all that decides them. So it is enough that they lie where
this profile looks for its own: those with the same key are used, all others are as if not there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from s1lib.keeping.files import atomic_directory, atomic_path
from s1lib.profile import Profile, load_profile


def link_finished(profile: Profile, folder: str, *, log: Callable[[str], None] = print) -> None:
    """Give this profile what the one that it continues has finished in `folder` of its outputs.

    folder: that of the shards or models, relative to a profile's outputs. Nothing that is there is
    replaced. Files are hard links, which take no space and stay when the other profile's outputs
    are deleted. Where a file system has none, they are copies.
    """
    if not profile.continues:
        return
    other = load_profile(profile.continues, outputs=profile.outputs.parent)
    source, place = other.outputs / folder, profile.outputs / folder
    finished = [path for path in sorted(source.glob("[!.]*")) if path.suffix != ".corrupt"]
    new = [path for path in finished if not (place / path.name).exists()]
    for path in new:
        if path.is_dir():
            with atomic_directory(place / path.name) as work:
                shutil.copytree(path, work, copy_function=_link, dirs_exist_ok=True)
        else:
            with atomic_path(place / path.name) as temporary:
                _link(path, temporary)
    if new:
        log(f"{len(new)} finished by profile {other.name} in {folder}: used where the keys agree")


def _link(source: Path | str, target: Path | str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
