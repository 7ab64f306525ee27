"""What notebook 02 shows: one table of trainings, the curves of figure 9."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn
from matplotlib.axes import Axes

from s1lib.artifacts import read_jsonl

CURVES = {"loss": "training loss", "grad_norm": "gradient norm", "learning_rate": "learning rate"}


def trainings(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per model: model, examples, steps, tokens, minutes, final loss (mean of the last tenth of the steps)."""
    columns = {
        "name": "model",
        "examples": "examples",
        "steps": "steps",
        "tokens": "tokens",
        "minutes": "minutes",
        "final_loss": "final loss",
    }
    return pd.DataFrame([{shown: record[key] for key, shown in columns.items()} for record in records])


def training_logs(models: Mapping[str, Path | str]) -> pd.DataFrame:
    """log.jsonl of every model directory, one row per step, with the model's name in column `model`."""
    return pd.concat(
        [pd.DataFrame(read_jsonl(Path(path) / "log.jsonl")).assign(model=name) for name, path in models.items()], ignore_index=True
    )


def training_curve(data: pd.DataFrame, ax: Axes, *, column: str = "loss", window: int = 10) -> Axes:
    """One panel of figure 9: `column` against training steps, a line per model, as the mean of `window` steps."""
    smooth = data.assign(value=data.groupby("model")[column].transform(lambda values: values.rolling(window, min_periods=1).mean()))
    seaborn.lineplot(smooth, x="step", y="value", hue="model", style="model", ax=ax)
    ax.set(xlabel="training step", ylabel=CURVES[column])
    ax.legend(title=None)
    return ax
