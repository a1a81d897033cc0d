"""Folders of tokens: made from every kind of file, stopped and continued, and trained on."""

import gzip
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY, tiny_model

from minigpt import Settings, get_batch, load_corpus, load_tokenizer, train
from minigpt.commands.cli import main
from minigpt.runs import Run
from minigpt.text import prepare as prepare_module
from minigpt.text.data import encode
from minigpt.text.documents import documents
from minigpt.text.prepare import prepare
from minigpt.text.prepare_state import dtype_of
from minigpt.text.prepared import decoded, open_dataset, tokenizer_of
from minigpt.text.sources import find_files
from minigpt.text.tokenizers import BPETokenizer, CharTokenizer

TEXT = "my dear goose, take this lantern.\nmy dear Bär, where is  my lantern?\n" * 60
SCENES = [f"scene {number}: my dear goose!\n" + "honk " * number for number in range(40)]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr("minigpt.text.source_text.PIECE_CHARS", 500)
    monkeypatch.setattr(prepare_module, "PIECES_PER_SAVE", 2)
    monkeypatch.setattr("minigpt.text.documents.CHARS_PER_READ", 100)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def lines(field="text"):
    return "\n\n".join(json.dumps({"id": 1, field: scene}) for scene in SCENES)


def tokens(folder, part):
    dtype = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["dtype"]
    return np.fromfile(folder / f"{part}.bin", dtype).tolist()


def text_of(file, **options):
    return ["".join(document) for document in documents(file, **options)]


# ------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.TXT", "noted", "b.log.gz"])
def test_text_file_is_one_document(name, tmp_path):
    assert text_of(write(tmp_path / name, "\ufeff" + TEXT.replace("\n", "\r\n"))) == [TEXT]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_json_line_is_one_document(name, tmp_path):
    assert text_of(write(tmp_path / name, lines())) == SCENES
    assert text_of(write(tmp_path / name, lines("scene")), field="scene") == SCENES


def test_parquet_row_is_one_document(tmp_path, monkeypatch):
    """Uses a stand-in for pyarrow, which need not be installed."""

    class ParquetFile:
        schema_arrow = types.SimpleNamespace(names=["id", "text"])

        def __init__(self, path):
            self.scenes = iter(SCENES)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def iter_batches(self, batch_size, columns):
            while batch := [scene for _, scene in zip(range(7), self.scenes, strict=False)]:
                column = types.SimpleNamespace(to_pylist=lambda batch=batch: batch)
                yield types.SimpleNamespace(column=lambda n, column=column: column)

    pyarrow = types.ModuleType("pyarrow")
    pyarrow.ArrowException = OSError
    parquet = types.ModuleType("pyarrow.parquet")
    parquet.ParquetFile = ParquetFile
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    file = write(tmp_path / "a.parquet", "")
    assert text_of(file) == SCENES
    with pytest.raises(ValueError, match="no column 'story', of 'id', 'text'"):
        text_of(file, field="story")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RuntimeError, match=r"pip install 'minigpt-numpy\[parquet\]'"):
        text_of(write(tmp_path / "a.parquet", ""))


def test_find_files_lists_folders_and_patterns_in_order(tmp_path):
    for name in ("b/2.txt", "b/10.jsonl", "b/a/x.txt.gz", "b/model.bin", "c.txt", "d.txt"):
        write(tmp_path / name, "a")

    def found(*names):
        files = find_files([tmp_path / name for name in names])
        return [file.relative_to(tmp_path).as_posix() for file in files]

    assert found("b") == ["b/10.jsonl", "b/2.txt", "b/a/x.txt.gz"]
    assert found("d.txt", "b") == ["d.txt", "b/10.jsonl", "b/2.txt", "b/a/x.txt.gz"]
    assert found("*.txt") == ["c.txt", "d.txt"]
    assert found("**/*.txt") == ["b/2.txt", "c.txt", "d.txt"]
    with pytest.raises(FileNotFoundError, match=r"there is no file .*e\.txt"):
        found("e.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no files ending in \.txt, "):
        found("empty")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"ab\xffc", "a.txt is not UTF-8 text .*0xff"),
        ("a.jsonl", '{"text": "a"}\n{"text"', "a.jsonl, line 2, is not JSON"),
        ("a.jsonl", "[" * 100_000, "a.jsonl, line 1, is not JSON"),
        ("a.jsonl", '{"story": "a", "id": 3}', "line 1, .* 'text': .* of 'story', 'id'"),
        ("a.jsonl", '{"text": 3}', "line 1, has no text in the field 'text'"),
        ("a.jsonl", "[1]", "line 1, has no text in the field"),
    ],
)
def test_unreadable_files_are_named(name, content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        text_of(write(tmp_path / name, content))


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b"no gzip", lambda b: b[:12]])
def test_damaged_gzip_is_named(damage, tmp_path):
    file = tmp_path / "a.txt.gz"
    file.write_bytes(damage(gzip.compress(os.urandom(3000).hex().encode())))
    with pytest.raises(ValueError, match=r"a\.txt\.gz is damaged, or not compressed"):
        text_of(file)


# ----------------------------------------------------------------------------------- preparing


@pytest.mark.parametrize("kind", ["bpe", "char", "word"])
def test_prepared_tokens_are_those_of_the_text(kind, tmp_path):
    text = TEXT + "quagga zebra " * 30  # only in the validation part
    folder = tmp_path / "data"
    found = prepare([write(tmp_path / "a.txt", text)], folder, kind, val_fraction=0.2)
    tokenizer = load_tokenizer(folder)
    end = [tokenizer.special_tokens["<|endoftext|>"]] if kind == "bpe" else []
    cut = found["train_characters"]
    assert 0.8 - 20 / len(text) < cut / len(text) <= 0.8
    assert text[cut].isspace()
    assert not text[cut - 1].isspace()
    assert tokens(folder, "train") == tokenizer.encode(text[:cut])
    assert tokens(folder, "val") == tokenizer.encode(text[cut:]) + end
    assert found["val_characters"] == len(text) - cut
    assert found["train_tokens"] == len(tokens(folder, "train"))
    assert tokenizer.vocabulary == type(tokenizer)().train(text[:cut]).vocabulary
    assert {path.name for path in folder.iterdir()} == {
        *("train.bin", "val.bin", "tokenizer.json", "dataset.json")
    }


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_prepared_documents_end_with_a_token(name, tmp_path):
    tokenizer = BPETokenizer().train(TEXT)
    tokenizer.save(tmp_path / "tokenizer")
    texts = [*SCENES, "a<|endoftext|>b", "", TEXT]
    content = "\n".join(json.dumps({"text": text}) for text in texts)
    source = write(tmp_path / name, content)
    prepare([source], tmp_path / "data", str(tmp_path / "tokenizer"), n_processes=1)
    end = tokenizer.special_tokens["<|endoftext|>"]
    expected = []
    for text in filter(None, texts):
        expected += [*tokenizer.encode(text), end]
    assert tokens(tmp_path / "data", "train") + tokens(tmp_path / "data", "val") == expected
    assert load_tokenizer(tmp_path / "data").vocabulary == tokenizer.vocabulary


def test_prepare_writes_the_same_files_with_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("minigpt.text.encoding.MIN_CHARS_FOR_PROCESSES", 100)
    source = write(tmp_path / "a.jsonl", lines())
    for n in (1, 2):
        prepare([source], tmp_path / str(n), vocab_size=300, n_processes=n)
    for name in ("train.bin", "val.bin", "tokenizer.json", "dataset.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.mark.parametrize(("size", "dtype"), [(65, "<u2"), (2**16, "<u2"), (2**16 + 1, "<u4")])
def test_token_file_dtype_is_that_of_nanogpt(size, dtype):
    assert dtype_of(size) == np.dtype(dtype)


class StoppedError(Exception):
    pass


def stopping_after(n):
    """Return a `progress` that raises StoppedError after n encoded pieces."""

    def progress(what, total=None):
        def go_through(items):
            for number, item in enumerate(items):
                if what == "encoding" and number == n:
                    raise StoppedError
                yield item

        return go_through

    return progress


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8])
def test_stopped_prepare_continues(n, tmp_path):
    source = write(tmp_path / "a.jsonl", lines())
    prepare([source], tmp_path / "whole", vocab_size=300)
    folder = tmp_path / "data"
    said = []
    for turn in (n, 1, 10**9):
        try:
            prepare(
                [source], folder, vocab_size=300, progress=stopping_after(turn), say=said.append
            )
        except StoppedError:
            assert not (folder / "train.bin").exists()
            with pytest.raises(ValueError, match="was not finished"):
                open_dataset(folder, BPETokenizer())
            with (folder / "train.bin.part").open("ab") as file:
                file.write(b"xyz")  # written, but not counted in preparing.json
    assert sum("continuing in" in line for line in said) == (2 if n >= 2 else 0)
    for name in ("train.bin", "val.bin", "tokenizer.json", "dataset.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_prepare_stopped_between_renames_continues(tmp_path, monkeypatch):
    source = write(tmp_path / "a.txt", TEXT)
    folder = tmp_path / "data"
    replace = Path.replace

    def replace_once(self, target):
        if self.name == "val.bin.part":
            raise StoppedError
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_once)
        with pytest.raises(StoppedError):
            prepare([source], folder)
    assert (folder / "train.bin").exists()
    found = prepare([source], folder)
    assert found["train_tokens"] == len(tokens(folder, "train"))
    assert encode(TEXT, load_tokenizer(folder)).size == sum(
        len(tokens(folder, part)) - (part == "val") for part in ("train", "val")
    )


def test_prepare_keeps_the_unfinished_work_of_other_settings(tmp_path):
    source = write(tmp_path / "a.txt", TEXT)
    with pytest.raises(StoppedError):
        prepare([source], tmp_path / "data", progress=stopping_after(5))
    with pytest.raises(FileExistsError, match=r"something else \(val_fraction differ\)"):
        prepare([source], tmp_path / "data", val_fraction=0.3)
    write(source, TEXT + "more")
    with pytest.raises(FileExistsError, match=r"something else \(sources differ\)"):
        prepare([source], tmp_path / "data")


def test_failed_prepare_leaves_the_folder_usable(tmp_path):
    with pytest.raises(ValueError, match="not UTF-8"):
        prepare([write(tmp_path / "b.txt", b"\xff")], tmp_path / "data")
    prepare([write(tmp_path / "a.txt", TEXT)], tmp_path / "data")
    with pytest.raises(FileExistsError, match=r"has train\.bin already"):
        prepare([tmp_path / "a.txt"], tmp_path / "data")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "there is no text in"),
        (TEXT, {"val_fraction": 1.0}, "val_fraction must be between 0 and 1, got 1"),
        (TEXT, {"tokenizer": "bpee"}, "unknown tokenizer 'bpee': did you mean 'bpe'"),
        (TEXT, {"vocab_size": 100}, "vocab_size=100 is too small"),
    ],
)
def test_prepare_refuses_invalid_texts(content, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        prepare([write(tmp_path / "a.txt", content)], tmp_path / "data", **options)


def test_train_and_prepare_read_the_same_tokens(tmp_path):
    """Both make the same tokens from a folder, except for the last end of text."""
    write(tmp_path / "books/a.txt", TEXT)
    write(tmp_path / "books/B.TXT.GZ", gzip.compress(TEXT[:500].encode()))
    write(tmp_path / "books/c.jsonl", lines())
    write(tmp_path / "books/d.txt", TEXT.encode("utf-16"))
    write(tmp_path / "books/bad.txt", b"\xff" + TEXT.encode())
    said = []
    with pytest.raises(ValueError, match=r"1 file of 5 cannot be decoded: .*bad\.txt"):
        prepare([tmp_path / "books"], tmp_path / "data")
    prepare([tmp_path / "books"], tmp_path / "data", say=said.append, skip_undecodable=True)
    assert any("left out" in line and "bad.txt" in line for line in said)
    tokenizer = load_tokenizer(tmp_path / "data")
    corpus = load_corpus([tmp_path / "books"], skip_undecodable=True, say=said.append)
    ids = encode(corpus.train + corpus.val, tokenizer, corpus.ends)
    expected = tokens(tmp_path / "data", "train") + tokens(tmp_path / "data", "val")
    assert [*ids, tokenizer.end_of_text] == expected


@pytest.mark.parametrize("allow", [False, True])
def test_prepare_reads_special_token_names_as_letters_or_tokens(allow, tmp_path):
    text = "a tale of a goose. <|endoftext|>another one. <|endoftext|> " * 60
    said = []
    source, folder = write(tmp_path / "a.txt", text), tmp_path / "data"
    found = prepare([source], folder, vocab_size=300, say=said.append, allow_special=allow)
    assert any("'<|endoftext|>' 120 times: read as letters" in line for line in said) != allow
    tokenizer = load_tokenizer(folder)
    ids = tokens(folder, "train") + tokens(folder, "val")
    assert ids[:-1] == tokenizer.encode(text, allow_special=allow)
    assert ids.count(tokenizer.end_of_text) == (121 if allow else 1)
    n_names = 120 if allow else 0
    n_characters = found["train_characters"] + found["val_characters"]
    assert n_characters == len(text) - n_names * len("<|endoftext|>")
    assert any(b"oftext" in token for token in tokenizer.vocabulary.tokens[:-1]) != allow


@pytest.mark.parametrize("name", ["-", "plays", "pipe"])
def test_prepare_refuses_pipes_and_built_in_texts(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("this system has no named pipes")
        os.mkfifo("pipe")
    with pytest.raises(ValueError, match=r"can be read only once|are built in"):
        prepare([name], tmp_path / "data")
    assert not (tmp_path / "data").exists()


PREPARE = """
import sys
from pathlib import Path
from minigpt.text import prepare, source_text
source_text.PIECE_CHARS, prepare.PIECES_PER_SAVE = 2000, 1
prepare.prepare(["a.jsonl"], Path(sys.argv[1]), vocab_size=280, n_processes=1)
"""


def test_prepare_locks_its_folder(tmp_path):
    source, folder = write(tmp_path / "a.txt", TEXT), tmp_path / "data"
    refused = []

    def meanwhile(what, total=None):
        """Try to prepare again at each step; the lock also counts within one process."""

        def go_through(items):
            for item in items:
                with pytest.raises(
                    BlockingIOError, match=f"being prepared by process {os.getpid()}"
                ):
                    prepare([source], folder, vocab_size=270)
                refused.append(what.split()[0])
                yield item

        return go_through

    prepare([source], folder, vocab_size=270, n_processes=1, progress=meanwhile)
    assert set(refused) == {"reading", "counting", "learning", "encoding"}
    prepare([source], tmp_path / "alone", vocab_size=270)
    for path in (tmp_path / "alone").iterdir():  # the same files, and no lock
        assert (folder / path.name).read_bytes() == path.read_bytes()
    assert len(list(folder.iterdir())) == len(list((tmp_path / "alone").iterdir())) == 4


def test_prepare_killed_at_any_moment_can_be_repeated(tmp_path):
    write(tmp_path / "a.jsonl", "\n".join(json.dumps({"text": TEXT}) for _ in range(40)))

    def start(folder):
        return subprocess.Popen([sys.executable, "-c", PREPARE, folder], cwd=tmp_path)

    assert start("whole").wait() == 0
    state = tmp_path / "data" / "preparing.json"
    for least in (0, 1, 30):  # number of pieces that are done when it is killed
        process = start("data")
        while process.poll() is None:
            if state.exists() and json.loads(state.read_text(encoding="utf-8"))["done"] >= least:
                process.kill()
            time.sleep(0.002)
        assert process.returncode != 0
    assert start("data").wait() == 0
    for name in ("train.bin", "val.bin", "tokenizer.json", "dataset.json"):
        assert (tmp_path / "data" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


# ------------------------------------------------------------------------------------ training


@pytest.fixture
def folder(tmp_path):
    prepare([write(tmp_path / "a.txt", TEXT)], tmp_path / "data", vocab_size=280)
    return tmp_path / "data"


def settings(folder, **changes):
    short = {**TINY, "steps": 4, "eval_every": 2, "sample_every": 0}
    return Settings().replace({**short, "data": (str(folder),), **changes})


def test_dataset_maps_token_files(folder):
    dataset = open_dataset(folder, load_tokenizer(folder))
    assert isinstance(dataset.train, np.memmap)
    assert dataset.train.tolist() == tokens(folder, "train")
    x, y = get_batch(dataset.train, 8, 3, np.random.default_rng(0))
    assert x.dtype == np.int64
    in_memory = np.array(tokens(folder, "train"))
    same_x, same_y = get_batch(in_memory, 8, 3, np.random.default_rng(0))
    assert (x == same_x).all()
    assert (y == same_y).all()


def test_run_on_token_files_can_be_resumed(folder, tmp_path):
    run = Run.new(settings(folder), tmp_path / "run")
    assert run.settings.vocab_size == run.model.vocab_size == 280
    losses = [step.loss for step in run.steps()]
    half = Run.new(settings(folder), tmp_path / "half")
    for step in half.steps():
        if step.number == 2:
            break
    resumed = Run.resume(tmp_path / "half", {})
    assert [step.loss for step in resumed.steps()] == losses[2:]
    assert len(run.dataset.val) == len(tokens(folder, "val"))


def test_eval_uses_the_validation_part(folder, tmp_path, capsys):
    for _ in Run.new(settings(folder), tmp_path / "run").steps():
        pass
    assert main(["eval", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert "validation part of data" in out
    assert f"{about['val_characters']:,} characters, {about['val_tokens']:,} tokens" in out


@pytest.mark.parametrize("kind", ["word", "char"])
def test_unknown_words_cost_the_same_in_token_files(kind, tmp_path, capsys):
    """Token files do not have the words, so dataset.json has the cost of spelling them."""
    write(tmp_path / "a.txt", TEXT + "quagga Äzebra 日本 " * 15)
    prepare([tmp_path / "a.txt"], tmp_path / "data", kind)
    tokenizer = load_tokenizer(tmp_path / "data")
    n = json.loads((tmp_path / "data/dataset.json").read_text("utf-8"))["val_characters"]
    val = (TEXT + "quagga Äzebra 日本 " * 15)[-n:]
    dataset = open_dataset(tmp_path / "data", tokenizer)
    assert dataset.val_spelling == pytest.approx(tokenizer.spelling_nats(val))
    assert dataset.val_spelling > 0
    for _ in Run.new(settings(tmp_path / "data"), tmp_path / "run").steps():
        pass
    write(tmp_path / "val.txt", val)
    figures = []
    for arguments in ([], ["--data", str(tmp_path / "val.txt")]):
        assert main(["eval", str(tmp_path / "run"), *arguments]) == 0
        figures.append(capsys.readouterr().out.splitlines()[1:])
    if kind == "word":  # its parts are cut between words
        assert figures[0] == figures[1]
    assert all("<unk> occurs" in figure[1] for figure in figures)
    assert all("to spell unknown words" in figure[-1] for figure in figures)
    about = json.loads((tmp_path / "data/dataset.json").read_text("utf-8"))
    del about["val_spelling"]
    (tmp_path / "data/dataset.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="unknown words"):
        open_dataset(tmp_path / "data", tokenizer)


def test_token_folder_of_nanogpt_needs_only_a_tokenizer(folder, tmp_path):
    (folder / "dataset.json").unlink()
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match=r"no tokenizer.json .* with --tokenizer"):
        Run.new(settings(folder), tmp_path / "run")
    run = Run.new(settings(folder, tokenizer=str(tmp_path)), tmp_path / "run")
    assert run.model.vocab_size == 280
    val = "".join(decoded(run.dataset.val, run.tokenizer))
    assert val == TEXT[-run.dataset.val_characters :]
    assert len(val) == run.dataset.val_characters
    assert Run.resume(tmp_path / "run", {}).tokenizer.vocabulary == run.tokenizer.vocabulary


def test_tokens_of_another_model_are_refused(folder, tmp_path):
    Run.new(settings(write(tmp_path / "b.txt", SCENES[0] * 99)), tmp_path / "other")
    with pytest.raises(ValueError, match="not made by the tokenizer of the model"):
        Run.new(settings(folder, init_from=str(tmp_path / "other")), tmp_path / "run")


def test_ids_outside_the_vocabulary_stop_training(folder):
    np.full(500, 280, "<u2").tofile(folder / "train.bin")
    (folder / "dataset.json").unlink()
    dataset = open_dataset(folder, load_tokenizer(folder))
    with pytest.raises(ValueError, match="must be from 0 to 279, got 280"):
        next(train(tiny_model(280, max_len=16), dataset, settings(folder)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "train.bin").write_bytes(b"abc"), "train.bin has 3 bytes, which cannot"),
        (lambda f: (f / "val.bin").write_bytes(b""), "val.bin has 0 bytes, which cannot be uint16"),
        (lambda f: (f / "val.bin").write_bytes(b"ab"), "has 1 tokens, but dataset.json says"),
        (lambda f: (f / "dataset.json").write_text("{}"), "dataset.json is damaged"),
        (lambda f: (f / "dataset.json").write_text("[" * 10**5), "dataset.json is damaged"),
        (lambda f: (f / "dataset.json").write_text('{"dtype": "O"}'), "dtype is 'O', not uint16"),
        (
            lambda f: (f / "dataset.json").write_text('{"dtype": "uint16", "train_tokens": 0}'),
            "train_tokens is 0, not a number of tokens",
        ),
    ],
)
def test_damaged_token_folders_are_refused(folder, damage, message):
    damage(folder)
    with pytest.raises(ValueError, match=message):
        open_dataset(folder, load_tokenizer(folder))


def test_missing_token_file_is_named(folder):
    (folder / "val.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*val\.bin"):
        open_dataset(folder, load_tokenizer(folder))


def test_prepare_command_prints_what_it_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.txt", TEXT)
    assert main(["prepare", "a.txt", "-o", "data", "--vocab-size", "280"]) == 0
    out, err = capsys.readouterr()
    assert out.count(" tokens, ") == 2
    assert "minigpt train --data data" in err
    assert main(["prepare", "a.txt", "-o", "data"]) == 1
    assert "choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize("tokenizer", ["bpe", "char", "gpt2.json"])
def test_pickle_of_nanogpt_is_refused_with_a_hint(tmp_path, tokenizer):
    for part in ("train", "val"):
        np.zeros(300, np.uint16).tofile(tmp_path / f"{part}.bin")
    (tmp_path / "meta.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    BPETokenizer().train("my dear").save(tmp_path / "gpt2.json")
    name = str(tmp_path / tokenizer) if tokenizer.endswith("json") else tokenizer
    with pytest.raises(ValueError, match=r"meta\.pkl, a pickle.* --data TEXT --tokenizer char"):
        tokenizer_of(tmp_path, name)
    (tmp_path / "input.txt").write_text("my dear", encoding="utf-8")
    with pytest.raises(ValueError, match=r"--data \S+input\.txt --tokenizer char"):
        tokenizer_of(tmp_path, name)
    own = CharTokenizer().train("my dear")
    own.save(tmp_path / "own.json")
    assert tokenizer_of(tmp_path, str(tmp_path / "own.json")).vocabulary == own.vocabulary


def test_prepare_names_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "text.txt").write_text("my dear " * 99)
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match=r"cannot be made, as .*file is a file"):
        prepare([tmp_path / "text.txt"], tmp_path / "file" / "tokens")
