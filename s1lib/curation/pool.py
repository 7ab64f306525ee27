"""The pool: one JSON line per question with the teacher's trace and answer (paper, section 2.1).

    samples = load_pool("outputs/toy/00_toy_universe/pool.jsonl")

Columns: id, question, answer (gold), source, domain, trace and attempt (the teacher's final
answer). Two may be left out: error (text of an API error, the trace may then be empty) and kind,
which says how answers are graded: "math" and "choice" by program, "open" (proofs, prose, no
reference answer) by a judge. Further columns are ignored. Every file of samples that curation
writes has these columns. `s1lib.curation.sources.open_pool` reads the published data sets as well.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1lib.errors import S1Error
from s1lib.keeping.files import read_jsonl, write_jsonl
from s1lib.profile import is_hub_id
from s1lib.published.entries import KINDS

OPTIONAL = {"error": None, "kind": "math"}


class PoolError(S1Error):
    """The pool's file cannot be used. The message names the file, the line and the column."""


@dataclass(frozen=True)
class Sample:
    """One question with the teacher's work on it."""

    id: str
    question: str
    answer: str  # gold
    source: str
    domain: str
    trace: str
    attempt: str  # the teacher's final answer
    error: str | None = None
    kind: str = "math"


COLUMNS = tuple(field.name for field in dataclasses.fields(Sample))


def load_pool(path: Path | str) -> list[Sample]:
    """Samples of a JSONL file, in its order.

    Raises PoolError, or ArtifactError when the file is missing or cut.
    """
    if is_hub_id(str(path)):
        raise PoolError(
            f"pool {path} is not a file: save it as JSON lines with the columns "
            f"{', '.join(COLUMNS)} and name that in the profile"
        )
    return as_samples(path, ((f"line {line}", row) for line, row in enumerate(read_jsonl(path), 1)))


def as_samples(path: Path | str, rows: Iterable[tuple[str, Any]]) -> list[Sample]:
    """Samples of (place, row) pairs, where a place is what a message calls the row ("line 7").

    Raises PoolError that names `path`, place and column of the first bad row.
    """
    samples, first_seen = [], {}
    for place, row in rows:
        sample = _sample(row, f"{path}, {place}")
        if sample.id in first_seen:
            raise PoolError(
                f"{path}, {place}: id {sample.id!r} was used on {first_seen[sample.id]}; "
                "ids must be unique"
            )
        first_seen[sample.id] = place
        samples.append(sample)
    if not samples:
        raise PoolError(f"{path} holds no samples")
    return samples


def save_pool(path: Path | str, samples: Iterable[Sample]) -> int:
    """Write samples so that `load_pool` reads them back, and return how many."""
    return write_jsonl(path, map(dataclasses.asdict, samples))


def trace_tokens(samples: Sequence[Sample], tokenizer: Any, *, batch: int = 1000) -> dict[str, int]:
    """Length of every sample's trace in tokens of `tokenizer` (the base model's own), by id."""
    lengths: dict[str, int] = {}
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        encoded = tokenizer([sample.trace for sample in part], add_special_tokens=False)
        counts = map(len, encoded["input_ids"])
        lengths.update((sample.id, count) for sample, count in zip(part, counts, strict=True))
    return lengths


def fingerprint(samples: Iterable[Sample]) -> str:
    """A 12-digit key of everything in `samples` and their order, for manifests."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(repr(dataclasses.astuple(sample)).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:12]


def _sample(row: Any, where: str) -> Sample:
    if not isinstance(row, dict):
        raise PoolError(f"{where}: expected one JSON object per line, found {type(row).__name__}")
    values = {column: _cell(row, column, where) for column in COLUMNS}
    if values["kind"] not in KINDS:
        kinds = ", ".join(map(repr, KINDS))
        raise PoolError(f"{where}: kind {values['kind']!r} is unknown; write {kinds}")
    return Sample(**values)


def _cell(row: dict, column: str, where: str) -> str | None:
    """The text of one column, where only `error` may be None."""
    if column not in row and column not in OPTIONAL:
        raise PoolError(
            f"{where}: column {column!r} is missing; a pool has the columns {', '.join(COLUMNS)}"
        )
    value = row.get(column, OPTIONAL.get(column))
    if value is None:
        if column == "error":
            return None
        raise PoolError(
            f"{where}: column {column!r} is null; "
            "drop the row or write an empty text and say why in 'error'"
        )
    if not isinstance(value, str):
        raise PoolError(f"{where}: column {column!r} must be text, not {type(value).__name__}")

    # JSON may spell half of a surrogate pair, which no file could hold later on.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PoolError(
            f"{where}: column {column!r} holds half a surrogate pair, "
            "which is no character; replace it"
        ) from None
    return value
