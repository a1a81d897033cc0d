"""Lesson 1: guess the next token. The page is lesson_01.md.

Fill in each body, then mark it:   minigpt course mark 1.1

Names of axes, as on the page:

    N  guesses, one for each place in the text      V  tokens to choose from

"(..., V)" means: any number of axes in front, also none. Your code should not care how many
there are: work along the last axis, axis=-1, and keep it with keepdims=True.

`dy` is the gradient of the loss with respect to y: an array of y's shape.
"""

import numpy as np


# 1.1 ---------------------------------------------------------------------------
def softmax(x):
    """Return probabilities: every number positive, each row with the sum 1.

    x : (..., V), scores. Some may be large, such as 1000, and some may be -inf.
    Returns y : (..., V), y_i = exp(x_i) / Σ_j exp(x_j) along the last axis.
    """
    raise NotImplementedError


# 1.2 ---------------------------------------------------------------------------
def softmax_backward(dy, y):
    """Return dx, the gradient with respect to the scores.

    dy : (..., V), the gradient with respect to y.
    y : (..., V), what softmax returned.
    Returns dx : (..., V). Each row sums to 0.
    """
    raise NotImplementedError


# 1.3 ---------------------------------------------------------------------------
def cross_entropy(logits, targets):
    """Return the mean surprise at the right answers, in nats: one number.

    logits : (N, V), a row of scores for each guess. Some may be large.
    targets : (N,), whole numbers: the right answer of each row, from 0 to V − 1.
    Returns L : the mean of −ln softmax(logits_n)[targets_n] over the N rows.
    """
    raise NotImplementedError


# 1.4 ---------------------------------------------------------------------------
def cross_entropy_backward(logits, targets):
    """Return the gradient of cross_entropy with respect to the logits.

    logits : (N, V), targets : (N,), as in 1.3.
    Returns dlogits : (N, V). Each row sums to 0.
    """
    raise NotImplementedError


# 1.5 ---------------------------------------------------------------------------
def bigram_counts(ids, vocab_size):
    """Return how often each token is followed by each other token.

    ids : (T,), the token ids of a text.
    vocab_size : V.
    Returns counts : (V, V), floats. counts[a, b] says how often b comes right after a.
    """
    raise NotImplementedError


# 1.6 ---------------------------------------------------------------------------
def counted_loss(counts):
    """Return the loss of the best possible bigram model, from counts alone.

    counts : (V, V), as in 1.5. A row may be all zeros.
    Returns L : the mean over all pairs (a, b) of the text of −ln(share of b after a).
    """
    raise NotImplementedError


# 1.7 ---------------------------------------------------------------------------
def train_bigram(ids, vocab_size, n_steps, learning_rate):
    """Return a table of scores, learned by gradient descent on the whole text.

    The model is one table: row a holds the scores of what comes after token a. Begin with
    zeros. In each step compute the gradient of the loss of all pairs, with your
    cross_entropy_backward, and go `learning_rate` times the gradient downhill.

    ids : (T,).
    Returns table : (V, V).
    """
    raise NotImplementedError
