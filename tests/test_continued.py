"""What a profile takes over from the one that it continues."""

import os

import pytest

from s1lib.keeping.continued import link_finished
from s1lib.profile import ProfileError, load_profile

SHARDS, MODELS = "04_evaluation/shards", "02_sft/models"


@pytest.fixture
def profile(tmp_path):
    """A profile that continues "first", whose outputs hold a shard and a model."""
    (tmp_path / "first.yaml").write_text("extends: smoke\n")
    second = f"extends: smoke\ncontinues: {tmp_path / 'first.yaml'}\n"
    (tmp_path / "second.yaml").write_text(second)
    write(tmp_path / "first" / SHARDS / "s1-forcing-hard-00000-abc.jsonl", "one")
    write(tmp_path / "first" / MODELS / "s1" / "model.safetensors", "weights")
    write(tmp_path / "first" / MODELS / "s1" / "more" / "config.json", "{}")
    return load_profile(str(tmp_path / "second.yaml"), outputs=tmp_path)


def write(path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def texts(folder) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_finished_shards_and_models_lie_where_the_profile_looks_for_its_own(profile, capsys):
    for folder in (SHARDS, MODELS):
        link_finished(profile, folder)
        first = profile.outputs.parent / "first" / folder
        assert texts(profile.outputs / folder) == texts(first) != {}
    assert "1 finished by profile first in 04_evaluation/shards" in capsys.readouterr().out


def test_what_the_profile_has_itself_is_never_replaced(profile):
    own = profile.outputs / MODELS / "s1" / "model.safetensors"
    write(own, "its own")
    link_finished(profile, MODELS)
    assert texts(profile.outputs / MODELS) == {"s1/model.safetensors": "its own"}


def test_half_written_and_damaged_files_are_not_taken_over(profile):
    shards = profile.outputs.parent / "first" / SHARDS
    write(shards / ".s1-forcing.123.tmp.jsonl", "half")
    write(shards / "s1-forcing-hard-00100-abc.corrupt", "damaged")
    link_finished(profile, SHARDS)
    assert list(texts(profile.outputs / SHARDS)) == ["s1-forcing-hard-00000-abc.jsonl"]


def test_what_is_taken_over_stays_when_the_first_profile_makes_it_again(profile):
    link_finished(profile, MODELS)
    weights = "s1/model.safetensors"
    first = profile.outputs.parent / "first" / MODELS / weights
    write(first.with_name("new"), "other weights")
    os.replace(first.with_name("new"), first)  # as every file of a run is written
    assert texts(profile.outputs / MODELS)[weights] == "weights"


def test_a_file_system_without_hard_links_gets_copies(profile, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    link_finished(profile, MODELS)
    assert texts(profile.outputs / MODELS)["s1/model.safetensors"] == "weights"


def test_a_profile_that_continues_none_takes_nothing_over(profile, tmp_path):
    alone = load_profile("smoke", outputs=tmp_path)
    link_finished(alone, SHARDS)
    assert not alone.outputs.exists()


def test_a_profile_that_continues_an_unknown_one_is_refused_when_it_is_loaded(tmp_path):
    (tmp_path / "second.yaml").write_text("extends: smoke\ncontinues: frist\n")
    with pytest.raises(ProfileError, match="unknown profile 'frist'"):
        load_profile(str(tmp_path / "second.yaml"))
