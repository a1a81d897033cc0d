"""The answers: what a model does with a text, as numbers that the page draws."""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigpt.analysis import logit_lens, surprise, without_heads
from minigpt.explorer.problems import Problem
from minigpt.functional import Array
from minigpt.generation import stream
from minigpt.sampling import Sampling
from minigpt.token_roles import begin_id, check_tokenizer, drawable, end_ids
from minigpt.tracing import Trace, trace
from minigpt.tracing.pieces import text_of, visible
from minigpt.tracing.record import shadow

if TYPE_CHECKING:
    from minigpt.model import miniGPT
    from minigpt.tokenizers import Tokenizer

MOST_TOKENS = 128
"""Tokens that are looked at, the last of a text: a picture of more has no place on a page, and all
heads of GPT-2 have 2.4 million weights then."""
N_CANDIDATES = 12
N_LENS = 12
KEPT_BYTES = 2**28
"""Of traces that were asked for lately: several pictures are drawn of each."""


class Asked(NamedTuple):
    """Which text, in which model: see `minigpt.explorer.asking.fields`."""

    text: str
    more: tuple[int, ...]
    off: tuple[tuple[int, int], ...]


class Looker:
    """Looks into one model.

    Traces are taken one at a time; `trace` leaves the model alone, and text is written by shadows
    of it, so that nothing else has to wait.
    """

    def __init__(self, model: miniGPT, tokenizer: Tokenizer) -> None:
        check_tokenizer(tokenizer, model.vocab_size)
        self.model, self.tokenizer = model, tokenizer
        self._traces: OrderedDict[Any, tuple[miniGPT, Trace, int]] = OrderedDict()
        self._lock = threading.Lock()

    def look(
        self,
        asked: Asked,
        layer: int = 0,
        head: int = 0,
        position: int | None = None,
        sampling: Sampling | None = None,
    ) -> dict[str, Any]:
        """Give all pictures of a text: its tokens, all heads and the lens, and `head` and `next`.

        A `position` that a text, while it is typed, has no longer is the last one's.
        """
        model, seen = self._seen(asked)
        if position is not None and position >= len(seen.ids):
            position = None
        weights = seen.weights
        L, H, T, _ = weights.shape
        surprises = [None, *_rounded(np.minimum(surprise(seen), 99))]
        lens = logit_lens(model, seen, N_LENS)
        return {
            "text": asked.text + text_of(self.tokenizer, asked.more),
            "tokens": [
                {"id": int(i), "piece": piece, "shown": visible(piece), "surprise": nats}
                for i, piece, nats in zip(seen.ids, seen.pieces, surprises, strict=True)
            ],
            "n_dropped": seen.n_dropped,
            "is_start": not self._ids(asked)[1],
            # A byte for each weight: enough for small pictures, a tenth of what JSON takes.
            "heads": {
                "shape": [L, H, T, T],
                "bytes": base64.b64encode(
                    np.round(weights * 255).astype(np.uint8).tobytes()
                ).decode(),
            },
            "lens": {
                "first": max(0, T - N_LENS),
                "answers": [
                    [
                        {"id": int(i), "shown": visible(seen.vocabulary[i]), "probability": p}
                        for i, p in zip(ids, _rounded(shares), strict=True)
                    ]
                    for ids, shares in zip(lens.tokens, lens.probabilities, strict=True)
                ],
            },
            "head": self.head(asked, layer, head),
            "next": self.next(asked, position, sampling or Sampling()),
        }

    def head(self, asked: Asked, layer: int, head: int) -> dict[str, Any]:
        """Give the attention weights (T, T) of one head."""
        n_heads = self.model.blocks[0].attention.n_heads
        for name, value, n in (("layer", layer, self.model.n_layers), ("head", head, n_heads)):
            if value >= n:
                raise Problem(404, f"there is no {name} {value}, they go from 0 to {n - 1}")
        _, seen = self._seen(asked)
        return {"layer": layer, "head": head, "weights": _rounded(seen.blocks[layer].weights[head])}

    def next(self, asked: Asked, position: int | None, sampling: Sampling) -> dict[str, Any]:
        """Give what may come after the token at `position`, the last if None, and how likely."""
        _, seen = self._seen(asked)
        T = len(seen.ids)
        if position is not None and position >= T:
            raise Problem(404, f"there is no token {position}, they go from 0 to {T - 1}")
        at = T - 1 if position is None else position
        by_model = seen.probabilities(at)
        drawn = seen.drawn(sampling, at)
        before = self._seen(asked._replace(off=()))[1].probabilities(at) if asked.off else by_model

        def candidate(i: int) -> dict[str, Any]:
            piece = seen.vocabulary[i]
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
            "after": visible(seen.pieces[at]),
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
        model = shadow(self._without(asked.off))
        vocabulary = self._seen(asked)[1].vocabulary
        ends, allowed = end_ids(model, self.tokenizer), drawable(model, self.tokenizer)
        for token in stream(model, [ids], n, sampling, seed, ends, allowed):
            i = int(token[0])
            yield {"id": i, "piece": vocabulary[i], "shown": visible(vocabulary[i])}

    def _ids(self, asked: Asked) -> tuple[list[int], bool]:
        """Give the ids of a text, and whether there is one: of none, the model begins anew."""
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

    def _seen(self, asked: Asked) -> tuple[miniGPT, Trace]:
        """Give a trace of a text, and the model it is of; an old one if it is still there."""
        ids, _ = self._ids(asked)
        n = min(MOST_TOKENS, self.model.max_len)
        n_dropped = max(0, len(ids) - n)
        key = (tuple(ids), tuple(sorted(set(asked.off))))
        with self._lock:
            if key not in self._traces:
                model = self._without(asked.off)
                seen = trace(model, ids[-n:], self.tokenizer)
                if not np.isfinite(seen.logits).all():
                    raise Problem(500, "the model's scores are no numbers: its weights are damaged")
                seen = replace(seen, n_dropped=n_dropped)
                self._traces[key] = model, seen, _bytes_of(seen)
                while sum(size for *_, size in self._traces.values()) > KEPT_BYTES:
                    self._traces.popitem(last=False)
                return model, seen
            self._traces.move_to_end(key)
            model, seen, _ = self._traces[key]
            return model, seen


def _bytes_of(seen: Trace) -> int:
    arrays = [value for value in vars(seen).values() if isinstance(value, np.ndarray)]
    for block in seen.blocks:
        arrays += vars(block).values()
    return sum(array.nbytes for array in arrays)


def _rounded(values: Array) -> list[Any]:
    return np.round(values.astype(float), 5).tolist()
