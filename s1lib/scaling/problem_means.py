"""From samples to one row per benchmark, run, replica and problem."""

from __future__ import annotations

import numpy as np
import pandas as pd

from s1lib.scaling.pairing import REPLICA

SPENT = ["thinking_tokens", "answer_tokens", "decoded_tokens", "steps_used"]
TRIES = "spent_thinking_tokens"  # of all tries of rejection sampling, absent in other records
COUNTED = [*SPENT, TRIES, "prompt_tokens", "total_tokens", "sampled_tokens"]
MEANS = ["correct", *COUNTED, "accepted", "within", "forced", "natural"]


def problem_means(samples: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Means over the samples of each problem in each run and replica, with their number.

    within: the share whose thinking kept the run's limit, a limit of steps counted in steps.
    accepted: the share that was not rejected.
    forced, natural: the shares whose thinking was cut, and ended by itself.
    total_tokens: thinking and answer.
    sampled_tokens: those of them that the model wrote itself, without an appended "Wait".
    """
    finish = samples["finish"]
    total = samples["thinking_tokens"] + samples["answer_tokens"]
    table = samples.assign(
        total_tokens=total,
        sampled_tokens=total - samples["forced_tokens"],
        accepted=finish != "rejected",
        within=_within_limit(samples, runs).where(finish != "rejected", 0),
        forced=finish == "forced",
        natural=finish == "natural",
    )
    table[MEANS] = table[MEANS].astype("float64")
    grouped = table.groupby(["benchmark", "run", *REPLICA, "problem_id"], observed=True)[MEANS]
    means = grouped.mean().assign(samples=grouped.size())
    return means.reset_index().astype({"benchmark": str})


def _within_limit(samples: pd.DataFrame, runs: pd.DataFrame) -> pd.Series:
    """1 for a sample within its run's limit, 0 beyond it, missing where nothing was counted."""
    asked = runs.loc[samples["run"], ["limit", "steps"]].set_axis(samples.index)
    in_steps = asked["steps"].notna()
    used = samples["thinking_tokens"].mask(in_steps, samples["steps_used"]).astype("float64")
    limit = asked["limit"].mask(in_steps, asked["steps"]).fillna(np.inf)
    return (used <= limit).astype("float64").where(used.notna())
