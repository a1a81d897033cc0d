"""Lesson 4: Linear, GELU, feed-forward. The page is lesson_04.md.

Fill in each body, then mark it:   minigpt course mark 4.1

Names of axes, as on the page:

    d_in, d_out  lengths of a token's vector before and after a Linear layer
    C  length of a token's vector      F  length of the vector in the middle, often 4 C

"(..., d_in)" means: one axis or more in front, such as (N, d_in) or (B, T, d_in). Your code
should not care how many there are.

`dy` is the gradient of the loss with respect to y: an array of y's shape.
"""

import numpy as np

SQRT_2_OVER_PI = (2 / np.pi) ** 0.5


# 4.1 ---------------------------------------------------------------------------
def linear(x, weight, bias):
    """Return y = x W + b, for every token.

    x : (..., d_in).
    weight : (d_in, d_out), W.
    bias : (d_out,), b.
    Returns y : (..., d_out).
    """
    raise NotImplementedError


# 4.2 ---------------------------------------------------------------------------
def linear_backward(dy, x, weight):
    """Return the three gradients of y = x W + b.

    dy : (..., d_out), the gradient with respect to y.
    x : (..., d_in), weight : (d_in, d_out), as in 4.1.
    Returns (dx, d_weight, d_bias) : (..., d_in), (d_in, d_out) and (d_out,).
    """
    raise NotImplementedError


# 4.3 ---------------------------------------------------------------------------
class MyLinear:
    """x W + b as a layer.

    params : name -> array: weight (d_in, d_out), bias (d_out,).
    grads : name -> array of the same shape.
    """

    def __init__(self, params):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}

    def forward(self, x):
        """Return y, (..., d_out), for x, (..., d_in). Keep on `self` what `backward` needs."""
        raise NotImplementedError

    def backward(self, dy):
        """Write both gradients into `self.grads`, and return dx, (..., d_in).

        dy : (..., d_out). Write `self.grads["weight"][...] = …`, not
        `self.grads["weight"] = …`. Gradients of an earlier call must not remain.
        """
        raise NotImplementedError


# 4.4 ---------------------------------------------------------------------------
def collapse(w_1, b_1, w_2, b_2):
    """Return one Linear layer that does what two do in a row, with nothing in between.

    w_1 : (d_in, d_middle), b_1 : (d_middle,), the first layer.
    w_2 : (d_middle, d_out), b_2 : (d_out,), the second.
    Returns (weight, bias) : (d_in, d_out) and (d_out,), such that for every x
        x @ weight + bias  is equal to  (x @ w_1 + b_1) @ w_2 + b_2.
    """
    raise NotImplementedError


# 4.5 ---------------------------------------------------------------------------
def gelu(x):
    """Return y = x · g, with the gate g = ½ (1 + tanh u) and u = √(2/π) (x + 0.044715 x³).

    x : any shape. Numbers may be large, such as 1000.
    Returns y : the shape of x.
    """
    raise NotImplementedError


# 4.6 ---------------------------------------------------------------------------
def gelu_backward(dy, x):
    """Return dx, the gradient with respect to the input of gelu.

    dy : the gradient with respect to y, any shape.
    x : what went into gelu, the same shape.
    Returns dx : the same shape.
    """
    raise NotImplementedError


# 4.7 ---------------------------------------------------------------------------
class MyFeedForward:
    """Two Linear layers with GELU in between: y = gelu(x W_up + b_up) W_down + b_down.

    params : name -> array: w_up (C, F), b_up (F,), w_down (F, C), b_down (C,).
    grads : name -> array of the same shape.
    """

    def __init__(self, params):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}

    def forward(self, x):
        """Return y, (B, T, C), for x, (B, T, C). Keep on `self` what `backward` needs."""
        raise NotImplementedError

    def backward(self, dy):
        """Write all four gradients into `self.grads`, and return dx.

        dy : (B, T, C), the gradient with respect to y.
        Returns dx : (B, T, C).
        """
        raise NotImplementedError
