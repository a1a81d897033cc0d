"""The common part of the word and the character tokenizer: every piece of text is a token."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from math import log
from typing import Self

from minigpt.text.tokenizers.base import Tokenizer
from minigpt.text.tokenizers.text_checks import check_word_counts
from minigpt.text.tokenizers.vocabulary import UNKNOWN, Vocabulary

UNICODE_CHARACTER_NATS = log(0x110000 - 0x800)
"""Cost of one character when all of Unicode are equally likely; surrogates are not characters."""


class PieceTokenizer(Tokenizer):
    """Assigns an id to each distinct piece of the training text, the most frequent pieces first.

    Id 0 is ``<unk>``, which stands for every piece that is not in the vocabulary.
    """

    _special_names = (UNKNOWN,)

    def learn(
        self,
        word_counts: Mapping[str, int],
        vocab_size: int | None = None,
        track: Callable[[range], Iterable[int]] = iter,
    ) -> Self:
        """Learn pieces: see `Tokenizer.learn`.

        Parameters
        ----------
        word_counts : mapping of str to int
        vocab_size : int, optional
            The maximum number of tokens, including ``<unk>``. The most frequent pieces are kept;
            of equally frequent ones, those that occur first. By default all pieces are kept.
        track : callable, optional
            Not used.

        Raises
        ------
        ValueError
            If there are no pieces, or `vocab_size` is less than 2.
        """
        check_word_counts(word_counts, vocab_size)
        if vocab_size is None:
            vocab_size = len(word_counts) + 1
        self.check_vocab_size(vocab_size)
        kept = [piece for piece, _ in Counter(word_counts).most_common(vocab_size - 1)]
        tokens = [token.encode("utf-8") for token in (UNKNOWN, *kept)]
        self._adopt(Vocabulary(self.kind, tokens, special_tokens={UNKNOWN: 0}))
        return self

    def check_vocab_size(self, vocab_size: int) -> None:
        """Raise a ValueError if there is no room for a piece in addition to ``<unk>``."""
        if vocab_size < 2:
            raise ValueError(
                f"vocab_size={vocab_size} is too small: there must be at least 2 tokens, "
                f"{UNKNOWN} and one more"
            )

    def spelling_nats(self, text: str) -> float:
        """Return the cost in nats of spelling all unknown pieces: see `Tokenizer.spelling_nats`."""
        return sum(
            n * self._spell(piece)
            for piece, n in self.count_words(text).items()
            if piece not in self._ids
        )

    @abstractmethod
    def _spell(self, piece: str) -> float:
        """Return the cost in nats of spelling one unknown piece."""

    def _encode(self, text: str) -> list[int]:
        return [self._ids.get(piece, self._unknown_id) for piece in self._split(text)]

    def _adopt(self, vocabulary: Vocabulary) -> None:
        super()._adopt(vocabulary)
        tokens, special_ids = vocabulary.tokens, set(vocabulary.special_tokens.values())
        self._ids = {
            token.decode("utf-8"): i for i, token in enumerate(tokens) if i not in special_ids
        }
        self._unknown_id = vocabulary.special_tokens[UNKNOWN]
        self._alphabet = frozenset(chain.from_iterable(self._ids))
