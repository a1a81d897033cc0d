"""Lesson 2: tokens. Our solution."""

import re
from collections import Counter
from itertools import pairwise

UNKNOWN = "<unk>"


def words(text):
    return re.findall(r"\w+|\W", text)


def vocabulary(pieces, size):
    kept = [piece for piece, _ in Counter(pieces).most_common(size - 1)]
    return {piece: i for i, piece in enumerate([UNKNOWN, *kept])}


def encode_words(text, ids):
    return [ids.get(piece, ids[UNKNOWN]) for piece in words(text)]


def cut(text):
    return re.findall(r" ?\w+| ?[^\w\s]+|\s", text)


def byte_counts(text):
    return dict(Counter(tuple(word.encode("utf-8")) for word in cut(text)))


def count_pairs(word_counts):
    pairs = Counter()
    for ids, count in word_counts.items():
        for pair in pairwise(ids):
            pairs[pair] += count
    return dict(pairs)


def join(ids, pair, new):
    joined = []
    for i in ids:
        if joined and (joined[-1], i) == pair:
            joined[-1] = new
        else:
            joined.append(i)
    return tuple(joined)


def learn_merges(word_counts, n_merges):
    now, merges = word_counts, []
    for new in range(256, 256 + n_merges):
        pairs = count_pairs(now)
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        now = {join(ids, best, new): count for ids, count in now.items()}
        merges.append(best)
    return merges


def encode(word, merges):
    ids = tuple(word.encode("utf-8"))
    for rank, pair in enumerate(merges):
        ids = join(ids, pair, 256 + rank)
    return list(ids)


def decode(ids, merges):
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    joined = b"".join(tokens[i] for i in ids)
    return joined.decode("utf-8", errors="replace")
