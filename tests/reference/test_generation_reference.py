"""Prompts side by side, stop strings and several samples, against Hugging Face transformers."""

import random

import numpy as np
import pytest
import torch
from tiny import tiny_model
from transformers import AutoTokenizer, StopStringCriteria
from transformers_gpt2 import small_gpt2

from minigpt import BPETokenizer, CharTokenizer, miniGPT
from minigpt.core.generation import Reader, pad_left
from minigpt.core.sampling import Sampling
from minigpt.text.completion import TextWriter, complete

LENGTHS = [1, 19, 7, 7, 30, 2]
"""How many tokens the prompts have that are read side by side."""


@pytest.fixture
def prompts() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 97, length).tolist() for length in LENGTHS]


@pytest.mark.parametrize("filling", [0, 96])
def test_padded_prompts_are_continued_as_in_transformers(equal, tmp_path, prompts, filling):
    """Whatever stands where there is no text: theirs may fill in any token, ours zeros."""
    theirs = small_gpt2(n_positions=64)
    theirs.save_pretrained(tmp_path)
    ours = miniGPT.from_pretrained(tmp_path)
    longest = max(LENGTHS)
    padded = torch.tensor([[filling] * (longest - len(each)) + each for each in prompts])
    mask = torch.tensor([[0] * (longest - n) + [1] * n for n in LENGTHS])
    answer = theirs.generate(
        padded, attention_mask=mask, max_new_tokens=64 - longest, do_sample=False,
        pad_token_id=filling,
    )  # fmt: skip
    expected = answer[:, longest:].tolist()
    ids = ours.generate(prompts, 64 - longest, temperature=0)[:, longest:].tolist()
    assert all(len(set(row)) > 5 for row in ids)  # texts, not one token repeated
    n_tokens = len(prompts) * (64 - longest)
    equal("prompts side by side: greedy ids", "transformers", ids, expected, n_tokens)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_padded_logits_are_those_of_each_text_alone(deviation, tmp_path, prompts, dtype):
    """Far beyond max_len, too, where the reference is given the last max_len tokens."""
    theirs = small_gpt2(n_positions=64)
    theirs.save_pretrained(tmp_path)
    theirs = theirs.to(getattr(torch, dtype))
    ours = miniGPT.from_pretrained(tmp_path, dtype)
    what = f"prompts side by side: logits, {dtype}"
    texts = [list(each) for each in prompts]
    reader = Reader(ours, *pad_left(prompts, 97))
    for new in np.random.default_rng(1).integers(0, 97, (80, len(texts))):
        for text, logits in zip(texts, reader.logits, strict=True):
            with torch.no_grad():
                expected = theirs(torch.tensor([text[-64:]])).logits[0, -1]
            deviation(what, logits, expected)
        for text, token in zip(texts, new.tolist(), strict=True):
            text.append(token)
        reader.read(new)


WRITTEN = (
    "The café – naïve, Ünïcödé 日本語のテキスト, русский текст 🙂🙃 👩‍👩‍👧 end.\n\n"
    "\tdef f(x):\r\n    return x ** 2  # ½ ﷽ é é\nUSER: hello?\n### Stop. </s> "
) * 20


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Return a tokenizer of ours, and the same as transformers opens it."""
    folder = tmp_path_factory.mktemp("saved")
    ours = BPETokenizer().train(WRITTEN, 340)
    tiny_model(340).save_pretrained(folder, ours)
    return ours, AutoTokenizer.from_pretrained(folder)


def random_tokens(tokenizer: BPETokenizer, rng: random.Random) -> list[int]:
    """Draw tokens: a piece of text cut at random places, of any bytes, or of both."""
    anything = rng.choices(range(tokenizer.vocab_size - 1), k=30)  # without the end of text
    text = [
        token
        for _ in range(rng.randrange(1, 12))
        for start in [rng.randrange(len(WRITTEN) - 12)]
        for token in tokenizer.encode(WRITTEN[start : start + rng.randrange(1, 12)])
    ]
    single = WRITTEN[: rng.randrange(60)].encode()
    bytes_of_text = [tokenizer.vocabulary.tokens.index(bytes([byte])) for byte in single]
    return rng.choice([anything, text, text, text[:10] + anything + text[10:], bytes_of_text])


def random_stops(tokenizer: BPETokenizer, tokens: list[int], rng: random.Random) -> list[str]:
    """Draw stop strings, most of which occur, and begin and end anywhere in tokens."""
    # Theirs matches bytes, ours the text one sees: they differ where a stop string has the sign
    # for bytes that are no text, which ours finds where one sees it, and theirs never.
    text = tokenizer.decode(tokens).replace("�", "")
    stops = []
    for _ in range(rng.randrange(1, 4)):
        source = text if text and rng.random() < 0.7 else WRITTEN
        start = rng.randrange(len(source))
        stops.append(source[start : start + rng.randrange(1, 9)])
    return stops


def test_stop_strings_end_a_text_at_the_same_token(equal, tokenizers):
    ours, theirs = tokenizers
    rng = random.Random(0)
    stopped = inside = 0
    for _ in range(500):
        tokens = random_tokens(ours, rng)
        stops = random_stops(ours, tokens, rng)
        writer = TextWriter(ours, stops)
        text, n_read = "", 0
        for n_read, token in enumerate(tokens, 1):  # noqa: B007
            text += writer.write(token)
            if writer.ended:
                break
        text += writer.close()

        criteria = StopStringCriteria(theirs, stops)
        ends = (n for n in range(1, len(tokens) + 1) if criteria(torch.tensor([tokens[:n]]), None))
        end = next(ends, None)
        until = "stop strings: tokens until the end"
        equal(until, "StopStringCriteria", n_read if writer.ended else None, end)
        whole = theirs.decode(tokens[:end], clean_up_tokenization_spaces=False)
        found = [whole.index(stop) for stop in stops if stop in whole]
        before = whole[: min(found)] if end else whole
        equal("stop strings: text before the end", "AutoTokenizer", text, before)
        stopped += writer.ended
        inside += end is not None and not any(whole.endswith(stop) for stop in stops)
    assert stopped > 300
    assert inside > 30  # so many ended in the middle of a token


def test_sample_frequencies_equal_the_probabilities(tmp_path):
    """Pearson's chi-square of the first two tokens of many samples, for each of two prompts."""
    letters = "abcd"
    tokenizer = CharTokenizer().train(letters, len(letters) + 1)
    vocab_size = tokenizer.vocab_size
    theirs = small_gpt2(n_positions=64, vocab_size=vocab_size, initializer_range=0.2)
    theirs.save_pretrained(tmp_path)
    ours = miniGPT.from_pretrained(tmp_path)
    prompts, n_samples, temperature = ["abc", "d"], 8000, 0.7

    def samples(n: int, seed: int) -> list[list[int]]:
        written = complete(ours, tokenizer, prompts, 2, Sampling(temperature), n, seed=seed)
        assert [each.prompt for each in written] == ["abc"] * n + ["d"] * n
        return [each.ids for each in written]

    assert samples(20, seed=3) == samples(20, seed=3) != samples(20, seed=4)
    drawn = samples(n_samples, seed=0)
    for i, prompt in enumerate(prompts):
        start = tokenizer.encode(prompt)
        texts = torch.tensor([[*start, token] for token in range(vocab_size)])
        with torch.no_grad():
            logits = theirs(texts).logits.double() / temperature
        p_first = logits[0, len(start) - 1].softmax(dim=-1)
        probable = (p_first[:, None] * logits[:, -1].softmax(dim=-1)).numpy()
        counts = np.zeros_like(probable)
        np.add.at(counts, tuple(np.transpose(drawn[i * n_samples : (i + 1) * n_samples])), 1)
        chi_square, freedom = pearson(counts.ravel(), n_samples * probable.ravel())
        assert freedom > 15
        assert abs(chi_square - freedom) < 4 * (2 * freedom) ** 0.5


def pearson(counts: np.ndarray, expected: np.ndarray) -> tuple[float, int]:
    """Return the chi-square of counts, and its degrees of freedom; the rare are taken as one."""
    rare = expected < 10
    counts, expected = (np.append(each[~rare], each[rare].sum()) for each in (counts, expected))
    return ((counts - expected) ** 2 / expected).sum(), len(counts) - 1
