"""One notebook, executed headless by papermill.

    run_notebook("notebooks/01_curation.ipynb", profile=profile, profile_name="toy")
    # outputs/toy/notebooks/01_curation.ipynb

papermill leaves a failed notebook at its destination, where make and a reader would take it for a
result. Here the destination appears only when every cell has run. A notebook writes its own
manifest in its last cell.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from s1lib.errors import S1Error, notebook_lines
from s1lib.keeping.manifests import INPUTS
from s1lib.keeping.stage import PARAMETERS
from s1lib.profile import ROOT, Profile, hub_references

FREE_BYTES = 200 << 20  # what the toy writes; a run on real models fails later with the same line

# jsonschema imports this where it is installed, and then compiles a grammar for seconds. nbformat
# never asks for what it checks.
sys.modules.setdefault("rfc3987_syntax", None)


class NotebookError(S1Error):
    """A notebook cannot be run, or failed. The message is what a person needs to read."""


def run_notebook(notebook: str | Path, *, profile: Profile, profile_name: str) -> Path:
    """Execute `notebook` with `profile`, into outputs/<profile>/notebooks/<name>.ipynb.

    What it prints goes to stdout as it comes, with a line for every section. On an error the partly
    executed notebook is kept as <name>.failed.ipynb and NotebookError is raised. Its message is one
    line for an error class of s1lib and for a full disk, and the end of the traceback otherwise.
    """
    # Everything that can be wrong before the first cell.
    notebook = Path(notebook)
    executed = profile.outputs / "notebooks" / notebook.name
    check(notebook, executed)

    # The stage is incomplete from here on.
    manifest = profile.stage(notebook.stem) / "manifest.json"
    (manifest.parent / INPUTS).unlink(missing_ok=True)
    manifest.unlink(missing_ok=True)

    start = time.perf_counter()
    print(f"{notebook.stem}: started (profile {profile.name})", flush=True)
    execute(notebook, executed, profile=profile, profile_name=profile_name)
    if not manifest.exists():
        raise NotebookError(
            f"{notebook.stem}: ran to its end but wrote no manifest: its last cell must be "
            "`write_manifest(out, ...)`"
        )
    print(f"{notebook.stem}: done in {time.perf_counter() - start:.0f} s", flush=True)
    return executed


def check(notebook: Path, executed: Path) -> None:
    """Raises NotebookError for all that can be wrong before the first cell of `notebook`."""
    _check_parameters(notebook)
    _check_space(executed.parent)


def _check_parameters(notebook: Path) -> None:
    """Raises NotebookError for a notebook that is not there or does not take our parameters."""
    import papermill

    if not notebook.exists():
        known = ", ".join(path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb")))
        raise NotebookError(f"{notebook} does not exist; known: {known}")
    declared = papermill.inspect_notebook(str(notebook))
    for name in PARAMETERS:
        if name not in declared:
            raise NotebookError(
                f"{notebook} does not know the parameter {name!r}: declare it in the cell tagged "
                "`parameters`"
            )


def _check_space(directory: Path) -> None:
    """Raises NotebookError where the disk of `directory`, which is made, has too little space."""
    directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES:
        raise NotebookError(
            f"no space left: {free >> 20} MB free on the disk of {directory}, "
            f"at least {FREE_BYTES >> 20} MB needed"
        )


def _set_environment(profile: Profile) -> None:
    """Set what the kernel inherits: threads, this interpreter, quiet logs, no hub without need."""
    environment = os.environ
    if profile.threads:
        environment.setdefault("OMP_NUM_THREADS", str(profile.threads))
        environment.setdefault("MKL_NUM_THREADS", str(profile.threads))
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    )

    # A headless log needs no progress bars, nor tqdm's warning about a missing widget.
    environment.update(HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    environment.setdefault("TQDM_MININTERVAL", "60")  # seconds between two lines of a bar
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    environment.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")

    if not hub_references(profile):
        environment["HF_HUB_OFFLINE"] = "1"


def execute(notebook: Path, executed: Path, *, profile: Profile, profile_name: str) -> None:
    """Run every cell under another name, and rename: to `executed`, or to *.failed.ipynb.

    Raises NotebookError as `run_notebook` does.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    _set_environment(profile)
    values = {"profile_name": profile_name, "outputs": str(profile.outputs.parent.resolve())}

    # Only the rename makes it a result, so that a kill leaves none behind.
    running, failed = (executed.with_suffix(f".{state}.ipynb") for state in ("running", "failed"))
    try:
        _run_cells(notebook, running, values)
        os.replace(running, executed)
        failed.unlink(missing_ok=True)
    except PapermillExecutionError as error:
        os.replace(running, failed)
        raise NotebookError(f"{notebook.stem}: {_message(error)}") from None
    except DeadKernelError:
        raise NotebookError(
            f"{notebook.stem}: its kernel was killed from outside, most often because the memory "
            "was full; finished work is kept: run the same command again to go on"
        ) from None
    finally:
        running.unlink(missing_ok=True)


def _run_cells(notebook: Path, output: Path, values: dict[str, str]) -> None:
    """papermill's execution, which also prints the heading of every section when it gets there."""
    from papermill import execute_notebook
    from papermill.engines import NBClientEngine, papermill_engines
    from traitlets.config import Config

    class Sections(NBClientEngine):
        """papermill's engine, with headings."""

        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            start = nb_man.cell_start

            def cell_start(cell, cell_index=None, **more):
                if cell.cell_type == "markdown":
                    for heading in re.findall(r"^## (.*)", cell.source, flags=re.MULTILINE):
                        print(f"  {heading}", flush=True)
                start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("sections", Sections)

    # After Ctrl-C the cell's own task ends with "kernel died", which asyncio would tell with a
    # traceback. What matters is raised.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    # Sockets in a folder can be reached by this user alone, unlike TCP ports.
    with tempfile.TemporaryDirectory(prefix="s1-") as sockets:
        settings = {
            "engine_name": "sections",
            "kernel_name": "python3",
            "progress_bar": False,
            "stdout_file": sys.stdout,
            "config": Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/kernel"}),
            "shutdown_kernel": "immediate",  # Ctrl-C must not wait for a training step
        }
        execute_notebook(str(notebook), str(output), values, **settings)


def _message(error: Exception) -> str:
    """One line for our own errors and for a full disk, the end of the traceback for the rest."""
    if "No space left on device" in error.evalue:
        return "no space left on the disk: free some and run again; finished work is kept"
    if error.ename == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if error.traceback == notebook_lines(error.ename, error.evalue):  # an S1Error
        return error.evalue
    lines = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)).splitlines()
    return "\n".join([f"{error.ename} in cell {error.exec_count}", *lines[-15:]])
