"""The authors' published outputs as records: lm-eval's sample files, one line per problem.

    rows = read_samples("results")          # a local copy of simplescaling/results, or a part of it

A file is called `<run>/…/samples_<task>_<date>.jsonl`, and the run's folder says what was asked of
the model: forcing2k, forcingauto, forcingignore2wait, … The verdict is the authors' (`exact_match`):
nothing is graded again. The texts are not counted in tokens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from s1lib.keeping.files import iter_jsonl
from s1lib.published.entries import TEST_SETS, Entry, section
from s1lib.published.questions import question_id, question_of
from s1lib.published.table_files import TableError
from s1lib.scaling.records import RecordError

# The official tasks, and the entries of test_sets.yaml that read the same tables.
TASKS = {
    "aime24_nofigures": "AIME24",
    "aime25_nofigures": "AIME25",
    "openai_math": "MATH500",
    "gpqa_diamond_openai": "GPQA-Diamond",
}
FILE = re.compile(r"samples_(.+)_\d{4}-\d\d-\d\dT.+\.jsonl")
LETTERS = "ABCD"
STRINGS = {"": "", "wait": "Wait", "hmm": "Hmm", "alternatively": "Alternatively"}

# What the folders of the published results say (eval/commands.sh of the official repository).
FORCING = re.compile(r"(s1\.1)?forcing(?:auto|(\d+)(k?)|ignore(\d+)(wait|hmm|alternatively|))")
CONDITIONAL = re.compile(r"prompt(token|step)(\d+)(k?)(forcing)?")
REJECTION = re.compile(r"rejection_sample(\d+)(k?)")
OTHERS = {
    "qwen": ("base", "direct", {}),
    "nottc": ("s1", "budget_forcing", {}),
    "promptshort": ("s1", "class_conditional", {"length": "short"}),
    "promptlong": ("s1", "class_conditional", {"length": "long"}),
}

Run = tuple[str, str, dict[str, Any]]  # model, method, parameters, as in our records


def sample_files(place: Path | str) -> list[Path]:
    """The sample files of the official tasks in a folder, or the one that `place` is.

    Of several of one run and task the newest counts.
    """
    place = Path(place)
    found = [place] if place.is_file() else sorted(place.rglob("samples_*.jsonl"))
    newest = {(path.parent, _task(path)): path for path in found}
    return [path for (_, task), path in newest.items() if task in TASKS]


def read_samples(place: Path | str) -> Iterator[dict]:
    """The records of every sample file under `place`.

    Raises RecordError for a folder without any and for a line without its verdict, TableError for a
    question whose columns are missing, ArtifactError for a line that is cut.
    """
    files = sample_files(place)
    if not files:
        tasks = ", ".join(TASKS)
        raise RecordError(f"{place} holds no samples_<task>_<date>.jsonl of {tasks}")
    entries = section(TEST_SETS, "test_sets")
    for path in files:
        role = TASKS[_task(path)]
        yield from _records(path, role, entries[role])


def run_of(path: Path) -> Run:
    """What was asked of the model, by the nearest folder above that says so.

    A folder of another name is a method of that name.
    """
    folders = [folder.name for folder in path.parents if folder.name]
    known = (run for run in map(_named, folders) if run)
    return next(known, ("", folders[0] if folders else path.stem, {}))


def _task(path: Path) -> str:
    found = FILE.fullmatch(path.name)
    return found[1] if found else ""


def _named(folder: str) -> Run | None:
    """The run that a folder of the published results is called after."""
    if found := FORCING.fullmatch(folder):
        model, limit, thousands, waits, string = found.groups()
        parameters = {"max_thinking": _tokens(limit, thousands), "waits": int(waits or 0)}
        if waits:
            parameters["wait"] = STRINGS[string]
        return model or "s1", "budget_forcing", parameters
    if found := CONDITIONAL.fullmatch(folder):
        kind, limit, thousands, forced = found.groups()
        method = f"{kind}_conditional{'_forced' if forced else ''}"
        # There "2k" is 2,048.
        number = int(limit) * (1024 if thousands else 1)
        return kind, method, {"max_thinking" if kind == "token" else "steps": number}
    if found := REJECTION.fullmatch(folder):
        return "s1", "rejection", {"cap": _tokens(*found.groups())}
    return OTHERS.get(folder)


def _tokens(number: str | None, thousands: str | None) -> int | None:
    return int(number) * (1000 if thousands else 1) if number else None
