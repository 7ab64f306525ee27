"""Attention over a `PageCache`, in the place of the model's own.

The model's attention goes through transformers' attention interface to `attend`. A pass through
the model is given a view, which says where its tokens lie: `StepView` for one token per row,
`ChunkView` for many. The view writes the new keys and values and attends over each row up to its
tokens.
"""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from s1lib.engines.page_cache import NONE, PageCache

ATTENTION = "s1_pages"  # in transformers' registry. No mask is registered, so none is built.


class View:
    """The places of one pass: token [i, j] of its input is token positions[i, j] of row i.

    positions: [rows, tokens].
    table: the rows' pages [rows, blocks].
    """

    def __init__(self, cache: PageCache, positions: torch.Tensor, table: torch.Tensor) -> None:
        self.cache, self.table = cache, table
        heads = torch.arange(cache.heads, device=positions.device)
        pages = table.gather(1, positions // cache.page)
        lines = (pages[..., None] * cache.heads + heads) * cache.page
        self._places = (lines + (positions % cache.page)[..., None]).flatten()

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Store new keys and values [rows, key-value heads, tokens, size]."""
        for store, new in zip(self.cache.layers[layer], (key, value), strict=True):
            size = new.shape[-1]
            lines = new.transpose(1, 2).reshape(-1, size)
            store.view(-1, size).index_copy_(0, self._places, lines)


class StepView(View):
    """One token per row. Pages are read where they lie, each once, whatever the rows' lengths.

    pages: pages of the cache that are read, the first ones.
    """

    def __init__(
        self, cache: PageCache, positions: torch.Tensor, table: torch.Tensor, pages: int
    ) -> None:
        super().__init__(cache, positions, table)
        self.pages, device = pages, positions.device
        rows, blocks = table.shape

        # Where a page stands in the table, and the last of its tokens that its row sees.
        self._table = table.flatten()
        self._slots = torch.zeros(pages, dtype=torch.long, device=device)
        self._slots[self._table] = torch.arange(rows * blocks, device=device)
        self._rows = self._slots // blocks
        last = torch.full_like(self._slots, -1)
        last[table] = positions - cache.page * torch.arange(blocks, device=device)
        last[NONE].fill_(-1)  # an assignment would copy the number from the host

        # A finite number, since NaN would spread from a row that sees nothing.
        hidden = torch.arange(cache.page, device=device) > last[:, None]
        dtype = cache.layers[0][0].dtype
        bias = torch.zeros(hidden.shape, dtype=dtype, device=device)
        bias.masked_fill_(hidden, torch.finfo(dtype).min / 2)
        self._bias = bias[:, None].expand(-1, cache.heads, -1).reshape(-1, 1, cache.page)

    def attend(self, layer: int, query: torch.Tensor, scaling: float) -> torch.Tensor:
        """[rows, heads, 1, size] -> [rows, heads, 1, size]."""
        (rows, blocks), page = self.table.shape, self.cache.page
        heads, size = query.shape[1], query.shape[3]
        groups, used = heads // self.cache.heads, self.pages * self.cache.heads
        keys, values = self.cache.layers[layer]

        # The scores in each page [pages * key-value heads, groups, page], with its row's queries.
        asked = query.reshape(rows, -1).index_select(0, self._rows).view(used, groups, size)
        scores = torch.baddbmm(self._bias, asked, keys[:used].transpose(1, 2), alpha=scaling)

        # A row's softmax runs over all of its pages.
        lines = self._by_row(scores).view(rows, blocks, heads, page).transpose(1, 2).flatten(2)
        weights = torch.softmax(lines, -1)
        lines = weights.view(rows, heads, blocks, page).transpose(1, 2).reshape(rows * blocks, -1)
        weights = lines.index_select(0, self._slots).view(used, groups, page)

        parts = torch.bmm(weights, values[:used])
        return self._by_row(parts).sum(1).view(query.shape)

    def _by_row(self, of_pages: torch.Tensor) -> torch.Tensor:
        """What belongs to pages, as [rows, blocks, what]."""
        lines = of_pages.view(self.pages, -1).index_select(0, self._table)
        return lines.view(*self.table.shape, -1)


class ChunkView(View):
    """Many tokens per row. The rows' pages are copied together for one fused kernel."""

    def __init__(self, cache: PageCache, positions: torch.Tensor, table: torch.Tensor) -> None:
        super().__init__(cache, positions, table)
        heads = torch.arange(cache.heads, device=table.device)[:, None]
        self._pages = (table[:, None] * cache.heads + heads).flatten()  # [rows, heads, blocks]

        # Query heads that share a key-value head are stacked along the tokens, so that keys and
        # values need not be repeated.
        length = table.shape[1] * cache.page
        hidden = torch.arange(length, device=table.device) > positions[:, None, :, None]
        bias = torch.zeros(hidden.shape, dtype=cache.layers[0][0].dtype, device=table.device)
        self._bias = bias.masked_fill_(hidden, float("-inf")).repeat(1, 1, cache.groups, 1)

    def attend(self, layer: int, query: torch.Tensor, scaling: float) -> torch.Tensor:
        """[rows, heads, tokens, size] -> [rows, heads, tokens, size]."""
        rows, _, _, size = query.shape
        keys, values = (
            store.index_select(0, self._pages).view(rows, self.cache.heads, -1, size)
            for store in self.cache.layers[layer]
        )
        stacked = query.reshape(rows, self.cache.heads, -1, size)
        out = scaled_dot_product_attention(
            stacked, keys, values, attn_mask=self._bias, scale=scaling
        )
        return out.reshape(query.shape)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    view: StepView | ChunkView,
    scaling: float | None = None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attention of the view's new tokens over their rows.

    query [rows, heads, tokens, size] -> [rows, tokens, heads, size].
    """
    if any(kwargs.get(name) is not None for name in ("softcap", "s_aux", "position_bias")):
        raise NotImplementedError(
            f"{type(module).__name__} wants more than plain attention: "
            "decode it with another engine"
        )
    view.write(module.layer_idx, key, value)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return view.attend(module.layer_idx, query, scaling).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, attend)
