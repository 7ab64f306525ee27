"""The solutions of the exercises, executed headless on a finished run.

    run_solutions(load_profile("toy"), "toy")       # -> outputs/toy/solutions/NN_name.ipynb

Each solution asserts what the exercise says one should see. All notebooks are executed, whether or
not one before has failed.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from s1lib.command.notebook_runner import NotebookError, check, execute
from s1lib.errors import S1Error
from s1lib.keeping.manifests import require_manifest
from s1lib.profile import ROOT, Profile

SOLUTIONS = ROOT / "notebooks" / "solutions"


class SolutionError(S1Error):
    """An exercise has no solution that runs. The message names it."""


def run_solutions(profile: Profile, profile_name: str) -> None:
    """Execute the solutions to every notebook of `profile`, on its finished run.

    Raises ArtifactError if a notebook has not been run yet, and SolutionError that names each
    exercise whose solution failed.
    """
    for name in profile.notebooks:
        require_manifest(profile.stage(name))

    failures = []
    for name in profile.notebooks:
        notebook, executed = SOLUTIONS / f"{name}.ipynb", profile.outputs / "solutions" / name
        executed = executed.with_suffix(".ipynb")
        check(notebook, executed)
        failed = executed.with_suffix(".failed.ipynb")
        failed.unlink(missing_ok=True)
        start = time.perf_counter()
        try:
            execute(notebook, executed, profile=profile, profile_name=profile_name)
        except NotebookError as error:
            # A kernel that died leaves none.
            where = failed_exercise(failed) if failed.exists() else "in an unknown exercise"
            failures.append(f"{name}, {where}")
            print(f"{name}, {where}: {error}", flush=True)
        else:
            print(f"{name}: solved in {time.perf_counter() - start:.0f} s", flush=True)
    if failures:
        raise SolutionError(f"solutions that failed: {'; '.join(failures)}")


def failed_exercise(notebook: Path) -> str:
    """The heading above the cell in which a partly executed notebook stopped."""
    import nbformat

    heading = "before the first exercise"
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            for found in re.findall(r"^## (Exercise .*)", cell.source, flags=re.MULTILINE):
                heading = found
        elif cell.metadata.get("papermill", {}).get("exception"):
            break
    return heading
