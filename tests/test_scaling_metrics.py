"""Metrics of the paper's tables, checked against its own numbers and against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from s1lib.drawing.intervals import wilson
from s1lib.published import paper_numbers
from s1lib.scaling import metrics
from s1lib.scaling.run_settings import TOKENS_PER_STEP


def exact(accuracy):
    """Accuracies on AIME24 before rounding: so many of 30 problems."""
    return np.round(np.asarray(accuracy, dtype=float) * 0.3) / 0.3


def runs(method):
    """Average thinking tokens, accuracies and limits of the runs behind one row of Table 3."""
    if method in ("TCC", "TCC+BF"):
        table = paper_numbers.load("table12").query("method == @method")
        return table["thinking_tokens"], table["accuracy"], table["limit"]
    if method in ("SCC", "SCC+BF"):
        table = paper_numbers.load("table13").query("method == @method")
        return table["thinking_tokens"], table["accuracy"], table["limit_steps"] * TOKENS_PER_STEP
    if method == "RS":
        table = paper_numbers.load("figure6")
        return table["thinking_tokens"], table["accuracy"], table["cap"]
    if method == "CCC":
        table = paper_numbers.load("table14").query("benchmark == 'AIME24'").set_index("class")
        return (
            table["thinking_tokens"][["short", "long"]],
            table["accuracy"][["short", "long"]],
            None,
        )
    table = paper_numbers.load("figure4a").query("series == 'budgets'")
    return table["thinking_tokens"], table["accuracy"], None


@pytest.mark.parametrize("method", ["BF", "TCC", "TCC+BF", "SCC", "SCC+BF", "CCC"])
def test_scaling_per_doubling_gives_the_numbers_of_table_3(method):
    printed = paper_numbers.load("table3").set_index("method")["scaling"][method]
    tokens, accuracy, _ = runs(method)
    assert round(float(metrics.scaling(tokens, exact(accuracy)))) == printed


def test_rejection_sampling_in_table_3_does_not_follow_from_figure_6():
    tokens, accuracy, _ = runs("RS")
    row = paper_numbers.load("table3").set_index("method").loc["RS"]
    assert metrics.scaling(tokens, exact(accuracy)) == pytest.approx(row["scaling_calc"], abs=0.05)
    assert row["scaling"] == -35


@pytest.mark.parametrize("method", ["TCC", "SCC", "RS"])
def test_control_gives_the_numbers_of_table_3(method):
    tokens, _, limits = runs(method)
    assert (
        metrics.control(tokens, limits)
        == paper_numbers.load("table3").set_index("method")["control"][method]
    )


def test_classes_are_controlled_when_short_thinks_less_than_default_and_long_more():
    tokens, _, _ = runs("CCC")
    default = (
        paper_numbers.load("table14")
        .query("benchmark == 'AIME24'")
        .set_index("class")["thinking_tokens"]["none"]
    )
    assert metrics.control(tokens, np.array([default, np.nan]), np.array([np.nan, default])) == 50


def test_control_counts_only_runs_with_a_limit():
    assert metrics.control([10, 99, 500], [16, 64, np.nan]) == 50
    assert np.isnan(metrics.control([10], [np.nan]))


@pytest.mark.parametrize("method", ["TCC", "TCC+BF", "SCC", "SCC+BF", "RS"])
def test_performance_is_the_best_run(method):
    assert (
        metrics.performance(runs(method)[1])
        == paper_numbers.load("table3").set_index("method")["performance"][method]
    )
    assert np.isnan(metrics.performance([]))


@given(
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.sampled_from([0.05, 0.1, 0.32]),
)
def test_wilson_agrees_with_scipy(counts, alpha):
    solved, n = counts
    low, high = wilson(solved, n, alpha=alpha)
    expected = stats.binomtest(solved, n).proportion_ci(1 - alpha, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_of_nothing_is_missing_not_an_error():
    assert np.isnan(wilson(0, 0)).all()


def test_one_pair_of_nearly_equal_length_decides_the_printed_scaling_of_tcc():
    tokens, accuracy, _ = runs("TCC")
    close = np.isin(tokens, [7108, 7158])
    total, pair = (
        10 * metrics.scaling(tokens, exact(accuracy)),
        metrics.scaling(tokens[close], exact(accuracy)[close]),
    )
    assert pair < -300
    assert (total - pair) / 9 == pytest.approx(10.2, abs=0.1)


@given(
    st.lists(st.tuples(st.integers(1, 200), st.integers(0, 30)), min_size=2, max_size=8),
    st.floats(0.1, 10),
    st.randoms(),
)
def test_scaling_and_slope_ignore_the_order_of_runs_and_the_unit_of_tokens(points, factor, random):
    shuffled = random.sample(points, len(points))
    for statistic in (metrics.scaling, metrics.slope):
        value = statistic(*np.array(points, dtype=float).T)
        again = statistic(*(np.array(shuffled, dtype=float).T * [[factor], [1]]))
        assert again == pytest.approx(value, rel=1e-6, abs=1e-6, nan_ok=True)


def test_both_slopes_find_a_straight_line_in_log_tokens():
    tokens = np.array([[16, 32, 128], [10, 20, 40]])
    accuracy = 3 + 7 * np.log2(tokens)
    assert metrics.scaling(tokens, accuracy) == pytest.approx([7, 7])
    assert metrics.slope(tokens, accuracy) == pytest.approx([7, 7])


def test_runs_of_equal_length_have_no_slope_and_runs_without_thinking_none_either():
    for statistic in (metrics.scaling, metrics.slope):
        assert np.isnan(statistic([64, 64.02], [10, 90]))
        assert np.isnan(statistic([0, 64], [10, 90]))
        assert np.isnan(statistic([], []))


def test_bootstrap_weights_resample_the_same_problems_for_every_run():
    weights = metrics.bootstrap_weights(20, resamples=500, seed=3)
    assert weights.sum(axis=1) == pytest.approx(np.ones(500))
    assert (weights == metrics.bootstrap_weights(20, resamples=500, seed=3)).all()
    shared = np.random.default_rng(0).random(20)
    draws = weights @ np.stack([shared, shared + 0.25], axis=1)
    assert draws[:, 1] - draws[:, 0] == pytest.approx(np.full(500, 0.25))


def test_the_bootstrap_interval_of_a_mean_matches_its_standard_error():
    values = np.random.default_rng(1).random(200)
    low, high = metrics.interval(metrics.bootstrap_weights(200) @ values)
    error = values.std() / np.sqrt(200)
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.1 * error
    )


BASES = st.lists(st.integers(0, 3), min_size=1, max_size=8)


@given(BASES)
def test_weights_of_replicas_sum_to_1(bases):
    weights = metrics.replica_weights(tuple(bases), resamples=50)
    assert weights.shape == (50, len(bases))
    assert weights.sum(axis=1) == pytest.approx(np.ones(50))


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_mean_over_resampled_seeds_varies_as_a_mean_of_so_many_seeds(seeds):
    values = np.random.default_rng(seeds).normal(size=seeds)
    draws = metrics.replica_weights((0,) * seeds, resamples=200_000) @ values
    assert draws.mean() == pytest.approx(values.mean(), abs=0.02)
    assert draws.var() == pytest.approx(values.var(ddof=1) / seeds, rel=0.02)


def test_seeds_are_resampled_within_bases_that_are_resampled():
    values = np.random.default_rng(1).normal([[0], [2]], 1, size=(2, 3))
    draws = metrics.replica_weights((0, 0, 0, 1, 1, 1), resamples=200_000) @ values.ravel()
    between = values.mean(axis=1).var(ddof=1) / 2
    within = (values.var(axis=1, ddof=1) / 3).mean() / 2
    assert draws.var() == pytest.approx(between + within, rel=0.02)


def test_one_replica_and_one_seed_of_each_base_add_nothing_that_is_not_there():
    assert (metrics.replica_weights((0,), resamples=20) == 1).all()
    weights = metrics.replica_weights((0, 1), resamples=200_000)
    assert (weights @ [1.0, 3.0]).var() == pytest.approx(2 / 2, rel=0.02)


def test_what_problems_alone_explain_of_the_seeds_counts_once():
    """Seeds that differ by their problems alone give the interval of problems alone."""
    gains = np.random.default_rng(2).normal(0, 40, size=(200, 3))
    by_seed = gains.mean(axis=0)
    draws = metrics.bootstrap_weights(200, resamples=20_000) @ gains
    weights = metrics.replica_weights((0, 0, 0), resamples=20_000)
    alike = metrics.over_seeds(draws - by_seed, np.zeros(3), weights)
    assert alike.var() == pytest.approx(gains.mean(axis=1).var() / 200, rel=0.05)

    # and seeds that differ by more add the variance of their mean, less that noise
    moved = np.array([-3.0, 0.0, 3.0])
    apart = metrics.over_seeds(draws - by_seed + moved, moved, weights)
    noise = gains.var() / 600
    assert apart.var() == pytest.approx(alike.var() + moved.var(ddof=1) / 3 - noise, rel=0.1)


def test_a_spread_that_is_known_from_few_seeds_has_few_degrees_of_freedom():
    """Problems alone give their number less one, seeds alone theirs, and bases count as bases."""
    rng = np.random.default_rng(1)
    problems = rng.normal(0, 1, size=(50_000, 1))
    alike = np.repeat(problems, 6, axis=1)
    assert metrics.freedom(problems[:, 0], alike, 200, (0,) * 6) == pytest.approx(199)
    for bases, expected in (((0,) * 6, 5), ((0, 0, 0, 1, 1, 1), 1)):
        moved = problems[:, 0] + rng.normal(0, 100, size=50_000)
        assert metrics.freedom(moved, alike, 200, bases) == pytest.approx(expected, rel=0.01)
    # equal parts of both, after Satterthwaite: (1 + 1)² / (1 / 199 + 1 / 2)
    both = problems[:, 0] + rng.normal(0, 1, size=50_000)
    found = metrics.freedom(both, alike[:, :3], 200, (0, 0, 0))
    assert found == pytest.approx(4 / (1 / 199 + 1 / 2), rel=0.05)


def test_the_p_value_of_few_degrees_of_freedom_is_that_of_students_t():
    draws = np.random.default_rng(0).normal(3, 1, size=200_000)
    expected = 2 * stats.t.sf(3, 2)
    assert metrics.p_value(3, draws, freedom=2) == pytest.approx(expected, rel=0.02)


def test_the_p_value_is_that_of_a_normal_effect():
    draws = np.random.default_rng(0).normal(3, 1.5, size=200_000)
    assert metrics.p_value(3, draws) == pytest.approx(2 * stats.norm.sf(2), rel=0.03)
    assert metrics.p_value(3, draws, null=3) == 1
    assert (metrics.p_value(0, np.zeros(9)), metrics.p_value(5, np.full(9, 5))) == (1, 0)


def test_holm_adjusts_as_by_hand():
    """Smallest first: 3 x 0.01, then the larger of that and 2 x 0.03, then of that and 0.04."""
    p = np.array([0.01, np.nan, 0.04, 0.03])
    assert metrics.holm(p) == pytest.approx([0.03, np.nan, 0.06, 0.06], nan_ok=True)
    assert metrics.holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])
    assert len(metrics.holm(np.array([]))) == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_counts_the_discordant_problems_only(pairs):
    a, b = np.array(pairs, dtype=float).T
    result = metrics.mcnemar(a, b)
    assert (result.gained, result.lost) == (pairs.count((False, True)), pairs.count((True, False)))
    discordant = result.gained + result.lost
    assert result.p == (
        pytest.approx(stats.binomtest(result.gained, discordant).pvalue) if discordant else 1.0
    )


def test_mcnemar_does_not_apply_to_means_over_several_samples():
    assert np.isnan(metrics.mcnemar(np.array([0.5, 1]), np.array([1, 1])).p)


def test_the_minimal_detectable_difference_has_the_power_it_promises():
    n, discordant = 300, 0.2
    difference = metrics.minimal_detectable_difference(n, discordant=discordant) / 100
    gained, lost = (discordant + difference) / 2, (discordant - difference) / 2
    drawn = np.random.default_rng(0).multinomial(n, [gained, lost, 1 - discordant], size=4000)
    z = np.abs(drawn[:, 0] - drawn[:, 1]) / np.sqrt(drawn[:, 0] + drawn[:, 1])
    assert np.mean(z > stats.norm.isf(0.025)) == pytest.approx(0.8, abs=0.03)


def test_thirty_problems_with_a_fifth_discordant_show_nothing():
    assert np.isnan(metrics.minimal_detectable_difference(30, discordant=0.2))
    assert np.isnan(metrics.minimal_detectable_difference(0, discordant=0.2))
