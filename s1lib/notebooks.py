"""Headless notebooks: execute one (papermill), find out what one depends on (for make).

    run_notebook("notebooks/01_curation.ipynb", profile=load_profile("toy"))   # outputs/toy/notebooks/01_curation.ipynb

papermill leaves a failed notebook at its destination, where make and a reader would take it for a result; here the
destination appears only when every cell has run. A notebook writes its own manifest in its last cell.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from s1lib.profile import ROOT, Profile, load_profile, profile_files

PARAMETERS = ("profile_name", "outputs")
FREE_BYTES = 200 << 20  # what the toy writes; a run on real models fails later with the same line
REFERENCE = ROOT / "outputs" / "reference"

# jsonschema imports this where it is installed, and it then compiles a grammar for seconds; nbformat never asks for what it checks.
sys.modules.setdefault("rfc3987_syntax", None)


class NotebookError(RuntimeError):
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
        raise NotebookError(f"{notebook} does not exist; known: {', '.join(p.stem for p in sorted((ROOT / 'notebooks').glob('*.ipynb')))}")
    unknown = [name for name in PARAMETERS if name not in papermill.inspect_notebook(str(notebook))]
    if unknown:
        raise NotebookError(f"{notebook} does not know the parameter {unknown[0]!r}: declare it in the cell tagged `parameters`")
    executed = profile.outputs / "notebooks" / notebook.name
    running, failed = (executed.with_suffix(f".{state}.ipynb") for state in ("running", "failed"))
    _prepare(executed.parent)
    _set_environment(profile)
    (profile.outputs / notebook.stem / "manifest.json").unlink(missing_ok=True)  # incomplete from here on

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
        raise NotebookError(f"{notebook.stem}: {reason}; finished work is kept: run the same command again to go on") from None
    finally:
        running.unlink(missing_ok=True)
    if not (profile.outputs / notebook.stem / "manifest.json").exists():
        raise NotebookError(f"{notebook.stem}: ran to its end but wrote no manifest: its last cell must be `write_manifest(out, ...)`")
    print(f"{notebook.stem}: done in {time.perf_counter() - start:.0f} s", flush=True)
    return executed


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".writable").touch()
        (directory / ".writable").unlink()
    except OSError as error:
        raise NotebookError(f"cannot write to {directory}: {error.strerror}; choose another place (make: OUTPUTS=…)") from None
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES:
        raise NotebookError(f"no space left: {free >> 20} MB free on the disk of {directory}, at least {FREE_BYTES >> 20} MB needed")


def _set_environment(profile: Profile) -> None:
    """What the kernel inherits: threads from the profile, this interpreter's kernel, quiet logs, no hub unless one is named."""
    if profile.threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(profile.threads))
        os.environ.setdefault("MKL_NUM_THREADS", str(profile.threads))
    os.environ.update(JUPYTER_PREFER_ENV_PATH="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    os.environ.setdefault("TQDM_MININTERVAL", "60")  # seconds between two lines of a progress bar
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")  # tqdm's, about a widget that a headless run does not need
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    if not profile.hub_references():
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
    with tempfile.TemporaryDirectory(prefix="s1-") as sockets:  # which only this user can reach, unlike TCP ports
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
    if error.ename in _own_errors():
        return error.evalue
    lines = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)).splitlines()
    return "\n".join([f"{error.ename} in cell {error.exec_count}", *lines[-15:]])


def _own_errors() -> set[str]:
    """Names of the error classes that s1lib defines: their messages are written for a person."""
    return {name for path in (ROOT / "s1lib").rglob("*.py") for name in re.findall(r"^class (\w+Error)\(", path.read_text(), re.MULTILINE)}


# ---- what a notebook depends on ----------------------------------------------------------------------------------------


def make_rules(profile_name: str, *, outputs: str) -> str:
    """Prerequisites of every manifest of the profile, for make (as `cc -MM` writes them for C).

    A notebook is executed again when its source, the profile's YAML (or one it extends), a module of s1lib that it
    imports (directly or not) or the manifest before it is newer. What it then really repeats is decided inside it, by
    the hashes that name shards and trainings.
    """
    profile = load_profile(profile_name, outputs=outputs)
    out = profile.outputs
    if re.search(r"[\s:#$%]", str(out)):
        raise NotebookError(f"make cannot handle the path {str(out)!r}: choose one without spaces and signs (make: OUTPUTS=…)")
    manifests = [out / name / "manifest.json" for name in profile.notebooks]
    lines = [f"OUT := {out}", f"notebooks: {' '.join(map(str, manifests))}"]
    for index, (name, manifest) in enumerate(zip(profile.notebooks, manifests, strict=True)):
        source = ROOT / "notebooks" / f"{name}.ipynb"
        needs = [source, *profile_files(profile_name), *modules_of(source)]
        needs = [os.path.relpath(path) for path in needs] + [str(m) for m in manifests[:index][-1:]]
        lines.append(f"{manifest}: {' '.join(needs)}")
    return "\n".join(lines) + "\n"


def modules_of(notebook: Path) -> list[Path]:
    """Files of s1lib that `notebook` imports, through others as well, the YAML they name, and the paper's numbers if it reads them."""
    if not notebook.exists():
        raise NotebookError(f"{notebook} does not exist: the profile's `notebooks` must name files of notebooks/")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    source = "\n".join(line for line in code.splitlines() if not line.startswith(("%", "!")))
    found: set[Path] = set()
    waiting = set(_imported(source))
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= set(_imported(path.read_text(encoding="utf-8"))) - found
    paper = REFERENCE.iterdir() if any(path.parent.name == "scaling" for path in found) else ()
    tables = {path.with_name(name) for path in found for name in re.findall(r"\w+\.yaml", path.read_text(encoding="utf-8"))}
    return sorted(found) + sorted(table for table in tables if table.is_file()) + sorted(path for path in paper if path.is_file())


def _imported(source: str) -> Iterator[Path]:
    tree = compile(source, "<source>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        names: Iterable[str] = ()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] == "s1lib":
                parts = name.split(".")
                candidates = [ROOT.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
                yield from (path for path in [*candidates, ROOT.joinpath(*parts).with_suffix(".py")] if path.exists())
