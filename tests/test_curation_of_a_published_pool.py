"""Notebook 01 on a pool of the published form: no domains, proofs to judge, Table 7's sources."""

from __future__ import annotations

import json
import random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from chat_server import ChatServer

from s1lib.command.cli import main
from s1lib.curation.pool import load_pool
from s1lib.profile import ROOT

COUNTS = {
    "qq8933/AIME_1983_2024": 20,
    "Idavidrein/gpqa": 12,
    "AI-MO/NuminaMath-CoT/aops_forum": 50,
    "LiveCodeBench/release_v1": 4,
}
TEST = "How many of the ten grey geese fly over the wide river at dawn?"
SUBJECTS = {"51": "Geometry", "11": "Number theory", "81": "Quantum theory"}


def published(rng: random.Random) -> list[dict]:
    """86 questions: two copies of the test question, three failed calls, one picture, proofs."""
    rows = []
    for source, count in COUNTS.items():
        for number in range(count):
            words = " ".join(
                rng.sample(
                    [
                        "coins",
                        "steps",
                        "floors",
                        "ticks",
                        "cells",
                        "ships",
                        "games",
                        "herds",
                        "tanks",
                        "shops",
                    ],
                    8,
                )
            )
            proof = source.startswith("AI-MO") and number % 5 == 0
            solution = (
                "By induction, it holds for every one of them. " * 3
                if proof
                else f"so \\boxed{{{number}}}"
            )
            trace = f"Let me think about {words}.\n" * rng.randint(2, 9) + f"result {number}"
            rows.append(
                {
                    "solution": None if source.startswith("Live") else solution,
                    "question": f"{source} {number}: {words}?",
                    "source_type": source,
                    "thinking_trajectories": [trace],
                    "attempt": "It holds." if proof else f"Answer: {number if number % 3 else 999}",
                }
            )
    rows[0]["question"] = rows[40]["question"] = TEST
    rows[41]["question"] = "![Image](a.png) how many?"
    for row in rows[42:45]:
        row |= {"thinking_trajectories": None, "attempt": None}
    return rows


def reply(prompt: str, body: dict) -> str:
    """A classifier that knows three subjects, and a judge that doubts a little."""
    if prompt.startswith("Which subject"):
        return "I see.\n" + list(SUBJECTS)[sum(map(ord, prompt)) % 3]
    return "Perhaps" if body["seed"] == 0 else "The attempt holds.\nNo"


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_model_dir):
    """The notebook's outputs, and the endpoint that it asked."""
    place = tmp_path_factory.mktemp("published")
    pq.write_table(pa.Table.from_pylist(published(random.Random(0))), place / "s1K.parquet")
    (place / "test.jsonl").write_text(json.dumps({"id": "t", "question": TEST}))
    with ChatServer(reply) as server:
        asked = {
            "url": f"http://127.0.0.1:{server.server_port}/v1",
            "model": "tested",
            "retries": 20,
        }
        curation = {
            "pool": str(place / "s1K.parquet"),
            "target": 40,
            "models": [str(tiny_model_dir)],
            "attempt_tokens": 8,
        }
        profile = {
            "threads": 1,
            "curation": {
                **curation,
                "quality": "official",
                "selection": "official",
                "classifier": asked,
                "judge": asked,
            },
            "engine": {"max_rows": 16, "max_context": 512},
            "evaluation": {
                "benchmarks": [{"name": "t", "path": str(place / "test.jsonl"), "role": "MATH500"}]
            },
        }
        (place / "mine.yaml").write_text(yaml.safe_dump(profile))
        command = [
            "run",
            str(ROOT / "notebooks" / "01_curation.ipynb"),
            "--profile",
            str(place / "mine.yaml"),
            "--outputs",
            str(place),
        ]
        assert main(command) == 0
        return place / "mine" / "01_curation", server


def test_the_funnel_of_a_published_pool_adds_up(run):
    out = run[0]
    funnel = pd.read_csv(out / "funnel.csv").set_index("stage")["this run"]
    assert funnel.to_dict() == {
        "collected": 86,
        "decontaminated": 84,
        "quality: no API error": 81,
        "quality: formatting": 80,
        "difficulty": 76,  # of four there is no reference answer
        "preselected": funnel["preselected"],
        "selected": 40,
    }
    assert 10 < funnel["preselected"] < 32
    assert (pd.read_csv(out / "contaminated.csv")["share"] == 1).all()


def test_every_selected_question_is_distinct_classified_and_told_by_table_7s_names(run):
    s1 = load_pool(run[0] / "sets" / "s1.jsonl")
    assert len({sample.id for sample in s1}) == 40 and {sample.domain for sample in s1} == set(
        SUBJECTS.values()
    )
    assert {sample.source for sample in s1} <= {"AIME 1983–2021", "GPQA", "NuminaMATH"}
    first = pd.read_csv(run[0] / "funnel.csv").set_index("stage").loc["preselected", "this run"]
    assert {sample.source for sample in s1[: int(first)]} == {"AIME 1983–2021", "GPQA"}


def test_the_papers_tables_6_and_7_stand_beside(run):
    domains, sources = (
        pd.read_csv(run[0] / f"{name}.csv").set_index(key)
        for name, key in (("domains", "domain"), ("sources", "dataset"))
    )
    assert domains.loc["Geometry", "paper: questions"] == 109 and domains["selected"].sum() == 40
    assert sources.loc["GPQA", "paper: questions"] == 348 and sources["pool"].sum() == 80


def test_nothing_was_asked_twice_and_the_cost_is_written_down(run):
    out, server = run
    # A doubtful verdict is asked for again, with another seed.
    assert server.requests == server.answered and max(server.requests.values()) <= 2
    usage = {
        role: pd.read_csv(out / "assistants" / f"{role}_usage.csv").iloc[0]
        for role in ("classifier", "judge")
    }
    assert usage["classifier"]["answered now"] == 80 and all(
        row["failed"] == 0 for row in usage.values()
    )
    assert sum(row["answered now"] for row in usage.values()) == server.requests.total()
