"""Tokenizers: convert text to token ids and back.

Read `base` first, for what all tokenizers do; then `word` and `char`, the simple ones; then `bpe`,
the one that GPT-2 uses, and `merges`, its algorithm. They are built on `patterns`, which cuts text
into words; `stream`, which cuts a long text into pieces; `byte_level`; and `tokenizer_json`, which
reads and writes their files.
"""

import os

from minigpt.text.tokenizers import tokenizer_json
from minigpt.text.tokenizers.base import Tokenizer
from minigpt.text.tokenizers.bpe import BPETokenizer
from minigpt.text.tokenizers.char import CharTokenizer
from minigpt.text.tokenizers.vocabulary import Kind, Vocabulary
from minigpt.text.tokenizers.word import WordTokenizer

TOKENIZERS: dict[Kind, type[Tokenizer]] = {
    "bpe": BPETokenizer,
    "word": WordTokenizer,
    "char": CharTokenizer,
}


def load_tokenizer(path: str | os.PathLike[str], n_rows: int | None = None) -> Tokenizer:
    """Return the tokenizer, of any kind, in a ``tokenizer.json`` or in a folder that has this file.

    Parameters
    ----------
    path : the file or the folder.
    n_rows : the vocab_size of the model in the folder, if there is one. The folder may name tokens
        without an id, as transformers adds ``<|endoftext|>`` to every GPT-2. They are left out if
        the model has no row for them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a ``tokenizer.json``, or needs something that miniGPT does not support.
    """
    vocabulary = tokenizer_json.read(path, n_rows)
    return TOKENIZERS[vocabulary.kind].from_vocabulary(vocabulary)


__all__ = [
    "TOKENIZERS",
    "BPETokenizer",
    "CharTokenizer",
    "Tokenizer",
    "Vocabulary",
    "WordTokenizer",
    "load_tokenizer",
]
