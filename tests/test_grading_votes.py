"""Classes of equal answers: what one vote counts as one candidate."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from s1lib.grading import answer_classes


def test_one_value_in_several_spellings_is_one_class():
    assert answer_classes(["1/2", "0.5", r"\frac{1}{2}", "3", "3"]) == [0, 0, 0, 1, 1]


def test_an_answer_that_could_not_be_read_stays_none():
    assert answer_classes([None, "3", None, r"\sqrt{9}"]) == [None, 0, None, 0]
    assert answer_classes([]) == []


def test_what_would_join_two_values_joins_none():
    assert answer_classes(["50%", "50", "0.5", r"50\%"]) == [0, 1, 2, 0]
    assert answer_classes(["(-2,1)", "-2,1", "(1,-2)"]) == [0, 1, 2]
    assert answer_classes(["2+3", "5"]) == [0, 1]


def test_identical_answers_and_numbers_never_reach_a_worker(monkeypatch):
    def asked(*_):
        raise AssertionError("a worker was asked")

    monkeypatch.setattr("s1lib.grading.processes._verify", asked)
    assert answer_classes([r"x+\pi"] * 64) == [0] * 64
    samples = ["07", "7", "1,000", "1000", "1/2", "0.5", "12"] * 9 + [None]
    start = time.perf_counter()
    for problem in range(500):
        assert answer_classes([*samples, str(problem + 2000)])[:7] == [0, 0, 1, 1, 2, 2, 3]
    assert time.perf_counter() - start < 5.0


SPELLINGS = {
    "one half": ["1/2", "0.5", "½", r"\frac12"],
    "seven": ["7", "07", "7.0"],
    "root": [r"2\sqrt{2}", r"\sqrt{8}", "2√2"],
    "none": [None],
}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.sampled_from([(name, s) for name, forms in SPELLINGS.items() for s in forms]),
        max_size=12,
    ),
    st.randoms(),
)
def test_classes_are_the_values_whatever_the_order_of_the_samples(drawn, random):
    random.shuffle(drawn)
    order = list(dict.fromkeys(name for name, spelling in drawn if spelling is not None))
    assert answer_classes([spelling for _, spelling in drawn]) == [
        None if s is None else order.index(n) for n, s in drawn
    ]
