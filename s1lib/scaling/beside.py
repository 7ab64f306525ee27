"""Tables 5 to 8: this run's rows first, then the published ones, in one shape. DataFrame -> DataFrame."""

from __future__ import annotations

import pandas as pd

from s1lib.drawing.plots import ROLES
from s1lib.profile import CUT
from s1lib.published.paper_numbers import load
from s1lib.scaling import points
from s1lib.scaling.points import PAPER, THIS
from s1lib.scaling.records import MAIN, Records


def models_table(records: Records) -> pd.DataFrame:
    """Table 5: a model per row, a column of accuracies in % per benchmark role; this run's s1, and models of
    published sets, at their natural stop and with Waits."""
    ours = points.run_points(records)
    waited = [model for model in records.runs["model"].unique() if model == MAIN or records.waits(model=model)]
    runs = [run for model in waited for run in (*records.natural(model), *records.waits(model=model))]
    ours = ours[ours["run"].isin(runs)].sort_values("waits", kind="stable")
    paper = load("table5").rename(columns={"benchmark": "role"})
    both = pd.concat([ours.assign(source=THIS), paper.assign(source=PAPER)], ignore_index=True)
    both["model"] += [f", {waits:.0f} × Wait" if waits > 0 else "" for waits in both["waits"]]
    roles = [*ROLES, *sorted(set(both["role"]) - set(ROLES))]
    wide = both.pivot_table("accuracy", ["source", "model"], "role").reindex(columns=roles)
    order = pd.MultiIndex.from_frame(both[["source", "model"]].drop_duplicates())
    return wide.reindex(order).reset_index().rename_axis(columns=None)


def domains_table(domains: pd.DataFrame) -> pd.DataFrame:
    """Table 6 (and Figure 2, left): domain, questions and thousands of trace tokens in s1K.

    domains: as notebook 01 leaves it (domains.csv): domain, selected, "selected, 1K tokens".
    """
    ours = domains.rename(columns={"selected": "questions", "selected, 1K tokens": "thousand_tokens"})
    ours = ours.reindex(columns=["domain", "questions", "thousand_tokens"]).sort_values("questions", ascending=False)
    return _stacked(ours, load("table6"), ["domain", "questions", "thousand_tokens"])


def sources_table(sources: pd.DataFrame) -> pd.DataFrame:
    """Table 7: the pool by source, questions and average trace tokens. sources: source, questions, "average trace tokens" (notebook 01)."""
    ours = sources.rename(columns={"source": "dataset", "average trace tokens": "average_tokens"})
    paper = load("table7").assign(average_tokens=lambda table: 1000 * table["average_thousand_tokens"])
    return _stacked(ours, paper, ["dataset", "questions", "average_tokens"])


def lengths_table(records: Records, trainings: pd.DataFrame) -> pd.DataFrame:
    """Table 8: the training sequence length, the share of examples that it cuts in %, and what the model does at its natural stop.

    trainings: model, examples, limit, cut, as notebook 02 leaves them (trainings.csv). A profile without `sft.cut_length` has
    no rows of its own.
    """
    sizes = trainings.rename(columns={"limit": "sequence_length"})[["model", "sequence_length", "cut", "examples"]]
    ours = points.run_points(records).merge(sizes[sizes["model"].isin([CUT, MAIN])], on="model")
    ours = ours[ours["run"].isin([*records.natural(CUT), *records.natural()])] if CUT in set(ours["model"]) else ours[:0]
    ours = ours.assign(cut_percent=100 * ours["cut"] / ours["examples"])
    columns = ["sequence_length", "cut_percent", "benchmark", "accuracy", "thinking_tokens"]
    return _stacked(ours.sort_values("sequence_length", kind="stable"), load("table8"), columns)


def _stacked(ours: pd.DataFrame, paper: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    both = [table.reindex(columns=columns).assign(source=name) for name, table in ((THIS, ours), (PAPER, paper)) if len(table)]
    return pd.concat(both, ignore_index=True)[["source", *columns]]
