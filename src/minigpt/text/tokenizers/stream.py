"""Cut a text into pieces that can be worked on one by one, so that it need never be there whole.

No tokenizer makes a token, or a word to learn from, that white space ends and goes on after. So a
cut before white space that follows something else changes nothing: the pieces' tokens, one after
another, are those of the text.
"""

from collections.abc import Iterable, Iterator

PIECE_CHARS = 2**19
"""Characters in a piece, about a tenth of a second's work."""

MAX_PIECE_CHARS = 2**22
"""Characters; a longer word, which no language has, is cut all the same, so that memory lasts."""

# Python's isspace knows four characters more than Unicode's White_Space, by which words are cut.
# Before such a character there need not be a border; after one there may be.
_WHITE_SPACE = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | frozenset(
    map(chr, range(0x2000, 0x200B))
)


def pieces_of(text: str, size: int = PIECE_CHARS) -> Iterator[str]:
    """Cut `text` into pieces of about `size` characters, longer where there is no white space."""
    if 0 < len(text) <= size:
        return iter([text])
    return cut_between_words(text[start : start + size] for start in range(0, len(text), size))


def cut_between_words(parts: Iterable[str]) -> Iterator[str]:
    """Move what follows the last border of words in a part of a text to the next part.

    >>> list(cut_between_words(["my de", "ar  ", " fri", "end"]))
    ['my', ' dear', '   friend']
    """
    rest: list[str] = []  # has no border in it
    last = ""  # the character before the part
    for part in parts:
        cut = last_border(part, last)
        if cut is not None:
            yield "".join([*rest, part[:cut]])
            rest = []
        rest.append(part[cut:])
        last = part[-1:] or last
        if sum(map(len, rest)) > MAX_PIECE_CHARS:
            yield "".join(rest)
            rest = []
    if any(rest):
        yield "".join(rest)


def last_border(text: str, before: str = "") -> int | None:
    """Find the last white space in `text` that follows something else; None if there is none.

    `before` is the character that stands before `text`, if there is one.
    """
    for cut in range(len(text) - 1, 0, -1):
        if text[cut] in _WHITE_SPACE and not text[cut - 1].isspace():
            return cut
    is_border = before and not before.isspace() and text and text[0] in _WHITE_SPACE
    return 0 if is_border else None
