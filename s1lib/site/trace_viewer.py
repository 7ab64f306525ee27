"""Records -> what the trace viewer shows: for each problem its series (model and method), each with its points.

A trace at one budget is a prefix of the trace at a larger one, so each problem keeps its longest texts and every record a
length. Lengths and offsets are in UTF-16 units, which is how JavaScript counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from s1lib.drawing.plots import ROLES
from s1lib.evaluation.report import setting
from s1lib.scaling.examples import forced_spans

PROBLEMS = 100  # of each benchmark, the first ones: a page, not an archive
UNLIMITED = 1 << 60


def benchmarks(rows: Iterable[dict], questions: Mapping[tuple[str, str], str], *, problems: int = PROBLEMS) -> Iterator[dict]:
    """One JSON-able object per benchmark, in the order of the paper's tables; only the first sample of each run."""
    grouped: dict[str, dict[str, list[dict]]] = {}
    for row in rows:
        of = grouped.setdefault(row["benchmark"], {})
        if row["sample"] == 0 and (str(row["problem_id"]) in of or len(of) < problems):
            of.setdefault(str(row["problem_id"]), []).append(row)
    roles = {name: next(iter(of.values()))[0]["role"] for name, of in grouped.items() if of}
    for name in sorted(roles, key=lambda name: ROLES.index(roles[name]) if roles[name] in ROLES else len(ROLES)):
        shown = [_problem(identifier, some, questions.get((name, identifier), "")) for identifier, some in grouped[name].items()]
        yield {"name": name, "role": roles[name], "problems": shown}


def _problem(identifier: str, rows: list[dict], question: str) -> dict:
    texts = _longest({row["thinking"] for row in rows})
    place = {row["thinking"]: next(at for at, text in enumerate(texts) if text.startswith(row["thinking"])) for row in rows}
    shown = []
    for name, some in series(rows).items():
        points = [_point(row, place[row["thinking"]], forced_spans(row, some)) for row in some]
        shown.append({"name": name, "points": points})
    return {"id": identifier, "question": question, "gold": rows[0]["gold"], "texts": texts, "series": shown}


def _longest(texts: Iterable[str]) -> list[str]:
    """Those that are no prefix of another; in sorted order a prefix stands right before a text that it begins."""
    ordered = sorted(texts)
    return [text for at, text in enumerate(ordered) if at + 1 == len(ordered) or not ordered[at + 1].startswith(text)]


def series(rows: Iterable[dict]) -> dict[str, list[dict]]:
    """Records of one problem by model and method, the main model first; budgets and each string are series of their own.

    Ordered by limit and number of Waits; every string begins at the natural stop.
    """
    found: dict[str, list[dict]] = {}
    rows = sorted(rows, key=lambda row: (row["model"] != "s1", row["model"], row["method"] != "budget_forcing", row["method"], _size(row)))
    stops = {row["model"]: row for row in rows if row["method"] == "budget_forcing" and not _waits(row)}  # the last one, the largest
    for row in rows:
        name = f"{row['model']} · {row['method'].replace('_', ' ')}"
        if row["method"] == "budget_forcing":
            name = f"{row['model']} · " + (f"“{row['parameters']['wait']}”" if _waits(row) else "budgets")
            if _waits(row) and name not in found and row["model"] in stops:
                found[name] = [stops[row["model"]]]
        found.setdefault(name, []).append(row)
    return found


def _waits(row: dict) -> int:
    return row["parameters"].get("waits") or 0


def _size(row: dict) -> tuple:
    """Sorting by what is asked for: limit, number of Waits and string."""
    parameters = row["parameters"]
    limit = next((parameters[name] for name in ("max_thinking", "steps", "cap", "width") if parameters.get(name) is not None), UNLIMITED)
    return (limit, _waits(row), parameters.get("wait") or "", ("short", "none", "long").index(parameters.get("length", "none")))


def _point(row: dict, text: int, spans: list[tuple[int, int]]) -> dict:
    thinking = row["thinking"]
    return {
        "label": setting(row["method"], row["parameters"]),
        "text": text,
        "length": _units(thinking),
        "forced": [[_units(thinking[:start]), _units(thinking[:end])] for start, end in spans],
        "unmarked": max(0, row["waits_used"] - len(spans)) if row["parameters"].get("wait") else 0,
        "answer": row["answer"],
        "extracted": row["extracted"],
        "correct": row["correct"],
        "finish": row["finish"],
        "waits": row["waits_used"],
        "tokens": [row["thinking_tokens"], row["forced_tokens"], row["answer_tokens"]],
    }


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
