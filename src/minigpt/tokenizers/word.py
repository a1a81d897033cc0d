"""A token for each word."""

from minigpt.tokenizers.patterns import WORD_PATTERN, split
from minigpt.tokenizers.pieces import PieceTokenizer


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
