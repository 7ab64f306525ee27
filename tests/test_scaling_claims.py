"""The claims table: its rules, effects that are there, and a reason for what is not."""

import numpy as np
import pytest
from synthetic_records import synthetic_records

from s1lib.scaling import claimed_effects, effects
from s1lib.scaling.claims import MARGIN, claims
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.records import records_from
from s1lib.scaling.verdicts import claims_table, verdict
from s1lib.scaling.vote_curve import vote_curve

VOTES = (1, 2, 4, 8)


@pytest.fixture(scope="module")
def rows():
    return synthetic_records(problems=150)


@pytest.fixture(scope="module")
def records(rows):
    return records_from(rows)


@pytest.fixture(scope="module")
def table(records):
    return claims_table(records, votes=VOTES, resamples=2000)


def declared(table, text):
    found = table[table["declared"] & table["claim"].str.contains(text, regex=False)]
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize(
    ("direction", "low", "high", "expected"),
    [
        ("greater", 0.1, 9, "holds"),
        ("greater", -9, -0.1, "does not hold"),
        ("greater", -1, 9, "inconclusive"),
        ("greater", 0, 9, "inconclusive"),
        ("less", -9, -0.1, "holds"),
        ("less", 0.1, 9, "does not hold"),
        ("less", -9, 1, "inconclusive"),
        ("equal", -MARGIN, MARGIN, "holds"),
        ("equal", MARGIN + 0.1, 20, "does not hold"),
        ("equal", -20, -MARGIN - 0.1, "does not hold"),
        ("equal", 1, MARGIN + 1, "inconclusive"),
        ("greater", np.nan, np.nan, "n/a"),
    ],
)
def test_a_verdict_follows_from_the_interval_and_the_claimed_direction(
    direction, low, high, expected
):
    assert verdict(direction, (low + high) / 2, low, high) == expected


def test_one_broken_limit_breaks_the_claim_of_control():
    assert verdict("always", 100, 100, 100) == "holds"
    assert verdict("always", 99.9, 99.7, 100) == "does not hold"
    assert verdict("not always", 99.9, 99.7, 100) == "holds"
    assert verdict("not always", 100, 100, 100) == "does not hold"


def test_every_claim_is_declared_once_and_judged_where_it_says(table, records):
    assert table["declared"].sum() == len(claims(votes=VOTES)) == table["claim"].nunique()
    assert len(table) == len(claims()) * (len(records.benchmarks) + 1)
    assert set(table["benchmark"][table["declared"]]) == {"all", "hard"}


@pytest.mark.parametrize(
    "text",
    [
        "rises with the budget",
        "raises accuracy beyond",
        "flattens",
        "keeps every limit",
        "same size: diverse",
        "same size: longest",
        "beats no string",
        "lifts the base model",
    ],
)
def test_an_effect_that_is_in_the_records_is_found(table, text):
    assert declared(table, text)["verdict"] == "holds"


def test_an_effect_that_runs_the_other_way_does_not_hold(rows):
    swapped = {"s1": "diverse", "diverse": "s1"}
    natural = [
        row
        for row in rows
        if row["method"] == "budget_forcing" and row["parameters"]["max_thinking"] is None
    ]
    table = claims_table(
        records_from({**row, "model": swapped.get(row["model"], row["model"])} for row in natural),
        resamples=1000,
    )
    assert declared(table, "same size: diverse")["verdict"] == "does not hold"


def test_a_method_against_itself_is_inconclusive_with_p_1(records):
    bench = Bench(records, "hard", resamples=500)
    effect = effects.difference(bench, bench.natural(), bench.natural())
    assert (effect.value, effect.p, effect.gained, effect.lost) == (0, 1, 0, 0)
    assert verdict("greater", 0, *np.quantile(effect.draws, [0.025, 0.975])) == "inconclusive"


def test_two_strings_that_give_the_same_traces_are_one_run_and_no_claim(rows):
    """A model that writes "Wait" by itself gives the same traces where no string is appended."""
    waited = [row for row in rows if row["parameters"].get("wait") == "Wait"]
    others = [row for row in rows if row["parameters"].get("wait") != ""]
    same = [{**row, "parameters": {**row["parameters"], "wait": ""}} for row in waited]
    table = claims_table(records_from([*others, *same]), votes=VOTES, resamples=100)
    row = declared(table, '"Wait" beats no string')
    assert (row["verdict"], row["note"]) == ("n/a", "the same traces")
    assert declared(table, '"Wait" beats "Hmm"')["verdict"] != "n/a"

    at = next(at for at, row in enumerate(same) if row["parameters"]["waits"] == 2)
    changed = [*same]
    changed[at] = {**same[at], "answer_tokens": same[at]["answer_tokens"] + 1}
    table = claims_table(records_from([*others, *changed]), votes=VOTES, resamples=100)
    row = declared(table, '"Wait" beats no string')
    assert (row["verdict"], row["note"]) == ("inconclusive", "left out: the same traces")


def test_differences_are_paired_over_problems(records):
    """The interval of a paired difference is narrower than that of two independent accuracies."""
    bench = Bench(records, "hard")
    before, after = bench.natural(), bench.waits("Wait", 2)
    paired = effects.difference(bench, before, after)
    correct = bench.frame([before, after])
    assert paired.value == pytest.approx(100 * (correct[after].mean() - correct[before].mean()))
    assert paired.draws.std() < 0.9 * 100 * np.sqrt(correct.var().sum() / len(correct))


def test_pooled_effects_are_means_over_benchmarks_and_counts_are_summed(records, table):
    rows = table[table["claim"].str.startswith("Ignoring")].set_index("benchmark")
    assert rows["effect"]["all"] == pytest.approx(
        rows["effect"][["hard", "mixed", "choice"]].mean()
    )
    assert rows["n"]["all"] == 450
    assert rows["p"]["all"] < rows["p"][["hard", "mixed", "choice"]].min()


def test_the_papers_value_stands_beside_each_claim(table):
    assert declared(table, "raises accuracy beyond")["paper"] == pytest.approx(3.3)
    assert declared(table, "same size: random")["paper"] == pytest.approx(np.mean([13.3, 2.4, 5.6]))
    assert declared(table, "Token-conditional")["paper"] == 40


def test_what_no_record_shows_is_not_available_with_the_reason():
    rows = [row for row in synthetic_records(problems=10) if row["method"] != "token_conditional"]
    row = declared(claims_table(records_from(rows), resamples=50), "Token-conditional")
    assert row["verdict"] == "n/a" and np.isnan(row["effect"])
    assert row["note"] == "no records of method token_conditional with a limit"


def test_a_profile_without_votes_leaves_that_claim_open(records):
    row = declared(claims_table(records, votes=(), resamples=50), "majority vote")
    assert (row["verdict"], row["note"]) == ("n/a", "no votes in this profile")


def test_a_missing_benchmark_leaves_its_claims_open_and_is_named():
    table = claims_table(
        records_from(synthetic_records(problems=20, benchmarks=("mixed",))), resamples=200
    )
    assert declared(table, "flattens")["verdict"] == "n/a"
    assert "no benchmark in the role of AIME24" in declared(table, "flattens")["note"]
    assert declared(table, "rises with the budget")["n"] == 20


def test_a_method_missing_on_one_benchmark_is_said_beside_the_pooled_value(rows):
    some = [row for row in rows if not (row["model"] == "random" and row["benchmark"] == "mixed")]
    row = declared(claims_table(records_from(some), resamples=200), "same size: random")
    assert row["n"] == 300 and "left out: no records of model random" in row["note"]


@pytest.mark.parametrize("problems", [1, 2])
def test_a_handful_of_problems_divides_by_nothing(problems):
    table = claims_table(
        records_from(synthetic_records(problems=problems, samples=1)), resamples=100
    )
    assert set(table["verdict"]) <= {"holds", "does not hold", "inconclusive", "n/a"}


def test_no_correct_answer_at_all_is_inconclusive_not_an_error(rows):
    table = claims_table(
        records_from(
            {**row, "correct": False, "extracted": None}
            for row in rows
            if row["benchmark"] == "hard"
        ),
        resamples=100,
    )
    assert declared(table, "raises accuracy beyond")["verdict"] == "inconclusive"
    assert (declared(table, "raises accuracy beyond")[["effect", "low", "high"]] == 0).all()


def test_sequential_and_parallel_are_compared_at_equal_total_tokens(records):
    bench = Bench(records, "hard", resamples=200)
    run = records.find(method="majority")[0]
    accuracy, tokens = vote_curve(bench, run, VOTES)
    assert list(accuracy.columns) == list(VOTES)
    assert accuracy[1].mean() == pytest.approx(bench.frame([run])[run].mean())
    # Two votes: a tie is worth as much as one of them.
    assert accuracy[2].mean() == pytest.approx(accuracy[1].mean())
    assert tokens[8].mean() == pytest.approx(8 * tokens[1].mean())
    effect = claimed_effects.equal_tokens(bench, waits=2, votes=VOTES)
    spent = bench.frame([bench.waits("Wait", 2)], "total_tokens").to_numpy().mean()
    assert f"{spent:.0f} tokens" in effect.note
    low, high = sorted(100 * accuracy[[2, 4]].mean())
    assert (
        low <= 100 * bench.frame([bench.waits("Wait", 2)]).to_numpy().mean() - effect.value <= high
    )


def test_votes_that_were_not_sampled_are_not_made_up(records):
    accuracy, _ = vote_curve(Bench(records, "hard"), records.find(method="majority")[0], (4, 8, 16))
    assert list(accuracy.columns) == [4, 8]
    with pytest.raises(Missing, match="fewer samples per problem"):
        vote_curve(Bench(records, "hard"), records.find(method="majority")[0], (16,))


def test_the_scale_of_rejection_sampling_is_measured_on_problems_that_fit_every_cap(records):
    bench = Bench(records, "hard", resamples=200)
    runs = records.find(method="rejection")
    kept = effects.always_accepted(bench, runs)
    assert 0 < len(kept) < 150
    assert claimed_effects.rejection(bench).n == len(kept)


def test_budgets_that_cut_nothing_do_not_flatten_the_slope(records):
    bench = Bench(records, "mixed", resamples=200)
    labels = list(records.runs["label"][claimed_effects.below_natural(bench)])
    assert labels[0] == "budget 16" and labels[-1] == "natural stop" and "budget 96" not in labels


def test_the_base_model_is_given_its_best_run(rows):
    thinking = [
        {**row, "model": "base", "method": "budget_forcing", "parameters": {"max_thinking": None}}
        for row in rows
        if row["model"] == "full"
    ]
    records = records_from(rows + thinking)
    effect = claimed_effects.lifts(Bench(records, "hard", resamples=100))
    assert "base at its best (natural stop)" in effect.note
