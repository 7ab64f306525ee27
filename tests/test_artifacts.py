"""Files that survive interruption: whole or not at all, shards made once, manifests last."""

import asyncio
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from s1lib.keeping.files import (
    ArtifactError,
    atomic_directory,
    atomic_path,
    read_jsonl,
    remove_leftovers,
    write_jsonl,
)
from s1lib.keeping.locks import LockError, take_lock
from s1lib.keeping.manifests import require_manifest, write_manifest
from s1lib.keeping.shards import shard_async

ROOT = Path(__file__).resolve().parent.parent
ROWS = [{"id": 1, "text": "ß\n漢"}, {"id": 2, "text": ""}]


def shard(directory, name, key, make, *, log=print):
    """`shard_async` with work that need not be awaited."""

    async def made():
        return make()

    return asyncio.run(shard_async(directory, name, key, made, log=log))


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


@pytest.mark.parametrize("rows", [[], ROWS])
def test_a_shard_cut_at_any_byte_is_set_aside_and_made_again(tmp_path, rows):
    shard(tmp_path, "part", "k", lambda: rows, log=lambda _: None)
    path, said = tmp_path / "part-k.jsonl", []
    whole = path.read_bytes()
    for size in range(len(whole) - 1):  # without the last line break everything is there
        path.write_bytes(whole[:size])
        assert shard(tmp_path, "part", "k", lambda: rows, log=said.append) == rows
        assert path.read_bytes() == whole
        assert path.with_suffix(".corrupt").read_bytes() == whole[:size]
    aside = [line for line in said if path.name in line and "set aside" in line]
    assert len(aside) == len(whole) - 1


def test_a_shard_that_another_version_wrote_without_its_last_line_is_made_again(tmp_path):
    write_jsonl(tmp_path / "part-k.jsonl", ROWS[:1])
    said: list[str] = []
    assert shard(tmp_path, "part", "k", lambda: ROWS, log=said.append) == ROWS
    assert "part-k.jsonl: its last line is missing" in said[0]


def test_a_shard_without_rows_is_a_finished_one(tmp_path):
    assert shard(tmp_path, "part", "k", lambda: [], log=lambda _: None) == []
    assert shard(tmp_path, "part", "k", lambda: ROWS, log=lambda _: None) == []
    assert read_jsonl(tmp_path / "part-k.jsonl") == []


def test_what_gets_its_name_is_on_the_disk_and_so_is_the_name(tmp_path, monkeypatch):
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def fsync(descriptor):
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    def rename(source, target):
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    pid = os.getpid()
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    assert done == [f".a.jsonl.{pid}.tmp.jsonl", "rename", tmp_path.name]
    done.clear()
    with atomic_directory(tmp_path / "b") as directory:
        (directory / "inside").write_text("x")
    assert done == ["inside", f".b.{pid}.tmp", "rename", tmp_path.name]


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    kept = [tmp_path / "sub" / ".hidden", tmp_path / "sub" / "a.tmp.jsonl"]
    write_jsonl(tmp_path / "sub" / ".a.jsonl.123.tmp.jsonl", ROWS)
    for path in kept:
        path.write_text("mine")
    remove_leftovers(tmp_path)
    assert sorted((tmp_path / "sub").iterdir()) == kept
    (tmp_path / ".model.123.tmp").mkdir()
    with atomic_directory(tmp_path / "model"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"sub", "model"}


def test_what_another_process_writes_under_a_longer_name_is_left_alone(tmp_path):
    with atomic_directory(tmp_path / "s1.1") as under_way:
        (tmp_path / ".s1.77.tmp").mkdir()  # a killed run's
        with atomic_directory(tmp_path / "s1"):
            pass
        assert under_way.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s1", "s1.1"]


def test_a_process_killed_in_the_middle_leaves_finished_shards_and_no_half_one(tmp_path):
    code = f"""
import asyncio, time
from s1lib.keeping.shards import shard_async
def slow():
    yield {{"id": 1}}
    time.sleep(60)
async def main():
    await shard_async({str(tmp_path)!r}, "first", "k", lambda: asyncio.sleep(0, [{{"id": 0}}]))
    print("second", flush=True)
    await shard_async({str(tmp_path)!r}, "second", "k", lambda: asyncio.sleep(0, slow()))
asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
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


HOLD = """
import sys, time
from pathlib import Path
from s1lib.keeping.locks import take_lock
lock = take_lock(Path(sys.argv[1]), what="here")
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_writer_is_refused_in_a_line_that_names_the_first(tmp_path):
    path = tmp_path / "outputs" / ".locks" / "run"
    command = [sys.executable, "-c", HOLD, str(path)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert first.stdout.readline() == "held\n"
    with pytest.raises(LockError) as error:
        take_lock(path, what="outputs/toy")
    told = f"outputs/toy is in use by process {first.pid} on {socket.gethostname()}, since 2"
    assert str(error.value).startswith(told) and "\n" not in str(error.value)
    first.send_signal(signal.SIGKILL)  # a killed run leaves no lock behind
    first.communicate()
    with take_lock(path, what="outputs/toy"), pytest.raises(LockError, match=str(os.getpid())):
        take_lock(path, what="outputs/toy")
    take_lock(path, what="outputs/toy").close()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LockError, match=r"cannot write to .*file: .*choose another place"):
        take_lock(tmp_path / "file" / ".locks" / "run", what="here")


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


def test_a_damaged_manifest_is_one_line_that_says_what_to_run(tmp_path):
    write_manifest(tmp_path / "02_sft")
    path = tmp_path / "02_sft" / "manifest.json"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ArtifactError, match=r"manifest.json is damaged: delete it and run"):
        require_manifest(tmp_path / "02_sft")


def test_a_stage_without_a_manifest_is_not_finished(tmp_path):
    (tmp_path / "02_sft").mkdir()
    with pytest.raises(ArtifactError, match="run notebook 02_sft first"):
        require_manifest(tmp_path / "02_sft")
