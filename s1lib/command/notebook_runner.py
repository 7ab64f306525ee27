"""One notebook, executed headless by papermill.

    run_notebook("notebooks/01_curation.ipynb", profile=profile, profile_name="toy")
    # outputs/toy/notebooks/01_curation.ipynb

papermill leaves a failed notebook at its destination, where make and a reader would take it for a result; here the
destination appears only when every cell has run. A notebook writes its own manifest in its last cell.
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

from s1lib.errors import S1Error, one_line
from s1lib.profile import ROOT, Profile, hub_references

PARAMETERS = ("profile_name", "outputs")
FREE_BYTES = 200 << 20  # what the toy writes; a run on real models fails later with the same line

# jsonschema imports this where it is installed, and it then compiles a grammar for seconds; nbformat never asks for what it checks.
sys.modules.setdefault("rfc3987_syntax", None)


class NotebookError(S1Error):
    """A notebook cannot be run, or failed; the message is what a person needs to read."""


def run_notebook(notebook: str | Path, *, profile: Profile, profile_name: str) -> Path:
    """Execute `notebook` with `profile`; returns outputs/<profile>/notebooks/<name>.ipynb.

    What it prints goes to stdout as it comes, with a line for every section. On an error the partly executed notebook
    is kept as <name>.failed.ipynb and NotebookError is raised: with the message alone for an error class of s1lib and
    a full disk, with the end of the traceback for anything else.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    notebook = Path(notebook)
    if not notebook.exists():
        raise NotebookError(
            f"{notebook} does not exist; known: {', '.join(p.stem for p in sorted((ROOT / 'notebooks').glob('*.ipynb')))}"
        )
    unknown = [name for name in PARAMETERS if name not in papermill.inspect_notebook(str(notebook))]
    if unknown:
        raise NotebookError(
            f"{notebook} does not know the parameter {unknown[0]!r}: declare it in the cell tagged `parameters`"
        )
    executed = profile.outputs / "notebooks" / notebook.name
    running, failed = (executed.with_suffix(f".{state}.ipynb") for state in ("running", "failed"))
    _prepare(executed.parent)
    _set_environment(profile)
    (profile.outputs / notebook.stem / "manifest.json").unlink(
        missing_ok=True
    )  # incomplete from here on

    start = time.perf_counter()
    print(f"{notebook.stem}: started (profile {profile.name})", flush=True)
    values = {"profile_name": profile_name, "outputs": str(profile.outputs.parent.resolve())}
    try:
        _execute(notebook, running, values)
        os.replace(running, executed)
        failed.unlink(missing_ok=True)
    except papermill.exceptions.PapermillExecutionError as error:
        os.replace(running, failed)
        raise NotebookError(f"{notebook.stem}: {_message(error)}") from None
    except DeadKernelError:
        reason = "its kernel was killed from outside, most often because the memory was full"
        raise NotebookError(
            f"{notebook.stem}: {reason}; finished work is kept: run the same command again to go on"
        ) from None
    finally:
        running.unlink(missing_ok=True)
    if not (profile.outputs / notebook.stem / "manifest.json").exists():
        raise NotebookError(
            f"{notebook.stem}: ran to its end but wrote no manifest: its last cell must be `write_manifest(out, ...)`"
        )
    print(f"{notebook.stem}: done in {time.perf_counter() - start:.0f} s", flush=True)
    return executed


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".writable").touch()
        (directory / ".writable").unlink()
    except OSError as error:
        raise NotebookError(
            f"cannot write to {directory}: {error.strerror}; choose another place (make: OUTPUTS=…)"
        ) from None
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES:
        raise NotebookError(
            f"no space left: {free >> 20} MB free on the disk of {directory}, at least {FREE_BYTES >> 20} MB needed"
        )


def _set_environment(profile: Profile) -> None:
    """What the kernel inherits: threads from the profile, this interpreter's kernel, quiet logs, no hub unless one is named."""
    if profile.threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(profile.threads))
        os.environ.setdefault("MKL_NUM_THREADS", str(profile.threads))
    os.environ.update(
        JUPYTER_PREFER_ENV_PATH="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1"
    )
    os.environ.setdefault("TQDM_MININTERVAL", "60")  # seconds between two lines of a progress bar
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault(
        "PYTHONWARNINGS", "ignore:IProgress not found"
    )  # tqdm's, about a widget that a headless run does not need
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    if not hub_references(profile):
        os.environ["HF_HUB_OFFLINE"] = "1"


def _execute(notebook: Path, output: Path, values: dict[str, str]) -> None:
    from papermill import execute_notebook
    from papermill.engines import NBClientEngine, papermill_engines
    from traitlets.config import Config

    class Sections(NBClientEngine):
        """papermill's engine, which also prints each section's heading when it gets there."""

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
    # After Ctrl-C the cell's own task ends with "kernel died", which asyncio would tell with a traceback; what matters is raised.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(
        prefix="s1-"
    ) as sockets:  # which only this user can reach, unlike TCP ports
        settings = {
            "engine_name": "sections",
            "kernel_name": "python3",
            "progress_bar": False,
            "stdout_file": sys.stdout,
            "config": Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/kernel"}),
            "shutdown_kernel": "immediate",  # Ctrl-C must not wait for a training step, nor the kernel tell of it
        }
        execute_notebook(str(notebook), str(output), values, **settings)


def _message(error: Exception) -> str:
    """One line for our own errors and for a full disk; the end of the traceback for the rest."""
    if "No space left on device" in error.evalue:
        return "no space left on the disk: free some and run again; finished work is kept"
    if error.ename == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if error.traceback == one_line(error.ename, error.evalue):  # an S1Error
        return error.evalue
    lines = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)).splitlines()
    return "\n".join([f"{error.ename} in cell {error.exec_count}", *lines[-15:]])
