"""A token for each character."""

from minigpt.text.tokenizers.piece_tokenizer import UNICODE_CHARACTER_NATS, PieceTokenizer


class CharTokenizer(PieceTokenizer):
    """Makes a token of each character; one it does not know becomes ``<unk>``.

    >>> tokenizer = CharTokenizer().train("my dear")
    >>> [tokenizer.token_bytes(token_id) for token_id in tokenizer.encode("may")]
    [b'm', b'a', b'y']
    """

    kind = "char"

    def _split(self, text: str) -> list[str]:
        return list(text)

    def _spell(self, piece: str) -> float:
        return UNICODE_CHARACTER_NATS
