"""The training data: Tables 2, 6 and 8."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from s1lib.profile import CUT, Profile, is_sized
from s1lib.published.paper_numbers import load
from s1lib.scaling import effects, points, published_effects
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.published_effects import published
from s1lib.scaling.records import MAIN, Records
from s1lib.scaling.table_cells import EFFECT, benches, effect_cells, seed_columns, stacked

SETS = ("random", "diverse", "longest", "full")
TRAININGS = ["model", "examples", "limit", "cut", "steps", "minutes"]
PUBLISHED = ["paper", "paper_difference", "paper_low", "paper_high"]


def load_trainings(profile: Profile) -> pd.DataFrame:
    """Notebook 02's trainings: model, examples, limit (tokens), cut (examples), steps, minutes.

    No rows when it left none.
    """
    path = profile.outputs / "02_sft" / "trainings.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=TRAININGS)


def ablations_table(
    records: Records, *, resamples: int = 10_000, alpha: float = 0.05
) -> pd.DataFrame:
    """Table 2: each training set at its natural stop, and its difference *to s1*, paired.

    The published row of cut traces is that of Table 8. Sets of further sizes are left to Figure 2.
    Where there are several seeds, each has a column with its own difference.
    """
    models = [MAIN, *dict.fromkeys([*SETS, *trained_sets(records)])]
    accuracies = points.run_points(records).set_index(["benchmark", "run"])["accuracy"]
    rows = []
    for bench, role in benches(records, resamples):
        for model in models:
            row = {"set": model, "benchmark": bench.name}
            try:
                row["accuracy"] = accuracies[bench.name, bench.natural(model)]
                row |= _against_s1(bench, model, alpha)
            except Missing as reason:
                row["note"] = str(reason)

            rows.append(row | _published_set(model, role))
    seeds = seed_columns(pd.DataFrame(rows))
    columns = ["set", "benchmark", "accuracy", *EFFECT, *seeds, *PUBLISHED, "note"]
    return pd.DataFrame(rows, columns=columns)


def trained_sets(records: Records) -> list[str]:
    """The sets other than s1 that a model was trained on, those of Table 2 first, without sizes."""
    forced = records.runs["model"][records.runs["method"] == "budget_forcing"]
    names = set(forced) - {MAIN, "base"}
    order = [*SETS, *sorted(names)]
    return sorted((name for name in names if not is_sized(name)), key=order.index)


def lifts_by_domain(
    records: Records, domains: Mapping[tuple[str, str], str], *, waits: int = 2
) -> pd.DataFrame:
    """Where fine-tuning lifts the base: accuracies by domain over all benchmarks, in %.

    domains: of a problem, by benchmark and problem id. The base is the best of its runs on each
    benchmark, as in the claim. No rows where no domain is known.
    """
    columns = ["base", MAIN, f"{MAIN}, {waits} Waits"]
    parts = [pd.DataFrame(columns=[*columns, "domain"])]
    for bench, _ in benches(records, resamples=1):
        try:
            runs = [effects.best_base(bench), bench.natural(), bench.waits("Wait", waits)]
            table = 100 * bench.frame(runs)
        except Missing:
            continue
        named = [domains.get((bench.name, problem)) for problem in table.index]
        parts.append(table.set_axis(columns, axis=1).assign(domain=named).dropna())
    grouped = pd.concat(parts[1:] or parts).groupby("domain")
    means = grouped.mean()
    means.insert(0, "problems", grouped.size())
    means["lift"] = means[MAIN] - means["base"]
    return means.sort_values("lift", ascending=False).reset_index()


def _published_set(model: str, role: str) -> dict:
    """The paper's accuracy of a set, its difference to s1, and the interval of that difference."""
    if model == CUT:  # of Table 8, which has no intervals
        cut = published("table8", benchmark=role, sequence_length=4096)
        return {"paper": cut, "paper_difference": -published_effects.lengths(role)}
    accuracy, low, high = (
        published("table2", cell, benchmark=role, set=model) for cell in ("accuracy", "low", "high")
    )
    gain = accuracy - published("table2", benchmark=role, set=MAIN)
    gain = np.nan if model == MAIN else gain
    return dict(zip(PUBLISHED, (accuracy, gain, low, high), strict=True))


def _against_s1(bench: Bench, model: str, alpha: float) -> dict:
    natural = bench.natural(model)
    cells = effect_cells(alpha, effects.difference, bench, bench.natural(), natural)
    return cells if model != MAIN else {"n": cells["n"], "note": "reference"}


def domains_table(domains: pd.DataFrame) -> pd.DataFrame:
    """Table 6 (and Figure 2, left): domain, questions and thousands of trace tokens in s1K.

    domains: domains.csv of notebook 01 with domain, selected, "selected, 1K tokens".
    """
    names = {"selected": "questions", "selected, 1K tokens": "thousand_tokens"}
    columns = ["domain", "questions", "thousand_tokens"]
    ours = domains.rename(columns=names).reindex(columns=columns)
    return stacked(ours.sort_values("questions", ascending=False), load("table6"), columns)


def lengths_table(records: Records, trainings: pd.DataFrame) -> pd.DataFrame:
    """Table 8: the training sequence length, how many examples it cuts, and the model's accuracy.

    trainings: as from load_trainings. Without a model trained on cut traces (`sft.cut_length`) the
    table is the paper's alone.
    """
    columns = ["sequence_length", "cut_percent", "benchmark", "accuracy", "thinking_tokens"]

    # s1 and the model of cut traces, each with the length that it was trained at
    sizes = trainings.rename(columns={"limit": "sequence_length"}).drop_duplicates("model")
    sizes = sizes[["model", "sequence_length", "cut", "examples"]]
    ours = points.run_points(records).merge(sizes, on="model")
    ours = ours[ours["run"].isin([*records.natural(CUT), *records.natural()])]
    if CUT not in set(ours["model"]):
        ours = ours[:0]

    ours = ours.assign(cut_percent=100 * ours["cut"] / ours["examples"])
    ours = ours.sort_values("sequence_length", kind="stable")
    return stacked(ours, load("table8"), columns)
