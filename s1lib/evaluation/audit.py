"""The audit of the reader of answers: what it could not read, and what it read oddly."""

from __future__ import annotations

import html

import pandas as pd

from s1lib.evaluation.accuracy import RUN
from s1lib.grading import official_choice

TAIL = 160  # characters that examples show of the end of a text
STYLE = "body{font:15px sans-serif} td,th{text-align:left;vertical-align:top;white-space:pre-wrap}"


def unread(table: pd.DataFrame) -> pd.DataFrame:
    """How many answers could not be read, per model, method and benchmark: number and share in %.

    A rejected sample has no answer to read and is left out.
    """
    graded = table[table["finish"] != "rejected"]
    graded = graded.assign(unread=graded["extracted"].isna())
    grouped = graded.groupby(["model", "method", "benchmark"], sort=False)["unread"]
    counts = grouped.agg(records="size", unread="sum").reset_index()
    return counts.assign(**{"unread, %": 100 * counts["unread"] / counts["records"]})


def unread_examples(table: pd.DataFrame, *, per_reason: int = 3) -> pd.DataFrame:
    """The first `per_reason` unread answers of each model and way in which its thinking ended."""
    lost = table[table["extracted"].isna() & (table["finish"] != "rejected")]
    some = lost.groupby(["model", "finish", "kind"]).head(per_reason)
    some = some.sort_values(["finish", "kind"], kind="stable")
    shown = some[["finish", "benchmark", "problem_id", *RUN, "gold"]].copy()
    shown["end of thinking"] = some["thinking"].str[-TAIL:]
    shown["answer"] = some["answer"].str[-TAIL:]
    return shown.reset_index(drop=True)


def choice_readings(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in % of choices when no letter is wrong (ours), and when it is an A (official)."""
    choices = table[(table["kind"] == "choice") & (table["finish"] != "rejected")]
    answers = zip(choices["extracted"], choices["gold"], strict=True)
    official = [official_choice(_or_none(found), gold) for found, gold in answers]
    choices = choices.assign(official=official, no_letter=choices["extracted"].isna())

    grouped = choices.groupby(["benchmark", *RUN], sort=False)
    rows = 100 * grouped[["correct", "official", "no_letter"]].mean()
    rows.insert(0, "n", grouped.size())
    rows = rows.rename(columns={"correct": "ours", "no_letter": "no letter, %"}).reset_index()
    return rows.assign(difference=rows["official"] - rows["ours"])


def _or_none(found: object) -> str | None:
    return found if isinstance(found, str) else None


def disputed(table: pd.DataFrame) -> pd.DataFrame:
    """Answers that are right though unlike the gold one, or wrong though it stands in them.

    One row per answer, gold answer and verdict, with how often it was given.
    """
    read = table.dropna(subset="extracted")
    names = ("extracted", "gold")
    found, gold = (read[name].astype(str).str.replace(r"[\s$]", "", regex=True) for name in names)
    inside = pd.Series([b in a for a, b in zip(found, gold, strict=True)], index=read.index)
    odd = read[(read["correct"] & (found != gold)) | (~read["correct"].astype(bool) & inside)]
    grouped = odd.groupby(["benchmark", "extracted", "gold", "correct"], sort=False).size()
    return grouped.rename("records").reset_index()


def rules(table: pd.DataFrame) -> pd.DataFrame:
    """How often each rule of the reader found the answer, in % of what was read, and was right.

    Empty for records that do not say how they were read (`read_by`).
    """
    read = table.reindex(columns=["read_by", "correct"]).dropna(subset="read_by")
    right = read["correct"].astype(float).groupby(read["read_by"])
    counts = right.agg(records="size", right="mean").rename_axis("rule").reset_index()
    counts = counts.sort_values("records", ascending=False, kind="stable", ignore_index=True)
    share, accuracy = 100 * counts["records"] / len(read), 100 * counts["right"]
    return counts[["rule", "records"]].assign(**{"records, %": share, "right, %": accuracy})


def rule_examples(table: pd.DataFrame) -> pd.DataFrame:
    """The first three answers that each rule read."""
    columns = ["read_by", "benchmark", "problem_id", *RUN, "answer", "extracted", "gold", "correct"]
    read = table.reindex(columns=columns).dropna(subset="read_by")
    some = read.groupby("read_by").head(3).sort_values("read_by", kind="stable")
    shown = some.assign(answer=some["answer"].str[-TAIL:]).rename(columns={"read_by": "rule"})
    return shown.reset_index(drop=True)


def page(examples: pd.DataFrame, *, title: str, empty: str = "There is none.") -> str:
    """Examples as an HTML page. Every text is escaped, since a model wrote it."""
    title = html.escape(title)
    head = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
    body = f"<p>{html.escape(empty)}</p>"
    if len(examples):
        as_written = [str] * examples.shape[1]  # without it pandas spells a newline as two signs
        body = examples.to_html(index=False, escape=True, border=0, formatters=as_written)
    return f"{head}<h1>{title}</h1>{body}\n"
