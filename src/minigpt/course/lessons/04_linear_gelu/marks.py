"""How lesson 4 is marked: cases, slopes and known mistakes."""

import numpy as np

from minigpt.course.exercise import (
    Exercise,
    Mistake,
    central_differences,
    layer_slopes,
    run_layer,
)

FEED_FORWARD = ("w_up", "b_up", "w_down", "b_down")

# ---- cases -----------------------------------------------------------------------


def small(rng, shape):
    """Draw small whole numbers, which can be multiplied on paper."""
    return rng.integers(1, 4, shape) * rng.choice([-1.0, 1.0], shape)


def halves(rng, shape):
    return rng.choice([-1.0, -0.5, 0.5, 1.0], shape)


def normal(rng, shape):
    return rng.normal(size=shape)


def linears(seed):
    rng = np.random.default_rng(seed)

    def case(front, d_in, d_out, draw=small):
        shapes = {"x": (*front, d_in), "weight": (d_in, d_out), "bias": (d_out,)}
        shapes["dy"] = (*front, d_out)
        return {name: draw(rng, shape) for name, shape in shapes.items()}

    yield (
        "the example of the page",
        {
            "x": np.array([[1.0, 2], [3, 0]]),
            "weight": np.array([[1.0, 0, 2], [0, 1, -1]]),
            "bias": np.array([0.0, 1, 0]),
            "dy": np.array([[1.0, 0, 1], [0, 2, 1]]),
        },
    )
    yield "one token", case((1,), 3, 2)
    yield "d_in = d_out", case((3,), 2, 2)
    yield "N = d_in = d_out", case((2,), 2, 2)
    yield "two texts", case((2, 3), 2, 1)
    yield "B = T = d_in = d_out", case((2, 2), 2, 2)
    yield "B = T = d_in", case((3, 3), 3, 2, normal)
    yield "three axes in front", case((2, 3, 2), 3, 4, normal)
    yield "many tokens", case((4, 5), 6, 3, normal)


def pairs(seed):
    rng = np.random.default_rng(seed)

    def case(d_in, d_middle, d_out, draw=small):
        shapes = {
            "w_1": (d_in, d_middle),
            "b_1": (d_middle,),
            "w_2": (d_middle, d_out),
            "b_2": (d_out,),
        }
        return {name: draw(rng, shape) for name, shape in shapes.items()}

    yield (
        "the example of the page",
        {
            "w_1": np.array([[1.0, 2], [0, 1]]),
            "b_1": np.array([1.0, 0]),
            "w_2": np.array([[1.0, 0], [1, 1]]),
            "b_2": np.array([0.0, 1]),
        },
    )
    yield "one number", case(1, 1, 1)
    yield "three sizes", case(2, 3, 4)
    yield "a narrow middle", case(3, 1, 3)
    yield "a wide middle", case(4, 16, 4, normal)


def numbers(seed):
    rng = np.random.default_rng(seed)

    def case(x, dy=None):
        x = np.array(x)
        return {"x": x, "dy": rng.normal(size=x.shape) if dy is None else np.array(dy)}

    yield "the example of the page", case([1.0, 0.0, -1.0], [1.0, 1.0, 2.0])
    yield "one number", case(2.0 + np.zeros((1,)))
    yield "zeros", case(np.zeros((2, 3)))
    yield "from −3 to 3", case(np.linspace(-3, 3, 7))
    yield "two texts", case(rng.normal(size=(2, 3, 4)))
    yield "large numbers", case([1000.0, -1000.0, 50.0, -50.0, 8.0, -8.0])


def feed_forwards(seed):
    rng = np.random.default_rng(seed)

    def case(B, T, C, F, draw=normal):
        shapes = {"w_up": (C, F), "b_up": (F,), "w_down": (F, C), "b_down": (C,)}
        shapes |= {"x": (B, T, C), "dy": (B, T, C)}
        return {name: draw(rng, shape) for name, shape in shapes.items()}

    yield (
        "the example of the page",
        {
            "w_up": np.array([[1.0, -1]]),
            "b_up": np.zeros(2),
            "w_down": np.array([[1.0], [1]]),
            "b_down": np.zeros(1),
            "x": np.array([[[1.0], [2]]]),
            "dy": np.array([[[1.0], [2]]]),
        },
    )
    yield "one token, C = 1", case(1, 1, 1, 2, halves)
    yield "C = 2, F = 3", case(1, 2, 2, 3, halves)
    yield "F = C", case(2, 2, 2, 2, halves)
    yield "two texts", case(2, 3, 3, 5)
    yield "F = 4 C", case(2, 4, 3, 12)
    yield "large numbers", case(2, 3, 2, 4, lambda rng, shape: 6 * normal(rng, shape))


# ---- slopes ------------------------------------------------------------------------


def slopes_linear(module, i):
    def loss(**moved):
        j = {**i, **moved}
        return (j["dy"] * module.linear(j["x"], j["weight"], j["bias"])).sum()

    return {
        "dx": central_differences(lambda a: loss(x=a), i["x"]),
        "d_weight": central_differences(lambda a: loss(weight=a), i["weight"]),
        "d_bias": central_differences(lambda a: loss(bias=a), i["bias"]),
    }


def slopes_gelu(module, i):
    return {"dx": central_differences(lambda x: (i["dy"] * module.gelu(x)).sum(), i["x"])}


# ---- known mistakes ------------------------------------------------------------------

Y = "return x @ weight + bias"
LINEAR = (
    Mistake(
        "transposed",
        {Y: "return x @ weight.T + bias"},
        "you used Wᵀ. Here W is (d_in, d_out), and x stands on the left: x @ weight.",
    ),
    Mistake("no bias", {Y: "return x @ weight"}, "the bias is missing: y = x W + b."),
    Mistake(
        "bias first",
        {Y: "return (x + bias) @ weight"},
        "you added b to x, before the product. It is added to x W: y = x W + b.",
    ),
    Mistake(
        "not reshaped back",
        {Y: "return x.reshape(-1, x.shape[-1]) @ weight + bias"},
        "y is one long list of tokens. It has the axes of x, and only the last one is new. `@` "
        "needs no reshape here.",
    ),
)

DX = "dx = dy @ weight.T"
DW = "d_weight = rows.T @ d_rows"
DB = "d_bias = d_rows.sum(axis=0)"
THREE = "return dx, d_weight, d_bias"
LINEAR_BACKWARD = (
    Mistake(
        "W for Wᵀ",
        {DX: "dx = dy @ weight"},
        "dx is made with W where Wᵀ belongs. dx_ni sums over j, the columns of W.",
    ),
    Mistake(
        "dx transposed",
        {DX: "dx = weight @ dy.T"},
        "dx is transposed: its rows must be tokens, as in x. dy stands on the left.",
    ),
    Mistake(
        "dW transposed",
        {DW: "d_weight = d_rows.T @ rows"},
        "d_weight is transposed. Row i belongs to input i, column j to output j, as in W.",
    ),
    Mistake(
        "all axes reversed",
        {DW: "d_weight = x.T @ dy"},
        "x.T reverses all axes of (B, T, d_in). Make one axis of all tokens first: "
        "x.reshape(-1, d_in), and dy in the same way.",
    ),
    Mistake(
        "reshape for transpose",
        {DW: "d_weight = x.reshape(x.shape[-1], -1) @ d_rows"},
        "you reshaped x to (d_in, N). The shape is right, the numbers are not: reshape moves none, "
        "so a row mixes inputs. Reshape to (N, d_in), then transpose.",
    ),
    Mistake(
        "texts not added up",
        {DW: "d_weight = np.swapaxes(x, -1, -2) @ dy"},
        "d_weight is a gradient for each text. All tokens of all texts used the same W: make one "
        "axis of them first, x.reshape(-1, d_in), and dy in the same way.",
    ),
    Mistake(
        "mean over tokens",
        {DW: f"{DW} / len(rows)", DB: "d_bias = d_rows.mean(axis=0)"},
        "d_weight and d_bias are means over tokens. Each token moves the loss by itself, so they "
        "add up. If the loss is a mean, dy has that factor already.",
    ),
    Mistake(
        "mean for d_bias",
        {DB: "d_bias = d_rows.mean(axis=0)"},
        "d_bias is a mean over tokens. b was added to every token: add their gradients up.",
    ),
    Mistake(
        "first axis only",
        {DB: "d_bias = dy.sum(axis=0)"},
        "d_bias sums over the first axis only. b was added to every token of every text: sum over "
        "all axes but the last one.",
    ),
    Mistake(
        "not summed",
        {DB: "d_bias = dy.copy()"},
        "d_bias is dy itself, with a row for each token. b was added to every token: sum over the "
        "tokens.",
    ),
    Mistake(
        "sum over everything",
        {DB: "d_bias = dy.sum()"},
        "d_bias is one number. Each output has a bias of its own: sum over tokens only.",
    ),
    Mistake(
        "two axes always",
        {DB: "d_bias = dy.sum(axis=(0, 1))"},
        "d_bias sums over the first two axes. That is right for (B, T, d_out) only. Sum over all "
        "axes but the last one: after dy.reshape(-1, d_out), this is axis 0.",
    ),
    Mistake(
        "sum over outputs",
        {DB: "d_bias = dy.sum(axis=-1)"},
        "d_bias sums over the outputs of each token. b has an entry for each output, and tokens "
        "are summed over.",
    ),
    Mistake(
        "other order",
        {THREE: "return d_weight, d_bias, dx"},
        "you returned (d_weight, d_bias, dx). The order is (dx, d_weight, d_bias).",
    ),
    Mistake(
        "minus",
        {THREE: "return -dx, -d_weight, -d_bias"},
        "every sign is wrong: going downhill is the optimizer's task.",
    ),
)

WRITE_W = 'self.grads["weight"][...] = d_weight'
WRITE_B = 'self.grads["bias"][...] = d_bias'
LAYER = (
    Mistake(
        "adds up",
        {WRITE_W: WRITE_W.replace("=", "+="), WRITE_B: WRITE_B.replace("=", "+=")},
        "the gradients of two calls add up: the marker calls your layer twice. Write "
        "`grads[name][...] = …`, not `+=`.",
    ),
    Mistake(
        "replaced",
        {WRITE_W: WRITE_W.replace("[...]", ""), WRITE_B: WRITE_B.replace("[...]", "")},
        "the arrays in `grads` were not written to; the optimizer holds on to them and saw zeros. "
        "Write `grads[name][...] = …`, not `grads[name] = …`.",
    ),
    Mistake(
        "no d_bias",
        {WRITE_B: "pass"},
        'nothing was written into self.grads["bias"].',
    ),
    Mistake(
        "no d_weight",
        {WRITE_W: "pass"},
        'nothing was written into self.grads["weight"].',
    ),
    Mistake(
        "x of the first call",
        {"        self.x = x\n        return": "        self.__dict__.setdefault('x', x); return"},
        "backward uses the x of the first call. Keep x anew in each forward pass.",
    ),
)

BOTH = "bias = b_1 @ w_2 + b_2"
PRODUCT = "weight = w_1 @ w_2"
COLLAPSE = (
    Mistake(
        "b_1 lost",
        {BOTH: "bias = b_2.copy()"},
        "b_1 is lost. It goes through the second layer, too. Multiply (x W_1 + b_1) W_2 + b_2 out.",
    ),
    Mistake(
        "b_1 not multiplied",
        {BOTH: "bias = b_1 + b_2"},
        "b_1 was added as it is. It stands inside the brackets that are multiplied by W_2.",
    ),
    Mistake(
        "b_2 lost",
        {BOTH: "bias = b_1 @ w_2"},
        "b_2 is lost. It is added at the end.",
    ),
    Mistake(
        "both multiplied",
        {BOTH: "bias = (b_1 + b_2) @ w_2"},
        "b_2 was multiplied by W_2. It is added after that product.",
    ),
    Mistake(
        "other order",
        {PRODUCT: "weight = w_2 @ w_1"},
        "the product is W_2 W_1. x meets W_1 first, and x stands on the left: x W_1 W_2.",
    ),
    Mistake(
        "transposed",
        {BOTH: "bias = w_2 @ b_1 + b_2"},
        "b_1 met the rows of W_2. It stands on the left, as x does: b_1 @ w_2.",
    ),
    Mistake(
        "added",
        {PRODUCT: "weight = w_1 + w_2"},
        "you added the matrices. One after the other is a product.",
    ),
)

U = "u = SQRT_2_OVER_PI * (x + 0.044715 * x**3)\n"
GATE = "gate = 0.5 * (1 + np.tanh(u))"
OUT = "return x * gate"
GELU = (
    Mistake(
        "exact form",
        {GATE: "gate = 0.5 * (1 + np.vectorize(__import__('math').erf)(x / 2**0.5))"},
        "this is the exact GELU, with erf. It is right, and differs from the form of the page by "
        "up to 0.0005. GPT-2 was trained with the tanh form; use that one.",
    ),
    Mistake(
        "1.702",
        {GATE: "gate = 1 / (1 + np.exp(-1.702 * x))"},
        "this is the short form with 1.702. It is rougher than the tanh form of the page.",
    ),
    Mistake(
        "ReLU",
        {GATE: "gate = x > 0"},
        "this is ReLU, max(x, 0). GELU bends smoothly, and is below 0 for negative x.",
    ),
    Mistake(
        "no cube",
        {U: "u = SQRT_2_OVER_PI * x\n"},
        "0.044715 x³ is missing in u.",
    ),
    Mistake(
        "cube of both",
        {U: "u = SQRT_2_OVER_PI * (x + (0.044715 * x) ** 3)\n"},
        "only x is cubed, not 0.044715.",
    ),
    Mistake(
        "square",
        {U: "u = SQRT_2_OVER_PI * (x + 0.044715 * x**2)\n"},
        "you squared x in u. It is x³.",
    ),
    Mistake(
        "no root",
        {U: "u = x + 0.044715 * x**3\n"},
        "the factor √(2/π) of u is missing.",
    ),
    Mistake(
        "root of 2π",
        {U: "u = (2 * np.pi) ** 0.5 * (x + 0.044715 * x**3)\n"},
        "the factor of u is √(2/π) = 0.798, a root of 2 divided by π. You multiplied.",
    ),
    Mistake(
        "factor of x only",
        {U: "u = SQRT_2_OVER_PI * x + 0.044715 * x**3\n"},
        "√(2/π) multiplies both terms of u: a bracket is missing.",
    ),
    Mistake(
        "no half",
        {GATE: "gate = 1 + np.tanh(u)"},
        "the factor ½ is missing: the gate runs from 0 to 1, and 1 + tanh from 0 to 2.",
    ),
    Mistake(
        "half of 1 only",
        {GATE: "gate = 0.5 + np.tanh(u)"},
        "the factor ½ multiplies the 1 only. The gate is ½ (1 + tanh u).",
    ),
    Mistake(
        "tanh outside",
        {OUT: "return 0.5 * x + np.tanh(u)"},
        "a bracket is missing: x multiplies all of ½ (1 + tanh u).",
    ),
    Mistake(
        "gate only",
        {OUT: "return gate"},
        "you returned the gate. y is x times the gate.",
    ),
    Mistake(
        "tanh by hand",
        {GATE: "gate = 0.5 * (1 + (np.exp(u) - np.exp(-u)) / (np.exp(u) + np.exp(-u)))"},
        "exp of a large number is inf, and inf / inf is nan. np.tanh does not overflow.",
    ),
    Mistake(
        "sigmoid by hand",
        {GATE: "gate = np.exp(2 * u) / (1 + np.exp(2 * u))"},
        "exp of a large number is inf, and inf / inf is nan. 1 / (1 + exp(−2u)) is the same and "
        "safe, and so is np.tanh.",
    ),
)

DU = "du = SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x**2)"
DG = "dg = 0.5 * (1 - t**2) * du"
SLOPE = "return dy * (g + x * dg)"
GELU_BACKWARD = (
    Mistake(
        "gate only",
        {SLOPE: "return dy * g"},
        "x · g′ is missing. x stands in the gate, too: the product rule has two terms.",
    ),
    Mistake(
        "no gate",
        {SLOPE: "return dy * x * dg"},
        "the term g is missing. The product rule has two terms: g, as x moves, and x · g′.",
    ),
    Mistake(
        "x forgotten",
        {SLOPE: "return dy * (g + dg)"},
        "the second term of the product rule is x · g′; the x is missing.",
    ),
    Mistake(
        "no inner slope",
        {DU: "du = 1"},
        "u′ is missing: the chain rule goes on through u.",
    ),
    Mistake(
        "inner slope of x only",
        {DU: "du = SQRT_2_OVER_PI"},
        "u′ lacks the slope of 0.044715 x³.",
    ),
    Mistake(
        "no 3",
        {DU: "du = SQRT_2_OVER_PI * (1 + 0.044715 * x**2)"},
        "the slope of x³ is 3 x². The 3 is missing in u′.",
    ),
    Mistake(
        "cube kept",
        {DU: "du = SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x**3)"},
        "the slope of x³ is 3 x², not 3 x³.",
    ),
    Mistake(
        "no root",
        {DU: "du = 1 + 3 * 0.044715 * x**2"},
        "the factor √(2/π) is missing in u′.",
    ),
    Mistake(
        "not squared",
        {DG: "dg = 0.5 * (1 - t) * du"},
        "the slope of tanh u is 1 − tanh² u. The square is missing.",
    ),
    Mistake(
        "tanh of the square",
        {DG: "dg = 0.5 * (1 - np.tanh(np.arctanh(t) ** 2)) * du"},
        "tanh² u means (tanh u)², not tanh(u²).",
    ),
    Mistake(
        "no half",
        {DG: "dg = (1 - t**2) * du"},
        "the ½ of the gate is missing in g′.",
    ),
    Mistake(
        "tanh for its slope",
        {DG: "dg = 0.5 * t * du"},
        "you used tanh u where its slope belongs, 1 − tanh² u.",
    ),
    Mistake(
        "no dy",
        {SLOPE: "return g + x * dg"},
        "this is the slope of y. By the chain rule, multiply it by dy, which arrives.",
    ),
    Mistake(
        "value for slope",
        {SLOPE: "return dy * x * g"},
        "you multiplied dy by gelu(x). It must be multiplied by the slope of gelu at x.",
    ),
    Mistake(
        "of dy",
        {"t = np.tanh(": "x, dy = dy, x; t = np.tanh("},
        "dy and x are mixed up: the slope is taken at x.",
    ),
    Mistake(
        "slope of ReLU",
        {SLOPE: "return dy * (x > 0)"},
        "this is the slope of ReLU. GELU's slope changes smoothly.",
    ),
)

ACTIVE = "active = gelu(hidden)"
DOWN = 'y = linear(active, p["w_down"], p["b_down"])'
BACK_DOWN = 'linear_backward(dy, self.active, p["w_down"])'
BACK_GELU = "d_hidden = gelu_backward(d_active, self.hidden)"
WRITE = "self.grads[name][...] = gradient"
WHOLE = (
    Mistake(
        "no GELU",
        {ACTIVE: "active = hidden"},
        "there is no GELU between the two products, so they are one (4.4).",
    ),
    Mistake(
        "GELU at the end",
        {ACTIVE: "active = hidden", DOWN: DOWN.replace("linear(", "gelu(linear(") + ")"},
        "GELU stands after the second product. It belongs between the two.",
    ),
    Mistake(
        "GELU twice",
        {DOWN: DOWN.replace("linear(", "gelu(linear(") + ")"},
        "there is a second GELU at the end. y must be able to be any number, so the last step is "
        "the product.",
    ),
    Mistake(
        "residual",
        {DOWN: f"{DOWN} + x"},
        "you added x. That residual belongs to the block, lesson 8.",
    ),
    Mistake(
        "GELU not in backward",
        {BACK_GELU: "d_hidden = d_active"},
        "the gradient went past GELU: gelu_backward is missing between the two products.",
    ),
    Mistake(
        "slope at the output",
        {BACK_GELU: "d_hidden = gelu_backward(d_active, self.active)"},
        "the slope of GELU was taken at its output. gelu_backward needs what went in: x W_up + "
        "b_up.",
    ),
    Mistake(
        "before GELU",
        {BACK_DOWN: 'linear_backward(dy, self.hidden, p["w_down"])'},
        "the gradient of w_down was made with the numbers before GELU. Its input is what GELU "
        "returned.",
    ),
    Mistake(
        "adds up",
        {WRITE: "self.grads[name][...] += gradient"},
        "the gradients of two calls add up: the marker calls your layer twice. Write "
        "`grads[name][...] = …`, not `+=`.",
    ),
    Mistake(
        "replaced",
        {WRITE: "self.grads[name] = gradient"},
        "the arrays in `grads` were not written to; the optimizer holds on to them and saw zeros. "
        "Write `grads[name][...] = …`, not `grads[name] = …`.",
    ),
    Mistake(
        "biases forgotten",
        {WRITE: 'self.grads[name][...] = gradient * (name[0] == "w")'},
        "the gradients of b_up and b_down were not written.",
    ),
)

EXERCISES = [
    Exercise(
        "4.1", "linear", "Linear",
        hints=(
            "One product and one sum.",
            "`@` works on the last axis of x, however many axes stand in front. b is added to each "
            "token: NumPy repeats it.",
            "return x @ weight + bias.",
        ),
        idea="x @ weight does the same for every token, and b is repeated along all axes but the "
        "last. miniGPT makes one axis of all tokens first: one large product is faster than B "
        "small ones.",
        inputs=("x", "weight", "bias"), outputs=("y",), cases=linears, mistakes=LINEAR,
        used_in="MyLinear",
    ),
    Exercise(
        "4.2", "linear_backward", "Linear, backward",
        hints=(
            "Each gradient has the shape of its array. Which products of dy with x or W have these "
            "shapes?",
            "dx sums over j, and dW over n, which is all tokens: make one axis of them with "
            "reshape(-1, d) first. To how many tokens was b added?",
            "dx = dy @ weight.T, d_weight = rows.T @ d_rows, d_bias = d_rows.sum(axis=0), where "
            "rows = x.reshape(-1, d_in) and d_rows = dy.reshape(-1, d_out).",
        ),
        idea="After the reshape, the sum over all tokens of all texts is one product. "
        "np.einsum('...i,...j->ij', x, dy) says the same with the letters of the page, and "
        "dy.sum(axis=(0, 1)) is right for three axes, but only for three.",
        inputs=("dy", "x", "weight"), outputs=("dx", "d_weight", "d_bias"), cases=linears,
        slopes=slopes_linear, mistakes=LINEAR_BACKWARD, used_in="MyLinear", n_small=7,
    ),
    Exercise(
        "4.3", "MyLinear", "The layer",
        hints=(
            "forward is 4.1 and backward is 4.2. What must forward remember in between?",
            "Only x. W is in self.params all the time.",
            "self.x = x in forward. In backward, call linear_backward(dy, self.x, W), then "
            "`self.grads[name][...] = …` for both, and return dx.",
        ),
        idea="The layer keeps x, the largest thing it could keep: this is where the memory of "
        "training goes.",
        inputs=("x", "weight", "bias", "dy"), outputs=("y", "dx", "d_weight", "d_bias"),
        forward=("y",), cases=linears, call=run_layer("MyLinear", ("weight", "bias")),
        slopes=layer_slopes("MyLinear", ("weight", "bias")), mistakes=LAYER,
        includes=("4.1", "4.2"), used_in="MyLinear",
    ),
    Exercise(
        "4.4", "collapse", "Two layers that are one",
        hints=(
            "Multiply the brackets of (x W_1 + b_1) W_2 + b_2 out. Which terms have x?",
            "One term has x; what stands to its right is the new matrix. All others are the new "
            "bias.",
            "weight = w_1 @ w_2, and bias = b_1 @ w_2 + b_2.",
        ),
        idea="b_1 passes through the second layer as any input does, so the bias is also "
        "linear(b_1, w_2, b_2). The same works for 100 layers: without a bend, depth adds nothing "
        "that one matrix cannot do.",
        inputs=("w_1", "b_1", "w_2", "b_2"), outputs=("weight", "bias"), cases=pairs,
        mistakes=COLLAPSE,
    ),
    Exercise(
        "4.5", "gelu", "GELU",
        hints=(
            "Three lines: u, then the gate, then y.",
            "Where does each bracket end? √(2/π) multiplies both terms of u, and ½ both of the "
            "gate.",
            "u = SQRT_2_OVER_PI * (x + 0.044715 * x**3), and y = x * 0.5 * (1 + np.tanh(u)).",
        ),
        idea="½ (1 + tanh u) is the sigmoid of 2u, so x / (1 + np.exp(-2 * u)) is right, too, and "
        "needs one exp: miniGPT uses it. x * x * x is faster than x**3.",
        inputs=("x",), outputs=("y",), cases=numbers, mistakes=GELU, used_in="MyFeedForward",
    ),
    Exercise(
        "4.6", "gelu_backward", "GELU, backward",
        hints=(
            "y = x · g(x) is a product, and x stands in both factors.",
            "dx = dy (g + x g′), and g′ = ½ (1 − tanh² u) u′. What is the slope of u?",
            "du = SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x**2).",
        ),
        idea="Each number has its own slope, so nothing is summed. For large x both factors of x "
        "g′ are safe: 1 − tanh² u is exactly 0 there.",
        inputs=("dy", "x"), outputs=("dx",), cases=numbers, slopes=slopes_gelu,
        mistakes=GELU_BACKWARD, used_in="MyFeedForward", n_small=5,
    ),
    Exercise(
        "4.7", "MyFeedForward", "The feed-forward layer",
        hints=(
            "forward: linear, gelu, linear. Give the result of each step a name.",
            "backward: the same three steps from the end. Each needs what went into it: keep x, "
            "the numbers before GELU and the numbers after it.",
            "linear_backward(dy, active, w_down) gives d_active; gelu_backward(d_active, hidden) "
            "gives d_hidden; linear_backward(d_hidden, x, w_up) gives dx.",
        ),
        idea="Nothing new is derived: three backward passes, in reverse order. Two MyLinear "
        "objects, made with parts of params, are another right way, if their gradients end in the "
        "arrays of self.grads.",
        inputs=("x", *FEED_FORWARD, "dy"),
        outputs=("y", "dx", *(f"d_{name}" for name in FEED_FORWARD)), forward=("y",),
        cases=feed_forwards, call=run_layer("MyFeedForward", FEED_FORWARD),
        slopes=layer_slopes("MyFeedForward", FEED_FORWARD), mistakes=WHOLE,
        includes=("4.1", "4.2", "4.5", "4.6"), used_in="MyFeedForward", points=2,
    ),
]  # fmt: skip
