"""The word tokenizer: one token for each word."""

from math import log

from minigpt.text.tokenizers.patterns import WORD_PATTERN, split
from minigpt.text.tokenizers.piece_tokenizer import UNICODE_CHARACTER_NATS, PieceTokenizer


class WordTokenizer(PieceTokenizer):
    """Makes each word, each punctuation character and each white-space character a token.

    A word is a run of letters, accents, digits and underscores, including the apostrophes inside
    it: "don't" and "o'er" are words. `decode` returns known words, spaces and line breaks exactly
    as they were, and ``<unk>`` for each unknown word.

    >>> tokenizer = WordTokenizer().train("my dear, my dear friend")
    >>> [tokenizer.token_bytes(token_id) for token_id in tokenizer.encode("my dear foe")]
    [b'my', b' ', b'dear', b' ', b'<unk>']
    """

    kind = "word"

    def _split(self, text: str) -> list[str]:
        return split(WORD_PATTERN, text)

    def _spell(self, piece: str) -> float:
        """Return the cost in nats of spelling `piece`: its characters, then an end mark.

        Each symbol is a character of the alphabet, the end mark, or a mark that a character of the
        rest of Unicode follows. All are equally likely.
        """
        n_new = sum(character not in self._alphabet for character in piece)
        return (len(piece) + 1) * log(len(self._alphabet) + 2) + n_new * UNICODE_CHARACTER_NATS
