"""What notebook 01 shows: the funnel, the domains, how the sets differ. Tables are data frames, figures (data, ax) -> ax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes

from s1lib.curation.pool import Sample
from s1lib.drawing.plots import BLUE


def funnel(counts: Mapping[str, int], published: pd.DataFrame) -> pd.DataFrame:
    """Questions left after each stage, this run's (`counts`, in order) beside the paper's, with the share kept of the stage before.

    published: columns stage, paper and, where known, official - the numbers that the official notebook printed, which differ
        (s1lib/published/paper/funnel.csv); a stage without a number stays empty.
    """
    table = pd.DataFrame({"stage": list(counts), "this run": list(counts.values())})
    known = {"paper": "paper", "official": "official notebook"}
    for column, name in known.items():
        if column in published:
            table[name] = table["stage"].map(published.set_index("stage")[column])
    kept = table[table["stage"] != "preselected"]  # a part of what is selected, not a stage that anything is left out at
    for column in ("this run", "paper"):
        table[f"{column}, % kept"] = 100 * kept[column] / kept[column].ffill().shift()
    for name in known.values():
        if name in table:
            table[name] = pd.Series([None if pd.isna(count) else int(count) for count in table[name]], dtype=object)
    return table


def beside(table: pd.DataFrame, paper: pd.DataFrame, *, on: str) -> pd.DataFrame:
    """`table` with the paper's columns of the rows it knows (s1lib/published/paper/table6.csv, table7.csv), named "paper: …".

    A pool that shares no name in the column `on` with the paper, like the toy's, is left as it is.
    """
    columns = [column for column in paper.columns if column not in (on, "source", "how", "note")]
    known = paper.set_index(on)[columns].rename(columns={column: f"paper: {column.replace('_', ' ')}" for column in columns})
    return table.join(known, on=on) if table[on].isin(known.index).any() else table


def domains(pool: Sequence[Sample], selected: Sequence[Sample], *, lengths: Mapping[str, int]) -> pd.DataFrame:
    """Per domain: its main source, questions in the pool and selected, their share in %, thousands of trace tokens selected (table 6)."""
    chosen = {sample.id for sample in selected}
    frame = pd.DataFrame([(s.domain, s.source, s.id in chosen, lengths[s.id] * (s.id in chosen) / 1000) for s in pool])
    frame.columns = ["domain", "source", "chosen", "tokens"]
    table = frame.groupby("domain", as_index=False).agg(
        source=("source", lambda names: names.mode()[0]), pool=("chosen", "size"), selected=("chosen", "sum"), tokens=("tokens", "sum")
    )
    table.insert(3, "pool, %", 100 * table["pool"] / len(pool))
    table.insert(5, "selected, %", 100 * table["selected"] / len(selected))
    return table.rename(columns={"tokens": "selected, 1K tokens"}).sort_values("selected", ascending=False, ignore_index=True)


def sources(pool: Sequence[Sample], selected: Sequence[Sample], *, lengths: Mapping[str, int]) -> pd.DataFrame:
    """Per source: questions in the pool and their average trace tokens (table 7), how many of them were selected."""
    chosen = {sample.id for sample in selected}
    frame = pd.DataFrame([(s.source, lengths[s.id], s.id in chosen) for s in pool], columns=["dataset", "tokens", "chosen"])
    table = frame.groupby("dataset").agg(pool=("tokens", "size"), tokens=("tokens", "mean"), selected=("chosen", "sum"))
    return table.rename(columns={"tokens": "average trace tokens"}).sort_values("pool", ascending=False).reset_index()


def composition(sets: Mapping[str, Sequence[Sample]], *, lengths: Mapping[str, int], reference: str = "s1") -> pd.DataFrame:
    """Per set: size, domains, average trace tokens, domain of the most questions, share of its questions that `reference` has too (%)."""
    shared = {sample.id for sample in sets[reference]}
    rows = []
    for name, samples in sets.items():
        share = pd.Series([sample.domain for sample in samples]).value_counts(normalize=True)
        tokens = sum(lengths[sample.id] for sample in samples) / len(samples)
        overlap = 100 * sum(sample.id in shared for sample in samples) / len(samples)
        rows.append((name, len(samples), len(share), tokens, f"{share.index[0]} ({100 * share.iloc[0]:.0f} %)", overlap))
    return pd.DataFrame(rows, columns=["set", "questions", "domains", "average trace tokens", "largest domain", f"also in {reference}, %"])


def trace_lengths(sets: Mapping[str, Sequence[Sample]], *, lengths: Mapping[str, int]) -> pd.DataFrame:
    """One row per sample: set, tokens of its trace."""
    return pd.DataFrame([(name, lengths[sample.id]) for name, samples in sets.items() for sample in samples], columns=["set", "tokens"])


def length_histogram(data: pd.DataFrame, ax: Axes, *, name: str, pool: str = "pool") -> Axes:
    """Trace lengths of the set `name` (outline) over those of `pool` (grey); `data` as from `trace_lengths`."""
    bins = np.linspace(0, data["tokens"].max(), 26)
    shared = {"stat": "percent", "bins": bins, "element": "step", "ax": ax}
    seaborn.histplot(data.loc[data["set"] == pool, "tokens"], color="0.8", label=pool, linewidth=0, **shared)
    seaborn.histplot(data.loc[data["set"] == name, "tokens"], color=BLUE, label=name, fill=False, **shared)
    ax.set(xlabel="trace length (tokens)", ylabel="share of the set (%)", title=name)
    ax.legend()
    return ax


def domain_bars(data: pd.DataFrame, ax: Axes) -> Axes:
    """Share of each domain in the pool and in the selection; `data` as from `domains`."""
    long = data.rename(columns={"pool, %": "pool", "selected, %": "selected", "pool": "_", "selected": "__"})
    long = long.melt("domain", ["pool", "selected"], var_name="of", value_name="share")
    seaborn.barplot(long, y="domain", x="share", hue="of", ax=ax)
    ax.set(xlabel="share of questions (%)", ylabel="")
    ax.legend(title=None, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax
