"""Byte-pair encoding in other libraries, by the same ranks as ours."""

import json
from dataclasses import dataclass
from pathlib import Path

import tiktoken
import tokenizers
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str
from tokenizers import decoders, models, pre_tokenizers, trainers

from minigpt.text.tokenizers import BPETokenizer
from minigpt.text.tokenizers.byte_level import spell


@dataclass
class Ranks:
    """Three tokenizers that know the same tokens; Hugging Face's knows no special ones."""

    name: str
    ours: BPETokenizer
    hugging_face: tokenizers.Tokenizer
    tiktoken: tiktoken.Encoding

    @classmethod
    def trained(cls, ours: BPETokenizer) -> "Ranks":
        """Return the tokens that `ours` has learned to the two others."""
        vocabulary = ours.vocabulary
        ordinary = vocabulary.tokens[: len(vocabulary.tokens) - len(ours.special_tokens)]
        ids = {spell(token): token_id for token_id, token in enumerate(ordinary)}
        model = models.BPE(ids, merges_of(ours))
        ranks = {token: rank for rank, token in enumerate(ordinary)}
        tik = tiktoken.Encoding(
            "ours", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens=ours.special_tokens
        )
        return cls("our", ours, byte_level(model), tik)

    @classmethod
    def of_gpt2(cls, vocab: Path, merges: Path) -> "Ranks":
        """Let each library read GPT-2's files in its own way; they lie in one folder."""
        ours = BPETokenizer.load(vocab.parent)
        tik = tiktoken.Encoding(
            "GPT-2",
            pat_str=r50k_pat_str,
            mergeable_ranks=data_gym_to_mergeable_bpe_ranks(str(merges), str(vocab)),
            special_tokens=ours.special_tokens,
        )
        return cls("GPT-2's", ours, byte_level(models.BPE.from_file(str(vocab), str(merges))), tik)


def byte_level(model: models.Model) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def hugging_face_trained(
    text: str, vocab_size: int, special_tokens: list[str]
) -> tokenizers.Tokenizer:
    tokenizer = byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special_tokens,
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def merges_of(tokenizer: BPETokenizer | tokenizers.Tokenizer) -> list[tuple[str, str]]:
    """Return the merges as they are spelled in files, first learned first."""
    if isinstance(tokenizer, BPETokenizer):
        tokens = [spell(token) for token in tokenizer.vocabulary.tokens]
        return [(tokens[left], tokens[right]) for left, right in tokenizer.vocabulary.merges]
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
