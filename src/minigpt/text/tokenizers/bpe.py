"""Byte-pair encoding: a token for each byte, and for each run of bytes that occurs often.

A vocabulary of words never ends, and one of characters makes long sequences. Byte-pair encoding is
the middle way. It starts from the 256 bytes, with which every text can be written. Then it
repeatedly joins the two neighbours that occur together most often into one new token.

For example, train on "ear dear year". First the text is cut into words, and no token crosses the
border of a word. A space belongs to the word after it:

    e a r      ␣ d e a r      ␣ y e a r

1. "a r" and "e a" both occur three times. In a tie, the pair with the smaller ids is joined, so
   "ar" becomes token 256:  e ar      ␣ d e ar      ␣ y e ar
2. Now "e ar" occurs three times, and "ear" becomes token 257:  ear      ␣ d ear      ␣ y ear
3. Each pair that is left occurs once. Training stops here if `vocab_size` is 258.

The pairs in the order in which they were learned are called merges, and the position of a pair
among them is its rank. Encoding repeats what training did: in each word, it joins neighbours,
lowest rank first, until no pair can be joined. So "fear" becomes "f", "ear".

Sources: Sennrich, Haddow & Birch, "Neural Machine Translation of Rare Words with Subword Units",
2016; on bytes: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Self

from minigpt.text.tokenizers.base import Tokenizer
from minigpt.text.tokenizers.byte_level import BYTE_ORDER, spell
from minigpt.text.tokenizers.merges import Pair, apply_merges, learn_merges
from minigpt.text.tokenizers.patterns import GPT2_PATTERN, split
from minigpt.text.tokenizers.text_checks import check_str, check_word_counts
from minigpt.text.tokenizers.vocabulary import END_OF_TEXT, Vocabulary

DEFAULT_VOCAB_SIZE = 1024

# The ids of words are cached, since a text repeats the same words again and again.
MAX_CACHED_WORDS = 2**17
MAX_CACHED_WORD_CHARS = 100


class BPETokenizer(Tokenizer):
    """Cuts words into tokens that byte-pair encoding has learned, as GPT-2 does.

    Ids 0 to 255 are the bytes in GPT-2's order. Then come the merges in the order in which they
    were learned, then the special tokens. Every text can be encoded, and ``decode(encode(text)) ==
    text`` always.

    Parameters
    ----------
    special_tokens : iterable of str, default ("<|endoftext|>",)
        Names of tokens that are never learned or produced from text. They can mark, for example,
        where a text ends.

    >>> tokenizer = BPETokenizer().train("ear dear year", vocab_size=259)
    >>> [tokenizer.token_bytes(token_id) for token_id in tokenizer.encode("fear")]
    [b'f', b'ear']
    >>> tokenizer.special_tokens
    {'<|endoftext|>': 258}
    """

    kind = "bpe"

    def __init__(self, special_tokens: Iterable[str] = (END_OF_TEXT,)) -> None:
        super().__init__()
        if isinstance(special_tokens, str):
            raise TypeError(
                f"special_tokens must be a list of names, not one name: write [{special_tokens!r}]"
            )
        self._special_names = tuple(special_tokens)
        for name in self._special_names:
            check_str(name, "a special token")
            if not name:
                raise ValueError("a special token must have a name, but one is empty")
            if self._special_names.count(name) > 1:
                raise ValueError(f"the special token {name!r} is given twice")

    def learn(
        self,
        word_counts: Mapping[str, int],
        vocab_size: int | None = None,
        track: Callable[[range], Iterable[int]] = iter,
    ) -> Self:
        """Learn tokens from words: see `Tokenizer.learn`.

        Parameters
        ----------
        word_counts : mapping of str to int
        vocab_size : int, optional
            The maximum number of tokens: bytes, merges and special tokens. The default is 1024.
            Learning stops earlier if every word has become one token.
        track : callable, optional

        Raises
        ------
        ValueError
            If there are no words, if `vocab_size` is too small for the bytes and special tokens,
            or if a special token has the name of an ordinary token.
        """
        check_word_counts(word_counts, vocab_size)
        vocab_size = DEFAULT_VOCAB_SIZE if vocab_size is None else vocab_size
        self.check_vocab_size(vocab_size)
        n_merges = vocab_size - len(BYTE_ORDER) - len(self._special_names)
        merges = learn_merges(word_counts, n_merges, track)
        tokens = [bytes([byte]) for byte in BYTE_ORDER]
        for left, right in merges:
            tokens.append(tokens[left] + tokens[right])
        self._adopt(self._with_special_tokens(tokens, merges))
        return self

    def check_vocab_size(self, vocab_size: int) -> None:
        """Raise a ValueError if the bytes and the special tokens are more than `vocab_size`."""
        n_special = len(self._special_names)
        smallest = len(BYTE_ORDER) + n_special
        if vocab_size < smallest:
            raise ValueError(
                f"vocab_size={vocab_size} is too small: the 256 bytes, with which every text can "
                f"be written, and {n_special} special tokens are {smallest} tokens"
            )

    def _with_special_tokens(self, tokens: list[bytes], merges: list[Pair]) -> Vocabulary:
        spellings = {spell(token) for token in tokens}
        for name in self._special_names:
            if name in spellings:
                raise ValueError(
                    f"the special token {name!r} is also an ordinary token of this text: choose a "
                    "name that does not occur in it, such as '<|name|>'"
                )
        special_ids = {name: len(tokens) + n for n, name in enumerate(self._special_names)}
        special_bytes = [name.encode("utf-8") for name in self._special_names]
        return Vocabulary(self.kind, tokens + special_bytes, special_ids, merges)

    def _adopt(self, vocabulary: Vocabulary) -> None:
        super()._adopt(vocabulary)
        self._special_names = tuple(vocabulary.special_tokens)
        self._word_ids = _WordIds(vocabulary)

    def _split(self, text: str) -> list[str]:
        return split(GPT2_PATTERN, text)

    def _encode(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._word_ids.__getitem__, self._split(text))))


class _WordIds(dict[str, tuple[int, ...]]):
    """Word → ids, computed when a word is looked up for the first time, then cached."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        tokens = vocabulary.tokens
        named = {*vocabulary.special_tokens.values(), *vocabulary.added_tokens.values()}
        ids = {tokens[i]: i for i in named}  # a special token may also be a byte, such as "!"
        ids |= {token: i for i, token in enumerate(tokens) if i not in named}
        self.byte_ids = [ids[bytes([byte])] for byte in range(256)]
        self.ranks = {pair: rank for rank, pair in enumerate(vocabulary.merges)}
        self.joined = [ids[tokens[left] + tokens[right]] for left, right in vocabulary.merges]

    def __missing__(self, word: str) -> tuple[int, ...]:
        byte_ids = [self.byte_ids[byte] for byte in word.encode("utf-8")]
        ids = tuple(apply_merges(byte_ids, self.ranks, self.joined))
        if len(self) < MAX_CACHED_WORDS and len(word) <= MAX_CACHED_WORD_CHARS:
            self[word] = ids
        return ids

    def __reduce__(self) -> tuple[object, ...]:
        return _empty, (), self.__dict__  # a copy starts with an empty cache


def _empty() -> _WordIds:
    return _WordIds.__new__(_WordIds)
