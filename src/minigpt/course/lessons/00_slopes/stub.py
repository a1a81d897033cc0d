"""Lesson 0: slopes of arrays. The page is lesson_00.md.

How the course works: replace the line `raise NotImplementedError` of an exercise by your code,
save this file, and go to a terminal in this folder:

    minigpt course mark 0.1      is exercise 0.1 right?
    minigpt course hint 0.1      you are stuck: a hint, three in all
    minigpt course watch         mark again whenever you save

Do not rename the functions and do not change their arguments. You may add functions of your own,
call them from here, and print what you like.

In this file, "gradient of L with respect to x" is an array of the shape of x. Each of its numbers
says how fast L grows when that one number of x grows.
"""

import numpy as np


# 0.1 ---------------------------------------------------------------------------
def squares_backward(x):
    """Return the gradient of L = Σ x_i² with respect to x.

    x : an array of any shape.
    Returns dx : an array of the same shape.
    """
    raise NotImplementedError


# 0.2 ---------------------------------------------------------------------------
STEP = 1e-5


def measure_slopes(loss, x):
    """Measure the slope of a function with respect to each number of x.

    loss : a function. loss(x) is one number.
    x : an array of floats, of any shape. Do not change it: loss gets a copy that you moved.
    Returns slopes : an array of the shape of x. For each number of x, move only this number,
        up by STEP and down by STEP, and divide the difference of the two losses by 2 STEP.
    """
    raise NotImplementedError


# 0.3 ---------------------------------------------------------------------------
def is_right(loss, x, gradient):
    """Say whether a gradient is right, by measuring.

    loss, x : as in 0.2.
    gradient : an array, which somebody says is the gradient of loss at x.
    Returns right : True or False. It is True if two things hold:
        gradient has the shape of x, and
        no number of gradient differs from the measured slope by more than
        1e-6 · max(1, the largest |slope| of all).
    """
    raise NotImplementedError


# 0.4 ---------------------------------------------------------------------------
# Given: six functions, and for each what somebody says is its gradient. Three are wrong.
SUSPECTS = {
    "A": (lambda x: (x**3).sum(), lambda x: 3 * x**2),
    "B": (lambda x: np.abs(x).sum(), lambda x: np.ones(x.shape)),
    "C": (lambda x: x.sum() ** 2, lambda x: 2 * x),
    "D": (lambda x: x.prod(), lambda x: x.prod() / x),
    "E": (lambda x: x.max(), lambda x: 1.0 * (x == x.max())),
    "F": (lambda x: (x[:-1] * x[1:]).sum(), lambda x: np.append(x[1:], 0.0)),
}


def find_wrong():
    """Find the wrong gradients in SUSPECTS with your is_right.

    Returns wrong : a list of names, such as ["A", "D"]. Take arrays x with one axis.
    """
    raise NotImplementedError


# 0.5 ---------------------------------------------------------------------------
def two_ways_backward(ds, dp, a, b):
    """Return the gradients of a and b, which were used twice: s = a + b and p = a * b.

    a, b : two arrays of the same shape.
    ds, dp : the gradients of the loss with respect to s and p. They have that shape, too.
    Returns (da, db) : the gradients of the loss with respect to a and b.
    """
    raise NotImplementedError


# 0.6 ---------------------------------------------------------------------------
def row_sums_backward(dy, n):
    """Return the gradient of x, where y = x.sum(axis=-1).

    dy : (...), the gradient with respect to y. "(...)" means any number of axes, at least one.
    n : the length of the last axis of x, which is gone in y.
    Returns dx : (..., n).
    """
    raise NotImplementedError


# 0.7 ---------------------------------------------------------------------------
def add_bias_backward(dy):
    """Return the gradients of x and b, where y = x + b.

    x has the shape (..., C) and b has (C,): the same b is added to every row of x.
    dy : (..., C), the gradient with respect to y, with any number of axes in front of C.
    Returns (dx, db) : (..., C) and (C,).
    """
    raise NotImplementedError


# 0.8 ---------------------------------------------------------------------------
def product_backward(dy, a, b):
    """Return the gradients of a and b, where y = a @ b.

    a : (N, K), b : (K, M).
    dy : (N, M), the gradient with respect to y.
    Returns (da, db) : (N, K) and (K, M).
    """
    raise NotImplementedError
