"""Byte-pair encoding: a token for each byte, and one for each pair of tokens that is frequent.

`minigpt.text.tokenizers.bpe` explains it with an example, and does the same faster.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

Ids = tuple[int, ...]
Pair = tuple[int, int]


def learn_merges(word_counts: Mapping[Ids, int], n_merges: int) -> list[Pair]:
    """Return the pairs to merge, in the order learned, from the count of each tuple(word.encode()).

    Ids below 256 are bytes; merge n creates the id 256 + n. Each merge joins the most frequent
    pair; if several are equally frequent, the one with the smallest ids.
    """
    words, merges = dict(word_counts), list[Pair]()
    for new in range(256, 256 + n_merges):
        pairs: Counter[Pair] = Counter()
        for ids, count in words.items():
            for pair in pairwise(ids):
                pairs[pair] += count
        if not pairs:  # all words are single tokens
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        words = {join(ids, best, new): count for ids, count in words.items()}
        merges.append(best)
    return merges


def encode(word: Ids, merges: list[Pair]) -> Ids:
    """Return the token ids of a word, its bytes joined in the order of the merges."""
    for rank, pair in enumerate(merges):
        word = join(word, pair, 256 + rank)
    return word


def join(ids: Ids, pair: Pair, new: int) -> Ids:
    """Return ids with each `pair`, from left to right, replaced by `new`."""
    joined: list[int] = []
    for i in ids:
        if joined and (joined[-1], i) == pair:
            joined[-1] = new
        else:
            joined.append(i)
    return tuple(joined)


def decode(ids: Ids, merges: list[Pair]) -> str:
    """Return the text that token ids stand for."""
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return b"".join(tokens[i] for i in ids).decode(errors="replace")
