"""How lesson 0 is marked: cases, slopes and known mistakes."""

import numpy as np

from minigpt.course.exercise import Exercise, Mistake, central_differences

# ---- cases -----------------------------------------------------------------------


def function(text):
    """Return the function of x that the text of an expression says."""
    return eval(f"lambda x: {text}", {"np": np})


def arrays(seed):
    rng = np.random.default_rng(seed)
    yield "the example of the page", {"x": np.array([3.0, -1.0])}
    yield "one number", {"x": np.array([2.5])}
    yield "zeros", {"x": np.zeros(3)}
    yield "two axes", {"x": rng.normal(size=(2, 3))}
    yield "three axes", {"x": 10 * rng.normal(size=(2, 1, 4))}


def losses(seed):
    rng = np.random.default_rng(seed)

    def case(loss, x):
        return {"loss": loss, "x": np.array(x, float)}

    yield "the example of the page", case("(x ** 2).sum()", [3, -1])
    yield "one number", case("4 * x.sum()", [2])
    yield "two numbers that are multiplied", case("x[0] * x[1]", [3, -1])
    yield "at the bottom of a bowl", case("1000 * (x ** 2).sum()", [0, 0])
    yield "numbers that meet", case("1000 * x.sum() ** 2", [1, -3, 2])
    yield "third powers", case("(x ** 3).sum()", [1, -2])
    yield "a large loss", case("1000 + np.sin(x).sum()", [0.5, 1.5])
    yield "two rows", case("x[0] @ x[1]", [[1, 2], [3, -4]])
    yield "three axes", case("np.cos(x).sum() ** 2", rng.normal(size=(2, 1, 3)))


def claims(seed):
    rng = np.random.default_rng(seed)

    def case(loss, x, gradient):
        return {"loss": loss, "x": np.array(x, float), "gradient": np.array(gradient, float)}

    squares, x = "(x ** 2).sum()", [3, -1]
    yield "the example of the page", case(squares, x, [6, -2])
    yield "wrong sign in one number", case(squares, x, [6, 2])
    yield "two errors that cancel", case(squares, x, [6.5, -2.5])
    yield "too small", case(squares, x, [5.5, -2])
    yield "only the first is right", case(squares, x, [6, -1])
    yield "only the last is right", case(squares, x, [5, -2])
    yield "one number, 0.01 % too large", case(squares, x, [6.0006, -2])
    yield "a true zero", case("x[0] ** 2", [3, 5], [6, 0])
    yield "not a number", case(squares, x, [6, np.nan])
    yield "one row for two", case(squares, np.ones((2, 2)), [2, 2])
    a = rng.normal(size=(3, 3))
    yield "two axes, right", case("np.sin(x).sum()", a, np.cos(a))
    yield "transposed", case("np.sin(x).sum()", a, np.cos(a).T)
    yield "large slopes, right", case("1e8 * (x ** 3).sum()", [0.7, -0.9], [147e6, 243e6])
    noise = "1e8 * (x[0] ** 3 + (x[0] + x[1]) / 3 - x[0] / 3 - x[1] / 3)"
    yield "large negative slopes, right", case("-1e8 * (x ** 3).sum()", [0.7], [-147e6])
    yield "large slopes and a true zero", case(noise, [0.7, 0.1], [147e6, 0])
    yield "a large negative slope", case(f"-{noise}", [0.7, 0.1], [-147e6, 0])


def pairs(seed):
    rng = np.random.default_rng(seed)

    def case(a, b, ds, dp):
        inputs = {"a": a, "b": b, "ds": ds, "dp": dp}
        return {name: np.array(value, float) for name, value in inputs.items()}

    yield "the example of the page", case([2], [5], [1], [10])
    yield "two numbers", case([2, 1], [5, -3], [1, 4], [10, 2])
    yield "nothing comes from s", case([2, 3], [5, 7], [0, 0], [1, -1])
    yield "nothing comes from p", case([2, 3], [5, 7], [1, -2], [0, 0])
    yield "two axes", case(*rng.normal(size=(4, 2, 3)))


def sums(seed):
    rng = np.random.default_rng(seed)

    def case(x, dy):
        return {"x": np.array(x, float), "dy": np.array(dy, float), "n": np.shape(x)[-1]}

    yield "the example of the page", case([[1, 2, 3], [4, 5, 6]], [10, -1])
    yield "one column", case([[1], [2]], [3, 5])
    yield "as many rows as columns", case([[1, 2], [3, 4]], [3, 5])
    yield "one row", case([[1, 2, 3]], [2])
    yield "three axes", case(rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3)))


def biases(seed):
    rng = np.random.default_rng(seed)

    def case(x, b, dy):
        return {"x": np.array(x, float), "b": np.array(b, float), "dy": np.array(dy, float)}

    def drawn(*shape):
        return case(rng.normal(size=shape), rng.normal(size=shape[-1]), rng.normal(size=shape))

    page = case([[1, 2], [3, 4], [5, 6]], [10, 20], [[1, 2], [0, -1], [4, 4]])
    yield "the example of the page", page
    yield "one row", drawn(1, 2)
    yield "as many rows as columns", drawn(3, 3)
    yield "no axis in front", drawn(4)
    yield "three axes", drawn(2, 3, 2)
    yield "four axes", drawn(2, 2, 3, 4)


def products(seed):
    rng = np.random.default_rng(seed)

    def case(a, b, dy):
        return {"a": np.array(a, float), "b": np.array(b, float), "dy": np.array(dy, float)}

    def drawn(N, K, M):
        return case(
            rng.normal(size=(N, K)), rng.normal(size=(K, M)), rng.normal(size=(N, M))
        )  # fmt: skip

    yield "the example of the page", case([[1, 2], [0, 3]], [[1, 0], [4, -1]], [[1, 2], [3, 1]])
    yield "one number each", case([[2]], [[5]], [[3]])
    yield "1, 2 and 3", drawn(1, 2, 3)
    yield "4, 2 and 3", drawn(4, 2, 3)
    yield "3, 3 and 3", drawn(3, 3, 3)


# ---- calls and slopes ----------------------------------------------------------------


def run_measure(module, i):
    return {"slopes": module.measure_slopes(function(i["loss"]), i["x"])}


def run_is_right(module, i):
    return {"right": module.is_right(function(i["loss"]), i["x"], i["gradient"])}


def run_find_wrong(module, i):
    wrong = module.find_wrong()
    return {"wrong": sorted(wrong) if isinstance(wrong, set) else wrong}


def slopes_squares(module, i):
    return {"dx": central_differences(lambda x: (x**2).sum(), i["x"])}


def slopes_two_ways(module, i):
    def loss(a, b):
        return (i["ds"] * (a + b) + i["dp"] * a * b).sum()

    return {
        "da": central_differences(lambda a: loss(a, i["b"]), i["a"]),
        "db": central_differences(lambda b: loss(i["a"], b), i["b"]),
    }


def slopes_sums(module, i):
    return {"dx": central_differences(lambda x: (i["dy"] * x.sum(axis=-1)).sum(), i["x"])}


def slopes_bias(module, i):
    return {
        "dx": central_differences(lambda x: (i["dy"] * (x + i["b"])).sum(), i["x"]),
        "db": central_differences(lambda b: (i["dy"] * (i["x"] + b)).sum(), i["b"]),
    }


def slopes_product(module, i):
    return {
        "da": central_differences(lambda a: (i["dy"] * (a @ i["b"])).sum(), i["a"]),
        "db": central_differences(lambda b: (i["dy"] * (i["a"] @ b)).sum(), i["b"]),
    }


# ---- known mistakes ------------------------------------------------------------------

TWICE = "return 2 * x"
SQUARES = (
    Mistake(
        "the loss itself",
        {TWICE: "return x**2"},
        "you returned the squares. The question is how fast they grow: the derivative of x².",
    ),
    Mistake(
        "2 is missing",
        {TWICE: "return x"},
        "the factor 2 is missing: the derivative of x² is 2 x.",
    ),
    Mistake(
        "added up",
        {TWICE: "return (2 * x).sum()"},
        "you added the slopes up. Each number of x has a slope of its own, so the result has the "
        "shape of x. Only the loss is a sum.",
    ),
    Mistake(
        "mean",
        {TWICE: "return 2 * x / x.size"},
        "you divided by the number of entries. The loss is a sum here, not a mean.",
    ),
    Mistake(
        "x is missing",
        {TWICE: "return 2 * np.ones(x.shape)"},
        "the slope of x² is not 2 everywhere: it is 2 x, so it depends on x.",
    ),
    Mistake("sign", {TWICE: "return -2 * x"}, "every number has the wrong sign."),
    Mistake(
        "absolute values",
        {TWICE: "return 2 * np.abs(x)"},
        "where x is negative, the slope is negative, too: there x² falls when x grows.",
    ),
)

COPY = "moved = x.copy()"
UP = "moved[i] = x[i] + STEP"
DOWN = "moved[i] = x[i] - STEP"
DIVIDE = "slopes[i] = (above - below) / (2 * STEP)"
MEASURE = (
    Mistake(
        "one slope",
        {"return slopes": "return (loss(x + STEP) - loss(x - STEP)) / (2 * STEP)"},
        "this is one slope for the whole array, as x + STEP moves all numbers at once. Each "
        "number has a slope of its own: loop over the numbers of x, and move one of them at a"
        " time.",
    ),
    Mistake(
        "one side",
        {DIVIDE: "slopes[i] = (above - loss(x)) / STEP"},
        "you moved to one side only. At the bottom of a bowl this sees the wall on that side. "
        "Move up and down, so that the bend cancels.",
    ),
    Mistake(
        "the other side",
        {DIVIDE: "slopes[i] = (loss(x) - below) / STEP"},
        "you moved down only. Move up and down, so that the bend cancels.",
    ),
    Mistake(
        "half the distance",
        {DIVIDE: "slopes[i] = (above - below) / STEP"},
        "from x − STEP to x + STEP the distance is 2 STEP, and you divided by STEP.",
    ),
    Mistake(
        "not divided",
        {DIVIDE: "slopes[i] = above - below"},
        "you did not divide by the distance, 2 STEP. Rise over distance is the slope.",
    ),
    Mistake(
        "sign",
        {DIVIDE: "slopes[i] = (below - above) / (2 * STEP)"},
        "the sign is wrong: it is the loss above less the loss below.",
    ),
    Mistake(
        "all at once",
        {UP: "moved = x + STEP", DOWN: "moved = x - STEP"},
        "you moved all numbers at once. Each number has a slope of its own: move one and leave the "
        "others where they are.",
    ),
    Mistake(
        "not moved back",
        {
            COPY: "pass",
            "slopes = np.zeros(x.shape)": "slopes = np.zeros(x.shape); moved = x.copy()",
        },
        "the number that was moved before is still moved when you measure the next one. Begin "
        "each time with a fresh copy of x, or put the old number back.",
    ),
    Mistake(
        "flat",
        {"return slopes": "return slopes.reshape(-1)"},
        "the slopes are in one long row. Return them in the shape of x; np.ndindex(x.shape) visits "
        "all indices of an array of any shape.",
    ),
    Mistake(
        "first axis only",
        {"np.ndindex(x.shape)": "np.ndindex(len(x))"},
        "you moved whole rows of x. An index of an array with two axes is a pair; "
        "np.ndindex(x.shape) makes them all.",
    ),
    Mistake(
        "large step",
        {"STEP = 1e-5": "STEP = 1e-2"},
        "the step is so large that the slope changes on the way. Use 1e-5.",
    ),
    Mistake(
        "tiny step",
        {"STEP = 1e-5": "STEP = 1e-12"},
        "the step is so small that only rounding is left of the difference. Use 1e-5.",
    ),
)

SHAPE = "if gradient.shape != x.shape:"
OFF = "off = np.abs(gradient - slopes).max()"
ALLOWED = "allowed = 1e-6 * max(1.0, np.abs(slopes).max())"
VERDICT = "return bool(off <= allowed)"
IS_RIGHT = (
    Mistake(
        "largest of signed slopes",
        {ALLOWED: "allowed = 1e-6 * max(1.0, abs(slopes.max()))"},
        "you took the largest slope before the absolute value. If the steepest slope is "
        "negative, it is not the largest: np.abs(slopes).max().",
    ),
    Mistake(
        "exactly equal",
        {VERDICT: "return bool((gradient == slopes).all())"},
        "you asked for equal numbers. A measured slope is rounded, so it never agrees to the last "
        "digit. Ask how large the difference is.",
    ),
    Mistake(
        "no absolute value",
        {OFF: "off = (gradient - slopes).max()"},
        "a gradient that is too small passes: its difference is negative. Take np.abs first.",
    ),
    Mistake(
        "errors cancel",
        {OFF: "off = np.abs((gradient - slopes).sum())"},
        "you added the differences up, so two errors with different signs cancel. Take the "
        "largest of the absolute differences.",
    ),
    Mistake(
        "one right number is enough",
        {OFF: "off = np.abs(gradient - slopes).min()"},
        "one right number is enough for you. All must be right, so look at the largest difference.",
    ),
    Mistake(
        "first number only",
        {OFF: "off = np.abs(gradient - slopes).flat[0]"},
        "you looked at the first number only.",
    ),
    Mistake(
        "absolute tolerance",
        {ALLOWED: "allowed = 1e-6"},
        "you reject right gradients that are large: 1e-6 is below the rounding of a slope of "
        "1e8. What is allowed must grow with the largest slope.",
    ),
    Mistake(
        "largest slope with its sign",
        {ALLOWED: "allowed = 1e-6 * max(1.0, slopes.max())"},
        "where all slopes are negative, their maximum says nothing about their size. Take np.abs "
        "first.",
    ),
    Mistake(
        "each number by itself",
        {VERDICT: "return bool(np.allclose(gradient, slopes))"},
        "you compare each number with its own size, as np.allclose does. A slope that is "
        "truly 0 is measured as rounding noise, and the noise is as large as the loss makes it. "
        "Compare with the largest slope of all.",
    ),
    Mistake(
        "divided by the slope",
        {OFF: "off = (np.abs(gradient - slopes) / np.abs(slopes)).max()"},
        "you divided by the slope of each number. Where it is 0, this is 0 / 0. Compare with "
        "the largest slope of all.",
    ),
    Mistake(
        "generous",
        {ALLOWED: "allowed = 1e-2 * max(1.0, np.abs(slopes).max())"},
        "you allow too much. Measured slopes are good to about 9 digits; allow 1e-6.",
    ),
    Mistake(
        "shape not checked",
        {SHAPE: "if False:"},
        "you did not compare the shapes. NumPy stretches an array (2,) to (2, 2) without a word. "
        "A gradient has the shape of its array, always.",
    ),
    Mistake(
        "nan passes",
        {VERDICT: "return not bool(off > allowed)"},
        "a nan passes: `nan > allowed` is False, and so is every comparison with nan. Ask whether "
        "the difference is small, not whether it is large.",
    ),
)

DA = "da = ds + dp * b"
DB = "db = ds + dp * a"
TWO_WAYS = (
    Mistake(
        "the way through s is missing",
        {DA: "da = dp * b", DB: "db = dp * a"},
        "a and b also reach the loss through s. Its slope is 1, so ds is added.",
    ),
    Mistake(
        "the way through p is missing",
        {DA: "da = ds", DB: "db = ds"},
        "a and b also reach the loss through p. The slope of a b with respect to a is b.",
    ),
    Mistake(
        "own number as the slope",
        {DA: "da = ds + dp * a", DB: "db = ds + dp * b"},
        "the slope of a b with respect to a is the other number, b.",
    ),
    Mistake(
        "slope left out",
        {DA: "da = ds + dp", DB: "db = ds + dp"},
        "dp must be multiplied by the slope of p = a b on the way to a, which is b.",
    ),
    Mistake(
        "arriving gradient left out",
        {DA: "da = 1 + b", DB: "db = 1 + a"},
        "these are only the slopes of s and p. Each is multiplied by the gradient that arrives "
        "there, ds or dp.",
    ),
    Mistake(
        "ways multiplied",
        {DA: "da = ds * dp * b", DB: "db = ds * dp * a"},
        "you multiplied the two ways. Along one way slopes are multiplied; different ways are "
        "added.",
    ),
    Mistake(
        "swapped",
        {DA: "db = ds + dp * b", DB: "da = ds + dp * a"},
        "the two results are swapped: return da, db.",
    ),
    Mistake(
        "slopes exchanged",
        {DA: "da = ds * b + dp * a", DB: "db = ds * a + dp * b"},
        "the slopes belong to other ways. Through s = a + b the slope is 1, and through p = a b it "
        "is the other number.",
    ),
    Mistake(
        "ds has the factor of the product",
        {DA: "da = (ds + dp) * b", DB: "db = (ds + dp) * a"},
        "the factor of the product stands at ds, too. The way through s = a + b has the slope 1.",
    ),
)

SPREAD = "return np.repeat(dy[..., None], n, axis=-1)"
ROW_SUMS = (
    Mistake(
        "one long row",
        {SPREAD: "return np.tile(dy, n)"},
        "dy is repeated in one long row. Make a new axis first, dy[..., None], and repeat "
        "along it.",
    ),
    Mistake(
        "repeated along axis 1",
        {SPREAD: "return np.repeat(dy[:, None], n, axis=1)"},
        "the new axis stands in the second place, and it must be the last one. Count from the"
        " end: dy[..., None] and axis=-1.",
    ),
    Mistake(
        "mean",
        {SPREAD: "return np.repeat(dy[..., None], n, axis=-1) / n"},
        "you divided by n. If one number of a row grows by 1, the sum grows by 1, not by 1/n: it "
        "is a sum, not a mean.",
    ),
    Mistake(
        "not spread",
        {SPREAD: "return dy[..., None]"},
        "the last axis has the length 1. Each of the n numbers of a row has a gradient: repeat it "
        "n times.",
    ),
    Mistake(
        "unchanged",
        {SPREAD: "return dy"},
        "you returned dy itself. The gradient of x has the shape of x, (..., n).",
    ),
    Mistake(
        "new axis in front",
        {SPREAD: "return np.broadcast_to(dy, (n, *dy.shape)).reshape(*dy.shape, n)"},
        "the numbers of dy are in the wrong rows. Row i of x went into y_i, so row i of dx is "
        "filled with dy_i.",
    ),
    Mistake(
        "columns",
        {SPREAD: "return dy * np.ones(n)"},
        "NumPy matches axes from the end, so it lays dy along the new axis, where it need not fit. "
        "dy[..., None] has an axis of length 1 at the end, which is stretched.",
    ),
    Mistake(
        "second axis",
        {SPREAD: "return dy[:, None] * np.ones(n)"},
        "dy[:, None] puts the new axis in the second place. This is the last place only if dy has "
        "one axis. dy[..., None] puts it at the end.",
    ),
    Mistake(
        "ones",
        {SPREAD: "return np.ones((*dy.shape, n))"},
        "1 is the slope of the sum. It must be multiplied by the gradient that arrives, dy.",
    ),
    Mistake(
        "everything added",
        {SPREAD: "return np.full((*dy.shape, n), dy.sum())"},
        "you added all of dy up. A number of x is in the sum of its own row only.",
    ),
)

AXES = "axes = tuple(range(dy.ndim - 1))"
SUM = "db = dy.sum(axis=axes)"
BIAS = (
    Mistake(
        "not added up",
        {SUM: "db = dy"},
        "db must have the shape of b, (C,). Every row used the same b, so its gradient is the sum "
        "over all rows.",
    ),
    Mistake(
        "mean",
        {SUM: "db = dy.mean(axis=axes)"},
        "you took the mean over the rows. b reaches the loss by every row, and ways are added.",
    ),
    Mistake(
        "other axis",
        {SUM: "db = dy.sum(axis=-1)"},
        "you added along the last axis. b_c was added to every row, so sum over the rows and keep "
        "the last axis.",
    ),
    Mistake(
        "first axis only",
        {SUM: "db = dy.sum(axis=0) if dy.ndim > 1 else dy"},
        "you added over the first axis only. All axes but the last are axes along which b was "
        "copied.",
    ),
    Mistake(
        "axis 0 always",
        {AXES: "axes = 0"},
        "you added over axis 0. All axes but the last are axes along which b was copied; with "
        "three axes these are two, and with one axis there is none.",
    ),
    Mistake(
        "everything",
        {SUM: "db = dy.sum()"},
        "you added all of dy to one number. Each of the C numbers of b has a gradient.",
    ),
    Mistake(
        "keepdims",
        {SUM: "db = dy.sum(axis=axes, keepdims=True)"},
        "db has too many axes. It must have the shape of b, (C,): no keepdims here.",
    ),
    Mistake(
        "ones",
        {SUM: "db = np.ones(dy.shape[-1])"},
        "1 is the slope along each way. It must be multiplied by the gradient that arrives, dy.",
    ),
    Mistake(
        "one row only",
        {SUM: "db = dy.reshape(-1, dy.shape[-1])[0]"},
        "you took one row of dy. b was added to all of them.",
    ),
    Mistake(
        "dx added up",
        {"return dy, db": "return dy.sum(axis=axes), db"},
        "dx must have the shape of x. Each number of x is in one number of y, with the slope 1.",
    ),
)

PRODUCT_A = "da = dy @ b.T"
PRODUCT_B = "db = a.T @ dy"
PRODUCT = (
    Mistake(
        "number by number, transposed",
        {PRODUCT_A: "da = dy * b.T", PRODUCT_B: "db = a.T * dy"},
        "the letters are right, but * multiplies number by number. The sums need the product "
        "of matrices, `@`.",
    ),
    Mistake(
        "b not transposed",
        {PRODUCT_A: "da = dy @ b"},
        "da_nk = Σ_m dy_nm b_km: the sum runs over the columns of b, so b must be transposed.",
    ),
    Mistake(
        "a not transposed",
        {PRODUCT_B: "db = a @ dy"},
        "db_km = Σ_n a_nk dy_nm: the sum runs over the rows of a, so a must be transposed.",
    ),
    Mistake(
        "nothing transposed",
        {PRODUCT_A: "da = dy @ b", PRODUCT_B: "db = a @ dy"},
        "neither a nor b is transposed. Look at the letters of the two sums: b must be transposed "
        "for da, and a for db.",
    ),
    Mistake(
        "factors of da swapped",
        {PRODUCT_A: "da = b.T @ dy"},
        "the two factors of da are in the wrong order. dy stands on the left, where a stood.",
    ),
    Mistake(
        "factors of db swapped",
        {PRODUCT_B: "db = dy @ a.T"},
        "the two factors of db are in the wrong order. dy stands on the right, where b stood.",
    ),
    Mistake(
        "dy transposed in db",
        {PRODUCT_B: "db = dy.T @ a"},
        "this is the transpose of db. Exchange the two factors and transpose the other one.",
    ),
    Mistake(
        "results swapped",
        {"da = dy @ b.T": "db = dy @ b.T", "db = a.T @ dy": "da = a.T @ dy"},
        "the two results are swapped: return da, db.",
    ),
    Mistake(
        "mean over rows",
        {PRODUCT_B: "db = a.T @ dy / len(a)"},
        "db is divided by the number of rows. Every row of a used the same b, and ways are added. "
        "If the loss is a mean, that is in dy already.",
    ),
    Mistake(
        "mean over rows, of a",
        {PRODUCT_A: "da = dy @ b.T / len(a)"},
        "da is divided by the number of rows. If the loss is a mean, that is in dy already.",
    ),
    Mistake(
        "dy left out",
        {PRODUCT_A: "da = b.T", PRODUCT_B: "db = a.T"},
        "these are only the slopes of y. Each is multiplied by the gradient that arrives, dy, and "
        "added up.",
    ),
    Mistake(
        "number by number",
        {PRODUCT_A: "da = dy * b", PRODUCT_B: "db = a * dy"},
        "you multiplied number by number. a_nk reaches every number of row n of y, so its gradient "
        "is a sum: use `@`.",
    ),
)

# ---- answers that no reference gives ---------------------------------------------------

WRONG = {
    "B": "|x| falls where x is negative. Did you try negative numbers?",
    "C": "its gradient is right for one number only. Did you try an array of several numbers?",
    "F": "x_1 is in x_0 x_1 and in x_1 x_2: two ways, and one is missing. Print both arrays.",
}


def judge_wrong(answer, seed):
    """Return None if right, or a sentence."""
    wrong = answer["wrong"]
    if not isinstance(wrong, str | list | tuple):
        return 'wrong must be a list of names, such as ["A", "D"].'
    names = {str(each) for each in wrong}
    if strange := names - set("ABCDEF"):
        return f"{min(strange)!r} is not one of the names A to F."
    if names == set("ABCDEF") - WRONG.keys():
        return "these are the right ones. Asked for are those at which is_right returns False."
    for name in sorted(names - WRONG.keys()):
        return (
            f"the gradient of {name} is right. If your is_right says no, look at the x that you "
            "took. Are its numbers floats (1.0, not 1)? Does the function have a corner there, or "
            "does the gradient divide by 0?"
        )
    for name, why in WRONG.items():
        if name not in names:
            return f"you found {len(names)} of the 3. Look at {name} again: {why}"
    return None


EXERCISES = [
    Exercise(
        "0.1", "squares_backward", "The gradient has the shape of the array",
        hints=(
            "One number first. What is the derivative of x² ?",
            "It is 2 x. Every x_i is in one square only, so the same holds for each of them.",
            "return 2 * x",
        ),
        idea="NumPy multiplies every number of an array at once, so the formula for one number is "
        "the code for all of them.",
        inputs=("x",), outputs=("dx",), cases=arrays, slopes=slopes_squares, mistakes=SQUARES,
    ),
    Exercise(
        "0.2", "measure_slopes", "Measure a slope",
        hints=(
            "Make an array of zeros of the shape of x. Fill it number by number, in a loop.",
            "for i in np.ndindex(x.shape): makes every index i, and x[i] is one number, whatever "
            "the number of axes is. Move it in a copy of x.",
            "moved = x.copy(); moved[i] = x[i] + STEP; above = loss(moved). Then the same with "
            "− STEP, and slopes[i] = (above - below) / (2 * STEP).",
        ),
        idea="Two calls of loss for each number of x. This is slow: a model with a million numbers "
        "would need two million forward passes for one gradient. So it is used to check gradients, "
        "not to train.",
        outputs=("slopes",), cases=losses, call=run_measure, shown=("loss", "x"),
        mistakes=MEASURE, tolerance=1e-6,
    ),
    Exercise(
        "0.3", "is_right", "Is this gradient right?",
        hints=(
            "Measure the slopes with your function. Then look at the largest difference.",
            "np.abs(gradient - slopes).max() is the largest difference, and np.abs(slopes).max() "
            "the largest slope. Compare the shapes before you subtract.",
            "return bool(difference <= 1e-6 * max(1.0, largest)): a nan makes it False, as it "
            "should.",
        ),
        idea="The difference is compared with the largest slope of all, not number by number: the "
        "rounding of a measured slope comes from the size of the loss, not from its own size.",
        outputs=("right",), cases=claims, call=run_is_right, shown=("loss", "x", "gradient"),
        mistakes=IS_RIGHT, includes=("0.2",), tolerance=1e-6,
    ),
    Exercise(
        "0.4", "find_wrong", "Is this gradient right?",
        hints=(
            "For each name: loss, gradient = SUSPECTS[name]. Then is_right(loss, x, gradient(x)).",
            "One x is not enough. A wrong gradient can be right for one number, or for positive "
            "numbers.",
            "Try x = np.random.default_rng(0).normal(size=3), several of them, in a loop over "
            "SUSPECTS.items().",
        ),
        idea="Five random arrays of three numbers, with both signs. A gradient is right only if it "
        "passes at every one of them.",
        outputs=("wrong",), call=run_find_wrong, judge=judge_wrong,
    ),
    Exercise(
        "0.5", "two_ways_backward", "The chain rule: a sum over ways",
        hints=(
            "By which ways does one number of a reach the loss? There are two.",
            "Through s the slope is 1, through p it is b. Multiply each by what arrives there.",
            "da = ds * 1 + dp * b, and db in the same way.",
        ),
        idea="Multiply along a way, add over the ways. Every gradient of the course is found with "
        "these two rules.",
        inputs=("ds", "dp", "a", "b"), outputs=("da", "db"), cases=pairs, slopes=slopes_two_ways,
        mistakes=TWO_WAYS,
    ),
    Exercise(
        "0.6", "row_sums_backward", "A sum over an axis",
        hints=(
            "Each number of row i is in y_i, with the slope 1. What does it get?",
            "It gets dy_i. So row i of dx is dy_i, n times. dy[..., None] has an axis more.",
            "np.repeat(dy[..., None], n, axis=-1), or dy[..., None] * np.ones(n).",
        ),
        idea="A sum forward is a copy backward. dy[..., None] puts an axis of length 1 at the end, "
        "and it is repeated.",
        inputs=("dy", "n"), outputs=("dx",), cases=sums, slopes=slopes_sums, mistakes=ROW_SUMS,
        shown=("dy", "n"),
    ),
    Exercise(
        "0.7", "add_bias_backward", "Broadcasting is a copy",
        hints=(
            "x: how many numbers of y does x_nc reach? b: how many does b_c reach?",
            "x_nc reaches one, with the slope 1, so dx = dy. b_c reaches one in every row.",
            "db is the sum of dy over all axes but the last: axis=tuple(range(dy.ndim - 1)), or "
            "dy.reshape(-1, C).sum(axis=0).",
        ),
        idea="A copy forward is a sum backward: sum over the axes along which b was copied. With "
        "no axis in front, there is nothing to sum.",
        inputs=("dy",), outputs=("dx", "db"), cases=biases, slopes=slopes_bias, mistakes=BIAS,
    ),
    Exercise(
        "0.8", "product_backward", "The product of two matrices",
        hints=(
            "Write the shapes of dy, a and b on paper. Those of da and db leave little choice.",
            "da_nk = Σ_m dy_nm b_km. A product of matrices sums over the last letter of the first "
            "and the first letter of the second: which of the two must be transposed?",
            "da = dy @ b.T. For db, the sum runs over n, the first letter of both.",
        ),
        idea="In da, dy stands where a stood; in db, dy stands where b stood; the other factor is "
        "transposed. Shapes alone decide it, unless the matrices are square.",
        inputs=("dy", "a", "b"), outputs=("da", "db"), cases=products, slopes=slopes_product,
        mistakes=PRODUCT, points=2, n_small=5,
    ),
]  # fmt: skip
