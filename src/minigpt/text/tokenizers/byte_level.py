"""The 256 bytes in GPT-2's order and spelling.

A vocabulary file is text, but a token may be any bytes, even half a character or a line break.
GPT-2 therefore spells every byte as a visible character. A byte that is a printable character of
Latin-1 is spelled as that character; the nth of the other bytes is spelled as character number
256 + n. So a space is spelled Ġ and a line break Ċ, and " dear" appears in the file as "Ġdear".

The bytes have the ids 0 to 255: first the printable ones, then the others.
"""

_PRINTABLE = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]

BYTE_ORDER = (*_PRINTABLE, *_OTHERS)

_SPELLING = {byte: chr(byte) for byte in _PRINTABLE} | {
    byte: chr(256 + n) for n, byte in enumerate(_OTHERS)
}
_BYTE_OF = {character: byte for byte, character in _SPELLING.items()}


def spell(token: bytes) -> str:
    """Return the spelling of `token`: one visible character for each byte."""
    return "".join(_SPELLING[byte] for byte in token)


def unspell(spelling: str) -> bytes:
    """Return the bytes of a spelling, as the inverse of `spell`.

    Raises
    ------
    ValueError
        If a character stands for no byte.
    """
    try:
        return bytes(_BYTE_OF[character] for character in spelling)
    except KeyError as error:
        raise ValueError(f"token {spelling!r:.100}: {error} stands for no byte") from None
