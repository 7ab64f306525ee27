"""Evaluation records as what the trace viewer shows: the series of each problem and their points.

A trace at one budget is a prefix of the trace at a larger one, so that each problem keeps its
longest texts and every record a length. Lengths and offsets are in UTF-16 units, since that is how
JavaScript counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from s1lib.drawing.plots import ROLES
from s1lib.evaluation.record_fields import of_first_training
from s1lib.evaluation.run_names import run_name

PROBLEMS = 100  # of each benchmark, the first ones: a page, not an archive
LIMITS = ("max_thinking", "steps", "cap", "width")
LENGTHS = ("short", "none", "long")


def benchmarks(rows: Iterable[dict], questions: Mapping[tuple[str, str], str]) -> Iterator[dict]:
    """One JSON-able object per benchmark, in the order of the paper's tables.

    Only the first sample of each run is shown, and of a model that was trained several times the
    first training. questions: by benchmark and problem id.
    """
    grouped: dict[str, dict[str, list[dict]]] = {}
    for row in rows:
        of = grouped.setdefault(row["benchmark"], {})
        identifier = str(row["problem_id"])
        shown = row["sample"] == 0 and of_first_training(row)
        if shown and (identifier in of or len(of) < PROBLEMS):
            of.setdefault(identifier, []).append(row)

    roles = {name: next(iter(of.values()))[0]["role"] for name, of in grouped.items() if of}
    for name in sorted(roles, key=lambda name: (*ROLES, roles[name]).index(roles[name])):
        shown = [
            _problem(identifier, some, questions.get((name, identifier), ""))
            for identifier, some in grouped[name].items()
        ]
        yield {"name": name, "role": roles[name], "problems": shown}


def _problem(identifier: str, rows: list[dict], question: str) -> dict:
    texts = _longest({row["thinking"] for row in rows})
    named = [
        {"name": name, "points": [_point(row, texts) for row in some]}
        for name, some in series(rows).items()
    ]
    shown = {"id": identifier, "question": question, "gold": rows[0]["gold"], "texts": texts}
    return shown | {"series": named} | _waited(named)


def _waited(named: list[dict]) -> dict:
    """Which series has the most Waits, as `waits`, and what they did to the grade, as `outcome`.

    Of equal ones it is the main model's. Without any Wait, -1 and "".
    """
    strings = [number for number, each in enumerate(named) if each["name"].endswith("”")]
    if not strings:
        return {"waits": -1, "outcome": ""}

    longest = max(strings, key=lambda number: len(named[number]["points"]))
    right = [point["correct"] for point in named[longest]["points"]]
    if len(set(right)) == 1:
        outcome = "always right" if right[0] else "never right"
    else:
        outcome = "broken" if right[0] else "mended"
    return {"waits": longest, "outcome": outcome}


def opening(shown: Sequence[dict]) -> list[int]:
    """Where the viewer opens: the numbers of a benchmark, problem, series and point.

    It is the shortest right trace of a problem that a Wait mended, of the first benchmark that has
    one, else the very first trace.
    """
    for number, benchmark in enumerate(shown):
        found = []
        for place, problem in enumerate(benchmark["problems"]):
            if problem["outcome"] == "mended":
                points = problem["series"][problem["waits"]]["points"]
                right = [point["correct"] for point in points].index(True)
                found.append((points[right]["length"], place, problem["waits"], right))
        if found:
            return [number, *min(found)[1:]]
    return [0, 0, 0, 0]


def _longest(texts: Iterable[str]) -> list[str]:
    """The texts that are no prefix of another.

    In sorted order a prefix stands right before a text that it begins.
    """
    ordered = sorted(texts)
    begins = [after.startswith(text) for text, after in pairwise(ordered)]
    return [text for text, begun in zip(ordered, [*begins, False], strict=True) if not begun]


def series(rows: Iterable[dict]) -> dict[str, list[dict]]:
    """Records of one problem by model and method, the main model first.

    Budgets and each string are series of their own, ordered by limit and number of Waits. Every
    string begins at the natural stop.
    """
    rows = sorted(rows, key=_place)
    forcing = [row for row in rows if row["method"] == "budget_forcing"]
    stops = {row["model"]: row for row in forcing if not _waits(row)}  # the last is the largest

    found: dict[str, list[dict]] = {}
    for row in rows:
        name = f"{row['model']} · {row['method'].replace('_', ' ')}"
        if row["method"] == "budget_forcing":
            name = f"{row['model']} · budgets"
            if _waits(row):
                name = f"{row['model']} · “{row['parameters']['wait']}”"
                if name not in found and row["model"] in stops:
                    found[name] = [stops[row["model"]]]
        found.setdefault(name, []).append(row)
    return found


def _place(row: dict) -> tuple:
    """The sort key of a record: model, method and what was asked for."""
    asked = row["parameters"]
    limits = [asked[name] for name in LIMITS if asked.get(name) is not None]
    length = LENGTHS.index(asked.get("length", "none"))
    size = ([*limits, float("inf")][0], _waits(row), asked.get("wait") or "", length)
    model, method = row["model"], row["method"]
    return (model != "s1", model, method != "budget_forcing", method, size)


def _waits(row: dict) -> int:
    return row["parameters"].get("waits") or 0


def _point(row: dict, texts: list[str]) -> dict:
    thinking = row["thinking"]
    place = next(at for at, text in enumerate(texts) if text.startswith(thinking))
    spans = [[_units(thinking[:at]) for at in span] for span in row["forced_spans"]]
    return {
        "label": run_name(row["method"], row["parameters"]),
        "text": place,
        "length": _units(thinking),
        "forced": spans,
        "answer": row["answer"],
        "extracted": row["extracted"],
        "correct": row["correct"],
        "finish": row["finish"],
        "tokens": [row["thinking_tokens"], row["forced_tokens"], row["answer_tokens"]],
    }


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
