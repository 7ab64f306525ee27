"""Independent pieces of work in processes of one thread each.

A toy's matrices are too small for several threads to share.

    for result in side_by_side(work, tasks, workers=workers(profile), log=print):
        ...                                     # in the order of the tasks
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import multiprocessing

from s1lib.errors import S1Error
from s1lib.profile import Profile

LOOK = 2.0  # seconds between two looks at whether the workers live

_lines: Any = None  # in a worker, the queue of what is logged


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

    One worker is this process. Work and tasks must be picklable. What a task logs is passed on as
    it comes, so tasks should name themselves in it. An interruption, or an error in one of them,
    ends those under way. Raises S1Error when a worker is killed from outside.
    """
    if workers <= 1:
        for task in tasks:
            yield work(task, log)
        return
    context = multiprocessing.get_context("spawn")
    lines = context.SimpleQueue()
    telling = threading.Thread(target=_tell, args=(lines, log), daemon=True)
    telling.start()
    jobs, before = [(work, task) for task in tasks], set(multiprocessing.active_children())
    with context.Pool(workers, _prepare, (lines,)) as pool:
        ours = set(multiprocessing.active_children()) - before
        results = pool.imap(_work, jobs)
        for _ in jobs:
            yield _next(results, ours)
        pool.close()
        pool.join()
    lines.put(None)
    telling.join()


def _next(results: Any, workers: set[Any]) -> Any:
    """The next result. A pool waits for ever for what a worker that is gone would have given."""
    while True:
        try:
            return results.next(timeout=LOOK)
        except multiprocessing.TimeoutError:
            if not all(worker.is_alive() for worker in workers):
                raise S1Error(
                    "one of the processes that work side by side was killed, for lack of memory "
                    "perhaps: finished work is kept, so run it again, with fewer `threads` in the "
                    "profile if it happens again"
                ) from None


def _tell(lines: Any, log: Callable[[str], None]) -> None:
    while (line := lines.get()) is not None:
        log(line)


def _prepare(lines: Any) -> None:
    global _lines
    _lines = lines
    torch.set_num_threads(1)
    # Ctrl-C is the parent's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(job: tuple[Callable, Any]) -> Any:
    work, task = job
    # To be stopped is an exception while it works, so that an unfinished directory is cleared away.
    # A worker that waits for work dies of it: the signal may come just before the wait, which it
    # then does not end, and nobody would see the exception.
    waiting = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return work(task, _lines.put)
    finally:
        signal.signal(signal.SIGTERM, waiting)
