"""Notebooks of a few cells, executed headless: what the tests of the command `s1` share."""

import os
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = 'profile_name = "toy"\noutputs = ""'
OPEN = (
    "from s1lib.keeping.files import ArtifactError\n"
    "from s1lib.keeping.manifests import write_manifest\n"
    "from s1lib.profile import load_profile\n"
    "from s1lib.keeping.stage import open_stage\n"
    'out = open_stage(load_profile(profile_name, outputs=outputs or None), "01_curation")'
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A profile of local paths and a place for outputs; `place(cells...)` writes notebook 01."""
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "HF_HUB_OFFLINE",
        "TQDM_MININTERVAL",
        "PYTHONPATH",
        "S1_OUTPUTS",
    ):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that what a run sets is undone
        if not os.environ[name]:
            monkeypatch.delenv(name)
    (tmp_path / "mine.yaml").write_text("threads: 1\nnotebooks: [01_curation]\n")

    def write(*sources: str, parameters: str = PARAMETERS) -> list[str]:
        cells = [
            new_code_cell(parameters, metadata={"tags": ["parameters"]}),
            new_code_cell(OPEN),
            new_markdown_cell("## 1. A section"),
        ]
        spec = {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
        cells += [new_code_cell(source) for source in sources]
        nbformat.write(new_notebook(cells=cells, metadata=spec), tmp_path / "01_curation.ipynb")
        where = ["--profile", str(tmp_path / "mine.yaml"), "--outputs", str(tmp_path / "outputs")]
        return ["run", str(tmp_path / "01_curation.ipynb"), *where]

    write.notebook = tmp_path / "01_curation.ipynb"
    write.executed = tmp_path / "outputs" / "mine" / "notebooks" / "01_curation.ipynb"
    write.failed = write.executed.with_suffix(".failed.ipynb")
    write.running = write.executed.with_suffix(".running.ipynb")
    write.manifest = tmp_path / "outputs" / "mine" / "01_curation" / "manifest.json"
    return write


def only_line(capsys) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
