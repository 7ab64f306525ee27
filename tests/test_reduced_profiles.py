"""Profiles that leave things out, end to end: one set alone, weights, a sequel, another seed."""

import contextlib
import io
import json
import re
import shutil
from dataclasses import replace

import nbformat
import pandas as pd
import pytest
import yaml

from s1lib.command.cli import main
from s1lib.curation.pool import load_pool
from s1lib.curation.quality import filter_quality
from s1lib.drawing.plots import panels
from s1lib.engines import EngineError
from s1lib.evaluation.evaluated_model import EvaluatedModel
from s1lib.evaluation.model_methods import methods_for
from s1lib.keeping.files import read_jsonl, write_jsonl
from s1lib.profile import SFT, hub_references, known_profiles, load_profile
from s1lib.sft import training_logs
from s1lib.sft.recipe import recipe_of

AFTER_00 = ["01_curation", "02_sft", "03_budget_forcing", "04_evaluation", "05_scaling_analysis"]
NOTHING_SAMPLED = {"votes": [], "rejection_caps": [], "tree_widths": [], "ask_for_classes": False}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Outputs in which smoke's notebook 00 has made pool, benchmarks and base models."""
    place = tmp_path_factory.mktemp("reduced")
    reproduce(place, "universe", notebooks=["00_toy_universe"])
    return place


def reproduce(place, name: str, **changes) -> str:
    """Run a profile that extends smoke, on the universe that is there. Returns what it printed.

    It has one base model, and so one training of each model.
    """
    values = {"extends": "smoke", "name": name, "notebooks": AFTER_00, "universe": {"seeds": 1}}
    values |= changes
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    made = place / "universe" / "00_toy_universe"
    if made.exists():
        shutil.copytree(made, place / name / "00_toy_universe", dirs_exist_ok=True)
    printed, wrong = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(wrong):
        status = main(["reproduce", "--profile", str(path), "--outputs", str(place)])
    assert status == 0, wrong.getvalue() + printed.getvalue()
    return printed.getvalue()


def records(place, name: str) -> pd.DataFrame:
    files = (place / name / "04_evaluation" / "records").glob("*.jsonl")
    rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    return pd.DataFrame([row for row in rows if "benchmark" in row])


def claims(place, name: str) -> pd.DataFrame:
    table = pd.read_csv(place / name / "05_scaling_analysis" / "claims.csv", keep_default_na=False)
    return table.set_index("claim")["verdict"]


def finished(folder) -> dict[str, int]:
    """When each file in a folder was written, the names of shards and models first."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*.*")}


# ---- one set, nothing sampled ----


@pytest.fixture(scope="module")
def small(place):
    """s1 alone, and nothing but budget forcing."""
    sets = {"sets": ["s1"], "published": [], "cut_length": 0, "conditional": []}
    return reproduce(place, "small", sft=sets, evaluation=NOTHING_SAMPLED)


@pytest.mark.chain
def test_s1_alone_without_samples_runs_to_the_claims(place, small):
    rows = records(place, "small")
    assert set(rows["model"]) == {"base", "s1"}
    assert set(rows["method"]) == {"direct", "budget_forcing"}
    found = claims(place, "small")
    assert found["Budget forcing keeps every limit"] == "holds"
    missing = ("Rejection", "Token", "Step", "s1K", "Whole traces", "Sequential")
    missing += ("The last Waits lose",)  # smoke waits no more often than the claims compare
    # a model this small may write the same after every string
    found = found[~found.index.str.startswith('"Wait" beats')]
    assert set(found.index[found == "n/a"]) == {c for c in found.index if c.startswith(missing)}


@pytest.mark.chain
def test_what_was_left_out_is_said_to_be_not_run_in_this_profile(place, small):
    tables = place / "small" / "05_scaling_analysis"
    for name in ("table12_token_conditional", "table13_step_conditional"):
        assert "not run in this profile" in (tables / f"{name}.md").read_text()
    assert not (place / "small" / "notebooks" / "05_scaling_analysis.failed.ipynb").exists()


# ---- sets that lack one criterion, and other sizes ----


@pytest.mark.chain
def test_sets_without_a_criterion_and_of_other_sizes_are_drawn_where_asked_for(place):
    without = ("no_quality", "no_difficulty", "no_diversity")
    asked = {"sft": {"sets": ["s1", *without]}, "curation": {"target": 60, "sizes": [20, 60, 999]}}
    reproduce(place, "without", notebooks=["01_curation"], **asked)
    folder = place / "without" / "01_curation"
    files = (folder / "sets").glob("*.jsonl")
    sets = {path.stem: {sample.id for sample in load_pool(path)} for path in files}
    assert {len(sets[name]) for name in ("s1", *without)} == {60} and "s1_60" not in sets
    assert len(sets["random_20"]) == 20 and sets["random_999"] == sets["full"]
    assert sets["s1_20"] < sets["s1"] < sets["s1_999"]

    rejected = set(pd.read_csv(folder / "rejects.csv")["id"])
    assert [name for name, ids in sets.items() if ids & rejected] == ["no_quality"]


# ---- a profile that goes on from another ----


@pytest.fixture(scope="module")
def whole(place, small):
    """All of `small`, another set and samples: it continues `small`."""
    before = finished(place / "small")
    left_out = {"published": [], "cut_length": 0, "conditional": []}
    sets = {"sets": ["s1", "random"], **left_out}
    stages = ["01_curation", "02_sft", "04_evaluation"]
    small = str(place / "small.yaml")
    printed = reproduce(place, "whole", continues=small, notebooks=stages, sft=sets)
    assert finished(place / "small") == before
    return printed


@pytest.mark.chain
def test_a_profile_that_continues_another_trains_no_model_again(place, whole):
    assert "s1: trained before" in whole and "random: trained before" not in whole
    models = [place / name / "02_sft" / "models" / "s1" for name in ("small", "whole")]
    one, other = (path / "model.safetensors" for path in models)
    assert one.samefile(other)  # no second copy on the disk


@pytest.mark.chain
def test_a_profile_that_continues_another_decodes_no_shard_again(place, whole):
    decoded = [path.name for path in (place / "small/04_evaluation/shards").glob("[!.]*.jsonl")]
    assert len(decoded) == 12 and not [name for name in decoded if f"{name[:-18]}: " in whole]
    assert "s1-sampling-hard-00000: " in whole and "random-forcing-hard-00000: " in whole

    rows, earlier = records(place, "whole"), records(place, "small")
    shared = rows[rows["method"].isin(["direct", "budget_forcing"]) & (rows["model"] != "random")]
    assert shared["answer"].to_list() == earlier["answer"].to_list()


# ---- weights that somebody else trained ----


@pytest.fixture(scope="module")
def weights(place, small):
    """`evaluation.models` alone: the pool is taken as published, and nothing is trained."""
    pool = place / "universe" / "00_toy_universe" / "pool.jsonl"
    sound = {sample.id for sample in filter_quality(load_pool(pool)).kept}
    write_jsonl(place / "published.jsonl", [row for row in read_jsonl(pool) if row["id"] in sound])
    trained = str(place / "small" / "02_sft" / "models" / "s1")
    return reproduce(
        place,
        "weights",
        curation={"pool": f"{place}/published.jsonl", "selection": "published", "models": []},
        sft={"sets": [], "published": [], "cut_length": 0, "conditional": []},
        evaluation={"models": {"s1": trained, "other": "@00_toy_universe/base-small"}},
    )


@pytest.mark.chain
def test_published_weights_are_evaluated_as_if_they_were_trained_here(place, weights):
    rows, earlier = records(place, "weights"), records(place, "small")
    assert set(rows["model"]) == {"base", "s1", "other"}
    assert {"majority", "rejection", "tree_search", "class_conditional"} < set(rows["method"])
    forced, before = (
        some[(some["model"] == "s1") & (some["method"] == "budget_forcing")]
        for some in (rows, earlier)
    )
    columns = ["problem_id", "parameters", "thinking", "answer", "correct"]
    assert forced[columns].to_dict("list") == before[columns].to_dict("list")


@pytest.mark.chain
def test_published_weights_are_not_trained_and_a_published_set_is_taken_whole(place, weights):
    assert not (place / "weights" / "02_sft" / "models").exists()
    pool = (place / "published.jsonl").read_text().splitlines()
    s1 = (place / "weights" / "01_curation" / "sets" / "s1.jsonl").read_text().splitlines()
    assert [json.loads(row)["id"] for row in s1] == [json.loads(row)["id"] for row in pool]


@pytest.mark.chain
def test_other_published_models_get_the_natural_stop_and_waits(place, weights):
    other = records(place, "weights").query("model == 'other'")
    assert set(other["method"]) == {"budget_forcing"}
    assert {asked["waits"] for asked in other["parameters"]} == {0, 1, 2}


# ---- two runs that say the opposite ----


def regrade(folder, *, rising: bool) -> None:
    """Let accuracy rise with the thinking that is asked for, or fall, in a run's records."""
    for path in (folder / "04_evaluation" / "records").glob("*-budget_forcing.jsonl"):
        rows = read_jsonl(path)
        asked = [(r["parameters"]["max_thinking"] or 10**9, r["parameters"]["waits"]) for r in rows]
        points, ids = sorted(set(asked)), sorted({row["problem_id"] for row in rows})
        for row, point in zip(rows, asked, strict=True):
            share = (points.index(point) + 1) / (len(points) + 1)
            place = (ids.index(row["problem_id"]) + 0.5) / len(ids)
            row["correct"] = place < (share if rising else 1 - share)
            row["extracted"] = row["gold"] if row["correct"] else "x"
        write_jsonl(path, rows)


@pytest.fixture(scope="module")
def opposed(place, small):
    """Notebook 05, executed on `small` and on a run of another universe seed, by name.

    Models this small are right by accident alone. So the grades of the first are made to rise with
    the thinking, and those of the other to fall.
    """
    untrained = {"sets": [], "published": [], "cut_length": 0, "conditional": []}
    decoded = {"models": {"s1": "@00_toy_universe/base-large"}, **NOTHING_SAMPLED}
    other = {"universe": {"seed": 1}, "sft": untrained, "evaluation": decoded}
    stages = ["00_toy_universe", "01_curation", "02_sft", "04_evaluation"]
    reproduce(place, "second", notebooks=stages, **other)

    executed = {}
    for name, source in (("rising", "small"), ("falling", "second")):
        for stage in ("01_curation", "04_evaluation"):
            shutil.copytree(place / source / stage, place / name / stage)
        regrade(place / name, rising=name == "rising")
        reproduce(place, name, notebooks=["05_scaling_analysis"], **other)
        path = place / name / "notebooks" / "05_scaling_analysis.ipynb"
        executed[name] = nbformat.read(path, as_version=4)
    return executed


@pytest.mark.chain
def test_verdicts_follow_the_records_of_a_run_of_another_seed(place, opposed):
    one, other = records(place, "rising"), records(place, "falling")
    assert set(one["problem_id"]) == set(other["problem_id"])
    assert one["gold"].to_list() != other["gold"].to_list()
    pairs = set(zip(claims(place, "rising"), claims(place, "falling"), strict=True))
    assert ("holds", "does not hold") in pairs and ("does not hold", "holds") not in pairs


@pytest.mark.chain
def test_no_sentence_about_a_finding_is_the_same_in_two_runs_that_say_the_opposite(opposed):
    texts, said = [], []
    for notebook in opposed.values():
        texts.append([cell.source for cell in notebook.cells if cell.cell_type == "markdown"])
        outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
        printed = [o.text for o in outputs if o.output_type == "stream" and o.name == "stdout"]
        said.append(set("".join(printed).splitlines()))

    finding = r"\b(holds?|inconclusive|best|mended|broken|rises?|falls?|gains?|loses?|beats?)\b"
    assert texts[0] == texts[1]  # nothing of a run stands in the text
    assert all(any(re.search(finding, line) for line in lines) for lines in said)
    alike = [line for line in said[0] & said[1] if re.search(finding, line)]
    assert not [line for line in alike if not re.fullmatch(r"\D+\d+", line)]  # "inconclusive 1"


# ---- what an empty list leaves out ----


@pytest.mark.parametrize(
    ("left_out", "methods"),
    [
        ({}, ["forcing", "sampling", "tree_search", "class_conditional"]),
        ({"votes": ()}, ["forcing", "sampling", "tree_search", "class_conditional"]),
        ({"votes": (), "rejection_caps": ()}, ["forcing", "tree_search", "class_conditional"]),
        ({"tree_widths": ()}, ["forcing", "sampling", "class_conditional"]),
        ({"ask_for_classes": False}, ["forcing", "sampling", "tree_search"]),
        ({"votes": (), "vote_temperature": 0.9}, ["forcing", "sampling", "tree_search"]),
    ],
)
def test_an_empty_list_of_settings_leaves_its_method_out(left_out, methods):
    smoke = load_profile("smoke")
    smoke = replace(smoke, sft=replace(smoke.sft, conditional=()))
    reduced = replace(smoke, evaluation=replace(smoke.evaluation, **left_out))
    found = [method.name for method in methods_for(reduced, "s1")]
    assert found[: len(methods)] == methods and len(set(found)) == len(found)


def test_without_any_training_tables_and_curves_are_empty_and_say_so():
    assert training_logs.trainings([]).columns.to_list()[0] == "model"
    assert training_logs.lengths({}, limits={}).empty
    _, axes = panels(1)
    training_logs.training_curve(training_logs.training_logs({}), axes[0])
    assert "nothing is trained in this profile" in axes[0].texts[0].get_text().replace("\n", " ")
    published = {"last training step": 315, "mean training loss": 0.117}
    table = training_logs.beside_the_paper(None, published)
    assert set(table["this run"]) == {"not trained here"} and table.iloc[1, 1] == "315"


def test_weights_that_do_not_exist_are_one_line_before_anything_is_decoded(tmp_path):
    model = EvaluatedModel("s1", tmp_path / "nowhere", load_profile("smoke").engine)
    with pytest.raises(EngineError, match=r"the model directory .*nowhere does not exist"):
        model.chat  # noqa: B018


# ---- the profiles that ship ----


def test_the_headlines_shards_and_its_model_have_the_keys_of_the_whole_run():
    one, two = load_profile("h100-headline"), load_profile("h100")
    assert two.continues == one.name and not one.continues
    assert [s for s in one.sft.published if s.name == "s1"] == [
        s for s in two.sft.published if s.name == "s1"
    ]
    assert recipe_of(one.sft) == recipe_of(two.sft) and one.sft.base == two.sft.base
    for key in ("kind", "dtype", "max_context"):
        assert getattr(one.engine, key) == getattr(two.engine, key)
    assert set(one.evaluation.benchmarks) < set(two.evaluation.benchmarks)
    for model in ("base", "s1"):
        methods = methods_for(one, model)
        assert methods and methods == methods_for(two, model)[: len(methods)]


def test_the_headline_samples_nothing_and_trains_one_model():
    headline = load_profile("h100-headline")
    assert headline.sft.models == ("s1",) and not headline.curation.models
    assert [method.name for method in methods_for(headline, "s1")] == ["forcing"]
    assert "RLHFlow" not in str(hub_references(headline))


@pytest.mark.parametrize("name", [name for name in known_profiles() if name[:3] in ("gpu", "h10")])
def test_a_training_on_59k_examples_is_never_the_default(name):
    assert "full" not in load_profile(name).sft.sets and "full" not in SFT().sets


def test_gpu_s1_1_trains_nothing_and_fetches_the_authors_weights():
    profile = load_profile("gpu-s1.1")
    assert not profile.sft.models and list(profile.model_paths) == ["base", "s1"]
    assert ("model", "simplescaling/s1.1-7B", "main") in hub_references(profile)
