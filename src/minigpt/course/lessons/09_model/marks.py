"""How lesson 9 is marked: cases, slopes and known mistakes."""

import math

import numpy as np

from minigpt.course.exercise import Exercise, Mistake, central_differences

N_LAYERS = 2


def shapes(V, max_len, C, n_layers=N_LAYERS):
    """Return the shape of each parameter, by name."""
    found = {"embedding.weight": (V, C), "positions.weight": (max_len, C)}
    for n in range(n_layers):
        layers = {
            "norm_1": {"scale": (C,), "shift": (C,)},
            "attention": {f"w_{n}": (C, C) for n in "qkvo"} | {f"b_{n}": (C,) for n in "qkvo"},
            "norm_2": {"scale": (C,), "shift": (C,)},
            "feed_forward": {
                "w_up": (C, 4 * C), "b_up": (4 * C,), "w_down": (4 * C, C), "b_down": (C,)
            },
        }  # fmt: skip
        for layer, params in layers.items():
            found |= {f"blocks.{n}.{layer}.{name}": shape for name, shape in params.items()}
    return found | {"norm.scale": (C,), "norm.shift": (C,)}


NAMES = tuple(shapes(1, 1, 1))
GRADS = tuple(f"d_{name}" for name in NAMES)


def drawn(rng, V, max_len, C):
    """Return parameters that hide nothing: no zeros, no ones."""
    return {
        name: rng.normal(size=shape) / C**0.5 + (name.endswith("scale"))
        for name, shape in shapes(V, max_len, C).items()
    }


# ---- cases -----------------------------------------------------------------------


def sizes(seed):
    rng = np.random.default_rng(seed)
    names = ("V", "max_len", "C", "n_layers")

    def case(*values):
        return dict(zip(names, values, strict=True))

    yield "the example of the page", case(5, 4, 2, 1)
    yield "two blocks", case(5, 4, 2, 2)
    yield "no block", case(10, 7, 3, 0)
    yield "a small model", case(65, 64, 128, 4)
    yield "GPT-2", case(50257, 1024, 768, 12)
    yield "random sizes", case(*(int(n) for n in rng.integers(3, 60, 4)))


def tied(seed):
    rng = np.random.default_rng(seed)

    def case(ids, V, C):
        ids = np.array(ids)
        return {
            "ids": ids,
            "dlogits": rng.normal(size=(*ids.shape, V)),
            "weight": rng.normal(size=(V, C)),
        }

    page = {
        "ids": np.array([[0]]),
        "dlogits": np.array([[[1.0, -1, 0]]]),
        "weight": np.array([[1.0, 0], [0, 2], [1, 1]]),
    }
    yield "the example of the page", page
    yield "one text", case([[0, 1, 2]], 3, 2)
    yield "a repeated id", case([[1, 1, 0]], 3, 2)
    yield "two texts", case([[0, 3, 3], [3, 1, 0]], 4, 2)
    yield "V = C", case([[0, 1], [2, 2]], 3, 3)
    yield "three texts", case(rng.integers(0, 7, (3, 5)), 7, 4)


def slopes_tied(module, i):
    def loss(weight):
        return (i["dlogits"] * (weight[i["ids"]] @ weight.T)).sum()

    return {"d_weight": central_differences(loss, i["weight"])}


def models(seed):
    rng = np.random.default_rng(seed)

    def case(B, T, V, max_len, C, H):
        ids, other = rng.integers(0, V, (2, B, T))
        dlogits = rng.normal(size=(B, T, V))
        more = {"ids": ids, "other_ids": other, "dlogits": dlogits, "n_heads": H}
        return more | drawn(rng, V, max_len, C)

    yield "one token, V = 4, C = 3", case(1, 1, 4, 2, 3, 1)
    yield "one text of three tokens, two heads", case(1, 3, 3, 3, 4, 2)
    yield "two texts", case(2, 4, 5, 6, 4, 2)
    yield "V = C", case(2, 3, 6, 4, 6, 3)
    yield "three texts", case(3, 5, 9, 8, 4, 1)


def made(module, i, name="MyGPT"):
    """Return a model with its own copies of the parameters."""
    return getattr(module, name)({each: i[each].copy() for each in NAMES}, i["n_heads"])


def forward(module, i):
    return {"logits": made(module, i, "GPTForward").forward(i["ids"])}


def there_and_back(module, i):
    """Go forward and back twice: the second time must not remember the first."""
    model = made(module, i)
    held = dict(model.grads)
    model.forward(i["other_ids"])
    model.backward(0.5 * i["dlogits"])
    logits = model.forward(i["ids"])
    model.backward(i["dlogits"])
    return {"logits": logits} | {f"d_{name}": held[name] for name in NAMES}


def slopes_model(module, i):
    def loss(name, value):
        return (i["dlogits"] * made(module, {**i, name: value}).forward(i["ids"])).sum()

    return {
        f"d_{name}": central_differences(lambda p, name=name: loss(name, p), i[name])
        for name in NAMES
    }


class Small:
    """A model of two arrays: logits = table[ids] + bias. Some of its gradients may be wrong."""

    def __init__(self, table, bias, wrong="", how=""):
        self.params = {"table": table.copy(), "bias": bias.copy()}
        self.grads = {name: np.zeros_like(p) for name, p in self.params.items()}
        self.wrong, self.how = wrong, how

    def forward(self, ids):
        self.ids = ids
        return self.params["table"][ids] + self.params["bias"]

    def backward(self, dlogits):
        self.grads["table"][...] = 0
        np.add.at(self.grads["table"], self.ids, dlogits)
        self.grads["bias"][...] = dlogits.reshape(-1, dlogits.shape[-1]).sum(axis=0)
        plant(self.grads, self.wrong, self.how)


class Planted:
    """The learner's own model, with a wrong gradient in it."""

    def __init__(self, model, wrong, how):
        self.model, self.params, self.grads = model, model.params, model.grads
        self.wrong, self.how = wrong, how

    def forward(self, ids):
        return self.model.forward(ids)

    def backward(self, dlogits):
        self.model.backward(dlogits)
        plant(self.grads, self.wrong, self.how)


def plant(grads, wrong, how):
    """Make the gradients of some parameters wrong; `wrong` names them, with blanks between."""
    for g in (grads[name] for name in wrong.split()):
        if how == "too small":
            g *= 0.5
        elif how == "too large":
            g *= 2
        elif how == "0":
            g[...] = 0
        elif how == "other order":
            g[...] = g[..., ::-1].copy()
        elif how == "one number":
            g.reshape(-1)[-1] += 0.01


def of_a_table(seed):
    """Yield batches for a model of two arrays."""
    rng = np.random.default_rng(seed)

    def case(B, T, V, draw=True, **more):
        ids = rng.integers(0, V, (B, T + 1))
        return {
            "ids": ids[:, :-1],
            "targets": ids[:, 1:],
            "table": rng.normal(size=(V, V)) * draw,
            "bias": rng.normal(size=V) * draw,
        } | more

    page = {"ids": np.array([[0, 1]]), "targets": np.array([[1, 1]])}
    yield "the example of the page", case(1, 2, 2, False) | page
    yield "one token", case(1, 1, 3)
    yield "two texts", case(2, 3, 4)
    yield "three texts", case(3, 5, 6)


def learned(module, i):
    model = Small(i["table"], i["bias"])
    loss = module.learn(model, i["ids"], i["targets"])
    return {"loss": loss, "d_table": model.grads["table"], "d_bias": model.grads["bias"]}


def slopes_learn(module, i):
    def loss(name, value):
        arrays = {"table": i["table"], "bias": i["bias"], name: value}
        logits = Small(**arrays).forward(i["ids"])
        return module.cross_entropy(logits.reshape(-1, len(i["bias"])), i["targets"].reshape(-1))

    return {
        f"d_{name}": central_differences(lambda p, name=name: loss(name, p), i[name])
        for name in ("table", "bias")
    }


def fits(seed):
    rng = np.random.default_rng(seed)
    for (name, i), n_steps, rate in zip(
        of_a_table(seed), (2, 1, 5, 20), (1.0, 0.5, 1.0, 2.0), strict=True
    ):
        yield name, {**i, "n_steps": n_steps, "learning_rate": rate}
    ids = rng.integers(0, 5, (2, 5))
    ids[:, 0] = 0, 1  # after the same beginning nobody can know which text it is
    whole = {"ids": ids[:, :-1], "targets": ids[:, 1:], "n_steps": 100, "learning_rate": 0.2}
    yield "your MyGPT, one batch by heart", whole | {"n_heads": 2} | drawn(rng, 5, 4, 12)


def fitted(module, i):
    model = Small(i["table"], i["bias"]) if "table" in i else made(module, i)
    losses = module.fit(model, i["ids"], i["targets"], i["learning_rate"], i["n_steps"])
    return {"losses": losses, "first_params": next(iter(model.params.values()))}


def suspects(seed):
    tables = [i for _, i in of_a_table(seed)][2:]
    rng = np.random.default_rng(seed)
    for n, (wrong, how) in enumerate(
        [
            ("", ""),
            ("table", "too small"),
            ("bias", "too large"),
            ("table bias", "0"),
            ("table", "other order"),
            ("bias", "one number"),
            ("table", "one number"),
        ]
    ):
        name = f"the gradient of {wrong or 'nothing'} is wrong: {how}".removesuffix(": ")
        yield name, {**tables[n % 2], "wrong": wrong, "how": how}
    ids = rng.integers(0, 3, (1, 3))
    whole = {"ids": ids[:, :-1], "targets": ids[:, 1:], "n_heads": 1} | drawn(rng, 3, 2, 2)
    planted = "blocks.1.attention.w_v norm.shift"
    yield "your MyGPT, two gradients planted", whole | {"wrong": planted, "how": "too small"}


def suspected(module, i):
    if "table" in i:
        model = Small(i["table"], i["bias"], i["wrong"], i["how"])
    else:
        model = Planted(made(module, i), i["wrong"], i["how"])
    before = {name: p.copy() for name, p in model.params.items()}
    names = module.wrong_gradients(model, i["ids"], i["targets"])
    moved = max(float(abs(p - before[name]).max()) for name, p in model.params.items())
    return {"names": names, "moved": moved}


# ---- known mistakes ------------------------------------------------------------------

TABLES = "tables = V * C + max_len * C"
TOTAL = "return tables, block, tables + n_layers * block + norm"
BLOCK = "block = norm + attention + norm + feed_forward"
HEADS = "attention = 4 * (C * C + C)"
THINK = "feed_forward = C * 4 * C + 4 * C + 4 * C * C + C"
COUNT = (
    Mistake(
        "head counted",
        {TABLES: "tables = V * C + max_len * C + V * C"},
        "you counted the head. It is tied: it uses the table of the embedding.",
    ),
    Mistake("no positions", {TABLES: "tables = V * C"},
            "the table of positions, (max_len, C), is missing."),
    Mistake("no last norm", {TOTAL: TOTAL.replace(" + norm", "")},
            "the last norm is missing: one after all blocks, with a scale and a shift."),
    Mistake("one block", {TOTAL: TOTAL.replace("n_layers * ", "")},
            "you counted one block. There are n_layers."),
    Mistake("one norm in a block", {BLOCK: "block = norm + attention + feed_forward"},
            "a block has two norms."),
    Mistake("norm without shift", {"norm = 2 * C": "norm = C"},
            "a norm has a scale and a shift, C numbers each."),
    Mistake("no biases in attention", {HEADS: "attention = 4 * C * C"},
            "the four biases of attention, C numbers each, are missing."),
    Mistake("three matrices", {HEADS: "attention = 3 * (C * C + C)"},
            "attention has four matrices: for queries, keys, values, and w_o at the end."),
    Mistake("no biases in feed-forward", {THINK: "feed_forward = 8 * C * C"},
            "the biases of feed-forward are missing: 4 C numbers after w_up, C after w_down."),
    Mistake("bias of C after w_up", {THINK: "feed_forward = 8 * C * C + 2 * C"},
            "b_up has as many numbers as w_up has columns: 4 C."),
    Mistake("not four times as wide", {THINK: "feed_forward = 2 * (C * C + C)"},
            "feed-forward is four times as wide inside: w_up is (C, 4 C)."),
)  # fmt: skip

FROM_HEAD = "from_head = d_rows.T @ rows"
FROM_EMBEDDING = "from_embedding = look_up_backward(dlogits @ weight, ids, len(weight))"
BOTH = "return from_head + from_embedding"
TIED = (
    Mistake(
        "head only",
        {BOTH: "return from_head"},
        "this is the gradient of the head only. W was used twice: W[ids] is the other use, and its "
        "gradient is added.",
    ),
    Mistake(
        "embedding only",
        {BOTH: "return from_embedding"},
        "this is the gradient of the embedding only. The tied head is the other use of W, and its "
        "gradient is added.",
    ),
    Mistake(
        "mean of both",
        {BOTH: "return (from_head + from_embedding) / 2"},
        "you took the mean of the two gradients. If W moves, both uses move: they add up.",
    ),
    Mistake(
        "head twice",
        {BOTH: "return 2 * from_head"},
        "you counted the head twice. The two uses of W have different gradients.",
    ),
    Mistake(
        "repeats lost",
        {FROM_EMBEDDING: "from_embedding = 0 * weight; from_embedding[ids] += dlogits @ weight"},
        "d[ids] += … keeps one of several gradients for the same row. Use look_up_backward of "
        "lesson 3.",
    ),
    Mistake(
        "first text only",
        {FROM_HEAD: "from_head = dlogits[0].T @ weight[ids][0]"},
        "the head's gradient is that of the first text. All texts add up: make rows of them first.",
    ),
    Mistake(
        "mean over tokens",
        {FROM_HEAD: f"{FROM_HEAD} / len(rows)"},
        "the head's gradient is a mean over tokens. The mean is in the loss already, so they add "
        "up.",
    ),
    Mistake(
        "dlogits looked up",
        {FROM_EMBEDDING: "from_embedding = look_up_backward(weight[ids], ids, len(weight))"},
        "x went back into the embedding. What goes back is dx = dlogits W.",
    ),
    Mistake("minus", {BOTH: "return from_head - from_embedding"},
            "the two gradients are added, not subtracted."),
)  # fmt: skip

EMBED = "x = self.positions.forward(self.embedding.forward(ids))"
ONE_BLOCK = "            x = block.forward(x)"
IN_ORDER = "for block in self.blocks:"
LAST_NORM = "self.hidden = self.norm.forward(x)"
HEAD = 'return self.hidden @ self.params["embedding.weight"].T'
FORWARD = (
    Mistake(
        "no positions",
        {EMBED: "x = self.embedding.forward(ids)"},
        "the positions are missing: self.positions.forward comes after the embedding.",
    ),
    Mistake(
        "positions added twice",
        {EMBED: "x = self.embedding.forward(ids); x = x + self.positions.forward(x)"},
        "you added the result of MyPositions to x. It is x plus the positions already.",
    ),
    Mistake(
        "blocks not chained",
        {
            EMBED: EMBED.replace("x =", "start = x ="),
            ONE_BLOCK: ONE_BLOCK.replace("(x)", "(start)"),
        },
        "every block got the same x. Each takes what the one before returned.",
    ),
    Mistake(
        "result of the blocks not used",
        {ONE_BLOCK: ONE_BLOCK.replace("x = ", "")},
        "what the blocks return is not used: x = block.forward(x).",
    ),
    Mistake(
        "residual again",
        {ONE_BLOCK: ONE_BLOCK.replace("= block", "= x + block")},
        "you added x to the result of a block. The block has done so inside.",
    ),
    Mistake(
        "blocks from the end",
        {IN_ORDER: "for block in self.blocks[::-1]:"},
        "the blocks are in reverse order. Forward begins with block 0.",
    ),
    Mistake(
        "first block only",
        {IN_ORDER: "for block in self.blocks[:1]:"},
        "only the first block is used.",
    ),
    Mistake(
        "no last norm",
        {LAST_NORM: "self.hidden = x"},
        "the norm after all blocks is missing.",
    ),
    Mistake(
        "norm after each block",
        {ONE_BLOCK: ONE_BLOCK.replace("block.forward(x)", "self.norm.forward(block.forward(x))"),
         LAST_NORM: "self.hidden = x"},
        "the last norm comes after every block here. It comes once, at the end.",
    ),
    Mistake(
        "probabilities",
        {HEAD: "x = self.hidden @ self.params['embedding.weight'].T\n        e = np.exp(x - x.max("
               "axis=-1, keepdims=True))\n        return e / e.sum(axis=-1, keepdims=True)"},
        "these are probabilities. Return the scores: softmax is part of the loss.",
    ),
    Mistake(
        "last place only",
        {HEAD: HEAD.replace("self.hidden", "self.hidden[:, -1]")},
        "these are the scores of the last place only. In training every place guesses its next "
        "token.",
    ),
    Mistake(
        "not transposed",
        {HEAD: HEAD.removesuffix(".T")},
        "the head is the transposed table, Wᵀ: (T, C) (C, V) → (T, V).",
    ),
)  # fmt: skip

HEAD_BACK = "from_head = d_rows.T @ hidden"
NORM_BACK = "d = self.norm.backward(dlogits @ weight)"
BLOCKS_BACK = "for block in reversed(self.blocks):"
BLOCK_BACK = "            d = block.backward(d)"
PLACES_BACK = "d = self.positions.backward(d)"
TABLE_BACK = "self.embedding.backward(d)"
ADD = 'self.grads["embedding.weight"] += from_head'
BACKWARD = (
    Mistake(
        "tied head added once",
        {ADD: "pass"},
        "the gradient of embedding.weight is that of the lookup only. The tied head uses the same "
        "table, and its gradient is added. If you wrote it before embedding.backward, that has "
        "overwritten it.",
    ),
    Mistake(
        "head overwrites",
        {ADD: ADD.replace('"] +=', '"][...] =')},
        "the gradient of embedding.weight is that of the head only: it has overwritten that of the "
        "lookup. Add it.",
    ),
    Mistake(
        "no gradient from the lookup",
        {TABLE_BACK: "pass"},
        "embedding.backward was not called: the lookup's gradient is missing, and the head's adds "
        "up from call to call.",
    ),
    Mistake(
        "mean of both",
        {ADD: f'{ADD}; self.grads["embedding.weight"] /= 2'},
        "you took the mean of the two gradients of embedding.weight. They add up.",
    ),
    Mistake(
        "replaced",
        {ADD: 'self.grads["embedding.weight"] = self.grads["embedding.weight"] + from_head'},
        "the sum was put into a new array. The optimizer holds on to the old one: write "
        "`grads[name] += …` or `grads[name][...] = …`.",
    ),
    Mistake(
        "adds up",
        {TABLE_BACK: 'old = self.grads["embedding.weight"].copy(); self.embedding.backward(d); '
                     'self.grads["embedding.weight"] += old'},
        "the gradients of two calls add up in embedding.weight: the marker calls your model twice. "
        "What was in the array before must go.",
    ),
    Mistake(
        "head transposed on the way down",
        {NORM_BACK: "d = self.norm.backward(dlogits @ weight.T)"},
        "what goes down from the head is dlogits W. Forward is h Wᵀ, so backward has W: (T, V) "
        "(V, C) → (T, C).",
    ),
    Mistake(
        "head with x",
        {HEAD_BACK: "x = self.embedding.forward(self.embedding.ids).reshape(hidden.shape); "
                    "from_head = d_rows.T @ x"},
        "the head's gradient was made with the vectors of the embedding. Its input is what the "
        "last norm returned.",
    ),
    Mistake(
        "first text only",
        {HEAD_BACK: "from_head = dlogits[0].T @ self.hidden[0]"},
        "the head's gradient is that of the first text. All texts add up.",
    ),
    Mistake(
        "head transposed",
        {HEAD_BACK: "from_head = hidden.T @ d_rows"},
        "the head's gradient is transposed. It has the shape of the table, (V, C).",
    ),
    Mistake(
        "no last norm",
        {NORM_BACK: "d = dlogits @ weight"},
        "the last norm is missing: the gradient goes through self.norm.backward before it comes to "
        "the blocks.",
    ),
    Mistake(
        "blocks in order",
        {BLOCKS_BACK: "for block in self.blocks:"},
        "the blocks go back in the order of forward. Backward begins with the last block.",
    ),
    Mistake(
        "blocks not chained",
        {NORM_BACK: NORM_BACK.replace("d =", "start = d ="),
         BLOCK_BACK: BLOCK_BACK.replace("(d)", "(start)")},
        "every block got the same gradient. Each takes what the one after it returned.",
    ),
    Mistake(
        "result of the blocks not used",
        {BLOCK_BACK: BLOCK_BACK.replace("d = ", "")},
        "what block.backward returns is not used: d = block.backward(d).",
    ),
    Mistake(
        "no positions",
        {PLACES_BACK: "pass"},
        "self.positions.backward was not called.",
    ),
)  # fmt: skip

ROWS = "rows, right = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)"
D_ROWS = "d_rows = cross_entropy_backward(rows, right)"
BACK = "model.backward(d_rows.reshape(logits.shape))"
LOSS = "    return cross_entropy(rows, right)"
LEARN = (
    Mistake(
        "not reshaped",
        {ROWS: "rows, right = logits, targets"},
        "cross_entropy takes rows: logits (N, V) and targets (N,). Yours are (B, T, V) and (B, T).",
    ),
    Mistake(
        "gradient not reshaped",
        {BACK: "model.backward(d_rows)"},
        "the gradient went into model.backward as (B T, V). The model wants the shape of its "
        "logits, (B, T, V).",
    ),
    Mistake("no backward", {BACK: "pass"}, "model.backward was not called: no gradients."),
    Mistake(
        "ids as targets",
        {ROWS: ROWS.replace("targets", "ids")},
        "you compared with ids. The right answers are in targets: the tokens that come next.",
    ),
    Mistake(
        "mean taken twice",
        {D_ROWS: f"{D_ROWS} / len(rows)"},
        "you divided by the number of places once more. cross_entropy_backward has done so.",
    ),
    Mistake(
        "sum for mean",
        {LOSS: f"{LOSS} * len(rows)"},
        "this is the sum over all places. cross_entropy returns the mean.",
    ),
    Mistake(
        "mean over texts only",
        {D_ROWS: f"{D_ROWS} * targets.shape[1]"},
        "the gradient is T times too large: the loss is a mean over all B T places.",
    ),
    Mistake(
        "through softmax again",
        {D_ROWS: f"{D_ROWS}; e = np.exp(rows); y = e / e.sum(-1, keepdims=True); "
                 "d_rows = y * (d_rows - (d_rows * y).sum(-1, keepdims=True))"},
        "you went through softmax's backward, too. cross_entropy_backward is with respect to the "
        "logits already.",
    ),
)  # fmt: skip

DOWN = "p -= learning_rate * model.grads[name]"
NOTE = "losses.append(learn(model, ids, targets))"
FIT = (
    Mistake("uphill", {DOWN: DOWN.replace("-=", "+=")},
            "you went uphill: subtract learning_rate · gradient."),
    Mistake(
        "replaced",
        {DOWN: "model.params[name] = p - learning_rate * model.grads[name]"},
        "`model.params[name] = …` puts a new array into the dictionary, but your layers hold on to "
        "the old one. Write `p -= …`.",
    ),
    Mistake(
        "loss after the step",
        {NOTE: "learn(model, ids, targets)",
         DOWN: f"{DOWN}\n        logits = model.forward(ids)\n        losses.append(cross_entropy("
               "logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)))"},
        "losses[i] is from after step i. Note the loss before each step.",
    ),
    Mistake(
        "first array only",
        {DOWN: f"{DOWN}\n            break"},
        "only the first array learns. Every parameter takes a step.",
    ),
    Mistake(
        "no step",
        {DOWN: "pass"},
        "no parameter changes: the step is missing, or it is not written into the array. "
        "`p = p - …` makes a new array and leaves the old one as it is; `p -= …` writes into it.",
    ),
    Mistake(
        "gradient of the first step",
        {NOTE: f"{NOTE}\n        grads = locals().get('grads') or "
               "{k: g.copy() for k, g in model.grads.items()}",
         DOWN: DOWN.replace("model.grads", "grads")},
        "every step uses the gradient of the first one. Call learn again before each step.",
    ),
)  # fmt: skip

DERIVED = "learn(model, ids, targets)\n    derived ="
ABOVE = "slope[at] = (above - loss()) / (2 * h)"
RESTORE = "            p[at] = old\n        if"
FAR = "if abs(slope - derived[name]).max() > 1e-6:"
WRONG = (
    Mistake(
        "not put back",
        {RESTORE: "        if"},
        "the parameters have moved: put every number back after you have measured it.",
    ),
    Mistake(
        "over h",
        {ABOVE: "slope[at] = (above - loss()) / h"},
        "you divided by h. The two points are 2 h apart, so every slope is twice too large.",
    ),
    Mistake(
        "no absolute value",
        {FAR: "if (slope - derived[name]).max() > 1e-6:"},
        "you asked only whether the slope is larger than the gradient. It can be smaller, too: "
        "take the absolute value.",
    ),
    Mistake(
        "first number only",
        {"slope = np.empty(p.shape)": "slope = derived[name].copy()",
         "for at in np.ndindex(p.shape):": "for at in [(0,) * p.ndim]:"},
        "only the first number of each array was measured. A gradient can be wrong in one place.",
    ),
    Mistake(
        "whole rows moved",
        {"for at in np.ndindex(p.shape):": "for at in np.ndindex(p.shape[:1]):",
         "old = p[at]\n": "old = p[at].copy()\n"},
        "of a matrix, you moved a whole row p[i] at once. Its slope is the sum of the slopes of "
        "all numbers in the row. Move one number at a time: `for at in np.ndindex(p.shape)` and "
        "p[at].",
    ),
    Mistake(
        "once for each number",
        {FAR: "for _ in np.argwhere(abs(slope - derived[name]) > 1e-6):"},
        "a name is in the list once for each wrong number. Name each parameter once.",
    ),
    Mistake(
        "sums compared",
        {FAR: "if abs(slope.sum() - derived[name].sum()) > 1e-6:"},
        "you compared the sums of all numbers. Right numbers in the wrong order have the same sum.",
    ),
    Mistake(
        "right ones",
        {FAR: FAR.replace(">", "<=")},
        "these are the names of the gradients that are right.",
    ),
    Mistake(
        "no gradients yet",
        {DERIVED: "derived ="},
        "the gradients are old: call learn(model, ids, targets) once, before you measure.",
    ),
    Mistake(
        "h too small",
        {"h = 1e-5": "h = 1e-13"},
        "you moved the numbers too little: both losses agree in almost all digits, and what "
        "remains is rounding. 1e-5 is right.",
    ),
    Mistake(
        "h too large",
        {"h = 1e-5": "h = 0.1"},
        "you moved the numbers too far: the loss is not straight over so long a way. 1e-5 is "
        "right.",
    ),
)  # fmt: skip

# ---- 9.2 ---------------------------------------------------------------------------

FRESH = {"V": 65, "max_len": 32, "C": 32, "n_layers": N_LAYERS}


def fresh(module, i):
    return {"params": module.fresh_params(**FRESH, rng=np.random.default_rng(0))}


def judge_fresh(answer, seed):
    """Return None if right, or a sentence."""
    params = answer["params"]
    if not isinstance(params, dict):
        return "return a dictionary, name -> array."
    expected = shapes(**FRESH)
    if missing := [name for name in expected if name not in params]:
        return f"{len(missing)} names are missing; the first is {missing[0]!r}."
    if extra := [str(name) for name in params if name not in expected]:
        return f"{extra[0]!r} is not in the table of the page. n_layers is {N_LAYERS} here."
    for name, shape in expected.items():
        p = params[name]
        if not isinstance(p, np.ndarray) or p.dtype != np.float64:
            return f"{name} must be a float64 array."
        if p.shape != shape:
            return f"{name} has the shape {p.shape}, expected {shape}, for C = 32 and V = 65."
        if sentence := _judge_values(name, p):
            return sentence
    if np.array_equal(params["blocks.0.attention.w_q"], params["blocks.0.attention.w_k"]):
        return "w_q and w_k are the same numbers. Draw each array anew."
    if np.array_equal(params["blocks.0.attention.w_q"], params["blocks.1.attention.w_q"]):
        return "both blocks have the same numbers. Draw each array anew."
    return None


def _judge_values(name, p):
    if p.ndim == 1:
        right = float(name.endswith("scale"))
        if (p != right).any():
            return f"{name} must be all {right:g}: it has {p[p != right][0]:.4g} in it."
        return None
    std = float(p.std())
    is_last = name.endswith(("w_o", "w_down"))
    right = 0.02 / math.sqrt(2 * N_LAYERS) if is_last else 0.02
    if abs(float(p.mean())) > 0.25 * std:
        return f"{name} has the mean {p.mean():.3g}, expected about 0."
    if 0.85 < std / right < 1.15:
        return None
    text = f"{name} has the standard deviation {std:.3g}, expected {right:.3g}."
    if is_last and 0.85 < std / 0.02 < 1.15:
        text += (
            " It adds to the residual stream, as 2 · n_layers matrices do, so it is divided by "
            "√(2 · n_layers)."
        )
    elif is_last and 0.85 < std / (0.02 / (2 * N_LAYERS)) < 1.15:
        text += (
            f" There are {N_LAYERS} blocks here: divide by √(2 · n_layers) = 2, not by "
            "2 · n_layers = 4."
        )
    elif is_last and 0.85 < std / (0.02 / math.sqrt(N_LAYERS)) < 1.15:
        text += (
            " Each block adds to the residual stream twice: divide by √(2 · n_layers), not by "
            "√n_layers."
        )
    elif 0.85 < std < 1.15:
        text += " The loss would not begin near ln V."
    return text


EXERCISES = [
    Exercise(
        "9.1", "count_params", "Every shape on one page",
        hints=(
            "Go down the table: each row is a product. What comes once, and what n_layers times?",
            "A block: two norms (2 C each), attention (4 matrices, 4 biases), feed-forward.",
            "attention 4 (C² + C), feed-forward 8 C² + 5 C, norms 4 C; outside, (V + max_len + 2) "
            "C.",
        ),
        idea="For a large C nearly everything is in 12 C² for each block: 4 C² in attention, 8 C² "
        "in feed-forward.",
        inputs=("V", "max_len", "C", "n_layers"), outputs=("tables", "block", "total"),
        cases=sizes, mistakes=COUNT,
    ),
    Exercise(
        "9.2", "fresh_params", "A good start",
        hints=(
            "Begin with the two tables. Then a loop over the blocks that adds sixteen names.",
            "Names are f\"blocks.{n}.attention.w_{name}\" and so on. Matrices are 0.02 times "
            "rng.normal, biases and shifts zeros, scales ones.",
            "Divide w_o and w_down by (2 * n_layers) ** 0.5.",
        ),
        idea="Which numbers are drawn first makes no difference to the model, so any order is "
        "right. Two short functions, for a matrix and for a norm, save lines.",
        outputs=("params",), call=fresh, judge=judge_fresh,
    ),
    Exercise(
        "9.3", "tied_backward", "One table, two gradients",
        hints=(
            "Name the two uses apart: x = W₁[ids], logits = x W₂ᵀ. What are dW₁ and dW₂?",
            "dW₂ = dlogitsᵀ x, over all places; dx = dlogits W₂ goes back into the lookup.",
            "dlogits (B T, V) transposed times x (B T, C), plus look_up_backward(dlogits @ weight, "
            "ids, V).",
        ),
        idea="A number that is used twice gets the sum of two gradients: the chain rule as a sum "
        "over ways. np.einsum('btv,btc->vc', dlogits, x) is the head's part in one line.",
        inputs=("dlogits", "ids", "weight"), outputs=("d_weight",), cases=tied,
        slopes=slopes_tied, mistakes=TIED,
    ),
    Exercise(
        "9.4", "GPTForward", "Forward",
        hints=(
            "Five lines: each layer takes what the one before returned.",
            "embedding, positions, a loop over self.blocks, norm.",
            'The head is `self.hidden @ self.params["embedding.weight"].T`. Keep self.hidden.',
        ),
        idea="All the work is in the layers. The model only says in which order they come.",
        outputs=("logits",), inputs=("ids", "n_heads"), cases=models, call=forward,
        mistakes=FORWARD, points=2,
    ),
    Exercise(
        "9.5", "MyGPT", "Backward",
        hints=(
            "Read `forward` from its last line to its first.",
            "The head gives two things: dlogits W goes on into the norm; dlogitsᵀ hidden waits.",
            "embedding.backward writes its gradient. Add the head's to it afterwards, in place: "
            'self.grads["embedding.weight"] += from_head.',
        ),
        idea="The lookup comes last, and its backward writes. So the head's gradient waits in a "
        "local name and is added at the end. miniGPT does it the other way round: the head writes, "
        "and the embedding adds.",
        outputs=("logits", *GRADS), inputs=("ids", "dlogits", "n_heads"), forward=("logits",),
        cases=models, call=there_and_back, slopes=slopes_model, n_small=2, mistakes=BACKWARD,
        includes=("9.4",), points=2,
    ),
    Exercise(
        "9.6", "learn", "One batch, by heart",
        hints=(
            "Forward, loss, backward. What shapes does lesson 1 want?",
            "rows = logits.reshape(-1, V), and targets.reshape(-1).",
            "The gradient of the rows, reshaped to logits.shape, goes into model.backward.",
        ),
        idea="Each place of each text is a guess of its own, so B T rows go into the loss of "
        "lesson 1, which knows nothing of texts.",
        outputs=("loss", "d_table", "d_bias"), inputs=("ids", "targets", "table", "bias"),
        forward=("loss",), cases=of_a_table, call=learned, slopes=slopes_learn, mistakes=LEARN,
    ),
    Exercise(
        "9.7", "fit", "One batch, by heart",
        hints=(
            "A loop of n_steps: learn, note the loss, a step for every parameter.",
            "Gradients are in model.grads under the names of model.params.",
            "for name, p in model.params.items(): p -= learning_rate * model.grads[name]",
        ),
        idea="`p -= …` writes into the arrays that your layers hold. The dictionary and the layers "
        "share them.",
        outputs=("losses", "first_params"), inputs=("ids", "targets", "learning_rate", "n_steps"),
        cases=fits, call=fitted, mistakes=FIT, includes=("9.6", "9.5", "9.4"), tolerance=1e-6,
    ),
    Exercise(
        "9.8", "wrong_gradients", "The whole model, checked",
        hints=(
            "Copy all gradients after one `learn`. Then two loops: over names, and over the "
            "numbers of an array.",
            "np.ndindex(p.shape) gives all places. p[at] = old + 1e-5, loss; p[at] = old − 1e-5, "
            "loss; p[at] = old.",
            "slope = (above − below) / 2e-5; wrong if abs(slope − gradient).max() > 1e-6.",
        ),
        idea="It is the slope-measurer of lesson 0, over every number of a model. `old` is kept "
        "and put back, so that rounding leaves nothing behind.",
        outputs=("names", "moved"), inputs=("ids", "targets", "wrong", "how"),
        shown=("ids", "targets"), cases=suspects, call=suspected, mistakes=WRONG, includes=("9.6",),
        points=2, seconds=10,
    ),
]  # fmt: skip
