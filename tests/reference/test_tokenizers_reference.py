"""Tokenizer files: what we save opens elsewhere, and what others save opens here."""

import json

import pytest
import tokenizers
import transformers
from bpe_references import hugging_face_trained
from texts import END, samples, written

from minigpt.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer, load_tokenizer

WHAT = "tokenizer files: ids and text"
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


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizers_opens_what_we_save(equal, kind, tmp_path):
    ours = KINDS[kind]()
    ours.save(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in samples(3):
        ids = ours.encode(text, allow_special=True)
        equal(WHAT, "tokenizers", ids, theirs.encode(text).ids, len(ids))
        equal(WHAT, "tokenizers", ours.decode(ids), theirs.decode(ids, skip_special_tokens=False))


@pytest.mark.parametrize("model_type", [None, "gpt2"])
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_opens_what_we_save_and_we_open_what_it_saves(
    equal, kind, model_type, tmp_path
):
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
        equal(WHAT, "transformers", ids, theirs(text)["input_ids"], len(ids))
        equal(WHAT, "transformers", ours.decode(ids), theirs.decode(ids))
    theirs.save_pretrained(tmp_path / "again")
    assert load_tokenizer(tmp_path / "again").vocabulary == ours.vocabulary


@pytest.mark.parametrize("special_tokens", [[], [END], ["<s>", "</s>", END]])
def test_we_open_what_hugging_face_trains(equal, special_tokens, tmp_path):
    theirs = hugging_face_trained(TRAINING_TEXT, 500, special_tokens)
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = BPETokenizer.load(tmp_path)
    assert list(ours.special_tokens) == special_tokens
    for text in samples(5):
        ids = ours.encode(text, allow_special=True)
        equal(WHAT, "tokenizers", ids, theirs.encode(text).ids, len(ids))
        assert ours.decode(ids) == text
