"""Lesson 8: the block. Our solution."""

import numpy as np

C, T, B = 8, 6, 16


class MyBlock:
    def __init__(self, norm_1, attention, norm_2, feed_forward):
        self.norm_1, self.attention = norm_1, attention
        self.norm_2, self.feed_forward = norm_2, feed_forward
        self.layers = (norm_1, attention, norm_2, feed_forward)

    def forward(self, x):
        a = self.attention.forward(self.norm_1.forward(x))
        h = x + a
        f = self.feed_forward.forward(self.norm_2.forward(h))
        return h + f

    def backward(self, dy):
        from_f = self.norm_2.backward(self.feed_forward.backward(dy))
        dh = dy + from_f
        from_a = self.norm_1.backward(self.attention.backward(dh))
        return dh + from_a


def gradient_sizes(layers, x, dy, residual):
    for layer in layers:
        y = layer.forward(x)
        x = x + y if residual else y
    sizes = np.zeros(len(layers))
    d = dy
    for k in reversed(range(len(layers))):
        back = layers[k].backward(d)
        d = d + back if residual else back
        sizes[k] = np.sqrt((d * d).mean())
    return sizes


class PostBlock(MyBlock):
    def forward(self, x):
        h = self.norm_1.forward(x + self.attention.forward(x))
        return self.norm_2.forward(h + self.feed_forward.forward(h))

    def backward(self, dy):
        d_sum = self.norm_2.backward(dy)
        dh = d_sum + self.feed_forward.backward(d_sum)
        d_sum_1 = self.norm_1.backward(dh)
        return d_sum_1 + self.attention.backward(d_sum_1)


def train(blocks, end, x, target, learning_rate, n_steps):
    losses = np.zeros(n_steps)
    layers = [layer for block in blocks for layer in block.layers] + [end]
    for step in range(n_steps):
        y = x
        for block in blocks:
            y = block.forward(y)
        error = end.forward(y) - target
        losses[step] = (error * error).mean()
        d = end.backward(2 * error / error.size)
        for block in reversed(blocks):
            d = block.backward(d)
        for layer in layers:
            for name, param in layer.params.items():
                param -= learning_rate * layer.grads[name]
    return losses


def my_layers(C, rng, size=1.0):
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


def fresh(block_class, make_layers, n_blocks, seed):
    rng = np.random.default_rng(seed)
    blocks = [block_class(*make_layers(C, rng)) for _ in range(n_blocks)]
    end = make_layers(C, rng)[0]
    x = rng.normal(size=(B, T, C))
    target = np.zeros((B, T, C))
    target[:, 1:] = x[:, :-1]
    return blocks, end, x, target


def compare(make_layers, n_blocks, n_steps, learning_rate, seeds):
    def last_losses(block_class):
        last = []
        for seed in seeds:
            blocks, end, x, target = fresh(block_class, make_layers, n_blocks, seed)
            last.append(train(blocks, end, x, target, learning_rate, n_steps)[-1])
        return np.array(last)

    pre = last_losses(MyBlock)
    post = last_losses(PostBlock)
    return pre, post


def pre_or_post():
    pre = [0.71, 0.60, 0.68, 0.65, 0.70]
    post = [0.85, 0.83, 0.86, 0.81, 0.88]
    why = (
        "With 2 blocks both kinds learn the same, so PostBlock itself is not wrong and the task "
        "is not too hard for it. What differs with 12 blocks is the depth."
    )
    return "pre", "neither", "neither", "post", pre, post, why
