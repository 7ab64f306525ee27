"""The first thing a notebook does: make sure that it may write, and where.

    profile = load_profile(profile_name, outputs=outputs or None)
    out = open_stage(profile, "01_curation")

The checks are made in the notebook itself, so that they hold for JupyterLab and plain papermill as
they do for `s1 run`.
"""

from __future__ import annotations

import ast
import difflib
from pathlib import Path
from typing import TextIO

from s1lib.errors import S1Error
from s1lib.keeping.files import remove_leftovers
from s1lib.keeping.locks import take_lock
from s1lib.keeping.manifests import INPUTS
from s1lib.keeping.released import which_run
from s1lib.profile import Profile

PARAMETERS = ("profile_name", "outputs")  # of every notebook
PATIENCE = 10  # seconds: the kernel of a killed run ends by itself within two

_held: dict[Path, TextIO] = {}  # the stages that this process writes to


class ParameterError(S1Error):
    """A notebook was given a parameter that it does not have."""


def open_stage(profile: Profile, notebook: str) -> Path:
    """The directory that `notebook` writes to, made if need be and locked for this process.

    Prints which run this is where it is a released one.
    Raises ParameterError for a parameter that papermill passed and the notebook does not have, and
    LockError if another process runs the same notebook on the same outputs.
    """
    for name in passed_parameters():
        if name not in PARAMETERS:
            (meant,) = difflib.get_close_matches(name, PARAMETERS, n=1, cutoff=0)
            raise ParameterError(f"unknown parameter {name!r}; did you mean {meant!r}?")

    directory = profile.create_stage(notebook)
    if directory not in _held:
        lock = profile.outputs / ".locks" / notebook
        _held[directory] = take_lock(lock, what=str(directory), patience=PATIENCE)
        remove_leftovers(directory)
        # Somebody may have edited this notebook: unless `s1` says otherwise when it is done, it
        # will be executed again.
        (directory / INPUTS).unlink(missing_ok=True)
    if shown := which_run(profile, notebook):
        print(shown)
    return directory


def passed_parameters() -> list[str]:
    """The names that papermill set: it adds a cell of assignments, headed "# Parameters"."""
    from IPython import get_ipython

    shell = get_ipython()
    cells = shell.user_ns.get("In", ()) if shell else ()
    trees = [ast.parse(cell) for cell in cells if cell.startswith("# Parameters\n")]
    assignments = [line for tree in trees for line in tree.body if isinstance(line, ast.Assign)]
    return [name.id for line in assignments for name in line.targets]
