"""Keys of what produced a result: settings, and every byte that decides what a model decodes."""

import os
import re
from dataclasses import dataclass

import pytest

from s1lib.keeping import hashes
from s1lib.keeping.hashes import hash_of, hash_of_model


@dataclass(frozen=True)
class Point:
    x: int
    y: tuple[int, ...] = ()


def test_a_key_depends_on_values_and_not_on_the_order_of_a_dict():
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1}) != hash_of({"a": 2, "b": 1})
    assert hash_of(Point(1, (2,))) == hash_of(Point(1, (2,))) != hash_of(Point(1, (3,)))
    assert hash_of("a", "b") != hash_of("ab") and re.fullmatch("[0-9a-f]{12}", hash_of(None))


def test_a_models_key_changes_with_its_weights_or_its_configuration(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(3_000_000))
    key = hash_of_model(str(tmp_path))
    (tmp_path / "training.json").write_text("unrelated")
    assert hash_of_model(str(tmp_path)) == key
    (tmp_path / "model.safetensors").write_bytes(bytes(2_999_999) + b"x")
    changed = hash_of_model(str(tmp_path))
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert len({key, changed, hash_of_model(str(tmp_path))}) == 3
    assert hash_of_model("owner/name@a") != hash_of_model("owner/name@b")


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "model.pt",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "merges.txt",
        "vocab.json",
        "chat_template.jinja",
        "chat_template.json",
        "tekken.json",
        "quantize_config.json",
    ],
)
def test_a_models_key_covers_every_byte_that_decides_what_it_decodes(tmp_path, name):
    (tmp_path / "config.json").write_text("{}")
    keys = [hash_of_model(str(tmp_path))]
    content = bytearray(8 << 20)
    for place in (0, 4 << 20, -1):
        (tmp_path / name).write_bytes(content)
        keys.append(hash_of_model(str(tmp_path)))
        content[place] = 1
    assert len(set(keys)) == 4


def test_a_models_key_leaves_out_what_nobody_reads(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    key = hash_of_model(str(tmp_path))
    for name in ("README.md", "training.json", "log.jsonl", "training_args.bin", "optimizer.pt"):
        (tmp_path / name).write_text("x")
    assert hash_of_model(str(tmp_path)) == key


@pytest.fixture
def large_model(tmp_path, monkeypatch):
    """A model whose weights count as large and settled, and the files that have been hashed."""
    hashed: list[str] = []
    whole = hashes.hash_of_file
    monkeypatch.setattr(hashes, "hash_of_file", lambda p: [hashed.append(p.name), whole(p)][1])
    monkeypatch.setattr(hashes, "LARGE", 100)
    monkeypatch.setattr(hashes, "SETTLED", -1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(bytes(1000))
    return tmp_path / "model", hashed


def test_weights_are_hashed_once_until_they_change(large_model):
    model, hashed = large_model
    weights = model / "model.safetensors"
    key = hash_of_model(str(model))
    assert hash_of_model(str(model)) == key and hashed == ["model.safetensors"]
    times = weights.stat()
    weights.write_bytes(bytes(999) + b"x")
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))  # as `cp --preserve` does
    assert hash_of_model(str(model)) != key and len(hashed) == 2
    assert not list(model.glob("*cache*")) and len(list(model.iterdir())) == 1


def test_weights_written_a_moment_ago_are_hashed_again(large_model, monkeypatch):
    model, hashed = large_model
    monkeypatch.setattr(hashes, "SETTLED", 60)
    assert hash_of_model(str(model)) == hash_of_model(str(model)) and len(hashed) == 2


@pytest.mark.parametrize("damage", ["", "[]", '{"stamp": 3}', "not json"])
def test_a_damaged_or_absent_cache_of_hashes_is_no_error(large_model, damage, monkeypatch):
    model, hashed = large_model
    key = hash_of_model(str(model))
    (kept,) = (model.parent / "cache").rglob("*.json")
    kept.write_text(damage)
    assert hash_of_model(str(model)) == key
    monkeypatch.setenv("XDG_CACHE_HOME", str(model / "model.safetensors"))  # no directory
    assert hash_of_model(str(model)) == key and len(hashed) == 3


def test_a_hub_id_counts_with_the_commit_in_the_local_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    before = hash_of_model("owner/name@main")
    home = tmp_path / "models--owner--name"
    keys = []
    for commit in ("a" * 40, "b" * 40):
        (home / "snapshots" / commit).mkdir(parents=True)
        (home / "snapshots" / commit / "config.json").write_text("{}")
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / "main").write_text(commit)
        keys.append(hash_of_model("owner/name@main"))
        assert hash_of_model(f"owner/name@{commit}") == keys[-1] == hash_of_model("owner/name")
    assert len({before, *keys}) == 3
