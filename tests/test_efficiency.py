"""Accuracy by the number of training examples (the paper's Figure 2, right)."""

import matplotlib

matplotlib.use("Agg")

import pandas as pd
import pytest
from synthetic_records import synthetic_records

from s1lib.drawing import plots
from s1lib.scaling import accuracy_tables, figures, training_tables
from s1lib.scaling.efficiency import efficiency_points, intervals, sample_efficiency
from s1lib.scaling.records import records_from

pytestmark = pytest.mark.usefixtures("closed_figures")

SIZES = {"s1_62": 62, "s1_250": 250, "s1": 1000, "random_62": 62, "random": 1000, "full": 4000}
ONCE = pd.DataFrame(SIZES.items(), columns=["model", "examples"])
TRAININGS = pd.concat([ONCE, ONCE])  # a row per seed
SHARES = {"s1_62": (0.2, 0.4), "s1_250": (0.4, 0.6), "s1": (0.6, 0.8), "random_62": (0.1, 0.1)}


@pytest.fixture(scope="module")
def rows():
    return synthetic_records(problems=20)


def with_sizes(rows, seeds=2):
    """The rows, with natural stops of every size whose seeds answer the SHARES of the problems."""
    stop = [row for row in rows if row["model"] == "random" and row["method"] == "budget_forcing"]
    added = []
    for model, shares in SHARES.items():
        for seed in range(seeds):
            right = [row["problem_id"] for row in stop[: round(20 * shares[seed])]]
            for row in stop[:20]:
                grade = {"model": model, "correct": row["problem_id"] in right}
                added.append({**row, **grade, "base_seed": 0, "sft_seed": seed})
    return records_from([row for row in rows if row["model"] != "s1"] + added)


def test_a_point_is_the_mean_of_its_seeds_with_the_lowest_and_the_highest(rows):
    data = efficiency_points(with_sizes(rows), TRAININGS).query("benchmark == 'hard'")
    table = data.set_index("model")
    assert table.loc["s1_62", ["examples", "seeds"]].to_list() == [62, 2]
    assert table.loc["s1_62", ["accuracy", "lowest", "highest"]].to_list() == [30, 20, 40]
    assert table.loc["base", "examples"] == 0 and table.loc["full", "seeds"] == 1


def test_each_line_goes_through_its_sizes_to_the_full_pool(rows):
    records = with_sizes(rows)
    data = efficiency_points(records, TRAININGS)
    _, axes = plots.panels(1)
    figures.each(sample_efficiency, data, axes, records.benchmarks[:1])
    lines = {line.get_label(): [*line.get_xdata()] for line in axes[0].get_lines()}
    assert lines["drawn like s1"] == [62, 250, 1000, 4000] and lines["random"] == [62, 1000, 4000]
    assert {text.get_text() for text in axes[0].texts} == {"base", "full"}

    # the band of s1 is as wide as its seeds lie apart
    band = axes[0].collections[0].get_paths()[0].vertices
    assert {20, 40} <= {round(y) for x, y in band if x == 62}
    assert intervals(data).endswith("from the lowest to the highest training")


def test_with_one_seed_the_bands_are_intervals_and_without_sizes_there_are_none(rows):
    assert intervals(efficiency_points(with_sizes(rows, seeds=1), TRAININGS)).endswith("and bands")
    plain = efficiency_points(records_from(rows), TRAININGS)
    assert intervals(plain) == "Wilson, bars"
    _, axes = plots.panels(1)
    sample_efficiency(plain[plain["benchmark"] == "hard"], axes[0])
    assert not axes[0].get_legend_handles_labels()[1]


def test_sets_of_further_sizes_stand_in_figure_2_and_in_no_table(rows):
    records = with_sizes(rows)
    table2 = training_tables.ablations_table(records, resamples=50)
    assert "s1" in set(table2["set"]) and not table2["set"].str.contains("_").any()
    table1 = accuracy_tables.accuracy_table(records)
    assert "s1" in set(table1["model"]) and not table1["model"].str.contains("_").any()
