"""Lesson 7: attention, backward. The page is lesson_07.md.

Fill in each body, then mark it:   minigpt course mark 7.1

Names of axes, as on the page:

    B  texts in a batch      T  tokens in a text      C  length of a token's vector
    H  heads                 D  length of a head's vector, C / H

"(..., T, D)" means: any number of axes in front, also none. Your code should not care how
many there are. `a @ b` and `np.swapaxes(a, -1, -2)` do not care either.

`do`, for example, is the gradient of the loss with respect to o: an array of o's shape.
"""

import numpy as np
from lesson_06 import MyAttention as Forward
from lesson_06 import join_heads, split_heads


# 7.1 ---------------------------------------------------------------------------
def d_values(do, weights):
    """Return dv, the gradient with respect to the values, where o = A v.

    do : (..., T, D), the gradient with respect to o.
    weights : (..., T, T), the attention weights A. Row i belongs to query i.
    Returns dv : (..., T, D).
    """
    raise NotImplementedError


# 7.2 ---------------------------------------------------------------------------
def d_weights(do, v):
    """Return dA, the gradient with respect to the attention weights, where o = A v.

    do : (..., T, D), the gradient with respect to o.
    v : (..., T, D), the values.
    Returns dA : (..., T, T). Row i belongs to query i, column j to key j.
    """
    raise NotImplementedError


# 7.3 ---------------------------------------------------------------------------
def d_scores(d_weights, weights):
    """Return dS, the gradient with respect to the scores, where A = softmax(S).

    d_weights : (..., T, T), the gradient dA.
    weights : (..., T, T), the attention weights A. Each row sums to 1.
    Returns dS : (..., T, T). Each row sums to 0.
    """
    raise NotImplementedError


# 7.4 ---------------------------------------------------------------------------
def d_queries_keys(d_scores, q, k):
    """Return dq and dk, where S = q kᵀ / √D.

    d_scores : (..., T, T), the gradient dS. It is 0 where the mask was.
    q, k : (..., T, D), the queries and the keys.
    Returns (dq, dk) : each (..., T, D).
    """
    raise NotImplementedError


# 7.5 ---------------------------------------------------------------------------
def attention_backward(do, q, k, v, weights):
    """Return dq, dk and dv of one head: 7.1 to 7.4 in the right order.

    do : (..., T, D), the gradient with respect to o.
    q, k, v : (..., T, D), as they went into the forward pass.
    weights : (..., T, T), the attention weights A of the forward pass.
    Returns (dq, dk, dv) : each (..., T, D).
    """
    raise NotImplementedError


# 7.6 ---------------------------------------------------------------------------
class MyAttention(Forward):
    """Causal attention with many heads: your class of lesson 6, and its backward pass.

    self.params : name -> array. w_q, w_k, w_v, w_o are (C, C); b_q, b_k, b_v, b_o are (C,).
    self.grads : name -> array of the same shape.
    self.n_heads : H.

    Your `forward` must keep on `self` what `backward` needs. If something is missing, add it
    there, in lesson_06.py.
    """

    def backward(self, dy):
        """Write all eight gradients into `self.grads`, and return dx.

        dy : (B, T, C), the gradient with respect to y.
        Returns dx : (B, T, C).

        `forward` is called before every `backward`. Gradients of an earlier call must not
        remain. Write `self.grads["w_o"][...] = …`, not `self.grads["w_o"] = …`: the optimizer
        holds on to the arrays.
        """
        raise NotImplementedError


# 7.7 ---------------------------------------------------------------------------
def zero_gradient():
    """Return the name of the parameter whose gradient is always zero, and why.

    One of MyAttention's eight parameters cannot change the loss, whatever x and the other
    parameters are. Its gradient is 0, up to rounding. Predict first; then print the largest
    number of each gradient of 7.6.

    Returns (name, why) : two strings, such as ("w_q", "Because …"). The marker checks the
    name. A person reads the second; two sentences are enough.
    """
    raise NotImplementedError
