"""How lesson 6 is marked: cases and known mistakes."""

import numpy as np

from minigpt.course.exercise import Exercise, Mistake

PARAMS = tuple(kind + name for name in "qkvo" for kind in ("w_", "b_"))

# ---- cases -----------------------------------------------------------------------


def tokens(seed):
    rng = np.random.default_rng(seed)

    def case(x, d):
        w_q, w_k, w_v = rng.normal(size=(3, x.shape[-1], d))
        return {"x": x, "w_q": w_q, "w_k": w_k, "w_v": w_v}

    a = (2**0.5 * np.log(2)) ** 0.5  # so that a · a / √2 = ln 2
    page = case(a * np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), 2)
    page |= {"w_q": np.eye(2), "w_k": np.array([[0.0, 1.0], [1.0, 0.0]]), "w_v": 2 * np.eye(2)}
    yield "the example of the page", page
    yield "one token", case(rng.normal(size=(1, 3)), 3)
    yield "all tokens alike", case(np.ones((4, 3)), 2)
    yield "two texts", case(rng.normal(size=(2, 3, 4)), 2)
    yield "four axes", case(rng.normal(size=(2, 3, 4, 5)), 3)
    yield "T = D", case(rng.normal(size=(3, 3)), 3)
    yield "large numbers", case(40 * rng.normal(size=(5, 3)), 3)


def squares(seed):
    rng = np.random.default_rng(seed)
    yield "the example of the page", {"scores": np.log([[1.0, 9, 9], [1, 3, 9], [1, 1, 2]])}
    yield "one token", {"scores": np.array([[5.0]])}
    yield "all scores equal", {"scores": np.zeros((4, 4))}
    yield "two heads", {"scores": rng.normal(size=(2, 3, 3))}
    yield "four axes", {"scores": rng.normal(size=(2, 3, 5, 5))}
    yield "a hidden score is large", {"scores": np.array([[1.0, 2000], [3, 3]])}
    yield "large scores", {"scores": 500 * rng.normal(size=(2, 4, 4))}


def vectors(seed):
    rng = np.random.default_rng(seed)

    def case(B, T, C, H):
        return {"z": rng.normal(size=(B, T, C)), "n_heads": H}

    yield "the example of the page", {"z": np.arange(8.0).reshape(1, 2, 4), "n_heads": 2}
    yield "one head", case(2, 3, 4, 1)
    yield "heads of one number", case(1, 3, 4, 4)
    yield "T = H", case(2, 3, 6, 3)
    yield "two texts", case(2, 5, 6, 3)


def heads(seed):
    for name, i in vectors(seed):
        B, T, C = i["z"].shape
        parts = i["z"].reshape(B, T, i["n_heads"], C // i["n_heads"])
        yield name, {"z": parts.transpose(0, 2, 1, 3).copy()}


def whole_layer(seed):
    rng = np.random.default_rng(seed)

    def case(B, T, C, H, size=1.0):
        params = {p: size * rng.normal(size=(C, C) if p[0] == "w" else C) for p in PARAMS}
        return {**params, "x": rng.normal(size=(B, T, C)), "n_heads": H}

    def halves(B, T, C, H):
        params = {p: rng.choice([-1, -0.5, 0.5, 1], (C, C) if p[0] == "w" else C) for p in PARAMS}
        return {**params, "x": rng.choice([-1, -0.5, 0.5, 1], (B, T, C)), "n_heads": H}

    yield "B = 1, T = 2, C = 2, one head", halves(1, 2, 2, 1)
    yield "B = 1, T = 2, C = 2, two heads", halves(1, 2, 2, 2)
    yield "one token", case(1, 1, 4, 2)
    yield "two texts", case(2, 3, 4, 2)
    yield "T = H = D", case(1, 3, 9, 3)
    yield "large scores", case(1, 5, 4, 2, 8.0)


def queries(seed):
    rng = np.random.default_rng(seed)
    page = {"q": np.array([[2.0, 0, 0, 0]]), "k": np.array([[[1.0, 0, 0, 0], [0, 1, 0, 0]]])}
    yield "the example of the page", page
    yield "one key", {"q": rng.normal(size=(3, 4)), "k": rng.normal(size=(3, 1, 4))}
    yield "D = 4", {"q": rng.normal(size=(20, 4)), "k": rng.normal(size=(20, 8, 4))}
    yield "D = 64", {"q": rng.normal(size=(20, 64)), "k": rng.normal(size=(20, 8, 64))}


def run_forward(module, i):
    """Go forward twice; the second time must not remember the first."""
    layer = module.MyAttention({name: i[name] for name in PARAMS}, i["n_heads"])
    layer.forward(-i["x"])
    return {"y": layer.forward(i["x"])}


# ---- known mistakes ------------------------------------------------------------------

SELF = "scores = x @ np.swapaxes(x, -1, -2) / np.sqrt(x.shape[-1])"
MIX = (
    Mistake(
        "scores for weights",
        {"weights, weights @ x": "weights, scores @ x"},
        "you mixed with the scores. The weights, after softmax, say how much is taken.",
    ),
    Mistake(
        "no root",
        {SELF: "scores = x @ np.swapaxes(x, -1, -2)"},
        "the scores are not divided by √D.",
    ),
    Mistake(
        "over D",
        {SELF: "scores = x @ np.swapaxes(x, -1, -2) / x.shape[-1]"},
        "the scores are divided by D, not by √D.",
    ),
    Mistake(
        "root of T",
        {SELF: "scores = x @ np.swapaxes(x, -1, -2) / np.sqrt(x.shape[-2])"},
        "you divided by √T. D is the length of a vector, the last axis.",
    ),
    Mistake(
        "columns",
        {"weights, weights @ x": "weights, np.swapaxes(weights, -1, -2) @ x"},
        "you mixed with the columns of the weights. Token i has row i: o = weights @ x.",
    ),
    Mistake(
        "softmax of the columns",
        {
            "weights = softmax(scores)\n    return scores, weights, weights @ x": "weights = "
            "np.swapaxes(softmax(np.swapaxes(scores, -1, -2)), -1, -2)\n"
            "    return scores, weights, weights @ x"
        },
        "the columns sum to 1 here. Each row is a query, and the row sums to 1.",
    ),
)

QKV = "q, k, v = x @ w_q, x @ w_k, x @ w_v"
SCORES = "scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])\n    weights = softmax(scores)"
HEAD = (
    Mistake(
        "x for values",
        {"return scores, weights, weights @ v": "return scores, weights, weights @ x"},
        "the weights gather x itself. They gather values, v = x W_v.",
    ),
    Mistake(
        "k qᵀ",
        {SCORES: SCORES.replace("q @ np.swapaxes(k, -1, -2)", "k @ np.swapaxes(q, -1, -2)")},
        "the scores are transposed: row i belongs to query i, so q stands on the left.",
    ),
    Mistake(
        "root of C",
        {SCORES: SCORES.replace("np.sqrt(q.shape[-1])", "np.sqrt(x.shape[-1])")},
        "you divided by √C. The products are of vectors of the length D.",
    ),
    Mistake(
        "no root",
        {SCORES: SCORES.replace(" / np.sqrt(q.shape[-1])", "")},
        "the scores are not divided by √D.",
    ),
    Mistake(
        "keys for values",
        {"return scores, weights, weights @ v": "return scores, weights, weights @ k"},
        "the weights gather keys. They gather values: what a token hands over, not what it is "
        "found by.",
    ),
    Mistake(
        "q with itself",
        {QKV: "q, k, v = x @ w_q, x @ w_q, x @ w_v"},
        "queries and keys were made with the same matrix, w_q.",
    ),
)

SEEN = "seen = np.tri(T, dtype=bool)"
MASKED = "return softmax(np.where(seen, scores, -np.inf))"
MASK = (
    Mistake(
        "0 times infinity",
        {MASKED: "return softmax(scores - np.inf * ~seen)"},
        "0 · ∞ is nan, so what should stay became nan. Choose with np.where(seen, scores, "
        "-np.inf).",
    ),
    Mistake(
        "divided again",
        {MASKED: "a = softmax(scores) * seen\n    return a / a.sum(axis=-1, keepdims=True)"},
        "you masked after softmax and divided by the new sum. On paper this is right. But "
        "where a hidden score is far larger, all that may be seen is rounded to 0, and 0 / 0 "
        "is nan. Mask the scores.",
    ),
    Mistake(
        "no mask",
        {MASKED: "return softmax(scores)"},
        "there is no mask: tokens see what comes after them. In training they could copy the "
        "answer.",
    ),
    Mistake(
        "past hidden",
        {SEEN: "seen = np.tri(T, dtype=bool).T"},
        "the mask hides the past. Query i sees the keys j ≤ i: the lower triangle, np.tri(T).",
    ),
    Mistake(
        "itself hidden",
        {SEEN: "seen = np.tri(T, k=-1, dtype=bool)"},
        "a token does not see itself, and the first one sees nothing at all: 0 / 0.",
    ),
    Mistake(
        "zeros before softmax",
        {MASKED: "return softmax(np.where(seen, scores, 0.0))"},
        "you set masked scores to 0. exp(0) is 1, so they still get a weight. Set them to −inf.",
    ),
    Mistake(
        "zeros after softmax",
        {MASKED: "return softmax(scores) * seen"},
        "you set weights to 0 after softmax. The rows then do not sum to 1. Mask the scores.",
    ),
    Mistake(
        "one further",
        {SEEN: "seen = np.tri(T, k=1, dtype=bool)"},
        "each token sees the next one, which is the answer.",
    ),
)

PARTS = "parts = z.reshape(B, T, n_heads, C // n_heads)"
SPLIT = (
    Mistake(
        "no swap",
        {PARTS: "parts = z.reshape(B, n_heads, T, C // n_heads).swapaxes(1, 2)"},
        "you reshaped to (B, H, T, D) directly. The shape is right, the numbers are not: tokens "
        "are mixed. Reshape to (B, T, H, D), then swap axes 1 and 2.",
    ),
    Mistake(
        "every H-th number",
        {PARTS: "parts = z.reshape(B, T, C // n_heads, n_heads).swapaxes(2, 3)"},
        "head h got every H-th number. Its numbers stand side by side: reshape to (B, T, H, D).",
    ),
    Mistake(
        "heads behind tokens",
        {"return parts.swapaxes(1, 2)": "return parts"},
        "this is (B, T, H, D). Heads come before tokens, so that `@` works on (T, D).",
    ),
    Mistake(
        "D and T swapped",
        {"return parts.swapaxes(1, 2)": "return parts.transpose(0, 2, 3, 1)"},
        "this is (B, H, D, T). The last two axes are T and D.",
    ),
)
JOINED = "return z.swapaxes(1, 2).reshape(B, T, H * D)"
JOIN = (
    Mistake(
        "letters of z",
        {"B, H, T, D = z.shape": "B, T, H, D = z.shape"},
        "z has the shape (B, H, T, D): H is its axis 1 and T its axis 2. You unpacked them "
        "the other way round.",
    ),
    Mistake(
        "axes 1 and 3",
        {JOINED: "return z.swapaxes(1, 3).reshape(B, T, H * D)"},
        "you swapped H and D. Swap H and T, axes 1 and 2.",
    ),
    Mistake(
        "no swap",
        {JOINED: "return z.reshape(B, T, H * D)"},
        "you reshaped without swapping first: a row has numbers of different tokens. Undo the last "
        "step first: swap axes 1 and 2, then reshape.",
    ),
    Mistake(
        "every H-th number",
        {JOINED: "return z.transpose(0, 2, 3, 1).reshape(B, T, H * D)"},
        "the numbers of the heads alternate. A head's numbers stand side by side.",
    ),
    Mistake(
        "sum of heads",
        {JOINED: "return np.tile(z.sum(axis=1), H)"},
        "you added the heads up. They stand side by side; w_o mixes them afterwards.",
    ),
    Mistake(
        "last axes swapped",
        {JOINED: "return z.swapaxes(2, 3).reshape(B, T, H * D)"},
        "you swapped T and D. Swap H and T, axes 1 and 2.",
    ),
)

Y = 'y = joined @ p["w_o"] + p["b_o"]'
WEIGHTS = "weights = causal_weights(scores)"
ROOT = "scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])\n        weights"
LAYER = (
    Mistake(
        "no b_q, b_k, b_v",
        {**{f'x @ p["w_{n}"] + p["b_{n}"]': f'x @ p["w_{n}"]' for n in "qkv"}},
        "the biases b_q, b_k and b_v are missing.",
    ),
    Mistake(
        "no mask",
        {WEIGHTS: "weights = softmax(scores)"},
        "there is no mask: use causal_weights of 6.3.",
    ),
    Mistake("no w_o", {Y: "y = joined"}, "the last projection, w_o and b_o, is missing."),
    Mistake("no b_o", {Y: 'y = joined @ p["w_o"]'}, "b_o is missing."),
    Mistake(
        "no b_q",
        {'x @ p["w_q"] + p["b_q"]': 'x @ p["w_q"]'},
        "b_q is missing.",
    ),
    Mistake(
        "no b_v",
        {'x @ p["w_v"] + p["b_v"]': 'x @ p["w_v"]'},
        "b_v is missing.",
    ),
    Mistake(
        "root of C",
        {ROOT: ROOT.replace("q.shape[-1]", "x.shape[-1]")},
        "you divided by √C. A head's vectors have the length D = C / H.",
    ),
    Mistake(
        "no root",
        {ROOT: ROOT.replace(" / np.sqrt(q.shape[-1])", "")},
        "the scores are not divided by √D.",
    ),
    Mistake(
        "joined without swap",
        {"joined = join_heads(weights @ v)": "joined = (weights @ v).reshape(x.shape)"},
        "what the heads gathered was reshaped without the swap: use join_heads of 6.5.",
    ),
    Mistake(
        "transposed",
        {Y: 'y = joined @ p["w_o"].T + p["b_o"]'},
        "w_o is transposed: x W, not x Wᵀ.",
    ),
    Mistake(
        "residual",
        {Y: 'y = x + joined @ p["w_o"] + p["b_o"]'},
        "you added x. That residual belongs to the block, lesson 8.",
    ),
)

WITH = "with_root = softmax(scores / np.sqrt(q.shape[-1])).max(axis=-1).mean()"
LARGEST = (
    Mistake(
        "all queries with all keys",
        {'scores = np.einsum("nd,ntd->nt", q, k)': "scores = q @ np.swapaxes(k, -1, -2)"},
        "q @ kᵀ compares every query with the keys of all others. Query n has T keys of its "
        "own, k[n]: (q[:, None] * k).sum(axis=-1).",
    ),
    Mistake(
        "largest of all, twice",
        {
            "without = softmax(scores).max(axis=-1).mean()": "without = softmax(scores).max()",
            WITH: "with_root = softmax(scores / np.sqrt(q.shape[-1])).max()",
        },
        "these are the largest weights of all queries. Take the largest of each query, "
        "max(axis=-1), then the mean.",
    ),
    Mistake(
        "no mean",
        {
            "softmax(scores).max(axis=-1).mean()": "softmax(scores).max(axis=-1)",
            WITH: "with_root = softmax(scores / np.sqrt(q.shape[-1])).max(axis=-1)",
        },
        "this is one number for each query. Return their mean.",
    ),
    Mistake(
        "largest of all",
        {WITH: "with_root = softmax(scores / np.sqrt(q.shape[-1])).max()"},
        "with_root is the largest weight of all queries. Take the largest of each, then the mean.",
    ),
    Mistake(
        "mean weight",
        {WITH: "with_root = softmax(scores / np.sqrt(q.shape[-1])).mean()"},
        "you took the mean of all weights, which always is 1 / T.",
    ),
    Mistake(
        "over D",
        {WITH: "with_root = softmax(scores / q.shape[-1]).max(axis=-1).mean()"},
        "you divided by D, not by √D.",
    ),
    Mistake(
        "other way round",
        {"return without, with_root": "return with_root, without"},
        "the order is (without, with_root).",
    ),
)

EXERCISES = [
    Exercise(
        "6.1", "mix", "One token looks at others",
        hints=(
            "Three lines, one for each result.",
            "All dot products of the rows of x with each other are one matrix product.",
            "x @ np.swapaxes(x, -1, -2) / np.sqrt(D), then softmax, then weights @ x.",
        ),
        idea="A product with the transposed array compares every row with every row; a "
        "product with the weights mixes the rows. That is all of attention; the rest is which "
        "vectors go in.",
        inputs=("x",), outputs=("scores", "weights", "o"), cases=tokens, mistakes=MIX,
    ),
    Exercise(
        "6.2", "one_head", "Queries, keys and values",
        hints=(
            "Make q, k and v first: three products.",
            "Which of the three go into the scores, and which one is mixed?",
            "scores = q kᵀ / √D with D of q, and o = weights @ v.",
        ),
        idea="Only the three projections are new. Asking, being found and handing over are now "
        "three different vectors of the same token.",
        inputs=("x", "w_q", "w_k", "w_v"), outputs=("scores", "weights", "o"), cases=tokens,
        mistakes=HEAD,
    ),
    Exercise(
        "6.3", "causal_weights", "The mask",
        hints=(
            "np.tri(T) has ones where j ≤ i.",
            "What must a score be, so that exp of it is 0?",
            "softmax(np.where(np.tri(T, dtype=bool), scores, -np.inf)).",
        ),
        idea="−inf before softmax becomes exactly 0 after it, and the rest of the row sums to 1 by "
        "itself. Your softmax of lesson 1 copes with it as the diagonal is always seen.",
        inputs=("scores",), outputs=("weights",), cases=squares, mistakes=MASK,
        used_in="MyAttention",
    ),
    Exercise(
        "6.4", "split_heads", "Many heads",
        hints=(
            "Two steps: cut the last axis in two, then move one axis.",
            "Which numbers stand side by side in memory? Cut C into (H, D), in that order.",
            "z.reshape(B, T, H, C // H).swapaxes(1, 2).",
        ),
        idea="reshape never moves a number; it only says where the axes begin. Moving is the "
        "swap's work. From (T, C) to (H, T, D) numbers must move, so reshape alone is never right.",
        inputs=("z", "n_heads"), outputs=("parts",), cases=vectors, mistakes=SPLIT,
        used_in="MyAttention",
    ),
    Exercise(
        "6.5", "join_heads", "Many heads",
        hints=(
            "The steps of 6.4, backwards, from the last to the first.",
            "The swap first: (B, H, T, D) becomes (B, T, H, D).",
            "z.swapaxes(1, 2).reshape(B, T, H * D).",
        ),
        idea="To undo two steps, undo the last one first. The backward pass of lesson 7 needs just "
        "these two functions for its gradients.",
        inputs=("z",), outputs=("joined",), cases=heads, mistakes=JOIN, used_in="MyAttention",
    ),
    Exercise(
        "6.6", "MyAttention", "The layer",
        hints=(
            "Put 6.3, 6.4 and 6.5 together; nothing new is needed.",
            "q = split_heads(x @ w_q + b_q, n_heads), and so k and v. √D has D of a head.",
            "joined = join_heads(causal_weights(scores) @ v), and y = joined @ w_o + b_o.",
        ),
        idea="`@` works on the last two axes and does the same for every text and every head, so "
        "the formulas are those of one head. miniGPT's own layer makes q, k and v in one product.",
        inputs=("x", "n_heads"), outputs=("y",), cases=whole_layer, call=run_forward,
        mistakes=LAYER, includes=("6.3", "6.4", "6.5"), used_in="MyAttention", points=2,
    ),
    Exercise(
        "6.7", "largest_weights", "Why √D",
        hints=(
            "Scores first: query n with its own T keys.",
            "np.einsum('nd,ntd->nt', q, k), or (k @ q[:, :, None])[:, :, 0].",
            "softmax(scores).max(axis=-1).mean(), once with the scores over √D.",
        ),
        idea="einsum names the axes: n stays, t stays, d is summed over.",
        inputs=("q", "k"), outputs=("without", "with_root"), cases=queries, mistakes=LARGEST,
    ),
]  # fmt: skip
