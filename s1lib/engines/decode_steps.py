"""Decode steps over buffers that stay where they are: a GPU replays a step as one recorded graph.

    steps.load(rows, count)
    for number in range(count):
        logits = steps.logits(number, chosen)  # chosen: the tokens after the step before
        chosen = logits.argmax(-1)

Between the steps of one load nothing goes from the device to the host or back.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch

from s1lib.engines.page_attention import StepView
from s1lib.engines.page_cache import SCRATCH, PageCache
from s1lib.engines.protocol import one_line
from s1lib.engines.schedule import Row

Shape = tuple[int, int, int]  # rows, blocks of the table, pages that are read


class DecodeSteps:
    """Feeds one token of each of the first rows at a time.

    forward: (ids, positions, view) -> logits [rows, vocabulary], a pass through the model.
    ahead: steps of a load at most.
    graphs: decode in few shapes and, on a GPU, record the step once for each of them and replay it.
        Otherwise the same step is run operation by operation.
    """

    def __init__(
        self,
        forward: Callable[[torch.Tensor, torch.Tensor, StepView], torch.Tensor],
        cache: PageCache,
        *,
        ahead: int,
        graphs: bool,
        device: torch.device,
    ) -> None:
        self.ahead = ahead
        self._forward, self._cache = forward, cache
        self._few_shapes, self._record = graphs, graphs and device.type == "cuda"
        self._graphs: dict[Shape, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}

        # All that a step needs of the host, in one buffer so that it gets there in one copy.
        rows, blocks = cache.table.shape
        options = {"dtype": torch.long, "device": device}
        self._plan = torch.zeros((rows, 2 + ahead + blocks), **options)
        self._position, self._end = self._plan[:, 0], self._plan[:, 1]
        self._given, self._table = self._plan[:, 2 : 2 + ahead], self._plan[:, 2 + ahead :]
        self._tokens = torch.zeros(rows, **options)

    def load(self, rows: Sequence[Row], count: int) -> None:
        """Prepare `count` steps of the first `rows` of the cache, those without a request too."""
        live = [row for row in rows if row.request]
        for row in live:
            self._cache.reserve(row.index, min(row.cached + count, row.end + 1))
        table = self._cache.pages_of([row.request is not None for row in rows])
        self._shape = self._rounded(*table.shape, int(table.max()) + 1)

        # Known tokens are fed where they are, -1 asks for the token that was chosen. A row without
        # a request feeds token 0 to a page that nobody reads.
        plan = np.zeros((self._shape[0], self._plan.shape[1]), dtype=np.int64)
        plan[:, 3 : 2 + count] = -1
        for row in live:
            known = row.ids[row.cached : row.cached + count]
            plan[row.index, : 2 + len(known)] = row.cached, row.end, *known
        plan[:, 2 + self.ahead] = SCRATCH
        plan[: len(rows), 2 + self.ahead : 2 + self.ahead + table.shape[1]] = table
        self._plan[: self._shape[0]].copy_(torch.from_numpy(plan))

    def logits(self, number: int, chosen: torch.Tensor | None) -> torch.Tensor:
        """Logits [rows, vocabulary] behind step `number`. Overwritten by the next step.

        chosen: tokens [rows] to feed where none is known, as the step before gave them.
        """
        rows = self._shape[0]
        given, tokens = self._given[:rows, number], self._tokens[:rows]
        if number == 0:
            tokens.copy_(given)
        else:
            tokens.copy_(torch.where(given >= 0, given, chosen))
            # A row whose request is at its end stays behind it, where nothing counts.
            place = self._position[:rows]
            place.copy_(torch.minimum(place + 1, self._end[:rows]))
        return self._replay(self._shape) if self._record else self._step(self._shape)

    def close(self) -> None:
        """Forget the graphs, which hold memory."""
        self._graphs.clear()

    def _step(self, shape: Shape) -> torch.Tensor:
        """Feed `_tokens` at `_position`: the same operations on the same buffers each time."""
        rows, blocks, pages = shape
        positions = self._position[:rows, None]
        view = StepView(self._cache, positions, self._table[:rows, :blocks], pages)
        return self._forward(self._tokens[:rows, None], positions, view)

    def _replay(self, shape: Shape) -> torch.Tensor:
        """What `_step` does, recorded when a shape comes up for the first time."""
        if shape not in self._graphs:
            try:
                self._graphs[shape] = self._recorded(shape)
            except RuntimeError as error:  # such as a model whose code looks at values on the host
                warnings.warn(f"decoding without CUDA graphs ({one_line(error)})", stacklevel=2)
                self._record = False
                return self._step(shape)
        graph, logits = self._graphs[shape]
        graph.replay()
        return logits

    def _recorded(self, shape: Shape) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
        """A graph of `_step`, and the logits that its replay fills."""
        # Once outside the recording, since libraries set themselves up at their first use. It
        # writes the same keys and values as the replay will.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._step(shape)
        torch.cuda.current_stream().wait_stream(stream)

        # All graphs share one memory, since only one is replayed at a time.
        pool = next((graph.pool() for graph, _ in self._graphs.values()), None)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            logits = self._step(shape)
        return graph, logits

    def _rounded(self, rows: int, blocks: int, pages: int) -> Shape:
        """The shape to decode in. For graphs it is of powers of two, so that they are few."""
        if not self._few_shapes:
            return rows, blocks, pages
        most = (*self._cache.table.shape, self._cache.pages)
        wanted = (rows, blocks, pages)
        return tuple(min(1 << (n - 1).bit_length(), m) for n, m in zip(wanted, most, strict=True))
