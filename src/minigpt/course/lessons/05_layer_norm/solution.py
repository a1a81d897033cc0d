"""Lesson 5: LayerNorm. Our solution."""

import numpy as np


def normalize(x, eps):
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    s = np.sqrt(variance + eps)
    return centred / s, s


def scale_shift_backward(dy, x_hat, scale):
    C = dy.shape[-1]
    d_x_hat = dy * scale
    d_scale = (dy * x_hat).reshape(-1, C).sum(axis=0)
    d_shift = dy.reshape(-1, C).sum(axis=0)
    return d_x_hat, d_scale, d_shift


def through_variance(d_x_hat, x_hat, s):
    ds = -(d_x_hat * x_hat).sum(axis=-1, keepdims=True) / s
    d_centred = d_x_hat / s + ds * x_hat / x_hat.shape[-1]
    return ds, d_centred


def through_mean(d_centred):
    return d_centred - d_centred.mean(axis=-1, keepdims=True)


class MyLayerNorm:
    def __init__(self, params, eps):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}
        self.eps = eps

    def forward(self, x):
        self.x_hat, self.s = normalize(x, self.eps)
        return self.params["scale"] * self.x_hat + self.params["shift"]

    def backward(self, dy):
        d_x_hat, d_scale, d_shift = scale_shift_backward(dy, self.x_hat, self.params["scale"])
        self.grads["scale"][...] = d_scale
        self.grads["shift"][...] = d_shift
        _, d_centred = through_variance(d_x_hat, self.x_hat, self.s)
        return through_mean(d_centred)


def rms_norm(x, scale, eps):
    r = np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    return scale * (x / r)


def rms_norm_backward(dy, x, scale, eps):
    r = np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    x_hat = x / r
    d_scale = (dy * x_hat).reshape(-1, x.shape[-1]).sum(axis=0)
    d_x_hat = dy * scale
    through_r = x_hat * (d_x_hat * x_hat).mean(axis=-1, keepdims=True)
    dx = (d_x_hat - through_r) / r
    return dx, d_scale


def predict_changes():
    why = (
        "Both change the distances from the mean and the root s by the same factor, and the "
        "quotient stays. RMSNorm does not subtract the mean, so it sees the 7."
    )
    return "same", "same", "same", "new", 1 / 3, why
