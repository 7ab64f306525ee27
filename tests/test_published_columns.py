"""The stand-ins for the published tables load as the published tables do."""

import dataclasses
import re

import pytest
from published_columns import DATA, lay_out

from s1lib.curation.decontaminate import decontaminate
from s1lib.curation.sources import SOURCES, collect, open_pool, read_questions
from s1lib.evaluation.benchmarks import load_benchmark
from s1lib.grading import grade
from s1lib.profile import Benchmark, Profile
from s1lib.published.entries import TEST_SETS, section
from s1lib.published.questions import answered

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="shared/data is not here")

POOLS, TESTS = section(SOURCES, "pools"), section(TEST_SETS, "test_sets")
EVALUATED = {name: entry for name, entry in TESTS.items() if entry.answer or entry.choices}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return lay_out(tmp_path_factory.mktemp("published"), questions=48, problems=4)


@pytest.fixture(scope="module")
def pool(tables):
    return open_pool(str(tables["s1K"]), log=lambda _: None)


def test_there_is_a_table_for_every_pool_and_every_benchmark(tables):
    assert set(tables) == {*POOLS, *EVALUATED}


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_loads_by_its_columns_and_by_its_own_entry(tables, name):
    found = open_pool(str(tables[name]), log=lambda _: None)
    entry = dataclasses.replace(POOLS[name], at=str(tables[name]), count=48)
    assert found == collect([entry], log=lambda _: None) and len(found) == 48
    assert {sample.source for sample in found} == {"MATH", "AIME 1983–2021", "NuminaMATH", "GPQA"}
    assert all(sample.answer and sample.trace and sample.attempt for sample in found)


@pytest.mark.parametrize("name", EVALUATED)
def test_a_test_set_loads_by_its_columns_and_by_its_own_entry(tables, name):
    kind = EVALUATED[name].kind
    benchmark = Benchmark(name, str(tables[name]), "AIME24", kind)
    found = load_benchmark(Profile("mine"), benchmark)
    entry = dataclasses.replace(EVALUATED[name], at=str(tables[name]))
    expected = [(each.question, each.answer, each.kind) for each in answered(entry)]
    assert [(each.question, each.gold, each.kind) for each in found] == expected
    assert len(found) == len(read_questions(str(tables[name]))) == 4
    assert {problem.kind for problem in found} == {kind}


def test_a_third_of_the_attempts_is_wrong(pool):
    right = [grade(s.attempt, s.answer, s.kind).correct for s in pool if s.kind != "open"]
    assert len(right) == 48 and sum(right) == 32


def test_some_traces_are_long_and_all_have_paragraphs_or_one_sentence(pool):
    lengths = sorted(len(sample.trace) for sample in pool)
    assert lengths[-1] > 4 * lengths[len(lengths) // 2]
    assert sum("\n\n" in sample.trace for sample in pool) > 36
    assert not any(re.search(r"\n\n\n\n", sample.trace) for sample in pool)


def test_no_question_of_a_test_set_is_in_a_pool(tables, pool):
    tests = {
        f"{name}/{id_}": question
        for name in EVALUATED
        for id_, question in read_questions(str(tables[name])).items()
    }
    assert len(decontaminate(pool, tests).kept) > 40
    assert not {sample.question for sample in pool} & set(tests.values())


def test_the_same_tables_are_written_every_time(tables, tmp_path):
    again = lay_out(tmp_path, questions=48, problems=4)
    for name, folder in again.items():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        first = sorted(path for path in tables[name].rglob("*") if path.is_file())
        assert [file.read_bytes() for file in files] == [file.read_bytes() for file in first]


def test_a_judge_is_asked_about_proofs(tmp_path):
    tables = lay_out(tmp_path, questions=24, problems=1, proofs=True)
    kinds = [sample.kind for sample in open_pool(str(tables["s1K-1.1"]), log=lambda _: None)]
    assert kinds.count("open") == 3
