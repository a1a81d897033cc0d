"""The character tokenizer: one token for each character."""

from minigpt.text.tokenizers.piece_tokenizer import UNICODE_CHARACTER_NATS, PieceTokenizer


class CharTokenizer(PieceTokenizer):
    """Makes each character a token; a character that is not in the vocabulary becomes ``<unk>``.

    >>> tokenizer = CharTokenizer().train("my dear")
    >>> [tokenizer.token_bytes(token_id) for token_id in tokenizer.encode("may")]
    [b'm', b'a', b'y']
    """

    kind = "char"

    def _split(self, text: str) -> list[str]:
        return list(text)

    def _spell(self, piece: str) -> float:
        return UNICODE_CHARACTER_NATS
