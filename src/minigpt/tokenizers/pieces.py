"""What the word and the character tokenizer share: every piece of text is a token."""

from abc import abstractmethod
from collections import Counter
from typing import Self

from minigpt.tokenizers.base import Tokenizer, check_training
from minigpt.tokenizers.vocabulary import UNKNOWN, Vocabulary


class PieceTokenizer(Tokenizer):
    """Gives each different piece of the training text an id, the most frequent ones first.

    Id 0 is ``<unk>``, for every piece that is not in the vocabulary.
    """

    @abstractmethod
    def _split(self, text: str) -> list[str]:
        """Return the pieces of `text`, which joined are `text` again."""

    def train(self, text: str, vocab_size: int | None = None) -> Self:
        """Learn the pieces of `text`.

        Parameters
        ----------
        text : str
        vocab_size : int, optional
            The number of tokens, ``<unk>`` included: only the most frequent pieces are kept, among
            equals those that appear first. By default all pieces are kept.

        Returns
        -------
        PieceTokenizer
            This tokenizer.

        Raises
        ------
        TypeError
            If `text` is not a str, or `vocab_size` not an integer.
        ValueError
            If `text` is empty or holds a lone surrogate, or `vocab_size` is less than 2 or more
            than the text can give.
        """
        check_training(text, vocab_size)
        counts = Counter(self._split(text))
        largest = len(counts) + 1
        if vocab_size is None:
            vocab_size = largest
        if vocab_size < 2:
            raise ValueError(
                f"vocab_size={vocab_size} is too small: there must be at least 2 tokens, "
                f"{UNKNOWN} and one more"
            )
        if vocab_size > largest:
            raise ValueError(
                f"vocab_size={vocab_size} is more than this text can give: it has {len(counts)} "
                f"different pieces, which with {UNKNOWN} are {largest} tokens"
            )
        kept = [piece for piece, _ in counts.most_common(vocab_size - 1)]
        tokens = [token.encode("utf-8") for token in (UNKNOWN, *kept)]
        self._adopt(Vocabulary(self.kind, tokens, special_tokens={UNKNOWN: 0}))
        return self

    def _encode(self, text: str) -> list[int]:
        return [self._ids.get(piece, self._unknown_id) for piece in self._split(text)]

    def _adopt(self, vocabulary: Vocabulary) -> None:
        super()._adopt(vocabulary)
        tokens, special_ids = vocabulary.tokens, set(vocabulary.special_tokens.values())
        self._ids = {
            token.decode("utf-8"): i for i, token in enumerate(tokens) if i not in special_ids
        }
        self._unknown_id = vocabulary.special_tokens[UNKNOWN]
