"""Which request decodes in which row: continuous batching, with prefixes kept where they are.

A request joins as soon as a row is free. A free row keeps its tokens until another sequence is
written over them, so a request that continues or shares them starts where they end: in the row
itself when it is free, in a copy otherwise. Requests that share a kept prefix go before fresh ones.
A problem under way is finished before a new one begins.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from s1lib.engines.protocol import Completion
from s1lib.engines.stops import Stops

ROWS = 8  # rows are decoded in whole multiples of this


class Cache(Protocol):
    """A cache whose rows can begin with what others hold, see `page_cache.PageCache`."""

    def begin(self, row: int, source: int | None, length: int) -> None: ...

    def swap(self, one: int, other: int) -> None: ...


@dataclass(eq=False)
class PendingRequest:
    """One call of `complete`.

    limit: tokens to sample at most. uniform: the request's own stream of numbers in [0, 1).
    """

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
    """A row of the key-value cache: the ids it is about, of which the first `cached` lie there."""

    index: int
    ids: list[int] = field(default_factory=list)
    cached: int = 0
    request: PendingRequest | None = None
    waiters: list[PendingRequest] = field(default_factory=list)  # requests that share its prefix
    freed: int = 0  # when it was last freed

    @property
    def ahead(self) -> int:
        """Known tokens that are not cached, the last one not counted: its successor is sampled."""
        return len(self.ids) - 1 - self.cached

    @property
    def end(self) -> int:
        """Tokens that its request can feed at most: the last one it samples is not fed."""
        return len(self.request.prompt) + self.request.limit - 1

    def shared(self, prompt: list[int]) -> int:
        """Length of the common prefix with `prompt`, 0 when it is less than half of it."""
        half = (len(prompt) + 1) // 2
        if self.ids[:half] != prompt[:half]:
            return 0
        pairs = enumerate(zip(self.ids, prompt, strict=False))
        return next((i for i, (a, b) in pairs if a != b), min(len(self.ids), len(prompt)))


class Schedule:
    """The rows, and the requests that wait for one."""

    def __init__(self, rows: int, cache: Cache) -> None:
        self.rows = [Row(index) for index in range(rows)]
        self.fresh: deque[PendingRequest] = deque()
        self._cache = cache
        self._clock = itertools.count()

    def live(self) -> list[Row]:
        """Rows in which a request decodes."""
        return [row for row in self.rows if row.request]

    def pending(self) -> list[PendingRequest]:
        """Every request that has not been answered."""
        waiting = [request for row in self.rows for request in row.waiters]
        return [row.request for row in self.live()] + waiting + list(self.fresh)

    def add(self, request: PendingRequest) -> None:
        """Let a request wait, at the row it shares a prefix with if there is one."""
        request.number = next(self._clock)
        row = self._nearest(request)
        if row:
            row.waiters.append(request)
        else:
            self.fresh.append(request)

    def release(self, row: Row) -> None:
        """Free the row of a request that is over. What is cached stays."""
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
        """Give free rows to waiting requests, and say whether any was given."""
        free = deque(sorted((row for row in self.rows if not row.request), key=lambda r: r.freed))
        before = len(free)

        # A row that is waited for goes to the request that shares most: nothing wanted gets lost.
        for row in [row for row in free if row.waiters]:
            free.remove(row)
            self._start(row, row, max(row.waiters, key=lambda request: request.shared))

        while free:
            # The oldest request whose prefix is computed gets a copy of it in another row. One
            # whose prefix is not there yet goes on waiting.
            ready = [
                (request.number, row, request)
                for row in self.rows
                for request in row.waiters
                if request.shared <= row.cached
            ]
            if ready:
                _, row, request = min(ready, key=lambda entry: entry[0])
                self._start(free.popleft(), row, request)
                continue

            # Otherwise a fresh one, unless it shares a prefix with what was started since it came.
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

    def pack(self) -> list[Row]:
        """The first rows, all live ones among them: a multiple of ROWS if there are so many."""
        live = self.live()
        size = min(-(-len(live) // ROWS) * ROWS, len(self.rows))
        holes = [row for row in self.rows[:size] if row.request is None]
        for row, hole in zip([row for row in live if row.index >= size], holes, strict=False):
            self._cache.swap(row.index, hole.index)
            self.rows[row.index], self.rows[hole.index] = hole, row
            row.index, hole.index = hole.index, row.index
        return self.rows[:size]

    def _next_fresh(self) -> PendingRequest | None:
        while self.fresh:
            request = self.fresh.popleft()
            if not request.future.done():
                return request
        return None

    def _nearest(self, request: PendingRequest) -> Row | None:
        """The row that shares the longest prefix, at least half of the request's prompt."""
        row = max(self.rows, key=lambda row: row.shared(request.prompt))
        request.shared = min(row.shared(request.prompt), len(request.prompt) - 1)
        return row if request.shared else None

    def _start(self, row: Row, source: Row | None, request: PendingRequest) -> None:
        """Begin `request` in `row` with what it shares with `source`.

        source: the row itself, another one, or None for nothing.
        """
        row.request = request  # first, so that an error while copying finds the request somewhere
        shared = 0
        if source:
            source.waiters.remove(request)
            shared = min(request.shared, source.cached)
        self._cache.begin(row.index, source.index if source else None, shared)
        row.ids, row.cached = list(request.prompt), shared
