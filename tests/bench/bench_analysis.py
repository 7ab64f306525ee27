"""From records on disk to every table, figure and claim of notebook 05, step by step.

python -m tests.bench analysis         # 500,000 records, 64 samples a problem
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

# Synthetic_records lies beside the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from synthetic_records import STRINGS, WAITS, synthetic_records, write_records

from s1lib.drawing.plots import panels, save_figure, save_table, theme
from s1lib.profile import Profile
from s1lib.scaling import (
    accuracy_tables,
    after_waits,
    control_tables,
    efficiency,
    figures,
    further_tables,
    points,
    training_tables,
    wait_figures,
)
from s1lib.scaling.records import load_records
from s1lib.scaling.verdicts import claims_table

RECORDS, SAMPLES, VOTES = 500_000, 64, (1, 2, 4, 8, 16, 32, 64)


def main(count: int = RECORDS) -> None:
    with tempfile.TemporaryDirectory() as folder:
        profile = Profile(name="bench", outputs_root=folder)
        problems = count // (
            3 * len(synthetic_records(problems=1, samples=SAMPLES, benchmarks=("hard",)))
        )
        rows = synthetic_records(problems=problems, samples=SAMPLES)
        drawn = np.random.default_rng(0).integers(0, 12, len(rows))
        for row, number in zip(
            rows, drawn, strict=True
        ):  # a dozen wrong answers, as votes meet them
            if not row["correct"] and row["extracted"] is not None:
                row["extracted"] = str(number)
        write_records(profile.outputs / "04_evaluation", rows)
        print(f"{len(rows):,} records of {3 * problems:,} problems on three benchmarks", flush=True)
        del rows
        _measure(profile)


def _measure(profile: Profile) -> None:
    theme()
    out, spent = profile.stage("05_scaling_analysis"), {}

    def step(name, make):
        start = time.perf_counter(), time.process_time()
        made = make()
        spent[name] = np.array([time.perf_counter() - start[0], time.process_time() - start[1]])
        print(f"{name:24} {spent[name][0]:6.1f} {spent[name][1]:6.1f}", flush=True)
        return made

    def figure(draw, data, stem, **options):
        fig, axes = panels(len(records.benchmarks))
        figures.each(draw, data, axes, records.benchmarks, **options)
        save_figure(fig, out / stem, data)

    print(f"{'seconds':24} {'clock':>6} {'CPU':>6}")
    records = step("load", lambda: load_records(profile))
    step("means per problem", lambda: records.problems)
    no_texts = after_waits.texts_after_waits([])  # the synthetic traces have none
    some = {
        "accuracy": lambda: accuracy_tables.accuracy_table(records),
        "methods": lambda: control_tables.methods_table(records),
        "ablations": lambda: training_tables.ablations_table(records),
        "strings": lambda: accuracy_tables.strings_table(records, strings=tuple(STRINGS)),
        "transitions": lambda: after_waits.waits_table(records, no_texts),
        "detectable": lambda: further_tables.detectable_table(records),
        "tokens": lambda: control_tables.token_table(records),
        "steps": lambda: control_tables.step_table(records),
        "classes": lambda: control_tables.class_table(records),
        "models": lambda: accuracy_tables.models_table(records),
    }
    made = {
        name: step(
            f"table {name}",
            lambda name=name, make=make: (table := make(), save_table(table, out / name))[0],
        )
        for name, make in some.items()
    }
    step(
        "figure scaling", lambda: figure(figures.scaling, points.scaling_points(records), "figure1")
    )
    step(
        "figure parallel",
        lambda: figure(
            figures.sequential_parallel, points.parallel_points(records, VOTES), "figure4b"
        ),
    )
    step(
        "figure rejection",
        lambda: figure(figures.rejection, points.rejection_points(records), "figure6"),
    )
    step(
        "figure methods", lambda: figure(figures.methods, control_tables.curves(records), "methods")
    )
    step(
        "figure ablations",
        lambda: figure(figures.differences, made["ablations"], "table2", name="set"),
    )
    step(
        "figure strings",
        lambda: figure(figures.differences, made["strings"], "table4", name="string"),
    )
    step(
        "figure transitions", lambda: figure(wait_figures.transitions, made["transitions"], "waits")
    )
    trainings = pd.DataFrame(
        {"model": ["s1", "full"], "examples": [1000, 59_000], "steps": 315, "minutes": 1.0}
    )
    step(
        "figure efficiency",
        lambda: figure(
            efficiency.sample_efficiency,
            efficiency.efficiency_points(records, trainings),
            "figure2",
        ),
    )
    step(
        "claims",
        lambda: save_table(
            claims_table(records, waits=max(WAITS[:2]), votes=VOTES), out / "claims"
        ),
    )
    print("{:24} {:6.1f} {:6.1f}".format("all", *sum(spent.values())))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
