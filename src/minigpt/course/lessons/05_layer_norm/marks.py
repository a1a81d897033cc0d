"""How lesson 5 is marked: cases, slopes and known mistakes."""

import numpy as np

from minigpt.course.exercise import (
    Exercise,
    Mistake,
    central_differences,
    layer_slopes,
    run_layer,
)

X = np.array([[1.0, 1, 5, 5], [0, 4, 0, 4]])
DY = np.array([[1.0, 0, 6, 4], [1, 2, 3, 0]])
SCALE = np.array([2.0, 2, 1, 2])
SHIFT = np.array([0.0, 1, 1, 0])
EPS = 1e-5

# ---- cases -----------------------------------------------------------------------


def rows(seed):
    """Yield x, dy, scale, shift and eps, and what step 5.1 to 5.3 make of them."""
    rng = np.random.default_rng(seed)

    def case(x, dy, scale=None, shift=None, eps=EPS):
        C = x.shape[-1]
        scale = rng.uniform(0.5, 2, C) * rng.choice([-1, 1], C) if scale is None else scale
        shift = rng.normal(size=C) if shift is None else shift
        c = x - x.mean(axis=-1, keepdims=True)
        s = np.sqrt((c * c).mean(axis=-1, keepdims=True) + eps)
        d_x_hat = dy * scale
        d_s = -(d_x_hat * c).sum(axis=-1, keepdims=True) / s**2
        return {
            "x": x,
            "dy": dy,
            "scale": scale,
            "shift": shift,
            "eps": eps,
            "x_hat": c / s,
            "s": s,
            "d_x_hat": d_x_hat,
            "d_centred": d_x_hat / s + d_s * c / s / C,
        }

    def draw(*shape):
        return rng.normal(size=shape)

    yield "the example of the page", case(X, DY, SCALE, SHIFT, 0.0)
    yield "one token", case(*draw(2, 1, 3))
    yield "all numbers of a row equal", case(np.array([[2.0, 2, 2], [1, 2, 6]]), draw(2, 3))
    yield "two numbers", case(np.array([[1.0, 5], [4, 3]]), draw(2, 2))
    yield "two texts", case(*draw(2, 2, 3, 4), eps=0.01)
    yield "T = C", case(3 + draw(4, 4), draw(4, 4), eps=0.1)
    yield "four axes", case(*draw(2, 2, 2, 3, 5))
    yield "large rows", case(200 * draw(3, 6), draw(3, 6))
    far = np.array([[0.0, 0.25, 0.5, 0.75], [0.5, 0.25, 0.25, 0]])  # the mean is exact, squares not
    yield "far from 0", case(1e9 + far, draw(2, 4))


def batches(seed):
    """Yield the same with texts (B, T, C), as a layer gets them."""
    for name, i in rows(seed):
        shape = i["x"].shape
        at = (-1, *shape[-2:])
        yield name, {**i, "x": i["x"].reshape(at), "dy": i["dy"].reshape(at)}


def rms_rows(seed):
    rng = np.random.default_rng(seed)

    def case(x, dy, scale=None, eps=EPS):
        C = x.shape[-1]
        scale = rng.uniform(0.5, 2, C) * rng.choice([-1, 1], C) if scale is None else scale
        return {"x": x, "dy": dy, "scale": scale, "eps": eps}

    def draw(*shape):
        return rng.normal(size=shape)

    yield "the example of the page", case(np.array([[1.0, 7]]), np.array([[2.0, 3]]),
                                          np.array([1.0, 2]), 0.0)  # fmt: skip
    yield "one token", case(*draw(2, 1, 3))
    yield "all numbers of a row equal", case(np.array([[2.0, 2, 2], [0, 0, 0]]), draw(2, 3))
    yield "two texts", case(*draw(2, 2, 3, 4), eps=0.01)
    yield "T = C", case(3 + draw(4, 4), draw(4, 4), eps=0.1)
    yield "four axes", case(*draw(2, 2, 2, 3, 5))
    yield "large rows", case(200 * draw(3, 6), draw(3, 6))


# ---- slopes: the loss as a function of one array -----------------------------------


def slopes_scale_shift(module, i):
    def loss(x_hat, scale, shift):
        return (i["dy"] * (scale * x_hat + shift)).sum()

    x_hat, scale, shift = i["x_hat"], i["scale"], i["shift"]
    return {
        "d_x_hat": central_differences(lambda a: loss(a, scale, shift), x_hat),
        "d_scale": central_differences(lambda a: loss(x_hat, a, shift), scale),
        "d_shift": central_differences(lambda a: loss(x_hat, scale, a), shift),
    }


def slopes_variance(module, i):
    c, d = i["x_hat"] * i["s"], i["d_x_hat"]

    def loss(c):
        return (d * c / np.sqrt((c * c).mean(axis=-1, keepdims=True) + i["eps"])).sum()

    return {
        "ds": central_differences(lambda s: (d * c / s).sum(), i["s"]),
        "d_centred": central_differences(loss, c),
    }


def slopes_mean(module, i):
    def loss(x):
        return (i["d_centred"] * (x - x.mean(axis=-1, keepdims=True))).sum()

    return {"dx": central_differences(loss, i["x"])}


def slopes_rms(module, i):
    def loss(x, scale):
        return (i["dy"] * module.rms_norm(x, scale, i["eps"])).sum()

    return {
        "dx": central_differences(lambda a: loss(a, i["scale"]), i["x"]),
        "d_scale": central_differences(lambda a: loss(i["x"], a), i["scale"]),
    }


# ---- known mistakes ------------------------------------------------------------------

CENTRED = "centred = x - x.mean(axis=-1, keepdims=True)"
VARIANCE = "variance = (centred * centred).mean(axis=-1, keepdims=True)"
ROOT = "s = np.sqrt(variance + eps)"
X_HAT = "return centred / s, s"
NO_KEEPDIMS = (
    "keepdims=True is missing. Without it, a mean of (T, C) is (T,), and NumPy puts it beside the "
    "columns, not beside the rows."
)
NORMALIZE = (
    Mistake(
        "second axis",
        {CENTRED: CENTRED.replace("-1", "1"), VARIANCE: VARIANCE.replace("-1", "1")},
        "mean and variance run along axis 1. With texts (B, T, C) this is the axis of the "
        "tokens. The last axis is -1, however many there are.",
    ),
    Mistake(
        "one for all",
        {
            CENTRED: "centred = x - x.mean(keepdims=True)",
            VARIANCE: "variance = (centred * centred).mean(keepdims=True)",
        },
        "mean and variance are those of the whole array. Each row has its own: axis=-1, "
        "keepdims=True.",
    ),
    Mistake(
        "sum of squares",
        {VARIANCE: VARIANCE.replace("mean", "sum")},
        "s is made from the sum of the squares. The variance is their mean: the 1/C is "
        "missing.",
    ),
    Mistake("no keepdims", {CENTRED: "centred = x - x.mean(axis=-1)"}, NO_KEEPDIMS),
    Mistake(
        "s without its axis",
        {X_HAT: "return centred / s, s[..., 0]"},
        "s lacks its last axis: it is (..., 1), so that it stands beside its row. Use "
        "keepdims=True.",
    ),
    Mistake(
        "no eps",
        {ROOT: "s = np.sqrt(variance)"},
        "eps is missing. In a row of equal numbers the variance is 0, and 0 / 0 is nan.",
    ),
    Mistake(
        "eps outside the root",
        {ROOT: "s = np.sqrt(variance) + eps"},
        "eps was added to the root. It belongs under the root, beside the variance.",
    ),
    Mistake(
        "over C − 1",
        {VARIANCE: "variance = x.var(axis=-1, ddof=1, keepdims=True)"},
        "you divided the sum of squares by C − 1. That estimates the variance of a population from "
        "a sample. A row is no sample: take the plain mean, over C.",
    ),
    Mistake(
        "first axis",
        {
            CENTRED: CENTRED.replace("-1", "0"),
            VARIANCE: VARIANCE.replace("-1", "0"),
            X_HAT: "return centred / s, s.mean(axis=0, keepdims=True)[..., :1] + 0 * x[..., :1]",
        },
        "mean and variance run along the first axis, over tokens. That is batch normalisation. "
        "Here each token has its own: axis=-1.",
    ),
    Mistake(
        "mean of everything",
        {CENTRED: "centred = x - x.mean()"},
        "you subtracted the mean of the whole array. Each row has its own: axis=-1, keepdims=True.",
    ),
    Mistake(
        "variance of everything",
        {ROOT: "s = np.sqrt((centred * centred).mean() + eps) + 0 * variance"},
        "you divided by the spread of the whole array. Each row has its own: axis=-1, "
        "keepdims=True.",
    ),
    Mistake(
        "mean not subtracted",
        {X_HAT: "return x / s, s"},
        "the mean was subtracted for s, but not in x̂: the rows of x̂ do not sum to 0.",
    ),
    Mistake(
        "no root",
        {ROOT: "s = variance + eps"},
        "you divided by the variance. Divide by its root: then the variance of x̂ is 1.",
    ),
    Mistake(
        "mean distance",
        {ROOT: "s = np.abs(centred).mean(axis=-1, keepdims=True) + eps"},
        "you divided by the mean distance from the mean. s is the root of the mean of squares.",
    ),
    Mistake(
        "difference of squares",
        {VARIANCE: "variance = (x * x).mean(axis=-1, keepdims=True) - x.mean(axis=-1, "
         "keepdims=True) ** 2"},
        "mean(x²) − mean(x)² is right on paper. But both are huge if x is far from 0, and their "
        "difference is rounding noise, even below 0. Subtract the mean first, then square.",
    ),
    Mistake(
        "squares of x",
        {VARIANCE: "variance = (x * x).mean(axis=-1, keepdims=True)"},
        "s was made from x² and not from (x − mean)². That is the root of RMSNorm.",
    ),
)  # fmt: skip

SCALED = "d_x_hat = dy * scale\n    d_scale"
D_SCALE = "d_scale = (dy * x_hat).reshape(-1, C).sum(axis=0)"
D_SHIFT = "d_shift = dy.reshape(-1, C).sum(axis=0)\n    return d_x_hat"
GIVEN = "return d_x_hat, d_scale, d_shift"
SCALE_SHIFT = (
    Mistake(
        "summed along the row",
        {
            D_SCALE: "d_scale = (dy * x_hat).sum(axis=-1)",
            D_SHIFT: "d_shift = dy.sum(axis=-1)\n    return d_x_hat",
        },
        "you summed along the row, one number for each token. scale_i is in place i of every "
        "token: sum over the tokens, and keep the last axis.",
    ),
    Mistake(
        "dx̂ as a product of matrices",
        {SCALED: "d_x_hat = dy @ scale\n    d_scale"},
        "@ sums along the row. x̂_ni is in one number of y only, so multiply number by number: *.",
    ),
    Mistake(
        "not summed",
        {D_SHIFT: "d_shift = dy.copy()\n    return d_x_hat"},
        "d_shift is dy, a row for each token. shift is one row, used for all of them: add up.",
    ),
    Mistake(
        "neither summed",
        {D_SCALE: "d_scale = dy * x_hat", D_SHIFT: "d_shift = dy.copy()\n    return d_x_hat"},
        "d_scale and d_shift have a row for each token. scale and shift are one row, used for all "
        "of them: add up. A gradient has the shape of its array.",
    ),
    Mistake(
        "no x̂",
        {D_SCALE: "d_scale = (dy * scale).reshape(-1, C).sum(axis=0)"},
        "d_scale has the factor scale. In y = scale · x̂ + shift, the slope with respect to scale "
        "is x̂.",
    ),
    Mistake(
        "mean over rows",
        {
            D_SCALE: D_SCALE.replace("sum", "mean"),
            D_SHIFT: D_SHIFT.replace("sum", "mean"),
        },
        "you took means over tokens. Each token used scale and shift once more, so the gradients "
        "add up.",
    ),
    Mistake(
        "first axis only",
        {
            D_SCALE: "d_scale = (dy * x_hat).sum(axis=0)",
            D_SHIFT: "d_shift = dy.sum(axis=0)\n    return d_x_hat",
        },
        "you summed over the first axis only. With texts (B, T, C), all axes but the last one are "
        "summed: reshape(-1, C) first.",
    ),
    Mistake(
        "dx̂ without scale",
        {SCALED: "d_x_hat = dy.copy()\n    d_scale"},
        "d_x_hat lacks the factor scale: x̂ reaches y multiplied by it.",
    ),
    Mistake(
        "dx̂ over scale",
        {SCALED: "d_x_hat = dy / scale\n    d_scale"},
        "you divided by scale. Undoing y = scale · x̂ is not its derivative; the slope is scale.",
    ),
    Mistake(
        "other way round",
        {GIVEN: "return d_x_hat, d_shift, d_scale"},
        "d_scale and d_shift were swapped. The order is (d_x_hat, d_scale, d_shift).",
    ),
)

DS = "ds = -(d_x_hat * x_hat).sum(axis=-1, keepdims=True) / s"
BOTH = "d_centred = d_x_hat / s + ds * x_hat / x_hat.shape[-1]"
THROUGH_VARIANCE = (
    Mistake(
        "no keepdims",
        {DS: "ds = -(d_x_hat * x_hat).sum(axis=-1) / s"},
        NO_KEEPDIMS,
    ),
    Mistake(
        "sign of ds",
        {DS: DS.replace("-(", "(", 1)},
        "ds has the wrong sign. If s grows, every x̂ comes closer to 0: ∂x̂_j/∂s = −c_j / s².",
    ),
    Mistake(
        "c for x̂ in ds",
        {DS: "ds = -(d_x_hat * x_hat * s).sum(axis=-1, keepdims=True) / s"},
        "ds is too large by the factor s. ∂x̂_j/∂s = −c_j / s² = −x̂_j / s: one s is inside x̂.",
    ),
    Mistake(
        "s² in ds",
        {DS: "ds = -(d_x_hat * x_hat).sum(axis=-1, keepdims=True) / s**2"},
        "ds was divided by s once too often. ∂x̂_j/∂s = −c_j / s² = −x̂_j / s: one s is inside x̂.",
    ),
    Mistake(
        "mean in ds",
        {DS: DS.replace("sum", "mean")},
        "ds is a mean. s is in every x̂_j of the row, and these ways add up. (The 1/C comes "
        "afterwards, from ∂s/∂c_i.)",
    ),
    Mistake(
        "first axis",
        {DS: "ds = -(d_x_hat * x_hat).sum(axis=0, keepdims=True).sum(axis=-1, keepdims=True) / s"},
        "ds of a row has numbers of other rows in it. Each row has its own s: sum over the last "
        "axis only.",
    ),
    Mistake(
        "only divided",
        {BOTH: "d_centred = d_x_hat / s"},
        "the way through s is missing: you treated s as a constant. If c_i moves, s moves, and "
        "with it every x̂_j of the row.",
    ),
    Mistake(
        "only through s",
        {BOTH: "d_centred = ds * x_hat / x_hat.shape[-1]"},
        "the direct way is missing: c_i is in x̂_i = c_i / s itself, with the slope 1/s.",
    ),
    Mistake(
        "not divided by s",
        {BOTH: "d_centred = d_x_hat + ds * x_hat / x_hat.shape[-1]"},
        "the direct way lacks 1/s: x̂_i = c_i / s.",
    ),
    Mistake(
        "no 1/C",
        {BOTH: "d_centred = d_x_hat / s + ds * x_hat"},
        "the 1/C is missing. The variance is a mean of C squares, so each c_i moves it by "
        "2 c_i / C.",
    ),
    Mistake(
        "factor 2",
        {BOTH: "d_centred = d_x_hat / s + 2 * ds * x_hat / x_hat.shape[-1]"},
        "the way through s is twice too large: the 2 of the square meets the 1/2 of the root.",
    ),
    Mistake(
        "minus twice",
        {BOTH: "d_centred = d_x_hat / s - ds * x_hat / x_hat.shape[-1]"},
        "you subtracted the way through s. Ways add up; its minus is inside ds already.",
    ),
    Mistake(
        "c for x̂",
        {BOTH: "d_centred = d_x_hat / s + ds * x_hat * s / x_hat.shape[-1]"},
        "the slope of s was taken as c_i / C. The root divides by s: ∂s/∂c_i = c_i / (C s) = "
        "x̂_i / C.",
    ),
)

DX = "return d_centred - d_centred.mean(axis=-1, keepdims=True)"
THROUGH_MEAN = (
    Mistake("no keepdims", {DX: "return d_centred - d_centred.mean(axis=-1)"}, NO_KEEPDIMS),
    Mistake(
        "no mean",
        {DX: "return d_centred.copy()"},
        "the way through the mean is missing: you treated it as a constant. The rows of dx must "
        "sum to 0, since adding a number to a whole row changes nothing.",
    ),
    Mistake(
        "sum for mean",
        {DX: DX.replace("mean(", "sum(")},
        "you subtracted the sum of the row. x_i moves the mean by 1/C only.",
    ),
    Mistake("plus", {DX: DX.replace(" - ", " + ")}, "the mean is subtracted in c = x − mean(x), so "
            "its way has a minus."),
    Mistake(
        "only the mean",
        {DX: "return -d_centred.mean(axis=-1, keepdims=True) + 0 * d_centred"},
        "the direct way is missing: x_i is in c_i itself, with the slope 1.",
    ),
    Mistake(
        "mean of everything",
        {DX: "return d_centred - d_centred.mean()"},
        "you subtracted the mean of the whole array. Each row has its own: axis=-1, keepdims=True.",
    ),
    Mistake(
        "first axis",
        {DX: "return d_centred - d_centred.mean(axis=0, keepdims=True)"},
        "the mean runs along the first axis. Forward it ran along the row, so it does backward.",
    ),
    Mistake(
        "own share only",
        {DX: "return d_centred - d_centred / d_centred.shape[-1]"},
        "you subtracted dc_i / C. x_i moves the mean, and the mean is in every c_j of the row: "
        "(1/C) Σ_j dc_j.",
    ),
)  # fmt: skip

Y = 'return self.params["scale"] * self.x_hat + self.params["shift"]'
KEEP = "self.x_hat, self.s = normalize(x, self.eps)"
WRITE_SCALE = 'self.grads["scale"][...] = d_scale'
WRITE_SHIFT = 'self.grads["shift"][...] = d_shift'
VIA_S = "_, d_centred = through_variance(d_x_hat, self.x_hat, self.s)"
END = "return through_mean(d_centred)"
LAYER = (
    Mistake(
        "no shift",
        {Y: 'return self.params["scale"] * self.x_hat'},
        "shift was not added.",
    ),
    Mistake(
        "scale of x",
        {Y: 'return self.params["scale"] * x + self.params["shift"]'},
        "you scaled x and not x̂: nothing was normalised.",
    ),
    Mistake(
        "1 + scale",
        {Y: 'return (1 + self.params["scale"]) * self.x_hat + self.params["shift"]'},
        "you multiplied by 1 + scale. Some models keep the distance from 1; here scale itself is "
        "the factor.",
    ),
    Mistake(
        "another eps",
        {KEEP: "self.x_hat, self.s = normalize(x, 1e-8)"},
        "you used an eps of your own. The layer is made with one: self.eps.",
    ),
    Mistake(
        "scale twice",
        {VIA_S: VIA_S.replace("(d_x_hat", '(d_x_hat * self.params["scale"]')},
        "d_x_hat was multiplied by scale once more.",
    ),
    Mistake(
        "scale left out",
        {VIA_S: VIA_S.replace("(d_x_hat", "(dy")},
        "dy went into 5.3 where d_x_hat = dy · scale belongs.",
    ),
    Mistake(
        "without 5.3",
        {VIA_S: "d_centred = d_x_hat / self.s"},
        "the way through the variance is missing (5.3). A test of shapes finds nothing, and rows "
        "of dx even sum to 0.",
    ),
    Mistake("without 5.4", {END: "return d_centred"}, "the way through the mean is missing (5.4)."),
    Mistake(
        "both as constants",
        {END: "return d_x_hat / self.s"},
        "mean and s were treated as constants. Both depend on x: 5.3 and 5.4.",
    ),
    Mistake(
        "adds up",
        {
            WRITE_SCALE: WRITE_SCALE.replace("[...] =", " +="),
            WRITE_SHIFT: WRITE_SHIFT.replace("[...] =", " +="),
        },
        "the gradients of two calls add up. Write `grads[name][...] = …`, not `+=`.",
    ),
    Mistake(
        "replaced",
        {
            WRITE_SCALE: WRITE_SCALE.replace("[...]", ""),
            WRITE_SHIFT: WRITE_SHIFT.replace("[...]", ""),
        },
        "the arrays in `grads` were not written to; the optimizer holds on to them and saw zeros. "
        "Write `grads[name][...] = …`, not `grads[name] = …`.",
    ),
    Mistake(
        "shift forgotten", {WRITE_SHIFT: "pass"}, "the gradient of shift was not written."
    ),
)  # fmt: skip

R = "r = np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)\n    return"
RMS = (
    Mistake("no keepdims", {R: R.replace(", keepdims=True", "")}, NO_KEEPDIMS),
    Mistake(
        "mean subtracted",
        {R: "x = x - x.mean(axis=-1, keepdims=True)\n    " + R},
        "you subtracted the mean. That is LayerNorm; RMSNorm only divides.",
    ),
    Mistake(
        "root of the variance",
        {R: "r = np.sqrt(x.var(axis=-1, keepdims=True) + eps)\n    return"},
        "r was made from (x − mean)². Here it is the root of the mean of x² itself.",
    ),
    Mistake(
        "length",
        {R: R.replace("mean(", "sum(")},
        "you divided by the length of the row. Take the mean of the squares, not their sum: r does "
        "not depend on C then.",
    ),
    Mistake(
        "eps outside the root",
        {R: "r = np.sqrt((x * x).mean(axis=-1, keepdims=True)) + eps\n    return"},
        "eps was added to the root. It belongs under the root.",
    ),
    Mistake(
        "no eps",
        {R: "r = np.sqrt((x * x).mean(axis=-1, keepdims=True))\n    return"},
        "eps is missing: a row of zeros becomes 0 / 0.",
    ),
    Mistake(
        "mean of everything",
        {R: "r = np.sqrt((x * x).mean() + eps)\n    return"},
        "r is that of the whole array. Each row has its own: axis=-1, keepdims=True.",
    ),
    Mistake("no scale", {"return scale * (x / r)": "return x / r"}, "the factor scale is missing."),
)

THROUGH_R = "through_r = x_hat * (d_x_hat * x_hat).mean(axis=-1, keepdims=True)"
RMS_DX = "dx = (d_x_hat - through_r) / r"
RMS_D_SCALE = "d_scale = (dy * x_hat).reshape(-1, x.shape[-1]).sum(axis=0)"
RMS_SCALED = "d_x_hat = dy * scale\n    through_r"
RMS_BACKWARD = (
    Mistake(
        "d_scale not summed",
        {"d_scale = (dy * x_hat).reshape(-1, x.shape[-1]).sum(axis=0)": "d_scale = dy * x_hat"},
        "d_scale has a row for each token. scale is one row, used for all of them: add up, as"
        " in 5.2.",
    ),
    Mistake(
        "centred at the end",
        {RMS_DX: "dx = (d_x_hat - through_r) / r\n    dx = dx - dx.mean(axis=-1, keepdims=True)"},
        "you went back through a mean at the end. RMSNorm subtracts no mean, so 5.4 has no place "
        "here: the rows of dx need not sum to 0.",
    ),
    Mistake(
        "mean subtracted",
        {RMS_DX: "dx = (d_x_hat - d_x_hat.mean(axis=-1, keepdims=True) - through_r) / r"},
        "there is a way through the mean in it. RMSNorm subtracts no mean, so 5.4 has no place "
        "here.",
    ),
    Mistake(
        "r as a constant",
        {RMS_DX: "dx = d_x_hat / r"},
        "the way through r is missing: if x_i moves, r moves, and with it every x̂_j of the row.",
    ),
    Mistake(
        "plus",
        {RMS_DX: "dx = (d_x_hat + through_r) / r"},
        "the way through r has the wrong sign: if r grows, every x̂ comes closer to 0.",
    ),
    Mistake(
        "no 1/C",
        {THROUGH_R: THROUGH_R.replace("mean", "sum")},
        "the 1/C is missing in the way through r: r² is a mean of C squares.",
    ),
    Mistake(
        "x for x̂",
        {THROUGH_R: "through_r = x * (d_x_hat * x).mean(axis=-1, keepdims=True)"},
        "the way through r was made with x where x̂ = x / r belongs.",
    ),
    Mistake(
        "not divided by r",
        {RMS_DX: "dx = d_x_hat - through_r"},
        "dx lacks the factor 1/r.",
    ),
    Mistake(
        "no scale",
        {RMS_SCALED: "d_x_hat = dy\n    through_r"},
        "scale is missing in dx: dx̂ = dy · scale.",
    ),
    Mistake(
        "d_scale of x",
        {RMS_D_SCALE: "d_scale = (dy * x).reshape(-1, x.shape[-1]).sum(axis=0)"},
        "d_scale was made with x. scale multiplies x̂ = x / r.",
    ),
    Mistake(
        "d_scale as a mean",
        {RMS_D_SCALE: RMS_D_SCALE.replace("sum", "mean")},
        "d_scale is a mean over tokens. Each token used it once more: add up.",
    ),
    Mistake(
        "first axis only",
        {RMS_D_SCALE: "d_scale = (dy * x_hat).sum(axis=0)"},
        "d_scale was summed over the first axis only. All axes but the last one are summed.",
    ),
)

# ---- 5.8 ---------------------------------------------------------------------------

WORDS = {"layer_times": "same", "layer_plus": "same", "rms_times": "same", "rms_plus": "new"}
MEASURE = {
    "layer_times": "normalize(x, 0)[0], normalize(3 * x, 0)[0]",
    "layer_plus": "normalize(x, 0)[0], normalize(x + 7, 0)[0]",
    "rms_times": "rms_norm(x, 1, 0), rms_norm(3 * x, 1, 0)",
    "rms_plus": "rms_norm(x, 1, 0), rms_norm(x + 7, 1, 0)",
    "dx_factor": "backward(dy) after forward(x), and after forward(3 * x)",
}


def judge_changes(answer, seed):
    """Return None if right, or a sentence."""
    for name in WORDS:
        if answer[name] not in ("same", "new"):
            return f'{name} must be "same" or "new". It is {answer[name]!r}.'
    try:
        factor = float(answer["dx_factor"])
    except (TypeError, ValueError):
        return f"dx_factor must be a number, such as 2.0. It is {answer['dx_factor']!r}."
    wrong = [name for name, word in WORDS.items() if answer[name] != word]
    said = {**answer, "dx_factor": factor}
    if abs(factor - 1 / 3) > 1e-2:
        wrong.append("dx_factor")
    if wrong:
        return (
            f"{5 - len(wrong)} of your 5 predictions come true. Measure this one, with a random "
            f"x, and find out why:\n\n    {wrong[0]}: you said {said[wrong[0]]!r}\n"
            f"    {MEASURE[wrong[0]]}"
        )
    if len(str(answer["why"]).split()) < 8:
        return (
            "all five are right. Now say why RMSNorm sees the 7 and LayerNorm does not (at least "
            "8 words)."
        )
    return None


LAYER_INPUTS = ("x", "scale", "shift", "eps", "dy")
EXERCISES = [
    Exercise(
        "5.1", "normalize", "The forward pass",
        hints=(
            "Three steps: subtract the mean, compute s, divide.",
            "Which axis is a row? What does keepdims=True do to the shape of a mean?",
            "s = np.sqrt((c * c).mean(axis=-1, keepdims=True) + eps), with c = x less its mean; "
            "x_hat = c / s.",
        ),
        idea="Subtract first, then square: the variance is then right for numbers far from 0, too. "
        "np.var does the same. The variance of x̂ is variance / (variance + eps), which is 1 up to "
        "eps, and 0 for a row of equal numbers.",
        inputs=("x", "eps"), outputs=("x_hat", "s"), cases=rows, mistakes=NORMALIZE,
        used_in="MyLayerNorm",
    ),
    Exercise(
        "5.2", "scale_shift_backward", "Scale and shift",
        hints=(
            "Three products and sums, each of one line.",
            "Number i of every row was multiplied by the same scale_i. Over what do you add up?",
            "d_x_hat = dy * scale, d_scale = (dy * x_hat).reshape(-1, C).sum(axis=0), and d_shift "
            "the same without x_hat.",
        ),
        idea="Broadcasting forward is a sum backward: scale was repeated for every token. "
        "(dy * x_hat).sum(axis=tuple(range(dy.ndim - 1))) sums over the same axes.",
        inputs=("dy", "x_hat", "scale"), outputs=("d_x_hat", "d_scale", "d_shift"), cases=rows,
        slopes=slopes_scale_shift, mistakes=SCALE_SHIFT, used_in="MyLayerNorm",
    ),
    Exercise(
        "5.3", "through_variance", "Step 1. Through the variance",
        hints=(
            "ds first: s is in all C numbers x̂_j of its row.",
            "c_i reaches the loss by two ways: directly, with the slope 1/s, and by s, with the "
            "slope that the page derives. Multiply each by what arrives there, and add up.",
            "ds = -(d_x_hat * x_hat).sum(axis=-1, keepdims=True) / s. Then d_centred is "
            "d_x_hat / s plus ds * x_hat / C.",
        ),
        idea="Put ds in, and d_centred = (dx̂ − x̂ · mean(dx̂ · x̂)) / s: one mean for each row, and "
        "no ds. That is the usual form; the numbers are the same.",
        inputs=("d_x_hat", "x_hat", "s"), outputs=("ds", "d_centred"), cases=rows,
        slopes=slopes_variance, mistakes=THROUGH_VARIANCE, used_in="MyLayerNorm",
    ),
    Exercise(
        "5.4", "through_mean", "Step 2. Through the mean",
        hints=(
            "x_i reaches the loss by two ways again.",
            "Directly by c_i, with the slope 1; and by the mean, which is subtracted in every c_j. "
            "How far does x_i move the mean?",
            "dx_i = dc_i − (1/C) Σ_j dc_j: subtract the mean of the row.",
        ),
        idea="The backward pass of subtracting the mean is subtracting the mean. The matrix of "
        "this step is its own transpose, and doing it twice changes nothing more: a projection.",
        inputs=("d_centred",), outputs=("dx",), cases=rows, slopes=slopes_mean,
        mistakes=THROUGH_MEAN, used_in="MyLayerNorm",
    ),
    Exercise(
        "5.5", "MyLayerNorm", "The layer",
        hints=(
            "Four calls: one in forward, three in backward.",
            "backward needs x̂ and s: keep them. It does not need x.",
            "5.2 with dy, then write d_scale and d_shift; 5.3 with d_x_hat; return 5.4 of "
            "d_centred.",
        ),
        idea="In one line, dx = (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) / s. Both means are of dx̂: the "
        "mean of x̂ is 0, so the two steps do not disturb each other. miniGPT's own layer has this "
        "line.",
        inputs=LAYER_INPUTS, outputs=("y", "dx", "d_scale", "d_shift"), forward=("y",),
        cases=batches, call=run_layer("MyLayerNorm", ("scale", "shift"), ("eps",)),
        slopes=layer_slopes("MyLayerNorm", ("scale", "shift"), ("eps",)), mistakes=LAYER,
        includes=("5.1", "5.2", "5.3", "5.4"), used_in="MyLayerNorm", points=2,
    ),
    Exercise(
        "5.6", "rms_norm", "RMSNorm",
        hints=(
            "It is 5.1 with one step less, and a factor.",
            "r is the root of the mean of the squares of x itself.",
            "scale * x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps).",
        ),
        idea="One mean for each row where LayerNorm has two, and no shift.",
        inputs=("x", "scale", "eps"), outputs=("y",), cases=rms_rows, mistakes=RMS,
    ),
    Exercise(
        "5.7", "rms_norm_backward", "RMSNorm",
        hints=(
            "Compute r and x̂ again. Which of the steps 5.2, 5.3 and 5.4 does it share with "
            "LayerNorm?",
            "x takes the place of c: r = √(mean(x²) + eps) depends on x just as s depends on c.",
            "d_scale as in 5.2. dx is d_centred of 5.3, with r for s: "
            "(dx̂ − x̂ · mean(dx̂ · x̂)) / r.",
        ),
        idea="`scale_shift_backward` and `through_variance` do it: RMSNorm is LayerNorm from c on. "
        "Up to eps, each row of dx is orthogonal to x: along x itself, only the length changes, "
        "and the norm does not see it.",
        inputs=("dy", "x", "scale", "eps"), outputs=("dx", "d_scale"), cases=rms_rows,
        slopes=slopes_rms, mistakes=RMS_BACKWARD, points=2,
    ),
    Exercise(
        "5.8", "predict_changes", "What a norm does not see",
        hints=(
            "What happens to the mean, to the distances from it, and to s?",
            "If a factor or a number cancels in x̂, y is the same.",
            "dx has a 1/s. What happens to s, and what to x̂, if x is multiplied by 3?",
        ),
        idea="A function that does not see a change has no slope in its direction: rows of dx sum "
        "to 0, as adding to a whole row changes nothing, and are orthogonal to x̂, as multiplying "
        "changes nothing.",
        outputs=(*WORDS, "dx_factor", "why"), judge=judge_changes,
    ),
]  # fmt: skip
