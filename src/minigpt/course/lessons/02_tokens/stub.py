"""Lesson 2: tokens. The page is lesson_02.md.

Fill in each body, then mark it:   minigpt course mark 2.1

Here are no arrays. A text is a str, and ids are whole numbers. Where a list of ids is asked for, a
tuple is as good. You may import `re`, `collections` and `itertools`.
"""

import re
from collections import Counter

UNKNOWN = "<unk>"
"""Stands for every piece of text that has no id."""


# 2.1 ---------------------------------------------------------------------------
def words(text):
    """Cut a text into words and single characters.

    A word is a run of letters, digits and _ that is as long as possible: the characters c for
    which c.isalnum() or c == "_". Every other character, also a space, is a piece by itself.

    text : str.
    Returns pieces : a list of str. Put together, they are the text again.
    """
    raise NotImplementedError


# 2.2 ---------------------------------------------------------------------------
def vocabulary(pieces, size):
    """Choose which pieces get an id.

    pieces : a list of str, as in 2.1.
    size : the largest number of ids, at least 1.
    Returns ids : a dict, piece -> id. UNKNOWN has the id 0. Then come the most frequent pieces:
        the most frequent has the id 1. Of equally frequent pieces, the one that occurs first in
        `pieces` comes first. There are at most `size` ids, with UNKNOWN.
    """
    raise NotImplementedError


# 2.3 ---------------------------------------------------------------------------
def encode_words(text, ids):
    """Turn a text into ids.

    text : str.
    ids : piece -> id, as in 2.2.
    Returns encoded : a list with the id of each piece of the text; for a piece that is not in
        `ids`, the id of UNKNOWN.
    """
    raise NotImplementedError


# Given: what byte-pair encoding begins with. ---------------------------------------
def cut(text):
    """Cut a text into words, each with the space before it. No token will cross a border."""
    return re.findall(r" ?\w+| ?[^\w\s]+|\s", text)


def byte_counts(text):
    """Return how often each word occurs: a dict, tuple of the word's bytes -> count."""
    return dict(Counter(tuple(word.encode("utf-8")) for word in cut(text)))


# 2.4 ---------------------------------------------------------------------------
def count_pairs(word_counts):
    """Count how often two ids stand side by side.

    word_counts : a dict, tuple of ids -> how often this word occurs in the text.
    Returns pairs : a dict, (left id, right id) -> how often. Pairs may overlap: the word
        (97, 97, 97) has the pair (97, 97) twice. Leave out pairs that do not occur.
    """
    raise NotImplementedError


# 2.5 ---------------------------------------------------------------------------
def join(ids, pair, new):
    """Replace a pair of neighbours by one new id.

    ids : a tuple of ids.
    pair : (left id, right id).
    new : the id that takes the place of the two.
    Returns joined : a tuple, not a list: in 2.6 it is the key of a dict. Go from left to right;
        an id that was joined is not joined again in this call.
    """
    raise NotImplementedError


# 2.6 ---------------------------------------------------------------------------
def learn_merges(word_counts, n_merges):
    """Learn which pairs become tokens.

    Repeat `n_merges` times: count all pairs, and join the most frequent one in all words. Merge
    number n, counted from 0, makes the id 256 + n.

    A tie: of equally frequent pairs, join the smallest. Pairs are compared as Python compares
    tuples, by the left id, then by the right one: (97, 114) < (101, 97) < (101, 98).

    word_counts : as in 2.4, with bytes as ids.
    Returns merges : a list of pairs, in the order in which they were joined. It is shorter than
        `n_merges` if no pair is left.
    """
    raise NotImplementedError


# 2.7 ---------------------------------------------------------------------------
def encode(word, merges):
    """Turn one word into ids.

    word : str, one of the words that `cut` makes.
    merges : a list of pairs, as in 2.6.
    Returns ids : a list. Begin with the bytes of the word in UTF-8, and repeat the merges in the
        order in which they were learned.
    """
    raise NotImplementedError


# 2.8 ---------------------------------------------------------------------------
def decode(ids, merges):
    """Turn ids into text.

    ids : a list of ids, perhaps of many words.
    merges : as in 2.6.
    Returns text : str. Bytes that are not UTF-8, such as half a character, become the sign �:
        bytes.decode does this with errors="replace".
    """
    raise NotImplementedError
