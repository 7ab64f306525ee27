"""How many questions a pool has, and problems a benchmark, also before they are fetched."""

from __future__ import annotations

from s1lib.curation.sources import SOURCES, open_pool
from s1lib.evaluation.benchmarks import load_benchmark
from s1lib.hardware.architectures import PlanError
from s1lib.profile import Benchmark, Profile, is_hub_id
from s1lib.published.entries import TEST_SETS, named, section
from s1lib.published.paper_numbers import load


def pool_size(reference: str, profile: Profile) -> int:
    """How many questions a pool has: by its entry where it lies on a hub, else by counting."""
    if reference.endswith((".yaml", ".yml")):
        total = load("table7").query("dataset == 'total'")
        return int(total["questions"].item())
    if not is_hub_id(reference):
        return len(open_pool(profile.resolve(reference), log=lambda line: None))
    entry = named(reference, section(SOURCES, "pools").values())
    if entry is None or entry.count is None:
        raise PlanError(
            f"how many questions {reference} has is not known before it is fetched: "
            "run `make fetch`, then name the folder in the profile"
        )
    return entry.count


def problem_count(profile: Profile, benchmark: Benchmark) -> int:
    """How many problems of a benchmark are asked."""
    if is_hub_id(benchmark.path):
        sets = section(TEST_SETS, "test_sets")
        entry = named(benchmark.path, sets.values())
        known = (entry and entry.count) or sets.get(benchmark.role, sets["MATH500"]).count
        return min(known, benchmark.limit or known)
    return len(load_benchmark(profile, benchmark))
