"""Lesson 3: embeddings and positions. The page is lesson_03.md.

Fill in each body, then mark it:   minigpt course mark 3.1

Names of axes, as on the page:

    B  texts in a batch      T  tokens in a text      C  length of a token's vector
    V  tokens in the vocabulary

"(...)" means: one axis or more. Ids may be (T,), one text, or (B, T), a batch of texts. Your
code should work for both.

`dy` is the gradient of the loss with respect to y: an array of y's shape.
"""

import numpy as np


# 3.1 ---------------------------------------------------------------------------
def one_hot(ids, n_rows):
    """Return a row for each id: 1 at the place of the id, 0 elsewhere.

    ids : (...), whole numbers from 0 to V − 1.
    n_rows : V.
    Returns X : (..., V), floats.
    """
    raise NotImplementedError


# 3.2 ---------------------------------------------------------------------------
def look_up(ids, weight):
    """Return the vector of each token: y_n = W[ids_n].

    ids : (...), whole numbers from 0 to V − 1.
    weight : (V, C), the table W. Row i is the vector of token i.
    Returns y : (..., C).
    """
    raise NotImplementedError


# 3.3 ---------------------------------------------------------------------------
def look_up_backward(dy, ids, n_rows):
    """Return the gradient with respect to the table, where y = look_up(ids, weight).

    dy : (..., C), the gradient with respect to y.
    ids : (...), as in 3.2. The same id may come several times, in one text or in several.
    n_rows : V.
    Returns d_weight : (V, C). Rows of tokens that do not occur are 0.
    """
    raise NotImplementedError


# 3.4 ---------------------------------------------------------------------------
class MyEmbedding:
    """A table with a learned vector for each token.

    params : name -> array: weight (V, C).
    grads : name -> array of the same shape.
    """

    def __init__(self, params):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}

    def forward(self, ids):
        """Return y, (B, T, C), for ids, (B, T).

        Keep on `self` what `backward` needs. `forward` must not read what an earlier call kept.
        """
        raise NotImplementedError

    def backward(self, dy):
        """Write the gradient of the table into `self.grads["weight"]`. Return nothing.

        dy : (B, T, C), the gradient with respect to y.

        Ids have no gradient: there is no id between 3 and 4. `forward` is called before every
        `backward`. Gradients of an earlier call must not remain. Write
        `self.grads["weight"][...] = …`, not `self.grads["weight"] = …`: the optimizer holds on to
        the array.
        """
        raise NotImplementedError


# 3.5 ---------------------------------------------------------------------------
class MyPositions:
    """A learned vector for each place of a text, added to the vector of the token there.

    params : name -> array: weight (max_len, C). Row t is the vector of place t.
    grads : name -> array of the same shape.
    """

    def __init__(self, params):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}

    def forward(self, x):
        """Return y, (B, T, C), for x, (B, T, C), with T ≤ max_len: y_bt = x_bt + P[t].

        Keep on `self` what `backward` needs.
        """
        raise NotImplementedError

    def backward(self, dy):
        """Write the gradient of P into `self.grads["weight"]`, and return dx.

        dy : (B, T, C), the gradient with respect to y.
        Returns dx : (B, T, C).

        As in 3.4, write into the array, and let nothing of an earlier call remain: that text may
        have been longer.
        """
        raise NotImplementedError


# 3.6 ---------------------------------------------------------------------------
def compare(a, b, order):
    """Say what shuffling did: compare the result for a text with that for the shuffled text.

    a : (T, C), computed from the text.
    b : (T, C), computed from the shuffled text, in which place t holds the token that was at
        place order[t] before: shuffled_ids = ids[order].
    order : (T,), each number from 0 to T − 1 once.
    Returns word : a string.
        "same" if b is equal to a.
        "moved" if it is not, but row t of b is equal to row order[t] of a, for every t.
        "new" in all other cases.
    Numbers are equal if they differ by rounding only: at most 1e-9.
    """
    raise NotImplementedError


# 3.7 ---------------------------------------------------------------------------
def predict_shuffle():
    """Predict what changes when a text is shuffled. Write your answers down before you run it.

    Take a text of T different tokens, its ids (T,), and a table W; P has T rows. Shuffle the
    text: ids[order]. For the gradients, the rows of dy are shuffled with the tokens: dy[order].

    Returns a tuple of seven strings. The first six are "same", "moved" or "new", as in 3.6:
        vectors : what happens to the vectors of the tokens, y = W[ids]?
        placed : to y + P?
        total : to the sum of the rows of y, one vector? (It has no rows: "same" or "new".)
        placed_total : to the sum of the rows of y + P? ("same" or "new")
        d_table : to the gradient of W, where y = W[ids]? (Its rows are tokens: "same" or "new".)
        d_positions : to the gradient of P?
        why : explain your answer for placed_total, in a sentence or two. A person reads it.
    """
    raise NotImplementedError
