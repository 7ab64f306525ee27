"""Rows of a table in whatever form it lies: JSON lines, JSON, parquet, arrow or CSV.

    for place, row in read_rows("mirror/s1K", columns={"question", "solution"}):
        ...  # place: "train-0.parquet, row 7"

A table is one file or a folder of them, which is what the hub hands out. Values stay what the file
holds, and `s1lib.published.cells` says which text they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq

from s1lib.errors import S1Error

SUFFIXES = (".jsonl", ".json", ".parquet", ".arrow", ".csv")
BATCH = 1000  # rows in memory at a time

Row = dict[str, Any]


class Number(float):
    """A number of a JSON file that prints as it is written there, with all its digits."""

    def __new__(cls, text: str) -> Number:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text


class TableError(S1Error):
    """A table cannot be used.

    The message is one line that names the file, the place in it and what is wrong.
    """


def table_files(path: Path | str, files: str = "**/*") -> list[Path]:
    """The files of a table, sorted by their paths.

    files: which ones of a folder, as globs separated by spaces. Raises TableError when there is
    none.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix not in SUFFIXES:
            suffix = path.suffix or "a file without suffix"
            raise TableError(f"{path}: cannot read {suffix}; known: {', '.join(SUFFIXES)}")
        return [path]

    if not path.exists():
        raise TableError(
            f"{path} does not exist: check the path, or run the notebook that writes it first"
        )
    found = {
        file
        for pattern in files.split()
        for file in path.glob(pattern)
        if file.suffix in SUFFIXES and file.is_file()
    }

    if not found:
        raise TableError(f"{path} holds no {', '.join(SUFFIXES)} file that matches {files!r}")
    return sorted(found)


def columns_of(path: Path | str, files: str = "**/*") -> set[str]:
    """Names of the columns of a table's first file, which in JSON are those of its first row."""
    first = table_files(path, files)[0]
    if first.suffix == ".parquet":
        return set(_open(first, pq.ParquetFile).schema_arrow.names)
    return set(next((row for _, row in _rows(first, None) if isinstance(row, dict)), {}))


def read_rows(
    path: Path | str, *, columns: set[str] | None = None, files: str = "**/*"
) -> Iterator[tuple[str, Row]]:
    """Yield (place, row) for every row of a table.

    columns: what is needed, so that parquet files are not read whole. Every cell of a CSV is text,
    and an empty one is null unless it is quoted. Raises TableError that names file and place.
    """
    for file in table_files(path, files):
        name = f"{file.name}, " if Path(path).is_dir() else ""
        for place, row in _rows(file, columns):
            if not isinstance(row, dict):
                kind = type(row).__name__
                raise TableError(f"{path}, {name}{place}: expected columns, found {kind}")
            yield f"{name}{place}", row


def _rows(file: Path, columns: set[str] | None) -> Iterator[tuple[str, Any]]:
    if file.suffix == ".jsonl":
        yield from _json_lines(file)
        return

    if file.suffix == ".json":
        tables = [_json(file)]
    elif file.suffix == ".parquet":
        tables = _parquet(file, columns)
    elif file.suffix == ".csv":
        tables = [_open(file, _read_csv).to_pylist()]
    else:
        tables = _arrow(file)

    # Parquet and arrow are read while they are iterated, so their damage shows only here.
    number = 0
    try:
        for rows in tables:
            for row in rows:
                number += 1
                yield f"row {number}", row
    except (UnicodeDecodeError, pa.ArrowException) as error:
        found = f"{file}, after row {number}: {_line(error)}"
        raise TableError(f"{found}; the file is damaged or not UTF-8") from None


def _json_lines(file: Path) -> Iterator[tuple[str, Any]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue

            # A damaged line is named by its own number, which editors know.
            place = f"line {number}"
            try:
                yield place, _parsed(line.decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                byte = f"byte {line[error.start]:#04x}"
                raise TableError(
                    f"{file}, {place}: not UTF-8 ({byte}); convert the file first"
                ) from None
            except (ValueError, RecursionError):
                raise TableError(
                    f"{file}, {place}: not a complete JSON line; the file may have been cut"
                ) from None


def _json(file: Path) -> list[Any]:
    try:
        rows = _parsed(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TableError(f"{file}: not JSON in UTF-8: {_line(error)}") from None
    if not isinstance(rows, list):
        raise TableError(f"{file}: expected one list of rows, found {type(rows).__name__}")
    return rows


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=Number)


def _parquet(file: Path, columns: set[str] | None) -> Iterator[list[Row]]:
    table = _open(file, pq.ParquetFile)
    wanted = (
        None if columns is None else [name for name in table.schema_arrow.names if name in columns]
    )
    for batch in table.iter_batches(batch_size=BATCH, columns=wanted):
        yield batch.to_pylist()


def _arrow(file: Path) -> Iterator[list[Row]]:
    """The batches of an arrow file, which `datasets` saves as a stream and others as a file."""
    try:
        reader = pa.ipc.open_stream(pa.memory_map(str(file)))
        yield from (batch.to_pylist() for batch in reader)
    except pa.ArrowInvalid:
        reader = _open(file, lambda name: pa.ipc.open_file(pa.memory_map(name)))
        yield from (
            reader.get_batch(index).to_pylist() for index in range(reader.num_record_batches)
        )


def _read_csv(name: str) -> pa.Table:
    # Quoted cells may hold newlines, as those of GPQA do.
    quoted = pa.csv.ParseOptions(newlines_in_values=True)
    names = pa.csv.open_csv(name, parse_options=quoted).schema.names
    if len(names) != len(set(names)):
        raise pa.ArrowInvalid("two columns have the same name")

    # Read as numbers or dates, options such as 1.10 and ids such as 007 would become others.
    as_text = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return pa.csv.read_csv(name, parse_options=quoted, convert_options=as_text)


def _open(file: Path, reader: Any) -> Any:
    try:
        return reader(str(file))
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        wrong = "the file is damaged, not UTF-8 or not what its name says"
        raise TableError(f"{file}: {_line(error)}; {wrong}") from None


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
