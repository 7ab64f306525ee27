"""Solutions of exercises, executed on a finished run: what is written, what a failure names."""

import nbformat
import pytest
from headless import PARAMETERS
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from s1lib.command import solutions
from s1lib.command.cli import main
from s1lib.keeping.manifests import write_manifest

SPEC = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}


@pytest.fixture
def solve(tmp_path, monkeypatch):
    """`solve(first, second)` runs the command on a notebook of two exercises."""
    monkeypatch.setattr(solutions, "SOLUTIONS", tmp_path)
    profile, outputs = tmp_path / "mine.yaml", tmp_path / "outputs"
    profile.write_text("threads: 1\nnotebooks: [01_curation]\n")

    def run(*sources: str, finished: bool = True) -> int:
        cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
        for number, source in enumerate(sources, start=1):
            cells.append(new_markdown_cell(f"## Exercise 1.{number}: the {number}. task"))
            cells.append(new_code_cell(source))
        nbformat.write(new_notebook(cells=cells, metadata=SPEC), tmp_path / "01_curation.ipynb")
        if finished:
            (stage := outputs / "mine" / "01_curation").mkdir(parents=True, exist_ok=True)
            write_manifest(stage)
        return main(["solutions", "--profile", str(profile), "--outputs", str(outputs)])

    run.solved = outputs / "mine" / "solutions" / "01_curation.ipynb"
    return run


def test_solutions_run_beside_the_stages_and_leave_them_as_they_are(solve):
    assert solve("assert profile_name.endswith('mine.yaml')", "assert outputs") == 0
    assert solve.solved.exists()
    stage = solve.solved.parent.parent / "01_curation"
    assert [path.name for path in stage.iterdir()] == ["manifest.json"]


def test_a_failed_assertion_names_its_exercise_and_ends_with_1(solve, capsys):
    assert solve("assert True", "assert 1 == 2, 'the curve falls'") == 1
    printed = capsys.readouterr()
    (line,) = printed.err.strip().splitlines()
    assert line == "error: solutions that failed: 01_curation, Exercise 1.2: the 2. task"
    assert "the curve falls" in printed.out and not solve.solved.exists()


def test_a_kernel_that_dies_is_one_line_and_no_other_solutions_exercise(solve, capsys):
    assert solve("assert True", "assert False") == 1
    assert solve("import os", "os._exit(1)") == 1
    assert capsys.readouterr().err.strip().endswith("01_curation, in an unknown exercise")


def test_without_a_finished_run_it_is_one_line(solve, capsys):
    assert solve("pass", finished=False) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "is not finished: run notebook 01_curation first" in line
