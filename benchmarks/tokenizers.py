"""Byte-pair encoding against Hugging Face tokenizers and tiktoken, and worst cases.

All have the same vocabulary, and must return the same merges and ids before they are timed. Cold
means that a tokenizer has not encoded anything yet, so that no words are in its cache.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import tiktoken
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from benchmarks import texts
from benchmarks.interleave import Side, Work, always, fresh, interleave
from benchmarks.memory import in_a_process
from benchmarks.options import Options
from benchmarks.report import Table
from minigpt import BPETokenizer
from minigpt.core.functional import Array
from minigpt.text.encoding import count_words, encode_pieces
from minigpt.text.tokenizers.stream import pieces_of
from minigpt.text.tokenizers.vocabulary import END_OF_TEXT, Vocabulary

GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

LARGE, HUGE = 100_000_000, 1_000_000_000  # bytes
MAX_MEMORY = 500  # MB
MAX_GROWTH = 15  # of time for ten times the text; linear time gives 10, n log n gives 12


def hugging_face_trained(pieces: list[str], vocab_size: int) -> Tokenizer:
    """Train Hugging Face's tokenizer on pieces of a text, which it distributes over all cores."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[END_OF_TEXT],
        show_progress=False,
    )
    tokenizer.train_from_iterator(pieces, trainer)
    return tokenizer


def hugging_face(vocabulary: Vocabulary) -> Tokenizer:
    """Return Hugging Face's tokenizer with our vocabulary."""
    with tempfile.TemporaryDirectory() as folder:
        BPETokenizer.from_vocabulary(vocabulary).save(folder)
        return Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))


def tik_token(vocabulary: Vocabulary) -> tiktoken.Encoding:
    """Return tiktoken's encoding with our vocabulary."""
    special = vocabulary.special_tokens
    ranks = {token: i for i, token in enumerate(vocabulary.tokens) if i not in special.values()}
    return tiktoken.Encoding(
        "ours", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens=special
    )


def run(options: Options) -> list[Table]:
    """Measure training, encoding, memory and worst cases, and return their tables."""
    training = Table("Byte-pair encoding, training", (), "times as fast")
    encode = Table(
        "Byte-pair encoding, encoding",
        ["GPT-2's vocabulary, cold. On all cores, ours uses processes; their start is included."],
        "times as fast",
    )
    memory = Table(
        "Byte-pair encoding, peak memory",
        ["Total memory of the process and its workers, with imports."],
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options.say("writing plays")
        size = 200_000 if options.quick else LARGE
        large = texts.write_plays(folder / "large.txt", size, options.quick)
        compare_training(options, training, large)
        compare_encoding(options, encode, large)
        measure_memory(options, memory, large)
    return [training, encode, memory, worst_cases(options)]


def compare_training(options: Options, table: Table, large: Path) -> None:
    """Time training on the small and the large text; all sides must learn the same merges."""
    vocab_size = 400 if options.quick else 8192
    cases = (
        ("Shakespeare", texts.text(options.quick), options.small, 1.0),
        ("100 MB", large.read_text(encoding="utf-8"), options.large, 1 / 1.5),
    )
    for name, text, rounds, target in cases:
        options.say(f"training on {name}")
        pieces = list(pieces_of(text, 100_000))
        ours = trained(text, vocab_size, options.threads)
        theirs = hugging_face_trained(pieces, vocab_size)
        if merges_of(hugging_face(ours.vocabulary)) != merges_of(theirs):
            raise RuntimeError(f"{name}: our merges differ from those of Hugging Face")
        del ours, theirs
        sides = {
            "ours": always(partial(trained, text, vocab_size, options.threads)),
            "theirs": always(partial(hugging_face_trained, pieces, vocab_size)),
        }
        times = interleave(sides, rounds, at_least=0, warm_up=False)
        table.add(
            f"{name}, {vocab_size} tokens, Hugging Face", "s",
            times.median("ours"), times.median("theirs"),
            times.ratio("theirs", "ours"), None if options.quick else target,
        )  # fmt: skip


def trained(text: str, vocab_size: int, n_processes: int) -> BPETokenizer:
    """Train our tokenizer on a text; a long text uses all cores."""
    tokenizer = BPETokenizer()
    return tokenizer.learn(count_words(tokenizer, pieces_of(text), n_processes), vocab_size)


def merges_of(tokenizer: Tokenizer) -> list[object]:
    """Return the merges of a Hugging Face tokenizer, in order."""
    return json.loads(tokenizer.to_str())["model"]["merges"]


def compare_encoding(options: Options, table: Table, large: Path) -> None:
    """Time encoding the small text cold and the large text on all cores; ids must be equal."""
    vocabulary, text = texts.vocabulary(options.quick), texts.text(options.quick)
    theirs = tik_token(vocabulary)
    n = options.threads

    def cold_ours() -> Work:
        tokenizer = BPETokenizer.from_vocabulary(vocabulary)
        return lambda: tokenizer.encode(text)

    def cold_hugging_face() -> Work:
        tokenizer = hugging_face(vocabulary)
        return lambda: tokenizer.encode(text).ids

    expected = theirs.encode_ordinary(text)
    if not (cold_ours()() == cold_hugging_face()() == expected):
        raise RuntimeError("encoding: the ids differ")
    options.say("encoding Shakespeare")
    sides: dict[str, Side] = {
        "ours": fresh(cold_ours),
        "tiktoken": always(lambda: theirs.encode_ordinary(text)),
        "Hugging Face": fresh(cold_hugging_face),
    }
    add_speeds(options, table, sides, "Shakespeare", len(text.encode()), options.small,
               {"tiktoken": 1 / 3, "Hugging Face": 1.0})  # fmt: skip

    options.say("encoding 100 MB")
    pieces = list(texts.read(large))

    def ours_on_all_cores() -> list[Array]:
        tokenizer = BPETokenizer.from_vocabulary(vocabulary)
        return list(encode_pieces(tokenizer, pieces, n))

    expected_ids = theirs.encode_ordinary_batch(pieces, num_threads=n)
    if not all(map(np.array_equal, ours_on_all_cores(), expected_ids)):
        raise RuntimeError("encoding on all cores: the ids differ")
    del expected_ids
    sides = {
        "ours": always(ours_on_all_cores),
        "tiktoken": always(lambda: theirs.encode_ordinary_batch(pieces, num_threads=n)),
    }
    what, rounds = f"100 MB, {n} threads", options.large
    add_speeds(options, table, sides, what, large.stat().st_size, rounds, {"tiktoken": 1.0})


def add_speeds(
    options: Options, table: Table, sides: dict[str, Side], what: str, size: int, rounds: int,
    targets: dict[str, float],
) -> None:  # fmt: skip
    """Time the sides, and add a row that compares "ours" with each peer in `targets`."""
    times = interleave(sides, rounds, at_least=0, warm_up=False)
    for peer, target in targets.items():
        speeds = [size / 1e6 / times.median(side) for side in ("ours", peer)]
        ratio = times.ratio(peer, "ours")
        table.add(f"{what}, {peer}", "MB/s", *speeds, ratio, None if options.quick else target)


def measure_memory(options: Options, table: Table, large: Path) -> None:
    """Measure the memory of training on 100 MB, and of encoding a file of 1 GB to a file of ids."""
    options.say("memory")
    vocab_size = 400 if options.quick else 8192
    found = in_a_process("train_tokenizer", large, vocab_size, options.threads)
    table.add("training on 100 MB", "MB", found["total"] / 1e6, target=MAX_MEMORY, at_most=True)
    huge = large.with_name("huge.txt")
    with huge.open("wb") as file:
        for _ in range(2 if options.quick else HUGE // LARGE):
            with large.open("rb") as part:
                shutil.copyfileobj(part, file)
    out = huge.with_suffix(".ids")
    found = in_a_process("encode_file", huge, out, options.quick, options.threads)
    what = "encoding 1 GB from file to file"
    table.add(what, "MB", found["total"] / 1e6, target=MAX_MEMORY, at_most=True)


def worst_cases(options: Options) -> Table:
    """Time encoding and training on texts without word boundaries, and on a tenth of them."""
    n = 1_000 if options.quick else 100_000
    rng = random.Random(0)
    letters = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=10 * n))
    kinds = {"one word of letters": letters, "equal characters": "a" * (10 * n)}
    kinds["emoji"] = "".join(rng.choices("😀😂🙏🎉🔥🚀🐻🦊", k=10 * n))
    encoder = BPETokenizer.from_vocabulary(texts.vocabulary(options.quick))
    table = Table(
        f"Byte-pair encoding, {10 * n:,} characters of one word",
        [f"Ours: {10 * n:,} characters; peer: ours with a tenth. Linear time gives 10."],
        "times as long",
    )
    jobs: dict[str, Callable[[str], object]] = {
        "encoding": encoder.encode,
        "training": BPETokenizer().train,
    }
    for job, work in jobs.items():
        for kind, text in kinds.items():
            options.say(f"{job}, {kind}")
            sides = {
                "whole": always(partial(work, text)),
                "tenth": always(partial(work, text[:n])),
            }
            times = interleave(sides, options.large, at_least=0)
            seconds = times.median("whole"), times.median("tenth")
            ratio, target = times.ratio("whole", "tenth"), None if options.quick else MAX_GROWTH
            table.add(f"{job}, {kind}", "s", *seconds, ratio, target, at_most=True)
    return table
