"""A model of one block, forward and backward, in plain NumPy lines that equal `miniGPT`.

Read it beside a picture of a Transformer: no classes, no batches of several texts, each line one
step. The backward pass is the forward pass read from the last line to the first.
"""

import numpy as np

from minigpt import miniGPT

V, T, C, H, F = 7, 5, 8, 2, 12  # vocabulary, tokens, d_model, heads, d_ff
D = C // H
MEAN = np.full((C, C), 1 / C)  # x @ MEAN is the mean of each row, in every column


def norm(x, scale, shift):
    s = np.sqrt((x - x @ MEAN) ** 2 @ MEAN + 1e-5)
    x_hat = (x - x @ MEAN) / s
    return scale * x_hat + shift, (x_hat, s)


def norm_back(dy, kept, scale):
    x_hat, s = kept
    d = dy * scale
    return (d - d @ MEAN - x_hat * ((d * x_hat) @ MEAN)) / s, (dy * x_hat).sum(0), dy.sum(0)


def test_one_block_model_equals_plain_numpy():
    model = miniGPT(V, T, C, H, n_layers=1, d_ff=F, seed=0, dtype="float64")
    model.flat.params[...] += np.random.default_rng(1).normal(0, 0.3, model.flat.params.size)
    ids, targets = np.random.default_rng(2).integers(0, V, (2, T))
    p = {name.replace("blocks.0.", ""): param for name, param in model.params().items()}
    Wq, bq = p["attention.qkv.weight"], p["attention.qkv.bias"]
    Wo, bo = p["attention.projection.weight"], p["attention.projection.bias"]
    W1, b1 = p["feed_forward.up.weight"], p["feed_forward.up.bias"]
    W2, b2 = p["feed_forward.down.weight"], p["feed_forward.down.bias"]
    norms = [(p[f"{n}.scale"], p[f"{n}.shift"]) for n in ("norm_1", "norm_2", "final_norm")]

    # Forward.
    x = p["token_embedding.weight"][ids] + p["position_embedding.weight"][:T]  # (T, C)
    n1, kept_1 = norm(x, *norms[0])
    q, k, v = (n1 @ Wq + bq).reshape(T, 3, H, D).transpose(1, 2, 0, 3)  # each (H, T, D)
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(D) + np.triu(np.full((T, T), -np.inf), 1)
    A = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)  # (H, T, T)
    o = (A @ v).transpose(1, 0, 2).reshape(T, C)  # heads side by side
    h = x + o @ Wo + bo
    n2, kept_2 = norm(h, *norms[1])
    u = n2 @ W1 + b1  # (T, F)
    t = np.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u**3))
    y = h + 0.5 * u * (1 + t) @ W2 + b2
    n3, kept_3 = norm(y, *norms[2])
    logits = n3 @ p["head.weight"]  # (T, V)
    P = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    loss = -np.log(P[np.arange(T), targets]).mean()

    # Backward: dz is the gradient of the loss with respect to z.
    g = {}
    d_logits = (P - np.eye(V)[targets]) / T
    g["head.weight"] = n3.T @ d_logits
    dn3 = d_logits @ p["head.weight"].T
    dy, g["final_norm.scale"], g["final_norm.shift"] = norm_back(dn3, kept_3, norms[2][0])
    g["feed_forward.down.weight"] = (0.5 * u * (1 + t)).T @ dy
    g["feed_forward.down.bias"] = dy.sum(0)
    dt = (1 - t**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * u**2)
    du = dy @ W2.T * (0.5 * (1 + t) + 0.5 * u * dt)
    g["feed_forward.up.weight"], g["feed_forward.up.bias"] = n2.T @ du, du.sum(0)
    dh, g["norm_2.scale"], g["norm_2.shift"] = norm_back(du @ W1.T, kept_2, norms[1][0])
    dh = dh + dy  # the residual
    g["attention.projection.weight"], g["attention.projection.bias"] = o.T @ dh, dh.sum(0)
    do = (dh @ Wo.T).reshape(T, H, D).transpose(1, 0, 2)
    dA, dv = do @ v.transpose(0, 2, 1), A.transpose(0, 2, 1) @ do
    dS = A * (dA - (dA * A).sum(-1, keepdims=True)) / np.sqrt(D)
    dq, dk = dS @ k, dS.transpose(0, 2, 1) @ q
    d_qkv = np.stack([dq, dk, dv]).transpose(2, 0, 1, 3).reshape(T, 3 * C)
    g["attention.qkv.weight"], g["attention.qkv.bias"] = n1.T @ d_qkv, d_qkv.sum(0)
    dx, g["norm_1.scale"], g["norm_1.shift"] = norm_back(d_qkv @ Wq.T, kept_1, norms[0][0])
    dx = dx + dh
    g["position_embedding.weight"] = dx
    g["token_embedding.weight"] = np.eye(V)[ids].T @ dx

    found_logits, found_loss = model.forward(ids[None], targets[None])
    model.backward()
    np.testing.assert_allclose(found_logits[0], logits, rtol=1e-12)
    np.testing.assert_allclose(found_loss, loss, rtol=1e-12)
    assert {name.replace("blocks.0.", "") for name in model.grads()} == g.keys()
    for name, gradient in model.grads().items():
        by_hand = g[name.replace("blocks.0.", "")]
        np.testing.assert_allclose(gradient, by_hand, rtol=1e-9, atol=1e-14, err_msg=name)
