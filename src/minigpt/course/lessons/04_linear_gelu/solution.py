"""Lesson 4: Linear, GELU, feed-forward. Our solution."""

import numpy as np

SQRT_2_OVER_PI = (2 / np.pi) ** 0.5


def linear(x, weight, bias):
    return x @ weight + bias


def linear_backward(dy, x, weight):
    rows = x.reshape(-1, x.shape[-1])
    d_rows = dy.reshape(-1, dy.shape[-1])
    dx = dy @ weight.T
    d_weight = rows.T @ d_rows
    d_bias = d_rows.sum(axis=0)
    return dx, d_weight, d_bias


class MyLinear:
    def __init__(self, params):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}

    def forward(self, x):
        self.x = x
        return linear(x, self.params["weight"], self.params["bias"])

    def backward(self, dy):
        dx, d_weight, d_bias = linear_backward(dy, self.x, self.params["weight"])
        self.grads["weight"][...] = d_weight
        self.grads["bias"][...] = d_bias
        return dx


def collapse(w_1, b_1, w_2, b_2):
    weight = w_1 @ w_2
    bias = b_1 @ w_2 + b_2
    return weight, bias


def gelu(x):
    u = SQRT_2_OVER_PI * (x + 0.044715 * x**3)
    gate = 0.5 * (1 + np.tanh(u))
    return x * gate


def gelu_backward(dy, x):
    t = np.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x**3))
    du = SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x**2)
    g = 0.5 * (1 + t)
    dg = 0.5 * (1 - t**2) * du
    return dy * (g + x * dg)


class MyFeedForward:
    def __init__(self, params):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}

    def forward(self, x):
        p = self.params
        hidden = linear(x, p["w_up"], p["b_up"])
        active = gelu(hidden)
        y = linear(active, p["w_down"], p["b_down"])
        self.x, self.hidden, self.active = x, hidden, active
        return y

    def backward(self, dy):
        p = self.params
        d_active, d_w_down, d_b_down = linear_backward(dy, self.active, p["w_down"])
        d_hidden = gelu_backward(d_active, self.hidden)
        dx, d_w_up, d_b_up = linear_backward(d_hidden, self.x, p["w_up"])
        gradients = {"w_up": d_w_up, "b_up": d_b_up, "w_down": d_w_down, "b_down": d_b_down}
        for name, gradient in gradients.items():
            self.grads[name][...] = gradient
        return dx
