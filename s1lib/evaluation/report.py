"""Tables and figures of notebook 04: accuracy with intervals, how thinking ended, what could not be read."""

from __future__ import annotations

import html
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes

from s1lib.drawing.intervals import wilson
from s1lib.drawing.plots import GREEN, GREY, ORANGE, RED, role_style
from s1lib.grading import official_choice

RUN = ["model", "method", "setting"]
NATURAL = "natural stop"
ENDS = ("natural", "forced", "context", "rejected")


def frame(rows: Iterable[dict]) -> pd.DataFrame:
    """Records as a table, with the run's `setting` in words ("natural stop", "limit 64", "2 × Wait", "cap 80")."""
    table = pd.DataFrame(rows)
    table["setting"] = [setting(method, parameters) for method, parameters in zip(table["method"], table["parameters"], strict=True)]
    return table


def setting(method: str, parameters: dict) -> str:
    """A run's parameters in words."""
    if method.endswith("_forced"):
        return f"{setting(method.removesuffix('_forced'), parameters)}, forced"
    if method == "rejection":
        return f"cap {parameters['cap']}"
    if method == "majority":
        return f"temperature {parameters['temperature']:g}"
    if method == "direct":
        return "no thinking"
    if method == "tree_search":
        return f"width {parameters['width']}"
    if "length" in parameters:
        return f"asked for {'nothing' if parameters['length'] == 'none' else parameters['length']}"
    if "steps" in parameters:
        return f"{parameters['steps']} steps"
    limit = NATURAL if parameters["max_thinking"] is None else f"limit {parameters['max_thinking']}"
    return f"{parameters['waits']} × {parameters['wait'] or 'nothing'}" if parameters.get("waits") else limit


def accuracy(table: pd.DataFrame) -> pd.DataFrame:
    """One row per benchmark and run, in the order of the records: n, accuracy % with its Wilson interval, mean tokens.

    For samples at a temperature n counts samples, which are not independent within a problem: their interval is too narrow,
    and they are left to notebook 05.
    """
    grouped = table.groupby(["benchmark", "role", *RUN], sort=False)
    rows = grouped.agg(
        n=("correct", "size"),
        right=("correct", "sum"),
        thinking_tokens=("thinking_tokens", "mean"),
        answer_tokens=("answer_tokens", "mean"),
        decoded_tokens=("decoded_tokens", "sum"),
        unread=("extracted", lambda found: 100 * found.isna().mean()),
    ).reset_index()
    rows["accuracy"] = 100 * rows["right"] / rows["n"]
    rows["low"], rows["high"] = (100 * limit for limit in wilson(rows["right"], rows["n"]))
    return rows.drop(columns="right")


def main_table(rows: pd.DataFrame, *, runs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """The paper's Table 1 for this run: (model, setting) x benchmarks, accuracy with its interval and mean thinking tokens."""
    table = pd.DataFrame([{"model": model, "setting": setting} for model, setting in runs])
    for benchmark, some in rows.groupby("benchmark", sort=False):
        texts = [f"{row.accuracy:.1f} [{row.low:.1f}, {row.high:.1f}] · {row.thinking_tokens:.0f}" for row in some.itertuples()]
        cells = dict(zip(zip(some["model"], some["setting"], strict=True), texts, strict=True))
        table[f"{benchmark} ({some['role'].iloc[0]})"] = [cells.get(run) for run in zip(table["model"], table["setting"], strict=True)]
    return table


def headline(rows: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Table 1's three rows beside this run, per benchmark: the base model at its best, s1 without forcing, s1 at its best with it."""
    here = {
        "Qwen2.5-32B-Instruct": rows[rows["model"] == "base"],
        "s1 without BF": rows[(rows["model"] == "s1") & (rows["setting"] == NATURAL)],
        "s1-32B": rows[(rows["model"] == "s1") & ((rows["setting"] == NATURAL) | rows["setting"].str.endswith("× Wait"))],
    }
    paper = published.set_index(["model", "benchmark"])["accuracy"]
    table = []
    for name, some in here.items():
        for place in some.groupby("benchmark", sort=False)["accuracy"].idxmax():
            best = some.loc[place]
            own = {"this run": best["accuracy"], "low": best["low"], "high": best["high"], "as": f"{best['model']}, {best['setting']}"}
            row = {"paper's row": name, "role": best["role"], "paper": paper.get((name, best["role"])), "benchmark": best["benchmark"]}
            table.append({**row, **own})
    return pd.DataFrame(table)


def draw_accuracy(rows: pd.DataFrame, ax: Axes, *, runs: Iterable[tuple[str, str]]) -> Axes:
    """One benchmark: accuracy of each (model, setting) with its interval, top to bottom; the strongest one is dashed."""
    chosen = rows.set_index(["model", "setting"]).reindex(list(runs)).dropna(subset="accuracy").reset_index()
    style = role_style(rows["role"].iloc[0])
    places = range(len(chosen))
    errors = [chosen["accuracy"] - chosen["low"], chosen["high"] - chosen["accuracy"]]
    ax.errorbar(chosen["accuracy"], places, xerr=errors, fmt=style["marker"], color=style["color"], capsize=3)
    ax.axvline(chosen["accuracy"].max(), color=GREY, linestyle="--", linewidth=1)
    ax.set_yticks(places, [f"{row.model}, {row.setting}" for row in chosen.itertuples()])
    ax.invert_yaxis()
    ax.set_xlim(-3, 103)
    ax.set_xlabel("accuracy in %")
    ax.set_title(f"{rows['benchmark'].iloc[0]} ({rows['role'].iloc[0]})")
    return ax


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """How thinking ended, in % of the records of each run: by itself, at the cap, at the end of the context, rejected."""
    counts = table.groupby([*RUN, "finish"], sort=False).size().unstack("finish", fill_value=0).reindex(columns=list(ENDS), fill_value=0)
    return (100 * counts.div(counts.sum(axis=1), axis=0)).reset_index().rename_axis(columns=None)


def draw_ends(shares: pd.DataFrame, ax: Axes) -> Axes:
    """Stacked bars of `ends`, one per run of one model."""
    shown = shares.set_index("setting")[list(ENDS)]
    shown.plot.barh(stacked=True, ax=ax, width=0.8, color=[GREEN, ORANGE, RED, GREY])
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    ax.set_xlabel("% of records")
    ax.set_ylabel("")
    ax.legend(title="thinking ended", loc="upper center", bbox_to_anchor=(0.5, 1.22), ncols=len(ENDS))
    return ax


# ---- the audit: answers that could not be read -------------------------------------------------------------------------


def unread(table: pd.DataFrame) -> pd.DataFrame:
    """Records without an answer that could be read, per model, method and benchmark: count and share in %; rejected ones left out."""
    graded = table[table["finish"] != "rejected"]
    grouped = graded.groupby(["model", "method", "benchmark"], sort=False)["extracted"]
    counts = grouped.agg(records="size", unread=lambda found: int(found.isna().sum())).reset_index()
    return counts.assign(**{"unread, %": 100 * counts["unread"] / counts["records"]})


def unread_examples(table: pd.DataFrame, *, per_reason: int = 3, tail: int = 160) -> pd.DataFrame:
    """Examples of unread answers, the first `per_reason` of every way in which thinking ended; the last `tail` characters of each text."""
    lost = table[table["extracted"].isna() & (table["finish"] != "rejected")]
    some = lost.groupby(["finish", "kind"], sort=True).head(per_reason).sort_values(["finish", "kind"], kind="stable")
    shown = some[["finish", "benchmark", "problem_id", *RUN, "gold"]].copy()
    shown["end of thinking"] = some["thinking"].str[-tail:]
    shown["answer"] = some["answer"].str[-tail:]
    return shown.reset_index(drop=True)


def choice_readings(table: pd.DataFrame) -> pd.DataFrame:
    """Choices under both readings, per run: accuracy in % when no letter is wrong (ours) and when it counts as A (the official one)."""
    choices = table[(table["kind"] == "choice") & (table["finish"] != "rejected")]
    official = [
        official_choice(found if isinstance(found, str) else None, gold)
        for found, gold in zip(choices["extracted"], choices["gold"], strict=True)
    ]
    choices = choices.assign(official=official, no_letter=choices["extracted"].isna())
    grouped = choices.groupby(["benchmark", *RUN], sort=False)[["correct", "official", "no_letter"]]
    rows = 100 * grouped.mean()
    rows.insert(0, "n", grouped.size())
    rows = rows.rename(columns={"correct": "ours", "no_letter": "no letter, %"}).reset_index()
    return rows.assign(difference=rows["official"] - rows["ours"])


def disputed(table: pd.DataFrame) -> pd.DataFrame:
    """Answers that a person may want to look at: right although written unlike the gold answer, wrong although it stands in them.

    One row per answer, gold answer and verdict, with how often it was given.
    """
    read = table.dropna(subset="extracted")
    found, gold = (read[name].astype(str).str.replace(r"[\s$]", "", regex=True) for name in ("extracted", "gold"))
    inside = pd.Series([b in a for a, b in zip(found, gold, strict=True)], index=read.index)
    odd = read[(read["correct"] & (found != gold)) | (~read["correct"].astype(bool) & inside)]
    grouped = odd.groupby(["benchmark", "extracted", "gold", "correct"], sort=False).size()
    return grouped.rename("records").reset_index()


def page(examples: pd.DataFrame, *, title: str) -> str:
    """Examples as a page of their own; every text is escaped, since a model wrote it."""
    title, style = html.escape(title), "body{font:15px sans-serif} td,th{text-align:left;vertical-align:top;white-space:pre-wrap}"
    body = examples.to_html(index=False, escape=True, border=0) if len(examples) else "<p>Every answer could be read.</p>"
    return f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{style}</style><h1>{title}</h1>{body}\n"
