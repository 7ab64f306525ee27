"""Keys and values of many sequences in pages, so that a step reads what its rows hold and no more.

A page holds as many tokens as the engine says. The table says which pages a row's tokens lie in, in
their order. When a row ends or another one takes its place in the batch, only the table changes.
The pages of a row that is over stay, for a later request that begins alike.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
import psutil
import torch
from transformers import PreTrainedConfig

from s1lib.engines.protocol import EngineError
from s1lib.hardware.architectures import cached_heads

NONE = 0  # the page of no row: zeros for ever
SCRATCH = 1  # the page of all rows that only fill a batch


class PageCache:
    """Storage of `rows` sequences of up to `columns` tokens each.

    config: of the model whose keys and values they are.
    page: tokens of a page.
    layers: per layer, keys and values [pages * key-value heads, page, head size].
    table: pages [rows, blocks], on the host. NONE where a row has no page yet.
    Raises EngineError, before anything is allocated, where the memory does not hold all of it.
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        *,
        rows: int,
        columns: int,
        page: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.page, self._device = page, device
        self.heads, size = cached_heads(config)
        self.groups = config.num_attention_heads // self.heads

        self.pages = 2 + rows * self._blocks(columns)
        shape, options = (self.pages * self.heads, page, size), {"dtype": dtype, "device": device}
        needed = 2 * config.num_hidden_layers * math.prod(shape) * dtype.itemsize
        if needed > (free := _free_memory(device)):
            raise EngineError(
                f"keys and values of {rows} rows of {columns} tokens take {needed / 2**30:,.1f} "
                f"GiB, and {free / 2**30:,.1f} are free: lower engine.max_rows or "
                "engine.max_context"
            )

        # Zeros, since a hidden place still takes part with weight 0, and 0 * NaN is NaN.
        self.layers = tuple(
            (torch.zeros(shape, **options), torch.zeros(shape, **options))
            for _ in range(config.num_hidden_layers)
        )
        self.table = np.zeros((rows, self._blocks(columns)), dtype=np.int64)

        # A heap: the first free page is taken first, so that the pages in use lie together.
        self._free = list(range(2, self.pages))
        self._held = [0] * rows  # pages of each row

    def reserve(self, row: int, length: int) -> None:
        """Give a row the pages that its first `length` tokens need."""
        for block in range(self._held[row], self._blocks(length)):
            self.table[row, block] = heapq.heappop(self._free)
            self._held[row] = block + 1

    def begin(self, row: int, source: int | None, length: int) -> None:
        """Let a row begin with the first `length` tokens of row `source`, and with nothing else.

        source: the row itself, another one, or None for nothing.
        """
        kept = self._blocks(length) if source == row else 0
        for page in self.table[row, kept : self._held[row]].tolist():
            heapq.heappush(self._free, page)
        self.table[row, kept:] = NONE
        self._held[row] = kept

        if source is not None and source != row:
            self.reserve(row, length)
            pages = self._held[row]
            self._assign(self.table[row, :pages], self.table[source, :pages])

    def swap(self, one: int, other: int) -> None:
        """Exchange two rows. Their keys and values stay where they are."""
        self.table[[one, other]] = self.table[[other, one]]
        self._held[one], self._held[other] = self._held[other], self._held[one]

    def pages_of(self, live: Sequence[bool]) -> np.ndarray:
        """The pages [rows, blocks] of the first rows, SCRATCH for those that are not live."""
        pages = np.where(np.array(live)[:, None], self.table[: len(live)], NONE)

        # A step reads every page up to the last one it needs. When few requests are left, what
        # they need may lie far apart.
        needed = pages[pages != NONE]
        if pages.max() > 1.5 * needed.size + 16:
            self._bring_forward(needed)
            return self.pages_of(live)
        pages[np.logical_not(live), 0] = SCRATCH
        return pages[:, : max(held for held, used in zip(self._held, live, strict=False) if used)]

    def pages_of_rows(self, rows: Sequence[int]) -> np.ndarray:
        """The pages [rows, blocks] of some rows, NONE where a row has fewer than another."""
        return self.table[rows, : max(self._held[row] for row in rows)]

    def _bring_forward(self, pages: np.ndarray) -> None:
        """Make `pages` the first ones, by exchanging those that lie behind."""
        first = np.arange(2, pages.size + 2)
        others, behind = np.setdiff1d(first, pages), np.setdiff1d(pages, first)
        old, new = np.concatenate([others, behind]), np.concatenate([behind, others])
        self._assign(new, old)

        names = np.arange(self.pages)
        names[old] = new
        self.table = names[self.table]
        self._free = sorted(names[self._free].tolist())

    def _assign(self, targets: np.ndarray, sources: np.ndarray) -> None:
        """Let pages hold what others held before."""
        to, of = (torch.from_numpy(pages).to(self._device) for pages in (targets, sources))
        for stores in self.layers:
            for store in stores:
                paged = store.view(self.pages, -1)
                paged[to] = paged[of]

    def _blocks(self, length: int) -> int:
        return -(-length // self.page)


def _free_memory(device: torch.device) -> int:
    """Bytes that are free on `device`."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
