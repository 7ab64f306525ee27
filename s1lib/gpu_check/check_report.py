"""What a part of the check finds, and the report that keeps it: JSON as it comes, then a table."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s1lib.errors import S1Error
from s1lib.keeping.files import write_text

Value = float | int | str


class NotRunError(S1Error):
    """A part cannot run on this machine: one line that says what it lacks."""


@dataclass(frozen=True)
class Figure:
    """One line of a part.

    what: was measured. values: its figures by name, the unit being part of the name.
    passed: whether it is right or reaches its goal. None is information. reason: why it does not.
    """

    what: str
    values: dict[str, Value]
    passed: bool | None = None
    reason: str = ""

    def __str__(self) -> str:
        values = ", ".join(f"{name} {shown(value)}" for name, value in self.values.items())
        verdict = {True: "", None: "", False: f" FAILED: {self.reason}"}[self.passed]
        return f"{self.what}: {values}{verdict}"


@dataclass
class Part:
    """One part's outcome. result: "pass", "fail", "stopped" (its time was up) or "not run"."""

    name: str
    result: str = "not run"
    reason: str = ""
    seconds: float = 0.0
    figures: list[Figure] = field(default_factory=list)

    def __str__(self) -> str:
        took = f" after {self.seconds:.0f} s" if self.seconds else ""
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.name}: {self.result}{took}{reason}"


@dataclass
class Report:
    """The whole check. facts: machine, versions, when, and how many minutes it was given."""

    path: Path
    facts: dict[str, Any]
    parts: list[Part] = field(default_factory=list)

    def write(self) -> None:
        """Write what there is so far, so that a killed check keeps it."""
        parts = [dataclasses.asdict(part) for part in self.parts]
        text = json.dumps({**self.facts, "parts": parts}, indent=1)
        write_text(self.path, text + "\n")

    def table(self) -> str:
        """The figures as a markdown table, one row each."""
        rows = [("part", "what", "figures", "result"), ("---",) * 4]
        for part in self.parts:
            reason = f": {part.reason}" if part.reason else ""
            took = f"{part.seconds:.0f} s" if part.seconds else ""
            rows.append((part.name, "", took, part.result + reason))
            for figure in part.figures:
                values = [f"{name} {shown(value)}" for name, value in figure.values.items()]
                verdict = {True: "pass", None: "", False: f"fail: {figure.reason}"}[figure.passed]
                rows.append(("", figure.what, ", ".join(values), verdict))
        cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
        return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def read_figures(path: Path, part: str) -> dict[str, dict[str, Value]]:
    """The values of one part's figures in a written report, by what they are of."""
    parts = json.loads(path.read_text(encoding="utf-8"))["parts"]
    found = (one["figures"] for one in parts if one["name"] == part)
    return {figure["what"]: figure["values"] for figures in found for figure in figures}


def shown(value: Value) -> str:
    """A value for people: three digits, or whole where it is large."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value
