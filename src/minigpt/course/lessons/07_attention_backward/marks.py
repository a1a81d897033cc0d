"""How lesson 7 is marked: cases, slopes and known mistakes."""

import numpy as np

from minigpt.course.exercise import (
    Exercise,
    Mistake,
    central_differences,
    layer_slopes,
    run_layer,
)

PARAMS = tuple(kind + name for name in "qkvo" for kind in ("w_", "b_"))
GRADS = tuple(f"d_{name}" for name in PARAMS)


def softmax(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def head(q, k, v):
    """Return the weights and the output of one causal head."""
    scores = q @ np.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5
    weights = softmax(np.where(np.tri(q.shape[-2], dtype=bool), scores, -np.inf))
    return weights, weights @ v


# ---- cases -----------------------------------------------------------------------


def one_head(seed):
    rng = np.random.default_rng(seed)

    def case(q, k, v, do):
        weights, _ = head(q, k, v)
        dA = do @ np.swapaxes(v, -1, -2)
        dS = weights * (dA - (dA * weights).sum(-1, keepdims=True))
        return {
            "q": q,
            "k": k,
            "v": v,
            "do": do,
            "weights": weights,
            "d_weights": dA,
            "d_scores": dS,
        }

    def draw(*shape):
        return rng.normal(size=shape)

    page = [[[1, 0], [1, 1]], [[1, 0], [0, 1]], [[1, 1], [1, 0]], [[2, 1], [1, 2]]]
    yield "the example of the page", case(*np.array(page, float))
    yield "one token", case(*rng.integers(1, 4, (4, 1, 2)).astype(float))
    yield "three tokens", case(*rng.integers(-2, 3, (4, 3, 2)).astype(float))
    yield "all scores equal", case(np.zeros((2, 4, 3)), *draw(3, 2, 4, 3))
    yield "B = 1, H = 1", case(*draw(4, 1, 1, 4, 2))
    yield "B = 2, H = 3", case(*draw(4, 2, 3, 4, 5))
    yield "T = D", case(*draw(4, 3, 2, 3, 3))
    yield "large scores", case(100 * draw(2, 5, 3), *draw(3, 2, 5, 3))


def whole_layer(seed):
    rng = np.random.default_rng(seed)

    def case(B, T, C, H, draw, **fixed):
        params = {name: draw((C, C) if name[0] == "w" else (C,)) for name in PARAMS}
        x, dy = draw((B, T, C)), draw((B, T, C))
        return {**params, "x": x, "dy": dy, "n_heads": H, **fixed}

    def normal(shape):
        return rng.normal(size=shape)

    def halves(shape):
        return rng.choice([-1.0, -0.5, 0.5, 1.0], shape)

    yield "B = 1, T = 2, C = 2, one head", case(1, 2, 2, 1, halves)
    yield "B = 1, T = 2, C = 2, two heads", case(1, 2, 2, 2, halves)
    yield "one token", case(1, 1, 4, 2, normal)
    yield "two texts", case(2, 3, 4, 2, normal)
    no_queries = {"w_q": np.zeros((6, 6)), "b_q": np.zeros(6)}
    yield "all scores equal", case(2, 4, 6, 3, normal, **no_queries)
    yield "large scores", case(1, 5, 4, 2, lambda shape: 10 * normal(shape))


# ---- slopes: the loss as a function of one array -----------------------------------


def slopes_values(module, i):
    return {"dv": central_differences(lambda v: (i["do"] * (i["weights"] @ v)).sum(), i["v"])}


def slopes_weights(module, i):
    return {"dA": central_differences(lambda A: (i["do"] * (A @ i["v"])).sum(), i["weights"])}


def slopes_scores(module, i):
    seen = i["weights"] > 0
    scores = np.log(np.where(seen, i["weights"], 1))

    def loss(S):
        return (i["d_weights"] * softmax(np.where(seen, S, -np.inf))).sum()

    return {"dS": central_differences(loss, scores)}


def slopes_queries_keys(module, i):
    def loss(q, k):
        return (i["d_scores"] * (q @ np.swapaxes(k, -1, -2))).sum() / q.shape[-1] ** 0.5

    return {
        "dq": central_differences(lambda q: loss(q, i["k"]), i["q"]),
        "dk": central_differences(lambda k: loss(i["q"], k), i["k"]),
    }


def slopes_head(module, i):
    def loss(name, value):
        q, k, v = (value if n == name else i[n] for n in "qkv")
        return (i["do"] * head(q, k, v)[1]).sum()

    return {f"d{n}": central_differences(lambda a, n=n: loss(n, a), i[n]) for n in "qkv"}


# ---- known mistakes: what stands in the solution → what a learner may write ----------

DV = "return np.swapaxes(weights, -1, -2) @ do"
VALUES = (
    Mistake(
        "A for Aᵀ",
        {DV: "return weights @ do"},
        "you used A where Aᵀ belongs. Forward, o_i sums over the keys j. Backward, v_j gets "
        "something from every query i that looked at it, so the sum runs over i.",
    ),
    Mistake("minus", {DV: f"{DV} * -1"}, "the sign is wrong: o grows with v where A is positive."),
    Mistake(
        "no weights",
        {DV: "return do.copy()"},
        "A is missing: query i takes only the share A_ij of v_j.",
    ),
    Mistake(
        "column sums",
        {DV: "return weights.sum(axis=-2)[..., None] * do"},
        "you multiplied do_j by the sum of column j. The weights belong inside the sum: "
        "Σ_i A_ij do_i.",
    ),
    Mistake(
        "mean over queries",
        {DV: f"{DV} / weights.shape[-1]"},
        "you took a mean over queries. One v_j is used in several places, and the gradients of "
        "its uses add up.",
    ),
)

DA = "return do @ np.swapaxes(v, -1, -2)"
WEIGHTS = (
    Mistake(
        "transposed",
        {DA: "return v @ np.swapaxes(do, -1, -2)"},
        "this is dAᵀ. Row i belongs to query i, as in A: dA_ij = do_i · v_j, so do stands on the "
        "left.",
    ),
    Mistake("minus", {DA: f"{DA} * -1"}, "the sign is wrong: o_i moves by +v_j when A_ij grows."),
    Mistake(
        "over the root",
        {DA: f"{DA} / v.shape[-1] ** 0.5"},
        "you divided by √D. It belongs to S = q kᵀ / √D; there is no √D in o = A v.",
    ),
    Mistake(
        "masked",
        {DA: f"{DA} * np.tri(v.shape[-2])"},
        "you set dA to 0 above the diagonal. The mask acts on S. That A_ij is 0 there does not "
        "make ∂L/∂A_ij 0. (The factor A in step 3 hides it later, but the exercise asks for dA.)",
    ),
    Mistake(
        "with itself",
        {DA: "return do @ np.swapaxes(do, -1, -2)"},
        "you used do twice. Which array does A multiply in o = A v?",
    ),
)

SUM = "mean = (d_weights * weights).sum(axis=-1, keepdims=True)"
DS = "return weights * (d_weights - mean)"
SCORES = (
    Mistake(
        "mean for sum",
        {SUM: SUM.replace("sum(", "mean(")},
        "you divided by the number of keys. The weights of a row sum to 1 already, so the "
        "weighted mean is the plain sum Σ_k dA_ik A_ik.",
    ),
    Mistake(
        "no keepdims",
        {SUM: "mean = (d_weights * weights).sum(axis=-1)"},
        "keepdims=True is missing. The sums are one number for each row, (T,), and NumPy lays"
        " them along the columns.",
    ),
    Mistake(
        "no sum",
        {DS: "return weights * d_weights"},
        "the sum Σ_k dA_ik A_ik is missing. A row of A always sums to 1: raising one score lowers "
        "all other weights of the row, and that is the second term.",
    ),
    Mistake(
        "wrong axis",
        {SUM: "mean = (d_weights * weights).sum(axis=-2, keepdims=True)"},
        "the sum runs over queries (axis -2). Softmax worked on the rows, so it runs over keys "
        "(axis -1).",
    ),
    Mistake(
        "unweighted sum",
        {SUM: "mean = d_weights.sum(axis=-1, keepdims=True)"},
        "the sum over dA is not weighted. It is Σ_k dA_ik A_ik, the mean of the row under its own "
        "weights.",
    ),
    Mistake(
        "plain mean",
        {SUM: "mean = d_weights.mean(axis=-1, keepdims=True)"},
        "you subtracted the plain mean of the row. It must be weighted by A: Σ_k dA_ik A_ik.",
    ),
    Mistake(
        "no A in front",
        {DS: "return d_weights - mean"},
        "the factor A in front is missing: a key that gets no attention has a score with no "
        "effect.",
    ),
    Mistake(
        "diagonal only",
        {DS: "return weights * (1 - weights) * d_weights"},
        "A (1 − A) is only the diagonal of softmax's derivative, ∂A_ij/∂S_ij. Score S_ij moves the "
        "other weights of row i too.",
    ),
    Mistake(
        "plus", {DS: "return weights * (d_weights + mean)"}, "the sum is subtracted, not added."
    ),
    Mistake(
        "sum over the matrix",
        {SUM: "mean = (d_weights * weights).sum(axis=(-2, -1), keepdims=True)"},
        "the sum runs over the whole matrix. Each query has a softmax of its own: one sum for each "
        "row.",
    ),
    Mistake("negative", {DS: f"{DS} * -1"}, "every number has the wrong sign."),
)

ROOT = "d_products = d_scores / np.sqrt(q.shape[-1])"
QK = "return d_products @ k, np.swapaxes(d_products, -1, -2) @ q"
QUERIES_KEYS = (
    Mistake(
        "dS and dSᵀ exchanged",
        {QK: "return np.swapaxes(d_products, -1, -2) @ k, d_products @ q"},
        "dS and dSᵀ are exchanged. dq_i sums over j, the columns of dS, so it needs dS "
        "itself; dk_j sums over the rows, so it needs dSᵀ.",
    ),
    Mistake(
        "dS for dSᵀ",
        {QK: "return d_products @ k, d_products @ q"},
        "dk needs dSᵀ. Key j is compared with all queries i, so dk_j sums over i, the rows of dS.",
    ),
    Mistake(
        "no root",
        {ROOT: "d_products = d_scores"},
        "the 1/√D of the forward pass is missing in dq and in dk.",
    ),
    Mistake(
        "no root in dk",
        {QK: "return d_products @ k, np.swapaxes(d_scores, -1, -2) @ q"},
        "the 1/√D is missing in dk. The score has it, so both have it.",
    ),
    Mistake(
        "no root in dq",
        {QK: "return d_scores @ k, np.swapaxes(d_products, -1, -2) @ q"},
        "the 1/√D is missing in dq. The score has it, so both have it.",
    ),
    Mistake(
        "times the root",
        {ROOT: "d_products = d_scores * np.sqrt(q.shape[-1])"},
        "you multiplied by √D. The score is divided by it, and so is its slope.",
    ),
    Mistake(
        "over D", {ROOT: "d_products = d_scores / q.shape[-1]"}, "you divided by D, not by √D."
    ),
    Mistake(
        "other way round",
        {QK: "return np.swapaxes(d_products, -1, -2) @ q, d_products @ k"},
        "you returned (dk, dq). The order is (dq, dk).",
    ),
    Mistake(
        "q and k mixed up",
        {QK: "return d_products @ q, np.swapaxes(d_products, -1, -2) @ k"},
        "dq was made with q and dk with k. In q_i · k_j, the slope with respect to q_i is k_j.",
    ),
    Mistake(
        "minus",
        {ROOT: "d_products = -d_scores / np.sqrt(q.shape[-1])"},
        "the sign is wrong in both.",
    ),
)

ORDER = "return dq, dk, d_values(do, weights)"
HEAD = (
    Mistake(
        "arguments of 7.3 exchanged",
        {"d_scores(d_weights(do, v), weights)": "d_scores(weights, d_weights(do, v))"},
        "d_scores got its arguments in the wrong order. It is d_scores(d_weights, weights).",
    ),
    Mistake(
        "dv first",
        {ORDER: "return d_values(do, weights), dq, dk"},
        "you returned (dv, dq, dk). The order is (dq, dk, dv).",
    ),
    Mistake(
        "dk first",
        {ORDER: "return dk, dq, d_values(do, weights)"},
        "you returned (dk, dq, dv). The order is (dq, dk, dv).",
    ),
    Mistake(
        "dA for dS",
        {"d_queries_keys(dS, q, k)": "d_queries_keys(d_weights(do, v), q, k)"},
        "step 3 is missing: dA went into step 4 where dS belongs.",
    ),
    Mistake(
        "do for dA",
        {"d_scores(d_weights(do, v), weights)": "d_scores(do @ np.swapaxes(do, -1, -2), weights)"},
        "do went into step 3 with itself. Step 2 comes first: dA = do vᵀ.",
    ),
)

JOIN = "return d.swapaxes(1, 2).reshape(B, T, H * D)"
SPLIT = "do = d_joined.reshape(B, T, H, C // H).swapaxes(1, 2)"
TOTAL = "return from_q + from_k + from_v"
WRITE_W = 'self.grads["w_" + name][...] = dW'
WRITE_B = 'self.grads["b_" + name][...] = db'
LAYER = (
    Mistake(
        "W for Wᵀ in q, k, v",
        {
            'return dy @ self.params["w_" + name].T': 'W = self.params["w_" + name]'
            '\n        return dy @ (W.T if name == "o" else W)'
        },
        "dx needs W_qᵀ, W_kᵀ and W_vᵀ: dx of a Linear is dy Wᵀ, not dy W.",
    ),
    Mistake(
        "w_o jumped over",
        {
            'd_joined = self.linear_backward("o", self.joined, dy)': "d_joined = dy"
            '\n        self.linear_backward("o", self.joined, dy)'
        },
        "dy itself went into the heads. It must go back through W_o first: d_joined = dy W_oᵀ.",
    ),
    Mistake(
        "join without swap",
        {JOIN: "return d.reshape(B, T, H * D)"},
        "dq, dk and dv were reshaped to (B, T, C) without swapping H and T back first. The numbers "
        "of different tokens end up in one row.",
    ),
    Mistake(
        "split without swap",
        {SPLIT: "do = d_joined.reshape(B, H, T, C // H)"},
        "the gradient of `joined` was reshaped to (B, H, T, D) directly. Reshape to (B, T, H, D), "
        "then swap.",
    ),
    Mistake(
        "only q",
        {TOTAL: "return from_q"},
        "dx comes from q only. x went three ways: into q, k and v. Add all three.",
    ),
    Mistake(
        "only v",
        {TOTAL: "return from_v"},
        "dx comes from v only. x went three ways: into q, k and v. Add all three.",
    ),
    Mistake("no k", {TOTAL: "return from_q + from_v"}, "dx lacks the way through k."),
    Mistake(
        "mean of three",
        {TOTAL: "return (from_q + from_k + from_v) / 3"},
        "dx is a mean of three ways. They add up.",
    ),
    Mistake(
        "adds up",
        {WRITE_W: 'self.grads["w_" + name] += dW', WRITE_B: 'self.grads["b_" + name] += db'},
        "the gradients of two calls add up. Write `grads[name][...] = …`, not `+=`.",
    ),
    Mistake(
        "replaced",
        {WRITE_W: 'self.grads["w_" + name] = dW', WRITE_B: 'self.grads["b_" + name] = db'},
        "the arrays in `grads` were not written to; the optimizer holds on to them and saw zeros. "
        "Write `grads[name][...] = …`, not `grads[name] = …`.",
    ),
    Mistake(
        "mean over tokens",
        {
            "dW = rows.T @ d_rows": "dW = rows.T @ d_rows / len(rows)",
            "d_rows.sum(axis=0)": "d_rows.mean(axis=0)",
        },
        "dW and db are means over tokens. The mean is in the loss already, so here tokens add up.",
    ),
    Mistake(
        "W for Wᵀ",
        {'return dy @ self.params["w_" + name].T': 'return dy @ self.params["w_" + name]'},
        "dx of a Linear is dy Wᵀ, not dy W.",
    ),
    Mistake(
        "dW transposed",
        {"dW = rows.T @ d_rows": "dW = d_rows.T @ rows"},
        "dW is xᵀ dy; yours is its transpose.",
    ),
    Mistake(
        "b_q forgotten",
        {WRITE_B: f'{WRITE_B} * (name != "q")'},
        "the gradient of b_q was not written.",
    ),
)

# ---- 7.7 ---------------------------------------------------------------------------

WHY_NOT = {
    "b_q": "b_q adds b_q · k_j / √D to the scores. It depends on the key j, so softmax notices it.",
    "b_v": "The weights of a row sum to 1, so b_v arrives in o undiminished.",
    "b_o": "b_o is added to y itself: its gradient is the sum of all rows of dy.",
    "w_k": "w_k gives different keys to different tokens. Compare with what b_k does.",
}


def judge_zero(answer, seed):
    """Return None if right, or a sentence."""
    name, why = str(answer["name"]), str(answer["why"])
    if name not in PARAMS:
        return f"{name!r} is no parameter. They are {', '.join(PARAMS)}."
    if name != "b_k":
        more = WHY_NOT.get(name, "Print the largest number of each gradient of your 7.6.")
        return f"it is not {name}: on random inputs its gradient is not 0. {more}"
    if len(why.split()) < 8:
        return "b_k is right. Now say why, in two sentences (at least 8 words)."
    return None


ARGUMENTS = ("do", "q", "k", "v", "weights")
EXERCISES = [
    Exercise(
        "7.1", "d_values", "Step 1",
        hints=(
            "Into which rows of o did value j flow?",
            "Into every row i, with the factor A_ij. Add up these ways.",
            "dv_j = Σ_i A_ij do_i is a matrix product with Aᵀ: np.swapaxes(weights, -1, -2).",
        ),
        idea="A sum over the rows of A is a product with Aᵀ. np.einsum('...ij,...id->...jd', A, do)"
        " says the same with the letters of the page.",
        inputs=("do", "weights"), outputs=("dv",), cases=one_head, slopes=slopes_values,
        mistakes=VALUES, used_in="MyAttention",
    ),
    Exercise(
        "7.2", "d_weights", "Step 2",
        hints=(
            "A_ij is one number. In which direction does it move o_i?",
            "It moves o_i by v_j. How much does the loss change then?",
            "dA_ij = do_i · v_j: all dot products of rows of do with rows of v are one product.",
        ),
        idea="All dot products of the rows of two arrays are one matrix product, the second array "
        "transposed. It is the same form as the scores, q kᵀ.",
        inputs=("do", "v"), outputs=("dA",), cases=one_head, slopes=slopes_weights,
        mistakes=WEIGHTS, used_in="MyAttention",
    ),
    Exercise(
        "7.3", "d_scores", "Step 3",
        hints=(
            "This is softmax_backward of lesson 1, for each row.",
            "Subtract from each row of dA its mean, weighted by A; what is the factor in front?",
            "dS = A * (dA - sum), with the sum of dA * A over axis -1, keepdims=True.",
        ),
        idea="It is softmax_backward of lesson 1: `return softmax_backward(d_weights, weights)` is "
        "right, too. The mask needs nothing of its own, since A is 0 there.",
        inputs=("d_weights", "weights"), outputs=("dS",), cases=one_head, slopes=slopes_scores,
        mistakes=SCORES, used_in="MyAttention",
    ),
    Exercise(
        "7.4", "d_queries_keys", "Step 4",
        hints=(
            "Two products, and the √D of the forward pass in both.",
            "Query i is in row i of S, key j in column j. Over what does each sum run?",
            "dq = dS k / √D and dk = dSᵀ q / √D.",
        ),
        idea="The factor is applied once, to dS, before both products: T × T numbers are divided "
        "in place of two times T × D. Both ways are right.",
        inputs=("d_scores", "q", "k"), outputs=("dq", "dk"), cases=one_head,
        slopes=slopes_queries_keys, mistakes=QUERIES_KEYS, used_in="MyAttention",
    ),
    Exercise(
        "7.5", "attention_backward", "All together",
        hints=(
            "Four calls, and no new mathematics.",
            "Start from do. Which two gradients can be computed from it at once?",
            "dA with 7.2, dS from it with 7.3, dq and dk from that with 7.4; dv with 7.1.",
        ),
        idea="The order is the forward pass read from its end.",
        inputs=ARGUMENTS, outputs=("dq", "dk", "dv"), cases=one_head, slopes=slopes_head,
        mistakes=HEAD, includes=("7.1", "7.2", "7.3", "7.4"), used_in="MyAttention",
    ),
    Exercise(
        "7.6", "MyAttention", "Heads",
        hints=(
            "Read your `forward` from the last line to the first.",
            "Write a method for the backward pass of one Linear, and call it four times.",
            "To split: reshape (B, T, H, D), then swap axes 1 and 2. To join: swap, then reshape. "
            "dx is the sum of what comes back through q, k and v.",
        ),
        idea="One method serves all four Linear layers. miniGPT's own layer has one joint "
        "projection for q, k and v, so its three gradients are put side by side and go back in one "
        "product; the numbers are the same.",
        outputs=("y", "dx", *GRADS), inputs=("x", "dy", "n_heads"), forward=("y",),
        cases=whole_layer, call=run_layer("MyAttention", PARAMS, ("n_heads",)),
        slopes=layer_slopes("MyAttention", PARAMS, ("n_heads",)),
        mistakes=LAYER, includes=("7.1", "7.2", "7.3", "7.4", "7.5"), used_in="MyAttention",
        points=2,
    ),
    Exercise(
        "7.7", "zero_gradient", "A parameter without a gradient",
        hints=(
            "Compare the rows of dk in the example of the page.",
            "Which parameter collects the sum of these rows? What is that sum?",
            "Adding the same number to all scores of a row does not change softmax.",
        ),
        idea="Rows of dS sum to 0, so the rows of dk sum to 0 over the keys of a query, whatever "
        "the query is.",
        outputs=("name", "why"), judge=judge_zero,
    ),
]  # fmt: skip
