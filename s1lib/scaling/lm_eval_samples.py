"""The authors' published outputs as records: lm-eval's sample files, one line per problem.

    rows = read_samples("results")          # a local copy of simplescaling/results, or a part of it

A file is called `<run>/…/samples_<task>_<date>.jsonl`, and the run's folder says what was asked of
the model: forcing2k, forcingauto, forcingignore2wait. The verdicts are the authors' (exact_match):
nothing is graded again, and no tokens are counted. A problem is known by its text, so that it has
the id that the published tables give it here.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s1lib.keeping.files import iter_jsonl
from s1lib.published.entries import TEST_SETS, Entry, section
from s1lib.published.questions import question_id, question_of
from s1lib.scaling.problem_means import SPENT
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
    found = [place] if place.is_file() else place.rglob("samples_*.jsonl")
    by_date = sorted(found, key=lambda path: (path.name, path))
    newest = {(repr(run_of(path)), _task(path)): path for path in by_date}
    return [path for (_, task), path in newest.items() if task in TASKS]


def read_samples(place: Path | str) -> Iterator[dict]:
    """The records of every sample file under `place`.

    Raises RecordError for a folder without any and for a line without a problem or a verdict,
    TableError for a problem without its columns, ArtifactError for a line that is cut.
    """
    files = sample_files(place)
    if not files:
        raise RecordError(f"{place} holds no samples_<task>_<date>.jsonl of {', '.join(TASKS)}")
    tests = section(TEST_SETS, "test_sets")
    for path in files:
        role = TASKS[_task(path)]
        entry = dataclasses.replace(tests[role], at=str(path))
        rows = enumerate(iter_jsonl(path), start=1)
        yield from (_record(row, f"line {number}", entry, role, path) for number, row in rows)


def _record(row: dict, place: str, entry: Entry, role: str, path: Path) -> dict:
    """One line as a record, without texts and with no count of tokens."""
    try:
        found, correct = question_of(entry, row["doc"], place), float(row["exact_match"])
    except (KeyError, TypeError, ValueError):
        what = "no 'doc' and 'exact_match', so that it is no sample of lm-eval"
        raise RecordError(f"{path}, {place}: {what}") from None
    model, method, parameters = run_of(path)
    return {
        "benchmark": role,
        "role": role,
        "kind": found.kind,
        "problem_id": question_id(found.question),
        "model": model,
        "method": method,
        "parameters": parameters,
        "seed": 0,
        "sample": 0,
        "finish": "natural",
        "extracted": _extracted(row, found.question),
        "correct": correct > 0,
        **dict.fromkeys(SPENT, math.nan),
    }


def _extracted(row: dict, question: str) -> str | None:
    """The answer that was graded, for a choice its letter in our order of the options."""
    answer = next(iter(row.get("extracted_answers") or ()), None)
    option = row["doc"].get(f"choice{LETTERS.find(str(answer)) + 1}")
    if not option:
        return answer
    ours = (letter for letter in LETTERS if f"\n{letter}) {option.strip()}" in question)
    return next(ours, answer)


def run_of(path: Path) -> Run:
    """What was asked of the model, by the nearest folder above that says so.

    Where none does, the method is called as the folder of the file.
    """
    runs = (_named(folder.name) for folder in path.resolve().parents)
    return next(filter(None, runs), ("", path.resolve().parent.name, {}))


def _named(folder: str) -> Run | None:
    """The run that a folder of the published results is called after."""
    if found := FORCING.fullmatch(folder):
        model, limit, thousands, waits, string = found.groups()
        parameters = {"max_thinking": _number(limit, thousands, 1000), "waits": int(waits or 0)}
        if waits:
            parameters["wait"] = string.capitalize()
        return model or "s1", "budget_forcing", parameters
    if found := CONDITIONAL.fullmatch(folder):
        kind, limit, thousands, forced = found.groups()
        limited = "max_thinking" if kind == "token" else "steps"
        method = f"{kind}_conditional{'_forced' if forced else ''}"
        return kind, method, {limited: _number(limit, thousands, 1024)}
    if found := REJECTION.fullmatch(folder):
        return "s1", "rejection", {"cap": _number(*found.groups(), 1000)}
    return OTHERS.get(folder)


def _number(digits: str | None, thousands: str | None, thousand: int) -> int | None:
    return int(digits) * (thousand if thousands else 1) if digits else None


def _task(path: Path) -> str:
    found = FILE.fullmatch(path.name)
    return found[1] if found else ""
