"""References to models and datasets: what is a hub id, what a path, which ids a profile names."""

from __future__ import annotations

import re
from pathlib import Path

from s1lib.profile.profile import ROOT, Profile
from s1lib.profile.yaml_reader import read_yaml

TEST_SETS = ROOT / "s1lib" / "published" / "test_sets.yaml"  # they may be asked for by name
# How the name of a table's file ends, which no hub id does.
TABLES = (".jsonl", ".json", ".parquet", ".arrow", ".csv", ".yaml", ".yml")


def is_hub_id(reference: str) -> bool:
    """`owner/name` or `owner/name@revision`, unless a local path is called so."""
    named = re.fullmatch(
        r"[\w-][\w.-]*/[\w.-]+(@\w[\w./-]*)?", reference
    ) and not reference.endswith(TABLES)
    return bool(named) and not Path(reference).exists()


def split_revision(reference: str) -> tuple[str, str | None]:
    """The two parts of `owner/name@revision`, the second None if unpinned or for a path."""
    name, _, revision = reference.partition("@") if is_hub_id(reference) else (reference, "", "")
    return name, revision or None


def hub_references(profile: Profile) -> list[tuple[str, str, str | None]]:
    """("model" | "dataset", hub id, revision) of everything that a hub must provide.

    The list is empty for a profile of local paths.
    """
    curation, sft, evaluation = profile.curation, profile.sft, profile.evaluation
    asked = (curation.teacher, curation.classifier, curation.judge)
    models = {*curation.models, sft.base, *evaluation.models.values()}
    if evaluation.tree_widths:
        models.add(evaluation.reward)
    models |= {assistant.model for assistant in asked if assistant and not assistant.url}
    known = read_yaml(TEST_SETS).get("test_sets") or {}
    tests = {known[name]["at"] if name in known else name for name in curation.also_tests}
    datasets = {*_tables_of(curation.pool), *tests}
    datasets |= {published.path for published in sft.published}
    datasets |= {benchmark.path for benchmark in evaluation.benchmarks}
    named = [("model", reference) for reference in sorted(models)]
    named += [("dataset", reference) for reference in sorted(datasets)]
    return [(kind, *split_revision(name)) for kind, name in named if is_hub_id(name)]


def _tables_of(pool: str) -> list[str]:
    """The tables that make up a pool: many where it is a YAML file of sources."""
    if not pool.endswith((".yaml", ".yml")):
        return [pool]
    entries = read_yaml(ROOT / pool).get("sources") or ()
    return [str(entry.get("at", "")) for entry in entries if isinstance(entry, dict)]
