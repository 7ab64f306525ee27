"""Majority vote: exact over all subsets, the paper's first-k reading beside it."""

import asyncio
from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, char_chat, random_traces

from s1lib.thinking.budget import Budget, BudgetError
from s1lib.thinking.thinker import Thinker
from s1lib.thinking.voting import expected_accuracy, majority, sample_traces

CHAT = char_chat()
answer_lists = st.lists(st.sampled_from(["1", "2", "3", "4", None]), min_size=1, max_size=8)


def by_counting(answers, right, k):
    """The definition: over all subsets of size k, the share of the winners that are right."""
    credits = []
    for subset in combinations(answers, k):
        votes = Counter(a for a in subset if a is not None)
        winners = [a for a in votes if votes[a] == max(votes.values())]
        credits.append(np.mean([a in right for a in winners]) if winners else 0.0)
    return np.mean(credits)


@settings(max_examples=80, deadline=None)
@given(answer_lists, st.sets(st.sampled_from(["1", "2", "3", "4"])))
def test_the_expectation_is_the_mean_over_all_subsets(answers, right):
    curve = expected_accuracy(answers, [answer in right for answer in answers])
    assert curve == pytest.approx(
        [by_counting(answers, right, k) for k in range(1, len(answers) + 1)]
    )


@settings(max_examples=50, deadline=None)
@given(answer_lists, st.randoms())
def test_the_order_of_the_samples_does_not_matter(answers, random):
    shuffled = random.sample(answers, len(answers))
    one, other = (
        expected_accuracy(order, [answer == "1" for answer in order])
        for order in (answers, shuffled)
    )
    assert one == pytest.approx(other)


def test_one_vote_is_the_mean_accuracy_and_all_votes_the_majority():
    curve = expected_accuracy(["7", "8", "7", "9", "7"], [True, False, True, False, True])
    assert curve[0] == pytest.approx(0.6)
    assert curve[-1] == 1.0


def test_a_tie_gives_each_answer_its_fair_share():
    assert expected_accuracy(["7", "8"], [True, False])[1] == pytest.approx(0.5)
    assert expected_accuracy(["7", "8", "9"], [True, False, True])[2] == pytest.approx(2 / 3)


def test_a_sample_without_an_answer_never_wins():
    assert expected_accuracy([None, None, "7"], [False, False, True])[2] == 1.0
    assert list(expected_accuracy([None, None], [False, False])) == [0.0, 0.0]
    assert majority([None, None, "7"]) == "7"
    assert majority([None, None]) is None


def test_sixty_four_votes_stay_exact():
    answers = [str(i % 7) for i in range(64)]
    curve = expected_accuracy(answers, [a == "0" for a in answers])
    # "0" has 10 votes, the others 9.
    assert curve[0] == pytest.approx(10 / 64)
    assert curve[-1] == pytest.approx(1.0)
    assert ((curve > 0) & (curve <= 1 + 1e-9)).all()


VALUES = {"1/2": ["1/2", "0.5", r"\frac{1}{2}"], "3": ["3", "3.0", "03"], "4": ["4"], None: [None]}


def test_a_value_in_several_spellings_is_one_candidate():
    votes = ["1/2", "0.5", r"\frac{1}{2}", "3", "3"]
    assert majority(votes) == "1/2"
    assert expected_accuracy(votes, [True] * 3 + [False] * 2)[-1] == 1.0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=8), st.randoms())
def test_how_an_answer_is_spelled_changes_no_vote(values, random):
    spelled = [random.choice(VALUES[value]) for value in values]
    right = [value == "1/2" for value in values]
    assert expected_accuracy(spelled, right) == pytest.approx(expected_accuracy(values, right))
    winner = majority(values)
    assert majority(spelled) in VALUES[winner]


def test_spellings_of_one_value_with_unequal_grades_are_two_candidates():
    curve = expected_accuracy(["1/2", "0.5", "3", "3"], [True, False, False, False])
    assert curve[0] == pytest.approx(0.25) and curve[-1] == 0.0


def test_equal_answers_with_unequal_grades_are_refused():
    with pytest.raises(ValueError, match="'7' is graded both right and wrong"):
        expected_accuracy(["7", "7"], [True, False])


def test_the_official_reading_breaks_ties_by_first_sight():
    assert majority(["8", "7", "7", "8"]) == "8"
    assert majority(["7", "8", "8", "7"]) == "7"
    assert {majority(order) for order in permutations(["1", "2"])} == {"1", "2"}


def test_samples_differ_repeat_and_begin_like_fewer_samples():
    def draw(n, seed):
        engine = ScriptedEngine(random_traces(CHAT, 1, end=0.05))
        thinker = Thinker(engine, CHAT, temperature=1.0, seed=seed)
        traces = asyncio.run(sample_traces(thinker, "Q", n, Budget(answer_tokens=9)))
        return [CHAT.decode(trace.thinking_ids) for trace in traces]

    assert len(set(draw(8, seed=0))) == 8
    assert draw(8, seed=0)[:3] == draw(3, seed=0)
    assert draw(3, seed=0) != draw(3, seed=1)


def test_sampling_at_temperature_0_is_refused():
    with pytest.raises(BudgetError, match="above 0"):
        thinker = Thinker(ScriptedEngine(random_traces(CHAT, 1)), CHAT, temperature=0.0, seed=0)
        asyncio.run(sample_traces(thinker, "Q", 2, Budget()))
