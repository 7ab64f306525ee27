"""The training sets beside s1 and beside the base: at equal tokens, and domain by domain."""

import pytest
from synthetic_records import synthetic_records

from s1lib.scaling.effects import Bench, best_base
from s1lib.scaling.equal_tokens import EQUAL, NATURAL, sets_at_equal_tokens
from s1lib.scaling.records import records_from
from s1lib.scaling.training_tables import lifts_by_domain, trained_sets
from s1lib.scaling.verdicts import claims_table

THREE = ((0, 0), (0, 1), (0, 2))


@pytest.fixture(scope="module")
def rows():
    return synthetic_records(problems=60, samples=1, replicas=THREE)


@pytest.fixture(scope="module")
def records(rows):
    return records_from(rows)


def number(cell: str) -> float:
    return float(cell.split()[0])


def test_every_set_is_compared_at_its_natural_stop_and_at_equal_tokens(records):
    table = sets_at_equal_tokens(records, resamples=300)
    assert list(dict.fromkeys(table["set"])) == ["random", "diverse", "longest", "full"]
    assert list(table.loc[table["set"] == "full", "benchmark"]) == [
        "hard",
        "mixed",
        "choice",
        "all",
    ]

    claims = claims_table(records, votes=(1,), resamples=300).set_index(["claim", "benchmark"])
    for benchmark in ("hard", "all"):
        row = table.query("set == 'longest' and benchmark == @benchmark").iloc[0]
        beats = claims.loc["s1K beats a set of the same size: longest", benchmark]
        assert number(row[NATURAL]) == pytest.approx(beats["effect"], abs=0.06)
        equal = claims.loc["s1K beats longest at equal thinking tokens", benchmark]
        assert number(row[EQUAL]) == pytest.approx(equal["effect"], abs=0.06)


def test_a_set_that_thinks_longer_is_met_by_the_waits_of_s1(rows):
    """Its natural stop is put where s1 has two Waits, with the answers that s1 has there."""
    waited = {
        (row["benchmark"], row["problem_id"], row["sft_seed"]): row
        for row in rows
        if row["model"] == "s1" and row["method"] == "budget_forcing"
        if row["parameters"]["waits"] == 2 and row["parameters"]["wait"] == "Wait"
    }
    moved = []
    for row in rows:
        if row["model"] == "longest":
            like = waited[row["benchmark"], row["problem_id"], row["sft_seed"]]
            row = {**row, **{key: like[key] for key in ("thinking_tokens", "correct")}}
        moved.append(row)
    table = sets_at_equal_tokens(records_from(moved), resamples=100).set_index(["set", "benchmark"])
    assert number(table.loc[("longest", "all"), EQUAL]) == 0
    assert number(table.loc[("longest", "all"), NATURAL]) < 0


def test_what_a_set_lacks_is_said(rows):
    some = [row for row in rows if (row["model"], row["benchmark"]) != ("full", "choice")]
    table = sets_at_equal_tokens(records_from(some), resamples=50).set_index(["set", "benchmark"])
    assert table.loc[("full", "choice"), NATURAL] == "n/a"
    assert "full" in table.loc[("full", "choice"), "note"]


def test_records_of_s1_alone_have_an_empty_table(rows):
    records = records_from(row for row in rows if row["model"] == "s1")
    assert trained_sets(records) == [] and sets_at_equal_tokens(records).empty


def test_a_lift_is_that_of_the_problems_of_its_domain(records):
    domains = {
        (name, f"{name}-{n}"): "even" if n % 2 == 0 else "odd"
        for name in ("hard", "mixed", "choice")
        for n in range(50)  # ten of each benchmark have none
    }
    table = lifts_by_domain(records, domains).set_index("domain")
    assert list(table["problems"]) == [75, 75] and table["lift"].is_monotonic_decreasing

    expected = []
    for name in ("hard", "mixed", "choice"):
        bench = Bench(records, name)
        runs = [best_base(bench), bench.natural()]
        frame = bench.frame(runs).loc[[f"{name}-{n}" for n in range(0, 50, 2)]]
        expected += list(100 * (frame[runs[1]] - frame[runs[0]]))
    assert table.loc["even", "lift"] == pytest.approx(sum(expected) / len(expected))


def test_without_domains_there_are_no_lifts_to_show(records):
    assert lifts_by_domain(records, {}).empty
    assert lifts_by_domain(records_from(synthetic_records(problems=3, samples=1)), {}).empty
