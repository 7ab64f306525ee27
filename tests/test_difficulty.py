"""The difficulty filter (paper, section 2.2): what either base model answers is dropped."""

from __future__ import annotations

import asyncio
import json

import pytest
from samples import sample
from scripted import char_chat

from s1lib.curation.difficulty import accuracy, attempts, examples, unsolved
from s1lib.engines.protocol import Completion, EngineError

CHAT = char_chat()


class Answering:
    """An engine that answers every question with what `answers` says, and counts the requests."""

    name, max_context = "answering", 1000

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = {
            tuple(CHAT.prompt_ids(question, think=False)): text
            for question, text in answers.items()
        }
        self.asked: list[tuple[int, ...]] = []
        self.limits: set[int] = set()

    async def complete(self, request):
        assert request.temperature == 0.0
        self.asked.append(request.prompt_ids)
        self.limits.add(request.max_tokens)
        await asyncio.sleep(0)
        ids = CHAT.encode(self.answers[request.prompt_ids])
        ended = len(ids) <= request.max_tokens
        stop = request.stop[1] if ended else None
        return Completion(ids[: request.max_tokens], "stop" if ended else "length", stop)

    async def aclose(self):
        pass


SAMPLES = [
    sample(name, question=name, answer="73", domain="odd" if name in "ac" else "even")
    for name in "abcd"
]
RIGHT, WRONG = "Answer: 73", "Answer: 74"


def run(engine, samples, directory, **options):
    settings = {
        "model": "weights",
        "max_tokens": 50,
        "directory": directory,
        "log": lambda line: None,
        **options,
    }
    return asyncio.run(attempts(engine, CHAT, samples, **settings))


def test_what_either_model_answers_is_dropped(tmp_path):
    small = run(
        Answering({"a": RIGHT, "b": WRONG, "c": WRONG, "d": "73"}), SAMPLES, tmp_path / "small"
    )
    large = run(
        Answering({"a": WRONG, "b": RIGHT, "c": WRONG, "d": "Answer: 75"}),
        SAMPLES,
        tmp_path / "large",
    )
    assert [s.id for s in unsolved(SAMPLES, [small, large])] == ["c", "d"]
    assert [s.id for s in unsolved(SAMPLES, [small])] == ["b", "c", "d"]
    table = accuracy(SAMPLES, {"small": small, "large": large})
    assert table.columns.tolist() == ["domain", "questions", "small", "large"]
    assert table.values.tolist() == [
        ["even", 2, 0.0, 50.0],
        ["odd", 2, 50.0, 0.0],
        ["all", 4, 25.0, 25.0],
    ]


def test_a_choice_is_graded_by_its_letter(tmp_path):
    choice = [sample("q", question="q", answer="B", kind="choice")]
    assert run(Answering({"q": "Answer: B) 42"}), choice, tmp_path)[0]["correct"]


def test_a_question_longer_than_the_context_is_a_record_with_its_reason(tmp_path):
    engine = Answering(dict.fromkeys("bcd", RIGHT))
    engine.max_context = len(CHAT.prompt_ids("b", think=False)) + 10
    asked, said = [sample("a", question="long " * 100), *SAMPLES[1:]], []
    rows = run(engine, asked, tmp_path, log=said.append)
    found = [(row["correct"], row["finish"], row["tokens"] > 0) for row in rows]
    assert found == [(False, "context", False)] + [(True, "stop", True)] * 3
    assert rows[0]["text"] == "" and rows[0]["extracted"] is None
    assert (
        f"1 of 4 questions are longer than the context of {engine.max_context} tokens" in said[-1]
    )
    assert said[-1].endswith(": a")
    assert [s.id for s in unsolved(asked, [rows])] == ["a"]


def test_an_engine_that_fails_ends_the_run_and_nothing_of_the_shard_is_kept(tmp_path):
    class Gone(Answering):
        async def complete(self, request):
            raise EngineError("no server answered for 600 seconds")

    with pytest.raises(EngineError, match="no server answered"):
        run(Gone({}), SAMPLES, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_only_a_judge_can_grade_is_left_open_and_the_rest_is_graded(tmp_path):
    mixed = [sample("a", question="a", kind="open"), SAMPLES[1]]
    rows = run(Answering(dict.fromkeys("ab", RIGHT)), mixed, tmp_path)
    assert [row["correct"] for row in rows] == [None, True] and unsolved(mixed, [rows]) == []


def test_an_attempt_is_direct_within_its_limit_and_cut_there(tmp_path):
    engine = Answering(dict.fromkeys("abcd", "Answer: 73 and so on"))
    rows = run(engine, SAMPLES, tmp_path, max_tokens=8)
    assert engine.limits == {8}
    assert {row["finish"] for row in rows} == {"length"} and not any(row["correct"] for row in rows)
    assert not any(CHAT.think_start[-1] in ids for ids in engine.asked)


def test_attempts_come_in_the_order_of_the_samples_whatever_the_shards(tmp_path):
    engine = Answering(dict.fromkeys("abcd", RIGHT))
    one = run(engine, SAMPLES, tmp_path / "one", shard_size=100)
    many = run(engine, SAMPLES, tmp_path / "many", shard_size=3)
    assert one == many and [row["id"] for row in one] == list("abcd")


def test_a_second_run_asks_only_what_is_unfinished(tmp_path):
    engine = Answering(dict.fromkeys("abcd", RIGHT))
    first = run(engine, SAMPLES, tmp_path, shard_size=2)
    lost = sorted(tmp_path.glob("*.jsonl"))[1]
    lost.unlink()
    again = Answering(dict.fromkeys("abcd", RIGHT))
    assert run(again, SAMPLES, tmp_path, shard_size=2) == first
    assert len(again.asked) == 2


@pytest.mark.parametrize("changed", [{"model": "other weights"}, {"max_tokens": 51}])
def test_another_model_or_limit_reuses_nothing(tmp_path, changed):
    run(Answering(dict.fromkeys("abcd", RIGHT)), SAMPLES, tmp_path)
    again = Answering(dict.fromkeys("abcd", WRONG))
    assert not any(row["correct"] for row in run(again, SAMPLES, tmp_path, **changed))


def test_a_corrupt_shard_is_set_aside_and_made_again(tmp_path):
    engine = Answering(dict.fromkeys("abcd", RIGHT))
    first = run(engine, SAMPLES, tmp_path)
    shard = next(tmp_path.glob("*.jsonl"))
    shard.write_text(json.dumps(first[0]) + "\n" + '{"id": "b", "te')
    said: list[str] = []
    assert run(engine, SAMPLES, tmp_path, log=said.append) == first
    assert any("line 2" in line for line in said) and list(tmp_path.glob("*.corrupt"))


def test_examples_show_each_verdict_beside_the_gold_answer(tmp_path):
    answers = {"a": RIGHT, "b": RIGHT, "c": RIGHT, "d": WRONG}
    rows = run(Answering(answers), SAMPLES, tmp_path)
    shown = examples(SAMPLES, rows)
    assert shown["question"].tolist() == ["a", "b", "d"]
    assert shown[["extracted", "answer", "correct"]].values.tolist()[-1] == ["74", "73", "False"]
    ungraded = [{**row, "correct": None} for row in rows]
    assert examples(SAMPLES, ungraded).empty and examples([], []).empty
