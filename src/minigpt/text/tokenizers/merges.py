"""Learn merges from words, and apply them to a word: the two halves of byte-pair encoding.

Both work on a row of token ids, as a linked list: two tables hold the left and the right neighbour
of each place. To join two neighbours, the new token replaces the left one, and the place of the
right one becomes empty. Nothing has to move, so this takes the same time for a row of any length.
`NO_TOKEN` marks the borders between words and the empty places.

The inner loops call no functions of ours, which makes them twice as fast. The tables are arrays of
machine integers, which use a fifth of the memory of lists.
"""

from __future__ import annotations

import gc
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from itertools import pairwise, repeat

from minigpt.text.tokenizers.byte_level import BYTE_ORDER

Pair = tuple[int, int]

NO_TOKEN = -1
NO_RANK = 2**62

LONG_WORD_BYTES = 100
"""A heap is faster for longer words, but takes up to twice as long for shorter ones."""


@contextmanager
def _no_collection() -> Iterator[None]:
    """Turn off Python's search for cycles: with 100,000 pairs it takes a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_no_collection()
def learn_merges(
    word_counts: Mapping[str, int],
    n_merges: int,
    track: Callable[[range], Iterable[int]] = iter,
) -> list[Pair]:
    """Return the first `n_merges` merges, or fewer if every word becomes a single token earlier.

    Each merge joins the most frequent pair; if several are equally frequent, the one with the
    smallest ids, as in Hugging Face's tokenizers. Ids below 256 are bytes in `BYTE_ORDER`, and
    256 + n is the token that merge n makes.

    Parameters
    ----------
    word_counts : mapping of str to int
        How often each word occurs. Each word is processed once, however often it occurs.
    n_merges : int
    track : callable, optional
        Iterates over the numbers of the merges, and may show the progress, as rich.progress.track
        does.
    """
    ids, word_count = _rows(word_counts)
    left_of, right_of = _neighbours(len(ids))
    counts: dict[Pair, int] = defaultdict(int)
    places: dict[Pair, array[int]] = defaultdict(lambda: array("i"))
    for place, pair in enumerate(pairwise(ids)):
        if NO_TOKEN not in pair:
            counts[pair] += word_count[place]
            places[pair].append(place)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapify(heap)

    merges: list[Pair] = []
    for number in track(range(n_merges)):
        most_frequent = _pop(heap, counts)
        if most_frequent is None:
            break
        merges.append(most_frequent)
        left, right = most_frequent
        new_id = len(BYTE_ORDER) + number
        new_pairs = set()
        for place in places.pop(most_frequent):  # from left to right: "aaa" becomes "aa", "a"
            other = right_of[place]
            if ids[place] != left or ids[other] != right:
                continue  # the second "aa" of "aaa", or already joined by another merge
            before, after = left_of[place], right_of[other]
            ids[place], ids[other] = new_id, NO_TOKEN
            right_of[place], left_of[after] = after, place
            count = word_count[place]
            if (token := ids[before]) != NO_TOKEN:
                counts[token, left] -= count
                pair = token, new_id
                counts[pair] += count
                places[pair].append(before)
                new_pairs.add(pair)
            if (token := ids[after]) != NO_TOKEN:
                counts[right, token] -= count
                pair = new_id, token
                counts[pair] += count
                places[pair].append(place)
                new_pairs.add(pair)
        for pair in filter(counts.get, new_pairs):  # in "aaaa", the new pair "aa a" is gone again
            heappush(heap, (-counts[pair], pair))
    return merges


def _rows(word_counts: Mapping[str, int]) -> tuple[array[int], array[int]]:
    """Return the ids of all words in one row, and for each id the count of its word.

    `NO_TOKEN` stands before, between and after the words.
    """
    byte_ids = {byte: i for i, byte in enumerate(BYTE_ORDER)}
    ids, counts = array("i", [NO_TOKEN]), array("q", [0])
    for word, count in word_counts.items():
        ids.extend(map(byte_ids.__getitem__, word.encode("utf-8")))
        ids.append(NO_TOKEN)
        counts.extend([count] * (len(ids) - len(counts)))
    return ids, counts


def _neighbours(n: int) -> tuple[array[int], array[int]]:
    """Return the left and the right neighbour of each of n places in a ring."""
    left_of, right_of = array("i", range(-1, n - 1)), array("i", range(1, n + 1))
    left_of[0], right_of[-1] = n - 1, 0
    return left_of, right_of


def _pop(heap: list[tuple[int, Pair]], counts: Mapping[Pair, int]) -> Pair | None:
    """Remove the most frequent pair from `heap` and return it; None if no pairs are left.

    When a count falls, its entry in the heap stays too high until it comes to the top. Then it is
    put back with the correct count.
    """
    while heap:
        negative_count, pair = heappop(heap)
        count = counts[pair]
        if count == -negative_count:
            return pair
        if count > 0:
            heappush(heap, (-count, pair))
    return None


def apply_merges(ids: list[int], ranks: Mapping[Pair, int], joined: Sequence[int]) -> list[int]:
    """Join pairs of neighbours until none can be joined; return the ids of the tokens.

    The pair with the lowest rank is joined first; of several, the leftmost.

    Parameters
    ----------
    ids : list of int
        The ids of the bytes of one word. The list is overwritten.
    ranks : mapping of (int, int) to int
        Pair → its position among the merges.
    joined : sequence of int
        The id of the token that each merge makes, by rank.
    """
    if len(ids) > LONG_WORD_BYTES:
        return _apply_merges_to_long(ids, ranks, joined)
    rank_of = ranks.get
    found = list(map(rank_of, pairwise(ids), repeat(NO_RANK)))  # the rank of each pair
    while found and (rank := min(found)) != NO_RANK:
        place = found.index(rank)
        ids[place] = joined[rank]
        del ids[place + 1], found[place]
        if place > 0:
            found[place - 1] = rank_of((ids[place - 1], ids[place]), NO_RANK)
        if place < len(found):
            found[place] = rank_of((ids[place], ids[place + 1]), NO_RANK)
    return ids


def _apply_merges_to_long(
    ids: list[int], ranks: Mapping[Pair, int], joined: Sequence[int]
) -> list[int]:
    """Apply merges to a word of n bytes in n log n steps, instead of n².

    A heap holds the pairs that can be joined, as one integer each, rank · n + place: integers
    compare fastest.
    """
    row = array("i", [*ids, NO_TOKEN])
    n = len(row)
    left_of, right_of = _neighbours(n)
    rank_of = ranks.get
    heap = [
        rank * n + place
        for place, rank in enumerate(map(rank_of, pairwise(row)))
        if rank is not None
    ]
    heapify(heap)
    while heap:
        rank, place = divmod(heappop(heap), n)
        other = right_of[place]
        if rank_of((row[place], row[other])) != rank:
            continue  # one of the two has been joined with another token
        before, after = left_of[place], right_of[other]
        new_id = joined[rank]
        row[place], row[other] = new_id, NO_TOKEN
        right_of[place], left_of[after] = after, place
        if (new_rank := rank_of((row[before], new_id))) is not None:
            heappush(heap, new_rank * n + before)
        if (new_rank := rank_of((new_id, row[after]))) is not None:
            heappush(heap, new_rank * n + place)
    return [token_id for token_id in row if token_id != NO_TOKEN]
