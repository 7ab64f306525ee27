"""Evaluation records (JSON lines) as the tables from which everything else is computed.

    records = load_records(profile)              # outputs/<profile>/04_evaluation/records/*.jsonl
    records.benchmarks                           # benchmark, role, kind, problems
    records.runs                                 # one row per run: model, method, parameters, label
    records.problems                             # one row per benchmark, run and problem
    records.frame("hard", runs, "correct")       # problems x runs, for everything paired

A *run* is what the paper plots as one point: one model, one method, one setting.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from s1lib.drawing.plots import ROLES
from s1lib.errors import S1Error
from s1lib.evaluation.run_names import run_name
from s1lib.keeping.files import ArtifactError, iter_jsonl
from s1lib.profile import Profile

# The fields that are read. The texts of half a million records would not fit into memory.
WHICH = ["benchmark", "role", "kind", "problem_id", "model", "method", "parameters"]
GRADE = ["seed", "sample", "finish", "extracted", "correct"]
SPENT = ["thinking_tokens", "answer_tokens", "decoded_tokens", "steps_used"]
FIELDS = [*WHICH, *GRADE, *SPENT]
TRIES = "spent_thinking_tokens"  # of all tries of rejection sampling, absent in other records

NUMBERS = ["max_thinking", "min_thinking", "waits", "temperature", "cap", "steps", "width"]
TOKENS_PER_STEP = 100  # how the paper turns a limit of steps into one of tokens (Table 3)
MEANS = ["correct", *SPENT, TRIES, "total_tokens", "accepted", "within", "forced", "natural"]
MAIN = "s1"  # the model whose test-time scaling is analysed


class RecordError(S1Error):
    """The records cannot be used. The message says which file and what to do."""


def load_records(profile: Profile) -> Records:
    """The records of a finished notebook 04, see `records_in`."""
    return records_in(profile.outputs)


def records_in(outputs: Path) -> Records:
    """The records of a finished notebook 04 in a profile's outputs.

    Raises ArtifactError where a file is missing or cut, RecordError where a field is missing or
    two records contradict each other.
    """
    directory = outputs / "04_evaluation" / "records"
    paths = sorted(directory.glob("*.jsonl"))
    if not paths:
        what = "run notebook 04_evaluation first (`make reproduce` runs all)"
        raise ArtifactError(f"{directory} holds no records: {what}")
    return records_from(row for path in paths for row in _read(path))


def _read(path: Path) -> Iterable[dict]:
    for number, row in enumerate(iter_jsonl(path), start=1):
        if absent := next((name for name in FIELDS if name not in row), None):
            raise RecordError(
                f"{path}, line {number}: no field {absent!r} (an older version's?); "
                "delete it and run notebook 04 again"
            )
        yield row


def records_from(rows: Iterable[dict]) -> Records:
    """Records from rows in any order. One that is there twice counts once."""
    columns = [*FIELDS, TRIES]
    values = [tuple(map(row.get, columns)) for row in rows]
    samples = pd.DataFrame.from_records(values, columns=columns)
    if samples.empty:
        raise RecordError("there are no records: run notebook 04_evaluation again")
    samples["problem_id"] = samples["problem_id"].astype(str)
    runs = _number_runs(samples)

    # the order of the paper's tables, whatever the order of the files
    roles = samples.groupby("benchmark")["role"].first()
    order = sorted(roles.index, key=lambda name: ((*ROLES, roles[name]).index(roles[name]), name))
    samples["benchmark"] = pd.Categorical(samples["benchmark"], order)
    key = ["benchmark", "run", "problem_id", "seed", "sample"]
    samples = samples.sort_values(key, kind="stable").reset_index(drop=True)

    # the natural stop belongs to several sweeps, so that a record may be there twice, but never
    # right in one place and wrong in another
    twice = samples.duplicated(key)
    conflict = twice & (samples["correct"] != samples["correct"].shift())
    if conflict.any():
        row = samples[conflict].iloc[0]
        raise RecordError(
            f"two different records of {row.benchmark} problem {row.problem_id}, "
            f"{runs.label[row.run]}: two evaluations are mixed; "
            "delete them and run notebook 04 again"
        )
    return Records(samples[~twice].reset_index(drop=True), runs)


def _number_runs(samples: pd.DataFrame) -> pd.DataFrame:
    """Replace the column `parameters` by `run`, a number, and describe each run in a row."""
    # one spelling of the same parameters makes one run of them
    parameters = samples.pop("parameters")
    texts = parameters.map(repr)  # far fewer than records, and quicker to compare than dictionaries
    first = texts.drop_duplicates().index
    spelled = {texts[row]: json.dumps(_one_spelling(parameters[row])) for row in first}

    # numbered in the order of their names, so that the order of the files does not matter
    key = samples["model"] + "\t" + samples["method"] + "\t" + texts.map(spelled)
    names = sorted(key.unique())
    samples["run"] = key.map({name: number for number, name in enumerate(names)}).astype("int64")
    split = (name.split("\t") for name in names)
    rows = [{"model": model, "method": method, **json.loads(text)} for model, method, text in split]

    runs = pd.DataFrame(rows, columns=["model", "method", *NUMBERS, "wait", "length"])
    runs[NUMBERS] = runs[NUMBERS].astype("float64")
    steps = runs["steps"] * TOKENS_PER_STEP
    runs["limit"] = runs["max_thinking"].fillna(runs["cap"]).fillna(steps)
    runs["label"] = [run_name(row["method"], row) for row in rows]
    return runs.rename_axis("run")


def _one_spelling(parameters: dict) -> dict:
    """No empty entries, `waits` always there, the string only where it is used."""
    known = {name: value for name, value in parameters.items() if value is not None}
    known["waits"] = known.get("waits", 0)
    if known["waits"]:
        known.setdefault("wait", "Wait")
    else:
        known.pop("wait", None)
    return dict(sorted(known.items()))


@dataclass(frozen=True)
class Records:
    """One row per record in `samples`, whose column `run` is a row of `runs`.

    Accuracies are shares here. Tables turn them into %.
    """

    samples: pd.DataFrame
    runs: pd.DataFrame

    @cached_property
    def benchmarks(self) -> pd.DataFrame:
        """Role, kind and number of problems of each, in the order of every table and figure."""
        grouped = self.samples.groupby("benchmark", observed=True)
        problems = grouped["problem_id"].nunique()
        table = grouped[["role", "kind"]].first().assign(problems=problems)
        return table.reset_index().astype({"benchmark": str})

    def common(self) -> Records:
        """The records of those problems alone that every method was asked."""
        key = ["benchmark", "problem_id"]
        methods = self.runs["method"].to_numpy()[self.samples["run"]]
        grouped = self.samples.assign(method=methods).groupby(key, observed=True)
        number = grouped["method"].nunique()
        most = number.groupby("benchmark", observed=True).transform("max")
        kept = pd.MultiIndex.from_frame(self.samples[key]).isin(number.index[number == most])
        return Records(self.samples[kept], self.runs)

    @property
    def sizes(self) -> str:
        """The number of problems, for captions."""
        numbers = self.benchmarks["problems"]
        if numbers.nunique() == 1:
            return f"n = {numbers[0]} problems per benchmark"
        each = [f"{row.problems} ({row.benchmark})" for row in self.benchmarks.itertuples()]
        return f"n = {', '.join(each)} problems"

    @cached_property
    def problems(self) -> pd.DataFrame:
        """Means over the samples of each problem in each run, and the number of `samples`.

        `within` is the share whose thinking kept the run's limit, `accepted` the share that was
        not rejected, and `forced` and `natural` say how thinking ended.
        """
        limits = self.runs["limit"].fillna(np.inf).to_numpy()[self.samples["run"]]
        thinking, finish = self.samples["thinking_tokens"], self.samples["finish"]
        table = self.samples.assign(
            total_tokens=thinking + self.samples["answer_tokens"],
            accepted=finish != "rejected",
            within=(thinking <= limits) & (finish != "rejected"),
            forced=finish == "forced",
            natural=finish == "natural",
        )
        table[MEANS] = table[MEANS].astype("float64")
        grouped = table.groupby(["benchmark", "run", "problem_id"], observed=True)[MEANS]
        means = grouped.mean().assign(samples=grouped.size())
        return means.reset_index().astype({"benchmark": str})

    @cached_property
    def _wide(self) -> dict[tuple[str, str], pd.DataFrame]:
        """Problems x runs for each benchmark and value."""
        table = self.problems.set_index(["benchmark", "problem_id", "run"])[MEANS].unstack("run")
        parts = dict(iter(table.groupby("benchmark")))
        return {
            (name, value): part[value].droplevel("benchmark")
            for name, part in parts.items()
            for value in MEANS
        }

    def frame(self, benchmark: str, runs: Sequence[int], value: str = "correct") -> pd.DataFrame:
        """Problems x runs of a column of `problems`, those alone that every one of `runs` has."""
        table = self._wide.get((benchmark, value))
        if table is None:
            return pd.DataFrame(columns=list(runs))
        return table.reindex(columns=list(runs)).dropna()

    def find(
        self,
        *,
        model: str | None = MAIN,
        method: str = "budget_forcing",
        **parameters: float | str | None,
    ) -> list[int]:
        """Runs with exactly these parameters, in order of limit, number of Waits and string.

        A parameter of None must not be set. A model of None is any model.
        """
        if model is not None:
            parameters["model"] = model
        found = self.runs[self.runs["method"] == method]
        for name, value in parameters.items():
            found = found[found[name].isna() if value is None else found[name] == value]
        return found.sort_values(["limit", "waits", "wait"]).index.to_list()

    def budgets(self, model: str = MAIN) -> list[int]:
        """Runs of budget forcing without Waits, the natural stop last (Figure 1)."""
        return self.find(model=model, waits=0)

    def natural(self, model: str = MAIN) -> list[int]:
        """The run that stops by itself, or the one with the largest limit. Empty without any."""
        return self.budgets(model)[-1:]

    def waits(self, wait: str = "Wait", model: str = MAIN) -> list[int]:
        """Runs like the natural stop, but with its end ignored 1, 2, ... times (Figure 4a)."""
        limits = self.runs["limit"].fillna(np.inf)
        natural = limits[self.natural(model)].to_list()
        return [run for run in self.find(model=model, wait=wait) if [limits[run]] == natural]
