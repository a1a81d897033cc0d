"""Tokenizers: text to token ids and back.

Read `base` for what they all do, `word` and `char` for the simple ones, `bpe` for the one that
GPT-2 uses, with `merges`, its algorithm; beneath them are `patterns`, which cuts text into words,
`stream`, which cuts a long text into pieces, `byte_level`, and `tokenizer_json` for the file.
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
    """Return the tokenizer in a ``tokenizer.json``, or in a folder with one, whatever its kind.

    Parameters
    ----------
    path : the file or the folder.
    n_rows : the vocab_size of the model in the folder. Tokens that the folder names but gives no
        id, as transformers has ``<|endoftext|>`` for every GPT-2, are left out where the model has
        no row for them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no ``tokenizer.json``, or asks for something that is not done here.
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
