"""The 256 bytes as GPT-2 orders and spells them.

A vocabulary file is text, but a token may be any bytes, also half a character or a line break.
GPT-2 therefore gives every byte a character that can be seen: to a byte that is a printable
character of Latin-1 that character, to the nth of the others the character number 256 + n. So a
space is spelled Ġ and a line break Ċ, and " dear" stands in the file as "Ġdear".

The order of the bytes, which makes their ids, is the order of these characters.
"""

_PRINTABLE = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]

BYTE_ORDER = (*_PRINTABLE, *_OTHERS)

_SPELLING = {byte: chr(byte) for byte in _PRINTABLE} | {
    byte: chr(256 + n) for n, byte in enumerate(_OTHERS)
}
_BYTE_OF = {character: byte for byte, character in _SPELLING.items()}


def spell(token: bytes) -> str:
    """Return `token` with a visible character for each byte."""
    return "".join(_SPELLING[byte] for byte in token)


def unspell(spelling: str) -> bytes:
    """Return the bytes that `spell` made `spelling` from.

    Raises
    ------
    ValueError
        If a character stands for no byte.
    """
    try:
        return bytes(_BYTE_OF[character] for character in spelling)
    except KeyError as error:
        raise ValueError(f"token {spelling!r:.100}: {error} stands for no byte") from None
