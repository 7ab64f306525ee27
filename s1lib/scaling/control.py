"""How well length control works: the paper's tables 12 to 14 in one shape, this run's rows first, then the published ones.

Accuracies in %, tokens and steps per problem. `method` is TCC, SCC or CCC, "+BF" where budget forcing holds the limit.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from s1lib.published.paper_numbers import load
from s1lib.scaling import effects, points
from s1lib.scaling.effects import Bench
from s1lib.scaling.points import PAPER, THIS
from s1lib.scaling.records import Records

NAMES = {
    "token_conditional": "TCC",
    "token_conditional_forced": "TCC+BF",
    "step_conditional": "SCC",
    "step_conditional_forced": "SCC+BF",
    "class_conditional": "CCC",
}
SPENT = ["thinking_tokens", "answer_tokens", "accuracy", "low", "high", "n"]


def token_table(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Table 12: limit in tokens stated in the prompt, what was used, accuracy."""
    paper = load("table12").assign(benchmark="AIME24")
    return _beside(_ours(records, "token_conditional", alpha), paper, ["limit"])


def step_table(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Table 13: limit in steps, steps used, tokens per step (the countdown not counted), accuracy."""
    ours = _ours(records, "step_conditional", alpha).drop(columns="limit").rename(columns={"steps": "limit", "steps_used": "steps"})
    ours["tokens_per_step"] = ours["thinking_tokens"] / ours["steps"].where(ours["steps"] > 0)
    paper = load("table13").assign(benchmark="AIME24").rename(columns={"limit_steps": "limit"})
    return _beside(ours, paper, ["limit", "steps", "tokens_per_step"])


def class_table(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Table 14: asked to think for a short time, a long time, or for neither."""
    ours = _ours(records, "class_conditional", alpha).rename(columns={"length": "class"})
    return _beside(ours, load("table14").assign(method="CCC"), ["class"])


def _ours(records: Records, method: str, alpha: float) -> pd.DataFrame:
    about = records.runs[["steps", "length"]]
    table = points.run_points(records, alpha=alpha).join(about, on="run")
    found = table[table["method"].isin([method, f"{method}_forced"])]
    steps = records.problems.groupby(["benchmark", "run"], observed=True)["steps_used"].mean().rename("steps_used")
    return found.join(steps, on=["benchmark", "run"]).assign(method=found["method"].map(NAMES))


def _beside(ours: pd.DataFrame, paper: pd.DataFrame, asked: list[str]) -> pd.DataFrame:
    columns = ["source", "benchmark", "method", *asked, *SPENT]
    ours = ours.assign(source=THIS).sort_values(["method", asked[0]], kind="stable")
    ours = ours.sort_values("benchmark", key=lambda names: names.map({name: at for at, name in enumerate(names.unique())}), kind="stable")
    return pd.concat([ours.reindex(columns=columns), paper.assign(source=PAPER).reindex(columns=columns)], ignore_index=True)


def class_control(bench: Bench) -> float:
    """Control of class-conditional control in % (table 3): does "short" think less than the default, and "long" more?"""
    runs = {
        length: bench.having(bench.records.find(model=None, method="class_conditional", length=length))
        for length in ("short", "none", "long")
    }
    if not all(runs.values()):
        raise effects.Missing("no runs that ask for short, long and neither")
    short, default, long = (bench.frame(found[:1], "thinking_tokens").to_numpy().mean() for found in runs.values())
    return 100 * float(np.mean([short < default, long > default]))


def curves(records: Records, *, alpha: float = 0.05) -> pd.DataFrame:
    """Accuracy against average thinking tokens for budget forcing and every conditional method, one `series` each."""
    table = points.run_points(records, alpha=alpha)
    forcing = table[table["run"].isin([*records.budgets(), *records.waits()])].assign(series="budget forcing")
    rest = table[table["method"].isin(NAMES)]
    rest = rest.assign(series=rest["method"].map(NAMES))
    columns = ["benchmark", "role", "series", "label", "thinking_tokens", "accuracy", "low", "high", "n"]
    return pd.concat([forcing, rest])[columns].reset_index(drop=True)
