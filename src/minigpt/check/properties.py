"""Test properties that a model must have whatever its weights are, gradients aside."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from minigpt.core.functional import softmax
from minigpt.core.generation import Reader
from minigpt.core.layers import twin
from minigpt.core.model import miniGPT
from minigpt.folders.gpt2 import config_of, model_arguments
from minigpt.support.brief import brief
from minigpt.text.corpus import scenes
from minigpt.text.tokenizers import BPETokenizer, CharTokenizer, Tokenizer, WordTokenizer
from minigpt.text.tokenizers.piece_tokenizer import PieceTokenizer

TEXTS_TO_ENCODE = (
    "my dear friend, where is my lantern?",
    "  two  spaces,\ta tab,\r\n\n\nand three lines \u00a0\u3000",
    "Größe, Straße, œuvre, naïve; e\u0301 is é in two characters",
    "Γειά σου, φίλε μου. Привет, дорогой друг.",
    "שלום חבר שלי, مرحبا يا صديقي, नमस्ते मेरे दोस्त",
    "こんにちは、友よ。你好，朋友。안녕, 내 친구",
    "🦆 👩‍🚀 🏳️‍🌈 👍🏽 𝔤𝔬𝔬𝔰𝔢",
    "\x00\x07\x1b[31m\x7f\u200b\ufeff\ufffd\U0010ffff",
    "don't; x = 3.14e-10 // <|endoftext|> <unk>",
)


Found: TypeAlias = tuple[str, float]  # what was compared, and the largest difference


@dataclass(frozen=True)
class Property:
    """The result of one test.

    Attributes
    ----------
    name : the property.
    compared : what was compared, in a few words.
    difference : the largest difference found.
    limit : the largest difference allowed; 0 means equal to the bit.
    """

    name: str
    compared: str
    difference: float
    limit: float

    __repr__ = brief

    @property
    def ok(self) -> bool:
        """Whether the difference is within the limit, which NaN never is."""
        return self.difference <= self.limit


def check_properties(
    model: miniGPT, tokenizers: Sequence[Tokenizer], seed: int = 0
) -> Iterator[Property]:
    """Test all properties of `model`, in float64, and of the tokenizers."""
    model, rng = twin(model).eval(), np.random.default_rng(seed)
    trials: list[tuple[str, float, Callable[[], Found]]] = [
        ("softmax", 1e-12, lambda: try_softmax(rng)),
        ("causal mask", 0, lambda: try_causal_mask(model, rng)),
        ("KV cache", 1e-10, lambda: try_cache(model, rng)),
        ("save and load", 0, lambda: try_saving(model, rng)),
        *((f"{t.kind} tokenizer", 0, partial(try_round_trip, t)) for t in tokenizers),
        # At first, logits have variance C · 0.02², and the loss is above ln V by half of that.
        ("untrained loss", 0.1 + 0.0002 * model.d_model, lambda: try_untrained(model, rng)),
    ]
    for name, limit, trial in trials:
        try:
            compared, difference = trial()
        except Exception as error:  # the mistake may raise an error
            compared, difference = f"stopped by {type(error).__name__}: {error}", math.inf
        yield Property(name, compared, difference, limit)


def try_softmax(rng: np.random.Generator) -> Found:
    """Test that rows sum to 1, for huge scores too, and that adding a constant changes nothing."""
    scores = rng.normal(0, 5, (50, 20))
    y = softmax(scores)
    with np.errstate(all="ignore"):  # the difference shows it
        huge = softmax(np.array([[1e4, -1e4, 0, -np.inf], [-1e4, -1e4, -np.inf, -np.inf]]))
    differences = [
        largest(y.sum(axis=-1), 1),
        largest(softmax(scores + 100), y),
        largest(huge, [[1, 0, 0, 0], [0.5, 0.5, 0, 0]]),
    ]
    return "sums to 1; scores + 100, ±10,000 and −∞", largest(differences, 0)


def try_causal_mask(model: miniGPT, rng: np.random.Generator) -> Found:
    """Test that changing a token changes no logit before it."""
    ids = rng.integers(0, model.vocab_size, (2, min(model.max_len, 16)))
    differences = [0.0]
    before, _ = model.forward(ids)
    for t in range(1, ids.shape[1]):
        changed = ids.copy()
        changed[:, t] = (ids[:, t] + 1) % model.vocab_size
        after, _ = model.forward(changed)
        differences.append(largest(after[:, :t], before[:, :t]))
    return "logits before a changed token", largest(differences, 0)


def try_cache(model: miniGPT, rng: np.random.Generator) -> Found:
    """Test that reading token by token gives the logits of a plain pass, also past max_len."""
    start, end = max(1, model.max_len - 4), model.max_len + 2
    ids = rng.integers(0, model.vocab_size, (1, end))
    reader = Reader(model, ids[:, :start])
    differences = []
    for t in range(start, end):
        reader.read(ids[:, t])
        logits, _ = model.forward(ids[:, : t + 1][:, -model.max_len :])
        plain = logits[:, -1]
        differences.append(largest(reader.logits, plain) / max(1, largest(plain, 0)))
    return f"plain forward, to {end - model.max_len} tokens past max_len", largest(differences, 0)


def try_saving(model: miniGPT, rng: np.random.Generator) -> Found:
    """Test that a float32 model is the same, to the bit, after saving and loading."""
    ids = rng.integers(0, model.vocab_size, (1, min(model.max_len, 8)))
    saved = untrained_like(model, dtype="float32").eval()
    saved.flat.params[...] = model.flat.params
    with tempfile.TemporaryDirectory(prefix="minigpt-check-") as folder:
        saved.save_pretrained(folder)
        loaded = miniGPT.from_pretrained(folder)
    params = loaded.params()
    pairs = [(param, params[name]) for name, param in saved.params().items()]
    pairs.append((saved.forward(ids)[0], loaded.forward(ids)[0]))
    different = sum(a.tobytes() != b.tobytes() for a, b in pairs)
    return f"bits of {len(pairs) - 1} tensors and of logits", different


def try_round_trip(tokenizer: Tokenizer) -> Found:
    """Test that decoding the ids of a text returns it; for a `PieceTokenizer`, of each piece."""
    if isinstance(tokenizer, PieceTokenizer):
        special = tokenizer.special_tokens.values()
        tokens = [tokenizer.token_bytes(i) for i in range(len(tokenizer)) if i not in special]
        texts = [token.decode() for token in tokens]
        what = "tokens, there and back"
    else:
        texts = list(TEXTS_TO_ENCODE)
        what = "texts in many scripts, there and back"
    different = sum(tokenizer.decode(tokenizer.encode(text)) != text for text in texts)
    return f"{len(texts):,} {what}", different


def try_untrained(model: miniGPT, rng: np.random.Generator) -> Found:
    """Test that a new model of this shape has the loss of a uniform guess among V tokens, ln V."""
    ids, targets = rng.integers(0, model.vocab_size, (2, 256 // model.max_len + 1, model.max_len))
    _, loss = untrained_like(model, dtype="float32").eval().forward(ids, targets=targets)
    even = math.log(model.vocab_size)
    assert loss is not None
    return f"{loss:.3f} nats, ln {model.vocab_size:,} = {even:.3f}", abs(loss - even)


def largest(a: Any, b: Any) -> float:
    """Return the largest difference between two arrays; NaN if one occurs, unlike max()."""
    return float(np.abs(np.subtract(a, b)).max())


def untrained_like(model: miniGPT, **options: Any) -> miniGPT:
    """Return an untrained model of the same shape, with `options` changed."""
    arguments = model_arguments(config_of(model, {}), Path("model"))
    return miniGPT(**{**arguments, "seed": 0, **options})


def built_in_tokenizers() -> list[Tokenizer]:
    """Return a tokenizer of each kind, trained on 20 scenes of the plays and on many scripts."""
    text = "".join(scene.text for scene in itertools.islice(scenes(), 20)) + "\n".join(
        TEXTS_TO_ENCODE
    )
    return [
        BPETokenizer().train(text, vocab_size=400),
        WordTokenizer().train(text),
        CharTokenizer().train(text),
    ]
