"""A token for each word."""

from math import log

from minigpt.text.tokenizers.patterns import WORD_PATTERN, split
from minigpt.text.tokenizers.piece_tokenizer import UNICODE_CHARACTER_NATS, PieceTokenizer


class WordTokenizer(PieceTokenizer):
    """Makes a token of each word, punctuation character and white-space character.

    A word is a run of letters, accents, digits and underscores, with the apostrophes inside it:
    "don't" and "o'er" are words. Text of words it knows comes back from `decode` unchanged, line
    breaks and spaces included; a word it does not know comes back as ``<unk>``.

    >>> tokenizer = WordTokenizer().train("my dear, my dear friend")
    >>> [tokenizer.token_bytes(token_id) for token_id in tokenizer.encode("my dear foe")]
    [b'my', b' ', b'dear', b' ', b'<unk>']
    """

    kind = "word"

    def _split(self, text: str) -> list[str]:
        return split(WORD_PATTERN, text)

    def _spell(self, piece: str) -> float:
        """Return the nats of a spelling: its characters, then an end.

        Each is one of the alphabet, the end, or a sign that some other character follows.
        """
        n_new = sum(character not in self._alphabet for character in piece)
        return (len(piece) + 1) * log(len(self._alphabet) + 2) + n_new * UNICODE_CHARACTER_NATS
