"""The pages of the course name what is there: files, exercises, notebooks."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY, COURSE = (ROOT / "docs" / name for name in ("glossary.md", "course.md"))


def test_every_file_that_the_glossary_names_exists():
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        folder = ""
        for name in re.findall(r"`([a-z_/]+(?:\.py|/))`", line):
            folder = Path(name).parent if "/" in name else folder
            found = ROOT / "s1lib" / (name if "/" in name else folder / name)
            assert found.exists(), line


@pytest.mark.parametrize("page", [GLOSSARY, COURSE], ids=lambda path: path.stem)
def test_every_page_that_is_linked_exists(page):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    assert links and all((page.parent / link).exists() for link in links)


def test_the_course_names_every_exercise_of_the_notebooks_and_no_other():
    text = COURSE.read_text(encoding="utf-8")
    there = set()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            there |= set(re.findall(r"^### Exercise (\d\.\d):", cell.source, re.MULTILINE))
    assert set(re.findall(r"\b(\d\.\d)\b(?= \()", text)) == there
