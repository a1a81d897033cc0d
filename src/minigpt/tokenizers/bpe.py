"""Byte-pair encoding: a token for each byte, and for each run of bytes that occurs often.

A vocabulary of words never ends, and one of characters makes long sequences. Byte-pair encoding
finds the middle: it starts from the 256 bytes, in which every text can be written, and then again
and again makes one token of the two neighbours that occur together most often.

Take training on "ear dear year". The text is first cut into words, whose borders no token will
cross; a space goes with the word after it:

    e a r      ␣ d e a r      ␣ y e a r

1. "a r" and "e a" both occur three times. On a tie the pair with the smaller ids goes first, so
   "ar" is token 256:  e ar      ␣ d e ar      ␣ y e ar
2. Now "e ar" occurs three times, and "ear" is token 257:  ear      ␣ d ear      ␣ y ear
3. All pairs that are left occur once. Training stops here if 258 tokens were asked for.

The pairs in the order in which they were learned are called merges, and the place of a pair among
them is its rank. Encoding repeats what training did: in each word it joins neighbours, lowest rank
first, until there is nothing left to join. So "fear" becomes "f", "ear".

Sources: Sennrich, Haddow & Birch, "Neural Machine Translation of Rare Words with Subword Units",
2016; on bytes: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from typing import Self

from minigpt.tokenizers.base import Tokenizer, check_text, check_training
from minigpt.tokenizers.byte_level import BYTE_ORDER, spell
from minigpt.tokenizers.patterns import GPT2_PATTERN, split
from minigpt.tokenizers.vocabulary import END_OF_TEXT, Vocabulary

Pair = tuple[int, int]

DEFAULT_VOCAB_SIZE = 1024

# The ids of so many words are remembered, if the words are not longer than this. Text consists of
# the same words again and again.
REMEMBERED_WORDS = 2**17
REMEMBERED_LENGTH = 100

NO_TOKEN = -1


class Chain:
    """Token ids in a row, of which two neighbours are joined in one step, however long the row.

    The joined token takes the place of the left one, and the place of the right one stays empty:
    two lists know the neighbours of each place, so that nothing has to move.

    Parameters
    ----------
    ids : list of int
        Ends with `NO_TOKEN`, which closes the row to a ring: it is the left neighbour of the first
        token, and the right neighbour of the last.
    """

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.left_of = [len(ids) - 1, *range(len(ids) - 1)]
        self.right_of = [*range(1, len(ids)), 0]

    def pair(self, place: int) -> Pair:
        """Return the token at `place` and its right neighbour."""
        return self.ids[place], self.ids[self.right_of[place]]

    def join(self, place: int, new_id: int) -> None:
        """Put `new_id` for the token at `place` and its right neighbour."""
        right = self.right_of[place]
        after = self.right_of[right]
        self.ids[place], self.ids[right] = new_id, NO_TOKEN
        self.right_of[place], self.left_of[after] = after, place


class PairCounts:
    """How often each pair occurs, and at which places, with the most frequent one at hand.

    A heap has the most frequent pair on top. A count that sinks is not corrected in the heap at
    once, but when its pair comes to the top.
    """

    def __init__(self) -> None:
        self.counts: dict[Pair, int] = defaultdict(int)
        self.places: dict[Pair, list[int]] = defaultdict(list)
        self._heap: list[tuple[int, Pair]] = []
        self._risen: set[Pair] = set()

    def add(self, pair: Pair, count: int, place: int) -> None:
        """Count `pair` at one more place, in a word that occurs `count` times."""
        self.counts[pair] += count
        self.places[pair].append(place)
        self._risen.add(pair)

    def remove(self, pair: Pair, count: int) -> None:
        """Count `pair` at one place less. The place stays noted: who goes there must look."""
        self.counts[pair] -= count

    def most_frequent(self) -> Pair | None:
        """Return the most frequent pair; of several the one with the smallest ids; or None."""
        for pair in self._risen:
            self._offer(pair)
        self._risen.clear()
        while self._heap:
            negative_count, pair = heappop(self._heap)
            if self.counts[pair] == -negative_count:
                return pair
            self._offer(pair)
        return None

    def _offer(self, pair: Pair) -> None:
        if self.counts[pair] > 0 and NO_TOKEN not in pair:
            heappush(self._heap, (-self.counts[pair], pair))


def learn_merges(word_counts: Mapping[str, int], n_merges: int) -> list[Pair]:
    """Return the first `n_merges` merges, fewer if all words are single tokens before.

    The most frequent pair comes first; of several the one with the smallest ids, as in Hugging
    Face's tokenizers. Ids below 256 are bytes in `BYTE_ORDER`, and 256 + n is what merge n makes.

    Parameters
    ----------
    word_counts : mapping of str to int
        How often each word occurs. A word is looked at once, however often it occurs.
    n_merges : int
    """
    byte_ids = {byte: i for i, byte in enumerate(BYTE_ORDER)}
    ids: list[int] = []
    counts: list[int] = []  # how often the word occurs that a place belongs to
    for word, count in word_counts.items():
        ids += [*(byte_ids[byte] for byte in word.encode("utf-8")), NO_TOKEN]
        counts += [count] * (len(ids) - len(counts))
    chain = Chain(ids)
    pairs = PairCounts()
    for place, count in enumerate(counts):
        pairs.add(chain.pair(place), count, place)

    merges: list[Pair] = []
    while len(merges) < n_merges and (pair := pairs.most_frequent()):
        new_id = len(BYTE_ORDER) + len(merges)
        merges.append(pair)
        for place in pairs.places.pop(pair):  # in order, so that "aaa" becomes "aa", "a"
            if chain.pair(place) != pair:
                continue  # the second "aa" of "aaa", or joined by another merge
            before = chain.left_of[place]
            for changing in (before, place, chain.right_of[place]):
                pairs.remove(chain.pair(changing), counts[place])
            chain.join(place, new_id)
            for changed in (before, place):
                pairs.add(chain.pair(changed), counts[place], changed)
    return merges


class BPETokenizer(Tokenizer):
    """Cuts words into tokens learned by byte-pair encoding, as GPT-2 does.

    Ids are the 256 bytes in GPT-2's order, then the merges as they were learned, then the special
    tokens. Every text can be encoded, and ``decode(encode(text)) == text`` always.

    Parameters
    ----------
    special_tokens : iterable of str, default ("<|endoftext|>",)
        Tokens that are never learned or produced from text, to mark, say, where a text ends.

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
            check_text(name, "a special token")
            if not name:
                raise ValueError("a special token must have a name, but one is empty")
            if self._special_names.count(name) > 1:
                raise ValueError(f"the special token {name!r} is given twice")

    def train(self, text: str, vocab_size: int | None = None) -> Self:
        """Learn tokens from `text`.

        Parameters
        ----------
        text : str
        vocab_size : int, optional
            The number of tokens: bytes, merges and special tokens. By default 1024, or fewer if
            the text gives fewer.

        Returns
        -------
        BPETokenizer
            This tokenizer.

        Raises
        ------
        TypeError
            If `text` is not a str, or `vocab_size` not an integer.
        ValueError
            If `text` is empty or holds a lone surrogate, if `vocab_size` is too small for the bytes
            and special tokens or more than the text can give, or if a special token is also an
            ordinary one.
        """
        check_training(text, vocab_size)
        n_special = len(self._special_names)
        smallest = len(BYTE_ORDER) + n_special
        if vocab_size is not None and vocab_size < smallest:
            raise ValueError(
                f"vocab_size={vocab_size} is too small: the 256 bytes, in which every text can be "
                f"written, and {n_special} special tokens are {smallest} tokens"
            )
        n_merges = (DEFAULT_VOCAB_SIZE if vocab_size is None else vocab_size) - smallest
        merges = learn_merges(Counter(split(GPT2_PATTERN, text)), n_merges)
        if vocab_size is not None and len(merges) < n_merges:
            raise ValueError(
                f"vocab_size={vocab_size} is more than this text can give: with "
                f"{smallest + len(merges)} tokens every word of it is one token"
            )
        tokens = [bytes([byte]) for byte in BYTE_ORDER]
        for left, right in merges:
            tokens.append(tokens[left] + tokens[right])
        self._adopt(self._with_special_tokens(tokens, merges))
        return self

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
        tokens, special_ids = vocabulary.tokens, set(vocabulary.special_tokens.values())
        ids = {token: i for i, token in enumerate(tokens) if i not in special_ids}
        self._byte_ids = [ids[bytes([byte])] for byte in range(256)]
        self._ranks = {pair: rank for rank, pair in enumerate(vocabulary.merges)}
        self._joined = [ids[tokens[left] + tokens[right]] for left, right in vocabulary.merges]
        self._remembered: dict[str, list[int]] = {}

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in split(GPT2_PATTERN, text):
            word_ids = self._remembered.get(word)
            if word_ids is None:
                word_ids = self._encode_word(word)
                if len(self._remembered) < REMEMBERED_WORDS and len(word) <= REMEMBERED_LENGTH:
                    self._remembered[word] = word_ids
            ids += word_ids
        return ids

    def _encode_word(self, word: str) -> list[int]:
        """Join neighbours, lowest rank first and leftmost first, until there are none to join.

        A heap holds what can be joined, so that a word of n bytes takes n log n steps, not n².
        """
        chain = Chain([*(self._byte_ids[byte] for byte in word.encode("utf-8")), NO_TOKEN])
        heap: list[tuple[int, int]] = []  # ranks of pairs, and their places

        def consider(place: int) -> None:
            rank = self._ranks.get(chain.pair(place))
            if rank is not None:
                heappush(heap, (rank, place))

        for place in range(len(chain.ids)):
            consider(place)
        while heap:
            rank, place = heappop(heap)
            if self._ranks.get(chain.pair(place)) == rank:  # else joined otherwise meanwhile
                chain.join(place, self._joined[rank])
                consider(place)
                consider(chain.left_of[place])
        return [token_id for token_id in chain.ids if token_id != NO_TOKEN]
