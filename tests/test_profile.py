"""Profiles: every number of a run in one file, and a clear line for every mistake in it."""

import pytest

from s1lib.profile import (
    Profile,
    ProfileError,
    Replica,
    grown,
    hub_references,
    is_hub_id,
    known_profiles,
    load_profile,
    path_of,
    profile_files,
    replicas_of,
    split_revision,
    with_seeds,
)


def write(path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", known_profiles())
def test_every_profile_that_ships_loads(name):
    profile = load_profile(name)
    assert profile.name == name and profile.description
    assert {benchmark.role for benchmark in profile.evaluation.benchmarks} >= {
        "AIME24",
        "MATH500",
        "GPQA-Diamond",
    }
    assert (
        max(profile.evaluation.budgets)
        < profile.evaluation.max_thinking
        < profile.engine.max_context
    )


def test_toy_and_smoke_name_nothing_on_a_hub_and_the_others_do():
    assert not hub_references(load_profile("toy")) and not hub_references(load_profile("smoke"))
    references = hub_references(load_profile("h100"))
    assert (
        "model",
        "Qwen/Qwen2.5-32B-Instruct",
        "5ede1c97bbab6ce5cda5812749b4c0bdf79b18dd",
    ) in references
    assert {kind for kind, _, _ in references} == {"model", "dataset"} and all(
        revision for _, _, revision in references
    )


def test_the_hub_must_give_local_assistants_and_every_source_of_a_pool_of_sources(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "sources: [{at: owner/one@abc}, {at: owner/two@def}, {at: /a/local/folder}]"
    )
    asked = "judge: {model: owner/judge@123}, teacher: {model: remote/name, url: 'http://here/v1'}"
    tests = "models: [], also_tests: [owner/tests@main, GPQA-Diamond]"
    values = f"{{pool: {tmp_path / 'mine.yaml'}, {tests}, {asked}}}"
    found = hub_references(
        load_profile(write(tmp_path / "p.yaml", f"curation: {values}\nsft: {{base: /here}}"))
    )
    assert found == [
        ("model", "owner/judge", "123"),
        ("dataset", "Idavidrein/gpqa", "main"),
        ("dataset", "owner/one", "abc"),
        ("dataset", "owner/tests", "main"),
        ("dataset", "owner/two", "def"),
    ]


def test_an_assistant_is_checked_like_any_other_part_of_a_profile(tmp_path):
    profile = load_profile(
        write(
            tmp_path / "a.yaml",
            "curation: {judge: {url: 'http://here/v1', model: m, per_minute: 60}}",
        )
    )
    assert profile.curation.judge.per_minute == 60 and profile.curation.teacher is None
    meant = r"did you mean 'curation\.judge\.model'"
    with pytest.raises(
        ProfileError, match=rf"unknown profile key 'curation\.judge\.modell'; {meant}"
    ):
        load_profile(write(tmp_path / "b.yaml", "curation: {judge: {modell: m}}"))


def test_the_environment_chooses_profile_and_place(monkeypatch, tmp_path):
    monkeypatch.setenv("PROFILE", "smoke")
    monkeypatch.setenv("S1_OUTPUTS", str(tmp_path))
    assert load_profile().outputs == tmp_path / "smoke"
    assert load_profile("toy", outputs=tmp_path / "else").outputs == tmp_path / "else" / "toy"
    monkeypatch.delenv("PROFILE")
    assert load_profile().name == "toy"


def test_a_profile_extends_another_and_says_only_what_differs(tmp_path):
    write(
        tmp_path / "parent.yaml",
        "name: parent\nsft: {epochs: 3, batch_size: 4}\nengine: {max_rows: 2}\n",
    )
    path = write(
        tmp_path / "child.yaml", f"extends: {tmp_path / 'parent.yaml'}\nsft: {{epochs: 1}}\n"
    )
    child = load_profile(path)
    assert (child.name, child.sft.epochs, child.sft.batch_size, child.engine.max_rows) == (
        "child",
        1.0,
        4,
        2,
    )
    assert [file.name for file in profile_files(path)] == ["child.yaml", "parent.yaml"]


def test_references_are_local_to_the_outputs_or_on_a_hub(tmp_path):
    profile = Profile("mine", outputs_root=str(tmp_path))
    assert profile.resolve("@00_toy_universe/pool.jsonl") == str(
        tmp_path / "mine" / "00_toy_universe" / "pool.jsonl"
    )
    assert profile.resolve("owner/name@main") == "owner/name@main"
    assert is_hub_id("owner/name") and is_hub_id("owner/name@5ede1c9")
    assert not any(
        map(
            is_hub_id,
            [
                "@stage/file",
                "pool.jsonl",
                "data/pool.jsonl",
                "data/pool.parquet",
                "/models/mine",
                "../models/mine",
                str(tmp_path),
            ],
        )
    )
    assert split_revision("owner/name@5ede1c9") == ("owner/name", "5ede1c9")
    assert split_revision("owner/name") == ("owner/name", None) and split_revision("/a@b/c") == (
        "/a@b/c",
        None,
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("epochs: 3", "unknown profile key 'epochs'"),
        ("sft: {epoch: 3}", "unknown profile key 'sft.epoch'; did you mean 'sft.epochs'?"),
        ("evaluation: {benchmarks: [{nme: a}]}", "did you mean 'evaluation.benchmarks[0].name'?"),
        ("sft: {epochs: -1.0}", "sft.epochs is -1.0: write 0.001 or more"),
        ("sft: {batch_size: 0}", "sft.batch_size is 0: write 1 or more"),
        ("sft: {conditional: [foo]}", "must be one of token, step, class, not 'foo'"),
        ("sft: {published: [{path: a.jsonl}]}", "sft.published holds the name ''"),
        ("sft: {published: [{name: ../a, path: a.jsonl}]}", "the name '../a', which cannot be"),
        ("sft: {published: [{name: base, path: a.jsonl}]}", "names 'base', which is the model"),
        ("evaluation: {benchmarks: [{name: a/b}]}", "evaluation.benchmarks holds the name 'a/b'"),
        ("evaluation: {benchmarks: [{name: a}, {name: a}]}", "names 'a' twice"),
        ("evaluation: {benchmarks: [{name: a, limit: 0}]}", "limit of benchmark a is 0: write 1"),
        ("evaluation: {models: {.hid: /m}}", "evaluation.models holds the name '.hid'"),
        ("curation: {models: [/a/model, /b/model]}", "curation.models names 'model' twice"),
        ("name: ../evil", "name holds the name '../evil'"),
        ("scaling: {alpha: 2.0}", "scaling.alpha is 2.0: write a number between 0 and 1"),
        ("notebooks: [00_toy_universe]", "there is no universe for 00_toy_universe to make"),
        ("extends: nix.yaml", "there is no file nix.yaml"),
        ("sft: {epochs: three}", "profile key 'sft.epochs' must be float, not 'three'"),
        ("sft: {batch_size: 1.5}", "profile key 'sft.batch_size' must be int, not 1.5"),
        ("sft: {bf16: 1}", "profile key 'sft.bf16' must be bool, not 1"),
        ("sft: {batch_size: true}", "profile key 'sft.batch_size' must be int, not True"),
        ("evaluation: {budgets: 8}", "profile key 'evaluation.budgets' must be a list, not 8"),
        (
            "engine: {kind: vlm}",
            "profile key 'engine.kind' must be one of torch, vllm, server, not 'vlm'",
        ),
        ("sft: 3", "profile key 'sft' must hold `key: value` lines, not 3"),
        ("- a", "must hold `key: value` lines at its top level"),
        ("sft: {", "is not valid YAML"),
        (
            "outputs_root: x",
            "unknown key 'outputs_root'; set the environment variable S1_OUTPUTS instead",
        ),
        ("extends: tpy", "unknown profile 'tpy'; did you mean 'toy'?"),
        ("evaluation: {models: [s1]}", "'evaluation.models' must hold `name: value` lines"),
        ("evaluation: {models: {s1: 3}}", "key 'evaluation.models.s1' must be str, not 3"),
        ("evaluation: {models: {s1: /here}}", "names 's1', which is the base model or one that"),
        ("evaluation: {models: {base: /here}}", "names 'base', which is the base model or one"),
        ("evaluation: {waits: []}", "evaluation.waits is empty, and notebook 03 has nothing"),
        ("curation: {sizes: [62, 0]}", "curation.sizes holds 0: a training set has one question"),
        (
            "curation: {sizes: [62], selection: published}",
            "curation.sizes needs sets that are drawn",
        ),
        ("sft: {seeds: 0}", "sft.seeds is 0: write 1 or more"),
        ("universe: {seeds: -1}", "universe.seeds is -1: write 1 or more"),
        ("universe: {seeds: 2}\nsft: {base: /b}", "sft.base is no base model of the universe"),
        ("sft: {seeds: 2, sets: [s1, s1-seed1]}", "'s1-seed1' is the name of a model and of one"),
        (
            "sft: {seeds: 3, cut_length: 9}\nevaluation: {models: {cut-seed2: /here}}\n",
            "'cut-seed2' is the name of a model and of one of the trainings of 'cut'",
        ),
        ("curation: {selection: s1K}", "must be one of paper, official, published, not 's1K'"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(tmp_path, text, complaint):
    with pytest.raises(ProfileError) as error:
        load_profile(write(tmp_path / "wrong.yaml", text))
    assert complaint in str(error.value) and "\n" not in str(error.value)


def test_a_profile_that_extends_itself_is_an_error(tmp_path):
    path = str(tmp_path / "loop.yaml")
    with pytest.raises(ProfileError, match="extends itself"):
        load_profile(write(tmp_path / "loop.yaml", f"extends: {path}"))


def test_null_stands_for_no_limit_only_where_there_may_be_none(tmp_path):
    profile = load_profile(
        write(tmp_path / "a.yaml", "curation: {full_size: null}\nuniverse: null")
    )
    assert profile.curation.full_size is None and profile.universe is None
    with pytest.raises(ProfileError, match=r"'curation.target' must be int"):
        load_profile(write(tmp_path / "b.yaml", "curation: {target: null}"))


def test_evaluated_models_are_the_base_what_is_trained_and_published_weights(tmp_path):
    sets, models = "{base: owner/base, sets: [random]}", "{s1: owner/s1@abc, mine: '@models/mine'}"
    text = f"sft: {sets}\nevaluation: {{models: {models}}}"
    profile = load_profile(write(tmp_path / "p.yaml", text), outputs=tmp_path)
    trained = [str(tmp_path / f"p/02_sft/models/{name}") for name in ("random", "token", "step")]
    paths = ["owner/base", *trained, "owner/s1@abc", str(tmp_path / "p/models/mine")]
    assert list(profile.model_paths.values()) == paths
    assert profile.model_path("s1") == "owner/s1@abc"
    assert ("model", "owner/s1", "abc") in hub_references(profile)
    with pytest.raises(ProfileError, match=r"no model 'full': train it .* or say where"):
        profile.model_path("full")


def test_sets_of_further_sizes_are_trained_on_without_being_listed(tmp_path):
    text = "extends: toy\ncuration: {target: 250, sizes: [62, 250]}\nsft: {sets: [s1, random_62]}"
    profile = load_profile(write(tmp_path / "p.yaml", text))
    assert profile.sft.sets == ("s1", "random_62", "s1_62")  # 250 is the size of s1 itself
    assert [grown(name) for name in ("s1_62", "random", "full", "s1.1", "s1-seed1")] == [
        "s1",
        "random",
        None,
        None,
        None,
    ]


def test_a_name_may_hold_a_dot(tmp_path):
    assert load_profile(write(tmp_path / "mine-1.1.yaml", "extends: smoke")).name == "mine-1.1"


def test_no_reward_model_is_fetched_where_no_tree_is_searched(tmp_path):
    text = "sft: {base: /b}\nevaluation: {reward: owner/reward@1, tree_widths: []}"
    assert not hub_references(load_profile(write(tmp_path / "p.yaml", text)))


def test_each_training_of_a_model_has_a_place_and_the_first_keeps_the_models_own(tmp_path):
    text = "extends: toy\nuniverse: {seeds: 2}\nsft: {seeds: 2, seed: 7}"
    profile = load_profile(write(tmp_path / "p.yaml", text), outputs=tmp_path)
    places = [path_of(profile, "s1", each) for each in replicas_of(profile, "s1")]
    names = [place.rpartition("/")[2] for place in places]
    assert names == ["s1", "s1-seed1", "s1-base1-seed0", "s1-base1-seed1"]
    assert places[0] == profile.model_path("s1")
    bases = [path_of(profile, "base", each) for each in replicas_of(profile, "base")]
    assert [place.rpartition("/")[2] for place in bases] == ["base-large", "base-large-1"]

    last = with_seeds(profile, replicas_of(profile, "s1")[-1]).sft
    assert (last.base, last.seed) == (bases[1], 8)
    assert with_seeds(profile, Replica()).sft.seed == 7


def test_what_no_claim_compares_is_trained_once_whatever_the_seeds(tmp_path):
    published = "published: [{name: s1, path: /p}, {name: s1.1, path: /q}]"
    trained = f"{{seeds: 3, sets: [random], cut_length: 9, {published}}}"
    text = f"sft: {trained}\nevaluation: {{models: {{theirs: /here}}}}"
    profile = load_profile(write(tmp_path / "p.yaml", text))
    counts = {name: len(replicas_of(profile, name)) for name in profile.model_paths}
    once = {"base": 1, "token": 1, "step": 1, "s1.1": 1, "theirs": 1}
    assert counts == {"random": 3, "cut": 3, "s1": 3, **once}
    assert replicas_of(profile, "token") == [Replica(sft_seed=0)]
    assert replicas_of(profile, "theirs") == replicas_of(profile, "base") == [Replica()]


def test_a_number_with_an_exponent_and_no_point_is_a_number(tmp_path):
    profile = load_profile(write(tmp_path / "p.yaml", "sft: {learning_rate: 1e-5}"))
    assert profile.sft.learning_rate == 1e-5
