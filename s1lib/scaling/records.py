"""Evaluation records (JSON lines) as the tables from which everything else is computed.

    records = load_records(profile)              # outputs/<profile>/04_evaluation/records/*.jsonl
    records.benchmarks                           # benchmark, role, kind, problems
    records.runs                                 # one row per run: model, method, parameters, label
    records.problems                             # one row per benchmark, run, replica and problem
    records.paired("hard", runs, "correct")      # problems x replicas x runs, for what is paired
    records.frame("hard", runs, "correct")       # problems x runs, means over the replicas

A *run* is what the paper plots as one point: one model, one method, one setting. A model that was
trained from several seeds has several replicas (pairing.py), and a run holds those of all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from s1lib.drawing.plots import ROLES
from s1lib.errors import S1Error
from s1lib.keeping.files import ArtifactError, iter_jsonl
from s1lib.profile import Profile
from s1lib.scaling import pairing
from s1lib.scaling.pairing import REPLICA, UNTRAINED, Paired, Replica, shared, stands_for, trained
from s1lib.scaling.problem_means import MEANS, SPENT, TRIES, problem_means
from s1lib.scaling.run_settings import number_runs

# The fields that are read. The texts of half a million records would not fit into memory.
WHICH = ["benchmark", "role", "kind", "problem_id", "model", "method", "parameters"]
GRADE = ["seed", "sample", "finish", "extracted", "correct"]
FIELDS = [*WHICH, *GRADE, *SPENT]
OPTIONAL = [TRIES, "prompt_tokens", "forced_tokens", *REPLICA]  # older records lack some

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
    columns = [*FIELDS, *OPTIONAL]
    values = [tuple(map(row.get, columns)) for row in rows]
    samples = pd.DataFrame.from_records(values, columns=columns)
    if samples.empty:
        raise RecordError("there are no records: run notebook 04_evaluation again")
    samples["problem_id"] = samples["problem_id"].astype(str)
    for name, absent in {"forced_tokens": 0, "base_seed": 0, "sft_seed": UNTRAINED}.items():
        samples[name] = samples[name].astype("float64").fillna(absent).astype("int64")
    runs = number_runs(samples)

    # the order of the paper's tables, whatever the order of the files
    roles = samples.groupby("benchmark")["role"].first()
    order = sorted(roles.index, key=lambda name: ((*ROLES, roles[name]).index(roles[name]), name))
    samples["benchmark"] = pd.Categorical(samples["benchmark"], order)
    key = ["benchmark", "run", *REPLICA, "problem_id", "seed", "sample"]
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
        """The records of those problems and replicas alone that every method has."""
        key = ["benchmark", "problem_id"]
        methods = self.runs["method"].to_numpy()[self.samples["run"]]
        grouped = self.samples.assign(method=methods).groupby(key, observed=True)
        number = grouped["method"].nunique()
        most = number.groupby("benchmark", observed=True).transform("max")
        kept = pd.MultiIndex.from_frame(self.samples[key]).isin(number.index[number == most])

        # votes are drawn from one replica alone, which the other methods are then compared with
        if found := shared([*self._replicas.values()]):
            found += [(base, UNTRAINED) for base, _ in found]
            kept &= pd.MultiIndex.from_frame(self.samples[REPLICA]).isin(found)
        return Records(self.samples[kept], self.runs)

    @property
    def sizes(self) -> str:
        """The number of problems, and of replicas where there are several, for captions."""
        numbers = self.benchmarks["problems"]
        each = [f"{row.problems} ({row.benchmark})" for row in self.benchmarks.itertuples()]
        one = numbers.nunique() == 1
        sizes = f"{numbers[0]} problems per benchmark" if one else f"{', '.join(each)} problems"
        replicas = trained(self._replicas.values())
        several = f", means of {pairing.number_of(replicas)}" if len(replicas) > 1 else ""
        return f"n = {sizes}{several}"

    @cached_property
    def problems(self) -> pd.DataFrame:
        """One row per benchmark, run, replica and problem, see `problem_means`."""
        return problem_means(self.samples, self.runs)

    @cached_property
    def averages(self) -> pd.DataFrame:
        """Means over the replicas of each problem in each run. `samples` are those of all."""
        key = ["benchmark", "run", "problem_id"]
        grouped = self.problems.groupby(key, sort=False)
        return grouped[MEANS].mean().assign(samples=grouped["samples"].sum()).reset_index()

    @cached_property
    def _replicas(self) -> dict[tuple[str, int], set[Replica]]:
        """The replicas of each benchmark and run."""
        table = self.problems[["benchmark", "run", *REPLICA]].drop_duplicates()
        found: dict[tuple[str, int], set[Replica]] = defaultdict(set)
        for benchmark, run, base, seed in table.itertuples(index=False):
            found[benchmark, run].add((base, seed))
        return found

    @cached_property
    def _wide(self) -> dict[tuple[str, str], pd.DataFrame]:
        """Problems x (run, replica) for each benchmark and value."""
        across = ["run", *REPLICA]
        table = self.problems.set_index(["benchmark", "problem_id", *across])[MEANS].unstack(across)
        parts = dict(iter(table.groupby("benchmark")))
        return {
            (name, value): part[value].droplevel("benchmark")
            for name, part in parts.items()
            for value in MEANS
        }

    def replicas(self, benchmark: str, runs: Sequence[int]) -> list[Replica]:
        """The replicas that all of these runs have on a benchmark, in order."""
        return shared([self._replicas.get((benchmark, run), set()) for run in runs])

    def paired(self, benchmark: str, runs: Sequence[int], value: str = "correct") -> Paired:
        """A column of `problems` as an array, with what every one of `runs` has.

        A run of a model without SFT seeds is repeated over the seeds of its base.
        """
        replicas = self.replicas(benchmark, runs)
        if not replicas:
            return Paired(pd.Index([]), [], np.empty((0, 1, len(runs))))
        have = [self._replicas[benchmark, run] for run in runs]
        columns = [
            (run, *stands_for(replica, own))
            for replica in replicas
            for run, own in zip(runs, have, strict=True)
        ]
        table = self._wide[benchmark, value]
        table = table.reindex(columns=pd.MultiIndex.from_tuples(columns)).dropna()
        values = table.to_numpy().reshape(len(table), len(replicas), len(runs))
        return Paired(table.index, replicas, values)

    def frame(self, benchmark: str, runs: Sequence[int], value: str = "correct") -> pd.DataFrame:
        """Problems x runs as `paired`, each the mean over the replicas that the runs share."""
        problems, _, values = self.paired(benchmark, runs, value)
        return pd.DataFrame(values.mean(axis=1), index=problems, columns=list(runs))

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
