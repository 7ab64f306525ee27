"""The claims table: its rules, effects that are there, and a reason for what is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_records import synthetic_records

from s1lib.scaling import claimed_effects, effects
from s1lib.scaling.claims import RULES, RuleError, claims, read_rules, rules_table
from s1lib.scaling.effects import Bench, Missing
from s1lib.scaling.records import records_from
from s1lib.scaling.verdicts import claims_table, verdict
from s1lib.scaling.vote_curve import _curve, _pattern, vote_curve
from s1lib.thinking.voting import expected_accuracy

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
        ("greater", -1, 1.9, "does not hold"),  # what may be there is too small to matter
        ("greater", 0.1, 1.9, "does not hold"),
        ("greater", 0.1, 3, "inconclusive"),  # there is something, and it may matter or not
        ("greater", -1, 9, "inconclusive"),
        ("greater", 0, 9, "inconclusive"),
        ("greater", 1e-12, 9, "inconclusive"),
        ("less", -9, -0.1, "holds"),
        ("less", 0.1, 9, "does not hold"),
        ("less", -9, 1, "inconclusive"),
        ("less", -9, -1e-12, "inconclusive"),
        ("not worse", -1.9, 30, "holds"),
        ("not worse", -2, 30, "inconclusive"),
        ("not worse", -30, -2.1, "does not hold"),
        ("greater", np.nan, np.nan, "n/a"),
    ],
)
def test_a_verdict_follows_from_the_interval_and_what_matters(direction, low, high, expected):
    assert verdict(direction, 2, (low + high) / 2, low, high) == expected


def test_a_claim_that_one_seed_contradicts_does_not_hold_yet():
    assert verdict("greater", 2, 5, 1, 9, [8, 8, 0.1]) == "holds"
    assert verdict("greater", 2, 5, 1, 9, [8, 8, -0.1]) == "inconclusive"
    assert verdict("less", 2, -5, -9, -1, [-8, -8, 0.1]) == "inconclusive"


def test_one_broken_limit_breaks_the_claim_of_control():
    assert verdict("always", 0, 100, 100, 100) == "holds"
    assert verdict("always", 0, 99.9, 99.7, 100) == "does not hold"


ORDER = ["does not hold", "inconclusive", "holds"]
FLOATS = st.floats(-20, 20)


@given(st.sampled_from(["greater", "less", "not worse"]), FLOATS, FLOATS, FLOATS, st.floats(0, 20))
def test_a_better_effect_never_has_a_worse_verdict(direction, one, other, seed, better):
    low, high = sorted((one, other))
    numbers = np.array([(low + high) / 2, low, high, seed])
    shift = -better if direction == "less" else better
    before, after = (
        ORDER.index(verdict(direction, 2, *some[:3], some[3:]))
        for some in (numbers, numbers + shift)
    )
    assert before <= after


def test_every_claim_is_declared_once_and_judged_where_it_says(table, records):
    assert table["declared"].sum() == len(claims(votes=VOTES)) == table["claim"].nunique()
    assert len(table) == len(claims()) * (len(records.benchmarks) + 1)
    assert set(table["benchmark"][table["declared"]]) == {"all", "hard"}


@pytest.mark.parametrize(
    "text",
    [
        "rises with the budget",
        "raises accuracy beyond",
        "add less than the first",
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


def test_a_method_against_itself_has_no_effect_and_p_1(records):
    bench = Bench(records, "hard", resamples=500)
    effect = effects.difference(bench, bench.natural(), bench.natural())
    assert (effect.value, effect.p_value()) == (0, 1)
    assert (effect.draws == 0).all() and set(effect.by_seed.values()) == {0}


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
    assert row["verdict"] != "n/a" and row["note"].endswith("left out: the same traces")


def test_another_string_is_compared_at_the_tokens_that_it_spends(records):
    bench = Bench(records, "hard", resamples=100)
    hmm = bench.waits("Hmm", 2)
    effect = claimed_effects.strings(bench, "Hmm", waits=2)
    # "Hmm" thinks as long as "Wait" here, so that the curve is read off at its own point
    same = effects.difference(bench, hmm, bench.waits("Wait", 2))
    assert effect.value == pytest.approx(same.value)
    assert effect.draws == pytest.approx(same.draws)


def test_a_set_is_compared_on_the_curve_of_s1_at_its_own_tokens(rows):
    """A set whose model thinks as long as one Wait of s1 is compared with that point."""
    longer = [
        {**row, "thinking_tokens": row["thinking_tokens"] + 90}
        if row["model"] == "longest"
        else row
        for row in rows
    ]
    bench = Bench(records_from(longer), "hard", resamples=100)
    effect = claimed_effects.curation_at_equal_tokens(bench, "longest")
    one_wait = effects.difference(bench, bench.natural("longest"), bench.waits("Wait", 1))
    assert effect.value == pytest.approx(one_wait.value)
    assert effect.value != pytest.approx(claimed_effects.curation(bench, "longest").value)


def test_steps_are_counted_against_the_steps_that_the_prompt_allows(rows):
    some = [row for row in rows if row["method"] == "step_conditional"]
    broken = 100 * np.mean([row["steps_used"] > row["parameters"]["steps"] for row in some])
    table = claims_table(records_from(rows), votes=VOTES, resamples=100)
    row = declared(table, "Step-conditional")
    assert row["effect"] == pytest.approx(broken) and broken > 0
    assert all(row["thinking_tokens"] <= 100 * row["parameters"]["steps"] for row in some)


def test_the_end_of_the_curve_is_judged_by_what_it_gains_and_by_what_it_loses(records):
    bench = Bench(records, "hard", resamples=100)
    effect = claimed_effects.loses_nothing(bench, waits=2)
    assert effect.note == "hard: 6 Waits against 2, 0 % cut at the longest limit"
    with pytest.raises(Missing, match="no more than 6 Waits"):
        claimed_effects.loses_nothing(bench, waits=6)


def test_every_rule_is_complete_and_shown(table):
    shown = rules_table()
    assert list(shown["claim"]) == list(dict.fromkeys(table["claim"]))
    assert not shown.eq("").any().any() and "{" not in " ".join(shown["claim"])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("direction: greater", "direction: larger", "rises: direction is 'larger', not one of"),
        ("matters: 1", "matters: some", "rises: matters is 'some', not a number"),
        ("  judged: all", "  judged: easy", "rises: judged is 'easy', not one of"),
        ("  kind: open\n", "", "loses_nothing: the key 'kind' is missing or not known"),
        ("rises:", "rises", "mapping values are not allowed"),
    ],
)
def test_a_rule_that_cannot_be_used_is_one_clear_line(tmp_path, before, after, message):
    path = tmp_path / "claims.yaml"
    path.write_text(RULES.read_text(encoding="utf-8").replace(before, after, 1), encoding="utf-8")
    with pytest.raises(RuleError, match=message) as error:
        read_rules(path)
    assert "\n" not in str(error.value)


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
    assert declared(table, "Token-conditional")["paper"] == 60


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
    assert declared(table, "add less")["verdict"] == "n/a"
    assert "no benchmark in the role of AIME24" in declared(table, "add less")["note"]
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


def test_no_correct_answer_at_all_is_no_effect_and_no_error(rows):
    table = claims_table(
        records_from(
            {**row, "correct": False, "extracted": None}
            for row in rows
            if row["benchmark"] == "hard"
        ),
        resamples=100,
    )
    assert declared(table, "raises accuracy beyond")["verdict"] == "does not hold"
    assert (declared(table, "raises accuracy beyond")[["effect", "low", "high"]] == 0).all()


def test_sequential_and_parallel_are_compared_at_equal_decoded_tokens(records):
    bench = Bench(records, "hard", resamples=200)
    run = records.find(method="majority")[0]
    accuracy, tokens = vote_curve(bench, run, VOTES)
    assert list(accuracy.columns) == list(VOTES)
    assert accuracy[1].mean() == pytest.approx(bench.frame([run])[run].mean())
    # Two votes: a tie is worth as much as one of them.
    assert accuracy[2].mean() == pytest.approx(accuracy[1].mean())
    assert tokens[8].mean() == pytest.approx(8 * tokens[1].mean())
    effect = claimed_effects.equal_tokens(bench, waits=2, votes=VOTES)
    total = bench.frame([bench.waits("Wait", 2)], "total_tokens").to_numpy().mean()
    spent = total - 2  # the two Waits were appended, not decoded
    assert f"{spent:.0f} tokens (6 of the answer; prompt 60)" in effect.note
    low, high = sorted(100 * accuracy[[2, 4]].mean())
    assert (
        low <= 100 * bench.frame([bench.waits("Wait", 2)]).to_numpy().mean() - effect.value <= high
    )


def test_samples_that_spell_one_value_in_several_ways_vote_together():
    answers = [("1/2", True), ("0.5", True), ("\\frac12", True), ("3", False), ("3", False)]
    curve = _curve(_pattern([*answers, (None, False)]))
    assert curve == pytest.approx(expected_accuracy(*zip(*answers, (None, False), strict=True)))
    assert curve[-1] == 1  # three of one value against two of another


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
