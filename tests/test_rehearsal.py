"""`s1 rehearse`: small numbers, stand-ins, and one line for what would stop the real run."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_columns import DATA, lay_out
from tokenizers import AddedToken, Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from s1lib.chat import ChatFormat
from s1lib.curation import domains, judge
from s1lib.curation.sources import open_pool
from s1lib.engines import Request, open_engine
from s1lib.evaluation.model_methods import methods_for
from s1lib.gpu_check.qwen_vocabulary import SPECIAL, TEMPLATE
from s1lib.hardware.architectures import PlanError
from s1lib.profile import EngineSettings, Profile, hub_references, known_profiles, load_profile
from s1lib.published import hub
from s1lib.published.table_files import TableError
from s1lib.rehearsal import checks as checks_module
from s1lib.rehearsal.checks import (
    hub_checks,
    machine_checks,
    room_for_budgets,
    too_short_for,
)
from s1lib.rehearsal.machine import Machine
from s1lib.rehearsal.preparation import prepare, tables_of
from s1lib.rehearsal.rehearse import RehearsalError, rehearse
from s1lib.rehearsal.shrink import shrink, write_profile
from s1lib.rehearsal.small_tables import small_pool
from s1lib.rehearsal.stand_in import CODES, StandInError, StandIns, stand_ins
from s1lib.rehearsal.table_checks import table_checks

needs_data = pytest.mark.skipif(not DATA.exists(), reason="shared/data is not here")
REAL = [name for name in known_profiles() if not load_profile(name).universe]
LAPTOP = Machine(gpus=0, kind="torch", bf16=False)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tiny_chatml_dir(tmp_path_factory):
    """A random Qwen2 of two layers that reads bytes, with Qwen's turns and chat template."""
    tokenizer = Tokenizer(
        models.BPE({letter: i for i, letter in enumerate(sorted(ByteLevel.alphabet()))}, [])
    )
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in SPECIAL])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.chat_template = TEMPLATE
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    config = Qwen2Config(vocab_size=len(fast), **sizes, **heads, max_position_embeddings=8192)
    directory = tmp_path_factory.mktemp("models") / "tiny"
    Qwen2ForCausalLM(config).save_pretrained(directory)
    fast.save_pretrained(directory)
    return directory


@pytest.fixture
def places(tmp_path) -> StandIns:
    names = ("whole", "short", "classifier", "judge")
    return StandIns(*(tmp_path / name for name in names), context=8192, heads=9)


def small(name: str, places: StandIns, outputs, machine: Machine = LAPTOP) -> Profile:
    profile = load_profile(name, outputs=outputs)
    tables = tables_of(profile)
    return shrink(profile, places, dict.fromkeys(tables, "/a/table"), machine)


# ---- the small profile -------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_a_rehearsal_has_every_stage_method_and_model_of_its_profile(name, places, tmp_path):
    profile, few = load_profile(name), small(name, places, tmp_path)
    assert few.notebooks == profile.notebooks and few.sft.models == profile.sft.models
    assert few.sft.launched == profile.sft.launched
    assert set(few.evaluation.models) == set(profile.evaluation.models)
    for model in few.model_paths:
        kinds = [type(method) for method in methods_for(few, model)]
        assert kinds == [type(method) for method in methods_for(profile, model)], model


@pytest.mark.parametrize("name", REAL)
def test_the_written_profile_is_the_one_that_notebooks_read(name, places, tmp_path):
    few = small(name, places, tmp_path)
    read = load_profile(str(write_profile(few)), outputs=tmp_path)
    assert dataclasses.replace(read, rehearsal=few.rehearsal, outputs_root="") == (
        dataclasses.replace(few, outputs_root="")
    )


@settings(max_examples=20)
@given(gpus=st.integers(0, 16), heads=st.integers(1, 64))
def test_a_model_is_split_over_gpus_that_are_there_and_divide_its_heads(gpus, heads):
    places = StandIns(*["/a/model"] * 4, context=8192, heads=heads)
    engine = small("h100", places, "/tmp", Machine(gpus, "vllm", True)).engine
    assert heads % engine.tensor_parallel == 0
    assert engine.tensor_parallel * max(1, gpus) <= max(1, gpus) ** 2


def test_processes_without_bf16_train_in_float32_two_at_most(places, tmp_path):
    sft = small("h100", places, tmp_path).sft
    assert (sft.processes, sft.bf16, sft.batch_size) == (2, False, 2)
    fast = small("h100", places, tmp_path, Machine(8, "vllm", True))
    assert (fast.sft.processes, fast.sft.bf16, fast.engine.dtype) == (8, True, "bfloat16")


@pytest.mark.parametrize(("seeds", "tried"), [(1, 1), (2, 2), (5, 2)])
def test_several_trainings_are_tried_with_two(places, tmp_path, seeds, tried):
    profile = load_profile("h100", outputs=tmp_path)
    several = dataclasses.replace(profile, sft=dataclasses.replace(profile.sft, seeds=seeds))
    few = shrink(several, places, dict.fromkeys(tables_of(several), "/a/table"), LAPTOP)
    assert few.sft.seeds == tried


# ---- stand-ins ---------------------------------------------------------------------------------


def test_stand_ins_reply_in_the_form_that_is_asked_for(tiny_chatml_dir):
    models = stand_ins(str(tiny_chatml_dir), layers=1)

    async def reply(model, prompt: str) -> str:
        engine = open_engine(model, EngineSettings(max_rows=1, max_context=8192))
        chat = ChatFormat(engine.tokenizer)
        ids = chat.prompt_ids(prompt, think=False)
        done = await engine.complete(Request(ids, max_tokens=8, stop=chat.answer_stops))
        await engine.aclose()
        return chat.decode(done.ids)

    # Of bytes, only those outside the prompt's English vote.
    questions = ("Why?", "Où?", "Größe?", "数学？", "π²?")
    said = [asyncio.run(reply(models.classifier, domains.prompt(one))) for one in questions]
    assert set(said) <= set(CODES) and len(set(said)) > 1
    assert all(domains.subject(text) for text in said)
    asked = judge.PROMPT.format(question="Why?", reference="So. " * 99, attempt="Yes.")
    assert asyncio.run(reply(models.judge, asked)) == "No"


def test_the_short_stand_in_is_the_first_layers_of_the_whole(tiny_chatml_dir):
    models = stand_ins(str(tiny_chatml_dir), layers=1)
    assert json.loads((models.short / "config.json").read_text())["num_hidden_layers"] == 1
    assert stand_ins(str(tiny_chatml_dir), layers=0).short == tiny_chatml_dir


def test_a_stand_in_of_another_tokenizer_family_is_one_line(tiny_chatml_dir, tmp_path):
    (tmp_path / "other").mkdir()
    for file in tiny_chatml_dir.iterdir():
        text = file.read_bytes()
        if file.name.endswith(".json"):
            text = text.replace(b"<|im_start|>", b"<|begin_turn|>")
        (tmp_path / "other" / file.name).write_bytes(text)
    with pytest.raises(StandInError, match="another family") as refusal:
        stand_ins(str(tmp_path / "other"), layers=1)
    assert "\n" not in str(refusal.value)


def test_a_stand_in_that_is_not_there_is_one_line():
    with pytest.raises(StandInError, match="/no/such/model is no directory"):
        stand_ins("/no/such/model", layers=1)


# ---- what would stop the real run --------------------------------------------------------------


def test_every_budget_that_a_short_context_has_no_room_for_is_named():
    profile = load_profile("h100")
    assert too_short_for(32768, profile) == []
    said = too_short_for(4096, profile)
    assert {"evaluation.max_thinking", "evaluation.budgets 16,000", "sft.max_length"} <= set(said)
    assert "evaluation.budgets 2,000" not in said


def test_the_context_of_the_base_model_is_looked_at(tiny_model_dir):
    profile = load_profile("h100")
    sft = dataclasses.replace(profile.sft, base=str(tiny_model_dir))
    with pytest.raises(PlanError, match=r"context of 512 tokens, too short for evaluation\.max_t"):
        room_for_budgets(dataclasses.replace(profile, sft=sft))


def test_every_hub_id_is_asked_for_and_a_hub_out_of_reach_only_once(monkeypatch):
    asked = []

    def ask_for(kind: str, name: str, revision: str | None) -> None:
        asked.append(name)
        if kind == "dataset":
            raise hub.NoHubError("no route")

    monkeypatch.setattr(hub, "in_cache", lambda kind, name, revision: name.endswith("gpqa"))
    monkeypatch.setattr(hub, "ask_for", ask_for)
    checks = {check.what: check for check in hub_checks(load_profile("gpu"))}
    assert len(checks) == len(hub_references(load_profile("gpu")))
    assert checks["dataset Idavidrein/gpqa"].said == "in the local cache"
    assert checks["model Qwen/Qwen2.5-7B-Instruct"].said == "within reach"
    others = [check for what, check in checks.items() if "dataset simple" in what]
    assert {check.state for check in others} == {"not here"}
    assert len([name for name in asked if name.startswith("simplescaling/")]) == 1


def test_a_gated_repository_says_what_to_accept(monkeypatch):
    def ask_for(kind: str, name: str, revision: str | None) -> None:
        raise hub.GatedError(f"{name} is gated; accept its terms")

    monkeypatch.setattr(hub, "in_cache", lambda *asked: False)
    monkeypatch.setattr(hub, "ask_for", ask_for)
    checks = list(hub_checks(load_profile("gpu")))
    assert {check.state for check in checks} == {"to do"}
    assert all("accept its terms" in check.said for check in checks)


def test_a_disk_too_small_says_what_is_needed_and_what_is_free(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    monkeypatch.setattr(checks_module, "_gpu_memory", lambda profile: "not simulated here")
    checks = {check.what: check for check in machine_checks(load_profile("gpu", outputs=tmp_path))}
    assert checks["disk"].state == "to do" and "0.00 free" in checks["disk"].said


@needs_data
def test_a_stand_in_whose_context_is_too_short_names_its_budgets(places, tmp_path):
    profile = _with_data(load_profile("h100", outputs=tmp_path), tmp_path / "data")
    with pytest.raises(StandInError, match=r"context of 64 tokens, too short for evaluation\.max"):
        prepare(profile, dataclasses.replace(places, context=64), tables_of(profile))


@needs_data
def test_a_data_set_with_other_columns_stops_before_anything_is_decoded(tmp_path):
    profile = _with_data(load_profile("h100", outputs=tmp_path), tmp_path / "data")
    (tmp_path / "data" / "AIME24" / "aime24.jsonl").write_text('{"text": "2 + 2", "label": 4}\n')
    checks = {check.what: check for check in table_checks(profile, tables_of(profile))}
    assert checks["aime24"].state == "to do" and checks["aime24"].stops
    assert checks["math500"].state == checks["curation.pool"].state == "ok"
    assert "\n" not in checks["aime24"].said


@needs_data
def test_a_benchmark_in_which_nothing_is_graded_is_told(tmp_path):
    profile = _with_data(load_profile("h100", outputs=tmp_path), tmp_path / "data")
    table = tmp_path / "data" / "MATH500" / "test.jsonl"
    rows = [json.loads(line) | {"answer": "?"} for line in table.read_text().splitlines()]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    checks = {check.what: check for check in table_checks(profile, tables_of(profile))}
    assert "not one of its 3 gold answers" in checks["math500"].said


def test_a_folder_that_lacks_a_table_says_which(tmp_path):
    with pytest.raises(TableError, match="holds no full59K, which stands in for simplescaling/"):
        tables_of(_with_folder(load_profile("h100"), tmp_path))


def test_a_profile_that_makes_its_own_data_is_not_rehearsed():
    with pytest.raises(RehearsalError, match="make smoke"):
        rehearse(load_profile("toy"))


# ---- small tables ------------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize("name", ("full59K", "s1K-1.1"))
def test_a_small_pool_keeps_columns_and_takes_every_source_in_turn(name, tmp_path):
    whole = lay_out(tmp_path / "data", questions=80)[name]
    file = small_pool(str(whole), rows=12, directory=tmp_path)
    few = open_pool(file, log=lambda _: None)
    ids = {sample.id for sample in open_pool(str(whole), log=lambda _: None)}
    assert {sample.id for sample in few} <= ids and len(few) == 12
    sources = [sample.source for sample in few]
    assert {sources.count(source) for source in sources} == {3}


def _with_folder(profile: Profile, folder) -> Profile:
    settings = dataclasses.replace(profile.rehearsal, data=str(folder))
    return dataclasses.replace(profile, rehearsal=settings)


def _with_data(profile: Profile, folder) -> Profile:
    lay_out(folder)
    return _with_folder(profile, folder)
