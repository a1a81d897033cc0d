"""Tokenizer files: what we save opens elsewhere, and what others save opens here."""

import json
import random
from pathlib import Path

import pytest
import tokenizers
import transformers
from bpe_references import hugging_face_trained
from reference_texts import END, samples, written

from minigpt.folders.pretrained import write_json
from minigpt.text.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer, load_tokenizer

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
def test_saved_tokenizers_open_in_tokenizers(equal, kind, tmp_path):
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
def test_saved_tokenizers_go_to_transformers_and_back(equal, kind, model_type, tmp_path):
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
def test_tokenizers_trained_by_hugging_face_are_read(equal, special_tokens, tmp_path):
    theirs = hugging_face_trained(TRAINING_TEXT, 500, special_tokens)
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = BPETokenizer.load(tmp_path)
    assert list(ours.special_tokens) == special_tokens
    for text in samples(5):
        ids = ours.encode(text, allow_special=True)
        equal(WHAT, "tokenizers", ids, theirs.encode(text).ids, len(ids))
        assert ours.decode(ids) == text


# Folders as anybody may have them: the same ids, or a refusal.

SMALL = BPETokenizer().train("my dear friend, the cat ran home. " * 40, 270)
NAMES = [
    *("<a>", "foo", "    ", "  ", "\n\n", "<s>", "</s>", "[PAD]", "!", "é", "dear", "ar", "<a><s>"),
    *("oo", "熊", "Ġ", "der x", END),
]


def token(rng: random.Random, name: str, **flags: object) -> dict[str, object]:
    about = {"content": name, "normalized": rng.random() < 0.5, "special": rng.random() < 0.5}
    return about | dict.fromkeys(["single_word", "lstrip", "rstrip"], False) | flags


def random_folder(rng: random.Random, folder: Path) -> None:
    """Write a folder of a GPT-2 tokenizer, in any of the ways there have been."""
    SMALL.save(folder)
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocab = data["model"]["vocab"]
    if rng.random() < 0.2:
        del vocab[END]
    ids = {name: vocab.get(name, 270 + n) for n, name in enumerate(rng.sample(NAMES, 4))}
    added = [token(rng, name) | {"id": ids[name]} for name in list(ids)[: rng.choice([0, 1, 2, 4])]]
    data["added_tokens"] = added if rng.random() < 0.3 else data["added_tokens"] + added
    config = {"tokenizer_class": rng.choice(["GPT2Tokenizer", "GPT2TokenizerFast"])}
    if rng.random() < 0.4:
        (folder / "tokenizer.json").unlink()
        merges = "\n".join(" ".join(pair) for pair in data["model"]["merges"])
        (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
        write_json(folder / "vocab.json", vocab)
    else:
        write_json(folder / "tokenizer.json", data)
        config["tokenizer_class"] = rng.choice(["GPT2Tokenizer", "PreTrainedTokenizerFast"])
    for key in ("bos_token", "eos_token", "unk_token", "pad_token", "mask_token", "x_token"):
        if rng.random() < 0.25:
            name = rng.choice(NAMES)
            as_object = rng.random() < 0.4 and key != "x_token"
            config[key] = token(rng, name) | {"__type": "AddedToken"} if as_object else name
    if rng.random() < 0.2:
        config["additional_special_tokens"] = rng.sample(NAMES, 2)
    if rng.random() < 0.1:
        config["extra_special_tokens"] = rng.choice([{"x": "<a>"}, ["<s>"]])
    if rng.random() < 0.1:
        config[rng.choice(["add_prefix_space", "add_bos_token", "split_special_tokens"])] = True
    if rng.random() < 0.3:
        flags = ({k: v for k, v in each.items() if k != "id"} for each in data["added_tokens"])
        listed = (str(each["id"]) for each in data["added_tokens"])
        config["added_tokens_decoder"] = dict(zip(listed, flags, strict=True))
    if rng.random() < 0.3:
        roles = {rng.choice(["eos_token", "pad_token"]): rng.choice(NAMES)}
        more = {"additional_special_tokens": [rng.choice(NAMES)]} if rng.random() < 0.3 else {}
        write_json(folder / "special_tokens_map.json", roles | more)
    if rng.random() < 0.3:
        write_json(folder / "added_tokens.json", dict(list(ids.items())[:2]))
    if rng.random() < 0.9:
        write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "config.json", {"model_type": "gpt2"})


def test_tokenizer_folders_give_the_same_ids_or_are_refused(equal, tmp_path):
    n_refused = 0
    for seed in range(250):
        rng, folder = random.Random(seed), tmp_path / str(seed)
        random_folder(rng, folder)
        try:
            ours = load_tokenizer(folder)
        except ValueError:
            n_refused += 1
            continue
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        ours.save(tmp_path / "again")
        again = load_tokenizer(tmp_path / "again")
        for _ in range(4):
            parts = [*NAMES, "my ", " dear", "a", " ", "\n", "'s", "ß"]
            text = "".join(rng.choices(parts, k=rng.randint(0, 12)))
            ids = ours.encode(text, allow_special=True)
            equal("folders of any kind: ids", "transformers", ids, theirs(text)["input_ids"])
            assert again.encode(text, allow_special=True) == ids
            assert again.encode(text) == ours.encode(text)
    assert 10 < n_refused < 125
