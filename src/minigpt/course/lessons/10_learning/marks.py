"""How lesson 10 is marked: cases and known mistakes."""

import numpy as np

from minigpt.course.exercise import Exercise, Mistake

# ---- cases -----------------------------------------------------------------------


def some_params(seed):
    """Yield params and gradients of several steps: one matrix w, one vector b."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(size=shape)

    def case(w, b, d_w, d_b, rates):
        return {
            "w": np.array(w, float),
            "b": np.array(b, float),
            "d_w": np.array(d_w, float),
            "d_b": np.array(d_b, float),
            "rates": np.array(rates, float),
        }

    page = ([[1, -2]], [0.5], [[[0.5, -4]], [[0.5, 4]]], [[0.001], [0.001]], [0.1, 0.1])
    yield "the example of the page", case(*page)
    one = ([[2]], [1], [[[3]]], [[-1]], [0.5])
    yield "one step", case(*one)
    zero = ([[1, 2]], [3], np.zeros((3, 1, 2)), np.zeros((3, 1)), [0.1] * 3)
    yield "gradients of 0", case(*zero)
    yield "three steps, three rates", case(draw(2, 3), draw(3), draw(3, 2, 3), draw(3, 3),
                                           [0.3, 0.2, 0.1])  # fmt: skip
    sizes = 10.0 ** rng.integers(-4, 3, (20, 3, 4))
    yield "20 steps", case(draw(3, 4), draw(4), sizes * draw(20, 3, 4), draw(20, 4),
                           rng.uniform(0.001, 0.1, 20))  # fmt: skip


def with_options(seed):
    rng = np.random.default_rng(seed)
    for n, (name, i) in enumerate(some_params(seed)):
        usual = {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, "eps": 1e-8}
        other = {
            "beta1": rng.uniform(0.3, 0.8),
            "beta2": rng.uniform(0.9, 0.999),
            "weight_decay": rng.uniform(0.2, 0.9),
            "eps": rng.uniform(0.001, 0.1),
        }
        yield name, i | (usual if n < 3 else other)


OPTIONS = ("beta1", "beta2", "weight_decay", "eps")


def steps_of(name, options=()):
    """Return the `call` of an optimizer: take all steps, and look into the model's arrays."""

    def call(module, i):
        params = {"w": i["w"].copy(), "b": i["b"].copy()}
        grads = {"w": i["d_w"][0].copy(), "b": i["d_b"][0].copy()}
        optimizer = getattr(module, name)({**params}, {**grads}, *(i[each] for each in options))
        results = {}
        for n, rate in enumerate(i["rates"]):
            grads["w"][...], grads["b"][...] = i["d_w"][n], i["d_b"][n]
            optimizer.step(float(rate))
            if n == 0:
                results |= {"w_first": params["w"].copy(), "b_first": params["b"].copy()}
        return results | {"w_last": params["w"], "b_last": params["b"]}

    return call


def means(seed):
    rng = np.random.default_rng(seed)
    yield "the example of the page", {"values": np.array([4.0, 2, 0]), "beta": 0.5}
    yield "one value", {"values": np.array([3.0]), "beta": 0.9}
    yield "always the same value", {"values": np.full(4, 2.0), "beta": 0.75}
    yield "values of 0", {"values": np.zeros(3), "beta": 0.9}
    yield "beta = 0", {"values": np.array([1.0, 5, 2]), "beta": 0.0}
    yield "vectors", {"values": rng.normal(size=(5, 3)), "beta": 0.9}
    yield "20 matrices", {"values": rng.normal(size=(20, 2, 3)), "beta": 0.99}


def schedules(seed):
    rng = np.random.default_rng(seed)
    names = ("n_steps", "n_warmup", "peak", "final")

    def case(*values):
        return dict(zip(names, values, strict=True))

    yield "the example of the page", case(7, 3, 0.8, 0.2)
    yield "down to 0", case(7, 3, 0.8, 0.0)
    yield "no warm-up", case(4, 0, 1.0, 0.1)
    yield "one step", case(1, 0, 0.5, 0.1)
    yield "only warm-up", case(4, 4, 1.0, 0.1)
    yield "300 steps", case(300, int(rng.integers(5, 50)), rng.uniform(0.5, 1), 0.01)


def all_rates(module, i):
    rates = [
        module.learning_rate_at(step, i["n_steps"], i["n_warmup"], i["peak"], i["final"])
        for step in range(i["n_steps"])
    ]
    if any(rate is None for rate in rates):
        return {"rise": None, "fall": None}
    return {"rise": np.array(rates[: i["n_warmup"]]), "fall": np.array(rates[i["n_warmup"] :])}


def gradients(seed):
    rng = np.random.default_rng(seed)

    def case(w, b, max_norm):
        return {"w": np.array(w, float), "b": np.array(b, float), "max_norm": max_norm}

    yield "the example of the page", case([[3, 0]], [4], 1.0)
    yield "shorter than max_norm", case([[0.3, 0]], [0.4], 1.0)
    yield "each array shorter, together longer", case([[3, 0]], [4], 4.5)
    yield "all zeros", case([[0, 0]], [0], 1.0)
    yield "one array longer", case([[1, 1]], [10], 2.0)
    yield "large", case(1e6 * rng.normal(size=(3, 4)), rng.normal(size=4), 0.5)
    yield "random", case(rng.normal(size=(3, 4)), rng.normal(size=5), 0.7)


def clipped(module, i):
    grads = {"w": i["w"].copy(), "b": i["b"].copy()}
    return {"norm": module.clip({**grads}, i["max_norm"]), **grads}


def texts(seed):
    rng = np.random.default_rng(seed)
    hello = np.array([0, 1, 2, 2, 3, 4])
    yield "the example of the page", {"ids": hello, "starts": np.array([0, 2]), "length": 3}
    yield "one place", {"ids": np.array([7, 5]), "starts": np.array([0]), "length": 1}
    yield "up to the end", {"ids": hello, "starts": np.array([2]), "length": 3}
    yield "the same part twice", {"ids": hello, "starts": np.array([1, 1, 0]), "length": 4}
    ids, starts = rng.integers(0, 30, 50), rng.integers(0, 42, 6)
    yield "six parts", {"ids": ids, "starts": starts, "length": 8}


class Table:
    """The bigram model of lesson 1, as a layer."""

    def __init__(self, table):
        self.params, self.grads = {"table": table}, {"table": np.zeros_like(table)}

    def forward(self, ids):
        self.ids = ids
        return self.params["table"][ids]

    def backward(self, dlogits):
        self.grads["table"][...] = 0
        np.add.at(self.grads["table"], self.ids, dlogits)


class Downhill:
    """Plain gradient descent on a Table."""

    def __init__(self, model):
        self.model = model

    def step(self, learning_rate):
        self.model.params["table"] -= learning_rate * self.model.grads["table"]


def trainings(seed):
    rng = np.random.default_rng(seed)

    def case(n, B, T, V, rates, max_norm):
        ids, other = rng.integers(0, V, (n, B, T + 1)), rng.integers(0, V, (2, T + 1))
        return {
            "x": ids[..., :-1],
            "targets": ids[..., 1:],
            "val_x": other[:, :-1],
            "val_targets": other[:, 1:],
            "rates": np.array(rates, float),
            "max_norm": max_norm,
            "table": rng.normal(size=(V, V)),
        }

    one = case(2, 1, 2, 2, [1, 1], 100.0)
    one |= {"x": np.array([[[0, 1]], [[0, 1]]]), "targets": np.array([[[1, 0]], [[1, 0]]])}
    one |= {"val_x": np.array([[0, 0]]), "val_targets": np.array([[1, 0]])}
    yield "the example of the page", one | {"table": np.zeros((2, 2))}
    yield "one step", case(1, 2, 3, 4, [0.5], 100.0)
    yield "clipped", case(3, 2, 3, 4, [2, 1, 0.5], 0.1)
    yield "ten steps", case(10, 3, 5, 6, np.linspace(3, 0.5, 10), 0.3)


def trained(module, i):
    model = Table(i["table"].copy())
    batches = [*zip(i["x"], i["targets"], strict=True)]
    rates = [float(rate) for rate in i["rates"]]
    result = module.train(
        model, Downhill(model), batches, rates, i["max_norm"], (i["val_x"], i["val_targets"])
    )
    if not isinstance(result, tuple | list) or len(result) != 2:
        return {"losses": None, "val_losses": None, "table": model.params["table"]}
    losses, val_losses = (np.array(each, float) for each in result)
    return {"losses": losses, "val_losses": val_losses, "table": model.params["table"]}


def matrices(seed):
    rng = np.random.default_rng(seed)
    jordan = {"a": 3.4445, "b": -4.7750, "c": 2.0315}

    def case(g, n_steps, **coefficients):
        return {"g": np.array(g, float), "n_steps": n_steps, **coefficients}

    yield "the example of the page", case([[3, 0], [0, 4]], 1, a=1.5, b=-0.5, c=0.0)
    yield "two steps", case([[3, 0], [0, 4]], 2, a=1.5, b=-0.5, c=0.0)
    yield "one number", case([[-5]], 2, **jordan)
    yield "not symmetric", case([[1, 2], [0, 1]], 1, **jordan)
    yield "2 × 4", case(rng.normal(size=(2, 4)), 5, **jordan)
    yield "5 × 3", case(rng.normal(size=(5, 3)), 5, **jordan)
    yield "all zeros", case(np.zeros((2, 3)), 3, **jordan)


def muon_steps(seed):
    rng = np.random.default_rng(seed)

    def case(n, *shape, momentum=0.95):
        return {
            "w": rng.normal(size=shape),
            "d_w": rng.normal(size=(n, *shape)),
            "rates": rng.uniform(0.01, 0.1, n),
            "momentum": momentum,
        }

    yield "one step, 2 × 2", case(1, 2, 2)
    yield "two steps", case(2, 2, 2)
    yield "2 × 6", case(2, 2, 6)
    yield "6 × 2", case(2, 6, 2)
    yield "20 steps", case(20, 4, 5, momentum=0.8)


def muon(module, i):
    w, d_w = i["w"].copy(), np.zeros_like(i["w"])
    optimizer = module.MyMuon({"w": w}, {"w": d_w}, i["momentum"])
    for gradient, rate in zip(i["d_w"], i["rates"], strict=True):
        d_w[...] = gradient
        optimizer.step(float(rate))
    return {"w": w}


# ---- known mistakes: what stands in the solution → what a learner may write ----------

REPLACED = (
    "the model's arrays did not change. `params[name] = …`, or `p = p − …` in a loop, makes a new "
    "array; the model still computes with the old one. Write `p -= …` or `p[...] = …`."
)

DOWN = "p -= learning_rate * self.grads[name]"
SGD = (
    Mistake(
        "replaced",
        {DOWN: "self.params[name] = p - learning_rate * self.grads[name]"},
        REPLACED,
    ),
    Mistake(
        "uphill",
        {DOWN: "p += learning_rate * self.grads[name]"},
        "you went uphill. The gradient says where the loss grows, so subtract it.",
    ),
    Mistake(
        "no rate",
        {DOWN: "p -= self.grads[name]"},
        "the learning rate is missing: the step is learning_rate times the gradient.",
    ),
    Mistake(
        "by length",
        {DOWN: "p -= learning_rate * self.grads[name] / (abs(self.grads[name]).max() + 1e-9)"},
        "you divided by the size of the gradient. Plain SGD does not.",
    ),
    Mistake(
        "times p",
        {DOWN: "p *= 1 - learning_rate * self.grads[name]"},
        "you multiplied p. The step is subtracted, whatever the size of p is.",
    ),
    Mistake(
        "replaced by the step",
        {DOWN: "p[...] = -learning_rate * self.grads[name]"},
        "you put the step in the place of the parameter. Add it to what is there.",
    ),
)

M = "m = beta * m + (1 - beta) * value"
CORRECT = "corrected.append(m / (1 - beta**t))"
MEAN = (
    Mistake(
        "not corrected",
        {CORRECT: "corrected.append(m)"},
        "the correction is missing. After t steps the weights of all values sum to 1 − βᵗ, not to "
        "1, so divide by that.",
    ),
    Mistake(
        "shares swapped",
        {M: "m = (1 - beta) * m + beta * value"},
        "β and 1 − β are swapped. β is what is kept of the old mean: near 1, m changes slowly.",
    ),
    Mistake(
        "no share",
        {M: "m = beta * m + value"},
        "this is a running sum. The new value gets the share 1 − β, so that the weights sum to 1 "
        "in the end.",
    ),
    Mistake(
        "corrected mean kept",
        {
            CORRECT: "m = m / (1 - beta**t); corrected.append(m)",
        },
        "you put the corrected mean back into m, so that the next step begins with it. Keep m as "
        "it is: the correction is for the reader only.",
    ),
    Mistake(
        "both corrected",
        {
            "means.append(m)": "m = m / (1 - beta**t); means.append(m)",
            CORRECT: "corrected.append(m)",
        },
        "you put the corrected mean back into m, and into means. Keep m as it is, for the next "
        "step: the correction is for the reader only.",
    ),
    Mistake(
        "counted from 0",
        {CORRECT: "corrected.append(m / (1 - beta ** (t + 1)))"},
        "the correction is one step ahead. After the first value the sum of the weights is 1 − β, "
        "so t = 1 there.",
    ),
    Mistake(
        "one step late",
        {CORRECT: "corrected.append(m / (1 - beta ** (t - 1)))"},
        "the correction is one step behind: at the first value you divide by 1 − β⁰ = 0. t counts "
        "from 1.",
    ),
    Mistake(
        "not to the power",
        {CORRECT: "corrected.append(m / (1 - beta))"},
        "you divided by 1 − β at every step. The sum of the weights grows: it is 1 − βᵗ.",
    ),
    Mistake(
        "times t",
        {CORRECT: "corrected.append(m / (1 - beta * t))"},
        "you wrote β · t for βᵗ.",
    ),
    Mistake(
        "begins with the first value",
        {"m, means,": "m, means,", M: "m = value if t == 1 else beta * m + (1 - beta) * value"},
        "m begins with the first value. It begins with 0 here; that is why it needs a correction.",
    ),
)

T = "self.t += 1"
LOOP = "for name, p in self.params.items():\n            g = self.grads[name]\n            self.m"
M1 = "self.m[name] = self.beta1 * self.m[name] + (1 - self.beta1) * g"
V1 = "self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * g**2"
M_HAT = "m_hat = self.m[name] / (1 - self.beta1**self.t)"
V_HAT = "v_hat = self.v[name] / (1 - self.beta2**self.t)"
MATRIX = "if p.ndim >= 2:"
DECAY = "p *= 1 - learning_rate * self.weight_decay"
UPDATE = "p -= learning_rate * m_hat / (np.sqrt(v_hat) + self.eps)"
DECAY_LINES = f"{MATRIX}\n                {DECAY}\n            {UPDATE}"
ADAMW = (
    Mistake(
        "replaced",
        {
            f"{MATRIX}\n                {DECAY}": "if p.ndim >= 2:\n                "
            "p = p * (1 - learning_rate * self.weight_decay)",
            UPDATE: "self.params[name] = p - learning_rate * m_hat / (np.sqrt(v_hat) + self.eps)",
        },
        REPLACED,
    ),
    Mistake(
        "matrices replaced",
        {DECAY: "p = p * (1 - learning_rate * self.weight_decay)"},
        "matrices did not change, vectors did. `p = p * …` makes a new array, and what comes after "
        "works on that one; the model still has the old one. Write `p *= …`.",
    ),
    Mistake(
        "uphill",
        {UPDATE: UPDATE.replace("-=", "+=")},
        "you went uphill. The gradient says where the loss grows, so subtract the step.",
    ),
    Mistake(
        "not corrected",
        {M_HAT: "m_hat = self.m[name]", V_HAT: "v_hat = self.v[name]"},
        "m and v are not corrected. They begin at 0, so they are too small in the first steps: "
        "divide by 1 − β₁ᵗ and 1 − β₂ᵗ.",
    ),
    Mistake(
        "m not corrected",
        {M_HAT: "m_hat = self.m[name]"},
        "m is not corrected: the first steps are too short by 1 − β₁ᵗ.",
    ),
    Mistake(
        "v not corrected",
        {V_HAT: "v_hat = self.v[name]"},
        "v is not corrected: the first steps are too long, since v begins at 0 and you divide by "
        "its root.",
    ),
    Mistake(
        "corrected means kept",
        {
            M_HAT: "m_hat = self.m[name] = self.m[name] / (1 - self.beta1**self.t)",
            V_HAT: "v_hat = self.v[name] = self.v[name] / (1 - self.beta2**self.t)",
        },
        "you put the corrected means back into self.m and self.v. The next step must begin with "
        "the uncorrected ones: use new names, m_hat and v_hat.",
    ),
    Mistake(
        "t counts parameters",
        {T: "pass", LOOP: LOOP.replace("\n", "\n            self.t += 1\n", 1)},
        "self.t grows once for each array. It counts steps: increase it once, before the loop.",
    ),
    Mistake(
        "t counts arrays, before the loop",
        {T: "self.t += len(self.params)"},
        "self.t grows once for each array. It counts steps: increase it by 1.",
    ),
    Mistake(
        "means not kept",
        {
            M1: M1.replace("self.m[name] =", "m ="),
            V1: V1.replace("self.v[name] =", "v ="),
            M_HAT: M_HAT.replace("self.m[name]", "m"),
            V_HAT: V_HAT.replace("self.v[name]", "v"),
        },
        "the running means are not kept. Write them back into self.m[name] and self.v[name], so "
        "that the next step finds them.",
    ),
    Mistake(
        "fixed betas",
        {"self.beta1, self.beta2 = beta1, beta2": "self.beta1, self.beta2 = 0.9, 0.99"},
        "0.9 and 0.99 are written into your code. Use self.beta1 and self.beta2.",
    ),
    Mistake(
        "eps corrected",
        {UPDATE: UPDATE.replace("(np.sqrt(v_hat) + self.eps)",
                                "((np.sqrt(self.v[name]) + self.eps) / "
                                "(1 - self.beta2**self.t) ** 0.5)")},
        "ε is divided by √(1 − β₂ᵗ) together with √v. Correct v first, take the root, then add ε.",
    ),
    Mistake(
        "t stays",
        {T: "self.t = 1"},
        "self.t does not grow, so that every step is corrected like the first.",
    ),
    Mistake(
        "t from 0",
        {T: "pass", UPDATE: f"{UPDATE}\n        self.t += 1"},
        "t is 0 in the first step, and 1 − β⁰ = 0: you divide by 0. Increase self.t before you use "
        "it.",
    ),
    Mistake(
        "g not squared",
        {V1: V1.replace("g**2", "g")},
        "v is a mean of g, not of g². Its root is the usual size of a gradient, without the sign.",
    ),
    Mistake(
        "mean squared",
        {V1: "self.v[name] = self.m[name] ** 2"},
        "v is the square of m. It is a running mean of its own, of the squares g². Only so does it "
        "notice gradients that change their sign.",
    ),
    Mistake(
        "betas swapped",
        {
            M1: M1.replace("beta1", "beta2"),
            V1: V1.replace("beta2", "beta1"),
            M_HAT: M_HAT.replace("beta1", "beta2"),
            V_HAT: V_HAT.replace("beta2", "beta1"),
        },
        "β₁ and β₂ are swapped: β₁ belongs to m, β₂ to v.",
    ),
    Mistake(
        "shares swapped",
        {
            M1: "self.m[name] = (1 - self.beta1) * self.m[name] + self.beta1 * g",
            V1: "self.v[name] = (1 - self.beta2) * self.v[name] + self.beta2 * g**2",
        },
        "β and 1 − β are swapped. β is what is kept of the old mean.",
    ),
    Mistake(
        "no root",
        {UPDATE: UPDATE.replace("np.sqrt(v_hat)", "v_hat")},
        "you divided by v̂, not by its root. v̂ is a squared size; the root has the unit of g.",
    ),
    Mistake(
        "eps inside the root",
        {UPDATE: UPDATE.replace("(np.sqrt(v_hat) + self.eps)", "np.sqrt(v_hat + self.eps)")},
        "ε stands inside the root. It is added after the root: √v̂ + ε.",
    ),
    Mistake(
        "no eps",
        {UPDATE: UPDATE.replace("(np.sqrt(v_hat) + self.eps)", "np.sqrt(v_hat)")},
        "ε is missing: where a gradient was always 0, you divide 0 by 0.",
    ),
    Mistake(
        "no decay",
        {DECAY: "pass"},
        "weight decay is missing: matrices shrink by the factor 1 − lr λ in every step.",
    ),
    Mistake(
        "everything decays",
        {MATRIX: "if True:"},
        "vectors decayed, too. Only arrays with two axes do: p.ndim >= 2.",
    ),
    Mistake(
        "decay in the gradient",
        {LOOP: LOOP.replace("self.grads[name]", "self.grads[name] + self.weight_decay * p "
                            "* (p.ndim >= 2)"), MATRIX: "if False:"},
        "you added λ p to the gradient. Then it goes through m and v, and is divided by √v̂ like "
        "the rest. That is Adam with an L2 penalty. In AdamW decay is a step of its own.",
    ),
    Mistake(
        "decay without the rate",
        {DECAY: "p *= 1 - self.weight_decay"},
        "the decay is not multiplied by the learning rate: the factor is 1 − lr λ.",
    ),
    Mistake(
        "decay after the step",
        {DECAY_LINES: f"{UPDATE}\n            {MATRIX}\n                {DECAY}"},
        "you took the step first, and the decay shrank it, too. Decay comes first: it acts on the "
        "parameter as it was.",
    ),
    Mistake(
        "decay times the step",
        {DECAY: "pass", UPDATE: f"{UPDATE} + (p.ndim >= 2) * self.weight_decay * p"},
        "the decay λ p is not multiplied by the learning rate.",
    ),
)  # fmt: skip

RISE = "return peak * (step + 1) / (n_warmup + 1)"
PROGRESS = "progress = (step - n_warmup) / (n_steps - n_warmup)"
SHARE = "share = (1 + math.cos(math.pi * progress)) / 2"
RATE = "return final + (peak - final) * share"
SCHEDULE = (
    Mistake(
        "begins at 0",
        {RISE: "return peak * step / n_warmup"},
        "step 0 has the rate 0, so that it does nothing. The rise has n_warmup + 1 parts, and step "
        "0 is at the end of the first.",
    ),
    Mistake(
        "peak too early",
        {RISE: "return peak * (step + 1) / n_warmup"},
        "the last step of the rise has reached the peak already. Step n_warmup is the first with "
        "the rate `peak`: divide by n_warmup + 1.",
    ),
    Mistake(
        "no warm-up",
        {"if step < n_warmup:": "if False:", PROGRESS: "progress = step / n_steps"},
        "the warm-up is missing.",
    ),
    Mistake(
        "progress from step 0",
        {PROGRESS: "progress = step / n_steps"},
        "the cosine begins at step 0. It begins after the warm-up: subtract n_warmup above and "
        "below.",
    ),
    Mistake(
        "progress too slow",
        {PROGRESS: "progress = (step - n_warmup) / n_steps"},
        "the cosine has n_steps − n_warmup steps for its way, not n_steps. So it does not reach "
        "`final`.",
    ),
    Mistake(
        "last step is final",
        {PROGRESS: "progress = (step - n_warmup) / max(1, n_steps - n_warmup - 1)"},
        "the last step has the rate `final`. Here the rate reaches it one step later, at n_steps.",
    ),
    Mistake(
        "straight line",
        {SHARE: "share = 1 - progress"},
        "this is a straight line down. The cosine is flat at the beginning and at the end.",
    ),
    Mistake(
        "quarter of a cosine",
        {SHARE: "share = math.cos(math.pi * progress / 2)"},
        "this is a quarter of a cosine: steep at its end. Half a cosine goes from cos 0 to cos π.",
    ),
    Mistake(
        "cosine not moved",
        {SHARE: "share = math.cos(math.pi * progress)"},
        "the cosine goes from 1 to −1. Move and shrink it, so that it goes from 1 to 0.",
    ),
    Mistake(
        "whole cosine",
        {SHARE: "share = (1 + math.cos(2 * math.pi * progress)) / 2"},
        "this is a whole cosine, which comes back up. Half of it, from 0 to π, is enough.",
    ),
    Mistake(
        "no π",
        {SHARE: "share = (1 + math.cos(progress)) / 2"},
        "π is missing: the cosine has to go from cos 0 = 1 to cos π = −1.",
    ),
    Mistake(
        "sine",
        {SHARE: "share = (1 + math.sin(math.pi * progress)) / 2"},
        "you used a sine; it begins at 0.",
    ),
    Mistake(
        "final not used",
        {RATE: "return peak * share"},
        "the rate falls to 0, not to `final`.",
    ),
    Mistake(
        "final on top",
        {RATE: "return final + peak * share"},
        "the rate begins at peak + final. The cosine has to cover only peak − final.",
    ),
    Mistake(
        "cut off",
        {RATE: "return max(final, peak * share)"},
        "the rate falls towards 0 and is cut off at `final`. It should approach `final` smoothly.",
    ),
)

NORM = "norm = math.sqrt(sum((g**2).sum() for g in grads.values()))"
LONGER = "if norm > max_norm:"
EACH = "for g in grads.values():\n            g *= max_norm / norm"
CLIP = (
    Mistake(
        "nothing written",
        {EACH: "for name in grads: grads[name] = grads[name] * max_norm / norm"},
        "the arrays did not change. `grads[name] = …` and `g = g * …` make new arrays; the "
        "optimizer holds on to the old ones. Write `g *= …`.",
    ),
    Mistake(
        "each array by itself",
        {
            EACH: "pass",
            LONGER: "for g in grads.values():\n"
            "        g *= min(1, max_norm / (math.sqrt((g**2).sum()) or 1))\n"
            f"    {LONGER}",
        },
        "each array was shortened by its own length. That turns the direction of the gradient. All "
        "arrays together are one vector, with one length and one factor.",
    ),
    Mistake(
        "always scaled",
        {LONGER: "if norm > 0:"},
        "a gradient that is shorter than max_norm was made longer. Leave it alone.",
    ),
    Mistake(
        "always scaled, 0 / 0",
        {NORM: NORM.replace("math", "np"), LONGER: "if True:"},
        "you divide by the length also if it is 0, and a shorter gradient was made longer. Change "
        "only a gradient that is longer than max_norm.",
    ),
    Mistake(
        "always scaled, division by 0",
        {LONGER: "if True:"},
        "you divide by the length also if it is 0, and a shorter gradient was made longer. Change "
        "only a gradient that is longer than max_norm.",
    ),
    Mistake(
        "numbers clipped",
        {EACH: "for g in grads.values(): g[...] = np.clip(g, -max_norm, max_norm)"},
        "you clipped each number by itself. That turns the direction of the gradient. Multiply all "
        "by the same factor.",
    ),
    Mistake(
        "no root",
        {NORM: "norm = sum((g**2).sum() for g in grads.values())"},
        "the root is missing: this is the square of the length.",
    ),
    Mistake(
        "lengths added",
        {NORM: "norm = sum(math.sqrt((g**2).sum()) for g in grads.values())"},
        "you added the lengths of the arrays. Add the squares of all numbers, then take one root.",
    ),
    Mistake(
        "lengths not squared",
        {NORM: "norm = math.sqrt(sum(math.sqrt((g**2).sum()) for g in grads.values()))"},
        "you took the root of a sum of lengths. Add the squares of all numbers, then take one "
        "root.",
    ),
    Mistake(
        "last array only",
        {NORM: "norm = [math.sqrt((g**2).sum()) for g in grads.values()][-1]"},
        "this is the length of the last array. All arrays together are one vector.",
    ),
    Mistake(
        "not to max_norm",
        {EACH: EACH.replace("max_norm / norm", "1 / norm")},
        "the length is now 1, not max_norm.",
    ),
    Mistake(
        "factor upside down",
        {EACH: EACH.replace("max_norm / norm", "norm / max_norm")},
        "the factor is upside down: the gradient became longer.",
    ),
    Mistake(
        "length after",
        {"    return norm": "    return min(norm, max_norm)"},
        "return the length before clipping: it shows you how the training is going.",
    ),
)

AT = "at = starts[:, None] + np.arange(length)"
PAIR = "return ids[at], ids[at + 1]"
WINDOWS = (
    Mistake(
        "not shifted",
        {PAIR: "return ids[at], ids[at]"},
        "the targets are the tokens themselves. A model would learn to copy, with a loss near 0. "
        "The target is the token that comes next.",
    ),
    Mistake(
        "rolled",
        {PAIR: "return ids[at], np.roll(ids[at], -1, axis=1)"},
        "the last target is the first token of its part. It is the token of the text that comes "
        "after the part.",
    ),
    Mistake(
        "shifted by two",
        {PAIR: "return ids[at], ids[(at + 2) % len(ids)]"},
        "the targets are two tokens ahead. The next token is one ahead.",
    ),
    Mistake(
        "backward",
        {PAIR: "return ids[at + 1], ids[at]"},
        "x and targets are swapped: this model would guess what came before.",
    ),
    Mistake(
        "next part",
        {PAIR: "return ids[at], ids[np.minimum(at + length, len(ids) - 1)]"},
        "the targets are the part that comes after. Each place has its own target, one token "
        "further.",
    ),
    Mistake(
        "starts as a list of parts",
        {AT: "at = length * starts[:, None] + np.arange(length)"},
        "you multiplied starts by the length. starts are places in the text already.",
    ),
)

FORWARD = "logits = model.forward(x)"
ROWS = "rows, right = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)"
NOTE = "losses.append(cross_entropy(rows, right))\n        model"
BACK = "model.backward(cross_entropy_backward(rows, right).reshape(logits.shape))"
CLIPPED = "clip(model.grads, max_norm)"
STEP = "optimizer.step(rate)"
VALIDATE = "val_losses.append(loss_of(model, *validation))"
LINE = "\n        "
TRAIN = (
    Mistake(
        "validated before the step",
        {FORWARD: VALIDATE + LINE + FORWARD, STEP + LINE + VALIDATE: STEP},
        "val_losses[i] is from before step i. Measure it after the step.",
    ),
    Mistake(
        "loss after the step",
        {NOTE: "model", STEP: STEP + LINE + "losses.append(loss_of(model, x, targets))"},
        "losses[i] is from after step i. It is the loss that comes with the gradient, before the "
        "step.",
    ),
    Mistake(
        "learns the validation text",
        {STEP: STEP + LINE + "logits = model.forward(validation[0]); model.backward("
               "cross_entropy_backward(logits.reshape(-1, logits.shape[-1]), validation[1]"
               ".reshape(-1)).reshape(logits.shape)); optimizer.step(rate)"},
        "the model learned the validation text, too. Then that loss no longer says how it does on "
        "text it has not seen.",
    ),
    Mistake(
        "learns only the validation text",
        {FORWARD: "x, targets = validation" + LINE + FORWARD},
        "the model learns the validation text in place of the batch.",
    ),
    Mistake(
        "not reshaped",
        {ROWS: "rows, right = logits, targets"},
        "cross_entropy takes rows: logits (N, V) and targets (N,). Yours are (B, T, V) and (B, T): "
        "reshape both, and reshape the gradient back for model.backward.",
    ),
    Mistake(
        "gradient not reshaped",
        {BACK: BACK.replace(".reshape(logits.shape)", "")},
        "the gradient went into model.backward as (B T, V). The model wants the shape of its "
        "logits, (B, T, V).",
    ),
    Mistake(
        "validation in between",
        {NOTE: NOTE.replace("model", VALIDATE + LINE + "model"), STEP + LINE + VALIDATE: STEP},
        "you validate between forward and backward. backward belongs to the latest forward, so it "
        "took the ids of the validation text. Validate after the step.",
    ),
    Mistake(
        "not clipped",
        {CLIPPED: "pass"},
        "the gradient is not clipped. Do it between backward and step.",
    ),
    Mistake(
        "clipped too late",
        {CLIPPED + LINE + STEP: STEP + LINE + CLIPPED},
        "you clip after the step, when the gradient has done its work.",
    ),
    Mistake(
        "one rate",
        {STEP: "optimizer.step(rates[0])"},
        "every step took the first rate. Step i has rates[i].",
    ),
    Mistake(
        "step first",
        {FORWARD: STEP + LINE + FORWARD, CLIPPED + LINE + STEP: CLIPPED},
        "the step comes before the backward pass, so it uses the gradient of the step before.",
    ),
    Mistake(
        "no step",
        {STEP: "pass"},
        "nothing was learned: optimizer.step(rate) is missing.",
    ),
    Mistake(
        "no backward",
        {BACK: "pass"},
        "model.backward was not called, so all gradients are 0.",
    ),
    Mistake(
        "loss of the batch twice",
        {VALIDATE: "val_losses.append(loss_of(model, x, targets))"},
        "val_losses is the loss of the batch after the step. Use the validation text: only text "
        "that is not learned can tell what is learned by heart.",
    ),
)  # fmt: skip

START = "X = g / (np.linalg.norm(g) + 1e-7)"
PRODUCT = "A = X @ X.T"
NEXT = "X = a * X + (b * A + c * A @ A) @ X"
NEWTON = (
    Mistake(
        "not divided",
        {START: "X = g.copy()"},
        "g is not divided by its norm. If a stretch is larger than √5, the cubic of the page makes "
        "it grow without end.",
    ),
    Mistake(
        "no 1e-7",
        {START: "X = g / np.linalg.norm(g)"},
        "the 1e-7 is missing: a gradient of zeros gives 0 / 0.",
    ),
    Mistake(
        "largest stretch",
        {START: "X = g / (np.linalg.norm(g, 2) + 1e-7)"},
        "you divided by the largest singular value (norm 2). It is right in principle, and slow "
        "to compute. Here it is the root of the sum of all squares: np.linalg.norm(g).",
    ),
    Mistake(
        "largest number",
        {START: "X = g / (abs(g).max() + 1e-7)"},
        "you divided by the largest number. A stretch can be larger than that.",
    ),
    Mistake(
        "norm of rows",
        {START: "X = g / (np.linalg.norm(g, axis=1, keepdims=True) + 1e-7)"},
        "you divided each row by its own norm. The whole matrix has one norm.",
    ),
    Mistake(
        "times, number by number",
        {NEXT: "X = a * X + b * X**3 + c * X**5"},
        "X**3 takes the power of each number. (X Xᵀ) X is a product of matrices: only then it is "
        "the stretch that gets the power.",
    ),
    Mistake(
        "no fifth power",
        {NEXT: "X = a * X + b * A @ X"},
        "the last term, c (X Xᵀ)² X, is missing.",
    ),
    Mistake(
        "square number by number",
        {NEXT: "X = a * X + (b * A + c * A**2) @ X"},
        "A**2 takes the square of each number. (X Xᵀ)² is A @ A.",
    ),
    Mistake(
        "other side",
        {PRODUCT: "A = X.T @ X"},
        "you used XᵀX. It has the wrong shape to stand on the left of X, unless X is square.",
    ),
    Mistake(
        "one step less",
        {"for _ in range(n_steps):": "for _ in range(n_steps - 1):"},
        "there is one step less than asked for.",
    ),
    Mistake(
        "signs",
        {"    return X": "    return np.sign(g)"},
        "these are the signs of the numbers. All *stretches* shall be 1, not all numbers.",
    ),
)

SUMS = "self.sums[name] = self.momentum * self.sums[name] + g"
DIRECTION = "direction = g + self.momentum * self.sums[name]"
SIZE = "size = max(1, p.shape[1] / p.shape[0]) ** 0.5"
MUON_STEP = "p -= learning_rate * size * newton_schulz(direction, 5, 3.4445, -4.7750, 2.0315)"
MUON = (
    Mistake(
        "replaced",
        {MUON_STEP: MUON_STEP.replace("p -=", "self.params[name] = p -")},
        REPLACED,
    ),
    Mistake(
        "uphill",
        {MUON_STEP: MUON_STEP.replace("-=", "+=")},
        "you went uphill: subtract the step.",
    ),
    Mistake(
        "no momentum",
        {DIRECTION: "direction = g"},
        "the sum of earlier gradients is not used.",
    ),
    Mistake(
        "does not look ahead",
        {DIRECTION: "direction = self.sums[name]"},
        "you used s itself. The direction is g + μ s, with the new s: the latest gradient counts "
        "more (Nesterov's momentum).",
    ),
    Mistake(
        "old sum",
        {SUMS: "pass", MUON_STEP: f"{MUON_STEP}\n            {SUMS}"},
        "you used s from before this step. Bring it up to date first.",
    ),
    Mistake(
        "no factor",
        {SIZE: "size = 1"},
        "the factor √max(1, columns / rows) is missing.",
    ),
    Mistake(
        "factor upside down",
        {SIZE: "size = max(1, p.shape[0] / p.shape[1]) ** 0.5"},
        "the factor has rows and columns swapped. A matrix here is (d_in, d_out), and the factor "
        "is √(d_out / d_in) if that is more than 1.",
    ),
    Mistake(
        "each gradient straightened",
        {
            SUMS: SUMS.replace("+ g", "+ newton_schulz(g, 5, 3.4445, -4.7750, 2.0315)"),
            MUON_STEP: "p -= learning_rate * size * direction",
        },
        "you straightened each gradient, and then added up. First add up, then straighten the sum "
        "once.",
    ),
)

# ---- 10.8 ---------------------------------------------------------------------------

SEEN = ("best_step", "best_val", "last_train", "last_val")


def judge_overfit(answer, seed):
    """Return None if right, or a sentence."""
    seen, why = answer["seen"], str(answer["why"])
    if not isinstance(seen, dict) or set(seen) != set(SEEN):
        return f"seen must be a dictionary with {', '.join(SEEN)}."
    try:
        step, best, train, val = (float(seen[name]) for name in SEEN)
    except (TypeError, ValueError):
        return "all four must be numbers."
    if not all(0 < number < np.inf for number in (step, best, train, val)):
        return "all four must be more than 0, and finite."
    if val < best:
        return "last_val is lower than best_val. best_val is the lowest of all validation losses."
    if train >= best:
        return (
            "the training loss at the end is not below the best validation loss: this model has "
            "not learned its text by heart yet. Train longer, or on less text."
        )
    if val < best + 0.1:
        return (
            "the validation loss is at most 0.1 above its lowest value at the end. Train longer, "
            "or on less text, until it clearly rises."
        )
    if len(why.split()) < 8:
        return "these numbers show it. Now say why, in two sentences (at least 8 words)."
    return None


EXERCISES = [
    Exercise(
        "10.1", "MySGD", "Straight downhill",
        hints=(
            "Go through all names. Which array do you change, and by how much?",
            "Write into the array of the model: an assignment to a name makes a new one.",
            "for name, p in self.params.items(): p -= learning_rate * self.grads[name]",
        ),
        idea="`p -= …` changes the array itself. miniGPT keeps all parameters in one flat array, "
        "so that the loop is one line there: params -= lr * grads.",
        outputs=("w_first", "b_first", "w_last", "b_last"),
        inputs=("w", "b", "d_w", "d_b", "rates"), cases=some_params, call=steps_of("MySGD"),
        mistakes=SGD, used_in="MySGD",
    ),
    Exercise(
        "10.2", "running_mean", "A running mean",
        hints=(
            "One number (or array) m remembers everything. Begin with 0.",
            "m = β m + (1 − β) value. How large is the sum of all weights after t values?",
            "The sum is 1 − βᵗ, with t = 1 at the first value. Append m / (1 − βᵗ), but keep m.",
        ),
        idea="The corrected mean is a true weighted mean of the values so far: its weights sum to "
        "1. It is not put back into m.",
        inputs=("values", "beta"), outputs=("means", "corrected"), cases=means, mistakes=MEAN,
        tolerance=1e-12,
    ),
    Exercise(
        "10.3", "MyAdamW", "AdamW",
        hints=(
            "First self.t += 1, then a loop over the names, with the seven lines of the page.",
            "For each name: m, v, m̂, v̂, decay if p.ndim >= 2, step. Keep m̂ and v̂ out of "
            "self.m and self.v.",
            "p *= 1 - learning_rate * self.weight_decay comes before p -= learning_rate * m_hat / "
            "(np.sqrt(v_hat) + self.eps).",
        ),
        idea="Seven lines. `p *= …` and `p -= …` write into the arrays of the model. Whether "
        "self.m[name] is a new array or is changed in place makes no difference: only this class "
        "reads it.",
        outputs=("w_first", "b_first", "w_last", "b_last"),
        inputs=("w", "b", "d_w", "d_b", "rates", *OPTIONS), cases=with_options,
        call=steps_of("MyAdamW", OPTIONS), mistakes=ADAMW, used_in="MyAdamW", tolerance=1e-12,
        points=2,
    ),
    Exercise(
        "10.4", "learning_rate_at", "A schedule",
        hints=(
            "Two cases: before the end of the warm-up, and after it.",
            "After it, let progress go from 0 at n_warmup to 1 at n_steps. cos(π · progress) goes "
            "from 1 to −1; you need 1 to 0.",
            "final + (peak − final) · (1 + cos(π · progress)) / 2",
        ),
        idea="A number between `final` and `peak` is final + (peak − final) · share, with a share "
        "from 0 to 1. The cosine, moved and shrunk, is such a share.",
        inputs=("n_steps", "n_warmup", "peak", "final"), outputs=("rise", "fall"), cases=schedules,
        call=all_rates, mistakes=SCHEDULE,
    ),
    Exercise(
        "10.5", "clip", "Clipping",
        hints=(
            "How long is a vector that consists of several arrays?",
            "The root of the sum of all squares, over all arrays. Only a longer one is changed.",
            "for g in grads.values(): g *= max_norm / norm, if norm > max_norm.",
        ),
        idea="One factor for all arrays: the step becomes shorter, and its direction stays.",
        outputs=("norm", "w", "b"), inputs=("w", "b", "max_norm"), cases=gradients, call=clipped,
        mistakes=CLIP,
    ),
    Exercise(
        "10.6", "windows", "Text to learn, text to test",
        hints=(
            "Write the places of the first part: start, start + 1, … Which are the places of its "
            "targets?",
            "One place further. All places at once: a column of starts plus a row 0 … T − 1.",
            "at = starts[:, None] + np.arange(length); then ids[at] and ids[at + 1].",
        ),
        idea="Broadcasting a column and a row makes the table of all places. Each part needs "
        "length + 1 tokens of the text.",
        inputs=("ids", "starts", "length"), outputs=("x", "targets"), cases=texts,
        mistakes=WINDOWS,
    ),
    Exercise(
        "10.7", "train", "The loop",
        hints=(
            "Six lines a step: forward, loss, backward, clip, step, validation.",
            "Reshape logits to (B T, V) and targets to (B T,); reshape the gradient back for "
            "model.backward.",
            "Validation is a forward pass and a loss. It comes after the step: between forward and "
            "backward it would overwrite what backward needs.",
        ),
        idea="This is the whole of training. miniGPT's own loop has the same lines; the rest of "
        "it is about reporting, saving, threads and machines.",
        outputs=("losses", "val_losses", "table"),
        inputs=("x", "targets", "val_x", "val_targets", "rates", "max_norm", "table"),
        cases=trainings, call=trained, mistakes=TRAIN, includes=("10.5",), points=2,
    ),
    Exercise(
        "10.8", "overfit", "By heart",
        hints=(
            "Run the program of the page. It prints the numbers; a minute or two is normal.",
            "If the validation loss does not rise, use less text or more steps.",
            'seen = {"best_step": 276, "best_val": 2.09, "last_train": 0.78, "last_val": 2.47}, '
            "for example: yours will differ.",
        ),
        idea="The numbers are those of one run, and every run has others. What counts is their "
        "order: training loss below best validation loss below last validation loss.",
        outputs=("seen", "why"), judge=judge_overfit,
    ),
    Exercise(
        "10.9", "newton_schulz", "A bonus: Muon",
        hints=(
            "Divide g by its norm once. Then a loop with products of matrices.",
            "A = X Xᵀ is needed twice. What is (X Xᵀ)²?",
            "X = a * X + (b * A + c * A @ A) @ X",
        ),
        idea="b A + c A A is added up first, then multiplied by X once: three products a step in "
        "place of four.",
        inputs=("g", "n_steps", "a", "b", "c"), outputs=("X",), cases=matrices, mistakes=NEWTON,
        points=0,
    ),
    Exercise(
        "10.10", "MyMuon", "A bonus: Muon",
        hints=(
            "Four lines for each name: the sum, the direction, the factor, the step.",
            "The direction is g + μ s with the new s; it goes through newton_schulz once.",
            "The factor is max(1, columns / rows) ** 0.5.",
        ),
        idea="One array is remembered for each matrix, where AdamW remembers two.",
        outputs=("w",), inputs=("w", "d_w", "rates", "momentum"), cases=muon_steps, call=muon,
        mistakes=MUON, includes=("10.9",), points=0,
    ),
]  # fmt: skip
