"""Tables and figures of notebook 04: the accuracy of every run, and how thinking ended."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes

from s1lib.drawing.intervals import wilson
from s1lib.drawing.plots import GREEN, GREY, ORANGE, RED, not_available, panel_title, role_style
from s1lib.evaluation.run_names import run_name

RUN = ["model", "method", "setting"]
TRIES = "spent_thinking_tokens"
ENDS = ["natural", "forced", "context", "rejected"]
END_COLORS = dict(zip(ENDS, (GREEN, ORANGE, RED, GREY), strict=True))
END_HATCHES = dict(zip(ENDS, ("", "///", "xxx", "..."), strict=True))


def frame(rows: Iterable[dict]) -> pd.DataFrame:
    """Records as a table, with the name of each one's run in the column `setting`."""
    table = pd.DataFrame(rows)
    runs = zip(table["method"], table["parameters"], strict=True)
    return table.assign(setting=[run_name(method, parameters) for method, parameters in runs])


def by_run(table: pd.DataFrame) -> pd.DataFrame:
    """One row per benchmark and run: n, accuracy in % with its Wilson interval, mean tokens.

    A rejected problem counts in n, as wrong, and in `rejected, %`. It has no trace, so that mean
    thinking and answer tokens and `unread, %` are of the other records. Thinking tokens of
    rejection sampling are those of the accepted trace, and a column of their own has the mean over
    all problems of what all tries took.

    For samples at a temperature n counts samples. Those of one problem are not independent, so
    that their interval is too narrow, and notebook 05 has the right one.
    """
    traced = table["finish"] != "rejected"
    table = table.assign(
        thinking_tokens=table["thinking_tokens"].where(traced),
        answer_tokens=table["answer_tokens"].where(traced),
        rejected=~traced,
        unread=table["extracted"].isna().astype(float).where(traced),
    )
    grouped = table.groupby(["benchmark", "role", *RUN], sort=False)
    rows = grouped.agg(
        n=("correct", "size"),
        right=("correct", "sum"),
        thinking_tokens=("thinking_tokens", "mean"),
        answer_tokens=("answer_tokens", "mean"),
        decoded_tokens=("decoded_tokens", "sum"),
        rejected=("rejected", "mean"),
        unread=("unread", "mean"),
    )

    # only records of rejection sampling say what all tries took
    if TRIES in table:
        rows.insert(3, TRIES, grouped[TRIES].mean())
    rows = rows.reset_index()
    rows[["rejected", "unread"]] *= 100
    rows["accuracy"] = 100 * rows["right"] / rows["n"]
    rows["low"], rows["high"] = (100 * limit for limit in wilson(rows["right"], rows["n"]))
    names = {"rejected": "rejected, %", "unread": "unread, %"}
    names["decoded_tokens"] = "decoded_tokens (sum)"
    return rows.drop(columns="right").rename(columns=names)


def draw_accuracy(rows: pd.DataFrame, ax: Axes, *, runs: Iterable[tuple[str, str]]) -> Axes:
    """Accuracy of each (model, setting) on one benchmark, top to bottom. The best is dashed.

    runs: without thinking or of budget forcing, whose settings have names of their own.
    """
    named = rows[rows["method"].isin(["direct", "budget_forcing"])].set_index(["model", "setting"])
    chosen = named.reindex(list(runs)).dropna(subset="accuracy")
    if chosen.empty:
        return not_available(ax, "not run in this profile")
    style = role_style(rows["role"].iloc[0])
    places = range(len(chosen))

    # every run is a point with its interval, and the best one a line to measure the others by
    errors = [chosen["accuracy"] - chosen["low"], chosen["high"] - chosen["accuracy"]]
    look = {"fmt": style["marker"], "color": style["color"], "capsize": 3}
    ax.errorbar(chosen["accuracy"], places, xerr=errors, **look)
    ax.axvline(chosen["accuracy"].max(), color=GREY, linestyle="--", linewidth=1)

    ax.set_yticks(places, [f"{model}, {setting}" for model, setting in chosen.index])
    ax.invert_yaxis()
    ax.set_xlim(-3, 103)
    ax.set_xlabel("accuracy (%)")
    ax.set_title(panel_title(rows["benchmark"].iloc[0], rows["role"].iloc[0]))
    return ax


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """How thinking ended, in % of each run's records: a column for each of ENDS."""
    counts = table.groupby([*RUN, "finish"], sort=False).size().unstack("finish", fill_value=0)
    counts = counts.reindex(columns=ENDS, fill_value=0)
    shares = 100 * counts.div(counts.sum(axis=1), axis=0)
    return shares.reset_index().rename_axis(columns=None)


def draw_ends(shares: pd.DataFrame, ax: Axes) -> Axes:
    """Stacked bars of `ends`, one per run of one model."""
    if shares.empty:
        return not_available(ax, "not run in this profile")
    shown = shares.set_index("setting")[[end for end in ENDS if shares[end].any()]]
    shown.plot.barh(stacked=True, ax=ax, width=0.8, color=END_COLORS)
    for bars, end in zip(ax.containers, shown, strict=True):  # to be told apart in print
        for bar in bars:
            bar.set(hatch=END_HATCHES[end], edgecolor="white")
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    ax.set_xlabel("records (%)")
    ax.set_ylabel("")
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
    ax.legend(title="thinking ended", ncols=len(ENDS), **above)
    return ax
