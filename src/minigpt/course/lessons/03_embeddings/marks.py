"""How lesson 3 is marked: cases, slopes and known mistakes."""

import numpy as np

from minigpt.course.exercise import (
    Exercise,
    Mistake,
    central_differences,
    layer_slopes,
    run_layer,
)

# "the dog saw the cat": 0 the, 1 cat, 2 dog, 3 saw, 4 ran
IDS = np.array([0, 2, 3, 0, 1])
TABLE = np.array([[1.0, 0], [0, 2], [1, 2], [3, 1], [2, 2]])
DY = np.array([[1.0, 2], [0, 1], [-1, 0], [3, -1], [2, 2]])
TO_THE_CAT = np.array([0, 4, 2, 3, 1])
"""The order that makes "the cat saw the dog" of it."""

# ---- cases -----------------------------------------------------------------------


def small(rng, shape):
    """Draw small whole numbers, which can be added on paper."""
    return rng.integers(1, 5, shape) * rng.choice([-1.0, 1.0], shape)


def normal(rng, shape):
    return rng.normal(size=shape)


def some_ids(seed):
    rng = np.random.default_rng(seed)
    yield "the example of the page", {"ids": np.array([2, 0, 2]), "n_rows": 3}
    yield "one token", {"ids": np.array([1]), "n_rows": 2}
    yield "every token once", {"ids": rng.permutation(4), "n_rows": 4}
    yield "two texts", {"ids": np.array([[0, 3, 3], [2, 1, 0]]), "n_rows": 4}
    yield "two texts of two tokens", {"ids": np.array([[0, 1], [2, 0]]), "n_rows": 3}
    yield "20 random ids", {"ids": rng.integers(0, 7, 20), "n_rows": 7}


def look_ups(seed):
    rng = np.random.default_rng(seed)

    def case(ids, V, C, draw=small):
        ids = np.array(ids)
        return {
            "ids": ids,
            "weight": draw(rng, (V, C)),
            "dy": draw(rng, (*ids.shape, C)),
            "n_rows": V,
        }

    page = {"ids": IDS, "weight": TABLE, "dy": DY, "n_rows": 5}
    yield "the example of the page", page
    yield "one token", case([1], 3, 2)
    yield "the same token twice", case([1, 1], 2, 2)
    yield "every token once", case(rng.permutation(3), 3, 3)
    yield "two texts with the same token", case([[1, 0], [2, 1]], 4, 2)
    yield "two texts", case([[3, 3, 0], [3, 1, 0]], 5, 2)
    yield "ids far apart", case([0, 9, 9, 0, 9], 12, 3)
    yield "three texts", case(rng.integers(0, 6, (3, 7)), 8, 4, normal)
    yield "three axes", case(rng.integers(0, 4, (2, 2, 5)), 6, 3, normal)


def embeddings(seed):
    for name, i in look_ups(seed):
        ids = i["ids"].reshape(-1, i["ids"].shape[-1])
        dy = i["dy"].reshape(*ids.shape, -1)
        yield name, {"x": ids, "ids": ids.copy(), "weight": i["weight"], "dy": dy}


def other_ids(i):
    """Return an earlier batch, in which other tokens occur."""
    return (i["x"] + 1) % len(i["weight"]), 0.5 * i["dy"]


def placed(seed):
    rng = np.random.default_rng(seed)

    def case(B, T, C, max_len, draw=small):
        shapes = {"x": (B, T, C), "dy": (B, T, C), "weight": (max_len, C)}
        return {name: draw(rng, shape) for name, shape in shapes.items()}

    page = {
        "x": TABLE[[[0, 2], [0, 1]]],
        "dy": DY[[[0, 1], [3, 4]]],
        "weight": np.array([[0.5, 0], [0, 0.5], [9, 9]]),
    }
    yield "the example of the page", page
    yield "one token", case(1, 1, 2, 3)
    yield "one text", case(1, 3, 2, 4)
    yield "as long as it may be", case(2, 3, 2, 3)
    yield "B = T", case(3, 3, 2, 5)
    yield "equal vectors", case(2, 4, 3, 6) | {"x": np.ones((2, 4, 3))}
    yield "three texts", case(3, 5, 4, 8, normal)


def longer(i):
    """Return an earlier batch, in which the texts are as long as they may be."""
    shape = (len(i["x"]), *i["weight"].shape)
    return np.resize(i["x"], shape), 0.5 * np.resize(i["dy"], shape)


def pairs(seed):
    rng = np.random.default_rng(seed)
    a, circle = rng.integers(-3, 4, (3, 2)) + np.array([[0.0], [10], [20]]), np.array([1, 2, 0])

    def case(a, b, order):
        return {"a": a, "b": np.array(b), "order": order}

    y = TABLE[IDS]
    yield "the example of the page", case(y, y[TO_THE_CAT], TO_THE_CAT)
    yield "one token", case(a[:1], a[:1], np.array([0]))
    yield "nothing changed", case(a, a, circle)
    yield "three rows in a circle", case(a, a[circle], circle)
    yield "another order", case(a, a[[2, 0, 1]], circle)
    yield "all rows equal", case(np.ones((3, 2)), np.ones((3, 2)), circle)
    yield "one row is not right", case(a, a[circle] + np.array([[0], [0], [1]]), circle)
    yield "equal up to rounding", case(a, a + 1e-12, circle)
    yield "moved, up to rounding", case(a, a[circle] - 1e-12, circle)
    b, order = rng.normal(size=(6, 3)), np.array([3, 0, 5, 1, 2, 4])
    yield "six rows", case(b, b[order], order)
    yield "six new rows", case(b, rng.normal(size=(6, 3)), order)


# ---- slopes ------------------------------------------------------------------------


def slopes_look_up(module, i):
    def loss(weight):
        return (i["dy"] * module.look_up(i["ids"], weight)).sum()

    return {"d_weight": central_differences(loss, i["weight"])}


# ---- known mistakes ------------------------------------------------------------------

EYE = "return np.eye(n_rows)[ids]"
EMPTY = "X = np.zeros((len(ids), n_rows))"
ONE_TEXT = (
    "you made one row for each entry of the first axis. That is right for one text (T,). For a "
    "batch (B, T), there is a row for each of the B · T tokens."
)
ONE_HOT = (
    Mistake(
        "one text only",
        {EYE: f"{EMPTY}; X[np.arange(len(ids)), ids] = 1; return X"},
        ONE_TEXT,
    ),
    Mistake(
        "one text only, in a loop",
        {EYE: f"{EMPTY}\n    for n, i in enumerate(ids): X[n, i] = 1\n    return X"},
        ONE_TEXT,
    ),
    Mistake(
        "whole columns",
        {EYE: "X = np.zeros((*ids.shape, n_rows)); X[..., ids] = 1; return X"},
        "X[..., ids] = 1 sets these columns in every row. Row n has a single 1, at ids[n].",
    ),
    Mistake(
        "transposed",
        {EYE: "return np.eye(n_rows)[ids].T"},
        "X is transposed: each token has a row, and the V places stand along the last axis.",
    ),
    Mistake(
        "counted from 1",
        {EYE: "return np.eye(n_rows)[ids - 1]"},
        "every 1 stands one place too far to the left. Ids count from 0.",
    ),
)

PICK = "return weight[ids]"
LOOK_UP = (
    Mistake(
        "columns",
        {PICK: "return weight[:, ids]"},
        "weight[:, ids] picks columns. The vector of a token is a row: weight[ids].",
    ),
    Mistake(
        "take without an axis",
        {PICK: "return weight.take(ids)"},
        "np.take without axis=0 counts through the numbers of the table, not through its rows.",
    ),
    Mistake(
        "counted from 1",
        {PICK: "return weight[ids - 1]"},
        "you took the row before. Ids count from 0; and id 0 − 1 is the last row, without an "
        "error.",
    ),
    Mistake(
        "times √C",
        {PICK: "return weight[ids] * np.sqrt(weight.shape[1])"},
        "the vectors are multiplied by √C. The Transformer of 2017 did so; GPT-2 and this course "
        "do not.",
    ),
)

ADD = "np.add.at(d_weight, ids, dy)"
ZEROS = "d_weight = np.zeros((n_rows, dy.shape[-1]))"
DONE = "    return d_weight"
LOOK_UP_BACKWARD = (
    Mistake(
        "repeats lost",
        {ADD: "d_weight[ids] += dy"},
        "d_weight[ids] = dy and d_weight[ids] += dy both write each row once. If an id comes "
        "twice, only its last gradient remains. All uses of a row add up: np.add.at, or a loop "
        "over the tokens.",
    ),
    Mistake(
        "repeats lost in a text",
        {ADD: "for row, d in zip(ids, dy, strict=True): d_weight[row] += d"},
        "your loop runs over the first axis only. For ids (B, T), each step still has T ids, and "
        "d_weight[row] += d keeps one of equal ids. Make one axis of both first: ids.reshape(-1).",
    ),
    Mistake(
        "repeats lost between texts",
        {ADD: "for t in range(ids.shape[-1]): d_weight[ids[..., t]] += dy[..., t, :]"},
        "your loop runs over the places. At one place, several texts may hold the same token, and "
        "d_weight[ids[:, t]] += … keeps one of them. Make one axis of all tokens first: "
        "ids.reshape(-1).",
    ),
    Mistake(
        "mean over uses",
        {DONE: f"{DONE} / np.maximum(np.bincount(ids.ravel(), minlength=n_rows), 1)[:, None]"},
        "you took the mean over the uses of a token. Each use moves the loss by itself, so the "
        "gradients of the uses add up.",
    ),
    Mistake(
        "mean over tokens",
        {DONE: f"{DONE} / ids.size"},
        "you divided by the number of tokens. If the loss is a mean, dy has that factor already.",
    ),
    Mistake(
        "texts not added up",
        {DONE: "    return np.swapaxes(np.eye(n_rows)[ids], -1, -2) @ dy"},
        "this is a gradient for each text. All texts used the same table: add them up.",
    ),
    Mistake(
        "all axes reversed",
        {DONE: "    return np.eye(n_rows)[ids].T @ dy"},
        "X.T reverses all axes of (B, T, V). Make one axis of the tokens of all texts first: "
        "ids.reshape(-1), and dy.reshape(-1, C).",
    ),
    Mistake(
        "too few rows",
        {ZEROS: "d_weight = np.zeros((ids.max() + 1, dy.shape[-1]))"},
        "the table has n_rows rows, also for tokens that do not occur in this text.",
    ),
    Mistake(
        "uses counted",
        {ADD: "np.add.at(d_weight, ids, 1)"},
        "you counted how often each token occurs. Add the row of dy, not 1.",
    ),
    Mistake(
        "minus",
        {ADD: "np.subtract.at(d_weight, ids, dy)"},
        "the sign is wrong: y grows with W. Going downhill is the optimizer's task.",
    ),
)

LOOKED_UP = 'return look_up(ids, self.params["weight"])'
WRITE = 'self.grads["weight"][...] = d_weight'
EMBEDDING = (
    Mistake(
        "adds up",
        {WRITE: 'self.grads["weight"][...] += d_weight'},
        "the gradients of two calls add up: the marker calls your layer twice, first with other "
        "ids. Write `grads[name][...] = …`, not `+=`; before np.add.at into it, set it to 0.",
    ),
    Mistake(
        "replaced",
        {WRITE: 'self.grads["weight"] = d_weight'},
        "the array in `grads` was not written to; the optimizer holds on to it and saw zeros. "
        "Write `grads[name][...] = …`, not `grads[name] = …`.",
    ),
    Mistake(
        "old rows remain",
        {WRITE: 'self.grads["weight"][self.ids] = d_weight[self.ids]'},
        "you wrote the rows of the tokens that occur, and all others keep the gradient of an "
        "earlier call: the marker calls your layer twice, first with other ids. They must be 0.",
    ),
    Mistake(
        "mean over tokens",
        {WRITE: f"{WRITE} / self.ids.size"},
        "you divided by the number of tokens. If the loss is a mean, dy has that factor already.",
    ),
)

PLACE = 'return x + self.params["weight"][:T]'
WRITE_P = "grad[: dy.shape[1]] = dy.sum(axis=0)"
ZERO = "grad[...] = 0"
POSITIONS = (
    Mistake(
        "a position for each text",
        {PLACE: 'return x + self.params["weight"][: len(x), None]'},
        "each text has one position here. Positions count the tokens of a text, axis 1; every text "
        "begins at position 0.",
    ),
    Mistake(
        "all rows",
        {PLACE: 'return x + self.params["weight"]'},
        "you added all of P. It has max_len rows, and a text of T tokens needs the first T.",
    ),
    Mistake(
        "last rows",
        {PLACE: 'return x + self.params["weight"][-T:]'},
        "you took the last T rows of P. A text begins at position 0: the first T rows.",
    ),
    Mistake(
        "counted from 1",
        {PLACE: 'return x + self.params["weight"][1 : T + 1]'},
        "you began at row 1 of P. Positions count from 0.",
    ),
    Mistake(
        "one vector",
        {PLACE: 'return x + self.params["weight"][T - 1]'},
        "every token got the same vector. Place t gets row t: a slice [:T], not an index.",
    ),
    Mistake(
        "times",
        {PLACE: 'return x * self.params["weight"][:T]'},
        "you multiplied. The vector of the place is added.",
    ),
    Mistake(
        "into all rows",
        {WRITE_P: "grad[...] = dy.sum(axis=0)"},
        "the sum has T rows and the gradient has max_len. Only the first T rows of P were used.",
    ),
    Mistake(
        "first text only",
        {WRITE_P: "grad[: dy.shape[1]] = dy[0]"},
        "the gradient is that of the first text. P[t] was used in every text: add them up.",
    ),
    Mistake(
        "mean over texts",
        {WRITE_P: "grad[: dy.shape[1]] = dy.mean(axis=0)"},
        "you took the mean over texts. P[t] was used in every text, so the gradients add up. If "
        "the loss is a mean, dy has that factor already.",
    ),
    Mistake(
        "sum over tokens",
        {WRITE_P: "grad[: dy.shape[1]] = dy.sum(axis=1)"},
        "the sum runs over the tokens of a text. The same row of P was used in all texts, so it "
        "runs over texts, axis 0.",
    ),
    Mistake(
        "adds up",
        {ZERO: "pass", WRITE_P: WRITE_P.replace("=", "+=", 1)},
        "the gradients of two calls add up: the marker calls your layer twice, first with longer "
        "texts. Set the array to 0 first, and write with `=`.",
    ),
    Mistake(
        "old rows remain",
        {ZERO: "pass"},
        "the marker calls your layer twice, first with longer texts. Their gradients remain in "
        "the rows from T on. Set the array to 0 first.",
    ),
    Mistake(
        "replaced",
        {'grad = self.grads["weight"]': 'grad = self.grads["weight"] = 0 * self.grads["weight"]'},
        "the array in `grads` was not written to; the optimizer holds on to it and saw zeros. "
        "Write `grads[name][...] = …`, not `grads[name] = …`.",
    ),
    Mistake(
        "dx plus P",
        {"return dy": 'return dy + self.params["weight"][: dy.shape[1]]'},
        "you added P to dx. In y = x + P, the slope with respect to x is 1: dx is dy itself.",
    ),
    Mistake(
        "dx is 0",
        {"return dy": "return 0 * dy"},
        "dx is 0: no gradient reaches the embedding below. In y = x + P, the slope with respect to "
        "x is 1.",
    ),
)

SAME = "if np.allclose(a, b, rtol=0, atol=1e-9):"
MOVED = "if np.allclose(a[order], b, rtol=0, atol=1e-9):"
COMPARE = (
    Mistake(
        "other way round",
        {MOVED: "if np.allclose(a, b[order], rtol=0, atol=1e-9):"},
        "you compared b[order] with a. Row t of b belongs to row order[t] of a: a[order] with b. "
        "Both agree only for orders that undo themselves, such as a swap of two.",
    ),
    Mistake(
        "to the last digit",
        {SAME: "if (a == b).all():", MOVED: "if (a[order] == b).all():"},
        "you compared with ==. Sums in another order differ by rounding, so allow 1e-9: "
        "np.allclose.",
    ),
    Mistake(
        "moved first",
        {
            f'{SAME}\n        return "same"': "if np.allclose(b, a[order]): return 'moved'",
            f'{MOVED}\n        return "moved"': "if np.allclose(b, a): return 'same'",
        },
        'if all rows are equal, both words are true. Ask for "same" first.',
    ),
    Mistake(
        "one row is enough",
        {
            SAME: "if (abs(a - b) < 1e-9).any():",
            MOVED: "if (abs(a[order] - b) < 1e-9).any():",
        },
        "you asked whether any number agrees. All must.",
    ),
    Mistake(
        "order not used",
        {MOVED: "if np.allclose(np.sort(a, axis=0), np.sort(b, axis=0)):"},
        "you asked whether b has the same rows in any order. It must be the given order.",
    ),
)

# ---- 3.7 ---------------------------------------------------------------------------

SHUFFLED = {"vectors": "moved", "placed": "new", "total": "same", "placed_total": "same",
            "d_table": "same", "d_positions": "moved"}  # fmt: skip
ONE_VECTOR = ("total", "placed_total", "d_table")
"""Results that have no row for each place."""
MEASURE = {
    "vectors": "compare(look_up(ids, W), look_up(ids[order], W), order)",
    "placed": "compare(look_up(ids, W) + P, look_up(ids[order], W) + P, order)",
    "total": "look_up(ids, W).sum(axis=0), look_up(ids[order], W).sum(axis=0)",
    "placed_total": "(look_up(ids, W) + P).sum(axis=0)\n"
    "    (look_up(ids[order], W) + P).sum(axis=0)",
    "d_table": "look_up_backward(dy, ids, V)\n    look_up_backward(dy[order], ids[order], V)",
    "d_positions": "grads of MyPositions after backward(dy[None]),\n"
    "    and after backward(dy[order][None])",
}


def judge_shuffle(answer, seed):
    """Return None if right, or a sentence."""
    words = {name: answer[name] for name in SHUFFLED}
    for name, word in words.items():
        allowed = ["same", "new"] if name in ONE_VECTOR else ["same", "moved", "new"]
        if word not in allowed:
            return f"{name} must be one of {', '.join(allowed)}. It is {word!r}."
    wrong = [name for name, word in words.items() if word != SHUFFLED[name]]
    if wrong:
        return (
            f"{6 - len(wrong)} of your 6 predictions come true. Measure this one, with random W, P "
            f"and dy, and find out why:\n\n    {wrong[0]}: you said {words[wrong[0]]!r}\n"
            f"    {MEASURE[wrong[0]]}"
        )
    if len(str(answer["why"]).split()) < 8:
        return (
            "all six are right. Now say why placed_total is the same, although every token stands "
            "at another place (at least 8 words)."
        )
    return None


EXERCISES = [
    Exercise(
        "3.1", "one_hot", "A token is not a number",
        hints=(
            "How does a matrix look whose row i has a 1 at place i?",
            "It is np.eye(V). Row n of X is one of its rows. Which?",
            "np.eye(n_rows)[ids]: an array of ids picks a row for each id, whatever its shape is.",
        ),
        idea="The rows of the identity are the one-hot rows, so looking them up is a look-up in a "
        "table that is never learned. (ids[..., None] == np.arange(n_rows)).astype(float) is right "
        "too: it compares each id with every place.",
        inputs=("ids", "n_rows"), outputs=("X",), cases=some_ids, mistakes=ONE_HOT,
    ),
    Exercise(
        "3.2", "look_up", "The table",
        hints=(
            "It can be done with one_hot and a product. It can be done without either.",
            "What does weight[3] return? And weight[np.array([3, 3])]?",
            "weight[ids].",
        ),
        idea="The product one_hot(ids, V) @ weight gives the same and reads all V rows for each "
        "token; the index reads one. A negative id would read from the end without an error: "
        "miniGPT's own layer checks ids first.",
        inputs=("ids", "weight"), outputs=("y",), cases=look_ups, mistakes=LOOK_UP,
        used_in="MyEmbedding",
    ),
    Exercise(
        "3.3", "look_up_backward", "The table, backward",
        hints=(
            "Take one row of W. Into which rows of y was it copied?",
            "Begin with zeros (V, C), and add each row of dy to the row of its token. What does "
            "`+=` do with an id that comes twice?",
            "np.add.at(d_weight, ids, dy) adds once for each id, repeats too. A loop over "
            "zip(ids.reshape(-1), dy.reshape(-1, C)) does the same.",
        ),
        idea="The product one_hotᵀ dy, over all tokens of all texts, is right, too: its sum over n "
        "is this sum. miniGPT sorts the ids first, so that rows of equal ids stand together, and "
        "adds each group at once: many times faster than np.add.at.",
        inputs=("dy", "ids", "n_rows"), outputs=("d_weight",), cases=look_ups,
        slopes=slopes_look_up, mistakes=LOOK_UP_BACKWARD, used_in="MyEmbedding", n_small=7,
    ),
    Exercise(
        "3.4", "MyEmbedding", "The layer",
        hints=(
            "forward is 3.2 and backward is 3.3. What must forward remember in between?",
            "The ids: `self.ids = ids`. The gradient goes into the array that is there already.",
            "d = look_up_backward(dy, self.ids, V), with V = len of the table; then "
            '`self.grads["weight"][...] = d`.',
        ),
        idea="Only the ids are kept: the backward pass needs neither W nor y. `[...] =` writes all "
        "rows, so nothing of an earlier call remains.",
        inputs=("ids", "weight", "dy"), outputs=("y", "d_weight"), forward=("y",),
        cases=embeddings, call=run_layer("MyEmbedding", ("weight",), before=other_ids),
        slopes=layer_slopes("MyEmbedding", ("weight",)), mistakes=EMBEDDING,
        includes=("3.2", "3.3"), used_in="MyEmbedding",
    ),
    Exercise(
        "3.5", "MyPositions", "Positions",
        hints=(
            "x is (B, T, C), and P is (max_len, C). Which rows of P are added, and to how many "
            "texts?",
            "The first T rows, to every text: NumPy repeats them along the first axis. What is the "
            "backward pass of repeating?",
            "A sum over texts: dy.sum(axis=0) belongs into the first T rows, 0 into the others. dx "
            "is dy.",
        ),
        idea="It is an embedding whose ids are 0, 1, …, T − 1 in every text. So the ids are known "
        "beforehand: a slice does for the look-up, and a sum over texts for the gradient.",
        inputs=("x", "weight", "dy"), outputs=("y", "dx", "d_weight"), forward=("y",),
        cases=placed, call=run_layer("MyPositions", ("weight",), before=longer),
        slopes=layer_slopes("MyPositions", ("weight",)), mistakes=POSITIONS,
        used_in="MyPositions",
    ),
    Exercise(
        "3.6", "compare", "A shuffled text",
        hints=(
            "Three words: three returns, and two questions before them.",
            "Is b equal to a? If not, is b equal to a with its rows in the new order?",
            "np.allclose(a[order], b, rtol=0, atol=1e-9) is the second question.",
        ),
        idea="a[order] does to the rows of a what was done to the text. A function f with "
        "f(x[order]) = f(x)[order] is called equivariant, one with f(x[order]) = f(x) invariant: "
        '"moved" and "same".',
        inputs=("a", "b", "order"), outputs=("word",), cases=pairs, mistakes=COMPARE,
    ),
    Exercise(
        "3.7", "predict_shuffle", "A shuffled text",
        hints=(
            "Which of the six results know at which place a token stands?",
            "For a sum, ask which vectors are in it. Is there one that depends on a token and its "
            "place together?",
            "A gradient of W belongs to a token, wherever it stands; a gradient of P belongs to a "
            "place, whatever stands there.",
        ),
        idea="Adding P makes every vector depend on token and place. But a sum of such vectors "
        "takes tokens and places apart again. Only something that is no sum, between the addition "
        "and the total, can use the order: GELU in lesson 4, softmax in lesson 6.",
        outputs=(*SHUFFLED, "why"), judge=judge_shuffle,
    ),
]  # fmt: skip
