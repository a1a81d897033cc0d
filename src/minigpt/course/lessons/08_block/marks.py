"""How lesson 8 is marked: simple layers, cases, slopes and known mistakes."""

from functools import partial

import numpy as np

from minigpt.course.exercise import Exercise, Mistake, central_differences

# ---- layers that can be computed with a pencil, so that no other lesson is needed ------------


class Simple:
    """A layer with parameters (C,)."""

    def __init__(self, **params):
        self.params = {name: np.array(value, float) for name, value in params.items()}
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}

    def write(self, name, each):
        self.grads[name][...] = each.reshape(-1, each.shape[-1]).sum(axis=0)


class Scale(Simple):
    """Stands for a norm: y = scale · x + shift."""

    def forward(self, x):
        self.x = x
        return self.params["scale"] * x + self.params["shift"]

    def backward(self, dy):
        self.write("scale", dy * self.x)
        self.write("shift", dy)
        return dy * self.params["scale"]


class Sums(Simple):
    """Stands for attention: y_t = w · (x_0 + … + x_t)."""

    def forward(self, x):
        self.sums = np.cumsum(x, axis=-2)
        return self.params["w"] * self.sums

    def backward(self, dy):
        self.write("w", dy * self.sums)
        return np.cumsum((dy * self.params["w"])[..., ::-1, :], axis=-2)[..., ::-1, :]


class Squares(Simple):
    """Stands for feed-forward: y = w · x²."""

    def forward(self, x):
        self.x = x
        return self.params["w"] * x * x

    def backward(self, dy):
        self.write("w", dy * self.x * self.x)
        return 2 * dy * self.params["w"] * self.x


class Curves(Simple):
    """Stands for feed-forward where a stack is trained: y = w · tanh(x), which stays small."""

    def forward(self, x):
        self.curve = np.tanh(x)
        return self.params["w"] * self.curve

    def backward(self, dy):
        self.write("w", dy * self.curve)
        return dy * self.params["w"] * (1 - self.curve**2)


class Stage:
    """Stands for a block: y = x + w · tanh(scale · x + shift)."""

    def __init__(self, scale, shift, w):
        self.layers = Scale(scale=scale, shift=shift), Curves(w=w)

    def forward(self, x):
        return x + self.layers[1].forward(self.layers[0].forward(x))

    def backward(self, dy):
        return dy + self.layers[0].backward(self.layers[1].backward(dy))


def simple_layers(C, rng):
    def norm():
        return Scale(scale=rng.uniform(0.5, 1, C), shift=0.1 * rng.normal(size=C))

    w_1, w_2 = 0.2 * rng.normal(size=(2, C))
    return norm(), Sums(w=w_1), norm(), Curves(w=w_2)


# ---- cases -----------------------------------------------------------------------

PARAMS = ("scale_1", "shift_1", "w_attention", "scale_2", "shift_2", "w_feed_forward")
GRADS = ("d_w_feed_forward", "d_scale_2", "d_w_attention", "d_scale_1")


def blocks(seed):
    rng = np.random.default_rng(seed)

    def case(x, dy, *params):
        params = params or rng.choice([-1, 1], (6, x.shape[-1])) * rng.uniform(
            0.5, 1.5, (6, x.shape[-1])
        )
        return {
            "x": np.array(x, float),
            "dy": np.array(dy, float),
            **{name: np.array(p, float) for name, p in zip(PARAMS, params, strict=True)},
        }

    def draw(*shape):
        return case(*rng.normal(size=(2, *shape)))

    page = case([[[1], [1]]], [[[2], [1]]], [2], [-1], [2], [1], [-2], [1])
    yield "the example of the page", page
    yield "one token", draw(1, 1, 3)
    yield "two texts", draw(2, 3, 2)
    yield "T = C", draw(1, 4, 4)
    yield "all rows equal", case(np.ones((2, 3, 2)), rng.normal(size=(2, 3, 2)))
    yield "large numbers", case(30 * rng.normal(size=(1, 4, 3)), rng.normal(size=(1, 4, 3)))
    yield "four texts", draw(4, 6, 5)


def stacks(seed):
    rng = np.random.default_rng(seed)

    def case(n, shape, residual, size=0.5):
        w = rng.choice([-size, size], (n, shape[-1])) * rng.uniform(0.5, 1, (n, shape[-1]))
        x, dy = rng.uniform(0.5, 1.5, shape), rng.normal(size=shape)
        return {"w": w, "x": x, "dy": dy, "residual": residual}

    w = np.array([[1.0, 1], [0.5, 0.5]])
    page = {"w": w, "x": np.array([[[1.0, -1]]]), "dy": np.array([[[1.0, 7]]])}
    yield "the example of the page", page | {"residual": False}
    yield "the same with residuals", page | {"residual": True}
    yield "one layer", case(1, (1, 2, 2), False)
    yield "one layer, residual", case(1, (1, 2, 2), True)
    yield "three layers", case(3, (2, 3, 2), False, 1.5)
    yield "four layers, residuals", case(4, (2, 3, 2), True)
    yield "24 layers, residuals", case(24, (2, 3, 4), True, 0.05)


def trainings(seed):
    rng = np.random.default_rng(seed)

    def case(n, shape, rate, n_steps):
        C = shape[-1]
        return {
            "scale": rng.uniform(0.5, 1, (n + 1, C)),
            "shift": 0.1 * rng.normal(size=(n + 1, C)),
            "w": 0.5 * rng.normal(size=(n, C)),
            "x": rng.normal(size=shape),
            "target": rng.normal(size=shape),
            "learning_rate": rate,
            "n_steps": n_steps,
        }

    yield "the example of the page", {
        "scale": np.ones((1, 1)), "shift": np.zeros((1, 1)), "w": np.zeros((0, 1)),
        "x": np.array([[[1.0], [3]]]), "target": np.array([[[2.0], [2]]]),
        "learning_rate": 0.1, "n_steps": 2,
    }  # fmt: skip
    yield "one block", case(1, (1, 2, 2), 0.1, 3)
    yield "two texts", case(2, (2, 3, 2), 0.2, 4)
    yield "six blocks", case(6, (4, 3, 5), 0.1, 6)


def comparisons(seed):
    def case(n, n_steps, rate, *seeds):
        return {"n_blocks": n, "n_steps": n_steps, "learning_rate": rate, "seeds": [*seeds]}

    yield "one block, one seed", case(1, 3, 0.1, seed)
    yield "two blocks, three seeds", case(2, 4, 0.1, seed, seed + 1, seed + 7)
    yield "three blocks, two seeds", case(3, 6, 0.2, seed + 3, seed + 2)
    yield "a learning rate that is too large", case(1, 2, 30.0, seed)


# ---- calls and slopes ------------------------------------------------------------------


def layers_of(i):
    return (
        Scale(scale=i["scale_1"], shift=i["shift_1"]),
        Sums(w=i["w_attention"]),
        Scale(scale=i["scale_2"], shift=i["shift_2"]),
        Squares(w=i["w_feed_forward"]),
    )


def run_block(name, module, i):
    """Go forward and backward twice; the second time must not remember the first."""
    norm_1, attention, norm_2, feed_forward = layers = layers_of(i)
    block = getattr(module, name)(*layers)
    block.forward(-i["x"])
    block.backward(0.5 * i["dy"])
    y = block.forward(i["x"])
    return {
        "y": y,
        "dx": block.backward(i["dy"]),
        "d_w_feed_forward": feed_forward.grads["w"],
        "d_scale_2": norm_2.grads["scale"],
        "d_w_attention": attention.grads["w"],
        "d_scale_1": norm_1.grads["scale"],
    }


def slopes_block(name, module, i):
    def loss(moved, value):
        j = {**i, moved: value}
        return (i["dy"] * getattr(module, name)(*layers_of(j)).forward(j["x"])).sum()

    names = {grad.removeprefix("d_"): grad for grad in GRADS} | {"x": "dx"}
    return {d: central_differences(partial(loss, p), i[p]) for p, d in names.items()}


def run_sizes(module, i):
    layers = [Squares(w=w) for w in i["w"]]
    return {"sizes": module.gradient_sizes(layers, i["x"], i["dy"], i["residual"])}


def run_training(module, i):
    each = zip(i["scale"], i["shift"], i["w"], strict=False)
    end = Scale(scale=i["scale"][-1], shift=i["shift"][-1])
    return {
        "losses": module.train(
            [Stage(*params) for params in each],
            end,
            i["x"],
            i["target"],
            i["learning_rate"],
            i["n_steps"],
        )
    }


def run_comparison(module, i):
    arguments = (i["n_blocks"], i["n_steps"], i["learning_rate"], i["seeds"])
    pre, post = module.compare(simple_layers, *arguments)
    return {"pre": np.asarray(pre), "post": np.asarray(post)}


# ---- known mistakes ------------------------------------------------------------------

A = "a = self.attention.forward(self.norm_1.forward(x))"
H = "h = x + a\n"
F = "f = self.feed_forward.forward(self.norm_2.forward(h))"
Y = "return h + f"
FROM_F = "from_f = self.norm_2.backward(self.feed_forward.backward(dy))"
DH = "dh = dy + from_f"
FROM_A = "from_a = self.norm_1.backward(self.attention.backward(dh))"
DX = "return dh + from_a"
BLOCK = (
    Mistake(
        "no first residual",
        {H: "h = a\n"},
        "x was not added to what attention returns: h = x + attention(norm_1(x)).",
    ),
    Mistake(
        "no second residual",
        {Y: "return f"},
        "h was not added to what feed-forward returns: y = h + feed_forward(norm_2(h)).",
    ),
    Mistake(
        "x for h in the sum",
        {Y: "return x + f"},
        "you added x at the end. What attention has gathered is in h: y = h + …",
    ),
    Mistake(
        "x for h in the norm",
        {F: F.replace("forward(h)", "forward(x)")},
        "feed-forward got x. It reads h, in which attention's result is: both run in a row, not "
        "side by side.",
    ),
    Mistake(
        "no norm_1",
        {A: "a = self.attention.forward(x)"},
        "attention got x without norm_1.",
    ),
    Mistake(
        "no norm_2",
        {F: "f = self.feed_forward.forward(h)"},
        "feed-forward got h without norm_2.",
    ),
    Mistake(
        "norm behind the layer",
        {
            A: "a = self.norm_1.forward(self.attention.forward(x))",
            F: "f = self.norm_2.forward(self.feed_forward.forward(h))",
        },
        "each norm comes after its layer. It comes before: attention(norm_1(x)).",
    ),
    Mistake(
        "norm of the sum",
        {
            A: "a = self.attention.forward(x)",
            H: "h = self.norm_1.forward(x + a)\n",
            F: "f = self.feed_forward.forward(h)",
            Y: "return self.norm_2.forward(h + f)",
        },
        "the norms come after the sums. That is the block of 2017, exercise 8.3. Here x itself is "
        "never normalised on its way to y.",
    ),
    Mistake(
        "normalised x in the sum",
        {H: "h = self.norm_1.forward(x) + a\n"},
        "you added norm_1(x). Add x itself: nothing may stand on the short way.",
    ),
    Mistake(
        "residual lost in dh",
        {DH: "dh = from_f"},
        "dh lacks dy. y = h + …, so h has a direct way to y, with the slope 1.",
    ),
    Mistake(
        "residual lost in dx",
        {DX: "return from_a"},
        "dx lacks dh. h = x + …, so x has a direct way to h, with the slope 1.",
    ),
    Mistake(
        "both residuals lost",
        {DH: "dh = from_f", DX: "return from_a"},
        "both direct ways are missing: each sum of the forward pass hands its gradient to both "
        "terms.",
    ),
    Mistake(
        "dy for dh",
        {FROM_A: FROM_A.replace("(dh)", "(dy)")},
        "dy went into attention. What arrives there is dh, the gradient with respect to h: it has "
        "come through feed-forward, too.",
    ),
    Mistake(
        "dy for dh at the end",
        {DX: "return dy + from_a"},
        "dx is dy plus attention's part. The direct way of x leads to h, so it brings dh.",
    ),
    Mistake(
        "dy counted twice",
        {DX: "return dy + dh + from_a"},
        "dy is in dx twice: dh has it already.",
    ),
    Mistake(
        "halves",
        {DH: "dh = (dy + from_f) / 2", DX: "return (dh + from_a) / 2"},
        "you halved the gradients. A sum gives its whole gradient to each of its terms.",
    ),
    Mistake(
        "order of norm and layer",
        {
            FROM_F: "from_f = self.feed_forward.backward(self.norm_2.backward(dy))",
            FROM_A: "from_a = self.attention.backward(self.norm_1.backward(dh))",
        },
        "you went back through the norm first. Forward, the norm was first, so backward it is "
        "last.",
    ),
)  # fmt: skip

STEP_UP = "x = x + y if residual else y"
DOWN = "for k in reversed(range(len(layers))):"
STEP_DOWN = "d = d + back if residual else back"
SIZE = "sizes[k] = np.sqrt((d * d).mean())"
SIZES = (
    Mistake(
        "no residual forward",
        {STEP_UP: "x = y"},
        "the residual is missing in the forward pass: the layers saw other inputs.",
    ),
    Mistake(
        "no residual backward",
        {STEP_DOWN: "d = back"},
        "the residual is missing in the backward pass: d = d + layer.backward(d).",
    ),
    Mistake(
        "no residual at all",
        {STEP_UP: "x = y", STEP_DOWN: "d = back"},
        "`residual` is not used.",
    ),
    Mistake(
        "always residuals",
        {STEP_UP: "x = x + y", STEP_DOWN: "d = d + back"},
        "you added residuals where `residual` is False.",
    ),
    Mistake(
        "one layer late",
        {SIZE: "sizes[k] = before", STEP_DOWN: f"before = np.sqrt((d * d).mean()); {STEP_DOWN}"},
        "sizes[k] is the gradient at the output of layer k. Go back through the layer first, then "
        "measure.",
    ),
    Mistake(
        "other way round",
        {"return sizes": "return sizes[::-1].copy()"},
        "the order is reversed: sizes[0] belongs to the first layer, which the gradient reaches "
        "last.",
    ),
    Mistake(
        "forward order",
        {DOWN: "for k in range(len(layers)):"},
        "you went back from the first layer to the last. The gradient comes from the end: "
        "reversed(layers).",
    ),
    Mistake(
        "without the root",
        {SIZE: "sizes[k] = (d * d).mean()"},
        "you took the mean of the squares. Take its root.",
    ),
    Mistake(
        "length",
        {SIZE: "sizes[k] = np.sqrt((d * d).sum())"},
        "you took the root of the sum. Take the root of the mean, which does not depend on how "
        "many numbers there are.",
    ),
    Mistake(
        "mean distance",
        {SIZE: "sizes[k] = np.abs(d).mean()"},
        "you took the mean of the absolute values, not the root of the mean of squares.",
    ),
    Mistake(
        "one more",
        {"return sizes": "return np.append(sizes, np.sqrt((dy * dy).mean()))"},
        "there is one size too many. Measure at the inputs of the n layers, not behind the last.",
    ),
    Mistake(
        "only the layer's part",
        {SIZE: "sizes[k] = np.sqrt((back * back).mean())"},
        "you measured what came through the layer only. The gradient at its input has the direct "
        "way in it.",
    ),
)

POST_H = "h = self.norm_1.forward(x + self.attention.forward(x))"
POST_Y = "return self.norm_2.forward(h + self.feed_forward.forward(h))"
D_SUM = "d_sum = self.norm_2.backward(dy)"
POST_DH = "dh = d_sum + self.feed_forward.backward(d_sum)"
D_SUM_1 = "d_sum_1 = self.norm_1.backward(dh)"
POST_DX = "return d_sum_1 + self.attention.backward(d_sum_1)"
POST = (
    Mistake(
        "norm first",
        {
            POST_H: "h = x + self.attention.forward(self.norm_1.forward(x))",
            POST_Y: "return h + self.feed_forward.forward(self.norm_2.forward(h))",
        },
        "this is the forward pass of MyBlock. Here the norm comes after the sum: norm_1(x + …).",
    ),
    Mistake(
        "norm of the layer only",
        {
            POST_H: "h = x + self.norm_1.forward(self.attention.forward(x))",
            POST_Y: "return h + self.norm_2.forward(self.feed_forward.forward(h))",
        },
        "you normalised what the layer returns, then added. Add first: norm_1(x + attention(x)).",
    ),
    Mistake(
        "no residuals",
        {
            POST_H: "h = self.norm_1.forward(self.attention.forward(x))",
            POST_Y: "return self.norm_2.forward(self.feed_forward.forward(h))",
        },
        "the sums are missing: norm_1(x + attention(x)).",
    ),
    Mistake(
        "x for h",
        {POST_Y: "return self.norm_2.forward(x + self.feed_forward.forward(h))"},
        "the second sum has x in it. It is h + feed_forward(h).",
    ),
    Mistake(
        "past norm_2",
        {POST_DH: "dh = dy + self.feed_forward.backward(d_sum)"},
        "the direct way of h went past norm_2. The norm stands behind the sum, so both ways go "
        "through it.",
    ),
    Mistake(
        "past norm_1",
        {POST_DX: "return dh + self.attention.backward(d_sum_1)"},
        "the direct way of x went past norm_1. The norm stands behind the sum, so both ways go "
        "through it.",
    ),
    Mistake(
        "past both norms",
        {
            POST_DH: "dh = dy + self.feed_forward.backward(d_sum)",
            POST_DX: "return dh + self.attention.backward(d_sum_1)",
        },
        "the direct ways went past the norms. They stand behind the sums, so every way goes "
        "through them.",
    ),
    Mistake(
        "residual lost in dh",
        {POST_DH: "dh = self.feed_forward.backward(d_sum)"},
        "the direct way of h is missing in dh.",
    ),
    Mistake(
        "residual lost in dx",
        {POST_DX: "return self.attention.backward(d_sum_1)"},
        "the direct way of x is missing in dx.",
    ),
    Mistake(
        "backward of MyBlock",
        {
            D_SUM: "d_sum = self.norm_2.backward(self.feed_forward.backward(dy))",
            POST_DH: "dh = dy + d_sum",
            D_SUM_1: "d_sum_1 = self.norm_1.backward(self.attention.backward(dh))",
            POST_DX: "return dh + d_sum_1",
        },
        "this is the backward pass of MyBlock. Here the norm was last, so backward it is first.",
    ),
    Mistake(
        "layer without its norm",
        {POST_DH: "dh = d_sum + self.feed_forward.backward(dy)"},
        "dy went into feed-forward. It comes to it through norm_2.",
    ),
)

ONE_BLOCK = "y = block.forward(y)"
ERROR = "error = end.forward(y) - target"
LOSS = "losses[step] = (error * error).mean()"
DY = "d = end.backward(2 * error / error.size)"
BACK = "for block in reversed(blocks):"
ALL = "for block in blocks for layer in block.layers] + [end]"
UPDATE = "param -= learning_rate * layer.grads[name]"
TRAIN = (
    Mistake(
        "uphill",
        {UPDATE: "param += learning_rate * layer.grads[name]"},
        "you went uphill: the gradient says where the loss grows, so subtract it.",
    ),
    Mistake(
        "target less output",
        {ERROR: "error = target - end.forward(y)"},
        "the gradient has the wrong sign: the slope of (y − target)² is 2 (y − target).",
    ),
    Mistake(
        "no 2",
        {DY: "d = end.backward(error / error.size)"},
        "the 2 of the square is missing in the gradient of the loss.",
    ),
    Mistake(
        "no mean in the gradient",
        {DY: "d = end.backward(2 * error)"},
        "the loss is a mean over all numbers, so its gradient has the factor 1 / (B T C).",
    ),
    Mistake(
        "over the texts",
        {DY: "d = end.backward(2 * error / len(error))"},
        "the gradient was divided by B. The loss is a mean over all B · T · C numbers.",
    ),
    Mistake(
        "sum for mean",
        {LOSS: "losses[step] = (error * error).sum()"},
        "you added the squares up. The loss is their mean.",
    ),
    Mistake(
        "root of the loss",
        {LOSS: "losses[step] = np.sqrt((error * error).mean())"},
        "you took the root of the loss.",
    ),
    Mistake(
        "end does not learn",
        {ALL: "for block in blocks for layer in block.layers]"},
        "the parameters of `end` were not changed.",
    ),
    Mistake(
        "blocks do not learn",
        {f"layers = [layer {ALL}": "layers = [end]"},
        "only the parameters of `end` were changed, not those of the blocks.",
    ),
    Mistake(
        "each block from x",
        {ONE_BLOCK: "y = block.forward(x)"},
        "every block got x. It gets what the block before returns.",
    ),
    Mistake(
        "forward order",
        {BACK: "for block in blocks:"},
        "the gradient went through the blocks from the first to the last. It comes from the end: "
        "reversed(blocks).",
    ),
    Mistake(
        "end passed by",
        {DY: "d = 2 * error / error.size; end.backward(d)"},
        "the blocks got the gradient that stands behind `end`. Hand on what end.backward returns.",
    ),
    Mistake(
        "one update late",
        {UPDATE: "param -= learning_rate * layer.grads[name] * (step > 0)"},
        "the first step changed nothing.",
    ),
)  # fmt: skip

TRAINED = "last.append(train(blocks, end, x, target, learning_rate, n_steps)[-1])"
FRESH = "x, target = fresh(block_class, make_layers, n_blocks, seed)"
COMPARE = (
    Mistake(
        "all losses",
        {TRAINED: TRAINED.replace("[-1])", ")")},
        "train returns the losses of all steps. Take the last one: [-1].",
    ),
    Mistake(
        "first loss",
        {TRAINED: TRAINED.replace("[-1]", "[0]")},
        "you took the first loss of each training, that of a fresh stack. Take the last.",
    ),
    Mistake(
        "lowest loss",
        {TRAINED: TRAINED.replace("train(", "min(train(").replace("[-1])", "))")},
        "you took the lowest loss of each training. Take the last: a loss that has fallen and "
        "risen again is not learned.",
    ),
    Mistake(
        "mean loss",
        {TRAINED: TRAINED.replace("[-1])", ".mean())")},
        "you took the mean of all losses of a training. Take the last.",
    ),
    Mistake(
        "other seeds for post",
        {FRESH: FRESH.replace("seed)", "seed + 100 * (block_class is PostBlock))")},
        "PostBlock had other seeds than MyBlock. Then two things differ, and you cannot tell which "
        "of them makes the difference.",
    ),
    Mistake(
        "always one seed",
        {FRESH: FRESH.replace("seed)", "seeds[0])")},
        "all trainings had the same seed. One seed may be luck.",
    ),
    Mistake(
        "numbers 0, 1, 2 for the seeds",
        {"for seed in seeds:": "for seed in range(len(seeds)):"},
        "you used 0, 1, 2 … as seeds, not those in the list.",
    ),
    Mistake(
        "other way round",
        {"return pre, post": "return post, pre"},
        "you returned (post, pre). The order is (pre, post).",
    ),
    Mistake(
        "the same kind twice",
        {"post = last_losses(PostBlock)": "post = last_losses(MyBlock)"},
        "both are of MyBlock.",
    ),
    Mistake(
        "one step less",
        {TRAINED: TRAINED.replace("n_steps)", "n_steps - 1)")},
        "you trained one step less than asked for.",
    ),
    Mistake(
        "mean over seeds",
        {"return np.array(last)": "return np.mean(last)"},
        "you took the mean over the seeds. Return one number for each: the spread tells whether a "
        "difference is more than luck.",
    ),
)

# ---- 8.6 ---------------------------------------------------------------------------

RIGHT = {"deep": "pre", "shallow": "neither", "fresh_gradient": "neither",
         "trained_gradient": "post"}  # fmt: skip
MEASURED = {"pre": 0.67, "post": 0.85}
MEASURE = {
    "deep": "compare(my_layers, 12, 60, 0.2, range(5))",
    "shallow": "compare(my_layers, 2, 60, 0.2, range(5))",
    "fresh_gradient": "first_gradient(kind, seed, 0), as on the page",
    "trained_gradient": "first_gradient(kind, seed, 60), as on the page",
}


def judge_pre_or_post(answer, seed):
    """Return None if right, or a sentence."""
    for name in RIGHT:
        if answer[name] not in ("pre", "post", "neither"):
            return f'{name} must be "pre", "post" or "neither". It is {answer[name]!r}.'
    wrong = [name for name, word in RIGHT.items() if answer[name] != word]
    if wrong:
        return (
            f"{4 - len(wrong)} of your 4 predictions come true. Measure this one, for both kinds "
            f"and five seeds, and find out why:\n\n    {wrong[0]}: you said {answer[wrong[0]]!r}\n"
            f"    {MEASURE[wrong[0]]}"
        )
    for name, mean in MEASURED.items():
        try:
            losses = np.array(answer[name], float)
        except (TypeError, ValueError):
            losses = np.zeros(0)
        if losses.shape != (5,):
            return f"{name} must be a list of five numbers, the last losses of the seeds 0 to 4."
        if not abs(losses.mean() - mean) < 0.06:
            return (
                f"the mean of {name} is {losses.mean():.2f}. We measured {mean:.2f}, with\n    "
                f"{MEASURE['deep']}\nDid you use 12 blocks, 60 steps, the learning rate 0.2 and "
                "the seeds 0 to 4? Are your layers of the lessons 4, 5 and 7 right?"
            )
    if len(str(answer["why"]).split()) < 8:
        return "all is right. Now say why you ran 2 blocks, too (at least 8 words)."
    return None


EXERCISES = [
    Exercise(
        "8.1", "MyBlock", "Backward: a sum hands its gradient to both",
        hints=(
            "forward is the two lines of the docstring. For backward, draw the arrows of h: where "
            "does it come from, and by how many ways does it reach y?",
            "dh is dy plus what comes back through feed_forward and norm_2. What is dx?",
            "dh = dy + norm_2.backward(feed_forward.backward(dy)); dx is the same again, with dh, "
            "attention and norm_1.",
        ),
        idea="Two lines forward, two lines backward, and no new derivative. x may be added on "
        "either side, and the two sums may stand in one line each; miniGPT's own block does so.",
        inputs=("x", "dy", *PARAMS), outputs=("y", *GRADS, "dx"), forward=("y",), cases=blocks,
        call=partial(run_block, "MyBlock"), slopes=partial(slopes_block, "MyBlock"),
        mistakes=BLOCK, used_in="MyBlock", points=2,
    ),
    Exercise(
        "8.2", "gradient_sizes", "24 layers",
        hints=(
            "Two loops: one forward through the layers, one backward.",
            "With residuals, going back through a step is d = d + layer.backward(d).",
            "Write sizes[k] = np.sqrt((d * d).mean()) after going back through layer k.",
        ),
        idea="Every layer keeps what it needs, so one loop forward and one backward are enough, "
        "whatever the layers are. A product of n slopes against a product of n times (1 + slope): "
        "that is the whole difference.",
        inputs=("w", "x", "dy", "residual"), outputs=("sizes",), cases=stacks, call=run_sizes,
        mistakes=SIZES,
    ),
    Exercise(
        "8.3", "PostBlock", "Norm before or after",
        hints=(
            "The last thing that forward did is norm_2. So backward begins with it.",
            "norm_2.backward(dy) is the gradient of a sum. To which two terms does it go?",
            "d = norm_2.backward(dy); dh = d + feed_forward.backward(d); then the same with dh, "
            "norm_1 and attention.",
        ),
        idea="In MyBlock the norm is on a side way, here on the only way. So every gradient is "
        "divided by s twice in each block, and nothing goes past.",
        inputs=("x", "dy", *PARAMS), outputs=("y", *GRADS, "dx"), forward=("y",), cases=blocks,
        call=partial(run_block, "PostBlock"), slopes=partial(slopes_block, "PostBlock"),
        mistakes=POST, points=2,
    ),
    Exercise(
        "8.4", "train", "A fair comparison",
        hints=(
            "Four parts in each step: forward, loss, backward, update.",
            "The gradient of mean((y − target)²) has three factors. Then end.backward, then the "
            "blocks from the last to the first.",
            "d = end.backward(2 * error / error.size). At the end, for each layer and each name: "
            "layer.params[name] -= learning_rate * layer.grads[name].",
        ),
        idea="This loop knows nothing about layers but forward, backward, params and grads. You "
        "may also change the parameters of a block as soon as its backward pass is done: the "
        "blocks below do not need them any more.",
        inputs=("scale", "shift", "w", "x", "target", "learning_rate", "n_steps"),
        outputs=("losses",), cases=trainings, call=run_training, mistakes=TRAIN,
    ),
    Exercise(
        "8.5", "compare", "A fair comparison",
        hints=(
            "For each seed and each kind: fresh, then train, then the last loss.",
            "The same seed must make both stacks of a pair. What is the only thing that differs?",
            "blocks, end, x, target = fresh(MyBlock, make_layers, n_blocks, seed), and "
            "train(blocks, end, x, target, learning_rate, n_steps)[-1]; the same with PostBlock.",
        ),
        idea="Pairs: as both stacks of a seed begin with the same numbers, luck with the fresh "
        "weights is the same for both, and five pairs say more than five and five unrelated runs.",
        inputs=("n_blocks", "n_steps", "learning_rate", "seeds"), outputs=("pre", "post"),
        cases=comparisons, call=run_comparison, mistakes=COMPARE,
        includes=("8.1", "8.3", "8.4"),
    ),
    Exercise(
        "8.6", "pre_or_post", "Predict, then run",
        hints=(
            "Predict first. Then paste the lines of the page into a file beside lesson_08.py, and "
            "run it.",
            "“For each of the seeds” is a strict demand. If the winner changes from seed to seed, "
            "the answer is neither.",
            "Look at the gradients of fresh blocks, then at the trained ones. Only one of the two "
            "tells the kinds apart.",
        ),
        idea="A difference needs a control to mean something: 2 blocks show that it is the depth. "
        "And it needs training to be seen: fresh blocks look the same.",
        outputs=(*RIGHT, "pre", "post", "why"), judge=judge_pre_or_post, points=2,
    ),
]  # fmt: skip
