"""Tables and figures of notebook 02: the trainings, and the curves of figure 9."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn
from datasets import Dataset
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from s1lib.keeping.files import read_jsonl

CURVES = {"loss": "training loss", "grad_norm": "gradient norm", "learning_rate": "learning rate"}


def trainings(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per model, limit in tokens and final loss as the mean of the last tenth."""
    rows = [{**record, "limit": record["settings"]["max_length"]} for record in records]
    columns = ["name", "examples", "limit", "cut", "steps", "tokens", "minutes", "final_loss"]
    shown = {"name": "model", "final_loss": "final loss"}
    return pd.DataFrame(rows, columns=columns).rename(columns=shown)


def lengths(data: Mapping[str, Dataset], *, limits: Mapping[str, int]) -> pd.DataFrame:
    """Per set: examples, mean and longest tokens (prompt included), and the limit of the set."""
    rows = []
    for name, examples in data.items():
        tokens = pd.Series(list(examples["length"]))
        size = {"mean tokens": tokens.mean(), "longest": tokens.max(), "limit": limits[name]}
        rows.append({"set": name, "examples": len(tokens), **size})
    return pd.DataFrame(rows)


def training_logs(models: Mapping[str, Path | str]) -> pd.DataFrame:
    """log.jsonl of every model directory, one row per step, the model's name in column `model`."""
    logs = {name: read_jsonl(Path(path) / "log.jsonl") for name, path in models.items()}
    tables = [pd.DataFrame(rows).assign(model=name) for name, rows in logs.items()]
    return pd.concat(tables, ignore_index=True)


def training_curve(data: pd.DataFrame, ax: Axes, *, column: str = "loss", window: int = 1) -> Axes:
    """One panel of figure 9: `column` against training steps, a line per model.

    Each point is the mean of the last `window` steps. Loss and gradient norm are on a log axis.
    """
    groups = data.groupby("model")[column]
    means = groups.transform(lambda values: values.rolling(window, min_periods=1).mean())
    smooth = data.assign(value=means)
    seaborn.lineplot(smooth, x="step", y="value", hue="model", style="model", ax=ax)
    ax.set(xlabel="training step", ylabel=CURVES[column])
    if column != "learning_rate":
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.legend(title=None)
    return ax


def beside_the_paper(record: Mapping[str, Any], published: Mapping[str, float]) -> pd.DataFrame:
    """The paper's training of s1-32B beside one of this run, values as text.

    The paper's numbers are those of appendix D, and `published` those of figure9.csv.
    """
    rows = {
        "examples": (1000, record["examples"]),
        "training steps": (published["last training step"], record["steps"]),
        "epochs": (5, record["epochs"]),
        "sequences per step": (16, record["settings"]["batch_size"]),
        "learning rate": (1e-5, record["settings"]["learning_rate"]),
        "mean training loss": (published["mean training loss"], record["loss"]),
        "minutes": (26, record["minutes"]),
    }
    texts = [(name, f"{paper:.4g}", f"{here:.4g}") for name, (paper, here) in rows.items()]
    return pd.DataFrame(texts, columns=["", "paper: s1-32B", "this run"])
