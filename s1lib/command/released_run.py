"""`s1 release` packs a finished run into one archive, `s1 course` unpacks it.

    s1 release --profile toy        # -> outputs/released/toy-0.1.0.tar.xz, .sha256 and .json
    s1 course --profile toy         # -> outputs/toy, where there is no run yet

With a released run, notebooks 03 to 05 open and run without any training. The same run always gives
the same bytes. Weights hardly compress, so those of the ablations and of further seeds are left
out: a left_out.json in their folder holds the hashes (`s1lib.keeping.hashes.left_out`).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s1lib import __version__
from s1lib.command.reproduce import is_up_to_date
from s1lib.errors import S1Error
from s1lib.keeping.files import atomic_directory, atomic_path, write_text
from s1lib.keeping.hashes import LEFT_OUT, hash_of_file
from s1lib.keeping.manifests import require_manifest
from s1lib.keeping.released import RELEASED
from s1lib.profile import ROOT, Profile, load_profile, path_of, replicas_of

ARCHIVES = ROOT / "outputs" / "released"
LARGEST = 20_000_000  # bytes of an archive, which is committed
WEIGHTS = "model.safetensors"


class ReleaseError(S1Error):
    """A run cannot be released, or a released run cannot be unpacked here."""


def add_to(commands: Any) -> None:
    """Add both commands to the subparsers of `s1`."""
    for name, about, command in (
        ("release", "pack the finished run of a profile into one archive", _release),
        ("course", "unpack the released run of a profile, to open the notebooks on it", _course),
    ):
        parser = commands.add_parser(name, help=about)
        parser.set_defaults(command=command)
        parser.add_argument("--profile", default=None, help="(default: $PROFILE, else toy)")
        place = "where outputs/<profile> lies (default: $S1_OUTPUTS, else outputs/)"
        parser.add_argument("--outputs", default=None, help=place)
        archives = "where the archives lie (default: outputs/released of the repository)"
        parser.add_argument("--archives", type=Path, default=ARCHIVES, help=archives)


def _release(options: argparse.Namespace) -> None:
    profile = load_profile(options.profile, outputs=options.outputs)
    archive = pack(profile, options.profile or profile.name, options.archives)
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")


def _course(options: argparse.Namespace) -> None:
    profile = load_profile(options.profile, outputs=options.outputs)
    unpack(profile, options.archives)
    print(f"{profile.name}: the released run is in {os.path.relpath(profile.outputs)}")


def pack(profile: Profile, profile_name: str, archives: Path = ARCHIVES) -> Path:
    """Pack the run of `profile` and return the archive. Its checksum and description lie beside it.

    Raises ArtifactError for a run that is not finished, and ReleaseError for one that this version
    of the code would not leave as it is, or that is larger than 20 MB when packed.
    """
    if (profile.outputs / RELEASED).exists():
        raise ReleaseError(f"{profile.outputs} is itself a released run, without all its weights")
    stale = []
    for name in profile.notebooks:
        require_manifest(profile.stage(name))
        if not is_up_to_date(ROOT / "notebooks" / f"{name}.ipynb", profile, profile_name):
            stale.append(name)
    if stale:
        raise ReleaseError(
            f"{profile.outputs} is not up to date with this code ({', '.join(stale)}): "
            "run `make reproduce` first"
        )

    # The description first: it says what the archive lacks.
    ablations = [path for path in _ablations(profile) if (path / WEIGHTS).exists()]
    about = _description(profile, ablations)
    notes = {RELEASED: about}
    for path in ablations:
        note = json.dumps({WEIGHTS: hash_of_file(path / WEIGHTS)}) + "\n"
        notes[str((path / LEFT_OUT).relative_to(profile.outputs))] = note

    archive = _archive(profile, archives)
    with atomic_path(archive) as temporary:
        _write(temporary, profile, notes, without={path / WEIGHTS for path in ablations})
        if (size := temporary.stat().st_size) > LARGEST:
            allowed = f"{LARGEST / 1e6:.0f} MB may be committed"
            raise ReleaseError(f"the archive has {size / 1e6:.1f} MB: {allowed}")
    write_text(archive.with_name(f"{archive.name}.sha256"), f"{_sha256(archive)}  {archive.name}\n")
    write_text(_beside(archive), about)
    return archive


def unpack(profile: Profile, archives: Path = ARCHIVES) -> None:
    """Unpack the released run of `profile` into its outputs, where there is no run yet.

    Does nothing where this very release is already there. Raises ReleaseError for an archive that
    is missing or damaged, and where the outputs hold another run.
    """
    archive = _archive(profile, archives)
    if not archive.exists():
        raise ReleaseError(f"{archive} does not exist: profile {profile.name} has no released run")
    released = profile.outputs / RELEASED
    if released.exists() and released.read_bytes() == _beside(archive).read_bytes():
        return

    # Locks and empty folders are left by notebooks that were opened too early.
    found = [path for path in profile.outputs.rglob("*") if path.is_file()]
    if any(path.parent.name != ".locks" for path in found):
        raise ReleaseError(
            f"{profile.outputs} holds another run, which is not overwritten: "
            "choose another place (make: OUTPUTS=…), or delete it"
        )
    wanted = archive.with_name(f"{archive.name}.sha256").read_text(encoding="utf-8").split()[0]
    if _sha256(archive) != wanted:
        raise ReleaseError(f"{archive} is damaged, its checksum is another: check it out again")

    def inside(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo | None:
        """Without the top folder, and nothing that would land outside of `place`."""
        name = member.name.removeprefix(f"{profile.name}/")
        return tarfile.data_filter(member.replace(name=name, deep=False), place)

    try:
        with atomic_directory(profile.outputs) as work, tarfile.open(archive) as tar:
            tar.extractall(work, filter=inside)
    except tarfile.TarError as error:
        raise ReleaseError(f"{archive} is no released run: {error}") from None


def _archive(profile: Profile, archives: Path) -> Path:
    return archives / f"{profile.name}-{__version__}.tar.xz"


def _beside(archive: Path) -> Path:
    return archive.with_name(archive.name.replace(".tar.xz", ".json"))


def _ablations(profile: Profile) -> list[Path]:
    """Folders of the models that no cell decodes by hand: ablations, and further seeds of any."""
    kept = {"base", "s1", *profile.sft.conditional} - {"class"}
    return [
        Path(path_of(profile, name, replica))
        for name in ("base", *profile.sft.models)
        for replica in replicas_of(profile, name)
        if not replica.is_first or name not in kept
    ]


def _description(profile: Profile, ablations: list[Path]) -> str:
    """released.json: which code made the run, where, when, and what the archive lacks."""
    last = require_manifest(profile.stage(profile.notebooks[-1]))
    weights = [str((path / WEIGHTS).relative_to(profile.outputs)) for path in ablations]
    about = {
        "profile": profile.name,
        "version": __version__,
        "commit": _commit(),
        "finished": last["finished"],
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "versions": last["versions"],
        "left_out": ["html", "slides", "solutions", *weights],
        "stages": {
            name: hash_of_file(profile.stage(name) / "manifest.json") for name in profile.notebooks
        },
    }
    return json.dumps(about, indent=1) + "\n"


def _commit() -> str:
    """The commit of this code, with "-dirty" behind it where files have changed since."""
    describe = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        told = subprocess.run([*describe, "--exclude=*"], capture_output=True, text=True)
    except FileNotFoundError:  # no git on this machine
        return "unknown"
    return told.stdout.strip() or "unknown"


def _files(profile: Profile) -> Iterator[Path]:
    """The files of every stage, and the executed notebooks, in a fixed order."""
    for name in profile.notebooks:
        for path in sorted(profile.stage(name).rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(profile.outputs).parts)
            if path.is_file() and not hidden and path.suffix != ".corrupt":
                yield path
        yield profile.outputs / "notebooks" / f"{name}.ipynb"


def _write(place: Path, profile: Profile, notes: dict[str, str], *, without: set[Path]) -> None:
    """The archive of all files and notes, without times and owners."""
    contents = {
        str(path.relative_to(profile.outputs)): path
        for path in _files(profile)
        if path not in without
    }
    with tarfile.open(place, "w:xz", preset=9) as tar:
        for name, source in sorted({**contents, **notes}.items()):
            data = source.encode() if isinstance(source, str) else source.read_bytes()
            entry = tarfile.TarInfo(f"{profile.name}/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
