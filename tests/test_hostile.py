"""Files from strangers: what is refused, in words, before it can do harm. See `fuzz`."""

import json
import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from fuzz import DOCUMENTED, MOST_MEMORY, STATE, fuzz, make_folder, make_index
from odd_texts import try_texts
from tiny import tiny_model

from minigpt import load_corpus, load_tokenizer, miniGPT
from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.folders.weights import INDEX, SINGLE, open_file, read_like, write_tensors
from minigpt.runs.checkpoints import read_record
from minigpt.support.untrusted_files import append_text, read_json
from minigpt.training.settings import Settings, read_toml

posix = pytest.mark.skipif(sys.platform == "win32", reason="no pipes and devices among files")


def test_fuzzing_of_two_thousand_files(tmp_path):
    found = fuzz(tmp_path, 2000)
    assert sum(map(sum, (counts.values() for counts in found.values()))) == 2000
    for name, counts in found.items():  # else they were bent too much, or not at all
        assert min(counts.values()) > 0, f"{name}: {counts}"


def change(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_bytes()) | changes), encoding="utf-8")


@pytest.mark.parametrize("key", ["vocab_size", "n_positions", "n_embd", "n_layer", "n_inner"])
def test_huge_sizes_in_config_json_allocate_no_memory(tmp_path, key):
    make_folder(tmp_path)
    change(tmp_path / "config.json", **{key: 10**9})
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"1000000000|4000000000"):
            miniGPT.from_pretrained(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_embd", "4"),
        ("n_embd", True),
        ("n_embd", 4.0),
        ("n_layer", 0),
        ("n_head", -1),
        ("n_inner", 2**31),
        ("vocab_size", None),
        ("layer_norm_epsilon", float("nan")),
        ("layer_norm_epsilon", "1e-5"),
        ("resid_pdrop", 1),
        ("resid_pdrop", False),
        ("layer_norm_epsilon", 10**400),
        ("attn_pdrop", float("inf")),
        ("embd_pdrop", -0.1),
        ("tie_word_embeddings", "yes"),
        ("minigpt", []),
        ("minigpt", {"bias": 1}),
        ("activation_function", ["relu"]),
        ("model_type", {}),
    ],
)
def test_values_in_config_json_are_checked(tmp_path, key, value):
    make_folder(tmp_path)
    change(tmp_path / "config.json", **{key: value})
    with pytest.raises(ValueError, match=rf"config\.json.*{key}"):
        miniGPT.from_pretrained(tmp_path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 548105171\n" % (
    b"0" * 64
)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "generation_config.json",
                                  "tokenizer.json", "tokenizer_config.json", "merges.txt",
                                  "vocab.json", "added_tokens.json", INDEX])  # fmt: skip
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (POINTER, "is a Git LFS pointer.*git lfs pull"),
        (b"\n <!DOCTYPE html><title>Sign in</title>", "is a web page"),
        (b"\xef\xbb\xbf<HTML>\xff", "is a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is a web page"),
    ],
)
def test_missing_or_special_model_file_is_named(tmp_path, name, content, message):
    make_folder(tmp_path)
    if name in ("merges.txt", "vocab.json"):
        (tmp_path / "tokenizer.json").unlink()
        (tmp_path / "vocab.json").write_text("{}", encoding="utf-8")
    if name == INDEX:
        (tmp_path / SINGLE).unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s){re.escape(str(tmp_path / name))} {message}"):
        load_model_and_tokenizer(tmp_path)


def test_error_shows_the_first_bytes_of_a_wrong_file(tmp_path):
    (tmp_path / SINGLE).write_bytes(b"Entry not found")
    with pytest.raises(ValueError, match="as it begins with b'Entry not found'"):
        open_file(tmp_path / SINGLE)


@pytest.mark.parametrize("length", [2**24 + 1, 2**40, 2**63, 2**64 - 1])
def test_safetensors_header_that_claims_a_terabyte_is_refused(tmp_path, length):
    file = tmp_path / SINGLE
    file.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match=f"header would have {length:,} bytes"):
        open_file(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros(3)}, "must hold m, t, v, and holds m, t, v, x"),
        ({"m": np.zeros(5, np.float32)}, r"'m' must be float32 of shape \(4,\), but it is F32"),
        ({"m": np.zeros(4)}, r"'m' must be float32 of shape \(4,\), but it is F64"),
        ({"v": np.zeros(16, np.int8)}, "'v' must be float32"),
        ({"t": np.zeros(1, np.int32)}, "'t' must be int64"),
    ],
)
def test_optimizer_state_of_another_kind_is_refused(tmp_path, changes, message):
    state = {"m": np.ones(4, np.float32), "v": np.ones(4, np.float32), "t": np.array([7])}
    write_tensors(tmp_path / STATE, state)
    back = read_like(tmp_path / STATE, state)
    assert all((back[name] == state[name]).all() for name in state)
    write_tensors(tmp_path / STATE, state | changes)
    with pytest.raises(ValueError, match=message):
        read_like(tmp_path / STATE, state)


@pytest.mark.parametrize("shape", [[0, 2**62, 2**62], [1] * 65, [0] * 65])
def test_impossible_tensor_shape_is_refused(tmp_path, shape):
    size = 0 if 0 in shape else 4
    header = json.dumps({"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    file = tmp_path / SINGLE
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(ValueError, match=r"model\.safetensors.*(impossible shape|damaged)"):
        open_file(file)


def test_repeated_tensor_is_refused(tmp_path):
    header = b'{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "x": '
    header += b'{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    file = tmp_path / SINGLE
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ValueError, match="damaged"):
        open_file(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe{}", "is not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' twice"),
        (b'{"a": {"b": 1, "b": 1}}', "'b' twice"),
        (b"[1]", "must hold a JSON object, got a list"),
        (b"3", "must hold a JSON object, got a int"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64 levels"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "deeper than 64 levels"),
        (b'{"a":' * 200_000, "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b" " * (2**20 + 1), "1,048,577 bytes, more than the 1,048,576"),
    ],
)
def test_hostile_json_is_refused(tmp_path, content, message):
    file = tmp_path / "some.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_json(file)
    assert "some.json" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_unusual_json_is_accepted(tmp_path):
    file = tmp_path / "some.json"
    file.write_bytes(b"\xef\xbb\xbf" + b'{"a":' * 64 + b'"\xc3\xa9"' + b"}" * 64)
    value = read_json(file)
    for _ in range(64):
        value = value["a"]
    assert value == "é"


OPENERS = {
    "config.json": lambda folder: load_model_and_tokenizer(folder),
    SINGLE: lambda folder: load_model_and_tokenizer(folder),
    "tokenizer.json": lambda folder: load_tokenizer(folder),
    "training.json": lambda folder: read_record(folder),
    INDEX: lambda folder: miniGPT.from_pretrained(folder),
    "vocab.json": lambda folder: load_tokenizer(folder),
    "settings.toml": lambda folder: read_toml(folder / "settings.toml"),
    "text.txt": lambda folder: load_corpus([folder]),
}


def unreadable(kind: str, file: Path) -> None:
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":  # which, once opened, waits for a writer for ever
            os.mkfifo(file)
        case "device":  # which never ends
            file.symlink_to("/dev/zero")
        case "link to itself":
            file.symlink_to(file)
        case "link to nothing":
            file.symlink_to(file.with_name("nothing"))


@posix
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "link to itself", "link to nothing"])
@pytest.mark.parametrize("name", OPENERS)
def test_special_files_are_not_opened(tmp_path, name, kind):
    (make_index if name == INDEX else make_folder)(tmp_path)
    if name == "vocab.json":
        (tmp_path / "tokenizer.json").unlink()
    (tmp_path / name).unlink(missing_ok=True)
    unreadable(kind, tmp_path / name)
    with pytest.raises((*DOCUMENTED, OSError)):
        OPENERS[name](tmp_path)


@posix
def test_links_to_files_are_followed(tmp_path):
    """As the cache of Hugging Face's library is made of them."""
    (tmp_path / "files").mkdir()
    (tmp_path / "links").mkdir()
    for name in make_folder(tmp_path / "files"):
        (tmp_path / "links" / name).symlink_to(tmp_path / "files" / name)
    assert load_model_and_tokenizer(tmp_path / "links")[0].d_model == 4


@posix
def test_linked_files_are_not_appended_to(tmp_path):
    mine, theirs = tmp_path / "mine", tmp_path / "samples.txt"
    mine.write_text("mine", encoding="utf-8")
    theirs.symlink_to(mine)
    with pytest.raises(ValueError, match=r"samples\.txt is not an ordinary file"):
        append_text(theirs, "rm -rf")
    assert mine.read_text(encoding="utf-8") == "mine"
    theirs.unlink()
    append_text(theirs, "1\n")
    append_text(theirs, "é\n")
    assert theirs.read_bytes() == "1\né\n".encode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": "3"}, "step"),
        ({"step": -1}, "step"),
        ({"step": 2**63}, "step"),
        ({"step": True}, "step"),
        ({"step": float("inf")}, "step"),
        ({"settings": [1]}, "settings"),
        ({"settings": {"stepps": 3}}, "did you mean 'steps'"),
        ({"settings": {"steps": 0}}, "steps must be at least 1"),
        ({"settings": {"batch_size": "many"}}, "batch_size must be int"),
        ({"settings": {"data": "plays"}}, "data must be a list of texts"),
        ({"settings": {"learning_rate": 2**63}}, "learning_rate must be less than"),
        pytest.param({"settings": {"data": ["/dev/zero"]}}, "not an ordinary file", marks=posix),
    ],
)
def test_values_in_training_json_are_checked(tmp_path, changes, message):
    make_folder(tmp_path)
    assert read_record(tmp_path)["step"] == 3
    change(tmp_path / "training.json", **changes)
    with pytest.raises(ValueError, match=rf"training\.json.*{message}"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "not UTF-8"),
        (b"a = " + b"[" * 100_000, "not a TOML file"),
        (b"steps = " + b"9" * 5000, "not a TOML file"),
        (b"steps = 1\nsteps = 2", "not a TOML file"),
        (b"#" * (2**20 + 1), "more than the 1,048,576"),
    ],
)
def test_hostile_toml_is_refused(tmp_path, content, message):
    file = tmp_path / "settings.toml"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"settings\.toml.*{message}"):
        read_toml(file)


def test_toml_with_a_byte_order_mark_is_accepted(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_bytes(b"\xef\xbb\xbfsteps = 7")
    assert Settings().replace(read_toml(file)).steps == 7


def test_vocabulary_of_special_tokens_loads_quickly(tmp_path):
    """Looking each token up among all special ones, one after another, would take minutes."""
    from minigpt import WordTokenizer

    WordTokenizer().train("a b").save(tmp_path)
    n = 60_000
    names = {f"w{i}": i for i in range(n)}
    change(
        tmp_path / "tokenizer.json",
        model={"type": "WordLevel", "vocab": {"<unk>": n} | names, "unk_token": "<unk>"},
        added_tokens=[{"content": name, "id": i} for name, i in names.items()],
    )
    assert load_tokenizer(tmp_path).vocab_size == n + 1


def test_tokenizers_on_two_thousand_odd_texts():
    assert 100 < try_texts(2000) < 300


def test_weights_too_large_for_float32_become_infinite_without_warning(tmp_path):
    model = tiny_model(dtype="float64")
    model.params()["final_norm.shift"][0] = 1e300
    model.save_pretrained(tmp_path)
    assert np.isposinf(miniGPT.from_pretrained(tmp_path).final_norm.shift[0])


def test_error_shows_a_lone_surrogate_by_number(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(b'{"model": {}, "pre_tokenizer": "\\ud800"}')
    command = [sys.executable, "-m", "minigpt", "tokenize", "x", "--tokenizer", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert 'pre_tokenizer is "\\ud800", but' in done.stderr
    assert "Traceback" not in done.stderr


def test_model_larger_than_memory_is_refused(tmp_path):
    (tmp_path / "text.txt").write_text("my dear goose " * 99, encoding="utf-8")
    command = [sys.executable, "-m", "minigpt", "train", "--data", "text.txt", "--out", "run"]
    sizes = ["--tokenizer", "char", "--d-model", str(2**40), "--block-size", "8"]
    done = subprocess.run(
        [*command, *sizes], capture_output=True, encoding="utf-8", check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "not enough memory" in done.stderr
    assert "Traceback" not in done.stderr
