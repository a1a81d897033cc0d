"""Lesson 11: writing. Our solution."""

import time

import numpy as np
from lesson_01 import softmax
from lesson_06 import MyAttention, join_heads, split_heads


def with_temperature(logits, temperature):
    if temperature == 0:
        best = logits.argmax(axis=-1)
        return np.eye(logits.shape[-1])[best]
    return softmax(logits / temperature)


def keep_top_k(p, k):
    k = min(k, p.shape[-1])
    kth = np.sort(p, axis=-1)[:, -k, None]
    kept = np.where(p >= kth, p, 0.0)
    return kept / kept.sum(axis=-1, keepdims=True)


def keep_top_p(p, top_p):
    order = np.argsort(-p, axis=-1, kind="stable")
    in_order = np.take_along_axis(p, order, axis=-1)
    before = in_order.cumsum(axis=-1) - in_order
    keep = np.empty(p.shape, dtype=bool)
    np.put_along_axis(keep, order, before < top_p, axis=-1)
    kept = np.where(keep, p, 0.0)
    return kept / kept.sum(axis=-1, keepdims=True)


def next_probabilities(logits, temperature, k, top_p):
    p = with_temperature(logits, temperature)
    if k is not None:
        p = keep_top_k(p, k)
    if top_p is not None:
        p = keep_top_p(p, top_p)
    return p


def draw(p, u):
    ends = p.cumsum(axis=-1)
    ends = ends / ends[:, -1:]
    return (u[:, None] < ends).argmax(axis=-1)


class CachedAttention(MyAttention):
    def __init__(self, params, n_heads):
        super().__init__(params, n_heads)
        self.keys = self.values = None

    def read(self, x):
        p = self.params
        q = split_heads(x @ p["w_q"] + p["b_q"], self.n_heads)
        k = split_heads(x @ p["w_k"] + p["b_k"], self.n_heads)
        v = split_heads(x @ p["w_v"] + p["b_v"], self.n_heads)
        if self.keys is not None:
            k = np.concatenate([self.keys, k], axis=2)
            v = np.concatenate([self.values, v], axis=2)
        self.keys, self.values = k, v
        n_new, n_all = q.shape[2], k.shape[2]
        scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        seen = np.tri(n_new, n_all, n_all - n_new, dtype=bool)
        weights = softmax(np.where(seen, scores, -np.inf))
        return join_heads(weights @ v) @ p["w_o"] + p["b_o"]


class MyWriter:
    def __init__(self, params, layers):
        self.params, self.layers = params, layers
        self.max_len = len(params["positions"])
        self.length = 0

    def clear(self):
        self.length = 0
        for layer in self.layers:
            layer.keys = layer.values = None

    def forward(self, ids):
        x = self.params["tokens"][ids] + self.params["positions"][: ids.shape[1]]
        for layer in self.layers:
            x = x + layer.forward(x)
        return x[:, -1] @ self.params["head"]

    def read(self, ids):
        start, self.length = self.length, self.length + ids.shape[1]
        x = self.params["tokens"][ids] + self.params["positions"][start : self.length]
        for layer in self.layers:
            x = x + layer.read(x)
        return x[:, -1] @ self.params["head"]


def write(model, ids, n):
    model.clear()
    new = ids[:, -model.max_len :]
    for _ in range(n):
        if model.length + new.shape[1] > model.max_len:
            model.clear()
            new = ids[:, -model.max_len :]
        logits = model.read(new)
        new = logits.argmax(axis=-1)[:, None]
        ids = np.concatenate([ids, new], axis=1)
    return ids


def measure(model, ids, n):
    start = time.perf_counter()
    plain = ids
    for _ in range(n):
        logits = model.forward(plain[:, -model.max_len :])
        plain = np.concatenate([plain, logits.argmax(axis=-1)[:, None]], axis=1)
    middle = time.perf_counter()
    cached = write(model, ids, n)
    end = time.perf_counter()
    return plain, cached, middle - start, end - middle


# Run this file to see the times. With OPENBLAS_NUM_THREADS=1 in the environment, they are those of
# one core, and vary less.
def a_writer(max_len=300, n_layers=2, C=64, n_heads=4, vocab_size=64, seed=0):
    """Return a MyWriter with random parameters. It writes nonsense, as fast as a trained one."""
    rng = np.random.default_rng(seed)

    def draw_params():
        return {
            kind + name: rng.normal(size=(C, C) if kind == "w_" else C) / C**0.5
            for name in "qkvo"
            for kind in ("w_", "b_")
        }

    params = {
        "tokens": rng.normal(size=(vocab_size, C)),
        "positions": rng.normal(size=(max_len, C)),
        "head": rng.normal(size=(C, vocab_size)),
    }
    return MyWriter(params, [CachedAttention(draw_params(), n_heads) for _ in range(n_layers)])


if __name__ == "__main__":
    for n in (64, 128, 256):
        _, _, slow, fast = measure(a_writer(), np.zeros((1, 8), int), n)
        print(f"{n:4} tokens:  {slow:.3f} s without, {fast:.3f} s with,  {slow / fast:.0f} times")
