"""What all tokenizers have in common: train, encode, decode, save and load."""

import operator
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self, SupportsIndex

from minigpt.core.checks import is_list
from minigpt.support.brief import brief_value
from minigpt.support.displayed import as_html
from minigpt.support.hints import missing
from minigpt.text.tokenizers import tokenizer_json
from minigpt.text.tokenizers.stream import pieces_of
from minigpt.text.tokenizers.text_checks import check_str
from minigpt.text.tokenizers.vocabulary import END_OF_TEXT, Kind, Vocabulary


class Tokenizer(ABC):
    """Converts text into token ids, which are integers from 0 to ``vocab_size - 1``, and back.

    Every token stands for some bytes of UTF-8. `train` learns a vocabulary of tokens, `encode` cuts
    text into them, and `decode` joins their bytes again.

    >>> from minigpt.text.tokenizers import WordTokenizer
    >>> tokenizer = WordTokenizer().train("my dear, my dear friend")
    >>> tokenizer.encode("my friend")
    [2, 1, 5]
    >>> tokenizer.decode([2, 1, 5])
    'my friend'
    """

    kind: ClassVar[Kind]
    _special_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._vocabulary: Vocabulary | None = None

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            raise AttributeError(missing(self, name))

    def train(
        self,
        text: str | Iterable[str],
        vocab_size: int | None = None,
        *,
        allow_special: bool = False,
    ) -> Self:
        """Learn a vocabulary from `text`.

        Parameters
        ----------
        text : str, or iterable of str
            A text, or its pieces in order. Pieces are processed one at a time, and no word goes
            from one piece into the next.
        vocab_size : int, optional
            The number of tokens, including special tokens. The default is 1024 for byte-pair
            encoding; for words and characters, it is all that occur. If the text yields fewer
            tokens, the vocabulary is smaller: the attribute `vocab_size` is the actual number.
        allow_special : bool, default False
            Whether a special token's name in `text` stands for that token, as in `encode`. Then
            nothing is learned from its letters.

        Returns
        -------
        Tokenizer
            This tokenizer.

        Raises
        ------
        TypeError
            If `text` is not a str or an iterable of them, or `vocab_size` is not an integer.
        ValueError
            If `text` is empty or holds a lone surrogate, or if `vocab_size` is too small.
        """
        return self.learn(self.count_words(text, allow_special=allow_special), vocab_size)

    def count_words(
        self, text: str | Iterable[str], *, allow_special: bool = False
    ) -> Counter[str]:
        """Return how often each word of `text` occurs, in the order of first occurrence.

        A tokenizer learns only from these counts. Each kind of tokenizer has its own words; joined,
        they are always the whole text. See `train` for the parameters.
        """
        if isinstance(text, bytes | bytearray) or not isinstance(text, Iterable):
            check_str(text)
        counts: Counter[str] = Counter()
        for part in [text] if isinstance(text, str) else text:
            check_str(part)
            for ordinary in self.without_special(part) if allow_special else [part]:
                for piece in pieces_of(ordinary):
                    counts.update(self._split(piece))
        return counts

    @abstractmethod
    def learn(
        self,
        word_counts: Mapping[str, int],
        vocab_size: int | None = None,
        track: Callable[[range], Iterable[int]] = iter,
    ) -> Self:
        """Learn a vocabulary of `vocab_size` tokens from counted words; return the tokenizer.

        Parameters
        ----------
        word_counts : mapping of str to int
            How often each word occurs: see `count_words`.
        vocab_size : int, optional
            See `train`.
        track : callable, optional
            Iterates over the steps of learning, and may show the progress, as rich.progress.track
            does.
        """

    @abstractmethod
    def check_vocab_size(self, vocab_size: int) -> None:
        """Raise a ValueError if `vocab_size` is too small for this kind of tokenizer."""

    @abstractmethod
    def _split(self, text: str) -> list[str]:
        """Return the words of `text`; joined, they are `text` again."""

    @abstractmethod
    def _encode(self, text: str) -> list[int]:
        """Return the ids of a piece of text, in which no name stands for a token."""

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the token ids of `text`; an empty list for an empty text.

        Parameters
        ----------
        text : str
        allow_special : bool, default False
            Whether a special token's name in `text`, such as ``<|endoftext|>``, becomes that token.
            By default it is encoded like any other text, so that text from strangers cannot contain
            tokens with a special meaning to the model.

        Raises
        ------
        TypeError
            If `text` is not a str.
        ValueError
            If `text` holds a lone surrogate, which is not a character.
        """
        check_str(text)
        vocabulary = self.vocabulary
        ids = vocabulary.added_tokens | (vocabulary.special_tokens if allow_special else {})
        stages = ids.keys() - vocabulary.normalized, ids.keys() & vocabulary.normalized
        return self._encode_with_names(text, ids, [names for names in stages if names])

    def _encode_with_names(
        self, text: str, ids_of_names: Mapping[str, int], stages: Sequence[Iterable[str]]
    ) -> list[int]:
        """Encode `text`: find the names of the first stage, and in the rest those of the next."""
        if not stages:
            return self._encode_ordinary(text)
        ids: list[int] = []
        for i, part in enumerate(_split_at_names(text, stages[0])):
            is_name = i % 2 == 1
            ids += (
                [ids_of_names[part]]
                if is_name
                else self._encode_with_names(part, ids_of_names, stages[1:])
            )
        return ids

    def _encode_ordinary(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in pieces_of(text):  # all words of a long text at once would fill the memory
            ids += self._encode(piece)
        return ids

    def without_special(self, text: str) -> list[str]:
        """Return the parts of `text` between the names of special tokens."""
        return _split_at_names(text, self.special_names)[::2]

    def spelling_nats(self, text: str) -> float:
        """Return the cost in nats of spelling all pieces of `text` that become ``<unk>``.

        A loss on token ids treats ``<unk>`` as if it were the text itself. So the fewer words a
        tokenizer knows, the better its model would look. To compare tokenizers, we complete the
        code that a model defines: each ``<unk>`` is followed by its spelling, without which nobody
        could recover the text. In a spelling, all characters that occur in known tokens are equally
        likely, and so are all other characters of Unicode. This is a simple model of spelling, so
        the sum is an upper bound; but the bound can be compared across tokenizers. It is 0 for a
        tokenizer that can encode every text.

        Source: Brown et al., "An Estimate of an Upper Bound for the Entropy of English", 1992,
        where a spelling model follows the token of an unknown word in the same way.
        """
        return 0.0

    def decode(self, ids: Iterable[SupportsIndex]) -> str:
        """Return the text that `ids` stand for.

        Parameters
        ----------
        ids : iterable of int
            For example a list, or an integer array of shape (T,).

        Returns
        -------
        str
            Special tokens appear as their names. Bytes that are not valid UTF-8, such as one token
            of a character made of two, appear as the replacement character, U+FFFD.

        Raises
        ------
        TypeError
            If an id is not an integer.
        ValueError
            If an id is negative, or not below ``vocab_size``.
        """
        if not is_list(ids):
            raise TypeError(f"ids must be a list of token ids, got {ids!r:.100}")
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def token_bytes(self, token_id: SupportsIndex) -> bytes:
        """Return the bytes that a token stands for; they may end inside a character.

        Raises
        ------
        TypeError
            If `token_id` is not an integer.
        ValueError
            If `token_id` is negative, or not below ``vocab_size``.
        """
        tokens = self.vocabulary.tokens
        try:
            index = operator.index(token_id)
        except TypeError:
            raise TypeError(f"a token id must be an integer, not {token_id!r}") from None
        if not 0 <= index < len(tokens):
            raise ValueError(
                f"token id {index} is not in the vocabulary: ids go from 0 to {len(tokens) - 1}"
            )
        return tokens[index]

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that was learned or loaded."""
        if self._vocabulary is None:
            name = type(self).__name__
            raise RuntimeError(
                f"this {name} knows no tokens yet: call train(text), or use {name}.load(path)"
            )
        return self._vocabulary

    @property
    def vocab_size(self) -> int:
        """The number of tokens, including special tokens."""
        return len(self.vocabulary.tokens)

    @property
    def special_tokens(self) -> dict[str, int]:
        """Name → id of the special tokens, which ordinary text never becomes."""
        return self.vocabulary.special_tokens

    @property
    def special_names(self) -> tuple[str, ...]:
        """The names of the special tokens; they are known even before training."""
        if self._vocabulary is None:
            return self._special_names
        return tuple(self._vocabulary.special_tokens)

    @property
    def end_of_text(self) -> int | None:
        """The id of the token that ends a text, or None.

        This token is ``<|endoftext|>``, unless the tokenizer's folder names another.
        """
        return self.special_tokens.get(self.vocabulary.roles.get("eos_token", END_OF_TEXT))

    def __len__(self) -> int:
        return self.vocab_size

    def __repr__(self) -> str:
        if self._vocabulary is None:
            return f"{type(self).__name__}(untrained)"
        names = brief_value(list(self.special_tokens))
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special_tokens={names})"

    _repr_html_ = as_html

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary as Hugging Face's ``tokenizer.json``.

        Parameters
        ----------
        path : str or path
            A file whose name ends in ``.json``, or a folder, in which the file is called
            ``tokenizer.json``. The folder is created if it does not exist. If other tokens than
            ``<|endoftext|>`` begin or end a text, ``tokenizer_config.json`` in the folder names
            them.
        """
        tokenizer_json.write(path, self.vocabulary)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the tokenizer in a ``tokenizer.json``, or in a folder that has this file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a ``tokenizer.json``, needs something that miniGPT does not support,
            or describes another kind of tokenizer (`load_tokenizer` reads every kind).
        """
        return cls.from_vocabulary(tokenizer_json.read(path))

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary) -> Self:
        """Return a tokenizer that has this vocabulary."""
        if vocabulary.kind != cls.kind:
            raise ValueError(
                f"this is the vocabulary of a {vocabulary.kind!r} tokenizer, but {cls.__name__} is "
                f"of the kind {cls.kind!r}: load_tokenizer reads every kind"
            )
        tokenizer = cls()
        tokenizer._adopt(vocabulary)
        return tokenizer

    def _adopt(self, vocabulary: Vocabulary) -> None:
        """Use `vocabulary` from now on. Subclasses also build their lookup tables here."""
        self._vocabulary = vocabulary

    def tokenizer_config(self, model_max_length: int | None = None) -> dict[str, object]:
        """Return the content of ``tokenizer_config.json``, which transformers' AutoTokenizer reads.

        Parameters
        ----------
        model_max_length : int, optional
            The number of tokens in the context of the model.
        """
        return tokenizer_json.tokenizer_config(self.vocabulary, model_max_length)


def _split_at_names(text: str, names: Iterable[str]) -> list[str]:
    """Return `text` cut at each name: entries 1, 3, 5 … are names, the others the text around.

    Where several names begin at one place, the longest one counts.
    """
    longest_first = sorted(names, key=len, reverse=True)
    if not longest_first:
        return [text]
    return re.split(f"({'|'.join(map(re.escape, longest_first))})", text)
