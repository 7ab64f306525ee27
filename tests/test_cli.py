"""The command `s1`: one notebook headless, what a failure looks like, what make is told."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import headless
import nbformat
import pytest
from headless import only_line, wait_for

from s1lib.command.cli import main
from s1lib.command.reproduce import package_files
from s1lib.profile import load_profile
from s1lib.published import hub

place = headless.place  # a fixture

ROOT = Path(__file__).resolve().parent.parent


def test_a_finished_notebook_appears_and_its_prints_reach_the_terminal(place, capfd):
    told = 'os.environ["OMP_NUM_THREADS"], os.environ["HF_HUB_OFFLINE"], sys.executable'
    show = f'import os, sys\nprint("at work", {told})'
    assert main(place(show, "write_manifest(out)")) == 0
    printed = capfd.readouterr().out
    assert f"at work 1 1 {sys.executable}" in printed and "1. A section" in printed
    executed = nbformat.read(place.executed, as_version=4)
    assert any("at work" in str(cell.get("outputs")) for cell in executed.cells)
    assert place.manifest.exists() and not place.running.exists()


def test_an_error_of_ours_is_one_line_and_the_notebook_never_looks_finished(place, capsys):
    assert (
        main(
            place(
                "write_manifest(out)", 'raise ArtifactError("the pool is not there: run 00 first")'
            )
        )
        == 1
    )
    assert only_line(capsys) == "error: 01_curation: the pool is not there: run 00 first"
    assert place.failed.exists() and not place.executed.exists() and not place.running.exists()
    assert main(place("write_manifest(out)")) == 0
    assert place.executed.exists() and not place.failed.exists()


def test_any_other_error_shows_where_it_happened(place, capsys):
    assert main(place("1 / 0")) == 1
    assert (
        "ZeroDivisionError" in (error := capsys.readouterr().err)
        and "1 / 0" in error
        and "\x1b" not in error
    )


def test_a_full_disk_is_one_line_wherever_it_strikes(place, capsys):
    assert (
        main(place("import errno, os\nraise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))")) == 1
    )
    assert "no space left" in only_line(capsys)


def test_too_little_space_is_said_before_the_work_starts(place, capsys, monkeypatch):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10 << 20, 9 << 20, 1 << 20)
    )
    assert main(place("write_manifest(out)")) == 1
    assert "no space left: 1 MB free" in only_line(capsys)


def test_a_failed_rerun_leaves_no_old_manifest_behind(place, capsys):
    place.manifest.parent.mkdir(parents=True)
    place.manifest.write_text("{}")
    assert main(place("1 / 0")) == 1
    assert not place.manifest.exists()


def test_a_notebook_without_a_manifest_is_not_done(place, capsys):
    assert main(place("pass")) == 1
    assert "wrote no manifest" in only_line(capsys)


def test_a_parameter_that_the_notebook_does_not_know_is_an_error(place, capsys):
    assert main(place("write_manifest(out)", parameters='profile_name = "toy"')) == 1
    assert "does not know the parameter 'outputs'" in only_line(capsys)


def test_an_unknown_profile_key_or_notebook_is_one_line(place, capsys, tmp_path):
    command = place("write_manifest(out)")
    assert main(["run", command[1], "--profile", "toi"]) == 1
    assert "unknown profile 'toi'; did you mean 'toy'?" in only_line(capsys)
    (tmp_path / "mine.yaml").write_text("sft: {epoch: 3}\n")
    assert main(command) == 1
    assert "unknown profile key 'sft.epoch'; did you mean 'sft.epochs'?" in only_line(capsys)
    (tmp_path / "mine.yaml").write_text("")
    assert main(["run", "notebooks/77_none.ipynb", *command[2:]]) == 1
    assert "does not exist" in only_line(capsys)


def test_an_output_directory_that_cannot_be_written_is_one_line(place, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main([*place("write_manifest(out)")[:-1], str(tmp_path / "file")]) == 1
    assert "cannot write to" in only_line(capsys)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_one_line_and_130_and_leaves_no_kernel_behind(place, sign, tmp_path):
    pid_file = tmp_path / "kernel.pid"
    command = place(
        f'import os, time\nopen("{pid_file}", "w").write(str(os.getpid()))\ntime.sleep(60)'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "s1lib", *command], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    wait_for(pid_file.exists)
    wait_for(lambda: pid_file.read_text() != "")
    process.send_signal(sign)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [line for line in error.splitlines() if line] == [
        "interrupted; finished work is kept: run the same command again to go on"
    ]
    assert not place.executed.exists() and not place.running.exists()
    wait_for(lambda: not Path(f"/proc/{pid_file.read_text()}").exists())


def test_a_kernel_that_is_killed_is_one_line_that_says_what_to_do(place, capsys):
    assert main(place("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")) == 1
    assert "most often because the memory was full; finished work is kept" in only_line(capsys)
    assert not place.executed.exists() and not place.running.exists()


def test_fetch_says_when_there_is_nothing_to_fetch(place, capsys):
    command = place("pass")
    assert main(["fetch", *command[2:]]) == 0
    assert "nothing to fetch" in capsys.readouterr().out


def test_fetch_of_an_id_out_of_reach_is_one_line(place, capsys, tmp_path):
    (tmp_path / "mine.yaml").write_text("sft: {base: nobody/nothing@main}\n")
    script = "import sys; from s1lib.command.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {
        **os.environ,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path / "hub"),
    }
    command = [sys.executable, "-c", script, "fetch", "--profile", str(tmp_path / "mine.yaml")]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 1
    assert (
        len(run.stderr.strip().splitlines()) == 1
        and "cannot fetch the model nobody/nothing" in run.stderr
    )


def test_fetch_goes_on_past_what_is_out_of_reach_and_names_it_at_the_end(
    place, capsys, tmp_path, monkeypatch
):
    (tmp_path / "mine.yaml").write_text(
        "sft: {base: nobody/nothing@main}\ncuration: {also_tests: [some/body@abc]}\n"
    )

    def download(kind, name, revision):
        if name.startswith("nobody"):
            raise hub.HubError(f"cannot fetch the {kind} {name}: gated")
        return tmp_path

    monkeypatch.setattr(hub, "download", download)
    assert main(["fetch", "--profile", str(tmp_path / "mine.yaml")]) == 1
    printed = capsys.readouterr()
    assert f"dataset some/body at abc: {tmp_path}" in printed.out
    assert (
        printed.err.startswith("error: cannot fetch the model nobody/nothing: gated; ")
        and len(printed.err.splitlines()) == 1
    )


def test_every_profile_is_listed_with_its_description(capsys):
    assert main(["profiles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(
        p.stem for p in (ROOT / "s1lib" / "profiles").glob("*.yaml")
    )
    assert all(len(line.split()) > 3 for line in lines)


def test_pages_are_rendered_from_finished_notebooks_alone(place, capsys):
    command = place('print("read me")', "write_manifest(out)")
    assert main(["html", *command[2:]]) == 1
    assert "no executed notebook" in only_line(capsys)
    assert main(command) == 0
    shutil.copy(place.executed, place.failed)
    assert main(["html", *command[2:]]) == 0
    page = place.executed.parent.parent / "html" / "01_curation.html"
    assert "read me" in page.read_text()
    documents = {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    pictures = {path.name for path in (ROOT / "docs").glob("*.png")}
    written = {path.name for path in page.parent.iterdir()}
    assert written == {"01_curation.html", "index.html"} | documents | pictures


def test_a_notebook_depends_on_its_own_package_and_on_no_later_one():
    names = {path.relative_to(ROOT / "s1lib").parts[0] for path in package_files("02_sft")}
    assert {
        "toy",
        "curation",
        "sft",
        "chat",
        "engines",
        "drawing",
        "published",
        "errors.py",
    } <= names
    assert not names & {"thinking", "evaluation", "scaling", "command", "site"}


def test_the_papers_numbers_are_inputs_of_every_notebook():
    for name in load_profile("toy").notebooks:
        assert ROOT / "s1lib" / "published" / "paper" / "table1.csv" in package_files(name)
