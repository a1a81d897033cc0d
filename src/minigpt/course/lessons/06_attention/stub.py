"""Lesson 6: attention, forward. The page is lesson_06.md.

Fill in each body, then mark it:   minigpt course mark 6.1

Names of axes, as on the page:

    B  texts in a batch      T  tokens in a text      C  length of a token's vector
    H  heads                 D  length of a head's vector, C / H

"(..., T, D)" means: any number of axes in front, also none. `a @ b` multiplies the last two
axes, and `np.swapaxes(a, -1, -2)` swaps them. `a.T` reverses all axes: do not use it.
"""

import numpy as np
from lesson_01 import softmax


# 6.1 ---------------------------------------------------------------------------
def mix(x):
    """Let every token look at all tokens, and return what each takes from them.

    x : (..., T, D), a vector for each token. It is query, key and value at once.
    Returns (scores, weights, o) :
        scores : (..., T, T), the dot products of row i and row j, divided by √D.
        weights : (..., T, T), the softmax of each row.
        o : (..., T, D), for each token the mix of all vectors with its weights.
    """
    raise NotImplementedError


# 6.2 ---------------------------------------------------------------------------
def one_head(x, w_q, w_k, w_v):
    """Do the same with three learned matrices: one each for queries, keys and values.

    x : (..., T, C).
    w_q, w_k, w_v : (C, D).
    Returns (scores, weights, o) : (..., T, T), (..., T, T) and (..., T, D), as in 6.1.
    """
    raise NotImplementedError


# 6.3 ---------------------------------------------------------------------------
def causal_weights(scores):
    """Return the weights of a text in which no token sees what comes after it.

    scores : (..., T, T). Row i belongs to query i, column j to key j.
    Returns weights : (..., T, T). Each row sums to 1, and weights[i, j] is 0 for j > i.
    """
    raise NotImplementedError


# 6.4 ---------------------------------------------------------------------------
def split_heads(z, n_heads):
    """Cut every token's vector into H parts, and put the heads in front of the tokens.

    z : (B, T, C).
    n_heads : H. C is a multiple of it.
    Returns parts : (B, H, T, D). Head h of a token has the numbers h D to (h + 1) D − 1.
    """
    raise NotImplementedError


# 6.5 ---------------------------------------------------------------------------
def join_heads(z):
    """Undo split_heads.

    z : (B, H, T, D).
    Returns joined : (B, T, C). A token's vector is that of its heads, side by side.
    """
    raise NotImplementedError


# 6.6 ---------------------------------------------------------------------------
class MyAttention:
    """Causal attention with many heads and four projections.

    params : name -> array. w_q, w_k, w_v, w_o are (C, C); b_q, b_k, b_v, b_o are (C,).
    n_heads : H.
    grads : name -> array of the same shape, for lesson 7.
    """

    def __init__(self, params, n_heads):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}
        self.n_heads = n_heads

    def forward(self, x):
        """Return y, (B, T, C), for x, (B, T, C).

        q, k and v are x W + b, cut into heads. Each head goes through 6.3. What the heads
        gathered is joined and goes through w_o and b_o.

        Keep on `self` what the backward pass of lesson 7 will need: x, q, k, v, the weights and
        what was joined.
        """
        raise NotImplementedError


# 6.7 ---------------------------------------------------------------------------
def largest_weights(q, k):
    """Measure how much a query takes from the key it likes best, without √D and with it.

    q : (N, D), N queries.
    k : (N, T, D), T keys for each of them.
    Returns (without, with_root) : two numbers. For each query, take the largest of its T
        weights; return the mean over all queries. `without` uses the scores q · k, `with_root`
        the scores q · k / √D.
    """
    raise NotImplementedError
