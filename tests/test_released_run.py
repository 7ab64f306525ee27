"""A released run: packed from a finished one, unpacked elsewhere, read without all its weights."""

import hashlib
import io
import json
import shutil
import tarfile

import pytest

from s1lib.command import released_run
from s1lib.command.cli import main
from s1lib.command.released_run import ReleaseError, pack, unpack
from s1lib.command.reproduce import inputs_key
from s1lib.engines import EngineError, open_engine
from s1lib.keeping.hashes import hash_of_model
from s1lib.keeping.manifests import write_manifest
from s1lib.keeping.stage import open_stage
from s1lib.profile import ROOT, load_profile

MODELS = "02_sft/models"


def finish(profile, name: str) -> None:
    """Mark a stage finished, by the code as it is."""
    write_manifest(profile.create_stage(name), profile=profile)
    key = inputs_key(ROOT / "notebooks" / f"{name}.ipynb", profile, "smoke")
    (profile.stage(name) / "inputs.key").write_text(key)


@pytest.fixture
def run(tmp_path, tiny_model_dir):
    """A finished run of the smoke profile: three models, one shard, executed notebooks."""
    profile = load_profile("smoke", outputs=str(tmp_path / "made"))
    for name in ("s1", "s1-base1-seed0", "random"):
        shutil.copytree(tiny_model_dir, profile.outputs / MODELS / name)
    shards = profile.create_stage("04_evaluation") / "shards"
    shards.mkdir()
    (shards / "s1-abc.jsonl").write_text('{"a": 1}\n')
    (shards / ".s1.1.tmp").write_text("left by a killed run")
    (profile.outputs / "notebooks").mkdir()
    for name in profile.notebooks:
        finish(profile, name)
        (profile.outputs / "notebooks" / f"{name}.ipynb").write_text("{}")
    return profile


@pytest.fixture
def released(run, tmp_path):
    """The folder of its archive, and a profile that has no run yet."""
    pack(run, "smoke", tmp_path / "released")
    return tmp_path / "released", load_profile("smoke", outputs=str(tmp_path / "here"))


def test_the_same_run_packs_to_the_same_bytes_and_its_checksum_is_beside_it(run, tmp_path):
    first, second = (pack(run, "smoke", tmp_path / name) for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    checksum = first.with_name(f"{first.name}.sha256").read_text()
    assert checksum == f"{hashlib.sha256(first.read_bytes()).hexdigest()}  {first.name}\n"


def test_what_is_unpacked_is_the_run_less_ablation_weights_and_leftovers(run, released):
    archives, here = released
    unpack(here, archives)
    files = {str(path.relative_to(here.outputs)) for path in here.outputs.rglob("*.*")}
    assert {f"{MODELS}/s1/model.safetensors", "04_evaluation/shards/s1-abc.jsonl"} <= files
    without = [f"{MODELS}/{name}/model.safetensors" for name in ("s1-base1-seed0", "random")]
    assert not files.intersection(without)
    assert not any(".tmp" in name for name in files)
    about = json.loads((here.outputs / "released.json").read_text())
    assert set(without) <= set(about["left_out"])
    assert set(about["stages"]) == set(run.notebooks)


def test_a_model_without_its_weights_keeps_its_key_and_says_why_it_does_not_open(run, released):
    archives, here = released
    unpack(here, archives)
    for name in ("s1", "s1-base1-seed0", "random"):
        before, after = (str(profile.outputs / MODELS / name) for profile in (run, here))
        assert hash_of_model(before) == hash_of_model(after)
    engine = open_engine(here.outputs / MODELS / "s1", here.engine)
    assert engine.max_context
    with pytest.raises(EngineError, match=r"released run, without model\.safetensors") as refused:
        open_engine(here.outputs / MODELS / "random", here.engine)
    assert "\n" not in str(refused.value)


def test_weights_that_are_there_after_all_count_as_they_are(run, released, tiny_model_dir):
    archives, here = released
    unpack(here, archives)
    model = here.outputs / MODELS / "random"
    (model / "model.safetensors").write_bytes(b"other weights")
    assert hash_of_model(str(model)) != hash_of_model(str(run.outputs / MODELS / "random"))


def test_unpacking_again_changes_nothing_and_another_run_is_not_overwritten(run, released):
    archives, here = released
    unpack(here, archives)
    (here.outputs / "04_evaluation" / "mine.txt").write_text("kept")
    unpack(here, archives)
    assert (here.outputs / "04_evaluation" / "mine.txt").exists()
    with pytest.raises(ReleaseError, match="holds another run, which is not overwritten"):
        unpack(run, archives)


def test_a_place_where_notebooks_were_opened_too_early_counts_as_empty(released):
    archives, here = released
    here.create_stage("03_budget_forcing")
    (here.outputs / ".locks").mkdir()
    (here.outputs / ".locks" / "03_budget_forcing").write_text("process 1")
    unpack(here, archives)
    assert (here.outputs / "released.json").exists()


def test_a_damaged_or_missing_archive_is_one_line(released, capsys):
    archives, here = released
    (archive,) = archives.glob("*.xz")
    archive.write_bytes(archive.read_bytes()[:-100])
    where = ["--outputs", here.outputs_root, "--archives", str(archives), "--profile", "smoke"]
    assert main(["course", *where]) == 1
    assert "is damaged, its checksum is another" in capsys.readouterr().err
    archive.unlink()
    assert main(["course", *where]) == 1
    assert "profile smoke has no released run" in capsys.readouterr().err
    assert not here.outputs.exists()


def test_an_archive_cannot_write_outside_of_the_outputs(released, tmp_path):
    archives, here = released
    (archive,) = archives.glob("*.xz")
    with tarfile.open(archive, "w:xz") as tar:
        entry = tarfile.TarInfo("smoke/../../evil")
        tar.addfile(entry, io.BytesIO())
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.with_name(f"{archive.name}.sha256").write_text(checksum)
    with pytest.raises(ReleaseError, match="is no released run"):
        unpack(here, archives)
    assert not list(tmp_path.rglob("evil")) and not here.outputs.exists()


def test_a_notebook_says_which_run_it_shows_and_what_was_made_again(run, released, capsys):
    archives, here = released
    unpack(here, archives)
    capsys.readouterr()
    open_stage(here, "04_evaluation")
    line = capsys.readouterr().out
    assert line.startswith("This is the released run smoke ") and "again" not in line
    write_manifest(here.stage("03_budget_forcing"), changed=True)
    open_stage(here, "05_scaling_analysis")
    assert "made again here: 03_budget_forcing." in capsys.readouterr().out
    open_stage(run, "05_scaling_analysis")
    assert capsys.readouterr().out == ""


def test_a_run_that_is_stale_or_too_large_or_released_itself_is_not_packed(
    run, released, tmp_path, monkeypatch
):
    archives, here = released
    unpack(here, archives)
    with pytest.raises(ReleaseError, match="is itself a released run"):
        pack(here, "smoke", archives)
    with monkeypatch.context() as patch:
        patch.setattr(released_run, "LARGEST", 1000)
        with pytest.raises(ReleaseError, match="0 MB may be committed"):
            pack(run, "smoke", tmp_path / "large")
    assert not list((tmp_path / "large").iterdir())
    (run.stage("04_evaluation") / "inputs.key").write_text("other code")
    with pytest.raises(ReleaseError, match=r"not up to date with this code \(04_evaluation\)"):
        pack(run, "smoke", archives)
