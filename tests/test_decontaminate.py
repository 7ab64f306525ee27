"""Decontamination (paper, section 2.1)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sample

from s1lib.curation.decontaminate import (
    benchmark_questions,
    decontaminate,
    overlaps,
    overlaps_across_sources,
)
from s1lib.curation.ngrams import Grams, Vocabulary, ngrams
from s1lib.curation.sources import read_questions
from s1lib.profile import ROOT, Benchmark, Evaluation, Profile

TEST = "the quick brown fox jumps over the lazy dog near the old river bank"


def test_one_shared_8_gram_drops_a_question_and_seven_words_do_not():
    tests = {"t/1": TEST}
    eight = sample(
        "eight", question="Yesterday the quick brown fox jumps over the lazy cat slept all day."
    )
    seven = sample(
        "seven", question="Yesterday the quick brown fox jumps over the cat slept all day."
    )
    found = decontaminate([eight, seven], tests, n=8)
    assert [s.id for s in found.kept] == ["seven"]
    assert found.audit["example"][0] == "the quick brown fox jumps over the lazy"


def test_case_and_white_space_do_not_hide_a_copy():
    copy = sample(
        "copy",
        question="  THE quick\n\nbrown FOX jumps\tover the lazy DOG near the old river bank ",
    )
    assert decontaminate([copy], {"t/1": TEST}, n=8).kept == []


def test_the_audit_counts_distinct_shared_ngrams_and_their_share():
    words = TEST.split()
    audit = overlaps(
        {"q": " ".join(words[:10]) + " and then something else happened"},
        {"t/1": TEST, "t/2": "unrelated words only"},
        n=8,
    )
    assert audit[["id", "test", "shared"]].values.tolist() == [["q", "t/1", 3]]
    assert audit["share"][0] == pytest.approx(3 / 8)


def test_a_question_shorter_than_n_words_is_contaminated_only_by_its_equal():
    tests = {"t/1": "What is 2 + 2?", "t/2": TEST}
    short = [
        sample("equal", question="what is 2 + 2?"),
        sample("part", question="the quick brown fox"),
    ]
    assert [s.id for s in decontaminate(short, tests, n=8).kept] == ["part"]


def test_of_exact_duplicates_the_first_stays_and_the_others_name_it():
    twins = [
        sample("a", question="One  two"),
        sample("b", question="three"),
        sample("c", question="one two"),
    ]
    found = decontaminate(twins, {}, n=8)
    assert [s.id for s in found.kept] == ["a", "b"]
    assert found.duplicates.values.tolist() == [["c", "textbook", "a"]]


@settings(max_examples=40)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 8), st.data())
def test_any_window_of_n_words_of_a_test_question_is_found(words, n, data):
    start = data.draw(st.integers(0, max(0, len(words) - n)))
    window = words[start : start + n]
    prefix, suffix = (
        data.draw(st.lists(st.just("x"), max_size=5)),
        data.draw(st.lists(st.just("y"), max_size=5)),
    )
    if len(window) < n:
        prefix = suffix = []
        window = words
    audit = overlaps({"q": " ".join(prefix + window + suffix)}, {"t": " ".join(words)}, n=n)
    assert audit["id"].tolist() == ["q"]


@given(st.text(alphabet="ab \n", max_size=40), st.integers(1, 8))
def test_a_text_has_at_most_one_ngram_per_starting_word(text, n):
    assert len(ngrams(text, n)) <= max(1, len(text.split()) - n + 1)


def test_every_question_of_the_profiles_benchmarks_is_compared_whatever_its_limit(tmp_path):
    path = tmp_path / "hard.jsonl"
    path.write_text('{"id": "a", "question": "Q1"}\n{"id": "b", "question": "Q2"}\n')
    profile = Profile(
        "p", evaluation=Evaluation(benchmarks=(Benchmark(name="hard", path=str(path), limit=1),))
    )
    assert benchmark_questions(profile) == {"hard/a": "Q1", "hard/b": "Q2"}


# ---- between sources, and at scale ---------------------------------------------------------------


def spaced(source, *questions):
    return [sample(f"{source}{i}", source=source, question=q) for i, q in enumerate(questions)]


def test_what_an_earlier_source_holds_is_dropped_from_a_later_one_and_named():
    first, later = (
        spaced("first", TEST),
        spaced(
            "later", f"Tell me: {TEST}?", "quite another question of more than eight words in all"
        ),
    )
    found = decontaminate([*first, *later], {}, n=8, across_sources=True)
    assert [s.id for s in found.kept] == ["first0", "later1"]
    assert found.audit[["id", "source", "test"]].values.tolist() == [
        ["later0", "later", "first/first0"]
    ]
    assert decontaminate([*first, *later], {}, n=8).audit.empty


def test_within_one_source_and_against_what_was_itself_dropped_nothing_is_compared():
    words = TEST.split()
    chain = [
        *spaced("a", " ".join(words[:9])),
        *spaced("b", " ".join([*words[1:], "and"])),
        *spaced("c", " ".join([*words[3:], "and so on"])),
    ]
    found = decontaminate(
        [*chain, *spaced("d", TEST + " x", TEST + " y")], {}, n=8, across_sources=True
    )
    # B0 meets a0; c0 met b0 alone, which is gone; d0 and d1 meet a0.
    assert [s.id for s in found.kept] == [
        "a0",
        "c0",
    ]
    same = decontaminate(spaced("d", TEST + " x", TEST + " y"), {}, n=8, across_sources=True)
    assert len(same.kept) == 2


words = st.lists(st.sampled_from("abc"), max_size=12).map(" ".join)


@given(st.lists(words, max_size=6), st.lists(words, max_size=6), st.integers(1, 4))
def test_the_fast_audit_agrees_with_comparing_every_pair_of_sets(questions, tests, n):
    named, held = (
        {f"q{i}": q for i, q in enumerate(questions)},
        {f"t{i}": t for i, t in enumerate(tests)},
    )
    slow = {
        (q, t, len(ngrams(named[q], n) & ngrams(held[t], n)))
        for q in named
        for t in held
        if ngrams(named[q], n) & ngrams(held[t], n)
    }
    assert (
        set(overlaps(named, held, n=n)[["id", "test", "shared"]].itertuples(index=False, name=None))
        == slow
    )


@given(st.lists(st.tuples(st.sampled_from("xyz"), words), max_size=8), st.integers(1, 4))
def test_across_sources_agrees_with_going_through_them_one_by_one(pairs, n):
    samples = [
        sample(str(i), source=source, question=question)
        for i, (source, question) in enumerate(pairs)
    ]
    kept, seen = [], set()
    for source in dict.fromkeys(s.source for s in samples):
        good = [s for s in samples if s.source == source and not ngrams(s.question, n) & seen]
        kept += good
        seen |= {gram for s in good for gram in ngrams(s.question, n)}
    audit = overlaps_across_sources(samples, n=n)
    assert set(audit["id"]) == {s.id for s in samples} - {s.id for s in kept}
    assert audit["id"].is_unique and (audit["share"] > 0).all()


def test_texts_beyond_one_block_of_words_keep_their_owners(monkeypatch):
    monkeypatch.setattr("s1lib.curation.ngrams.BLOCK", 5)
    texts = [f"one two three {i} five" for i in range(7)] + ["", "short"]
    grams = Grams.of(texts, n=3, vocabulary=Vocabulary())
    assert grams.owners.tolist() == [i for i in range(7) for _ in range(3)] + [8]
    assert len(set(grams.hashes.tolist())) == 1 + 7 * 2 + 1


# ---- real test sets ------------------------------------------------------------------------------

DATA = ROOT.parent / "shared" / "data"


@pytest.mark.skipif(
    not (DATA / "math500.jsonl").exists(), reason="needs MATH-500 and AIME in ../shared/data"
)
def test_planted_copies_of_real_test_questions_are_found_and_paraphrases_are_not():
    tests = {
        name: question
        for file in ("math500", "aime24", "aime25")
        for name, question in read_questions(str(DATA / f"{file}.jsonl")).items()
    }
    assert len(tests) == 560
    long = {name: q for name, q in tests.items() if len(q.split()) >= 16}
    filler = "Consider what follows with care before you answer:"
    plants = {
        "exact": dict(tests),
        "other case and spaces": {
            name: "  " + q.upper().replace(" ", "\n ") for name, q in tests.items()
        },
        "framed": {name: f"{filler} {q} Explain." for name, q in long.items()},
        "half": {
            name: f"{filler} {' '.join(q.split()[: len(q.split()) // 2])}"
            for name, q in long.items()
        },
        # Every seventh word changed: no eight in a row are left.
        "paraphrased": {
            name: " ".join("some" if i % 7 == 6 else w for i, w in enumerate(q.split()))
            for name, q in long.items()
        },
    }
    found = {}
    for kind, questions in plants.items():
        audit = overlaps(questions, tests, n=8)
        own = audit[audit["id"] == audit["test"]].set_index("id")["share"]
        found[kind] = (len(own) / len(questions), own.mean() if len(own) else 0.0)
    print(
        "found, mean share of 8-grams shared:",
        {kind: f"{rate:.1%}, {share:.2f}" for kind, (rate, share) in found.items()},
    )
    assert found["exact"] == found["other case and spaces"] == (1.0, 1.0)
    assert (
        found["framed"][0] == found["half"][0] == 1.0
        and 0.2 < found["half"][1] < found["framed"][1] < 1
    )
    assert found["paraphrased"][0] == 0.0  # the limit of n-grams, which the README names
