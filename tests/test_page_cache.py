"""The pages of `PageCache`: what a row was given stays its own, whatever other rows do."""

from __future__ import annotations

import torch
from transformers import Qwen2Config

from s1lib.engines.page_cache import NONE, SCRATCH, PageCache

ROWS, COLUMNS, PAGE = 16, 32, 4


def make_cache() -> PageCache:
    config = Qwen2Config(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1
    )
    return PageCache(
        config,
        rows=ROWS,
        columns=COLUMNS,
        page=PAGE,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )


def fill(cache: PageCache, row: int, length: int, mark: float) -> None:
    """Give a row `length` tokens, and each of its pages the number `mark` plus its place."""
    cache.reserve(row, length)
    for block in range(-(-length // PAGE)):
        for stores in cache.layers:
            for store in stores:
                store.view(cache.pages, -1)[cache.table[row, block]] = mark + block


def marks(cache: PageCache, row: int) -> list[float]:
    """The numbers of a row's pages, the same in all layers, for keys and for values."""
    pages = cache.table[row][cache.table[row] != NONE]
    found = [store.view(cache.pages, -1)[pages, 0] for stores in cache.layers for store in stores]
    assert all(torch.equal(numbers, found[0]) for numbers in found)
    return found[0].tolist()


def test_every_row_can_be_filled_to_its_end_again_and_again():
    cache = make_cache()
    for turn in range(3):
        for row in range(ROWS):
            cache.begin(row, None, 0)
            fill(cache, row, COLUMNS, 100 * turn + row)
    pages = cache.table.flatten().tolist()
    assert len(set(pages)) == len(pages) and not {NONE, SCRATCH} & set(pages)


def test_a_row_begins_with_what_another_holds_and_keeps_its_own():
    cache = make_cache()
    fill(cache, 0, 10, 5)
    fill(cache, 1, 20, 50)
    cache.begin(1, 0, 10)
    assert marks(cache, 1) == [5, 6, 7]
    fill(cache, 1, 12, 70)
    assert marks(cache, 0) == [5, 6, 7]
    cache.begin(1, 1, 5)
    assert marks(cache, 1) == [70, 71]


def test_few_rows_far_apart_are_brought_together_and_keep_what_they_hold():
    cache = make_cache()
    for row in range(ROWS):
        fill(cache, row, COLUMNS, 10 * row)
    cache.swap(0, 15)
    before = [marks(cache, row) for row in range(ROWS)]
    assert before[0][0] == 150

    live = [row in (0, 3) for row in range(8)]
    pages = cache.pages_of(live)
    assert pages.max() < 2 + 2 * COLUMNS // PAGE
    assert [SCRATCH not in pages[row] for row in range(8)] == live
    assert [marks(cache, row) for row in range(ROWS)] == before

    # What is given out next is free: nobody loses a page.
    cache.begin(5, None, 0)
    fill(cache, 5, COLUMNS, 1000)
    assert [marks(cache, row) for row in range(ROWS) if row != 5] == before[:5] + before[6:]
