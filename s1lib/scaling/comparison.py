"""Two runs beside each other, problem by problem: who solves what the other does not.

first = open_records("outputs/h100")        # outputs, or a copy of the authors' results
found = compare(first, open_records("results"))
found.runs                                  # one row per benchmark and run that both have
found.flips                                 # every problem on which the two disagree
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from s1lib.scaling import metrics
from s1lib.scaling.lm_eval_samples import read_samples, sample_files
from s1lib.scaling.records import RecordError, Records, records_from, records_in

RUN = ["model", "method", "label"]  # what names a run on both sides
ORDER = ["model", "method", "limit", "waits"]  # of the rows of one benchmark
SHOWN = 6  # runs of each side that an error names


@dataclass(frozen=True)
class Comparison:
    """What two runs share, and where they differ.

    runs: for each benchmark and run the number n of problems that both were asked, both accuracies
    in %, the share of problems with the same verdict in %, how many were solved by the second run
    alone (gained) and by the first alone (lost), and the exact p of McNemar's test.
    flips: those problems, with both verdicts and the answers that were read.
    """

    runs: pd.DataFrame
    flips: pd.DataFrame


def open_records(place: Path | str) -> Records:
    """The records in a profile's outputs or in a copy of lm-eval's sample files.

    Raises ArtifactError or RecordError for a place that holds neither.
    """
    place = Path(place)
    if (place / "04_evaluation").is_dir() or not sample_files(place):
        return records_in(place)
    return records_from(read_samples(place))


def compare(first: Records, second: Records) -> Comparison:
    """Both runs on every benchmark and setting that they share.

    Benchmarks are matched by name or, where no name is shared, by the paper's benchmark that they
    stand for. Where each side has one run alone, these are compared whatever they are called.
    Raises RecordError when nothing is shared.
    """
    a, b = _verdicts(first), _verdicts(second)
    if len(first.runs) == len(second.runs) == 1:
        b[[*RUN]] = a[RUN].iloc[0].to_list()
    benchmark = "benchmark" if set(a["benchmark"]) & set(b["benchmark"]) else "role"
    key = [benchmark, *RUN, "problem_id"]
    both = a.merge(b[[*key, "correct", "extracted"]], on=key, suffixes=("_a", "_b"))
    if both.empty:
        raise RecordError(
            f"no problem of the same run is in both: the first has {_named(first)}; "
            f"the second has {_named(second)}"
        )
    groups = both.groupby(["benchmark", *ORDER, "label"], sort=True, observed=True, dropna=False)
    runs = groups.apply(_row).reset_index().drop(columns=["limit", "waits"])
    differ = both["correct_a"] != both["correct_b"]
    columns = [name for name in both if name not in ("role", "limit", "waits")]
    return Comparison(runs.rename(columns={"label": "run"}), both.loc[differ, columns])


def _verdicts(records: Records) -> pd.DataFrame:
    """One row per benchmark, run and problem: the share of right samples, and the first answer.

    The samples of all training seeds count together.
    """
    key = ["benchmark", "run", "problem_id"]
    first = records.samples[[*key, "extracted"]].drop_duplicates(key)
    table = records.averages[[*key, "correct"]].merge(first.astype({"benchmark": str}), on=key)
    table = table.merge(records.runs[[*RUN, "limit", "waits"]], left_on="run", right_index=True)
    table = table.merge(records.benchmarks[["benchmark", "role"]], on="benchmark")
    order = records.benchmarks["benchmark"].to_list()
    table["benchmark"] = pd.Categorical(table["benchmark"], order)
    return table.drop(columns="run")


def _row(both: pd.DataFrame) -> pd.Series:
    """What one run of a benchmark amounts to on both sides."""
    a, b = both["correct_a"].to_numpy(), both["correct_b"].to_numpy()
    gained, lost, p = metrics.mcnemar(a, b)
    shares = {"first": a.mean(), "second": b.mean(), "agreement": (a == b).mean()}
    percent = {f"{name}, %": 100 * share for name, share in shares.items()}
    return pd.Series({"n": len(a), **percent, "gained": gained, "lost": lost, "p": p}, dtype=object)


def _named(records: Records) -> str:
    """The first runs of some records, with their benchmarks."""
    names = [f"{row.model} {row.method}: {row.label}" for row in records.runs.itertuples()]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    benchmarks = ", ".join(records.benchmarks["benchmark"])
    return f"{', '.join(names[:SHOWN])}{more} on {benchmarks}"
