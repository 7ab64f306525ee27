"""What makes a run: one model, one method, one setting, whatever the order of the records."""

from __future__ import annotations

import json

import pandas as pd

from s1lib.evaluation.run_names import run_name

NUMBERS = ["max_thinking", "waits", "temperature", "cap", "steps", "width"]
TOKENS_PER_STEP = 100  # how the paper turns a limit of steps into one of tokens (Table 3)


def number_runs(samples: pd.DataFrame) -> pd.DataFrame:
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
