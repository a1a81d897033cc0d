r"""Cut text into words with exact Unicode classes, using the standard library's `re`.

The patterns are written as for other regular-expression engines: ``\p{L}`` means the letters of
every script, ``\p{M}`` the marks (accents), ``\p{N}`` the numbers and ``\p{Z}`` the separators
(spaces). Python's `re` does not support ``\p``, and its ``\w``, ``\d`` and ``\s`` are other sets of
characters. So `split` replaces each class by ranges of code points from `unicodedata`. Characters
that are newer than this Python's version of Unicode are in no class.
"""

import re
import unicodedata
from functools import cache

# GPT-2's words, which no merge crosses: an ending such as "'s" in "it's" or "'ll" in "I'll"; a run
# of letters, of numbers or of other characters, including one space before it; a run of spaces, but
# its last space belongs to the word after it. Spaces are the characters with Unicode's property
# White_Space, which other engines call \s.
# Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
GPT2_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)"
    r"| ?[\p{L}]+"
    r"| ?[\p{N}]+"
    r"| ?[^\p{L}\p{N}\p{Z}\t-\r\x85]+"
    r"|[\p{Z}\t-\r\x85]+(?![^\p{Z}\t-\r\x85])"
    r"|[\p{Z}\t-\r\x85]+"
)

# A word, including the apostrophes inside it ("don't", "o'er"), or one other character.
WORD_PATTERN = (
    r"[\p{L}\p{M}\p{N}_]+(?:['’][\p{L}\p{M}\p{N}_]+)*"
    r"|[^\p{L}\p{M}\p{N}_]"
)  # fmt: skip

CHARACTER_PATTERN = r"[\s\S]"


def split(pattern: str, text: str) -> list[str]:
    r"""Return all matches of `pattern` in `text`; the pattern may use ``\p{..}`` inside brackets.

    The patterns of this module match every character, so the matches joined are the text again.
    """
    return _compiled(pattern, text.isascii()).findall(text)


@cache
def _compiled(pattern: str, ascii_only: bool) -> re.Pattern[str]:
    """Return `pattern` compiled for all of Unicode, or only for ASCII text.

    ASCII text is common; it needs no tables, and its short classes match four times as fast.
    """
    ranges = {"L": "A-Za-z", "M": "", "N": "0-9", "Z": " "} if ascii_only else _unicode_ranges()
    return re.compile(re.sub(r"\\p\{(\w)\}", lambda match: ranges[match[1]], pattern))


@cache
def _unicode_ranges() -> dict[str, str]:
    r"""Return the ranges of each class, to be put in brackets: ``A-Za-zªµº…`` for "L"."""
    ranges = {"L": "", "M": "", "N": "", "Z": ""}
    # Planes 4 to 13 of Unicode are empty, 15 and 16 private; 14 has marks in its first rows.
    # Skipping these ranges makes the scan four times as fast: 0.05 s.
    for block in (range(0x40000), range(0xE0000, 0xE1000)):
        # The first letter of a category is its class: Lu and Ll, upper and lower case, are in L.
        classes = "".join(map(unicodedata.category, map(chr, block)))[::2]
        for name in ranges:
            for run in re.finditer(f"{name}+", classes):
                first, last = block[run.start()], block[run.end() - 1]
                ranges[name] += f"{chr(first)}-{chr(last)}"
    return ranges
