"""Several training seeds: what is paired, what is drawn, and what a reader is told of them."""

from __future__ import annotations

import random

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
from synthetic_records import synthetic_records

from s1lib.drawing import plots
from s1lib.scaling import effects, figures, metrics, points, training_tables
from s1lib.scaling.comparison import compare
from s1lib.scaling.effects import Bench
from s1lib.scaling.pairing import UNTRAINED
from s1lib.scaling.records import RecordError, records_from
from s1lib.scaling.verdicts import claims_table

pytestmark = pytest.mark.usefixtures("closed_figures")

THREE = ((0, 0), (0, 1), (0, 2))
NESTED = tuple((base, seed) for base in (0, 1) for seed in (0, 1, 2))


@pytest.fixture(scope="module")
def rows():
    return synthetic_records(problems=60, samples=2, replicas=THREE)


@pytest.fixture(scope="module")
def records(rows):
    return records_from(rows)


def declared(table, text):
    found = table[table["declared"] & table["claim"].str.contains(text, regex=False)]
    assert len(found) == 1
    return found.iloc[0]


def shifted(rows, model: str, replica: tuple[int, int], every: int):
    """The same rows, in which one replica of a model is wrong on every so many problems."""
    for row in rows:
        spoilt = int(row["problem_id"].partition("-")[2]) % every == 0
        mine = (row["model"], row.get("base_seed"), row.get("sft_seed")) == (model, *replica)
        yield {**row, "correct": False} if mine and spoilt else row


def test_the_same_problem_of_two_replicas_is_no_contradiction(rows, records):
    assert len(records.samples) == len(rows)
    with pytest.raises(RecordError, match="two different records"):
        records_from([*rows, {**rows[1], "correct": not rows[1]["correct"]}])


def test_records_without_seeds_are_one_replica():
    records = records_from(synthetic_records(problems=3))
    assert records.replicas("hard", records.budgets()) == [(0, UNTRAINED)]


def test_a_frame_is_the_mean_over_replicas(rows, records):
    run = records.natural()[0]
    mine = [row for row in rows if row["problem_id"] == "hard-0" and row["model"] == "s1"]
    natural = [
        row["correct"]
        for row in mine
        if row["method"] == "budget_forcing" and row["parameters"]["max_thinking"] is None
        if not row["parameters"]["waits"]
    ]
    assert len(natural) == 3
    assert records.frame("hard", [run])[run]["hard-0"] == pytest.approx(np.mean(natural))
    table = points.run_points(records).set_index(["benchmark", "run"]).loc["hard", run]
    assert table["n"] == 60


def test_only_replicas_that_all_runs_have_are_compared(records):
    voting = records.find(method="majority")
    assert records.replicas("hard", records.natural()) == list(THREE)
    assert records.replicas("hard", [*records.natural(), *voting]) == [(0, 0)]


def test_the_base_model_stands_beside_every_seed_of_its_base():
    records = records_from(synthetic_records(problems=5, replicas=NESTED))
    base = records.find(model="base", method="direct")
    paired = records.paired("hard", [*base, *records.natural()])
    assert paired.replicas == list(NESTED) and paired.values.shape == (5, 6, 2)
    first, second = paired.values[:, :3, 0], paired.values[:, 3:, 0]
    assert (first == first[:, :1]).all() and (second == second[:, :1]).all()


def test_with_one_seed_the_draws_are_those_of_the_problems():
    records = records_from(synthetic_records(problems=40, replicas=THREE[:1]))
    bench = Bench(records, "hard", resamples=300)
    before, after = bench.natural(), bench.waits("Wait", 2)
    correct = bench.frame([before, after])
    gains = 100 * (correct[after] - correct[before]).to_numpy()
    effect = effects.difference(bench, before, after)
    assert effect.draws == pytest.approx(bench.weights(40) @ gains)
    assert list(effect.by_seed.values()) == pytest.approx([gains.mean()])


def test_benchmarks_of_equal_size_have_draws_of_their_own(records):
    values = np.random.default_rng(0).random(60)
    one, other = (Bench(records, name, 2000).weights(60) @ values for name in ("hard", "mixed"))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


def test_benchmarks_share_the_draws_of_the_seeds(records):
    """Seeds that move every benchmark alike do not average out over the benchmarks."""
    even = np.tile([-5.0, 0.0, 5.0], (60, 1))
    found = [effects.mean_effect(even, THREE, Bench(records, name)) for name in ("hard", "mixed")]
    assert effects.pool(found).draws == pytest.approx(found[0].draws)


def test_seeds_that_differ_widen_the_interval(rows, records):
    changed = records_from(shifted(rows, "s1", (0, 1), every=2))
    before, after = (
        effects.difference(bench, bench.natural("diverse"), bench.natural())
        for bench in (Bench(records, "hard", 3000), Bench(changed, "hard", 3000))
    )
    assert after.draws.std() > 1.3 * before.draws.std()
    assert after.value < before.value


def test_the_variance_of_an_effect_is_that_of_seeds_and_of_problems(records):
    """Seeds that differ by a constant add the variance of their mean to that of the problems."""
    bench = Bench(records, "hard", 20_000)
    problems = np.random.default_rng(0).normal(0, 30, size=60)
    seeds = np.array([-4.0, 1.0, 3.0])
    effect = effects.mean_effect(problems[:, None] + seeds, THREE, bench)
    expected = problems.var() / 60 + seeds.var(ddof=1) / 3
    assert effect.draws.var() == pytest.approx(expected, rel=0.04)
    assert list(effect.by_seed) == list(THREE)


def test_a_slope_and_its_seeds_are_over_the_same_runs(records):
    bench = Bench(records, "hard", 200)
    runs = records.budgets()
    effect = effects.slope(bench, runs)
    tokens, correct = (bench.paired(runs, name).values for name in ("thinking_tokens", "correct"))
    own = metrics.slope(tokens[:, 1].mean(axis=0), 100 * correct[:, 1].mean(axis=0))
    assert effect.by_seed[0, 1] == pytest.approx(own) and len(effect.by_seed) == 3


def test_the_order_of_records_and_of_seeds_changes_no_verdict(rows):
    table = claims_table(records_from(rows), votes=(1, 2), resamples=500)
    mixed = random.Random(0).sample(rows, len(rows))
    again = claims_table(records_from(mixed), votes=(1, 2), resamples=500)
    pd.testing.assert_frame_equal(table, again)

    turned = {0: 1, 1: 2, 2: 0, None: None}
    moved = [{**row, "sft_seed": turned[row["sft_seed"]]} for row in rows]
    before, after = (
        effects.difference(bench, bench.natural("diverse"), bench.natural())
        for bench in (Bench(records_from(some), "hard", 20_000) for some in (rows, moved))
    )
    assert after.value == pytest.approx(before.value)
    assert after.draws.std() == pytest.approx(before.draws.std(), rel=0.05)
    assert sorted(after.by_seed.values()) == pytest.approx(sorted(before.by_seed.values()))


def test_a_row_names_every_seed_or_says_that_there_is_one(records):
    table = claims_table(records, votes=(1, 2), resamples=200)
    row = declared(table, "same size: diverse")
    assert row["by seed"].startswith("3 seeds: +") and row["note"].startswith("one base; ")
    row = declared(table, "majority vote")
    assert row["by seed"] == "" and row["note"].startswith("one training; ")


def test_seeds_of_several_bases_are_told_apart():
    records = records_from(synthetic_records(problems=20, samples=1, replicas=NESTED))
    row = declared(claims_table(records, votes=(1,), resamples=100), "same size: diverse")
    assert row["by seed"].startswith("6 seeds: ") and row["by seed"].count(" | ") == 1
    assert "one base" not in row["note"] and "one training" not in row["note"]


def test_bases_with_one_seed_each_are_counted_and_named_as_bases():
    bases = tuple((base, 0) for base in (0, 1, 2))
    records = records_from(synthetic_records(problems=20, samples=1, replicas=bases))
    row = declared(claims_table(records, votes=(1,), resamples=100), "same size: diverse")
    assert row["by seed"].startswith("3 base models: ") and " | " not in row["by seed"]
    assert records.sizes.endswith("means of 3 base models")
    table = training_tables.ablations_table(records, resamples=100)
    row = table[(table["set"] == "diverse") & (table["benchmark"] == "hard")].iloc[0]
    assert row[["base 0", "base 1", "base 2"]].mean() == pytest.approx(row["difference"])


def test_one_seed_that_goes_the_other_way_leaves_a_claim_open(rows):
    table = claims_table(records_from(rows), votes=(1, 2), resamples=300)
    assert declared(table, "same size: diverse")["verdict"] == "holds"
    some = records_from(shifted(rows, "s1", (0, 1), every=2))
    assert declared(claims_table(some, resamples=300), "same size: diverse")["verdict"] != "holds"


def test_what_one_replica_has_alone_is_compared_with_that_replica(records):
    shared = records.common()
    assert set(shared.samples["sft_seed"]) == {0, UNTRAINED}
    assert records.sizes.endswith("means of 3 seeds") and "seed" not in shared.sizes


def test_two_runs_are_compared_by_the_means_of_their_seeds(records):
    found = compare(records, records)
    natural = found.runs.query("benchmark == 'hard' and model == 's1' and run == 'natural stop'")
    row = natural.iloc[0]
    assert (row["n"], row["gained"], row["lost"]) == (60, 0, 0)
    assert np.isnan(row["p"]) and found.flips.empty  # McNemar's test knows one sample a problem


def test_every_seed_is_a_column_of_table_2_and_a_dot_of_its_figure(records):
    table = training_tables.ablations_table(records, resamples=100)
    seeds = ["seed 0", "seed 1", "seed 2"]
    row = table[(table["set"] == "diverse") & (table["benchmark"] == "hard")].iloc[0]
    assert row[seeds].mean() == pytest.approx(row["difference"])
    _, axes = plots.panels(1)
    figures.differences(table[table["benchmark"] == "hard"], axes[0], name="set")
    dots = [line for line in axes[0].get_lines() if line.get_marker() == "."]
    assert len(dots) == 3


def test_every_seed_is_a_thin_line_behind_figure_1(rows, records):
    curves = points.replica_points(records)
    mean = points.scaling_points(records).query("source == 'this run'")
    own = curves.groupby(["benchmark", "label"])["accuracy"].mean()
    expected = mean.set_index(["benchmark", "label"])["accuracy"]
    assert own.to_dict() == pytest.approx(expected.to_dict())
    _, axes = plots.panels(3)
    figures.each(figures.replicas, curves, axes, records.benchmarks)
    assert all(len(ax.get_lines()) == 3 for ax in axes)

    one = records_from(row for row in rows if row["sft_seed"] in (0, None))
    assert points.replica_points(one).empty
