"""Tables and figures of notebook 02: the trainings, and the curves of figure 9."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from s1lib.drawing.plots import BLUE, GREEN, ORANGE, not_available
from s1lib.keeping.files import read_jsonl
from s1lib.published.paper_numbers import load

CURVES = {"loss": "training loss", "grad_norm": "gradient norm", "learning_rate": "learning rate"}
# Lines that a reader tells apart in print: s1, the longest training, and the cut traces of Table 8.
STYLES = {
    "s1": {"color": BLUE, "linewidth": 2.4, "zorder": 3, "label": "s1"},
    "full": {"color": ORANGE, "linestyle": "--", "linewidth": 1.4, "label": "full"},
    "cut": {"color": GREEN, "linestyle": "-.", "linewidth": 1.4, "label": "cut"},
}
OTHER = {"color": "0.72", "linewidth": 1, "zorder": 1, "label": "other sets"}


def trainings(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per training of a model, with its seeds and the model's limit in tokens.

    base_seed and sft_seed are 0 for the first training, as in `s1lib.profile.Replica`. The epochs
    seen may be fewer than asked for, where `max_steps` ends a training. The final loss is the mean
    of the last tenth of the steps.
    """
    rows = [{**record, "limit": record["settings"]["max_length"]} for record in records]
    columns = ["name", "base_seed", "sft_seed", "examples", "limit", "cut", "steps", "epochs"]
    columns += ["tokens", "minutes", "final_loss"]
    shown = {"name": "model", "epochs": "epochs seen", "final_loss": "final loss"}
    return pd.DataFrame(rows, columns=columns).rename(columns=shown)


def lengths(data: Mapping[str, Dataset], *, limits: Mapping[str, int]) -> pd.DataFrame:
    """Per set: examples, mean and longest tokens (prompt included), and the limit of the set."""
    rows = []
    for name, examples in data.items():
        tokens = pd.Series(list(examples["length"]))
        size = {"mean tokens": tokens.mean(), "longest": tokens.max(), "limit": limits[name]}
        rows.append({"set": name, "examples": len(tokens), **size})
    return pd.DataFrame(rows, columns=["set", "examples", "mean tokens", "longest", "limit"])


def training_logs(models: Mapping[str, Path | str]) -> pd.DataFrame:
    """log.jsonl of every model directory, one row per step, the model's name in column `model`."""
    logs = {name: read_jsonl(Path(path) / "log.jsonl") for name, path in models.items()}
    none = pd.DataFrame(columns=["step", *CURVES, "model"])
    tables = [pd.DataFrame(rows).assign(model=name) for name, rows in logs.items()]
    return pd.concat(tables, ignore_index=True) if tables else none


def training_curve(data: pd.DataFrame, ax: Axes, *, column: str = "loss", window: int = 1) -> Axes:
    """One panel of figure 9: `column` against training steps, a line per model.

    Each point is the mean of the last `window` steps. Loss and gradient norm are on a log axis. The
    sets that are not in STYLES are thin grey lines. Thin vertical lines are the ends of s1's epochs
    but the last. The paper prints no values of its curves. The dotted line is the mean loss of a
    logged official run, which losses on Qwen's tokens alone can be compared with.
    """
    if data.empty:
        return not_available(ax, "nothing is trained in this profile")
    for model, rows in data.groupby("model", sort=False):
        values = rows[column].rolling(window, min_periods=1).mean()
        ax.plot(rows["step"], values, **STYLES.get(model, OTHER))
        for step in _ends_of_epochs(rows) if model == "s1" else ():
            ax.axvline(step, color=BLUE, linewidth=0.6, alpha=0.5, zorder=0)
    ax.set(xlabel="training step", ylabel=CURVES[column])
    if column != "learning_rate":
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())

    # the loss falls, and leaves the upper right to the legend of all panels
    if column == "loss":
        mean = load("figure9").set_index("quantity")["value"]["mean training loss"]
        ax.axhline(mean, color="black", linestyle=":", label=f"paper: mean {mean:g}")
        handles, labels = ax.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        ax.legend(once.values(), once.keys(), loc="upper right", fontsize="small")
    return ax


def _ends_of_epochs(rows: pd.DataFrame) -> list[int]:
    """The last step of every epoch but the last one, of one model's log."""
    if "epoch" not in rows:
        return []
    number = rows["epoch"].round(6).apply(math.ceil)
    return rows.groupby(number)["step"].max().tolist()[:-1]


def beside_the_paper(
    record: Mapping[str, Any] | None, published: Mapping[str, float]
) -> pd.DataFrame:
    """The paper's training of s1-32B beside one of this run, values as text.

    The paper's numbers are those of appendix D, and `published` those of figure9.csv. A record of
    None is for a model that was not trained here.
    """
    recipe = load("appendix_d").set_index("setting")["value"]
    paper = {
        "examples": 1000,
        "training steps": published["last training step"],
        "epochs": recipe["epochs"],
        "sequences per step": recipe["batch_size"],
        "learning rate": recipe["learning_rate"],
        "mean training loss (comparable on Qwen's tokens only)": published["mean training loss"],
        "minutes": 26,
    }
    here = dict.fromkeys(paper, "not trained here")
    if record:
        settings = record["settings"]
        trained = [record["examples"], record["steps"], record["epochs"], settings["batch_size"]]
        trained += [settings["learning_rate"], record["loss"], record["minutes"]]
        here = {name: f"{value:.4g}" for name, value in zip(paper, trained, strict=True)}
    rows = [(name, f"{value:.4g}", here[name]) for name, value in paper.items()]
    return pd.DataFrame(rows, columns=["", "paper: s1-32B", "this run"])
