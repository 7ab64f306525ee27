"""Files that survive interruption: whole or not at all, shards made once, manifests last."""

import asyncio
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from s1lib.keeping import files as artifacts
from s1lib.keeping.files import ArtifactError, atomic_path, read_jsonl, write_jsonl
from s1lib.keeping.hashes import hash_of, hash_of_model
from s1lib.keeping.manifests import require_manifest, write_manifest
from s1lib.keeping.shards import shard, shard_async

ROWS = [{"id": 1, "text": "ß\n漢"}, {"id": 2, "text": ""}]


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with pytest.raises(KeyError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert list(path.parent.iterdir()) == []
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]


def test_an_old_file_survives_a_failed_rewrite(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(ZeroDivisionError):
        write_jsonl(tmp_path / "a.jsonl", ({"id": 1 // (2 - i)} for i in range(4)))
    assert read_jsonl(tmp_path / "a.jsonl") == ROWS


def test_no_space_left_is_one_clear_line_and_leaves_nothing_behind(tmp_path):
    with (
        pytest.raises(ArtifactError, match="no space left on the disk"),
        atomic_path(tmp_path / "a"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_really_full_disk_is_the_same_line(tmp_path, monkeypatch):
    (tmp_path / "full").symlink_to("/dev/full")
    with (
        pytest.raises(ArtifactError, match="no space left"),
        atomic_path(tmp_path / "a"),
        open(tmp_path / "full", "w") as file,
    ):
        file.write("x" * 100_000)


@pytest.mark.parametrize("cut", ['{"id": 3, "te', "not json", '{"id": "\udcff"}'])
def test_a_cut_line_is_named_with_its_file_and_number(tmp_path, cut):
    path = tmp_path / "a.jsonl"
    write_jsonl(path, ROWS)
    with path.open("ab") as file:
        file.write(cut.encode("utf-8", "surrogateescape"))
    with pytest.raises(
        ArtifactError, match=re.escape(f"{path}, line 3: not a complete JSON line")
    ) as error:
        read_jsonl(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_says_what_to_run(tmp_path):
    with pytest.raises(ArtifactError, match="run the notebook that writes it"):
        read_jsonl(tmp_path / "none.jsonl")


def test_a_shard_is_made_once_per_key(tmp_path):
    made = []

    def make() -> list[dict]:
        made.append(1)
        return ROWS

    said: list[str] = []
    assert (
        shard(tmp_path, "part", "k1", make, log=said.append)
        == ROWS
        == shard(tmp_path, "part", "k1", make, log=said.append)
    )
    assert len(made) == 1 and len(said) == 1
    shard(tmp_path, "part", "k2", make, log=said.append)
    assert len(made) == 2 and len(list(tmp_path.iterdir())) == 2


def test_a_corrupt_shard_is_set_aside_named_and_made_again(tmp_path):
    shard(tmp_path, "part", "k", lambda: ROWS, log=lambda _: None)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-4])
    said: list[str] = []
    assert (
        asyncio.run(
            shard_async(tmp_path, "part", "k", lambda: asyncio.sleep(0, ROWS), log=said.append)
        )
        == ROWS
    )
    assert (
        path.name in said[0]
        and "set aside" in said[0]
        and path.with_suffix(".corrupt").exists()
        and read_jsonl(path) == ROWS
    )


def test_a_process_killed_in_the_middle_leaves_finished_shards_and_no_half_one(tmp_path):
    code = f"""
import time
from s1lib.keeping.shards import shard
def slow():
    yield {{"id": 1}}
    time.sleep(60)
shard({str(tmp_path)!r}, "first", "k", lambda: [{{"id": 0}}])
print("second", flush=True)
shard({str(tmp_path)!r}, "second", "k", slow)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=artifacts.__file__.rsplit("/", 2)[0],
    )
    assert any("second" in process.stdout.readline() for _ in range(2))
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [
        "first-k.jsonl"
    ]


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


def test_a_manifest_lists_what_is_there_and_with_what_it_was_made(tmp_path):
    write_jsonl(tmp_path / "sub" / "a.jsonl", ROWS)
    write_manifest(tmp_path, seed=3, point=Point(1))
    manifest = require_manifest(tmp_path)
    assert manifest["files"] == {"sub/a.jsonl": (tmp_path / "sub" / "a.jsonl").stat().st_size}
    assert (
        manifest["seed"] == 3
        and manifest["point"] == {"x": 1, "y": []}
        and "torch" in manifest["versions"]
    )
    json.dumps(manifest)


def test_a_stage_without_a_manifest_is_not_finished(tmp_path):
    (tmp_path / "02_sft").mkdir()
    with pytest.raises(ArtifactError, match="run notebook 02_sft first"):
        require_manifest(tmp_path / "02_sft")
