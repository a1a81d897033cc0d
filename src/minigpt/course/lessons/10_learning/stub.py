"""Lesson 10: learning. The page is lesson_10.md.

Fill in each body, then mark it:   minigpt course mark 10.1

params : name -> array, the numbers that are learned.
grads : name -> array of the same shape, the gradient of the loss with respect to each.

The model holds on to these arrays. So an optimizer must write **into** them, as `p -= …` or
`p[...] = …` do. `params["w"] = …` makes a new array that the model never sees.
"""

import math

import numpy as np
from lesson_01 import cross_entropy, cross_entropy_backward


# 10.1 --------------------------------------------------------------------------
class MySGD:
    """Stochastic gradient descent: each step goes straight downhill."""

    def __init__(self, params, grads):
        self.params, self.grads = params, grads

    def step(self, learning_rate):
        """Move each parameter against its gradient, by learning_rate times the gradient.

        The gradients are those of the latest backward pass. Change the arrays in self.params
        in place; leave the gradients as they are. Returns nothing.
        """
        raise NotImplementedError


# 10.2 --------------------------------------------------------------------------
def running_mean(values, beta):
    """Return the running mean after each value, without and with the correction.

    values : (n,) or (n, ...), one after the other.
    beta : from 0 to less than 1, how much of the old mean each step keeps. m starts at 0.
    Returns (means, corrected) : two arrays of the shape of values.
    """
    raise NotImplementedError


# 10.3 --------------------------------------------------------------------------
class MyAdamW:
    """AdamW: every parameter gets a step size of its own.

    self.m, self.v : name -> array, the running means of g and of g². Keep these names: a run
        that is saved and resumed needs them.
    self.t : how many steps were taken.
    """

    def __init__(self, params, grads, beta1=0.9, beta2=0.99, weight_decay=0.1, eps=1e-8):
        self.params, self.grads = params, grads
        self.beta1, self.beta2 = beta1, beta2
        self.weight_decay, self.eps = weight_decay, eps
        self.m = {name: np.zeros_like(p) for name, p in params.items()}
        self.v = {name: np.zeros_like(p) for name, p in params.items()}
        self.t = 0

    def step(self, learning_rate):
        """Change all parameters once, in place, by the seven lines of the page.

        Weight decay comes first, and only for arrays with two axes (p.ndim >= 2). Count the
        step in self.t. Returns nothing.
        """
        raise NotImplementedError


# 10.4 --------------------------------------------------------------------------
def learning_rate_at(step, n_steps, n_warmup, peak, final):
    """Return the learning rate of one step: a rise in a straight line, then half a cosine.

    step : 0, 1, …, n_steps − 1.
    n_warmup : the rise takes the steps 0 to n_warmup − 1. It may be 0. Step n_warmup has the
        rate `peak`; at n_steps, one after the last step, the rate would be `final`.
    Returns a number.
    """
    raise NotImplementedError


# 10.5 --------------------------------------------------------------------------
def clip(grads, max_norm):
    """Shorten the gradient to the length max_norm if it is longer, in place.

    grads : name -> array. All arrays together are one vector, and it has one length.
    Returns norm : the length before, a number.
    """
    raise NotImplementedError


# 10.6 --------------------------------------------------------------------------
def windows(ids, starts, length):
    """Return parts of a text, and at each place the token that comes next.

    ids : (n,), the whole text.
    starts : (B,), where each part begins.
    length : T, the length of each part.
    Returns (x, targets) : each (B, T), whole numbers.
    """
    raise NotImplementedError


# 10.7 --------------------------------------------------------------------------
def train(model, optimizer, batches, rates, max_norm, validation):
    """Train a model, one step for each batch, and watch the loss on text it does not learn.

    model : has forward(ids) -> logits (B, T, V), backward(dlogits), which writes into
        model.grads, and model.grads: name -> array. backward belongs to the latest forward.
    optimizer : has step(learning_rate), and works on the arrays of the model.
    batches : a list of (ids, targets), each (B, T).
    rates : a list, the learning rate of each step.
    max_norm : the gradient is clipped to this length before each step.
    validation : (ids, targets), each (B, T).
    Returns (losses, val_losses) : two arrays (n_steps,). losses[i] is the loss of batch i
        before step i; val_losses[i] is the loss on the validation text after step i.

    cross_entropy and its backward take logits (N, V) and targets (N,): N = B T.
    """
    raise NotImplementedError


# 10.8 --------------------------------------------------------------------------
def overfit():
    """Return what you saw when your model learned a small text by heart.

    Run the program of the page, with your own model or with one of miniGPT's.

    Returns (seen, why) :
        seen : a dictionary with four numbers: "best_step", the step with the lowest
            validation loss; "best_val", that loss; "last_train" and "last_val", the two
            losses at the end.
        why : two sentences: why does one loss rise while the other falls? A person reads it.
    """
    raise NotImplementedError


# 10.9, a bonus -----------------------------------------------------------------
def newton_schulz(g, n_steps, a, b, c):
    """Return a matrix with the directions of g, whose stretches have moved towards 1.

    g : (r, s), not too large. It may be all zeros.
    n_steps : how often to apply X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X.
    Returns X : (r, s). It begins as g / (‖g‖ + 1e-7), where ‖g‖ is the root of the sum of the
        squares of all numbers.
    """
    raise NotImplementedError


# 10.10, a bonus ----------------------------------------------------------------
class MyMuon:
    """Muon, for the matrices between embedding and head; the rest is left to AdamW.

    self.sums : name -> array, the running sums of gradients (momentum).
    """

    def __init__(self, params, grads, momentum=0.95):
        self.params, self.grads, self.momentum = params, grads, momentum
        self.sums = {name: np.zeros_like(p) for name, p in params.items()}

    def step(self, learning_rate):
        """Change all matrices (r, s) once, in place, by the four lines of the page.

        Use newton_schulz with 5 steps and (a, b, c) = (3.4445, -4.7750, 2.0315). Returns
        nothing.
        """
        raise NotImplementedError
