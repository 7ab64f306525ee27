"""Notebook hygiene: what a reader, papermill and make rely on."""

import ast
import re
import statistics
from pathlib import Path

import nbformat
import papermill
import pytest

from s1lib.command.notebook_runner import PARAMETERS
from s1lib.profile import known_profiles, load_profile

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST, MEDIAN, DEMONSTRATION = 15, 6, 10  # lines of code


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def path(request) -> Path:
    return request.param


@pytest.fixture(scope="module")
def notebook(path):
    return nbformat.read(path, as_version=4)


def code(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def lines(source: str) -> int:
    return len([line for line in source.splitlines() if line.strip()])


def tree(source: str) -> ast.AST:
    plain = "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!")))
    return compile(plain, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_notebooks_are_those_of_the_profiles():
    named = {name for profile in known_profiles() for name in load_profile(profile).notebooks}
    assert {path.stem for path in NOTEBOOKS} == named
    assert (
        list(load_profile("toy").notebooks)
        == sorted(named)
        == list(load_profile("smoke").notebooks)
    )


def test_it_is_valid_and_names_its_kernel_and_language(notebook):
    nbformat.validate(notebook)
    assert (
        notebook.metadata.kernelspec.name == "python3"
        and notebook.metadata.language_info.name == "python"
    )


def test_no_outputs_are_committed(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    assert not any(set(cell.metadata) - {"tags"} for cell in notebook.cells)


def test_the_first_code_cell_holds_the_parameters_and_their_defaults_are_the_toy(path, notebook):
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert (
        first.metadata.tags == ["parameters"]
        and sum("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells) == 1
    )
    known = papermill.inspect_notebook(str(path))
    assert set(known) == set(PARAMETERS)
    assert (known["profile_name"]["default"], known["outputs"]["default"]) == ('"toy"', '""')


def test_the_last_cell_writes_the_manifest(notebook):
    assert (
        notebook.cells[-1].cell_type == "code" and "write_manifest(out" in notebook.cells[-1].source
    )
    assert sum("write_manifest(out" in source for source in code(notebook)) == 1


def test_cells_are_short_and_hold_no_logic_of_their_own(notebook):
    lengths = [lines(source) for source in code(notebook)]
    assert max(lengths) <= LONGEST and statistics.median(lengths) <= MEDIAN
    nodes = [node for source in code(notebook) for node in ast.walk(tree(source))]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert len(functions) <= 1 and all(
        node.end_lineno - node.lineno < DEMONSTRATION for node in functions
    )
    assert not any(isinstance(node, ast.ClassDef) for node in nodes)


def test_there_is_at_least_as_much_prose_as_code_and_numbered_sections(notebook):
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert sum(len(text.split()) for text in prose) >= sum(
        len(source.split()) for source in code(notebook)
    )
    assert notebook.cells[0].source.startswith("# ")
    headings = [
        heading for text in prose for heading in re.findall(r"^## (\d+)\.", text, re.MULTILINE)
    ]
    assert (
        headings == [str(number) for number in range(1, len(headings) + 1)] and len(headings) >= 3
    )
    exercises = "\n".join(prose).lower().partition("exercises")[2]
    assert len(re.findall(r"^\d+\. ", exercises, re.MULTILINE)) in (2, 3)


def test_every_profile_runs_the_same_lines(notebook):
    compared = [
        node
        for source in code(notebook)
        for node in ast.walk(tree(source))
        if isinstance(node, ast.Compare)
    ]
    assert not any(
        "profile.name" in ast.unparse(node) or "profile_name" in ast.unparse(node)
        for node in compared
    )
