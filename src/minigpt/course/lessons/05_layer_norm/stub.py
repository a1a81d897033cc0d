"""Lesson 5: LayerNorm. The page is lesson_05.md.

Fill in each body, then mark it:   minigpt course mark 5.1

Names of axes, as on the page:

    B  texts in a batch      T  tokens in a text      C  length of a token's vector

"(..., C)" means: one or more axes in front. A row is the vector of one token, the last axis.
With axis=-1 and keepdims=True, a mean of a (..., C) array is (..., 1), and stands beside its
row.

`dy` is the gradient of the loss with respect to y: an array of y's shape.
"""

import numpy as np


# 5.1 ---------------------------------------------------------------------------
def normalize(x, eps):
    """Return each row with mean 0 and variance 1, and what it was divided by.

    x : (..., C).
    eps : a small number, added to the variance under the root.
    Returns (x_hat, s) :
        x_hat : (..., C), x̂ = (x − mean) / s.
        s : (..., 1), s = √(variance + eps). The variance is the mean of (x − mean)².
    """
    raise NotImplementedError


# 5.2 ---------------------------------------------------------------------------
def scale_shift_backward(dy, x_hat, scale):
    """Return the three gradients of y = scale · x̂ + shift.

    dy : (..., C), the gradient with respect to y.
    x_hat : (..., C), from 5.1.
    scale : (C,). Every row of every text was multiplied by it.
    Returns (d_x_hat, d_scale, d_shift) : (..., C), (C,) and (C,).
    """
    raise NotImplementedError


# 5.3 ---------------------------------------------------------------------------
def through_variance(d_x_hat, x_hat, s):
    """Go back through x̂ = c / s, where s = √(mean(c²) + eps) depends on c, too.

    d_x_hat : (..., C), the gradient with respect to x̂.
    x_hat : (..., C), and s : (..., 1), from 5.1. You do not need c: it is x̂ · s.
    Returns (ds, d_centred) :
        ds : (..., 1), the gradient with respect to s.
        d_centred : (..., C), the gradient with respect to c, by both ways.
    """
    raise NotImplementedError


# 5.4 ---------------------------------------------------------------------------
def through_mean(d_centred):
    """Go back through c = x − mean(x).

    d_centred : (..., C), the gradient with respect to c.
    Returns dx : (..., C), by both ways. Each row sums to 0.
    """
    raise NotImplementedError


# 5.5 ---------------------------------------------------------------------------
class MyLayerNorm:
    """y = scale · x̂ + shift, where each row of x̂ has mean 0 and variance 1.

    params : name -> array: scale (C,) and shift (C,).
    eps : a small number, added to the variance under the root.
    grads : name -> array of the same shape.
    """

    def __init__(self, params, eps):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}
        self.eps = eps

    def forward(self, x):
        """Return y, (B, T, C), for x, (B, T, C).

        Keep on `self` what `backward` needs. `forward` must not read what an earlier call kept.
        """
        raise NotImplementedError

    def backward(self, dy):
        """Write the gradients of scale and shift into `self.grads`, and return dx.

        dy : (B, T, C), the gradient with respect to y.
        Returns dx : (B, T, C).

        `forward` is called before every `backward`. Gradients of an earlier call must not
        remain. Write `self.grads["scale"][...] = …`, not `self.grads["scale"] = …`: the optimizer
        holds on to the arrays.
        """
        raise NotImplementedError


# 5.6 ---------------------------------------------------------------------------
def rms_norm(x, scale, eps):
    """Return y = scale · x / r, where r = √(mean of x² + eps), for each row.

    x : (..., C).
    scale : (C,).
    eps : a small number, added under the root.
    Returns y : (..., C).
    """
    raise NotImplementedError


# 5.7 ---------------------------------------------------------------------------
def rms_norm_backward(dy, x, scale, eps):
    """Return the gradients of y = rms_norm(x, scale, eps). Derive them first, on paper.

    dy : (..., C), the gradient with respect to y.
    x, scale, eps : as in 5.6.
    Returns (dx, d_scale) : (..., C) and (C,).
    """
    raise NotImplementedError


# 5.8 ---------------------------------------------------------------------------
def predict_changes():
    """Predict what the two norms do not see. Write your answers down before you run anything.

    Take a row x of different numbers, and eps = 0. Say "same" if y stays the same, and "new" if
    it does not.

    Returns a tuple (layer_times, layer_plus, rms_times, rms_plus, dx_factor, why) :
        layer_times : y of LayerNorm, if every number of x is multiplied by 3?
        layer_plus : y of LayerNorm, if 7 is added to every number of x?
        rms_times : y of RMSNorm, if every number of x is multiplied by 3?
        rms_plus : y of RMSNorm, if 7 is added to every number of x?
        dx_factor : every number of x is multiplied by 3, and dy stays the same. By which number
            is dx of LayerNorm multiplied? A float, such as 2.0.
        why : explain your answer for rms_plus, in a sentence or two. A person reads it.
    """
    raise NotImplementedError
