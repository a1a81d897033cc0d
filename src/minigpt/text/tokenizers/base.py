"""What all tokenizers share: text to ids and back, and the way to a file and back."""

import json
import operator
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, SupportsIndex

from minigpt.core.checks import is_list
from minigpt.support.brief import brief_value
from minigpt.support.displayed import as_html
from minigpt.support.files import write_text
from minigpt.support.hints import missing
from minigpt.text.tokenizers import tokenizer_json
from minigpt.text.tokenizers.stream import pieces_of
from minigpt.text.tokenizers.vocabulary import END_OF_TEXT, Kind, Vocabulary, usual_roles


class Tokenizer(ABC):
    """Turns text into token ids, whole numbers from 0 to ``vocab_size - 1``, and back.

    Every token stands for some bytes of UTF-8. `train` finds a vocabulary of tokens, `encode` cuts
    text into them, and `decode` puts their bytes together again.

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
            A text, or its pieces one after another: then the borders of pieces are borders of
            words. No more than a piece is looked at at a time.
        vocab_size : int, optional
            The number of tokens, special tokens included. By default 1024 for byte-pair encoding;
            for words and characters all there are. A text that gives fewer tokens makes a smaller
            vocabulary: `vocab_size` of the tokenizer is the number there is.
        allow_special : bool, default False
            Whether names of special tokens in `text` stand for these tokens, as in `encode`: then
            nothing is learned from their letters.

        Returns
        -------
        Tokenizer
            This tokenizer.

        Raises
        ------
        TypeError
            If `text` is neither a str nor an iterable of them, or `vocab_size` not an integer.
        ValueError
            If `text` is empty or holds a lone surrogate, or if `vocab_size` is too small.
        """
        return self.learn(self.count_words(text, allow_special=allow_special), vocab_size)

    def count_words(
        self, text: str | Iterable[str], *, allow_special: bool = False
    ) -> Counter[str]:
        """Return how often each word of `text` occurs: all that a tokenizer learns from.

        What a word is depends on the tokenizer; those of a text joined are the text. They stand in
        the order in which they first occur. See `train` for what `text` may be.
        """
        if isinstance(text, bytes | bytearray) or not isinstance(text, Iterable):
            check_text(text)
        counts: Counter[str] = Counter()
        for part in [text] if isinstance(text, str) else text:
            check_text(part)
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
            Goes through the numbers of what is learned one after another; one such as
            rich.progress.track shows how far it is.
        """

    @abstractmethod
    def check_vocab_size(self, vocab_size: int) -> None:
        """Raise a ValueError if no vocabulary can be so small."""

    @abstractmethod
    def _split(self, text: str) -> list[str]:
        """Return the words of `text`, which joined are `text` again."""

    @abstractmethod
    def _encode(self, text: str) -> list[int]:
        """Return the ids of a piece of text without special tokens."""

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the ids of the tokens of `text`, none for an empty text.

        Parameters
        ----------
        text : str
        allow_special : bool, default False
            Whether the name of a special token, such as ``<|endoftext|>``, gives that token
            wherever it stands in `text`. By default it is text like any other, so that text from
            strangers cannot hold tokens that mean something to the model.

        Raises
        ------
        TypeError
            If `text` is not a str.
        ValueError
            If `text` holds a lone surrogate, which is no character.
        """
        check_text(text)
        vocabulary = self.vocabulary
        named = vocabulary.added_tokens | (vocabulary.special_tokens if allow_special else {})
        stages = named.keys() - vocabulary.normalized, named.keys() & vocabulary.normalized
        return self._encode_around(text, named, [names for names in stages if names])

    def _encode_around(
        self, text: str, named: Mapping[str, int], stages: Sequence[Iterable[str]]
    ) -> list[int]:
        """Encode a text in which the names of each stage are tokens, before those of the next."""
        if not stages:
            return self._encode_ordinary(text)
        ids: list[int] = []
        longest_first = sorted(stages[0], key=len, reverse=True)
        for i, part in enumerate(re.split(f"({'|'.join(map(re.escape, longest_first))})", text)):
            ids += [named[part]] if i % 2 else self._encode_around(part, named, stages[1:])
        return ids

    def _encode_ordinary(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in pieces_of(text):  # as the words of all of a long text would fill the memory
            ids += self._encode(piece)
        return ids

    def without_special(self, text: str) -> list[str]:
        """Return the parts of `text` that stand around the names of special tokens."""
        longest_first = sorted(self.special_names, key=len, reverse=True)
        if not longest_first:
            return [text]
        return re.split("|".join(map(re.escape, longest_first)), text)

    def spelling_nats(self, text: str) -> float:
        """Return what it costs to spell the pieces of `text` that are ``<unk>``, in nats.

        A loss on ids alone takes ``<unk>`` for the text, so that the fewer words a tokenizer
        knows, the better its model looks. So the code that a model stands for is completed: after
        each ``<unk>`` comes its spelling, without which nobody could read the text again.
        In a spelling all characters that known tokens consist of are equally likely, and so are
        all others in Unicode. This is not a clever model of spelling. The sum is an upper bound,
        but one that can be compared across tokenizers. It is 0 if a tokenizer knows every text.

        Source: Brown et al., "An Estimate of an Upper Bound for the Entropy of English", 1992,
        where a spelling model follows the token of an unknown word in the same way.
        """
        return 0.0

    def decode(self, ids: Iterable[SupportsIndex]) -> str:
        """Return the text that `ids` stand for.

        Parameters
        ----------
        ids : iterable of int
            For example a list, or an array of integers of shape (T,).

        Returns
        -------
        str
            Special tokens appear by name. Bytes that are not UTF-8, such as one token of a
            character made of two, appear as the replacement character, U+FFFD.

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
        """Return the bytes that a token stands for; they need not be whole characters.

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
        """What training found, or what was loaded."""
        if self._vocabulary is None:
            name = type(self).__name__
            raise RuntimeError(
                f"this {name} knows no tokens yet: call train(text), or use {name}.load(path)"
            )
        return self._vocabulary

    @property
    def vocab_size(self) -> int:
        """The number of tokens, special tokens included."""
        return len(self.vocabulary.tokens)

    @property
    def special_tokens(self) -> dict[str, int]:
        """The ids of the special tokens, which ordinary text never produces, by name."""
        return self.vocabulary.special_tokens

    @property
    def special_names(self) -> tuple[str, ...]:
        """The names of the special tokens, known before training too."""
        if self._vocabulary is None:
            return self._special_names
        return tuple(self._vocabulary.special_tokens)

    @property
    def end_of_text(self) -> int | None:
        """The id of the token that ends a text; None if there is none.

        It is ``<|endoftext|>``, unless the folder of the tokenizer says otherwise.
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
            ``tokenizer.json``. The folder is made if it is missing. There ``tokenizer_config.json``
            says which tokens begin and end a text, unless they are ``<|endoftext|>``.
        """
        tokenizer_json.write(path, self.vocabulary)
        beside = Path(path) / "tokenizer_config.json"
        if beside.parent.is_dir() and (self.vocabulary.roles or beside.exists()):
            content = self.tokenizer_config()
            write_text(beside, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the tokenizer that a ``tokenizer.json``, or the one in a folder, describes.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is no ``tokenizer.json``, asks for something that is not done here, or
            describes another kind of tokenizer (`load_tokenizer` reads any).
        """
        return cls.from_vocabulary(tokenizer_json.read(path))

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary) -> Self:
        """Return a tokenizer that knows `vocabulary`."""
        if vocabulary.kind != cls.kind:
            raise ValueError(
                f"this is the vocabulary of a {vocabulary.kind!r} tokenizer, and "
                f"{cls.__name__} is of the kind {cls.kind!r}: load_tokenizer takes any kind"
            )
        tokenizer = cls()
        tokenizer._adopt(vocabulary)
        return tokenizer

    def _adopt(self, vocabulary: Vocabulary) -> None:
        """Know `vocabulary` from now on. Subclasses add the tables that they look things up in."""
        self._vocabulary = vocabulary

    def tokenizer_config(self, model_max_length: int | None = None) -> dict[str, object]:
        """Return the content of ``tokenizer_config.json``, which transformers' AutoTokenizer reads.

        Parameters
        ----------
        model_max_length : int, optional
            The number of tokens that the model can look back on.
        """
        length = {} if model_max_length is None else {"model_max_length": model_max_length}
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **length,
            "clean_up_tokenization_spaces": False,  # which would take the space from "my !"
            **(self.vocabulary.roles or usual_roles(self.special_tokens)),
        }


def check_text(text: object, name: str = "text") -> None:
    """Raise an error, about `name`, unless `text` is a str that can be written as UTF-8."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, not {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} holds a lone surrogate, U+{ord(text[error.start]):04X}, at position "
            f"{error.start}: that is half of a character in UTF-16, and no character by itself. "
            "Remove it, or read the text again with the right encoding"
        ) from None


def check_counts(word_counts: Mapping[str, int], vocab_size: SupportsIndex | None) -> None:
    """Raise an error unless there are words, and `vocab_size` is None or an integer."""
    try:
        operator.index(0 if vocab_size is None else vocab_size)
    except TypeError:
        raise TypeError(f"vocab_size must be an integer, not {vocab_size!r}") from None
    if not word_counts:
        raise ValueError("there is nothing to train on: the text is empty")
