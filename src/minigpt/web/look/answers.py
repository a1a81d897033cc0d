"""The numbers that the page draws: what a model does with a text."""

from __future__ import annotations

import base64
import itertools
import threading
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigpt.core.functional import Array
from minigpt.core.sampling import Sampling
from minigpt.inside import Lens, Trace, logit_lens, surprise, trace, without_heads
from minigpt.inside.pieces import text_of, visible, vocabulary_of
from minigpt.text.completion import stream
from minigpt.text.token_roles import begin_id, check_tokenizer, drawable, end_ids
from minigpt.web.memory import Memory, bytes_of
from minigpt.web.problems import Problem

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer

MAX_LOOK_TOKENS = 128
"""Only the last tokens of a text are traced. A picture of more does not fit on a page, and already
all heads of GPT-2 have 2.4 million weights then."""
N_CANDIDATES = 12
N_LENS = 12
_numbers = itertools.count()


class Question(NamedTuple):
    """A text, ids that follow it, and heads (layer, head) that are switched off."""

    text: str
    more: tuple[int, ...]
    off: tuple[tuple[int, int], ...]


class Seen(NamedTuple):
    """The data for all pictures of a text: a small part of its trace, and values computed from it.

    Attributes
    ----------
    trace : its ids and logits, without the arrays inside the blocks.
    weights : (n_layers, H, T, T), the attention weights of all heads.
    surprises : (T − 1,), the surprise of each token after the first, nats.
    lens : the logit lens of the last tokens.
    """

    trace: Trace
    weights: Array
    surprises: Array
    lens: Lens

    @classmethod
    def of(cls, model: miniGPT, whole: Trace, n_dropped: int) -> Seen:
        """Return the data for the pictures of a trace of `model`."""
        none = np.empty(0, whole.logits.dtype)
        names = ("token_embedding", "position_embedding", "embedding", "final_norm")
        changes: dict[str, Any] = dict.fromkeys(names, none)
        small = replace(whole, blocks=[], n_dropped=n_dropped, **changes)
        return cls(small, whole.weights, surprise(whole), logit_lens(model, whole, N_LENS))

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays."""
        arrays = (self.trace.ids, self.trace.logits, self.weights, self.surprises, *self.lens)
        return bytes_of(arrays)


class Looker:
    """Answers questions about one model.

    It traces one text at a time. Neither `trace` nor writing a text changes the model, so both can
    happen at once.

    Parameters
    ----------
    model, tokenizer : the model and its tokenizer.
    memory : keeps recent results, since a text has several pictures.
    """

    def __init__(self, model: miniGPT, tokenizer: Tokenizer, memory: Memory | None = None) -> None:
        check_tokenizer(tokenizer, model.vocab_size)
        self.model, self.tokenizer = model, tokenizer
        self.memory = Memory() if memory is None else memory
        self.vocabulary = vocabulary_of(tokenizer, model.vocab_size)
        self._number = next(_numbers)
        self._lock = threading.Lock()

    def look(
        self,
        question: Question,
        layer: int = 0,
        head: int = 0,
        position: int | None = None,
        sampling: Sampling | None = None,
    ) -> dict[str, Any]:
        """Return all pictures of a text: its tokens, all heads, the lens, `head` and `next`.

        A `position` after the end means the last token: the text may get shorter while it is typed.
        """
        seen = self._seen(question)
        if position is not None and position >= len(seen.trace.ids):
            position = None
        L, H, T, _ = seen.weights.shape
        surprises = [None, *_rounded(np.minimum(seen.surprises, 99))]
        return {
            "text": question.text + text_of(self.tokenizer, question.more),
            "tokens": [
                {"id": int(i), "piece": piece, "shown": visible(piece), "surprise": nats}
                for i, piece, nats in zip(seen.trace.ids, seen.trace.pieces, surprises, strict=True)
            ],
            "n_dropped": seen.trace.n_dropped,
            "is_start": not self._ids(question)[1],
            # One byte per weight is enough for small pictures, and a tenth of the size of JSON.
            "heads": {
                "shape": [L, H, T, T],
                "bytes": base64.b64encode(
                    np.round(seen.weights * 255).astype(np.uint8).tobytes()
                ).decode(),
            },
            "lens": {
                "first": max(0, T - N_LENS),
                "answers": [
                    [
                        {"id": int(i), "shown": visible(self.vocabulary[i]), "probability": p}
                        for i, p in zip(ids, _rounded(shares), strict=True)
                    ]
                    for ids, shares in zip(seen.lens.tokens, seen.lens.probabilities, strict=True)
                ],
            },
            "head": self.head(question, layer, head),
            "next": self.next(question, position, sampling or Sampling()),
        }

    def head(self, question: Question, layer: int, head: int) -> dict[str, Any]:
        """Return the attention weights (T, T) of one head."""
        n_heads = self.model.blocks[0].attention.n_heads
        for name, value, n in (("layer", layer, self.model.n_layers), ("head", head, n_heads)):
            if value >= n:
                raise Problem(404, f"there is no {name} {value}: choose one from 0 to {n - 1}")
        seen = self._seen(question)
        return {"layer": layer, "head": head, "weights": _rounded(seen.weights[layer, head])}

    def next(self, question: Question, position: int | None, sampling: Sampling) -> dict[str, Any]:
        """Return the tokens that may follow the one at `position` (the last if None)."""
        seen = self._seen(question)
        T = len(seen.trace.ids)
        if position is not None and position >= T:
            raise Problem(404, f"there is no token {position}: choose one from 0 to {T - 1}")
        at = T - 1 if position is None else position
        by_model = seen.trace.probabilities(at)
        drawn = seen.trace.drawn(sampling, at)
        before = by_model
        if question.off:
            before = self._seen(question._replace(off=())).trace.probabilities(at)

        def candidate(i: int) -> dict[str, Any]:
            piece = self.vocabulary[i]
            return {
                "id": i,
                "piece": piece,
                "shown": visible(piece),
                "probability": float(by_model[i]),
                "drawn": float(drawn[i]),
                "before": float(before[i]),
            }

        likeliest = np.argsort(-by_model, kind="stable")[:N_CANDIDATES]
        changed = np.argsort(-np.abs(by_model - before), kind="stable")[: N_CANDIDATES // 2]
        return {
            "position": at,
            "after": visible(seen.trace.pieces[at]),
            "candidates": [candidate(int(i)) for i in likeliest],
            "changes": [candidate(int(i)) for i in changed] if question.off else [],
            "n_kept": int(np.count_nonzero(drawn)),
            "vocab_size": len(drawn),
        }

    def write(
        self, question: Question, n: int, sampling: Sampling, seed: int | None
    ) -> Generator[dict[str, Any], None, None]:
        """Yield the tokens with which the model continues the text, at most `n`."""
        ids, _ = self._ids(question)
        model = self._without(question.off)
        vocabulary = self.vocabulary
        ends, allowed = end_ids(model, self.tokenizer), drawable(model, self.tokenizer)
        for token in stream(model, [ids], n, sampling, seed, ends, allowed):
            i = int(token[0])
            yield {"id": i, "piece": vocabulary[i], "shown": visible(vocabulary[i])}

    @property
    def cache_size(self) -> int:
        """Bytes of the keys and values of a text while it is written: see `KVCache`."""
        model = self.model
        return 2 * model.n_layers * model.max_len * model.d_model * model.dtype.itemsize

    def _ids(self, question: Question) -> tuple[list[int], bool]:
        """Return the ids of a text, and whether it has any; an empty text gets a first token."""
        if question.more and max(question.more) >= self.model.vocab_size:
            raise Problem(
                404,
                f"there is no token with the id {max(question.more)}: choose one from 0 to "
                f"{self.model.vocab_size - 1}",
            )
        ids = [*self.tokenizer.encode(question.text), *question.more]
        if ids:
            return ids, True
        begin = begin_id(self.model, self.tokenizer)
        return ([begin] if begin is not None else self.tokenizer.encode("\n") or [0]), False

    def _without(self, off: tuple[tuple[int, int], ...]) -> miniGPT:
        try:
            return without_heads(self.model, off) if off else self.model
        except ValueError as error:
            raise Problem(404, f"there is no such head to switch off: {error}") from None

    def _seen(self, question: Question) -> Seen:
        """Return the data for the pictures of a text, from memory if possible."""
        ids, _ = self._ids(question)
        n = min(MAX_LOOK_TOKENS, self.model.max_len)
        n_dropped = max(0, len(ids) - n)
        key = (self._number, tuple(ids[-n:]), n_dropped, tuple(sorted(set(question.off))))
        with self._lock:
            seen: Seen | None = self.memory.get(key)
            if seen is None:
                model = self._without(question.off)
                traced = trace(model, ids[-n:], self.tokenizer)
                if not np.isfinite(traced.logits).all():
                    raise Problem(
                        500, "the model's scores are not finite numbers: its weights are damaged"
                    )
                seen = Seen.of(model, traced, n_dropped)
                self.memory.keep(key, seen, seen.n_bytes)
            return seen


def _rounded(values: Array) -> list[Any]:
    return np.round(values.astype(float), 5).tolist()
