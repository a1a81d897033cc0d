"""Lesson 9: the model. Our solution."""

import numpy as np
from lesson_01 import cross_entropy, cross_entropy_backward
from lesson_03 import MyEmbedding, MyPositions, look_up_backward
from lesson_04 import MyFeedForward
from lesson_05 import MyLayerNorm
from lesson_07 import MyAttention
from lesson_08 import MyBlock


def count_params(V, max_len, C, n_layers):
    norm = 2 * C
    attention = 4 * (C * C + C)
    feed_forward = C * 4 * C + 4 * C + 4 * C * C + C
    block = norm + attention + norm + feed_forward
    tables = V * C + max_len * C
    return tables, block, tables + n_layers * block + norm


def fresh_params(V, max_len, C, n_layers, rng):
    def draw(*shape):
        return 0.02 * rng.normal(size=shape)

    params = {"embedding.weight": draw(V, C), "positions.weight": draw(max_len, C)}
    norms = ["norm"]
    for n in range(n_layers):
        block = f"blocks.{n}"
        norms += [f"{block}.norm_1", f"{block}.norm_2"]
        for name in "qkvo":
            params[f"{block}.attention.w_{name}"] = draw(C, C)
            params[f"{block}.attention.b_{name}"] = np.zeros(C)
        params[f"{block}.feed_forward.w_up"] = draw(C, 4 * C)
        params[f"{block}.feed_forward.b_up"] = np.zeros(4 * C)
        params[f"{block}.feed_forward.w_down"] = draw(4 * C, C)
        params[f"{block}.feed_forward.b_down"] = np.zeros(C)
        for last in ("attention.w_o", "feed_forward.w_down"):
            params[f"{block}.{last}"] /= (2 * n_layers) ** 0.5
    for norm in norms:
        params[f"{norm}.scale"], params[f"{norm}.shift"] = np.ones(C), np.zeros(C)
    return params


def tied_backward(dlogits, ids, weight):
    rows, d_rows = weight[ids].reshape(-1, weight.shape[1]), dlogits.reshape(-1, len(weight))
    from_head = d_rows.T @ rows
    from_embedding = look_up_backward(dlogits @ weight, ids, len(weight))
    return from_head + from_embedding


def part(params, prefix):
    start = prefix + "."
    return {name[len(start) :]: p for name, p in params.items() if name.startswith(start)}


class GPTForward:
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
        layer = kind(part(self.params, prefix), *options)
        self.grads |= {f"{prefix}.{name}": grad for name, grad in layer.grads.items()}
        return layer

    def forward(self, ids):
        x = self.positions.forward(self.embedding.forward(ids))
        for block in self.blocks:
            x = block.forward(x)
        self.hidden = self.norm.forward(x)
        return self.hidden @ self.params["embedding.weight"].T


class MyGPT(GPTForward):
    def backward(self, dlogits):
        weight = self.params["embedding.weight"]
        hidden, d_rows = self.hidden.reshape(-1, weight.shape[1]), dlogits.reshape(-1, len(weight))
        from_head = d_rows.T @ hidden
        d = self.norm.backward(dlogits @ weight)
        for block in reversed(self.blocks):
            d = block.backward(d)
        d = self.positions.backward(d)
        self.embedding.backward(d)
        self.grads["embedding.weight"] += from_head


def learn(model, ids, targets):
    logits = model.forward(ids)
    rows, right = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    d_rows = cross_entropy_backward(rows, right)
    model.backward(d_rows.reshape(logits.shape))
    return cross_entropy(rows, right)


def fit(model, ids, targets, learning_rate, n_steps):
    losses = []
    for _ in range(n_steps):
        losses.append(learn(model, ids, targets))
        for name, p in model.params.items():
            p -= learning_rate * model.grads[name]
    return np.array(losses)


def wrong_gradients(model, ids, targets):
    learn(model, ids, targets)
    derived = {name: grad.copy() for name, grad in model.grads.items()}
    h = 1e-5

    def loss():
        logits = model.forward(ids)
        return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))

    wrong = []
    for name, p in model.params.items():
        slope = np.empty(p.shape)
        for at in np.ndindex(p.shape):
            old = p[at]
            p[at] = old + h
            above = loss()
            p[at] = old - h
            slope[at] = (above - loss()) / (2 * h)
            p[at] = old
        if abs(slope - derived[name]).max() > 1e-6:
            wrong.append(name)
    return wrong
