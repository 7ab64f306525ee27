"""Independent pieces of work in processes of one thread each.

A toy's matrices are too small for several threads to share.

    for result in side_by_side(work, tasks, workers=workers(profile), log=print):
        ...                                     # in the order of the tasks
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import multiprocessing

from s1lib.profile import Profile


def workers(profile: Profile) -> int:
    """How many processes a stage may use: the profile's threads on a CPU, one beside a GPU."""
    return 1 if torch.cuda.is_available() else profile.threads or 1


def side_by_side(
    work: Callable[[Any, Callable[[str], None]], Any],
    tasks: Iterable[Any],
    *,
    workers: int,
    log: Callable[[str], None],
) -> Iterator[Any]:
    """Yield `work(task, log)` for every task, in their order.

    One worker is this process. Work and tasks must be picklable. What a task logs is printed when
    it is done. An interruption, or an error in one of them, ends those under way.
    """
    if workers <= 1:
        for task in tasks:
            yield work(task, log)
        return
    with multiprocessing.get_context("spawn").Pool(workers, _prepare) as pool:
        for result, lines in pool.imap(_collect, [(work, task) for task in tasks]):
            for line in lines:
                log(line)
            yield result
        pool.close()
        pool.join()


def _prepare() -> None:
    torch.set_num_threads(1)
    # An exception, so that an unfinished directory is cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Ctrl-C is the parent's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _collect(job: tuple[Callable, Any]) -> tuple[Any, list[str]]:
    work, task = job
    lines: list[str] = []
    return work(task, lines.append), lines
