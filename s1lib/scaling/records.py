"""Evaluation records (JSON lines) -> three small tables that everything else is computed from.

    records = load_records(profile)              # outputs/<profile>/04_evaluation/records/*.jsonl
    records.benchmarks                           # benchmark, role, kind, problems
    records.runs                                 # one row per run = (model, method, parameters)
    records.problems                             # one row per (benchmark, run, problem): means over its samples
    records.frame("hard", runs, "correct")       # problems x runs, for everything paired

A *run* is what the paper plots as one point: one model, one method, one setting. Texts are not kept.
"""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd

from s1lib.drawing.plots import ROLES, count
from s1lib.errors import S1Error
from s1lib.keeping.files import ArtifactError, iter_jsonl
from s1lib.profile import Profile

KEPT = ["benchmark", "role", "kind", "problem_id", "model", "method", "parameters", "seed", "sample", "finish", "extracted", "correct"]
KEPT += ["thinking_tokens", "answer_tokens", "decoded_tokens", "steps_used"]
FIELDS = itemgetter(*KEPT)
TOKENS_PER_STEP = 100  # how the paper turns a limit of steps into one of tokens (Table 3)
PARAMETERS = ("max_thinking", "min_thinking", "waits", "wait", "temperature", "cap", "steps", "length", "width")
WORDS = ("wait", "length")  # the ones that are no numbers
MEANS = ["correct", "thinking_tokens", "answer_tokens", "total_tokens", "decoded_tokens", "accepted", "within", "forced", "natural"]
MEANS += ["steps_used"]
MAIN = "s1"  # the model whose test-time scaling is analysed


class RecordError(S1Error):
    """The records cannot be used; the message says which file and what to do."""


def load_records(profile: Profile) -> Records:
    """The records of a finished notebook 04. Raises ArtifactError (missing, cut) or RecordError (a field missing, a conflict)."""
    directory = profile.outputs / "04_evaluation" / "records"
    paths = sorted(directory.glob("*.jsonl"))
    if not paths:
        raise ArtifactError(f"{directory} holds no records: run notebook 04_evaluation first (`make reproduce` runs all)")
    with _no_garbage_collection():
        return _records(row for path in paths for row in _read(path))


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Half a million rows that all stay: looking through them for garbage again and again is a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _read(path: Path) -> Iterable[tuple]:
    for number, row in enumerate(iter_jsonl(path), start=1):
        try:
            yield FIELDS(row)
        except KeyError as field:
            raise RecordError(
                f"{path}, line {number}: no field {field} (an older version's?); delete it and run notebook 04 again"
            ) from None


def records_from(rows: Iterable[dict]) -> Records:
    """Records from rows in memory, in any order; one that is there twice counts once."""
    return _records(map(FIELDS, rows))


def _records(rows: Iterable[tuple]) -> Records:
    samples = pd.DataFrame.from_records(list(rows), columns=list(KEPT))
    if samples.empty:
        raise RecordError("there are no records: run notebook 04_evaluation again")
    samples["problem_id"] = samples["problem_id"].astype(str)
    runs = _runs(samples)
    roles = samples.groupby("benchmark")["role"].first()
    samples["benchmark"] = pd.Categorical(samples["benchmark"], sorted(roles.index, key=lambda name: (_place(roles[name]), name)))
    key = ["benchmark", "run", "problem_id", "seed", "sample"]
    samples = samples.sort_values(key, kind="stable").reset_index(drop=True)
    twice = samples.duplicated(key, keep="first")
    conflict = twice & (samples["correct"] != samples["correct"].shift())
    if conflict.any():
        row = samples[conflict].iloc[0]
        raise RecordError(
            f"two different records of {row.benchmark} problem {row.problem_id}, {runs.label[row.run]}: two evaluations are mixed; "
            "delete them and run notebook 04 again"
        )
    return Records(samples[~twice].reset_index(drop=True), runs)


def _place(role: str) -> int:
    return ROLES.index(role) if role in ROLES else len(ROLES)


def _runs(samples: pd.DataFrame) -> pd.DataFrame:
    """Number the runs (column `run` of `samples`) and describe each: model, method, its parameters and a label."""
    parameters = samples.pop("parameters")
    texts = parameters.map(repr)
    settings = {text: json.dumps(_parameters(parameters[row])) for row, text in texts.drop_duplicates().items()}
    key = samples["model"] + "\t" + samples["method"] + "\t" + texts.map(settings)
    names = sorted(key.unique())
    samples["run"] = key.map({name: number for number, name in enumerate(names)}).astype("int64")
    rows = [{"model": model, "method": method, **json.loads(text)} for model, method, text in (name.split("\t") for name in names)]
    runs = pd.DataFrame(rows, columns=["model", "method", *PARAMETERS])
    numbers = [name for name in PARAMETERS if name not in WORDS]
    runs[numbers] = runs[numbers].astype("float64")
    runs["limit"] = runs["max_thinking"].fillna(runs["cap"]).fillna(runs["steps"] * TOKENS_PER_STEP)
    runs["label"] = [label(run) for run in runs.itertuples()]
    return runs.rename_axis("run")


def _parameters(parameters: dict) -> dict:
    """One spelling per setting: no empty entries, `waits` always there, the string only where it is used."""
    known = {name: value for name, value in parameters.items() if value is not None}
    known["waits"] = known.get("waits", 0)
    if known["waits"]:
        known.setdefault("wait", "Wait")
    else:
        known.pop("wait", None)
    return dict(sorted(known.items()))


def label(run: object) -> str:
    """A run's name in tables and figures."""
    if run.method == "rejection":
        return f"cap {count(run.cap)}"
    if run.method in ("direct", "majority"):
        return run.method
    if run.method == "class_conditional":
        return "asked for nothing" if run.length == "none" else f"asked for {run.length}"
    if run.method == "tree_search":
        return f"width {count(run.width)}"
    if not np.isnan(run.steps):
        return f"{count(run.steps)} steps"
    if run.waits:
        return f"{run.waits:.0f} × {run.wait or 'nothing'}"
    if np.isnan(run.limit):
        return "natural stop"
    return f"{'budget' if run.method == 'budget_forcing' else 'limit'} {count(run.limit)}"


@dataclass(frozen=True)
class Records:
    """samples: one row per record, texts left out, `run` a row of `runs`. Accuracies are shares here; tables turn them into %."""

    samples: pd.DataFrame
    runs: pd.DataFrame

    @cached_property
    def benchmarks(self) -> pd.DataFrame:
        """benchmark, role, kind, problems (their number), in the order of every table and figure."""
        grouped = self.samples.groupby("benchmark", observed=True)
        table = grouped[["role", "kind"]].first().assign(problems=grouped["problem_id"].nunique())
        return table.reset_index().astype({"benchmark": str})

    def common(self) -> Records:
        """The records of those problems alone that every method has: what samples may be limited to the first ones."""
        key = ["benchmark", "problem_id"]
        methods = self.runs["method"].to_numpy()[self.samples["run"]]
        number = self.samples.assign(method=methods).groupby(key, observed=True)["method"].nunique()
        most = number.groupby("benchmark", observed=True).transform("max")
        kept = pd.MultiIndex.from_frame(self.samples[key]).isin(number.index[number == most])
        return Records(self.samples[kept], self.runs)

    @property
    def sizes(self) -> str:
        """The number of problems, for captions."""
        numbers = self.benchmarks["problems"]
        if numbers.nunique() == 1:
            return f"n = {numbers[0]} problems per benchmark"
        return "n = " + ", ".join(f"{row.problems} ({row.benchmark})" for row in self.benchmarks.itertuples()) + " problems"

    @cached_property
    def problems(self) -> pd.DataFrame:
        """Means over the samples of each problem in each run, and how many samples there are.

        `accepted`: not rejected; `within`: thinking within the run's limit; `forced`, `natural`: how thinking ended.
        """
        limits = self.runs["limit"].fillna(np.inf).to_numpy()[self.samples["run"]]
        table = self.samples.assign(
            total_tokens=self.samples["thinking_tokens"] + self.samples["answer_tokens"],
            accepted=self.samples["finish"] != "rejected",
            within=(self.samples["thinking_tokens"] <= limits) & (self.samples["finish"] != "rejected"),
            forced=self.samples["finish"] == "forced",
            natural=self.samples["finish"] == "natural",
        )
        table[MEANS] = table[MEANS].astype("float64")
        grouped = table.groupby(["benchmark", "run", "problem_id"], observed=True)[MEANS]
        return grouped.mean().assign(samples=grouped.size()).reset_index().astype({"benchmark": str})

    def find(self, *, model: str | None = MAIN, method: str = "budget_forcing", **parameters: float | str | None) -> list[int]:
        """Runs with these parameters exactly (None: not set), in order of limit, waits and string; model None: of any."""
        wanted = {"method": method, **({} if model is None else {"model": model}), **parameters}
        found = [run for run in self._listed if all(run[name] == value for name, value in wanted.items())]
        last = float("inf")
        found.sort(key=lambda run: (last if run["limit"] is None else run["limit"], run["waits"], run["wait"] or ""))
        return [run["run"] for run in found]

    @cached_property
    def _listed(self) -> list[dict]:
        """`runs` as plain dictionaries, None where a parameter is not set."""
        table = self.runs.reset_index().astype(object)
        return table.where(table.notna(), None).to_dict("records")

    def budgets(self, model: str = MAIN) -> list[int]:
        """Runs of budget forcing without Waits, smallest budget first, the natural stop last (Figure 1)."""
        return self.find(model=model, waits=0)

    def natural(self, model: str = MAIN) -> list[int]:
        """The run that stops when the model wants to (or at the largest limit there is); empty when there is none."""
        return self.budgets(model)[-1:]

    def waits(self, wait: str = "Wait", model: str = MAIN) -> list[int]:
        """Runs that ignore the end of thinking 1, 2, ... times and append `wait`, otherwise as the natural stop (Figure 4a)."""
        natural = self.natural(model)
        limit = {run["run"]: run["limit"] for run in self._listed}
        return [run for run in self.find(model=model, wait=wait) if natural and limit[run] == limit[natural[0]]]

    def frame(self, benchmark: str, runs: Sequence[int], value: str = "correct") -> pd.DataFrame:
        """Problems x runs, only those problems that every one of `runs` has: the ground of everything paired."""
        table = self._wide.get((benchmark, value))
        return pd.DataFrame(columns=list(runs)) if table is None else table.reindex(columns=list(runs)).dropna()

    @cached_property
    def _wide(self) -> dict[tuple[str, str], pd.DataFrame]:
        """Problems x runs for each benchmark and value."""
        table = self.problems.set_index(["benchmark", "problem_id", "run"])[MEANS].unstack("run")
        return {(name, value): part[value].droplevel("benchmark") for name, part in table.groupby("benchmark") for value in MEANS}
