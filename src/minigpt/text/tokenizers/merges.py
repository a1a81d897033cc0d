"""Learn merges from words, and apply them to a word: the two halves of byte-pair encoding.

Both work on token ids in a row, in which two neighbours are joined in one step, however long the
row: the new token takes the place of the left one, and the place of the right one stays empty. Two
tables know the neighbours of each place, so that nothing has to move. `NO_TOKEN` stands between
words, and where a place is empty.

The loops are written out, with no function called in them: that makes them twice as fast. The
tables are arrays of machine numbers, which take a fifth of the memory of lists.
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

LONG_WORD = 100
"""Bytes; for longer words the heap is faster, for shorter ones it takes up to twice as long."""


@contextmanager
def _no_collection() -> Iterator[None]:
    """Spare Python the search for cycles: among some 100,000 pairs it takes a tenth of the time."""
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
    """Return the first `n_merges` merges, fewer if all words are single tokens before.

    The most frequent pair comes first; of several the one with the smallest ids, as in Hugging
    Face's tokenizers. Ids below 256 are bytes in `BYTE_ORDER`, and 256 + n is what merge n makes.

    Parameters
    ----------
    word_counts : mapping of str to int
        How often each word occurs. A word is looked at once, however often it occurs.
    n_merges : int
    track : callable, optional
        Goes through the numbers of the merges; one such as rich.progress.track shows how far it is.
    """
    ids, times = _rows(word_counts)
    left_of, right_of = _neighbours(len(ids))
    counts: dict[Pair, int] = defaultdict(int)
    places: dict[Pair, array[int]] = defaultdict(lambda: array("i"))
    for place, pair in enumerate(pairwise(ids)):
        if NO_TOKEN not in pair:
            counts[pair] += times[place]
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
        for place in places.pop(most_frequent):  # in order, so that "aaa" becomes "aa", "a"
            other = right_of[place]
            if ids[place] != left or ids[other] != right:
                continue  # the second "aa" of "aaa", or joined by another merge
            before, after = left_of[place], right_of[other]
            ids[place], ids[other] = new_id, NO_TOKEN
            right_of[place], left_of[after] = after, place
            count = times[place]
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
        for pair in filter(counts.get, new_pairs):  # of "aaaa", the new "aa a" is gone again
            heappush(heap, (-counts[pair], pair))
    return merges


def _rows(word_counts: Mapping[str, int]) -> tuple[array[int], array[int]]:
    """Return the ids of all words in a row, and for each how often its word occurs.

    `NO_TOKEN` stands before, between and after the words.
    """
    byte_ids = {byte: i for i, byte in enumerate(BYTE_ORDER)}
    ids, times = array("i", [NO_TOKEN]), array("q", [0])
    for word, count in word_counts.items():
        ids.extend(map(byte_ids.__getitem__, word.encode("utf-8")))
        ids.append(NO_TOKEN)
        times.extend([count] * (len(ids) - len(times)))
    return ids, times


def _neighbours(n: int) -> tuple[array[int], array[int]]:
    """Return for each of n places the one on its left, and the one on its right, in a ring."""
    left_of, right_of = array("i", range(-1, n - 1)), array("i", range(1, n + 1))
    left_of[0], right_of[-1] = n - 1, 0
    return left_of, right_of


def _pop(heap: list[tuple[int, Pair]], counts: Mapping[Pair, int]) -> Pair | None:
    """Return the most frequent pair, None if there are no pairs left.

    A count that sank is not corrected in the heap at once, but when its pair comes to the top.
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
    """Join neighbours, lowest rank first and leftmost first, until there are none to join.

    Parameters
    ----------
    ids : list of int
        The bytes of one word; used up.
    ranks : mapping of (int, int) to int
        The place of each pair among the merges.
    joined : sequence of int
        For each rank the id of what its pair becomes.
    """
    if len(ids) > LONG_WORD:
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
    """Do what `apply_merges` does in n log n steps for a word of n bytes, where it takes n².

    A heap holds what can be joined.
    """
    row = array("i", [*ids, NO_TOKEN])
    n = len(row)
    left_of, right_of = _neighbours(n)
    rank_of = ranks.get
    # What can be joined as one number each, rank · n + place, which a heap compares fastest.
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
            continue  # joined otherwise meanwhile
        before, after = left_of[place], right_of[other]
        new_id = joined[rank]
        row[place], row[other] = new_id, NO_TOKEN
        right_of[place], left_of[after] = after, place
        if (new_rank := rank_of((row[before], new_id))) is not None:
            heappush(heap, new_rank * n + before)
        if (new_rank := rank_of((new_id, row[after]))) is not None:
            heappush(heap, new_rank * n + place)
    return [token_id for token_id in row if token_id != NO_TOKEN]
