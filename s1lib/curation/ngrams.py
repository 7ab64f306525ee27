"""Word n-grams of many texts at once, as 64-bit hashes in numpy.

    grams = Grams.of(questions, n=8, vocabulary=vocabulary)  # hashes[i] is in questions[owners[i]]
    touched = grams.sharing(Grams.of(tests, n=8, vocabulary=vocabulary))

Equal hashes only point at texts to compare, and `decontaminate` proves every match on the words
themselves. Time and memory grow linearly with the number of words, 16 bytes a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

import numpy as np

BASE = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplication is invertible modulo 2^64
BLOCK = 1 << 20  # words hashed at a time


class Vocabulary(dict):
    """Word -> its number from 1 on, given at first sight.

    Hashes of texts can be compared when they were made with the same vocabulary.
    """

    def __init__(self) -> None:
        self._numbers = count(1)

    def __missing__(self, word: str) -> int:
        self[word] = number = next(self._numbers)
        return number


def normalise(text: str) -> str:
    """Lower case and single spaces: all that the paper does to a text before comparing."""
    return " ".join(text.lower().split())


def ngrams(text: str, n: int) -> set[str]:
    """Distinct n-grams of words.

    A text of fewer than n words is one gram of its own, so that equal short texts meet.
    """
    words = normalise(text).split()
    if not words:
        return set()
    return {" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


@dataclass(frozen=True)
class Grams:
    """The n-grams of a list of texts.

    hashes: one per n-gram, in the order of the texts.
    owners: position of the text that each belongs to.
    """

    hashes: np.ndarray
    owners: np.ndarray

    @classmethod
    def of(cls, texts: Iterable[str], *, n: int, vocabulary: Vocabulary) -> Grams:
        """The n-grams of every text, as `ngrams` defines them."""
        parts, words, sizes, start = [], [], [], 0
        for text in texts:
            found = [vocabulary[word] for word in text.lower().split()]
            if found and len(found) < n:  # one gram of its own: no word has the number 0
                found += [0] * (n - len(found))
            words += found
            sizes.append(len(found))

            # Word numbers of a whole pool do not fit into memory: hash them block by block.
            if len(words) >= BLOCK:
                parts.append(_window_hashes(words, sizes, n, start))
                start += len(sizes)
                words, sizes = [], []
        parts.append(_window_hashes(words, sizes, n, start))
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    def sharing(self, other: Grams) -> np.ndarray:
        """Positions of the texts that have a hash in common with `other`, ascending."""
        return np.unique(self.owners[np.isin(self.hashes, other.hashes)])


def _window_hashes(
    words: list[int], sizes: list[int], n: int, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """(hashes, owners) of the windows of n words that lie within one text.

    sizes: words of each text. first: position of the first text among all.
    """
    numbers, lengths = np.array(words, dtype=np.uint64), np.array(sizes, dtype=np.int64)

    # A polynomial in BASE, for all windows at once, those across two texts included.
    hashes = np.zeros(max(len(numbers) - n + 1, 0), dtype=np.uint64)
    for offset in range(n):
        hashes = hashes * BASE + numbers[offset : offset + len(hashes)]

    # Of these, only the windows that begin early enough in their text are kept.
    windows = np.maximum(lengths - n + 1, 0)
    owners = np.repeat(np.arange(len(lengths)), windows)
    starts = np.cumsum(lengths) - lengths
    within = np.arange(windows.sum()) - np.repeat(np.cumsum(windows) - windows, windows)
    return hashes[starts[owners] + within], (owners + first).astype(np.int32)
