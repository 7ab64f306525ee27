"""Work in several processes: results in the order of the tasks, logs as they come, errors out."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from s1lib.errors import S1Error
from s1lib.keeping import side_by_side as module
from s1lib.keeping.side_by_side import side_by_side


def wait_for_an_answer(task: tuple[int, Path], log: Callable[[str], None]) -> int:
    """Log something, and be done when somebody has read it."""
    number, answered = task
    log(f"{number}: begun")
    end = time.monotonic() + 60
    while not answered.exists():
        assert time.monotonic() < end, "nobody read the log"
        time.sleep(0.01)
    log(f"{number}: done")
    return number


def be_stopped(task: int, log: Callable[[str], None]) -> None:
    signal.raise_signal(signal.SIGTERM)


def be_killed(task: int, log: Callable[[str], None]) -> None:
    if task == 1:
        signal.raise_signal(signal.SIGKILL)


def fail(task: int, log: Callable[[str], None]) -> int:
    if task == 1:
        raise ValueError("one is too many")
    return task


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_task_logs_is_read_while_it_works(tmp_path, workers):
    lines: list[str] = []

    def read(line: str) -> None:
        lines.append(line)
        (tmp_path / line.partition(":")[0]).touch()

    tasks = [(number, tmp_path / str(number)) for number in range(3)]
    assert list(side_by_side(wait_for_an_answer, tasks, workers=workers, log=read)) == [0, 1, 2]
    told = [f"{number}: {what}" for number in range(3) for what in ("begun", "done")]
    assert sorted(lines, key=lambda line: line.partition(":")[0]) == told
    assert lines == told or workers > 1


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_one_task_is_that_of_all(workers):
    with pytest.raises(ValueError, match="one is too many"):
        list(side_by_side(fail, [0, 1, 2], workers=workers, log=print))


def test_a_worker_that_is_killed_is_one_clear_line_and_no_hang(monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.2)
    with pytest.raises(S1Error, match="was killed, for lack of memory perhaps"):
        list(side_by_side(be_killed, [0, 1, 2], workers=2, log=print))


def test_a_worker_is_stopped_by_an_exception_only_while_it_works(monkeypatch):
    # One that waits for work would not see it, where the signal comes just before the wait.
    monkeypatch.setattr(module, "_lines", SimpleNamespace(put=print))
    waiting = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        module._work((be_stopped, 0))
    assert signal.getsignal(signal.SIGTERM) is waiting
