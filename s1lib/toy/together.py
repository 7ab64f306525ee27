"""Two processes that train one model: on two cores faster than two threads, as a toy's matrices are too small to share.

    with together(train, arguments, processes=2) as team:      # every other process runs train(*arguments, team)
        result = train(*arguments, team)

Each process takes its own micro-batches and adds up gradients through shared memory, always in the same order: the weights
are those of one process that does all the work. Nothing goes over a network, not even a local one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import multiprocessing

PATIENCE = 600  # seconds to wait for the others, who may be measured meanwhile


@dataclass
class Team:
    """rank: of this process; size: how many there are."""

    rank: int = 0
    size: int = 1
    board: torch.Tensor | None = None  # [size, numbers], shared
    barrier: Any = None

    def add(self, numbers: torch.Tensor) -> torch.Tensor:
        """Sum over the processes of a flat float32 tensor; the same in each of them. Call it as often everywhere."""
        if self.size == 1:
            return numbers
        self.board[self.rank, : len(numbers)] = numbers
        self.barrier.wait(PATIENCE)
        total = self.board[:, : len(numbers)].sum(0)
        self.barrier.wait(PATIENCE)  # until all have read, nobody writes
        return total

    def share(self, things: Sequence[Any]) -> list[Any]:
        """This process's part of a list that all of them hold."""
        return list(things[self.rank :: self.size])


@contextmanager
def together(
    work: Callable[..., Any], arguments: tuple, *, processes: int, numbers: int
) -> Iterator[Team]:
    """A team of `processes`, the others of which run `work(*arguments, team)`; `numbers` is the most that `add` will get.

    With more than one, each has one thread; the others end with this process.
    """
    if processes == 1:
        yield Team()
        return
    context, threads = multiprocessing.get_context("spawn"), torch.get_num_threads()
    shared = (
        processes,
        torch.zeros(processes, numbers).share_memory_(),
        context.Barrier(processes),
    )
    others = [
        context.Process(target=_join, args=(work, arguments, Team(rank, *shared)), daemon=True)
        for rank in range(1, processes)
    ]
    for other in others:
        other.start()
    torch.set_num_threads(1)
    try:
        yield Team(0, *shared)
        for other in others:
            other.join(PATIENCE)
    finally:
        torch.set_num_threads(threads)
        for other in others:
            other.terminate()


def _join(work: Callable[..., Any], arguments: tuple, team: Team) -> None:
    torch.set_num_threads(1)
    work(*arguments, team)
