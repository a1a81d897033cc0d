"""How lesson 1 is marked: cases, slopes and known mistakes."""

import numpy as np

from minigpt.course.exercise import Exercise, Mistake, central_differences

# ---- cases -----------------------------------------------------------------------


def one_row(seed):
    rng = np.random.default_rng(seed)

    def case(x, dy):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return {"x": x, "dy": dy, "y": e / e.sum(axis=-1, keepdims=True)}

    yield "the example of the page", case(np.log([1.0, 1.0, 2.0]), np.array([1.0, 0.0, 3.0]))
    yield "one number", case(np.array([3.0]), np.array([2.0]))
    yield "all scores equal", case(np.zeros((2, 4)), rng.normal(size=(2, 4)))
    yield "two rows", case(*rng.normal(size=(2, 2, 3)))
    yield "three axes", case(*rng.normal(size=(2, 2, 3, 3)))
    yield "large scores", case(1000 + 10 * rng.normal(size=(2, 5)), rng.normal(size=(2, 5)))
    yield "rows far apart", case(np.array([[0.0, 1.0], [2000.0, 2001.0]]), rng.normal(size=(2, 2)))
    hidden = np.where(np.tri(4, dtype=bool), rng.normal(size=(4, 4)), -np.inf)
    yield "some scores −inf", case(hidden, rng.normal(size=(4, 4)))


def guesses(seed):
    rng = np.random.default_rng(seed)

    def case(logits, targets):
        return {"logits": logits, "targets": np.array(targets)}

    page = np.log([[1.0, 1.0, 2.0], [2.0, 1.0, 1.0]])
    yield "the example of the page", case(page, [2, 1])
    yield "one row", case(rng.normal(size=(1, 4)), [3])
    yield "all scores equal", case(np.zeros((3, 4)), [0, 3, 3])
    yield "five rows", case(rng.normal(size=(5, 3)), rng.integers(0, 3, 5))
    yield "N = V", case(rng.normal(size=(4, 4)), rng.permutation(4))
    yield "large scores", case(1000 * np.eye(6) + rng.normal(size=(6, 6)), [1, 1, 0, 2, 4, 5])


def texts(seed):
    rng = np.random.default_rng(seed)
    yield "the example of the page", {"ids": np.array([0, 1, 0, 1, 0, 2]), "vocab_size": 3}
    yield "one pair", {"ids": np.array([1, 0]), "vocab_size": 2}
    yield "the same token again", {"ids": np.array([2, 2, 2, 2]), "vocab_size": 4}
    yield "60 random ids", {"ids": rng.integers(0, 5, 60), "vocab_size": 5}
    yield "a token that is last only", {"ids": np.array([0, 1, 0, 1, 3]), "vocab_size": 4}


def tables(seed):
    for name, i in texts(seed):
        counts = np.zeros((i["vocab_size"], i["vocab_size"]))
        for a, b in zip(i["ids"][:-1], i["ids"][1:], strict=True):
            counts[a, b] += 1
        yield name, {"counts": counts}


def lessons(seed):
    for (name, i), n_steps, rate in zip(
        texts(seed), (1, 3, 10, 20, 40), (1, 0.5, 2, 1, 5), strict=True
    ):
        yield name, {**i, "n_steps": n_steps, "learning_rate": float(rate)}


# ---- slopes ------------------------------------------------------------------------


def slopes_softmax(module, i):
    if np.isinf(i["x"]).any():
        return {}
    return {"dx": central_differences(lambda x: (i["dy"] * module.softmax(x)).sum(), i["x"])}


def slopes_cross_entropy(module, i):
    def loss(logits):
        return module.cross_entropy(logits, i["targets"])

    return {"dlogits": central_differences(loss, i["logits"])}


# ---- known mistakes ------------------------------------------------------------------

EXP = "e = np.exp(x - x.max(axis=-1, keepdims=True))"
SHARE = "return e / e.sum(axis=-1, keepdims=True)"
SOFTMAX = (
    Mistake(
        "no maximum",
        {EXP: "e = np.exp(x)"},
        "exp of a large score is inf, and inf / inf is nan. Subtract the largest score of each row "
        "first: it cancels.",
    ),
    Mistake(
        "sum of everything",
        {SHARE: "return e / e.sum()"},
        "you divided by the sum of the whole array. Each row is a guess of its own: axis=-1, "
        "keepdims=True.",
    ),
    Mistake(
        "first axis",
        {SHARE: "return e / e.sum(axis=0, keepdims=True)"},
        "the sum runs along the first axis. The scores of one guess stand along the last one.",
    ),
    Mistake(
        "not divided",
        {SHARE: "return e"},
        "the numbers are positive, but a row does not sum to 1. Divide by its sum.",
    ),
    Mistake(
        "largest of everything",
        {EXP: "e = np.exp(x - x.max())"},
        "you subtracted the largest score of the whole array. A row of much lower scores then "
        "becomes 0 / 0. Use the largest of each row.",
    ),
    Mistake(
        "without exp",
        {EXP: "e = x - x.min(axis=-1, keepdims=True)"},
        "exp is missing. It makes every score positive, and a difference of scores a ratio of "
        "probabilities.",
    ),
)

MEAN = "mean = (dy * y).sum(axis=-1, keepdims=True)"
DX = "return y * (dy - mean)"
SOFTMAX_BACKWARD = (
    Mistake(
        "y at the mean only",
        {DX: "return dy - y * mean"},
        "the factor y belongs to both terms: dy_i y_i − y_i Σ_j dy_j y_j. In your first term "
        "it is missing.",
    ),
    Mistake(
        "y in the sum",
        {MEAN: "mean = (dy * y * y).sum(axis=-1, keepdims=True)", DX: "return dy * y - mean"},
        "y_i stands outside the sum, as i is the score that moves: y_i Σ_j dy_j y_j. You put "
        "y_j into the sum in its place.",
    ),
    Mistake(
        "no sum",
        {DX: "return y * dy"},
        "the sum Σ_j dy_j y_j is missing. A row of y always sums to 1: raising one score lowers "
        "all other probabilities.",
    ),
    Mistake(
        "diagonal only",
        {DX: "return y * (1 - y) * dy"},
        "y_i (1 − y_i) is only the case i = j. Score x_i also moves every other y_j, by −y_i y_j.",
    ),
    Mistake(
        "unweighted sum",
        {MEAN: "mean = dy.sum(axis=-1, keepdims=True)"},
        "the sum over dy is not weighted. It is Σ_j dy_j y_j.",
    ),
    Mistake(
        "plain mean",
        {MEAN: "mean = dy.mean(axis=-1, keepdims=True)"},
        "you subtracted the plain mean of dy. It must be weighted by y: Σ_j dy_j y_j.",
    ),
    Mistake(
        "sum of everything",
        {MEAN: "mean = (dy * y).sum()"},
        "the sum runs over the whole array. Each row has a softmax of its own: axis=-1, "
        "keepdims=True.",
    ),
    Mistake(
        "no y in front",
        {DX: "return dy - mean"},
        "the factor y in front is missing: a score whose probability is 0 has no effect.",
    ),
    Mistake("plus", {DX: "return y * (dy + mean)"}, "the sum is subtracted, not added."),
    Mistake("negative", {DX: "return y * (mean - dy)"}, "every number has the wrong sign."),
)

SHIFT = "shifted = logits - logits.max(axis=-1, keepdims=True)"
SURPRISE = "surprise = log_sum - shifted[rows, targets]"
CROSS_ENTROPY = (
    Mistake(
        "every target in every row",
        {SURPRISE: "surprise = -np.log(softmax(logits)[:, targets])"},
        "[:, targets] takes the targets of all rows in every row. Row n has its own target: "
        "[np.arange(N), targets].",
    ),
    Mistake(
        "target not shifted",
        {SURPRISE: "surprise = log_sum - logits[rows, targets]"},
        "the largest score is subtracted in the sum, but not from the score of the target. It"
        " cancels only if both have it.",
    ),
    Mistake(
        "no maximum",
        {SHIFT: "shifted = logits"},
        "exp of a large score is inf. Subtract the largest score of each row first; the loss stays "
        "the same.",
    ),
    Mistake(
        "log of softmax",
        {
            SURPRISE: "surprise = -np.log(softmax(logits)[rows, targets])",
        },
        "you took the logarithm of a probability that is rounded to 0. Compute ln Σ_j exp(x_j) − "
        "x_target, which never is the logarithm of 0.",
    ),
    Mistake(
        "sum for mean",
        {"return surprise.mean()": "return surprise.sum()"},
        "you added the rows up. The loss is their mean, so that it does not depend on the length "
        "of the text.",
    ),
    Mistake(
        "bits",
        {"return surprise.mean()": "return surprise.mean() / np.log(2)"},
        "this is the surprise in bits. In nats, the logarithm is the natural one.",
    ),
    Mistake(
        "mean over everything",
        {"return surprise.mean()": "return surprise.sum() / logits.size"},
        "you divided by N · V. There are N guesses.",
    ),
    Mistake(
        "sign",
        {SURPRISE: "surprise = shifted[rows, targets] - log_sum"},
        "the sign is wrong: −ln p is positive.",
    ),
)

LESS_ONE = "d[np.arange(len(targets)), targets] -= 1"
OVER_N = "return d / len(targets)"
CROSS_ENTROPY_BACKWARD = (
    Mistake(
        "not over N",
        {OVER_N: "return d"},
        "the 1/N is missing. The loss is a mean over N rows, so each row moves it by 1/N.",
    ),
    Mistake(
        "over everything",
        {OVER_N: "return d / d.size"},
        "you divided by N · V. The loss is a mean over N rows.",
    ),
    Mistake(
        "only softmax",
        {LESS_ONE: "pass"},
        "the one-hot part is missing: −x_target in the loss has the slope −1 at the right answer.",
    ),
    Mistake(
        "sign",
        {OVER_N: "return -d / len(targets)"},
        "the sign is wrong. Raising the score of the right answer lowers the loss, so its gradient "
        "is negative.",
    ),
    Mistake(
        "whole column",
        {LESS_ONE: "d[:, targets] -= 1"},
        "d[:, targets] -= 1 changes these columns in every row. Row n has its own target: "
        "d[np.arange(N), targets].",
    ),
    Mistake(
        "back through softmax once more",
        {OVER_N: "y = softmax(logits); return softmax_backward(d / len(targets), y)"},
        "you went back through softmax twice. softmax − one_hot is with respect to the logits "
        "already.",
    ),
)

ADD = "np.add.at(counts, (ids[:-1], ids[1:]), 1)"
COUNTS = (
    Mistake(
        "repeats lost",
        {ADD: "counts[ids[:-1], ids[1:]] += 1"},
        "counts[a, b] += 1 with arrays of indices counts a pair once, however often it comes. Use "
        "np.add.at, or a loop.",
    ),
    Mistake(
        "transposed",
        {ADD: "np.add.at(counts, (ids[1:], ids[:-1]), 1)"},
        "rows and columns are swapped: the row is the token that stands first.",
    ),
    Mistake(
        "round the corner",
        {ADD: "np.add.at(counts, (ids, np.roll(ids, -1)), 1)"},
        "you counted the pair of the last and the first token. Nothing comes after the last one.",
    ),
    Mistake(
        "with itself",
        {ADD: "np.add.at(counts, (ids[:-1], ids[:-1]), 1)"},
        "you counted each token with itself. The columns belong to ids[1:].",
    ),
)

P = "p = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)"
TOTAL = "return -(counts[seen] * np.log(p[seen])).sum() / counts.sum()"
COUNTED = (
    Mistake(
        "0 ln 0",
        {TOTAL: "return -(counts * np.log(p)).sum() / counts.sum()"},
        "a pair that never came has p = 0, and 0 · ln 0 is nan in NumPy. Take only the pairs "
        "with counts > 0.",
    ),
    Mistake(
        "columns",
        {P: "p = counts / np.maximum(counts.sum(axis=0, keepdims=True), 1)"},
        "you divided by the sums of the columns. The shares of what comes after a are in row a.",
    ),
    Mistake(
        "shares of all pairs",
        {P: "p = counts / counts.sum()"},
        "you divided by the number of all pairs. That is the probability of the pair (a, b); asked "
        "is that of b after a.",
    ),
    Mistake(
        "not weighted",
        {TOTAL: "return -np.log(p[seen]).mean()"},
        "each pair of the table counts once here. A pair that comes ten times counts ten times.",
    ),
    Mistake(
        "sum for mean",
        {TOTAL: "return -(counts[seen] * np.log(p[seen])).sum()"},
        "you added all pairs up. The loss is their mean.",
    ),
    Mistake(
        "weighted by shares",
        {TOTAL: "return -(p[seen] * np.log(p[seen])).sum() / len(counts)"},
        "you took the mean over rows of the table. Rows that are used more often count more.",
    ),
)

STEP = "table -= learning_rate * d_table"
SPREAD = "np.add.at(d_table, x, d_logits)"
TRAINED = (
    Mistake(
        "returned in the loop",
        {STEP: f"{STEP}\n        return table"},
        "only one step is made. Is `return` inside the loop? It belongs behind it, four "
        "spaces to the left.",
    ),
    Mistake(
        "repeats lost",
        {SPREAD: "d_table[x] += d_logits"},
        "d_table[x] += … keeps only one of several gradients for the same row. All uses of a row "
        "add up: np.add.at.",
    ),
    Mistake(
        "uphill",
        {STEP: "table += learning_rate * d_table"},
        "you went uphill: the gradient says where the loss grows, so subtract it.",
    ),
    Mistake(
        "adds up",
        {"d_table = np.zeros_like(table)": "d_table = locals().get('d_table', 0 * table)"},
        "the gradients of all steps add up. Begin each step with zeros.",
    ),
    Mistake(
        "one step less",
        {"for _ in range(n_steps):": "for _ in range(n_steps - 1):"},
        "there is one step less than asked for.",
    ),
    Mistake(
        "targets as rows",
        {"x, targets = ids[:-1], ids[1:]": "targets, x = ids[:-1], ids[1:]"},
        "you learned what comes before each token. Row a holds the scores of what comes after a.",
    ),
)

EXERCISES = [
    Exercise(
        "1.1", "softmax", "Softmax",
        hints=(
            "Two lines: exp of every score, then divide each row by its sum.",
            "np.exp(1000) is inf. What can you subtract from all scores of a row without changing "
            "the result?",
            "e = np.exp(x - x.max(axis=-1, keepdims=True)), over e.sum(axis=-1, keepdims=True).",
        ),
        idea="keepdims=True leaves an axis of length 1, so that the sums stand beside their rows "
        "whatever the number of axes is. The largest score becomes 0, and exp never overflows; a "
        "score of −inf becomes exactly 0, which attention will need.",
        inputs=("x",), outputs=("y",), cases=one_row, mistakes=SOFTMAX,
    ),
    Exercise(
        "1.2", "softmax_backward", "Softmax, backward",
        hints=(
            "One score moves every probability of its row. Add up these ways.",
            "Σ_j dy_j ∂y_j/∂x_i: put in the two cases, i = j and i ≠ j, and take y_i out.",
            "dx = y * (dy - mean), where mean is the sum of dy * y along the last axis.",
        ),
        idea="The matrix of all ∂y_j/∂x_i is never made: it would have V × V numbers for each row. "
        "Two sums over V do the same.",
        inputs=("dy", "y"), outputs=("dx",), cases=one_row, slopes=slopes_softmax,
        mistakes=SOFTMAX_BACKWARD,
    ),
    Exercise(
        "1.3", "cross_entropy", "Cross-entropy",
        hints=(
            "−ln softmax(x)[t] is a difference of two terms. Which?",
            "ln Σ_j exp(x_j) − x_t. Subtract the largest score first, from both.",
            "shifted[np.arange(N), targets] picks the score of the right answer from each row.",
        ),
        idea="The logarithm and the exp of softmax meet and cancel, so the loss is exact even "
        "where a probability would be rounded to 0. ln of softmax would be ln 0 there.",
        inputs=("logits", "targets"), outputs=("L",), cases=guesses, mistakes=CROSS_ENTROPY,
        used_in="cross_entropy",
    ),
    Exercise(
        "1.4", "cross_entropy_backward", "Cross-entropy, backward",
        hints=(
            "Take the two terms of 1.3 one by one. What is the slope of each?",
            "ln Σ_j exp(x_j) has the slope softmax(x)_i. The other has one at one place only.",
            "softmax(logits), less 1 at [n, targets[n]], all over N.",
        ),
        idea="What was predicted, less what was right. It is the simplest gradient of the course, "
        "and the start of every backward pass of a language model.",
        inputs=("logits", "targets"), outputs=("dlogits",), cases=guesses,
        slopes=slopes_cross_entropy, mistakes=CROSS_ENTROPY_BACKWARD, used_in="cross_entropy",
        n_small=5,
    ),
    Exercise(
        "1.5", "bigram_counts", "A model by counting",
        hints=(
            "Which two slices of ids are the first and the second token of each pair?",
            "ids[:-1] and ids[1:]. A pair may come several times.",
            "np.add.at(counts, (ids[:-1], ids[1:]), 1) counts every pair, repeats too.",
        ),
        idea="np.add.at adds once for each index, where counts[a, b] += 1 adds once for each "
        "different index. The gradient of an embedding in lesson 3 has the same trap.",
        inputs=("ids", "vocab_size"), outputs=("counts",), cases=texts, mistakes=COUNTS,
    ),
    Exercise(
        "1.6", "counted_loss", "A model by counting",
        hints=(
            "The best guess after a: the shares of what came after a.",
            "Each pair (a, b) of the text costs −ln(share of b in row a). Take their mean.",
            "0 · ln 0 must not become nan: choose the places where counts > 0 first.",
        ),
        idea="It is the cross-entropy of the shares with themselves: no table of scores can reach "
        "less on this text.",
        inputs=("counts",), outputs=("L",), cases=tables, mistakes=COUNTED,
    ),
    Exercise(
        "1.7", "train_bigram", "The same model, learned",
        hints=(
            "table[ids[:-1]] are the logits of all guesses, (N, V), in one step.",
            "cross_entropy_backward returns a row for each guess. Where does each row go?",
            "np.add.at(d_table, ids[:-1], d_logits); then table -= learning_rate * d_table.",
        ),
        idea="This is the loop of the whole course: scores, loss, gradient, a step downhill. From "
        "here on only the function between ids and scores becomes better.",
        inputs=("ids", "vocab_size", "n_steps", "learning_rate"), outputs=("table",), cases=lessons,
        mistakes=TRAINED, points=2,
    ),
]  # fmt: skip
