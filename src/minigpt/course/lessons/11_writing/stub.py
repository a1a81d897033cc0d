"""Lesson 11: writing. The page is lesson_11.md.

Fill in each body, then mark it:   minigpt course mark 11.1

Names of axes, as on the page:

    B  texts in a batch      T  tokens in a text      C  length of a token's vector
    H  heads                 D  length of a head's vector, C / H
    N  rows, each a guess    V  tokens to choose from

`read` is called for a few tokens at a time. K is the number of tokens read so far, with the new
ones.
"""

import time  # for 11.9

import numpy as np
from lesson_01 import softmax
from lesson_06 import MyAttention, join_heads, split_heads


# 11.1 --------------------------------------------------------------------------
def with_temperature(logits, temperature):
    """Return the probabilities of the next token at a temperature.

    logits : (N, V), scores. A token that must not come has the score -inf.
    temperature : a number, 0 or more. 0 means: the largest score gets the probability 1; if
        several are largest, the first of them.
    Returns p : (N, V). Each row sums to 1.
    """
    raise NotImplementedError


# 11.2 --------------------------------------------------------------------------
def keep_top_k(p, k):
    """Return the probabilities when only the k likeliest tokens of each row may come.

    p : (N, V), probabilities.
    k : 1 or more; it may be larger than V. Tokens that tie with the last one kept are kept, too.
    Returns (N, V) : 0 for the other tokens. Each row sums to 1 again.
    """
    raise NotImplementedError


# 11.3 --------------------------------------------------------------------------
def keep_top_p(p, top_p):
    """Return the probabilities when only the likeliest tokens may come that together reach top_p.

    Go through a row from the likeliest token down, of equal ones the smaller id first. Keep
    tokens until the sum of those kept is at least top_p. The token that reaches it is kept.

    p : (N, V), probabilities.
    top_p : above 0, at most 1.
    Returns (N, V) : 0 for the other tokens. Each row sums to 1 again.
    """
    raise NotImplementedError


# 11.4 --------------------------------------------------------------------------
def next_probabilities(logits, temperature, k, top_p):
    """Return the probabilities after temperature, then top-k, then top-p.

    logits : (N, V).
    temperature : as in 11.1.
    k, top_p : as in 11.2 and 11.3; None means: no limit.
    Returns p : (N, V). Each row sums to 1.
    """
    raise NotImplementedError


# 11.5 --------------------------------------------------------------------------
def draw(p, u):
    """Return a token for each row, drawn with its probabilities.

    Token i owns a piece of the line from 0 to 1, as long as p_i; the pieces lie in the order of
    the ids. Return the token whose piece holds u. Its beginning belongs to a piece, its end does
    not. A token with p = 0 is never drawn, even if rounding makes a row sum to less than 1.

    p : (N, V), probabilities.
    u : (N,), random numbers, 0 <= u < 1.
    Returns tokens : (N,), whole numbers.
    """
    raise NotImplementedError


# 11.6 --------------------------------------------------------------------------
class CachedAttention(MyAttention):
    """Your attention of lesson 6, and a `read` that remembers keys and values.

    keys, values : (B, H, K, D), those of all K tokens read so far; None if there are none.
    """

    def __init__(self, params, n_heads):
        super().__init__(params, n_heads)
        self.keys = self.values = None

    def read(self, x):
        """Return the output for new tokens only, which continue the text read so far.

        x : (B, T, C), the vectors of T new tokens. T may be 1.
        Returns y : (B, T, C), the last T rows of what `forward` returns for the whole text.

        Put the new keys and values behind the old ones, in self.keys and self.values. A new token
        sees all old tokens, and the new ones up to itself.
        """
        raise NotImplementedError


# 11.7 --------------------------------------------------------------------------
class MyWriter:
    """A small model: vectors of tokens and places, attention layers, a head.

    params : name -> array. tokens (V, C), positions (max_len, C), head (C, V).
    layers : a list of CachedAttention.
    length : the number of tokens read so far. `read` must count it.
    """

    def __init__(self, params, layers):
        self.params, self.layers = params, layers
        self.max_len = len(params["positions"])
        self.length = 0

    def clear(self):
        """Forget what was read."""
        self.length = 0
        for layer in self.layers:
            layer.keys = layer.values = None

    def forward(self, ids):
        """Return the scores of the next token, (B, V), for whole texts (B, T). No cache."""
        x = self.params["tokens"][ids] + self.params["positions"][: ids.shape[1]]
        for layer in self.layers:
            x = x + layer.forward(x)
        return x[:, -1] @ self.params["head"]

    def read(self, ids):
        """Return the scores of the token after `ids`, which continue the texts read so far.

        ids : (B, T), T new tokens of each text.
        Returns logits : (B, V), those that `forward` returns for the whole text.
        """
        raise NotImplementedError


# 11.8 --------------------------------------------------------------------------
def write(model, ids, n):
    """Return texts with n more tokens, always the likeliest one. Use the cache.

    The model sees at most the last max_len tokens of a text. As long as the text fits, each token
    is read once. When it does not fit any more, clear the cache, and read the last max_len again.

    model : a MyWriter. Its cache may still hold another text.
    ids : (B, T), the beginnings. T may be larger than max_len.
    n : how many tokens to write.
    Returns (B, T + n) : the beginnings and what was written.
    """
    raise NotImplementedError


# 11.9 --------------------------------------------------------------------------
def measure(model, ids, n):
    """Write the same texts without the cache and with it, and measure both times.

    Without the cache, call model.forward for each token, on the last max_len tokens. With it, use
    your `write`. `time.perf_counter()` returns the time in seconds.

    model, ids, n : as in 11.8.
    Returns (without, with_cache, seconds_without, seconds_with) : two arrays (B, T + n), which
        must be equal, and two numbers.
    """
    raise NotImplementedError


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
