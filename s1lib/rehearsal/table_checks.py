"""Are the tables of a profile what it takes them for: columns, counts, checksums, gold answers?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from s1lib.curation.sources import open_pool, read_questions
from s1lib.evaluation.benchmarks import BenchmarkError, load_benchmark
from s1lib.grading import grade_many
from s1lib.profile import Benchmark, Profile
from s1lib.rehearsal.checks import Check, look


def table_checks(profile: Profile, tables: Mapping[str, str]) -> Iterator[Check]:
    """Every pool, test set and benchmark of the profile, read whole.

    tables: where each one is read from, by the profile's reference.
    """
    pools = {profile.curation.pool: "curation.pool"}
    pools |= {one.path: f"sft.published {one.name}" for one in profile.sft.published}
    for reference, what in pools.items():
        if reference not in tables:  # notebook 01 writes it
            continue
        yield look(what, lambda place=tables[reference]: _pool(place), stops=True)
    for reference in profile.curation.also_tests:
        yield look(reference, lambda place=tables[reference]: _test_set(place), stops=True)
    for benchmark in profile.evaluation.benchmarks:
        place = tables[benchmark.path]
        yield look(
            benchmark.name, lambda b=benchmark, p=place: _benchmark(profile, b, p), stops=True
        )


def _pool(reference: str) -> str:
    return f"{len(open_pool(reference, log=lambda _: None)):,} questions"


def _test_set(reference: str) -> str:
    return f"{len(read_questions(reference, log=lambda _: None)):,} questions"


def _benchmark(profile: Profile, benchmark: Benchmark, place: str) -> str:
    """Its size. Raises BenchmarkError where not one gold answer grades as right against itself."""
    problems = load_benchmark(profile, dataclasses.replace(benchmark, path=place))
    boxed = [(f"\\boxed{{{one.gold}}}", one.gold, one.kind) for one in problems]
    right = sum(grade.correct for grade in grade_many(boxed))
    if not right:
        raise BenchmarkError(
            f"{place}: not one of its {len(problems)} gold answers, {problems[0].gold!r} say, is "
            f"graded as right against itself: check its column and kind ({benchmark.kind})"
        )
    return f"{len(problems)} problems, {right} gold answers that grade as right"
