"""A group of processes that train one model together, in the terms of torch.distributed.

    with process_group(train, arguments, processes=2, numbers=n) as group:
        result = train(*arguments, group)      # the other processes run the same

On two cores two processes are faster than two threads, as a toy's matrices are too small to share.
Each process takes its own micro-batches. Gradients are added up in shared memory, always in the
same order, so the weights are those of one process that does all the work. Nothing goes over a
network, not even a local one, which is why torch.distributed is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import multiprocessing

PATIENCE = 600  # seconds to wait for the others: the first one measures skills meanwhile


@dataclass
class ProcessGroup:
    """This process's place in a group: its rank, and how many processes there are."""

    rank: int = 0
    size: int = 1
    shared: torch.Tensor | None = None  # [size, numbers], in shared memory
    barrier: Any = None

    def all_reduce(self, numbers: torch.Tensor) -> torch.Tensor:
        """The sum over all processes of a flat float32 tensor, which all of them must pass."""
        if self.size == 1:
            return numbers
        self.shared[self.rank, : len(numbers)] = numbers
        self.barrier.wait(PATIENCE)
        total = self.shared[:, : len(numbers)].sum(0)
        self.barrier.wait(PATIENCE)  # until all have read, nobody writes
        return total

    def own(self, things: Sequence[Any]) -> list[Any]:
        """This process's part of a list that all of them hold."""
        return list(things[self.rank :: self.size])


@contextmanager
def process_group(
    work: Callable[..., Any], arguments: tuple, *, processes: int, numbers: int
) -> Iterator[ProcessGroup]:
    """Start the others of a group, which run `work(*arguments, group)`, and yield this one's.

    `numbers` is the length of the longest tensor that is reduced. In a group of several processes
    each has one thread, and the others end with this one.
    """
    if processes == 1:
        yield ProcessGroup()
        return

    context, threads = multiprocessing.get_context("spawn"), torch.get_num_threads()
    shared = torch.zeros(processes, numbers).share_memory_()
    barrier = context.Barrier(processes)
    groups = [ProcessGroup(rank, processes, shared, barrier) for rank in range(processes)]
    others = [
        context.Process(target=_join, args=(work, arguments, group), daemon=True)
        for group in groups[1:]
    ]
    for other in others:
        other.start()

    # Two processes of two threads each would be slower on two cores than one process alone.
    torch.set_num_threads(1)
    try:
        yield groups[0]
        for other in others:
            other.join(PATIENCE)
    finally:
        torch.set_num_threads(threads)
        for other in others:
            other.terminate()


def _join(work: Callable[..., Any], arguments: tuple, group: ProcessGroup) -> None:
    torch.set_num_threads(1)
    work(*arguments, group)
