"""Lesson 9: the model. The page is lesson_09.md.

Fill in each body, then mark it:   minigpt course mark 9.1

Names of axes, as on the page:

    B  texts in a batch      T  tokens in a text      C  length of a token's vector
    V  tokens to choose from

Here `params` and `grads` hold the arrays of the whole model, name -> array. A name is a path,
such as "blocks.0.attention.w_q": the page has the table of all names and shapes.
"""

import numpy as np
from lesson_01 import cross_entropy, cross_entropy_backward
from lesson_03 import MyEmbedding, MyPositions
from lesson_04 import MyFeedForward
from lesson_05 import MyLayerNorm
from lesson_07 import MyAttention
from lesson_08 import MyBlock


# 9.1 ---------------------------------------------------------------------------
def count_params(V, max_len, C, n_layers):
    """Return how many numbers a GPT learns, from the table of the page.

    The head is tied to the embedding: it has no numbers of its own.
    Returns (tables, block, total) : the two tables together, one block, and the whole model.
    """
    raise NotImplementedError


# 9.2 ---------------------------------------------------------------------------
def fresh_params(V, max_len, C, n_layers, rng):
    """Return the parameters of an untrained GPT, name -> array, as the page describes them.

    rng : a NumPy Generator: rng.normal(size=shape) draws numbers with the mean 0 and the
        standard deviation 1.
    """
    raise NotImplementedError


# 9.3 ---------------------------------------------------------------------------
def tied_backward(dlogits, ids, weight):
    """Return the gradient of a table that is used twice: x = W[ids], then logits = x Wᵀ.

    dlogits : (B, T, V), the gradient with respect to the logits.
    ids : (B, T).
    weight : (V, C), the table W.
    Returns d_weight : (V, C).
    """
    raise NotImplementedError


# ready: nothing to write here ----------------------------------------------------
def part(params, prefix):
    """Return the parameters whose names begin with "prefix.", under the rest of their names."""
    start = prefix + "."
    return {name[len(start) :]: p for name, p in params.items() if name.startswith(start)}


# 9.4 ---------------------------------------------------------------------------
class GPTForward:
    """A GPT made of your layers: from ids to logits.

    params : name -> array, all parameters. n_heads : H.
    grads : name -> array, the gradients: the very arrays that your layers write into.
    """

    def __init__(self, params, n_heads):
        self.params, self.grads = params, {}
        self.embedding = self.make(MyEmbedding, "embedding")
        self.positions = self.make(MyPositions, "positions")
        n_layers = len({name.split(".")[1] for name in params if name.startswith("blocks.")})
        self.blocks = []
        for n in range(n_layers):
            block = f"blocks.{n}"
            norm_1 = self.make(MyLayerNorm, f"{block}.norm_1", 1e-5)
            attention = self.make(MyAttention, f"{block}.attention", n_heads)
            norm_2 = self.make(MyLayerNorm, f"{block}.norm_2", 1e-5)
            feed_forward = self.make(MyFeedForward, f"{block}.feed_forward")
            self.blocks.append(MyBlock(norm_1, attention, norm_2, feed_forward))
        self.norm = self.make(MyLayerNorm, "norm", 1e-5)

    def make(self, kind, prefix, *options):
        """Return a layer with its part of the parameters, and note where its gradients are."""
        layer = kind(part(self.params, prefix), *options)
        self.grads |= {f"{prefix}.{name}": grad for name, grad in layer.grads.items()}
        return layer

    def forward(self, ids):
        """Return logits, (B, T, V), for ids, (B, T).

        embedding, positions, every block, norm, and the head: a product with the embedding's
        table. Keep on `self` what the backward pass of the head will need.
        """
        raise NotImplementedError


# 9.5 ---------------------------------------------------------------------------
class MyGPT(GPTForward):
    """The whole model: your GPTForward, and its backward pass."""

    def backward(self, dlogits):
        """Write the gradients of all parameters into self.grads. Returns nothing.

        dlogits : (B, T, V), the gradient with respect to the logits of the latest forward.

        Gradients of an earlier call must not remain.
        """
        raise NotImplementedError


# 9.6 ---------------------------------------------------------------------------
def learn(model, ids, targets):
    """Return the loss on a batch, and write all gradients of the model.

    model : has forward(ids) -> logits (B, T, V), and backward(dlogits).
    ids, targets : (B, T). The target is the token that comes next at this place.
    Returns loss : a number, the mean cross-entropy over all B T places, in nats.
    """
    raise NotImplementedError


# 9.7 ---------------------------------------------------------------------------
def fit(model, ids, targets, learning_rate, n_steps):
    """Learn the same batch again and again, and return the loss before each step.

    A step: the gradients of the loss, then subtract learning_rate · gradient from every
    parameter. Write into the arrays of model.params.
    model : has params and grads, too. ids, targets : (B, T).
    Returns losses : (n_steps,).
    """
    raise NotImplementedError


# 9.8 ---------------------------------------------------------------------------
def wrong_gradients(model, ids, targets):
    """Return the names of the parameters whose gradient is wrong, in the order of model.params.

    Measure every number of every parameter: move it up and down by 1e-5, and compare the slope
    of the loss with the gradient after `learn`. A parameter is wrong if any of its numbers
    differs by more than 1e-6. Put every number back.
    model, ids, targets : as in `fit`.
    Returns names : a list of strings, empty if all are right.
    """
    raise NotImplementedError
