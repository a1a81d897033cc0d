"""Our tokenizers against Hugging Face's tokenizers and transformers, and against tiktoken."""

import json
import random
import unicodedata

import pytest
import tiktoken
import tokenizers
import transformers
from tokenizers import decoders, models, pre_tokenizers, trainers

from minigpt.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer, load_tokenizer
from minigpt.tokenizers.byte_level import spell

END = "<|endoftext|>"
TIKTOKEN_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # GPT-2's
)
PHRASES = [
    "my dear", "My dear,", "don't you", "o'er the hill", "we'll", "I'm", "they've", "it's", "'tis",
    "dogs'", "don’t", "x_1 = 12,345.67;", "...", "!?", "aaaaaaaa", "abababab", "''''s", "'S",
    "{'k': [1, 2]}", "<unk>", "<a><b>", END, "Zażółć gęślą jaźń", "Der Bär hört's", "naïve café",
    "e\u0301a\u0300", "½ ² Ⅷ ٣٤٥ 一二三", "Καλημέρα κόσμε", "Ключ к дому", "שלום עולם",
    "مرحبا بالعالم", "नमस्ते दुनिया", "ก็ได้ครับ", "漢字かな交じり文", "東京、京都。", "안녕하세요 세계",
    "😀😀😀", "👩\u200d👩\u200d👧", "🏴\U000e0067\U000e007f", "  \t  ", "\r\n\r\n", "\n \n",
    "a\u00a0b\u2003c\u3000d", "\x00\x1c\x1f\x85", "\ufeff", "\ufffd", "\U0010ffff",
]  # fmt: skip

# Characters that Unicode 3.2 knew: all the libraries know their classes, however old they are.
CHARACTERS = [
    character
    for character in map(chr, range(0x110000))
    if unicodedata.ucd_3_2_0.category(character) not in ("Cn", "Cs")
]


def written(seed: int, n_phrases: int) -> str:
    """A text in many scripts, with phrases as uneven in frequency as words are."""
    rng = random.Random(seed)
    weights = [1 / rank for rank in range(1, len(PHRASES) + 1)]
    phrases = rng.sample(PHRASES, len(PHRASES))
    separators = [" ", " ", " ", "\n", ", ", "", "  "]
    return "".join(
        phrase + rng.choice(separators) for phrase in rng.choices(phrases, weights, k=n_phrases)
    )


def samples(seed: int, n: int = 1_000) -> list[str]:
    """Texts of every sort, with `n` of random characters and `n` of shuffled phrases."""
    rng = random.Random(seed)
    characters = ["".join(rng.choices(CHARACTERS, k=rng.randrange(40))) for _ in range(n)]
    mixed = "".join(PHRASES)
    snippets = ["".join(rng.choices(mixed, k=rng.randrange(60))) for _ in range(n)]
    runs = [character * 40 + "x" for character in " \n\t\u00a0\u3000\x1c'aé熊😀"]
    return ["", written(seed, 500), "".join(CHARACTERS), *PHRASES, *runs, *characters, *snippets]


def hugging_face_trained(text: str, vocab_size: int, special_tokens: list[str]):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special_tokens,
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def merges_in(file) -> list[list[str]]:
    merges = json.loads(file.read_text(encoding="utf-8"))["model"]["merges"]
    return [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]


TRAINING_TEXT = written(0, 20_000)
KINDS = {
    "bpe": lambda: BPETokenizer().train(TRAINING_TEXT),
    "bpe, several special tokens": lambda: BPETokenizer(["<a>", END, "<a><b>"]).train(
        TRAINING_TEXT, 400
    ),
    "bpe, no special tokens": lambda: BPETokenizer([]).train(TRAINING_TEXT, 400),
    "word": lambda: WordTokenizer().train(TRAINING_TEXT, 100),
    "char": lambda: CharTokenizer().train(TRAINING_TEXT, 100),
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_phrases", [1, 30, 1_000, 20_000])
def test_training_learns_the_merges_of_hugging_face_in_order(seed, n_phrases, tmp_path):
    text = written(seed, n_phrases)
    theirs = hugging_face_trained(text, 1024, [END])
    theirs.save(str(tmp_path / "theirs.json"))
    ours = BPETokenizer().train(text, theirs.get_vocab_size())
    tokens = ours.vocabulary.tokens
    assert merges_in(tmp_path / "theirs.json") == [
        [spell(tokens[left]), spell(tokens[right])] for left, right in ours.vocabulary.merges
    ]


@pytest.mark.parametrize("vocab_size", [256, 400, 1024])
def test_encode_is_that_of_tiktoken_and_hugging_face(vocab_size, tmp_path):
    special_tokens = [END] if vocab_size > 256 else []
    ours = BPETokenizer(special_tokens).train(TRAINING_TEXT, vocab_size)
    ours.save(tmp_path)
    hugging_face = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ordinary = ours.vocabulary.tokens[: vocab_size - len(special_tokens)]
    tik = tiktoken.Encoding(
        "ours",
        pat_str=TIKTOKEN_PATTERN,
        mergeable_ranks={token: rank for rank, token in enumerate(ordinary)},
        special_tokens=ours.special_tokens,
    )
    for text in samples(1, n=10_000):
        assert ours.encode(text) == tik.encode_ordinary(text)
        ids = ours.encode(text, allow_special=True)
        assert ids == tik.encode(text, allowed_special="all")
        assert ids == hugging_face.encode(text).ids
        assert ours.decode(ids) == text


def test_bytes_that_are_no_text_decode_as_elsewhere(tmp_path):
    ours = KINDS["bpe"]()
    ours.save(tmp_path)
    hugging_face = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    rng = random.Random(2)
    for _ in range(10_000):
        ids = [rng.randrange(ours.vocab_size) for _ in range(rng.randrange(12))]
        assert ours.decode(ids) == hugging_face.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizers_opens_what_we_save(kind, tmp_path):
    ours = KINDS[kind]()
    ours.save(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in samples(3):
        ids = ours.encode(text, allow_special=True)
        assert ids == theirs.encode(text).ids
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("model_type", [None, "gpt2"])
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_opens_what_we_save_and_we_open_what_it_saves(kind, model_type, tmp_path):
    ours = KINDS[kind]()
    ours.save(tmp_path)
    config = json.dumps(ours.tokenizer_config(64))
    (tmp_path / "tokenizer_config.json").write_text(config, encoding="utf-8")
    if model_type:  # as in the folder of a model
        ends = {"bos_token_id": None, "eos_token_id": None}
        config = json.dumps({"model_type": model_type, "vocab_size": ours.vocab_size} | ends)
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == ours.vocab_size
    assert theirs.model_max_length == 64
    assert theirs.eos_token_id == theirs.pad_token_id == ours.special_tokens.get(END)
    assert theirs.unk_token_id == ours.special_tokens.get("<unk>")
    for text in samples(4):
        ids = ours.encode(text, allow_special=True)
        assert ids == theirs(text)["input_ids"]
        assert ours.decode(ids) == theirs.decode(ids)
    theirs.save_pretrained(tmp_path / "again")
    assert load_tokenizer(tmp_path / "again").vocabulary == ours.vocabulary


@pytest.mark.parametrize("special_tokens", [[], [END], ["<s>", "</s>", END]])
def test_we_open_what_hugging_face_trains(special_tokens, tmp_path):
    theirs = hugging_face_trained(TRAINING_TEXT, 500, special_tokens)
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = BPETokenizer.load(tmp_path)
    assert list(ours.special_tokens) == special_tokens
    for text in samples(5):
        ids = ours.encode(text, allow_special=True)
        assert ids == theirs.encode(text).ids
        assert ours.decode(ids) == text
