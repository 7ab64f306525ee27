"""What is executed again, and by whom: `s1 run`, `s1 reproduce` and a notebook opened by hand."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import headless
import nbformat
import pytest
from headless import only_line, wait_for

from s1lib.command import reproduce
from s1lib.command.cli import main
from s1lib.keeping.locks import take_lock
from s1lib.keeping.stage import PARAMETERS
from s1lib.profile import load_profile

place = headless.place  # a fixture

ROOT = Path(__file__).resolve().parent.parent
DONE = "write_manifest(out)"


@pytest.fixture
def repository(place, tmp_path, monkeypatch):
    """`place`, with its notebook as the only one of `s1 reproduce`; returns both commands."""
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()

    def write(*sources: str) -> tuple[list[str], list[str]]:
        run = place(*sources)
        notebook = tmp_path / "notebooks" / "01_curation.ipynb"
        Path(run[1]).rename(notebook)
        return ["run", str(notebook), *run[2:]], ["reproduce", *run[2:]]

    return write


def begun(capfd) -> bool:
    return "01_curation: started" in capfd.readouterr().out


def papermill(notebook: Path, out: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "papermill", str(notebook), str(out), "-k", "python3"]
    return subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


# ---- what is executed again ----


def test_what_is_up_to_date_is_not_executed_again_and_a_change_is(repository, capfd):
    _, again = repository(DONE)
    assert main(again) == 0 and begun(capfd)
    assert main(again) == 0 and not begun(capfd)
    repository(DONE, "1 + 1")
    assert main(again) == 0 and begun(capfd)


def test_a_notebook_that_was_run_by_name_is_up_to_date(repository, capfd):
    run, again = repository(DONE)
    assert main(run) == 0 and begun(capfd)
    assert main(again) == 0 and not begun(capfd)
    assert main(run) == 0 and begun(capfd)


def test_a_run_that_ended_before_it_was_noted_is_repeated(repository, capfd, monkeypatch):
    """Killed between the manifest and the note of its inputs, and then the change is taken back."""
    _, again = repository(DONE)
    assert main(again) == 0

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reproduce, "write_text", killed)
        repository(DONE, "1 + 1")
        assert main(again) == 130
    repository(DONE)
    capfd.readouterr()
    assert main(again) == 0 and begun(capfd)


def test_a_notebook_that_somebody_ran_by_hand_is_executed_again(repository, place, capfd, tmp_path):
    _, again = repository(DONE)
    assert main(again) == 0
    place(DONE)
    outputs = ["-p", "outputs", str(tmp_path / "outputs"), "-p", "profile_name"]
    by_hand = papermill(place.notebook, tmp_path / "x.ipynb", *outputs, str(tmp_path / "mine.yaml"))
    assert by_hand.returncode == 0, by_hand.stderr
    assert place.manifest.exists()
    capfd.readouterr()
    assert main(again) == 0 and begun(capfd)


# ---- two runs at once ----


@pytest.mark.parametrize("second", ["run", "reproduce"])
def test_a_second_run_on_the_same_outputs_is_refused_and_told_of_the_first(
    place, capsys, tmp_path, second
):
    sleeping = tmp_path / "sleeping"
    command = place(f'import time\nopen("{sleeping}", "w").close()\ntime.sleep(60)', DONE)
    first = subprocess.Popen(
        [sys.executable, "-m", "s1lib", *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=-3
    )
    wait_for(sleeping.exists)
    assert main([second, *command[1 if second == "run" else 2 :]]) == 1
    line = only_line(capsys)
    outputs = tmp_path / "outputs" / "mine"
    who = f"process {first.pid} on {socket.gethostname()}, since "
    assert line.startswith(f"error: {outputs} is in use by {who}"), line
    first.send_signal(signal.SIGKILL)
    first.communicate()
    place(DONE)
    assert main(command) == 0  # at once: the killed run's kernel is waited for


def test_a_notebook_opened_by_hand_is_refused_while_another_run_writes(place, tmp_path):
    place(DONE)
    notebook = nbformat.read(place.notebook, as_version=4)
    hasty = "from s1lib.keeping import stage\nstage.PATIENCE = 0\n"
    notebook.cells[1].source = hasty + notebook.cells[1].source
    nbformat.write(notebook, place.notebook)
    outputs = ["-p", "outputs", str(tmp_path / "outputs"), "-p", "profile_name"]
    with take_lock(tmp_path / "outputs" / "mine" / ".locks" / "01_curation", what="it"):
        refused = papermill(
            place.notebook, tmp_path / "x.ipynb", *outputs, str(tmp_path / "mine.yaml")
        )
    assert refused.returncode and "01_curation is in use by process" in refused.stderr
    assert not place.manifest.exists()


# ---- parameters ----


def test_an_unknown_parameter_is_an_error_in_the_notebook_itself(place, tmp_path):
    place(DONE)
    run = papermill(place.notebook, tmp_path / "x.ipynb", "-p", "profile", "smoke")
    assert run.returncode
    assert "unknown parameter 'profile'; did you mean 'profile_name'?" in run.stderr
    assert not place.manifest.exists()


def test_every_notebook_opens_its_stage_and_has_the_same_parameters():
    for name in load_profile("toy").notebooks:
        notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())
        code = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
        assert sum(f'out = open_stage(profile, "{name}")' in cell for cell in code) == 1
        assert all(f"{parameter} = " in code[0] for parameter in PARAMETERS)


@pytest.mark.parametrize("name", load_profile("toy").notebooks)
def test_a_notebook_depends_on_every_package_that_it_imports(name):
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    imported = set(re.findall(r"^from s1lib\.(\w+)", code, re.MULTILINE))
    known = {path.relative_to(ROOT / "s1lib").parts[0] for path in reproduce.package_files(name)}
    assert imported and imported <= known
