"""The trace viewer's data: series, marks, what Waits did, and where it opens."""

import pytest
from synthetic_records import synthetic_records

from s1lib.site import trace_viewer


def test_marks_stand_where_the_record_says_counted_as_javascript_counts():
    rows = [
        row
        for row in synthetic_records(problems=1, samples=1)
        if row["parameters"].get("waits") == 1
    ]
    (row,) = [row for row in rows if row["benchmark"] == "hard"]
    row |= {"thinking": "\U0001f600\nWait, 3 Wait", "forced_spans": [[2, 6]]}
    (benchmark,) = trace_viewer.benchmarks([row], {})
    (series,) = benchmark["problems"][0]["series"]
    assert series["points"][0]["forced"] == [[3, 7]]


def test_a_string_starts_at_the_natural_stop_and_goes_on_in_the_number_of_waits():
    rows = [row for row in synthetic_records(problems=1, samples=1) if row["benchmark"] == "hard"]
    found = trace_viewer.series(rows)
    assert next(iter(found)) == "s1 · budgets"
    assert [row["waits_used"] for row in found["s1 · “Wait”"]] == [0, 1, 2, 4, 6]
    assert [row["parameters"]["max_thinking"] for row in found["s1 · budgets"]] == [
        16,
        32,
        48,
        64,
        96,
        None,
    ]


def waited(*grades):
    """The records of one problem at its natural stop and after 1, 2, ... Waits."""
    rows = [row for row in synthetic_records(problems=1, samples=1) if row["benchmark"] == "hard"]
    rows = [row for row in rows if row["model"] == "s1" and row["method"] == "budget_forcing"]
    series = trace_viewer.series(rows)["s1 · “Wait”"][: len(grades)]
    return [row | {"correct": right} for row, right in zip(series, grades, strict=True)]


@pytest.mark.parametrize(
    ("grades", "outcome"),
    [
        ((False, True, True), "mended"),
        ((False, True, False), "mended"),
        ((True, False), "broken"),
        ((True, True), "always right"),
        ((False, False), "never right"),
    ],
)
def test_a_problem_is_told_by_its_natural_stop_and_what_Waits_made_of_it(grades, outcome):
    (benchmark,) = trace_viewer.benchmarks(waited(*grades), {})
    (problem,) = benchmark["problems"]
    assert problem["outcome"] == outcome
    assert len(problem["series"][problem["waits"]]["points"]) == len(grades)


def test_the_viewer_opens_where_a_Wait_first_made_a_trace_right():
    (benchmark,) = trace_viewer.benchmarks(waited(False, True, True), {})
    (other,) = trace_viewer.benchmarks(waited(True, True), {})
    waits = benchmark["problems"][0]["waits"]
    assert trace_viewer.opening([other, benchmark]) == [1, 0, waits, 1]
    assert trace_viewer.opening([other]) == [0, 0, 0, 0]


def test_of_a_model_trained_several_times_the_first_training_is_shown():
    rows = [row for row in synthetic_records(problems=1, samples=1) if row["benchmark"] == "hard"]
    several = [{**row, "base_seed": 0, "sft_seed": seed} for seed in (0, 1) for row in rows]
    assert list(trace_viewer.benchmarks(several, {})) == list(trace_viewer.benchmarks(rows, {}))
