"""Tables and figures from records: right where it can be counted by hand, "n/a" with a reason."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
from synthetic_records import BUDGETS, CAPS, MODELS, STRINGS, synthetic_records

from s1lib.drawing import plots
from s1lib.profile import Profile
from s1lib.scaling import (
    accuracy_tables,
    after_waits,
    control_tables,
    effects,
    efficiency,
    figures,
    further_tables,
    metrics,
    points,
    training_tables,
    wait_figures,
)
from s1lib.scaling.records import records_from
from s1lib.scaling.ways import WAYS

pytestmark = pytest.mark.usefixtures("closed_figures")

TRAININGS = pd.DataFrame(
    {
        "model": ["s1", "random", "full"],
        "examples": [1000, 1000, 4000],
        "steps": 250,
        "minutes": 1.0,
    }
)
VOTES = (1, 2, 4, 8)
NO_TEXTS = after_waits.texts_after_waits([])  # the synthetic traces have none after a Wait


@pytest.fixture(scope="module")
def rows():
    return synthetic_records(problems=40)


@pytest.fixture(scope="module")
def records(rows):
    return records_from(rows)


def everything(records, *, render=False):
    """Every figure of notebook 05 with its axes and data; rendered to pixels (slow) when asked."""
    drawn = {
        "scaling": (figures.scaling, points.scaling_points(records), {}),
        "parallel": (figures.sequential_parallel, points.parallel_points(records, VOTES), {}),
        "rejection": (figures.rejection, points.rejection_points(records), {}),
        "ablations": (
            figures.differences,
            training_tables.ablations_table(records, resamples=100),
            {"name": "set"},
        ),
        "strings": (
            figures.differences,
            accuracy_tables.strings_table(records, strings=tuple(STRINGS), resamples=100),
            {"name": "string"},
        ),
        "efficiency": (
            efficiency.sample_efficiency,
            efficiency.efficiency_points(records, TRAININGS),
            {},
        ),
        "methods": (figures.methods, control_tables.curves(records), {}),
        "transitions": (
            wait_figures.transitions,
            after_waits.waits_table(records, NO_TEXTS, resamples=100),
            {},
        ),
        "truncation": (wait_figures.truncation, further_tables.truncation_points(records), {}),
    }
    for name, (draw, data, options) in drawn.items():
        # No layout: that is most of the time.
        fig, axes = plots.plt.subplots(1, len(records.benchmarks), squeeze=False)
        axes = axes[0]
        figures.each(draw, data, axes, records.benchmarks, **options)
        if render:
            fig.canvas.draw()
        yield name, axes, data


def texts(ax):
    return " ".join(text.get_text() for text in ax.texts)


def test_every_figure_has_a_panel_per_benchmark_in_the_same_order(records):
    for name, axes, _ in everything(records, render=True):
        titles = [ax.get_title() for ax in axes]
        assert titles == ["hard (as AIME24)", "mixed (as MATH500)", "choice (as GPQA-Diamond)"], (
            name
        )
        assert not any("n/a" in texts(ax) for ax in axes), name


def test_the_papers_curves_are_drawn_beside_ours():
    data = points.paper_points()
    benchmarks = pd.DataFrame({"benchmark": ["hard", "mixed"], "role": ["AIME24", "MATH500"]})
    _, axes = plots.panels(2)
    figures.each(figures.scaling, data, axes, benchmarks, by="role")
    assert axes[0].get_title() == "paper: AIME24"
    assert "W2" in texts(axes[0]) and axes[0].get_xscale() == "log"
    assert "natural stop" in texts(axes[0]) and "natural stop" not in texts(axes[1])
    figures.sequential_parallel(points.paper_parallel_points(), axes[1])
    efficiency.sample_efficiency(efficiency.paper_efficiency_points(), axes[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [row for row in rows if row["benchmark"] == "mixed"],
        lambda rows: [row for row in rows if row["method"] == "direct"],
        lambda rows: [row for row in rows if row["model"] != "s1"],
        lambda rows: [row for row in rows if row["problem_id"] == "hard-0"],
        lambda rows: [{**row, "correct": False, "extracted": None} for row in rows],
        lambda rows: [{**row, "thinking_tokens": 0} for row in rows],
        lambda rows: [
            {**row, "finish": "rejected"} if row["method"] == "rejection" else row for row in rows
        ],
    ],
    ids=[
        "one benchmark",
        "no thinking at all",
        "no s1",
        "one problem",
        "nothing correct",
        "no thinking tokens",
        "all rejected",
    ],
)
def test_figures_and_tables_survive_what_is_missing(rows, change, tmp_path):
    some = records_from(change(rows))
    drawn = {name: axes for name, axes, _ in everything(some, render=len(some.benchmarks) == 1)}
    assert len(drawn) == 9
    for table in (
        accuracy_tables.accuracy_table(some),
        control_tables.methods_table(some, resamples=100),
        training_tables.ablations_table(some, resamples=100),
        further_tables.detectable_table(some),
        after_waits.waits_table(some, NO_TEXTS, resamples=20),
        further_tables.truncation_table(some, resamples=20),
        further_tables.pairs_table(some, resamples=20),
    ):
        shown = plots.save_table(table, tmp_path / "table")
        missing = shown.eq("n/a").any(axis=1) & ~shown.filter(like="paper").eq("n/a").any(axis=1)
        assert "note" not in shown or shown["note"][missing].ne("n/a").all()


def test_a_profile_without_conditional_models_says_so_above_the_papers_rows(rows):
    some = records_from(row for row in rows if "conditional" not in row["method"])
    for make in (
        control_tables.token_table,
        control_tables.step_table,
        control_tables.class_table,
    ):
        table = make(some)
        assert table["source"].to_list()[:2] == ["this run", "paper"]
        assert table["benchmark"][0] == "not run in this profile" and table["accuracy"][1:].any()


def test_a_profile_without_votes_or_strings_has_empty_tables_and_no_error(rows, tmp_path):
    some = records_from(row for row in rows if row["method"] != "majority")
    strings = accuracy_tables.strings_table(some, strings=(), resamples=20)
    data = points.parallel_points(records_from(rows), ())
    for table in (strings, data):
        plots.save_table(table, tmp_path / "table")
    assert strings.empty and not data["series"].str.startswith("majority").any()
    _, axes = plots.panels(3)
    figures.each(figures.differences, strings, axes, some.benchmarks, name="string")
    assert "nothing to compare" in texts(axes[0])


def test_the_papers_curves_are_drawn_beside_a_run_without_any_of_its_methods(rows):
    some = records_from(row for row in rows if row["method"] == "direct")
    data = points.rejection_points(some)
    _, axes = plots.panels(2)
    figures.rejection(data[data["source"] == "paper"], axes[0])
    figures.rejection(data[data["source"] == "this run"], axes[1])
    assert "16000" in texts(axes[0]) and "n/a" in texts(axes[1])


def test_rejection_counts_the_accepted_trace_and_all_tries_where_records_have_both(rows):
    spent = [
        {**row, "spent_thinking_tokens": 3 * row["thinking_tokens"] + 100}
        if row["method"] == "rejection"
        else row
        for row in rows
    ]
    assert "spent_thinking_tokens" not in points.rejection_points(records_from(rows))
    data = points.rejection_points(records_from(spent)).query("source == 'this run'")
    own = [row for row in spent if row["method"] == "rejection" and row["benchmark"] == "hard"]
    own = [row for row in own if row["parameters"]["cap"] == 60]
    point = data.query("benchmark == 'hard' and label == 'cap 60'").set_index("series")
    tries = point["spent_thinking_tokens"]["all, rejected = wrong"]
    assert tries == pytest.approx(np.mean([row["spent_thinking_tokens"] for row in own]))
    assert (data["spent_thinking_tokens"] > data["thinking_tokens"]).all()
    _, axes = plots.panels(1)
    assert "accepted trace" in figures.rejection(data, axes[0]).get_xlabel()


def test_a_panel_of_rejection_says_how_many_problems_fit_every_cap_where_not_all_do(records):
    data, drawn = points.rejection_points(records), {}
    _, axes = plots.panels(2)
    for ax, source in zip(axes, ("this run", "paper"), strict=True):
        own = data[(data["source"] == source) & (data["role"] == "AIME24")]
        drawn[source] = texts(figures.rejection(own, ax)), set(own["n"])
    said, sizes = drawn["this run"]
    assert f"{min(sizes)} of {max(sizes)} fit every cap" in said and min(sizes) < max(sizes)
    assert "fit every cap" not in drawn["paper"][0]


def test_a_single_point_has_an_error_bar_and_a_legend_has_no_two_equal_entries():
    _, axes = plots.panels(1)
    figures.sequential_parallel(points.paper_tree_points(), axes[0])
    assert len(axes[0].containers) == 2  # 16 votes, and a tree of width 16
    assert WAYS["sequential"] != WAYS["budget forcing"]  # they share a legend


def test_an_empty_panel_says_why(rows):
    drawn = {
        name: axes
        for name, axes, _ in everything(
            records_from(row for row in rows if row["method"] == "direct")
        )
    }
    assert texts(drawn["scaling"][0]).replace("\n", " ") == "n/a: no runs of budget forcing"
    assert "no rejection sampling" in texts(drawn["rejection"][0]).replace("\n", " ")


def test_points_of_the_curve_come_in_its_order(records):
    curve = points.scaling_points(records).query("benchmark == 'hard'")
    assert list(curve["label"]) == [*map(str, BUDGETS), "natural stop", "W1", "W2", "W4", "W6"]
    assert curve["thinking_tokens"].is_monotonic_increasing
    assert (curve["low"] <= curve["accuracy"]).all() and (curve["accuracy"] <= curve["high"]).all()


def test_a_run_is_counted_over_its_problems(records, rows):
    point = points.run_points(records).query("benchmark == 'hard' and label == 'budget 48'").iloc[0]
    own = [
        row
        for row in rows
        if row["benchmark"] == "hard" and row["parameters"].get("max_thinking") == 48
    ]
    assert point["accuracy"] == pytest.approx(100 * np.mean([row["correct"] for row in own]))
    assert point["thinking_tokens"] == pytest.approx(
        np.mean([row["thinking_tokens"] for row in own])
    )
    assert point["forced"] == pytest.approx(
        100 * np.mean([row["finish"] == "forced" for row in own])
    )
    assert (point["n"], point["samples"]) == (40, 40)


def test_rejection_is_plotted_for_problems_that_fit_every_cap_and_for_all(records, rows):
    data = (
        points.rejection_points(records)
        .query("benchmark == 'hard' and label == 'cap 60'")
        .set_index("series")
    )
    own = [
        row
        for row in rows
        if row["benchmark"] == "hard"
        and row["method"] == "rejection"
        and row["parameters"]["cap"] == 60
    ]
    accepted = [row for row in own if row["finish"] != "rejected"]
    assert data["n"].to_dict() == {"fits every cap": len(accepted), "all, rejected = wrong": 40}
    assert data["accuracy"]["all, rejected = wrong"] == pytest.approx(
        100 * sum(row["correct"] for row in accepted) / 40
    )
    assert data["thinking_tokens"].nunique() == 1  # a rejection has no length


def test_table_1_has_the_papers_rows_beside_ours(records):
    table = (
        accuracy_tables.accuracy_table(records)
        .query("benchmark == 'hard'")
        .set_index(["model", "label"])
    )
    assert list(table.index)[:3] == [("base", "direct"), ("s1", "natural stop"), ("s1", "1 × Wait")]
    assert table["paper"]["base", "direct"] == 26.7
    assert table["paper"]["s1", "4 × Wait"] == 56.7
    assert table["paper"]["full", "natural stop"] == 53.3


def test_table_2_gives_the_difference_to_s1(records):
    table = (
        training_tables.ablations_table(records, resamples=500)
        .query("benchmark == 'hard'")
        .set_index("set")
    )
    assert list(table.index) == list(MODELS)
    assert table["difference"]["diverse"] == pytest.approx(
        table["accuracy"]["diverse"] - table["accuracy"]["s1"]
    )
    assert table["low"]["diverse"] < table["difference"]["diverse"] < table["high"]["diverse"]
    assert table["note"]["s1"] == "reference" and np.isnan(table["difference"]["s1"])
    assert table["paper_difference"]["diverse"] == pytest.approx(-23.3)


def test_cut_traces_stand_beside_table_8_of_the_paper(rows):
    cut = [{**row, "model": "cut"} for row in rows if row["model"] == "random"]
    table = training_tables.ablations_table(records_from([*rows, *cut]), resamples=20)
    row = table.query("benchmark == 'hard'").set_index("set").loc["cut"]
    assert (row["paper"], row["paper_difference"]) == (30.0, -20.0) and np.isnan(row["paper_low"])


def test_the_papers_points_have_the_interval_of_so_many_problems():
    for data in (
        points.paper_points(),
        points.paper_parallel_points(),
        points.paper_tree_points(),
        efficiency.paper_efficiency_points(),
    ):
        assert (data["low"] <= data["accuracy"]).all() and (data["accuracy"] <= data["high"]).all()
    widths = (data["high"] - data["low"] for data in (points.paper_tree_points(), data))
    assert min(next(widths)) > 30 and max(next(widths)) < 8  # 30 problems, 500 problems


def test_a_way_to_think_is_drawn_alike_here_and_in_the_papers_panel(records):
    _, axes = plots.panels(2)
    figures.sequential_parallel(points.parallel_points(records, VOTES), axes[0])
    figures.sequential_parallel(points.paper_parallel_points(), axes[1])
    drawn = [{line.get_label(): line.get_color() for line in ax.get_lines()} for ax in axes]
    assert set(drawn[1]) == {"budget forcing", "majority vote"}
    assert drawn[0] | drawn[1] == drawn[0]


def test_names_of_training_sets_stand_clear_of_each_other(records):
    fig, axes = plots.panels(1)
    hard = records.benchmarks[:1]
    data = efficiency.efficiency_points(records, TRAININGS)
    figures.each(efficiency.sample_efficiency, data, axes, hard)
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in axes[0].texts]
    assert len(boxes) == 4
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])


def test_table_3_keeps_the_papers_scaling_beside_a_steadier_slope(records):
    table = control_tables.methods_table(records, resamples=200).set_index(["method", "benchmark"])
    row = table.loc["budget_forcing", "hard"]
    assert (row["control"], row["control_samples"], row["limits"], row["runs"]) == (
        100,
        100,
        len(BUDGETS),
        10,
    )
    assert (row["paper_control"], row["paper_scaling"], row["paper_performance"]) == (100, 15, 56.7)
    assert row["low"] < row["slope"] < row["high"]
    row = table.loc["rejection", "hard"]
    assert row["control"] == 100 and row["control_samples"] < 100 and row["limits"] == len(CAPS)


def test_control_is_broken_by_thinking_beyond_the_limit(rows):
    longer = [
        {**row, "thinking_tokens": 50} if row["parameters"].get("max_thinking") == 48 else row
        for row in rows
    ]
    row = (
        control_tables.methods_table(records_from(longer), resamples=100)
        .set_index(["method", "benchmark"])
        .loc["budget_forcing", "hard"]
    )
    assert row["control"] == 80 and row["control_samples"] == 80


def test_table_4_gives_the_difference_to_not_ignoring_the_end(records):
    table = (
        accuracy_tables.strings_table(records, strings=tuple(STRINGS), resamples=200)
        .query("benchmark == 'hard'")
        .set_index("string")
    )
    assert list(table.index) == ["Wait", "Hmm", "Alternatively", "(nothing)"]
    assert table["paper_difference"].round(1).to_dict() == {
        "Wait": 3.3,
        "Hmm": 0,
        "Alternatively": 0,
        "(nothing)": 0,
    }


def test_every_pair_of_runs_has_the_difference_and_interval_of_the_paired_bootstrap(records):
    shared = records.common()
    table = further_tables.pairs_table(shared, resamples=500)
    bench = effects.Bench(shared, "hard", resamples=500)
    runs = sorted(bench.present)
    at = table[table["benchmark"] == "hard"].reset_index(drop=True)
    assert len(at) == len(runs) * (len(runs) - 1) // 2
    for place, second in enumerate(runs[1:]):
        effect = effects.difference(bench, runs[0], second)
        low, high = metrics.interval(effect.draws)
        assert at.loc[place, ["difference", "low", "high"]].to_list() == pytest.approx(
            [effect.value, low, high]
        )


def test_truncated_traces_count_only_where_they_ended_in_time(records, rows):
    table = further_tables.truncation_table(records, resamples=200)
    at = table[table["benchmark"] == "hard"].set_index("budget")
    assert at.index.is_monotonic_increasing and len(at) > 1
    for budget, row in at.iterrows():
        ours = [
            r
            for r in rows
            if r["benchmark"] == "hard"
            and r["model"] == "s1"
            and r["parameters"].get("max_thinking") == budget
        ]
        ours = [
            r for r in ours if r["method"] == "budget_forcing" and not r["parameters"].get("waits")
        ]
        assert row["forced"] == pytest.approx(100 * sum(r["correct"] for r in ours) / len(ours))
        assert row["truncated"] == pytest.approx(
            100 * sum(r["correct"] and r["finish"] == "natural" for r in ours) / len(ours)
        )
        assert (
            row["low"] <= row["difference"] <= row["high"]
            and row["difference"] >= 0
            and row["n"] == len(ours)
        )


def test_truncation_and_forced_answers_meet_at_the_natural_stop(records):
    data = further_tables.truncation_points(records).query("benchmark == 'hard'")
    forced, plain, waits = (
        data[data["series"] == name].set_index("label")["accuracy"]
        for name in ("forced answers", "plain truncation", "Waits")
    )
    assert list(forced.index) == list(plain.index) and (plain <= forced).all()
    assert forced["natural stop"] == plain["natural stop"] == waits["natural stop"]
    assert plain.is_monotonic_increasing and list(waits.index)[1:] == ["W1", "W2", "W4", "W6"]
    table = further_tables.truncation_table(records, resamples=20).query("benchmark == 'hard'")
    assert list(table["truncated"]) == pytest.approx(list(plain[:-1]))


def test_small_benchmarks_say_what_they_cannot_show():
    table = further_tables.detectable_table(records_from(synthetic_records(problems=10)))
    assert table["half_width"].iloc[0] == pytest.approx(26.3, abs=0.1)
    assert table["note"].eq("not even if all disagreements went one way").any()


def test_the_trainings_of_notebook_02_are_read_when_they_are_there(tmp_path, records):
    profile = Profile(name="p", outputs_root=str(tmp_path))
    assert training_tables.load_trainings(profile).empty
    (tmp_path / "p" / "02_sft").mkdir(parents=True)
    TRAININGS.to_csv(tmp_path / "p" / "02_sft" / "trainings.csv", index=False)
    data = efficiency.efficiency_points(records, training_tables.load_trainings(profile))
    assert data.query("benchmark == 'hard'").set_index("model")["examples"].to_dict() == {
        "base": 0,
        "s1": 1000,
        "random": 1000,
        "full": 4000,
    }
