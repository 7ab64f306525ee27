"""Tables 12 to 14 and the tree search's points: what was asked, what was used, the paper's."""

import numpy as np
import pytest
from synthetic_records import CLASSES, LIMITS, STEPS, WIDTHS, synthetic_records

from s1lib.scaling import control_tables, points
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.records import records_from
from s1lib.scaling.table_cells import PAPER, THIS


@pytest.fixture(scope="module")
def rows():
    return synthetic_records(problems=30)


@pytest.fixture(scope="module")
def records(rows):
    return records_from(rows)


def test_a_stated_limit_of_tokens_stands_beside_what_was_used(records, rows):
    table = control_tables.token_table(records)
    ours = table[(table["source"] == THIS) & (table["benchmark"] == "hard")]
    assert list(zip(ours["method"], ours["limit"], strict=True)) == [
        (m, limit) for m in ("TCC", "TCC+BF") for limit in LIMITS
    ]
    found = [
        r["thinking_tokens"]
        for r in rows
        if (r["benchmark"], r["method"], r["parameters"])
        == ("hard", "token_conditional", {"max_thinking": 64})
    ]
    assert ours.iloc[1]["thinking_tokens"] == pytest.approx(np.mean(found))
    paper = table[table["source"] == PAPER].set_index(["method", "limit"])
    assert paper.loc[("TCC+BF", 1024), "accuracy"] == 3.3 and len(paper) == 10


def test_steps_are_counted_and_their_length_follows(records):
    table = control_tables.step_table(records)
    ours = table[table["source"] == THIS]
    assert set(ours["limit"]) == set(STEPS) and list(ours["tokens_per_step"]) == pytest.approx(
        [10] * len(ours)
    )
    forced = ours[ours["method"] == "SCC+BF"]
    assert (forced["steps"] <= forced["limit"]).all()
    assert table[table["source"] == PAPER]["steps"].max() == 136


def test_every_class_has_a_row_on_every_benchmark(records):
    table = control_tables.class_table(records)
    ours = table[table["source"] == THIS]
    assert sorted(ours["class"].unique()) == sorted(CLASSES) and len(ours) == 9
    assert (
        table[table["source"] == PAPER]
        .set_index(["benchmark", "class"])
        .loc[("AIME24", "short"), "thinking_tokens"]
        == 8033
    )


def test_a_class_is_controlled_when_short_is_shorter_and_long_is_longer(rows):
    changed = [
        {**row, "thinking_tokens": 10_000} if row["parameters"] == {"length": "short"} else row
        for row in rows
    ]
    for some, expected in ((rows, 100), (changed, 50)):
        row = (
            control_tables.methods_table(records_from(some), resamples=50)
            .set_index(["method", "benchmark"])
            .loc[("class_conditional", "hard")]
        )
        assert row["control"] == expected
    none = records_from(row for row in rows if row["parameters"].get("length") != "short")
    with pytest.raises(Missing, match="short, long and neither"):
        control_tables.class_control(Bench(none, "hard"))


def test_a_limit_in_steps_counts_as_a_hundred_tokens_each(records):
    row = (
        control_tables.methods_table(records, resamples=50)
        .set_index(["method", "benchmark"])
        .loc[("step_conditional", "hard")]
    )
    assert row["limits"] == len(STEPS) and row["control"] == 100 and row["paper_control"] == 60


def test_table_3_lists_conditional_control_with_and_without_forcing(records):
    table = (
        control_tables.methods_table(records, resamples=50)
        .query("benchmark == 'hard'")
        .set_index("method")
    )
    assert (
        table.loc["token_conditional", "control_samples"]
        < table.loc["token_conditional_forced", "control_samples"]
        == 100
    )
    assert table.loc["token_conditional_forced", "paper_scaling"] == 13
    assert "tree_search" not in table.index


def test_samples_are_counted_against_limits_where_all_runs_think_equally_long(rows):
    """Without a slope there is no Scaling, but whether a limit was kept can still be counted."""
    even = [
        {**row, "thinking_tokens": 50} if row["method"] == "token_conditional" else row
        for row in rows
    ]
    table = control_tables.methods_table(records_from(even), resamples=50)
    row = table.set_index(["method", "benchmark"]).loc["token_conditional", "hard"]
    assert np.isnan(row["slope"]) and row["note"] == "all runs think equally long"
    kept = 100 * np.mean([limit >= 50 for limit in LIMITS])
    assert [row["control_samples"], row["control"]] == pytest.approx([kept, kept])


def test_a_tree_search_is_a_line_of_its_own_beside_the_votes(records):
    data = points.parallel_points(records, (1, 2, 4))
    tree = data[(data["series"] == "tree search (s1)") & (data["benchmark"] == "hard")]
    assert (
        list(tree["label"]) == [f"w={width}" for width in WIDTHS]
        and tree["total_tokens"].is_monotonic_increasing
    )


def test_curves_of_all_methods_carry_the_names_of_table_3(records):
    data = control_tables.curves(records)
    assert set(data["series"]) == {"budget forcing", *control_tables.CONDITIONAL.values()}
