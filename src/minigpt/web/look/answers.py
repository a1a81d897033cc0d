"""The answers: what a model does with a text, as numbers that the page draws."""

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

TOKENS_LOOKED_AT = 128
"""Tokens that are looked at, the last of a text: a picture of more has no place on a page, and all
heads of GPT-2 have 2.4 million weights then."""
N_CANDIDATES = 12
N_LENS = 12
_numbers = itertools.count()


class Asked(NamedTuple):
    """Which text, in which model: see `minigpt.web.asking.fields`."""

    text: str
    more: tuple[int, ...]
    off: tuple[tuple[int, int], ...]


class Seen(NamedTuple):
    """What is drawn of a text: a small part of its trace, and what was computed of the rest.

    Attributes
    ----------
    trace : its ids and logits; what is inside the blocks is not kept.
    weights : (n_layers, H, T, T), of all heads.
    surprises : (T − 1,), nats, of each token but the first.
    lens : of its last tokens.
    """

    trace: Trace
    weights: Array
    surprises: Array
    lens: Lens

    @classmethod
    def of(cls, model: miniGPT, whole: Trace, n_dropped: int) -> Seen:
        """Return what is drawn of a trace of `model`."""
        none = np.empty(0, whole.logits.dtype)
        names = ("token_embedding", "position_embedding", "embedding", "final_norm")
        changes: dict[str, Any] = dict.fromkeys(names, none)
        small = replace(whole, blocks=[], n_dropped=n_dropped, **changes)
        return cls(small, whole.weights, surprise(whole), logit_lens(model, whole, N_LENS))

    @property
    def n_bytes(self) -> int:
        """The memory it takes."""
        arrays = (self.trace.ids, self.trace.logits, self.weights, self.surprises, *self.lens)
        return bytes_of(arrays)


class Looker:
    """Looks into one model.

    Traces are taken one at a time; `trace` leaves the model alone, and text is written by shadows
    of it, so that nothing else has to wait.

    Parameters
    ----------
    model, tokenizer : what is looked into.
    memory : keeps what was asked for lately: several pictures are drawn of each text.
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
        asked: Asked,
        layer: int = 0,
        head: int = 0,
        position: int | None = None,
        sampling: Sampling | None = None,
    ) -> dict[str, Any]:
        """Return all pictures of a text: its tokens, all heads and the lens, and `head` and `next`.

        A `position` that a text, while it is typed, has no longer is the last one's.
        """
        seen = self._seen(asked)
        if position is not None and position >= len(seen.trace.ids):
            position = None
        L, H, T, _ = seen.weights.shape
        surprises = [None, *_rounded(np.minimum(seen.surprises, 99))]
        return {
            "text": asked.text + text_of(self.tokenizer, asked.more),
            "tokens": [
                {"id": int(i), "piece": piece, "shown": visible(piece), "surprise": nats}
                for i, piece, nats in zip(seen.trace.ids, seen.trace.pieces, surprises, strict=True)
            ],
            "n_dropped": seen.trace.n_dropped,
            "is_start": not self._ids(asked)[1],
            # A byte for each weight: enough for small pictures, a tenth of what JSON takes.
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
            "head": self.head(asked, layer, head),
            "next": self.next(asked, position, sampling or Sampling()),
        }

    def head(self, asked: Asked, layer: int, head: int) -> dict[str, Any]:
        """Return the attention weights (T, T) of one head."""
        n_heads = self.model.blocks[0].attention.n_heads
        for name, value, n in (("layer", layer, self.model.n_layers), ("head", head, n_heads)):
            if value >= n:
                raise Problem(404, f"there is no {name} {value}, they go from 0 to {n - 1}")
        seen = self._seen(asked)
        return {"layer": layer, "head": head, "weights": _rounded(seen.weights[layer, head])}

    def next(self, asked: Asked, position: int | None, sampling: Sampling) -> dict[str, Any]:
        """Return what may come after the token at `position`, the last if None, and how likely."""
        seen = self._seen(asked)
        T = len(seen.trace.ids)
        if position is not None and position >= T:
            raise Problem(404, f"there is no token {position}, they go from 0 to {T - 1}")
        at = T - 1 if position is None else position
        by_model = seen.trace.probabilities(at)
        drawn = seen.trace.drawn(sampling, at)
        before = by_model
        if asked.off:
            before = self._seen(asked._replace(off=())).trace.probabilities(at)

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
            "changes": [candidate(int(i)) for i in changed] if asked.off else [],
            "n_kept": int(np.count_nonzero(drawn)),
            "vocab_size": len(drawn),
        }

    def write(
        self, asked: Asked, n: int, sampling: Sampling, seed: int | None
    ) -> Generator[dict[str, Any], None, None]:
        """Yield token after token of what the model goes on with, at most `n`."""
        ids, _ = self._ids(asked)
        model = self._without(asked.off)
        vocabulary = self.vocabulary
        ends, allowed = end_ids(model, self.tokenizer), drawable(model, self.tokenizer)
        for token in stream(model, [ids], n, sampling, seed, ends, allowed):
            i = int(token[0])
            yield {"id": i, "piece": vocabulary[i], "shown": visible(vocabulary[i])}

    @property
    def cache_size(self) -> int:
        """Bytes that the keys and values of a text take while it is written: see `KVCache`."""
        model = self.model
        return 2 * model.n_layers * model.max_len * model.d_model * model.dtype.itemsize

    def _ids(self, asked: Asked) -> tuple[list[int], bool]:
        """Return the ids of a text, and whether there is one: of none, the model begins anew."""
        if asked.more and max(asked.more) >= self.model.vocab_size:
            raise Problem(
                404,
                f"there is no token with the id {max(asked.more)}, they go from 0 to "
                f"{self.model.vocab_size - 1}",
            )
        ids = [*self.tokenizer.encode(asked.text), *asked.more]
        if ids:
            return ids, True
        begin = begin_id(self.model, self.tokenizer)
        return ([begin] if begin is not None else self.tokenizer.encode("\n") or [0]), False

    def _without(self, off: tuple[tuple[int, int], ...]) -> miniGPT:
        try:
            return without_heads(self.model, off) if off else self.model
        except ValueError as error:
            raise Problem(404, f"there is no such head to switch off: {error}") from None

    def _seen(self, asked: Asked) -> Seen:
        """Return what is drawn of a text; what was kept of it if it is still there."""
        ids, _ = self._ids(asked)
        n = min(TOKENS_LOOKED_AT, self.model.max_len)
        n_dropped = max(0, len(ids) - n)
        key = (self._number, tuple(ids[-n:]), n_dropped, tuple(sorted(set(asked.off))))
        with self._lock:
            seen: Seen | None = self.memory.get(key)
            if seen is None:
                model = self._without(asked.off)
                traced = trace(model, ids[-n:], self.tokenizer)
                if not np.isfinite(traced.logits).all():
                    raise Problem(500, "the model's scores are no numbers: its weights are damaged")
                seen = Seen.of(model, traced, n_dropped)
                self.memory.keep(key, seen, seen.n_bytes)
            return seen


def _rounded(values: Array) -> list[Any]:
    return np.round(values.astype(float), 5).tolist()
