"""Entries: which columns of a published table are the question, its answer and the rest.

    tests = section(TEST_SETS, "test_sets").values()
    path, entry = entry_for("Idavidrein/gpqa@main", tests, own={"id", "question", "answer"})

They are written in YAML: test_sets.yaml for what is evaluated on and kept out of training,
curation/sources.yaml for what is trained on. `s1lib.published.questions` reads the tables.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from s1lib.profile import is_hub_id, split_revision
from s1lib.published.hub import local_copy
from s1lib.published.table_files import TableError, columns_of

TEST_SETS = Path(__file__).with_name("test_sets.yaml")
KINDS = ("math", "choice", "open")  # graded by value, by letter, by a judge
BRACES = re.compile(r"\{([^{}]+)\}")
_ITEM = re.compile(r"(.+)\[(\w+|\*)\]")


@dataclass(frozen=True)
class Entry:
    """One table and how to read it.

    The keys are explained at the top of curation/sources.yaml.
    """

    at: str
    get: str = ""
    source: str = ""
    files: str = "**/*"
    question: str = "{question}"
    answer: str = ""
    trace: str = ""
    attempt: str = ""
    domain: str = ""
    kind: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    clean: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Any] | None = None
    limit: int | None = None
    count: int | None = None
    published_as: tuple[str, ...] = ()
    verified: bool = True
    gated: bool = False

    @property
    def fields(self) -> set[str]:
        """Everything that becomes text: "column", "column[0]", "column[*]" or "column[key]"."""
        texts = (self.question, self.answer, self.trace, self.attempt, self.domain, self.source)
        names = {name for text in texts for name in BRACES.findall(text)}
        if self.choices:
            names |= {self.choices["right"], *self.choices["wrong"]}
        return names

    @property
    def columns(self) -> set[str]:
        """Every column that the entry reads."""
        return {column_and_item(name)[0] for name in {*self.fields, *self.where}}

    def miscount(self, found: int) -> str:
        """A complaint about `found` rows, or nothing. A guessed layout may read another split."""
        if self.count in (None, found):
            return ""
        return f"holds {found:,} problems and should hold {self.count:,}"


def section(path: Path, name: str) -> Any:
    """The entries of one section of a YAML file, as a list or as a mapping by name.

    Raises TableError.
    """
    try:
        found = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(name)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise TableError(f"{path}: not a YAML file of sources: {reason}") from None
    if not found:
        form = "see s1lib/curation/sources.yaml for the form"
        raise TableError(f"{path}: no section {name!r}; {form}")

    if isinstance(found, dict):
        return {key: _entry(values, f"{path}, {key}") for key, values in found.items()}
    return [_entry(values, f"{path}, {name}[{index}]") for index, values in enumerate(found)]


@cache
def problems_of(role: str) -> int:
    """How many problems the published test set `role` has, such as "AIME24"."""
    return section(TEST_SETS, "test_sets")[role].count


def entry_for(
    reference: str, known: Iterable[Entry], *, own: Collection[str]
) -> tuple[Path, Entry | None]:
    """The local copy of a table, and the entry that reads it.

    reference: a hub id, whose entry is looked up by name, or a path, whose entry is the first that
    fits its columns. The entry is None when the table has the columns `own`, or when none fits.
    Raises TableError or HubError.
    """
    known = list(known)
    entry = named(reference, known)
    files = entry.files if entry else "**/*"
    path = local_copy("dataset", reference, files)
    found = columns_of(path, files)
    if found >= set(own):
        return path, None

    # A copy on disk may have other file names and fewer rows than the repository.
    if not entry:
        fitting = (entry for entry in known if entry.columns <= found)
        if first := next(fitting, None):
            entry = dataclasses.replace(first, files="**/*", count=None)
    return path, entry and dataclasses.replace(entry, at=str(path))


def named(reference: str, known: Iterable[Entry]) -> Entry | None:
    """The entry of a hub id, whatever its revision."""
    name = split_revision(reference)[0] if is_hub_id(reference) else None
    entry = next((entry for entry in known if split_revision(entry.at)[0] == name), None)
    return entry and dataclasses.replace(entry, at=reference)


def column_and_item(name: str) -> tuple[str, str | None]:
    """A field as its column and the item of a list or key of a dict: "cot[0]" -> ("cot", "0")."""
    found = _ITEM.fullmatch(name)
    return (found[1], found[2]) if found else (name, None)


def _entry(values: Any, where: str) -> Entry:
    known = {field.name for field in dataclasses.fields(Entry)}
    if not isinstance(values, dict) or "at" not in values:
        raise TableError(f"{where}: an entry needs the key 'at'")
    if unknown := sorted(set(values) - known):
        raise TableError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")

    entry = Entry(**{**values, "published_as": tuple(values.get("published_as", ()))})
    if entry.kind not in ("", *KINDS):
        kinds = ", ".join(map(repr, KINDS))
        raise TableError(f"{where}: kind {entry.kind!r} is unknown; write {kinds}")
    for column, wanted in entry.where.items():
        rule = isinstance(wanted, dict) and set(wanted) in ({"most"}, {"not"})
        if not isinstance(wanted, list) and not rule:
            form = "a list of values, {not: [values]} or {most: a number}"
            raise TableError(f"{where}: where, {column!r}: expected {form}, found {wanted!r}")
    return entry
