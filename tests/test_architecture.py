"""The packages of s1lib import each other as docs/architecture.md draws it."""

import ast
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "s1lib"
PAPER = ("curation", "sft", "thinking", "evaluation", "scaling")
GROUND = ("errors", "keeping", "profile", "drawing", "published")
SERVES = ("chat", "grading", "engines", "assistants", "hardware")
ROOF = ("command", "gpu_check", "planning", "rehearsal", "site")


def imported(path: Path) -> set[str]:
    """The parts of s1lib that one file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("s1lib"):
            names = node.module.split(".")[1:] or [alias.name for alias in node.names]
            found.add(names[0])
    return found


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    """The other parts of s1lib that each part imports."""
    found = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found[part] |= imported(path) - {part}
    return found


def test_no_package_of_the_paper_imports_one_to_its_right(arrows):
    for place, name in enumerate(PAPER):
        assert not arrows[name] & set(PAPER[place + 1 :]), name


def test_what_serves_imports_nothing_of_the_paper_and_nothing_imports_the_roof(arrows):
    for name in (*GROUND, *SERVES):
        assert not arrows[name] & {*PAPER, "toy", *ROOF}, name
    for name in (*GROUND, *SERVES, *PAPER, "toy"):
        assert not arrows[name] & set(ROOF), name


def test_the_check_of_a_gpu_is_imported_by_the_command_alone(arrows):
    assert [name for name, found in arrows.items() if "gpu_check" in found] == ["command"]


def test_the_ground_floor_imports_nothing_above_it(arrows):
    for name in GROUND:
        assert not arrows[name] & {"engines", "assistants", "hardware"}, name


def test_scaling_needs_no_engine_and_no_torch():
    for path in (PACKAGE / "scaling").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import torch" not in text and "s1lib.engines" not in text, path.name


def test_no_two_files_share_a_name_and_none_is_long():
    files = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    names = sorted(path.name for path in files)
    assert not [one for one, other in pairwise(names) if one == other]
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 250 for path in files)


def test_every_official_rule_that_a_comment_names_stands_in_the_document():
    document = (PACKAGE.parent / "docs" / "official_rules.md").read_text(encoding="utf-8")
    stated = set(re.findall(r"(?m)^\| ([A-Z]\d+) \|", document))
    files = [p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".yaml")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    named = re.findall(r"official_rules\.md, ([A-Z]\d+)(?:\s+to ([A-Z]\d+))?", text)
    assert named and {rule for pair in named for rule in pair if rule} <= stated
