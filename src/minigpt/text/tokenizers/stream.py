"""Cut a text into pieces that can be processed one by one, so that it never has to fit in memory.

No token, and no word to learn from, contains white space after a character that is not white space.
So a cut between the two never splits one: the tokens of the pieces, one after another, are the
tokens of the text.
"""

from collections.abc import Iterable, Iterator

PIECE_CHARS = 2**19
"""The usual length of a piece; processing it takes about a tenth of a second."""

MAX_PIECE_CHARS = 2**22
"""A longer word, which no language has, is cut anyway, to limit the memory."""

# Words are cut at Unicode's White_Space. Python's isspace also accepts four other characters, such
# as \x1c, before which there need not be a border. No text is cut directly before or after them.
_WHITE_SPACE = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | frozenset(
    map(chr, range(0x2000, 0x200B))
)


def pieces_of(text: str, size: int = PIECE_CHARS) -> Iterator[str]:
    """Cut `text` into pieces of about `size` characters, or more where there is no white space."""
    if 0 < len(text) <= size:
        return iter([text])
    return cut_between_words(text[start : start + size] for start in range(0, len(text), size))


def cut_between_words(parts: Iterable[str]) -> Iterator[str]:
    """Yield the text in `parts` again, with every cut moved back to the last border between words.

    >>> list(cut_between_words(["my de", "ar  ", " fri", "end"]))
    ['my', ' dear', '   friend']
    """
    rest: list[str] = []  # without a border inside
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
    """Return the place of the last white space in `text` that follows another character, or None.

    `before` is the character before `text`, if there is one.
    """
    for cut in range(len(text) - 1, 0, -1):
        if text[cut] in _WHITE_SPACE and not text[cut - 1].isspace():
            return cut
    is_border = before and not before.isspace() and text and text[0] in _WHITE_SPACE
    return 0 if is_border else None
