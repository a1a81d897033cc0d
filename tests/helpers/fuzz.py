"""Files as a stranger could make them: valid ones, bent, cut and blown up; and odd texts.

`mutate` bends a file by a random generator, so that a number names a file for ever: what breaks a
loader can be made again. `attempt` lets a loader have it, and tells what came of it.
"""

import io
import json
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigpt import (
    AdamW,
    BPETokenizer,
    CharTokenizer,
    Trace,
    WordTokenizer,
    get_batch,
    load_tokenizer,
    miniGPT,
    trace,
)
from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.folders.weights import INDEX, SINGLE, open_weights, read_like, write_tensors
from minigpt.runs.checkpoints import read_record
from minigpt.runs.layer_metrics import read_layers
from minigpt.runs.metrics import MetricsFile
from minigpt.text.prepare import prepare
from minigpt.text.prepared import open_dataset
from minigpt.training.settings import Settings, read_toml

STATE, NPZ = "training_state.safetensors", "trace.npz"

DOCUMENTED = (ValueError, TypeError, FileNotFoundError)

MOST_MEMORY = 2**26
"""Bytes that a loader may take for one of these files, which have a few thousand themselves."""

MOST_SECONDS = 20.0  # far more than it takes, for a busy machine

EXTREMES: list[Any] = [
    *(0, 1, -1, 2, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**9, 10**12, 10**400),
    *(0.0, -0.0, 0.5, 1.0, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan")),
    *(None, True, False, "", "x", "\0", "\ud800", "\ufeff", "../../etc/passwd", "/dev/zero"),
    *("é" * 9, "a" * 10_000, "<unk>", "<|endoftext|>", "Ġ", "\x1b[2J", [], {}, [[]], {"": {}}),
    *([1] * 1000, {"a": 1}, [None], ["a", "b"], "gpt2", "BF16", "I64", [0, 2**62], [10**9] * 4),
]

PIECES = [
    *(b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b'"', b",", b":"),
    *(b"NaN", b"Infinity", b"-", b"1e999", b"9" * 5000, b"null", b"[" * 3000, b'{"a":' * 3000),
    *(b"\n", b"=", b"[[x]]", b"'''", b"\\u0000", b"\\ud800", b"[" * 100_000, b"\x80" * 64),
]


# ----------------------------------------------------------------------------- the valid files


def make_folder(folder: Path) -> dict[str, bytes]:
    """Write a run folder, its weights in one file; give the content of its files."""
    tokenizer = BPETokenizer().train("my dear goose, my dear fox! " * 9, vocab_size=260)
    model = miniGPT(260, max_len=8, d_model=4, n_heads=2, n_layers=2, tie_weights=True, seed=0)
    model.save_pretrained(folder, tokenizer)
    record = {"step": 3, "settings": Settings(d_ff=9, vocab_size=260).to_dict()}
    (folder / "training.json").write_text(json.dumps(record), encoding="utf-8")
    write_tensors(folder / STATE, AdamW(model).state)
    return {
        name: (folder / name).read_bytes()
        for name in ("config.json", SINGLE, "tokenizer.json", "training.json", STATE)
    }


def make_index(folder: Path) -> dict[str, bytes]:
    """Write a model folder with its weights in a file that an index names."""
    make_folder(folder)
    names = open_weights(folder)
    (folder / SINGLE).rename(folder / "model-1.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model-1.safetensors")}
    content = json.dumps(index).encode()
    (folder / INDEX).write_bytes(content)
    return {INDEX: content}


def make_tokenizers(folder: Path) -> dict[str, bytes]:
    """Write the files of a tokenizer of each kind, GPT-2's pair of files among them."""
    text = "my dear goose, my dear fox! "
    files = {}
    for tokenizer in (WordTokenizer(), CharTokenizer(), BPETokenizer()):
        place = folder / tokenizer.kind / "tokenizer.json"
        tokenizer.train(text).save(place)
        files[f"{tokenizer.kind}/tokenizer.json"] = place.read_bytes()
    model = json.loads(place.read_text(encoding="utf-8"))["model"]
    older = folder / "older"
    older.mkdir()
    merges = "#version: 0.2\n" + "\n".join(map(" ".join, model["merges"]))
    files |= {"older/vocab.json": json.dumps(model["vocab"]).encode()}
    files |= {"older/merges.txt": merges.encode()}
    for name in ("older/vocab.json", "older/merges.txt"):
        (folder / name).write_bytes(files[name])
    return files


def make_toml(folder: Path) -> dict[str, bytes]:
    """Write settings as TOML."""
    values = {k: v for k, v in Settings().to_dict().items() if v is not None}
    lines = (
        f"{name} = {json.dumps(list(v) if isinstance(v, tuple) else v)}"
        for name, v in values.items()
    )
    content = "\n".join(lines).encode()
    (folder / "settings.toml").write_bytes(content)
    return {"settings.toml": content}


def make_logs(folder: Path) -> dict[str, bytes]:
    """Write what a run notes of its steps and layers, and a trace."""
    step = {"loss": 1.5, "gradient_norm": 0.5, "learning_rate": 1e-3, "tokens_per_second": 9e3}
    layers = {"head": [0.1, 1e-3], "block 0": [0.2, None]}
    rows = [{"number": n, **step, **({"val_loss": 1.4} if n % 2 else {})} for n in range(1, 6)]
    notes = [{"number": n, "layers": layers} for n in range(1, 4)]
    for name, lines in (("metrics.jsonl", rows), ("layers.jsonl", notes)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    trace(miniGPT(9, max_len=4, d_model=4, n_heads=2, n_layers=1, seed=0), [1, 2, 3]).save(
        folder / "trace.npz"
    )
    return {name: (folder / name).read_bytes() for name in ("metrics.jsonl", "layers.jsonl", NPZ)}


def make_tokens(folder: Path) -> dict[str, bytes]:
    """Write a folder of tokens."""
    text = folder / "text.txt"
    text.write_text("my dear goose, my dear fox! " * 40, encoding="utf-8")
    out = folder / "data"
    prepare([str(text)], out, tokenizer="char", n_processes=1)
    names = ("data/dataset.json", "data/train.bin", "data/val.bin")
    return {name: (folder / name).read_bytes() for name in names}


# ----------------------------------------------------------------------------- what opens them


def use_model(file: Path) -> None:
    """Open the folder that `file` is in; what opens must also work."""
    model, tokenizer = load_model_and_tokenizer(file.parent)
    with np.errstate(all="ignore"):  # weights of any size
        model.forward([tokenizer.encode("my dear")[:8]])


def use_state(file: Path) -> None:
    """Read what an optimizer remembers, and take a step with it."""
    optimizer = AdamW(miniGPT.from_pretrained(file.parent))
    optimizer.state.update(read_like(file, optimizer.state))
    if optimizer.state["t"][0] < 0:
        with pytest.raises(ValueError, match="fewer than 0"):
            optimizer.step(1e-3)
    else:
        with np.errstate(all="ignore"):
            optimizer.step(1e-3)


def use_tokenizer(file: Path) -> None:
    """Open a tokenizer and take a text there and back."""
    tokenizer = load_tokenizer(file if file.name == "tokenizer.json" else file.parent)
    for special in (False, True):
        ids = tokenizer.encode("my <|endoftext|> dear\ud7ff 🐻\0", allow_special=special)
        assert all(0 <= i < tokenizer.vocab_size for i in ids)
        assert isinstance(tokenizer.decode(ids), str)


def use_toml(file: Path) -> None:
    """Read settings from TOML and check them."""
    Settings().replace(read_toml(file))


def use_tokens(file: Path) -> None:
    """Open a folder of tokens, and let a model have a batch of it."""
    tokenizer = load_tokenizer(file.parent)
    dataset = open_dataset(file.parent, tokenizer)
    dataset.bits_per_character(1.0)
    model = miniGPT(tokenizer.vocab_size, max_len=8, d_model=4, n_heads=2, n_layers=1, seed=0)
    for tokens in (dataset.train, dataset.val):
        if len(tokens) < 9:
            continue
        x, y = get_batch(tokens, 8, 64, np.random.default_rng(0))
        if y.max() < tokenizer.vocab_size > x.max():
            model.forward(x, targets=y)
        else:  # the model looks at each batch, and does not know where it comes from
            with pytest.raises(ValueError, match="must be from 0 to 14"):
                model.forward(x, targets=y)


LOADERS: list[tuple[Callable[[Path], dict[str, bytes]], dict[str, Callable[[Path], object]]]] = [
    (
        make_folder,
        {
            "config.json": use_model,
            SINGLE: use_model,
            "tokenizer.json": use_tokenizer,
            STATE: use_state,
            "training.json": lambda file: read_record(file.parent),
        },
    ),
    (make_index, {INDEX: use_model}),
    (
        make_tokenizers,
        {
            "word/tokenizer.json": use_tokenizer,
            "char/tokenizer.json": use_tokenizer,
            "bpe/tokenizer.json": use_tokenizer,
            "older/vocab.json": use_tokenizer,
            "older/merges.txt": use_tokenizer,
        },
    ),
    (make_toml, {"settings.toml": use_toml}),
    (
        make_logs,
        {
            "metrics.jsonl": lambda file: MetricsFile(file).read(),
            "layers.jsonl": read_layers,
            NPZ: lambda file: print(Trace.load(file), file=io.StringIO()),
        },
    ),
    (
        make_tokens,
        dict.fromkeys(("data/dataset.json", "data/train.bin", "data/val.bin"), use_tokens),
    ),
]


# ------------------------------------------------------------------------------ how they bend


def mutate(name: str, content: bytes, rng: random.Random) -> bytes:
    """Bend the file called `name`: half of the time its bytes, half of the time what it says."""
    if rng.random() < 0.5:
        if name.endswith(".safetensors"):
            return _with_header(content, rng)
        if name.endswith(".json"):
            return _bent_json(json.loads(content), rng)
    for _ in range(rng.choice([1, 1, 2, 5])):
        content = _bent_bytes(content, rng)
    return content


def _bent_bytes(content: bytes, rng: random.Random) -> bytes:
    # Where files are damaged matters most at the beginning: there the lengths and headers are.
    place = rng.randrange(min(len(content), rng.choice([9, 200, 10**6])) + 1)
    end = min(len(content), place + rng.choice([0, 1, 1, 8, 100]))
    match rng.randrange(7):
        case 0:
            return content[:place]
        case 1:
            return content[:place] + content[end:]
        case 2:
            return content[:end] + content[place:]
        case 3:
            return content[:place] + rng.choice(PIECES) + content[end:]
        case 4:
            return content[:place] + rng.randbytes(end - place) + content[end:]
        case 5:
            flipped = bytes(byte ^ 1 << rng.randrange(8) for byte in content[place:end])
            return content[:place] + flipped + content[end:]
        case _:
            words = json.dumps(rng.choice(EXTREMES)).encode()
            return content[:place] + words + content[end:]


def _bent_json(value: Any, rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 1, 2, 4])):
        value = bend(value, rng)
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.05:
        n = rng.choice([70, 500, 5000])
        text = '{"a":' * n + text + "}" * n
    if rng.random() < 0.05:  # names that stand there twice
        text = text.replace("{", '{"vocab": 1, "shape": [1], "n_embd": 1, "vocab": 2, ', 1)
    return text.encode("utf-8", errors="surrogatepass")


def bend(value: Any, rng: random.Random) -> Any:
    """Return `value` with one value in it replaced, left out, copied or put elsewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        bent = dict(value)
        match rng.randrange(6):
            case 0:
                del bent[key]
            case 1:
                bent[str(rng.choice(EXTREMES))[:50]] = bent[key]
            case 2:
                bent[key] = bent[rng.choice(list(bent))]
            case _:
                bent[key] = bend(bent[key], rng)
        return bent
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = rng.randrange(len(value))
        change = rng.choice([[], [value[place]] * 2, [bend(value[place], rng)]])
        return [*value[:place], *change, *value[place + 1 :]]
    if type(value) is int and rng.random() < 0.4:
        return value + rng.choice([-1, 1, value, 10**6])
    return rng.choice(EXTREMES)


def _with_header(content: bytes, rng: random.Random) -> bytes:
    """Bend the header of a safetensors file, and give it the right or a wrong length."""
    length = int.from_bytes(content[:8], "little")
    header = _bent_json(json.loads(content[8 : 8 + length]), rng)
    told = len(header) if rng.random() < 0.8 else rng.choice([0, 7, 2**20, 2**40, 2**63, 2**64 - 1])
    return told.to_bytes(8, "little") + header + content[8 + length :]


def put(file: Path, content: bytes) -> None:
    """Write a file anew: to empty one takes some file systems a thousand times as long."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def attempt(use: Callable[[Path], object], file: Path, content: bytes) -> str:
    """Let `use` have a file of this content; tell what came of it.

    Returns
    -------
    "opened", or "refused": by one of the errors that are documented, with a word of the file.

    Raises
    ------
    AssertionError
        If it took much memory or time. Any error that is not documented comes through.
    """
    put(file, content)
    tracemalloc.reset_peak()
    before, began = tracemalloc.get_traced_memory()[0], time.perf_counter()
    try:
        use(file)
        result = "opened"
    except DOCUMENTED as error:
        message = str(error)
        if file.suffix != ".toml":  # whose settings are checked when they meet the flags
            assert str(file.parent) in message, f"no file is named: {message[:200]}"
        assert len(message) < 3000, f"{len(message)} characters: {message[:200]}"
        result = "refused"
    peak = tracemalloc.get_traced_memory()[1] - before
    assert peak < MOST_MEMORY, f"{peak:,} bytes"
    assert time.perf_counter() - began < MOST_SECONDS
    return result


def fuzz(folder: Path, n_files: int, first: int = 0) -> dict[str, dict[str, int]]:
    """Try `n_files` mutated files in all; give how many of each name were opened and refused."""
    sets = []
    for number, (make, uses) in enumerate(LOADERS):
        place = folder / str(number)
        place.mkdir()
        valid = make(place)
        sets += [(place / name, use, valid[name]) for name, use in uses.items()]
    for file, use, content in sets:
        use(file)
        assert file.read_bytes() == content
    tracemalloc.start()
    try:
        found: dict[str, dict[str, int]] = {}
        for seed in range(first, first + n_files):
            file, use, content = sets[seed % len(sets)]
            name = file.relative_to(folder).as_posix()
            mutated = mutate(file.name, content, random.Random(seed))
            try:
                result = attempt(use, file, mutated)
            except BaseException as error:
                error.add_note(f"file {seed}: {name} = {mutated[:2000]!r}")
                raise
            finally:
                put(file, content)
            counts = found.setdefault(name, {"opened": 0, "refused": 0})
            counts[result] += 1
        return found
    finally:
        tracemalloc.stop()
