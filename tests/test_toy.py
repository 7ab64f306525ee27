"""The toy universe: its arithmetic, teacher, text, pool, and training that repeats exactly."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s1lib.chat import ChatFormat
from s1lib.hardware.plain_attention import causal_mask
from s1lib.keeping.hashes import hash_of_model
from s1lib.profile import BaseModel, Universe, load_profile
from s1lib.thinking import reward_model
from s1lib.toy import batching, corpus, gate, models, pretrain, reward_training, universe
from s1lib.toy.families import FAMILIES, OPERATORS
from s1lib.toy.muon import orthogonalise
from s1lib.toy.problems import LABELS, LETTERS, Step, draw_problem
from s1lib.toy.teacher import ALTERNATIVELY, HMM, WAIT, by_digits, compare, is_right, solve
from s1lib.toy.tokenizer import CHECK, build_tokenizer

TINY = BaseModel(
    hidden_size=32,
    layers=1,
    heads=2,
    kv_heads=2,
    intermediate_size=32,
    tokens=6000,
    extra_tokens=3000,
    max_tokens=13000,
)
SMALL = Universe(pool_size=600, benchmark_size=30)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


seeds = st.integers(0, 10**6)


def a_problem(seed: int, *, steps: int | None = None, choice: bool = False):
    rng = random.Random(seed)
    return draw_problem(
        rng, rng.choice(FAMILIES), steps or rng.randint(1, len(LABELS)), choice=choice, hard=0.5
    )


# ---- arithmetic and teacher ----


@given(st.integers(0, 99), st.sampled_from(OPERATORS), st.integers(0, 99))
def test_working_by_digits_ends_in_the_right_result(value, operator, operand):
    step = Step(operator, operand)
    expected = {"+": value + operand, "-": value - operand, "*": value * operand}[operator] % 100
    assert step.apply(value) == expected
    assert by_digits(value, step).endswith(f" so {expected:02d}")


@given(st.integers(0, 99), st.sampled_from(OPERATORS), st.integers(0, 99))
def test_every_equation_of_the_working_holds(value, operator, operand):
    for equation in by_digits(value, Step(operator, operand)).split(" so ")[0].split(","):
        left, right = equation.split("=")
        digits = [int(digit) for digit in left.replace("*", "+").replace("-", "+").split("+")]
        if "b" in right:
            digit, borrow = right.split("b")
            assert digits[0] - sum(digits[1:]) == int(digit) - 10 * int(borrow)
        else:
            assert int(right) == (digits[0] * digits[1] if "*" in left else sum(digits))


@given(seeds, st.booleans())
def test_a_teacher_that_never_slips_reaches_the_gold_answer(seed, choice):
    problem = a_problem(seed, choice=choice)
    assert solve(problem, random.Random(seed)).answer == problem.gold


@given(seeds, st.booleans())
def test_enough_waits_mend_every_slip(seed, choice):
    """Two steps a Wait: after (K + 1) // 2 of them all K steps were solved digit by digit."""
    problem = a_problem(seed, choice=choice)
    waits = [WAIT] * ((len(problem.steps) + 1) // 2)
    solution = solve(problem, random.Random(seed), slip_rate=0.9, markers=waits)
    assert solution.answer == problem.gold
    assert solution.values == problem.values


def test_a_wait_solves_two_steps_again_a_hmm_one_and_alternatively_starts_over():
    problem = a_problem(3, steps=6)
    careful = {
        word: solve(problem, random.Random(0), markers=[word]).text.count(" so ")
        for word in (WAIT, HMM, ALTERNATIVELY)
    }
    assert careful == {WAIT: 2, HMM: 1, ALTERNATIVELY: 0}
    assert (
        "Alternatively, from the start\na: "
        in solve(problem, random.Random(0), markers=[ALTERNATIVELY]).text
    )


def test_a_wait_after_everything_is_checked_says_so():
    problem = a_problem(5, steps=2)
    assert solve(problem, random.Random(0), markers=[WAIT, WAIT]).text.splitlines()[-2:] == [
        "Wait, all steps are done",
        f"result {problem.result:02d}",
    ]


@given(seeds, st.booleans())
def test_every_line_is_judged_by_the_value_it_states(seed, choice):
    problem = a_problem(seed, choice=choice)
    markers = [WAIT, HMM, WAIT, ALTERNATIVELY]
    assert all(
        is_right(problem, line)
        for line in solve(problem, random.Random(seed), markers=markers).lines
    )
    # Every line changes the value it should have.
    slipped = solve(problem, random.Random(seed), slip_rate=1.0)
    first, last = slipped.lines[0], slipped.lines[-1]
    assert not is_right(problem, first)
    assert is_right(problem, last) == (slipped.values[-1] == problem.result)


@given(seeds)
def test_an_option_is_compared_digit_by_digit_as_far_as_it_agrees(seed):
    rng = random.Random(seed)
    option, result = f"{rng.randrange(100):02d}", f"{rng.randrange(100):02d}"
    told = compare(option, result)
    assert told.endswith(" no") == (option != result)
    assert told.count(" vs ") == 1 + (option[0] == result[0])


@given(seeds)
def test_options_are_distinct_and_hold_the_result(seed):
    problem = a_problem(seed, choice=True)
    assert len(set(problem.options)) == len(LETTERS)
    assert problem.options[LETTERS.index(problem.gold)] == problem.result


# ---- tokens ----


@given(seeds, st.booleans())
@settings(max_examples=50)
def test_text_survives_the_tokenizer_and_holds_no_unknown_token(seed, choice):
    tokenizer = build_tokenizer()
    chat = ChatFormat(tokenizer)
    problem = a_problem(seed, choice=choice)
    solution = solve(
        problem, random.Random(seed), slip_rate=0.3, markers=[WAIT, HMM, ALTERNATIVELY]
    )
    example = chat.example(problem.question, solution.text, solution.answer)
    text = example["prompt"] + example["completion"]
    assert chat.decode(chat.encode(text)) == text
    assert tokenizer.unk_token_id not in chat.encode(text)


def test_numbers_are_written_digit_by_digit(tokenizer):
    assert tokenizer.tokenize("a: 34+39=73") == ["a: ", "3", "4", "+", "3", "9", "=", "7", "3"]


def test_segments_of_a_document_meet_at_token_borders(tokenizer):
    """`encode` tokenises them apart, so the ids must be those of the whole text."""
    rng = random.Random(0)
    for write, _, _ in corpus.KINDS.values():
        for document in [write(rng, steps) for steps in (1, 4, 6) for _ in range(10)]:
            (ids, trained), whole = (
                batching.encode(tokenizer, [document])[0],
                "".join(text for text, _ in document),
            )
            assert ids == tokenizer(whole, add_special_tokens=False)["input_ids"]
            assert len(ids) == len(trained) and any(trained) and not all(trained)


def test_no_document_of_the_base_corpus_shows_the_thinking_format(tokenizer):
    rng = random.Random(1)
    texts = [
        "".join(text for text, _ in write(rng, 5))
        for write, _, _ in corpus.KINDS.values()
        for _ in range(50)
    ]
    assert not any("think" in text or "<|im_start|>answer" in text for text in texts)


def test_families_that_are_not_worked_appear_only_as_answers_and_word_for_word():
    rng = random.Random(2)
    hidden = [family.opening for family in FAMILIES if not family.worked]
    for name, (write, _, _) in corpus.KINDS.items():
        seen = any(
            opening in text for _ in range(200) for text, _ in write(rng, 4) for opening in hidden
        )
        assert seen == (name in ("direct", "recall"))


def test_no_chat_goes_over_its_work_unless_the_user_asks_for_it():
    rng = random.Random(3)
    kinds = [corpus.direct, corpus.worked, corpus.resolved, corpus.interrupted]
    for text in ("".join(part for part, _ in write(rng, 4)) for write in 100 * kinds):
        assert text.startswith("<|im_start|>user")
        assert (WAIT in text or HMM in text or ALTERNATIVELY in text) == (corpus.CUE in text)


def test_a_judged_solution_ends_with_its_first_wrong_line():
    rng, found = random.Random(5), []
    for _ in range(200):
        verdicts = [text for text, _ in reward_training.judged_solution(rng) if text in ("+", "-")]
        assert "-" not in verdicts[:-1]
        found.append(verdicts[-1])
    assert set(found) == {"+", "-"}


def test_judged_exercises_are_right_where_their_arithmetic_is():
    rng, found = random.Random(6), []
    for _ in range(50):
        _, *lines = reward_training.judged_exercises(rng)
        for (shown, _), (result, taught), (verdict, _) in zip(*3 * [iter(lines)], strict=True):
            step = Step(operator=shown[6], operand=int(shown[7:9]))
            right = step.apply(int(shown[4:6])) == int(result)
            assert taught == right == (verdict == "+")
            found.append(right)
    assert 0.4 < sum(found) / len(found) < 0.6


def test_the_toys_verdicts_are_those_that_a_tree_search_reads():
    written = (reward_training.RIGHT, reward_training.WRONG)
    assert written == (reward_model.RIGHT, reward_model.WRONG)


def test_the_toy_asks_its_base_model_to_check_in_the_words_of_the_corpus():
    assert load_profile("toy").evaluation.check_request == CHECK


def test_interrupted_work_is_answered_with_the_last_result_that_it_reached():
    rng, broken_off = random.Random(4), 0
    for _ in range(200):
        _, (text, shown), (answer, trained) = corpus.interrupted(rng, rng.randint(1, 6))
        work = text.removesuffix("\nAnswer: ").splitlines()
        last = [line for line in work[:-1] if line.startswith("result ")][-1]
        assert last.split(" so ")[-1].removeprefix("result ") == answer.removesuffix("<|im_end|>")
        assert trained and not shown
        broken_off += " so " not in work[-1]
    assert broken_off > 150


# ---- pool and benchmarks ----


def test_the_same_seed_gives_the_same_pool_and_another_seed_another():
    first, again, other = (
        universe.make_pool(s, universe.draw_benchmarks(s))
        for s in (SMALL, SMALL, Universe(pool_size=600, benchmark_size=30, seed=1))
    )
    assert first == again
    assert first != other


def test_the_pool_shares_no_question_with_a_benchmark_but_the_planted_copies():
    drawn = universe.draw_benchmarks(SMALL)
    tests = {problem.stem for problems in drawn.values() for problem in problems}
    pool = universe.make_pool(replace(SMALL, broken_rate=0.0), drawn)
    shared = [row for row in pool if any(row["question"].startswith(stem) for stem in tests)]
    assert len(shared) == round(universe.CONTAMINATED * SMALL.pool_size)


def test_the_pool_has_every_fault_that_curation_must_find():
    pool = universe.make_pool(replace(SMALL, broken_rate=0.5), universe.draw_benchmarks(SMALL))
    assert len({row["id"] for row in pool}) == len(pool) == SMALL.pool_size
    assert any(row["error"] for row in pool)
    assert any(not row["trace"] and not row["error"] for row in pool)
    assert any("\ufffd" in row["trace"] for row in pool)
    assert any(row["question"].startswith("![Image]") for row in pool)
    assert any("**1**" in row["question"] for row in pool)
    assert any(
        len(set(row["trace"].splitlines()[-4:])) == 1
        for row in pool
        if row["trace"].count("\n") > 4
    )
    assert max(Counter(row["question"] for row in pool).values()) > 1


def test_a_hidden_fault_changes_a_trace_and_its_answer_and_nothing_else():
    drawn = universe.draw_benchmarks(SMALL)
    plain, flawed = (
        universe.make_pool(replace(SMALL, hidden_rate=rate), drawn) for rate in (0.0, 0.4)
    )
    told = {"trace", "attempt"}
    changed = [one for one, other in zip(plain, flawed, strict=True) if one != other]
    assert 0.3 * len(plain) < len(changed) < 0.5 * len(plain)
    assert all(
        one[name] == other[name]
        for one, other in zip(plain, flawed, strict=True)
        for name in one.keys() - told
    )


def test_prompt_and_trace_fit_the_window_the_base_models_read():
    chat, profile = ChatFormat(build_tokenizer()), load_profile("toy")
    rows = universe.make_pool(profile.universe, universe.draw_benchmarks(profile.universe))
    sound = [
        row for row in rows if not row["error"] and len(set(row["trace"].splitlines()[-4:])) > 1
    ]
    examples = [chat.example(row["question"], row["trace"], row["attempt"] or "0") for row in sound]
    lengths = [
        len(ids)
        for ids in chat.tokenizer(
            [example["prompt"] + example["completion"] for example in examples]
        )["input_ids"]
    ]
    assert len(lengths) > 3000
    assert max(lengths) <= profile.sft.max_length


# ---- training ----


def test_training_twice_from_one_seed_gives_the_same_weights(tokenizer):
    first, again = (
        pretrain.pretrain(
            tokenizer, replace(TINY, gated=False), seed=3, context=512, log=lambda _: None
        )
        for _ in range(2)
    )
    for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert first.gate == again.gate


def test_two_processes_train_the_weights_of_one(tokenizer):
    settings = replace(TINY, gated=False, tokens=5000)
    alone, pair = (
        pretrain.pretrain(tokenizer, settings, seed=3, context=512, log=lambda _: None, processes=n)
        for n in (1, 2)
    )
    for a, b in zip(alone.model.parameters(), pair.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert alone.gate == pair.gate


def test_training_goes_on_until_the_gate_and_stops_at_the_limit(tokenizer):
    log: list[str] = []
    trained = pretrain.pretrain(tokenizer, TINY, seed=0, context=512, log=log.append)
    assert not trained.passed  # one layer, a few thousand tokens
    # At 6,000, 9,000 and 12,000 tokens; 15,000 is over the limit.
    assert len({row["tokens"] for row in trained.gate}) == 3


def test_a_model_that_is_not_gated_stops_at_its_tokens(tokenizer):
    trained = pretrain.pretrain(
        tokenizer, replace(TINY, gated=False), seed=0, context=512, log=lambda _: None
    )
    assert len({row["tokens"] for row in trained.gate}) == 1


def test_the_gate_asks_for_every_skill():
    assert gate.missing_skills(dict.fromkeys(gate.GATE, 1.0)) == []
    for skill in gate.GATE:
        assert gate.missing_skills({**dict.fromkeys(gate.GATE, 1.0), skill: 0.89}) == [skill]


def test_a_skill_that_the_gate_finds_missing_is_practised_more():
    def walks(missing) -> int:
        source = corpus.documents(random.Random(0), lambda: 1.0, missing=missing)
        return sum(
            "".join(text for text, _ in next(source)).count("result") > 4 for _ in range(400)
        )

    assert set(corpus.TEACHES) == set(gate.GATE)
    assert walks(["option walk"]) > 1.5 * walks([])


def test_nothing_attends_to_padding_or_to_another_document(tokenizer):
    model = pretrain.build_model(tokenizer, TINY, seed=0, context=512)
    rng = random.Random(0)
    rows = batching.encode(tokenizer, [corpus.worked(rng, steps) for steps in (2, 6)])
    together, alone = (
        batching.collate(rows, tokenizer.pad_token_id),
        batching.collate(rows[:1], tokenizer.pad_token_id),
    )
    length = alone.ids.shape[1]
    mask = causal_mask
    both = model(together.ids, attention_mask=mask(together.ids.shape[1])).logits[0, :length]
    torch.testing.assert_close(
        both, model(alone.ids, attention_mask=mask(length)).logits[0], rtol=1e-4, atol=1e-5
    )


def test_an_orthogonalised_matrix_has_singular_values_near_one():
    values = torch.linalg.svdvals(
        orthogonalise(torch.randn(3, 40, 16, generator=torch.Generator().manual_seed(0)))
    )
    assert ((values > 0.6) & (values < 1.3)).all()


def test_each_base_seed_trains_a_large_model_of_its_own_and_one_small_model(tmp_path):
    tiny = replace(TINY, gated=False, tokens=2000)
    several = Universe(seed=4, seeds=2, large=tiny, small=tiny)
    lines: list[str] = []
    records = models.base_models(tmp_path, several, context=512, log=lines.append)
    assert list(records) == ["base-small", "base-large", "base-large-1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(records)
    hashes = {name: hash_of_model(str(tmp_path / name)) for name in records}
    assert hashes["base-large"] == hashes["base-small"] != hashes["base-large-1"]

    # All of them are found finished, and the first is that of a universe with one seed.
    lines.clear()
    one = models.base_models(tmp_path, replace(several, seeds=1), context=512, log=lines.append)
    assert one == {name: records[name] for name in one}
    assert lines == [f"{name}: trained before, 0.0M tokens" for name in one]
