"""Byte-pair encoding against Hugging Face's tokenizers and tiktoken: same merges, same ids."""

import random

import pytest
import reference_texts as texts
from bpe_references import Ranks, hugging_face_trained, merges_of
from reference_texts import END

from minigpt import BPETokenizer

SPECIAL = [END, "<|user|>", "<pad>"]


@pytest.fixture(scope="module")
def shakespeare(shared_data) -> str:
    return shared_data("shakespeare.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=["of many scripts", "of Shakespeare", "of GPT-2"])
def ranks(request, shared_data, shakespeare) -> Ranks:
    if request.param == "of GPT-2":
        # tiktoken would keep a copy of what it reads, wherever that lies.
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("TIKTOKEN_CACHE_DIR", "")
            return Ranks.of_gpt2(shared_data("gpt2/vocab.json"), shared_data("gpt2/merges.txt"))
    text = shakespeare if request.param == "of Shakespeare" else texts.written(0, 20_000)
    return Ranks.trained(BPETokenizer(SPECIAL).train(text, 1024))


def test_bpe_merges_of_shakespeare(equal, shakespeare):
    ours = merges_of(BPETokenizer().train(shakespeare, 8192))
    theirs = merges_of(hugging_face_trained(shakespeare, 8192, [END]))
    equal("merges learned from Shakespeare", "BpeTrainer", ours, theirs, len(theirs))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_phrases", [1, 30, 1_000, 20_000])
def test_bpe_merges_of_many_scripts(equal, seed, n_phrases):
    text = texts.written(seed, n_phrases)
    theirs = hugging_face_trained(text, 1024, [END])
    ours = merges_of(BPETokenizer().train(text, theirs.get_vocab_size()))
    merges = merges_of(theirs)
    equal("merges learned from many scripts", "BpeTrainer", ours, merges, len(merges))


@pytest.mark.parametrize("seed", range(8))
def test_bpe_merges_where_most_pairs_tie(equal, seed):
    text = texts.of_ties(seed)
    theirs = hugging_face_trained(text, 100_000, [])  # until each word is a token
    ours = merges_of(BPETokenizer([]).train(text, theirs.get_vocab_size()))
    merges = merges_of(theirs)
    equal("merges learned where most pairs tie", "BpeTrainer", ours, merges, len(merges))


TEXTS = {
    "phrases": lambda: ["", texts.written(1, 500), *texts.PHRASES],
    "emoji": lambda: list(texts.EMOJI.values()),
    "control characters": texts.control_characters,
    "runs of spaces": texts.runs_of_spaces,
    "random": lambda: texts.random_strings(1, 10_000),
} | {category: lambda c=category: texts.of_category(c) for category in sorted(texts.BY_CATEGORY)}


def test_bpe_texts_cover_every_category():
    assert len(texts.BY_CATEGORY) == 30 - 1  # all but surrogates, which no text can hold
    assert all(texts.BY_CATEGORY.values())


@pytest.fixture
def compare(equal, ranks):
    """Return a function that encodes a text in all three ways, and decodes it."""

    def compare(text: str) -> list[int]:
        ids = ranks.ours.encode(text)
        what = f"ids by {ranks.name} ranks"
        equal(what, "tokenizers", ids, ranks.hugging_face.encode(text).ids, len(ids))
        equal(what, "tiktoken", ids, ranks.tiktoken.encode_ordinary(text), len(ids))
        assert ranks.ours.decode(ids) == text
        return ids

    return compare


def test_bpe_ids_of_shakespeare(compare, ranks, shakespeare):
    ids = compare(shakespeare)
    if ranks.name == "GPT-2's":
        assert len(ids) == 338_025
        hello = compare("Hello world, my dear 1234!")
        assert hello == [15496, 995, 11, 616, 13674, 1105, 2682, 0]


@pytest.mark.parametrize("kind", TEXTS)
def test_bpe_ids_of_odd_texts(compare, kind):
    for text in TEXTS[kind]():
        compare(text)


def test_bpe_special_tokens_only_where_allowed(equal, ranks, tmp_path):
    ours, tik = ranks.ours, ranks.tiktoken
    ours.save(tmp_path)
    # Hugging Face's makes them wherever it finds them, once it knows them.
    hugging_face = ranks.hugging_face.from_file(str(tmp_path / "tokenizer.json"))
    special_ids = set(ours.special_tokens.values())
    rng = random.Random(3)
    pieces = [*SPECIAL, *SPECIAL, *texts.PHRASES, END[:-1], "<|<|user|>|>", " ", "\n"]
    for _ in range(1_000):
        text = "".join(rng.choices(pieces, k=rng.randrange(12)))
        ids = ours.encode(text)
        assert not special_ids & set(ids)
        what = "ids where special tokens are text"
        equal(what, "tiktoken", ids, tik.encode(text, disallowed_special=()), len(ids))
        ids = ours.encode(text, allow_special=True)
        what = "ids where special tokens are allowed"
        equal(what, "tiktoken", ids, tik.encode(text, allowed_special="all"), len(ids))
        equal(what, "tokenizers", ids, hugging_face.encode(text).ids, len(ids))
        assert ours.decode(ids) == text == tik.decode(ids)


def test_bpe_decoding_of_invalid_bytes(equal, ranks):
    rng = random.Random(2)
    n_ordinary = ranks.ours.vocab_size - len(ranks.ours.special_tokens)
    for _ in range(10_000):
        ids = [rng.randrange(n_ordinary) for _ in range(rng.randrange(12))]
        text = ranks.ours.decode(ids)
        equal("text of ids", "tokenizers", text, ranks.hugging_face.decode(ids))
        equal("text of ids", "tiktoken", text, ranks.tiktoken.decode(ids))
