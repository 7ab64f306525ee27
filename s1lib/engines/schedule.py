"""Which request decodes in which row: continuous batching with prefixes kept in the rows they were computed in.

A request joins as soon as a row is free. A row that is free keeps its tokens until another sequence is written over
them, so a request that continues or shares them starts where they end: in the row itself when it is free, in a copy
otherwise. Requests that share a kept prefix go before fresh ones; a problem under way is finished before a new one begins.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from s1lib.engines.protocol import Completion
from s1lib.engines.stops import Stops


@dataclass(eq=False)
class PendingRequest:
    """One call of `complete`. limit: tokens to sample at most; uniform: the request's own stream of numbers in [0, 1)."""

    prompt: list[int]
    limit: int
    stops: Stops
    temperature: float
    uniform: Random
    future: asyncio.Future[Completion]
    number: int = -1  # in order of arrival
    shared: int = 0  # tokens it has in common with the row it waits at


@dataclass(eq=False)
class Row:
    """A row of the key-value cache: the ids it is about, of which the first `cached` have keys and values there."""

    index: int
    ids: list[int] = field(default_factory=list)
    cached: int = 0
    request: PendingRequest | None = None
    waiters: list[PendingRequest] = field(default_factory=list)  # requests that share a prefix of it
    freed: int = 0

    def shared(self, prompt: list[int]) -> int:
        """Length of the common prefix with `prompt`; 0 when it is less than half of it."""
        half = (len(prompt) + 1) // 2
        if self.ids[:half] != prompt[:half]:
            return 0
        return next((i for i, (a, b) in enumerate(zip(self.ids, prompt, strict=False)) if a != b), min(len(self.ids), len(prompt)))


class Schedule:
    """The rows and the requests that wait for one. `copy(source, target, tokens)` copies the beginning of a row's cache."""

    def __init__(self, rows: int, copy: Callable[[int, int, int], None]) -> None:
        self.rows = [Row(index) for index in range(rows)]
        self.fresh: deque[PendingRequest] = deque()
        self._copy = copy
        self._clock = itertools.count()

    def live(self) -> list[Row]:
        return [row for row in self.rows if row.request]

    def pending(self) -> list[PendingRequest]:
        """Every request that has not been answered."""
        return [row.request for row in self.live()] + [request for row in self.rows for request in row.waiters] + list(self.fresh)

    def add(self, request: PendingRequest) -> None:
        request.number = next(self._clock)
        row = self._nearest(request)
        if row:
            row.waiters.append(request)
        else:
            self.fresh.append(request)

    def release(self, row: Row) -> None:
        """The row's request is over; what is cached stays."""
        row.request, row.freed = None, next(self._clock)
        del row.ids[row.cached :]

    def busy(self) -> bool:
        """Whether any request is left, once those that were cancelled are forgotten."""
        for row in self.rows:
            if row.request and row.request.future.done():
                self.release(row)
            row.waiters = [request for request in row.waiters if not request.future.done()]
        return bool(self.fresh) or any(row.request or row.waiters for row in self.rows)

    def admit(self) -> bool:
        """Give free rows to waiting requests; True when any was given. What shares a prefix not yet computed waits for it."""
        free = deque(sorted((row for row in self.rows if row.request is None), key=lambda row: row.freed))
        before = len(free)
        for row in [row for row in free if row.waiters]:  # the one that shares most: nothing that is wanted gets lost
            free.remove(row)
            self._start(row, row, max(row.waiters, key=lambda request: request.shared))
        while free:
            ready = [(request.number, row, request) for row in self.rows for request in row.waiters if request.shared <= row.cached]
            if ready:
                _, row, request = min(ready, key=lambda entry: entry[0])
                self._start(free.popleft(), row, request)
                continue
            request = self._next_fresh()
            if request is None:
                break
            row = self._nearest(request)
            if row is None:
                self._start(free.popleft(), None, request)
                continue
            row.waiters.append(request)
            if row.request is None:
                free.remove(row)
                self._start(row, row, request)
        return len(free) < before

    def _next_fresh(self) -> PendingRequest | None:
        while self.fresh:
            request = self.fresh.popleft()
            if not request.future.done():
                return request
        return None

    def _nearest(self, request: PendingRequest) -> Row | None:
        """The row that shares the longest prefix with the request, at least half of its prompt."""
        row = max(self.rows, key=lambda row: row.shared(request.prompt))
        request.shared = min(row.shared(request.prompt), len(request.prompt) - 1)
        return row if request.shared else None

    def _start(self, row: Row, source: Row | None, request: PendingRequest) -> None:
        """`request` takes `row`, beginning with what it shares with `source` (the row itself, another one, or nothing)."""
        row.request, shared = request, 0  # first, so that an error while copying finds the request somewhere
        if source:
            source.waiters.remove(request)
            shared = min(request.shared, source.cached)
            if source is not row:
                self._copy(source.index, row.index, shared)
        row.ids, row.cached = list(request.prompt), shared
