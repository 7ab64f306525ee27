"""Tables 1, 4 and 5: s1 beside other models, and what is appended where its thinking ended.

Accuracies in %, differences in points. What a run does not hold is missing, with the reason in
`note`. A column `paper` holds the published value of the benchmark whose role this one plays.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from s1lib.drawing.plots import ROLES
from s1lib.profile import is_sized
from s1lib.published.paper_numbers import load
from s1lib.scaling import points
from s1lib.scaling.effects import Bench, Effect, difference
from s1lib.scaling.published_effects import published
from s1lib.scaling.records import MAIN, Records
from s1lib.scaling.table_cells import EFFECT, PAPER, THIS, benches, effect_cells, seed_columns
from s1lib.scaling.training_tables import SETS


def accuracy_table(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Table 1: every model without thinking or at its natural stop, and s1 with Waits."""
    table = points.run_points(records, alpha=alpha)
    plain = table["limit"].isna() & table["waits"].eq(0)
    plain &= table["method"].isin(["direct", "budget_forcing"])
    table = table[plain | table["run"].isin([*records.natural(), *records.waits()])]
    table = table[~table["model"].map(is_sized)]  # these are Figure 2's

    # benchmarks, then models from the base model to the ablations, then Waits
    order = [*dict.fromkeys(table["benchmark"]), "base", MAIN, *SETS]
    place = {name: at for at, name in enumerate(order)}
    table = table.sort_values(
        ["benchmark", "model", "waits"],
        key=lambda column: column if column.name == "waits" else column.map(place),
        kind="stable",
    )

    table["paper"] = [_published_accuracy(row) for row in table.itertuples()]
    where, measured = ["benchmark", "model", "label"], ["accuracy", "low", "high", "n"]
    return table[[*where, *measured, "thinking_tokens", "paper"]].reset_index(drop=True)


def _published_accuracy(row: tuple) -> float:
    if row.model == "base":
        return published("table1", benchmark=row.role, model="Qwen2.5-32B-Instruct")
    if row.model == MAIN:
        return published("table5", benchmark=row.role, model="s1", waits=row.waits)
    return published("table2", benchmark=row.role, set=row.model)


def strings_table(
    records: Records,
    *,
    strings: Sequence[str],
    waits: int = 2,
    resamples: int = 10_000,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Table 4: the end of thinking ignored `waits` times with each string.

    Differences are to *not ignoring it*, on the same problems. Where there are several seeds, each
    has a column with its own difference.
    """
    accuracies = points.run_points(records).set_index(["benchmark", "run"])["accuracy"]
    rows = []
    for bench, role in benches(records, resamples):
        for string in strings:
            row = {"string": string or "(nothing)", "benchmark": bench.name}
            row |= effect_cells(alpha, _against_natural, bench, string, waits)
            if row["n"]:
                row["accuracy"] = accuracies[bench.name, bench.waits(string, waits)]
            row["paper"] = published("table4", benchmark=role, waits=2, string=string)
            not_ignored = published("table4", benchmark=role, waits=0, string="")
            rows.append({**row, "paper_difference": row["paper"] - not_ignored})
    measured = ["string", "benchmark", "accuracy", *EFFECT]
    published_cells = ["paper", "paper_difference"]
    seeds = seed_columns(pd.DataFrame(rows))
    return pd.DataFrame(rows, columns=[*measured, *seeds, *published_cells, "note"])


def _against_natural(bench: Bench, string: str, waits: int) -> Effect:
    return difference(bench, bench.natural(), bench.waits(string, waits))


def models_table(records: Records) -> pd.DataFrame:
    """Table 5: a model per row and a column of accuracies per benchmark of the paper.

    This run's rows are s1 and models of published sets, at their natural stop and with Waits.
    """
    models = records.runs["model"].unique()
    waited = [model for model in models if model == MAIN or records.waits(model=model)]
    runs = [run for model in waited for run in records.natural(model)]
    runs += [run for model in waited for run in records.waits(model=model)]
    ours = points.run_points(records).query("run in @runs").sort_values("waits", kind="stable")

    paper = load("table5").rename(columns={"benchmark": "role"})
    both = pd.concat([ours.assign(source=THIS), paper.assign(source=PAPER)], ignore_index=True)
    both["model"] += [f", {waits:.0f} × Wait" if waits > 0 else "" for waits in both["waits"]]

    roles = [*ROLES, *sorted(set(both["role"]) - set(ROLES))]
    wide = both.pivot_table("accuracy", ["source", "model"], "role").reindex(columns=roles)
    order = pd.MultiIndex.from_frame(both[["source", "model"]].drop_duplicates())
    return wide.reindex(order).reset_index().rename_axis(columns=None)
