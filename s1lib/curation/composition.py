"""Tables and figures of notebook 01: the funnel, the domains, how the sets differ.

Tables are data frames, a figure is (data, ax) -> ax. `lengths` are tokens of each trace by id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes

from s1lib.curation.pool import Sample
from s1lib.drawing.plots import BLUE

POOL = "0.75"  # the grey in which all figures draw the pool


def funnel(counts: Mapping[str, int], published: pd.DataFrame) -> pd.DataFrame:
    """Questions left after each stage beside the paper's, with the share kept of the stage before.

    counts: this run's, in order of the stages.
    published: columns stage, paper and, where known, official: the numbers that the official
        notebook printed, which differ (s1lib/published/paper/funnel.csv). A stage without a number
        stays empty.
    """
    table = pd.DataFrame({"stage": list(counts), "this run": list(counts.values())})
    known = {"paper": "paper", "official": "official notebook"}
    for column, name in known.items():
        if column in published:
            table[name] = table["stage"].map(published.set_index("stage")[column])

    # What is preselected is a part of what is selected, not a stage that anything is left out at.
    stages = table[table["stage"] != "preselected"]
    for column in ("this run", "paper"):
        table[f"{column}, % kept"] = 100 * stages[column] / stages[column].ffill().shift()

    # Counts with gaps stay integers.
    for name in known.values():
        if name in table:
            counted = [None if pd.isna(count) else int(count) for count in table[name]]
            table[name] = pd.Series(counted, dtype=object)
    return table


def beside(table: pd.DataFrame, paper: pd.DataFrame, *, on: str) -> pd.DataFrame:
    """`table` with the paper's columns of the rows that it knows, named "paper: …".

    paper: its Table 6 or 7 (s1lib/published/paper). A pool that shares no name in the column `on`
    with the paper, like the toy's, is left as it is.
    """
    columns = [name for name in paper.columns if name not in (on, "source", "how", "note")]
    known = paper.set_index(on)[columns].rename(
        columns={name: f"paper: {name.replace('_', ' ')}" for name in columns}
    )
    return table.join(known, on=on) if table[on].isin(known.index).any() else table


def domains(
    pool: Sequence[Sample], selected: Sequence[Sample], *, lengths: Mapping[str, int]
) -> pd.DataFrame:
    """Per domain: main source, questions in pool and selection, trace tokens selected (Table 6)."""
    chosen = {sample.id for sample in selected}
    rows = []
    for sample in pool:
        picked = sample.id in chosen
        rows.append((sample.domain, sample.source, picked, lengths[sample.id] * picked / 1000))
    frame = pd.DataFrame(rows, columns=["domain", "source", "chosen", "tokens"])
    table = frame.groupby("domain", as_index=False).agg(
        source=("source", lambda names: names.mode()[0]),
        pool=("chosen", "size"),
        selected=("chosen", "sum"),
        tokens=("tokens", "sum"),
    )
    table.insert(3, "pool, %", 100 * table["pool"] / len(pool))
    table.insert(5, "selected, %", 100 * table["selected"] / len(selected))
    table = table.rename(columns={"tokens": "selected, 1K tokens"})
    return table.sort_values("selected", ascending=False, ignore_index=True)


def sources(
    pool: Sequence[Sample], selected: Sequence[Sample], *, lengths: Mapping[str, int]
) -> pd.DataFrame:
    """Per source: questions in the pool, average trace tokens (Table 7), questions selected."""
    chosen = {sample.id for sample in selected}
    frame = pd.DataFrame(
        [(sample.source, lengths[sample.id], sample.id in chosen) for sample in pool],
        columns=["dataset", "tokens", "chosen"],
    )
    table = frame.groupby("dataset").agg(
        pool=("tokens", "size"), tokens=("tokens", "mean"), selected=("chosen", "sum")
    )
    table = table.rename(columns={"tokens": "average trace tokens"})
    return table.sort_values("pool", ascending=False).reset_index()


def composition(
    sets: Mapping[str, Sequence[Sample]], *, lengths: Mapping[str, int]
) -> pd.DataFrame:
    """Per set: size, domains, trace tokens, largest domain, overlap with s1 in %."""
    shared = {sample.id for sample in sets["s1"]}
    rows = []
    for name, samples in sets.items():
        share = pd.Series([sample.domain for sample in samples]).value_counts(normalize=True)
        largest = [f"{domain} ({100 * part:.0f} %)" for domain, part in share.items()]
        size = len(samples) or math.nan  # the averages of an empty set are none
        rows.append(
            {
                "set": name,
                "questions": len(samples),
                "domains": len(share),
                "average trace tokens": sum(lengths[s.id] for s in samples) / size,
                "largest domain": largest[0] if largest else "",
                "also in s1, %": 100 * sum(s.id in shared for s in samples) / size,
            }
        )
    return pd.DataFrame(rows)


def trace_lengths(
    sets: Mapping[str, Sequence[Sample]], *, lengths: Mapping[str, int]
) -> pd.DataFrame:
    """One row per sample: set, tokens of its trace."""
    rows = [(name, lengths[s.id]) for name, samples in sets.items() for s in samples]
    return pd.DataFrame(rows, columns=["set", "tokens"])


def length_histogram(data: pd.DataFrame, ax: Axes, *, name: str) -> Axes:
    """Trace lengths of the set `name` (outline) over those of the pool (grey).

    data: as from `trace_lengths`.
    """
    bins = np.linspace(0, data["tokens"].max(), 26)
    style = {"stat": "percent", "bins": bins, "element": "step", "ax": ax}
    of_pool, of_set = (data.loc[data["set"] == each, "tokens"] for each in ("pool", name))
    seaborn.histplot(of_pool, color=POOL, label="pool", linewidth=0, **style)
    seaborn.histplot(of_set, color=BLUE, label="set", fill=False, **style)
    ax.set(xlabel="trace length (tokens)", ylabel="share of the set (%)", title=name)
    if ax.get_subplotspec().is_first_col():  # one legend serves the panels beside it
        ax.legend()
    return ax


def domain_bars(data: pd.DataFrame, ax: Axes) -> Axes:
    """Share of each domain in the pool and in the selection.

    data: as from `domains`.
    """
    shares = data[["domain", "pool, %", "selected, %"]].set_axis(
        ["domain", "pool", "selected"], axis=1
    )
    long = shares.melt("domain", var_name="of", value_name="share")
    colors = {"palette": [POOL, BLUE], "saturation": 1}
    seaborn.barplot(long, y="domain", x="share", hue="of", ax=ax, **colors)
    ax.set(xlabel="share of questions (%)", ylabel="")
    ax.legend(title=None, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax
