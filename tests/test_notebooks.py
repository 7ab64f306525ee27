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
LONGEST, MEDIAN, DEMONSTRATION, BY_HAND = 15, 6, 10, 12  # lines of code
TAGS = {"parameters", "by-hand", "exercise", "slide", "slide-more"}
TASK = r"Exercise (\d+\.\d+): (.+) \((easy|medium|project), (.+)\)"


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


def prose(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", ()))


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
    assert not any(tags(cell) - TAGS for cell in notebook.cells)


def test_the_first_code_cell_holds_the_parameters_and_their_defaults_are_the_toy(path, notebook):
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.metadata.tags == ["parameters"]
    assert sum("parameters" in tags(cell) for cell in notebook.cells) == 1
    known = papermill.inspect_notebook(str(path))
    assert set(known) == set(PARAMETERS)
    assert (known["profile_name"]["default"], known["outputs"]["default"]) == ('"toy"', '""')


def test_the_last_cell_writes_the_manifest(notebook):
    assert (
        notebook.cells[-1].cell_type == "code" and "write_manifest(out" in notebook.cells[-1].source
    )
    assert sum("write_manifest(out" in source for source in code(notebook)) == 1


def test_cells_are_short_and_their_functions_are_demonstrations(notebook):
    lengths = [lines(source) for source in code(notebook)]
    assert max(lengths) <= LONGEST and statistics.median(lengths) <= MEDIAN
    nodes = [node for source in code(notebook) for node in ast.walk(tree(source))]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert all(node.end_lineno - node.lineno < DEMONSTRATION for node in functions)
    assert not any(isinstance(node, ast.ClassDef) for node in nodes)


def test_sections_are_numbered(notebook):
    headings = re.findall(r"^## (\d+)\.", prose(notebook), re.MULTILINE)
    assert headings == [str(number) for number in range(1, len(headings) + 1)]
    assert len(headings) >= 3


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


# ---- what a reader of the course relies on ----


def section(notebook, title: str) -> list:
    """The cells from the heading `## title` to the next heading of its level."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.match(r"## ", cell.source):
            if found:
                break
            if cell.source.splitlines()[0] == f"## {title}":
                found.append(cell)
        elif found:
            found.append(cell)
    assert found, f"no section {title}"
    return found


def exercises(notebook) -> dict[str, list]:
    """The cells of each exercise, or of its solution, by its whole heading."""
    found, heading = {}, ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^##+ (Exercise .+)", cell.source, re.MULTILINE):
                found[heading] = []
        if heading:
            found[heading].append(cell)
    return found


@pytest.fixture(scope="module")
def solutions(path):
    place = path.parent / "solutions" / path.name
    assert place.exists(), f"no solutions to {path.stem}"
    return nbformat.read(place, as_version=4)


def test_it_opens_with_what_is_learnt_and_needed_and_how_long_it_takes(path, notebook):
    first = notebook.cells[0].source
    assert first.startswith(f"# {path.stem[:2]} · ")
    assert "**You will learn** " in first and "**You need** " in first
    time = r"\*\*Time\*\*: read about \d+ minutes; runs in about \d+ (minutes?|seconds)"
    assert re.search(rf"{time} on the toy profile \(two cores\)\.", first)


def test_before_the_quiz_there_is_at_least_as_much_prose_as_code(notebook):
    """Counted in words: those of Markdown cells against those of code cells."""
    words = {"markdown": 0, "code": 0}
    for cell in notebook.cells:
        if cell.source.startswith("## Quiz"):
            break
        words[cell.cell_type] += len(cell.source.split())
    assert words["markdown"] >= words["code"]


def test_an_idea_is_written_by_hand_and_asserted_equal_to_the_library(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    by_hand = [number for number, cell in enumerate(cells) if "by-hand" in tags(cell)]
    assert by_hand and all(lines(cells[number].source) <= BY_HAND for number in by_hand)
    shown = ["\n".join(cell.source for cell in cells[number : number + 2]) for number in by_hand]
    assert any(isinstance(node, ast.Assert) for text in shown for node in ast.walk(tree(text)))


def test_it_closes_with_the_paper_beside_this_run_takeaways_and_a_quiz(notebook):
    beside = section(notebook, "Paper and this run")
    assert any(cell.cell_type == "code" or "| paper |" in cell.source for cell in beside)
    (takeaways,) = section(notebook, "Takeaways")
    assert 3 <= len(re.findall(r"^- ", takeaways.source, re.MULTILINE)) <= 5
    (quiz,) = section(notebook, "Quiz")
    assert re.findall(r"^(?:\*\*)?(\d)\.(?:\*\*)? ", quiz.source, re.MULTILINE) == list("12345")
    folded = r"<details><summary>Answer</summary>\n\n(.+?)\n\n</details>"
    answers = re.findall(folded, quiz.source, re.DOTALL)
    assert len(answers) == 5 and all(len(answer.split()) >= 10 for answer in answers)


def test_each_exercise_has_a_grade_a_time_what_one_sees_and_one_starter_cell(path, notebook):
    found = exercises(notebook)
    tasks = [re.fullmatch(TASK, name) for name in found]
    numbers = [f"{int(path.stem[:2])}.{place}" for place in range(1, len(found) + 1)]
    assert [task[1] for task in tasks] == numbers and len(found) >= 3
    assert {"easy", "medium"} <= {task[3] for task in tasks}
    assert all(re.fullmatch(r"\d+ (minutes|hours)|half a day", task[4]) for task in tasks)
    for name, cells in found.items():
        assert sum("exercise" in tags(cell) for cell in cells) == 1, name
        task = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert "**You should see** " in task.partition(name)[2], name


def test_each_exercise_has_a_solution_that_asserts_something(notebook, solutions):
    tasks = [re.fullmatch(TASK, name) for name in exercises(notebook)]
    solved = exercises(solutions)
    assert list(solved) == [f"Exercise {task[1]}: {task[2]}" for task in tasks]
    for name, cells in solved.items():
        sources = [cell.source for cell in cells if cell.cell_type == "code"]
        nodes = [node for source in sources for node in ast.walk(tree(source))]
        assert any(isinstance(node, ast.Assert) for node in nodes), name


def test_solutions_take_the_same_parameters_and_only_read_the_run(path, solutions):
    nbformat.validate(solutions)
    cells = [cell for cell in solutions.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    assert max(lines(cell.source) for cell in cells) <= LONGEST
    known = papermill.inspect_notebook(str(path.parent / "solutions" / path.name))
    assert set(known) == set(PARAMETERS)
    text = "\n".join(cell.source for cell in cells)
    assert not re.search(r"open_stage|write_manifest|save_(table|figure)|write_(text|jsonl)", text)


def test_eight_to_fourteen_slides_are_tagged(notebook):
    begun = [number for number, cell in enumerate(notebook.cells) if "slide" in tags(cell)]
    more = [number for number, cell in enumerate(notebook.cells) if "slide-more" in tags(cell)]
    assert 8 <= len(begun) <= 14 and min(more) > begun[0] == 0
