"""Every notebook of a profile in its order, each only where something it depends on has changed.

    reproduce(load_profile("toy"), "toy")

A notebook is executed again when its source, the profile, a file of s1lib that it may use or the
manifest of the notebook before it is another than the last time. What it then really repeats is
decided inside it, by the hashes that name shards and models: a changed plotting function draws the
figures again and trains nothing.
"""

from __future__ import annotations

from pathlib import Path

from s1lib.command.notebook_runner import run_notebook
from s1lib.command.plan import announcement
from s1lib.keeping.files import write_text
from s1lib.keeping.hashes import hash_of, hash_of_file
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
UNUSED = ("command", "planning", "site")  # no notebook imports them
SOURCES = (".py", ".yaml", ".csv")


def reproduce(profile: Profile, profile_name: str) -> None:
    """Execute what is not up to date; raises NotebookError at the first notebook that fails.

    Says first what the unfinished notebooks will take, where that is more than an hour.
    """
    unfinished = [
        name for name in profile.notebooks if not (profile.stage(name) / "manifest.json").exists()
    ]
    if ahead := announcement(profile, unfinished):
        print(ahead, flush=True)
    for place, name in enumerate(profile.notebooks):
        before = profile.notebooks[:place][-1:]
        key = inputs_key(profile, profile_name, name, before)
        kept = profile.stage(name) / "inputs.key"
        manifest = profile.stage(name) / "manifest.json"
        if manifest.exists() and kept.exists() and kept.read_text() == key:
            continue
        notebook = ROOT / "notebooks" / f"{name}.ipynb"
        run_notebook(notebook, profile=profile, profile_name=profile_name)
        write_text(kept, key)


def inputs_key(profile: Profile, profile_name: str, name: str, before: tuple[str, ...]) -> str:
    """A hash of all that notebook `name` depends on; `before` is the one whose results it reads."""
    files = [ROOT / "notebooks" / f"{name}.ipynb"]
    files += [*profile_files(profile_name), *package_files(name)]
    files += [profile.stage(other) / "manifest.json" for other in before]
    return hash_of([(path.name, hash_of_file(path)) for path in files])


def package_files(name: str) -> list[Path]:
    """The files of s1lib that notebook `name` may use."""
    notebooks = list(PACKAGES)
    later = notebooks[notebooks.index(name) + 1 :] if name in PACKAGES else ()
    left_out = {*UNUSED, *(PACKAGES[other] for other in later)}
    package = ROOT / "s1lib"
    files = [path for path in sorted(package.rglob("*")) if path.suffix in SOURCES]
    return [path for path in files if path.relative_to(package).parts[0] not in left_out]
