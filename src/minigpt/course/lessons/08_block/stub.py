"""Lesson 8: the block. The page is lesson_08.md.

Fill in each body, then mark it:   minigpt course mark 8.1

Names of axes, as on the page:

    B  texts in a batch      T  tokens in a text      C  length of a token's vector

A layer is an object with `forward(x)`, `backward(dy)`, and the dictionaries `params` and
`grads`. `backward` writes into `grads` and returns dx; `forward` is called before it.

The marker uses simple layers of its own, so you can do this lesson before your other layers
are right. `my_layers` makes yours.
"""

import numpy as np

C, T, B = 8, 6, 16


# 8.1 ---------------------------------------------------------------------------
class MyBlock:
    """A block of a GPT: attention and feed-forward, each behind a norm, each added to its input.

    norm_1, attention, norm_2, feed_forward : four layers.
    """

    def __init__(self, norm_1, attention, norm_2, feed_forward):
        self.norm_1, self.attention = norm_1, attention
        self.norm_2, self.feed_forward = norm_2, feed_forward
        self.layers = (norm_1, attention, norm_2, feed_forward)

    def forward(self, x):
        """Return y, (B, T, C), for x, (B, T, C).

        h = x + attention(norm_1(x))        y = h + feed_forward(norm_2(h))
        """
        raise NotImplementedError

    def backward(self, dy):
        """Return dx, (B, T, C). Each of the four layers writes its own gradients.

        dy : (B, T, C), the gradient with respect to y.
        """
        raise NotImplementedError


# 8.2 ---------------------------------------------------------------------------
def gradient_sizes(layers, x, dy, residual):
    """Measure how large the gradient is at the input of each layer of a stack.

    layers : a list of n layers. Each takes what the one before returns.
    x : the input of the first layer.
    dy : the gradient with respect to the output of the last layer.
    residual : False: layer k computes x_(k+1) = layer(x_k).
        True: x_(k+1) = x_k + layer(x_k).
    Returns sizes : (n,). sizes[k] is the root of the mean of the squares of the gradient with
        respect to x_k, the input of layer k.
    """
    raise NotImplementedError


# 8.3 ---------------------------------------------------------------------------
class PostBlock(MyBlock):
    """The block of 2017: the norms come after the sums. `__init__` is that of MyBlock."""

    def forward(self, x):
        """Return y, (B, T, C), for x, (B, T, C).

        h = norm_1(x + attention(x))        y = norm_2(h + feed_forward(h))
        """
        raise NotImplementedError

    def backward(self, dy):
        """Return dx, (B, T, C). Each of the four layers writes its own gradients.

        dy : (B, T, C), the gradient with respect to y.
        """
        raise NotImplementedError


# 8.4 ---------------------------------------------------------------------------
def train(blocks, end, x, target, learning_rate, n_steps):
    """Train a stack of blocks by plain steps downhill, and return the losses.

    blocks : a list. Each block has `forward`, `backward` and `layers`, as MyBlock has.
    end : one more layer, after the last block.
    x, target : (B, T, C). The stack is to return the target for x.
    learning_rate, n_steps : numbers.
    Returns losses : (n_steps,). losses[i] is the loss before step i: the mean, over all B · T · C
        numbers, of (what the stack returns − target)².

    A step: go forward, go backward, then subtract learning_rate · gradient from each parameter of
    each layer, also of `end`. Write into the arrays in `params`.
    """
    raise NotImplementedError


# ready: nothing to write here ----------------------------------------------------
def my_layers(C, rng, size=1.0):
    """Return fresh layers (norm_1, attention, norm_2, feed_forward): yours of lessons 4, 5, 7.

    The last matrices of attention and feed-forward are multiplied by `size`.
    """
    from lesson_04 import MyFeedForward
    from lesson_05 import MyLayerNorm
    from lesson_07 import MyAttention

    def matrix(rows, columns):
        return rng.normal(size=(rows, columns)) / np.sqrt(rows)

    def norm():
        return MyLayerNorm({"scale": np.ones(C), "shift": np.zeros(C)}, 1e-5)

    gather = {"w_" + name: matrix(C, C) for name in "qkvo"}
    gather |= {"b_" + name: np.zeros(C) for name in "qkvo"}
    think = {"w_up": matrix(C, 4 * C), "w_down": matrix(4 * C, C)}
    think |= {"b_up": np.zeros(4 * C), "b_down": np.zeros(C)}
    gather["w_o"] *= size
    think["w_down"] *= size
    return norm(), MyAttention(gather, 2), norm(), MyFeedForward(think)


# ready, too ------------------------------------------------------------------------
def fresh(block_class, make_layers, n_blocks, seed):
    """Return (blocks, end, x, target): a fresh stack, and what it is to learn.

    block_class : MyBlock or PostBlock.
    make_layers : (C, rng) -> four layers, such as my_layers.
    The task: return the vector of the token before, and 0 for the first token. The same seed
    gives the same layers and the same texts, whatever block_class is.
    """
    rng = np.random.default_rng(seed)
    blocks = [block_class(*make_layers(C, rng)) for _ in range(n_blocks)]
    end = make_layers(C, rng)[0]
    x = rng.normal(size=(B, T, C))
    target = np.zeros((B, T, C))
    target[:, 1:] = x[:, :-1]
    return blocks, end, x, target


# 8.5 ---------------------------------------------------------------------------
def compare(make_layers, n_blocks, n_steps, learning_rate, seeds):
    """Train stacks of MyBlock and of PostBlock, in pairs that differ in nothing else.

    make_layers, n_blocks : for `fresh`.
    n_steps, learning_rate : for `train`.
    seeds : a list of numbers. Each makes one pair of stacks, with the same fresh layers and the
        same texts.
    Returns (pre, post) : each (len(seeds),), the last loss of each stack of MyBlock, and of
        PostBlock.
    """
    raise NotImplementedError


# 8.6 ---------------------------------------------------------------------------
def pre_or_post():
    """Predict, then run, then write down what you saw. The page has the lines to run.

    Returns a tuple (deep, shallow, fresh_gradient, trained_gradient, pre, post, why). The first
    four are "pre" (MyBlock), "post" (PostBlock) or "neither":
        deep : which kind ends with a last loss that is lower by at least 0.03, with 12 blocks,
            for each of the seeds 0 to 4?
        shallow : which kind, with 2 blocks, by at least 0.03, for each of the seeds?
        fresh_gradient : in which kind is the gradient at the input of the first of 12 fresh
            blocks at least 3 times smaller than in the other, for each of the seeds?
        trained_gradient : the same after 60 steps of training.
        pre, post : the last losses that you measured with 12 blocks: two lists of five numbers,
            one for each seed, two digits. The marker allows for rounding, which such a training
            makes larger.
        why : why did you run 2 blocks, too? A sentence or two. A person reads it.
    """
    raise NotImplementedError
