"""Every notebook of a profile in its order, each only where something it depends on has changed.

    reproduce(load_profile("toy"), "toy")

A notebook is executed again when its source, the profile, a file of s1lib that it may use or the
manifest of the notebook before it is another than the last time. What it then really repeats is
decided inside it, by the hashes that name shards and models: a changed plotting function draws the
figures again and trains nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from s1lib.command.notebook_runner import run_notebook
from s1lib.command.plan import announcement
from s1lib.keeping.files import write_text
from s1lib.keeping.hashes import hash_of, hash_of_file
from s1lib.keeping.locks import take_lock
from s1lib.keeping.manifests import INPUTS
from s1lib.profile import ROOT, Profile, profile_files

# The packages that belong to one notebook, in order. Data flows from left to right, so a notebook
# uses its own package and those before it. All others serve every notebook.
PACKAGES = {
    "00_toy_universe": "toy",
    "01_curation": "curation",
    "02_sft": "sft",
    "03_budget_forcing": "thinking",
    "04_evaluation": "evaluation",
    "05_scaling_analysis": "scaling",
}
# An exercise of 00 asks the quality filter, and 03 asks problems of a benchmark.
ALSO = {"00_toy_universe": ["curation"], "03_budget_forcing": ["evaluation"]}
UNUSED = ("command", "gpu_check", "planning", "rehearsal", "site")  # no notebook imports them
SOURCES = (".py", ".yaml", ".csv")


def reproduce(profile: Profile, profile_name: str) -> None:
    """Execute what is not up to date, and say first what it will take where that is hours.

    Raises NotebookError at the first notebook that fails, and LockError where another run writes to
    the same outputs.
    """
    notebooks = [ROOT / "notebooks" / f"{name}.ipynb" for name in profile.notebooks]
    if all(is_up_to_date(notebook, profile, profile_name) for notebook in notebooks):
        return  # and nothing is touched, not even a lock
    with _only_run(profile):
        if ahead := announcement(profile):
            print(ahead, flush=True)
        for notebook in notebooks:
            if not is_up_to_date(notebook, profile, profile_name):
                _run(notebook, profile, profile_name)


def run(notebook: Path, profile: Profile, profile_name: str) -> None:
    """Execute one notebook, whether or not it is up to date. Raises as `reproduce` does."""
    with _only_run(profile):
        _run(notebook, profile, profile_name)


def inputs_key(notebook: Path, profile: Profile, profile_name: str) -> str:
    """A hash of all that `notebook` depends on."""
    files = [notebook, *profile_files(profile_name), *package_files(notebook.stem)]
    if notebook.stem in profile.notebooks:  # it reads the results of the one before it
        place = profile.notebooks.index(notebook.stem)
        before = [profile.stage(name) / "manifest.json" for name in profile.notebooks[:place][-1:]]
        files += [path for path in before if path.exists()]
    return hash_of([(path.name, hash_of_file(path)) for path in files])


def package_files(name: str) -> list[Path]:
    """The files of s1lib that notebook `name` may use."""
    notebooks = list(PACKAGES)
    later = notebooks[notebooks.index(name) + 1 :] if name in PACKAGES else ()
    left_out = {*UNUSED, *(PACKAGES[other] for other in later)} - set(ALSO.get(name, ()))
    package = ROOT / "s1lib"
    files = [path for path in sorted(package.rglob("*")) if path.suffix in SOURCES]
    return [path for path in files if path.relative_to(package).parts[0] not in left_out]


def _only_run(profile: Profile) -> TextIO:
    return take_lock(profile.outputs / ".locks" / "run", what=str(profile.outputs))


def is_up_to_date(notebook: Path, profile: Profile, profile_name: str) -> bool:
    """Whether `notebook` was executed with all that it depends on as it is now."""
    stage = profile.stage(notebook.stem)
    kept = stage / INPUTS
    if not (kept.exists() and (stage / "manifest.json").exists()):
        return False
    return kept.read_text() == inputs_key(notebook, profile, profile_name)


def _run(notebook: Path, profile: Profile, profile_name: str) -> None:
    """Execute `notebook`, and remember the inputs that it began with."""
    key = inputs_key(notebook, profile, profile_name) if notebook.exists() else ""
    run_notebook(notebook, profile=profile, profile_name=profile_name)
    write_text(profile.stage(notebook.stem) / INPUTS, key)
