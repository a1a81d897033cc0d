"""How lesson 11 is marked: cases and known mistakes."""

import numpy as np

from minigpt.course.exercise import Exercise, Mistake, WrongCount

PARAMS = tuple(kind + name for name in "qkvo" for kind in ("w_", "b_"))
WRITER = ("tokens", "positions", "head")
LARGEST_U = 1 - 2**-53
"""The largest number that NumPy's random() returns."""

# ---- cases: probabilities ----------------------------------------------------------


def logits_of(seed):
    rng = np.random.default_rng(seed)
    hidden = np.array([[0.0, -np.inf, 1.0, -np.inf]])

    def case(powers, temperature, k=None, top_p=None):
        logits = np.log(powers)
        return {"logits": logits, "temperature": temperature, "k": k, "top_p": top_p}

    yield "the example of the page", case([[4.0, 3.0, 2.0, 1.0]], 1.0, 2, 0.55)
    yield "temperature ½", case([[1.0, 1.0, 2.0]], 0.5, 2, 0.5)
    yield "temperature 2", case([[1.0, 1.0, 2.0]], 2.0)
    yield "temperature 0", case([[1.0, 3.0, 2.0], [4.0, 1.0, 1.0]], 0, 2, 0.75)
    yield "temperature 0 and a tie", case([[1.0, 4.0, 4.0]], 0)
    yield "a high temperature, then top-p", case([[1.0, 8.0, 2.0, 1.0]], 3.0, None, 0.5)
    yield "k larger than V", case([[1.0, 2.0, 5.0]], 1.0, 9)
    yield "some scores −inf", {**case([[1.0]], 0.7, 3, 0.9), "logits": hidden}
    large = {"logits": 1000 + 5 * rng.normal(size=(3, 5))}
    yield "large scores", {**case([[1.0]], 1.5, 3, 0.9), **large}
    small = {"logits": rng.normal(size=(4, 6))}
    yield "a low temperature", {**case([[1.0]], 0.25, 4, 0.8), **small}


def with_logits(seed):
    page = np.log([[1.0, 1.0, 2.0]])
    yield "the example of the page", {"logits": page, "temperature": 0.5}
    for name, i in list(logits_of(seed))[2:]:
        yield name, {"logits": i["logits"], "temperature": i["temperature"]}


def rows(seed):
    """Yield rows of probabilities; their sums are exact where they are multiples of 1/16."""
    rng = np.random.default_rng(seed)

    def case(sixteenths, k, top_p):
        return {"p": np.array(sixteenths) / 16, "k": k, "top_p": top_p}

    yield "the example of the page", case([[2, 8, 2, 4]], 2, 0.75)
    yield "not enough by themselves", case([[4, 1, 7, 4]], 1, 0.6)
    yield "a tie", case([[4, 4, 4, 4]], 2, 0.5)
    yield "a tie at the end", case([[2, 6, 4, 4]], 2, 0.6)
    yield "a tie for the second place", case([[4, 2, 2, 8], [8, 2, 4, 2]], 3, 0.8)
    yield "k = 1", case([[1, 1, 2, 12], [13, 1, 1, 1]], 1, 0.1)
    yield "k larger than V, top_p = 1", case([[5, 8, 3]], 7, 1.0)
    yield "zeros", case([[0, 10, 0, 6], [16, 0, 0, 0]], 3, 1.0)
    yield "rows of different sizes", case([[1, 15, 0, 0], [4, 5, 4, 3]], 2, 0.9)
    p = rng.dirichlet(np.ones(7), 4)
    yield "random rows", {"p": p, "k": 3, "top_p": 0.7}
    p = rng.dirichlet(np.ones(50), 5)
    yield "random long rows", {"p": p, "k": 20, "top_p": 0.9}


def lines(seed):
    rng = np.random.default_rng(seed)

    def case(sixteenths, u):
        return {"p": np.array(sixteenths) / 16, "u": np.array(u)}

    yield "the example of the page", case([[4, 4, 8]] * 3, [0.1, 0.25, 0.9])
    yield "one token", case([[16]], [0.5])
    yield "two rows", case([[16, 0], [0, 16]], [0.9, 0.0])
    yield "a number at the border", case([[8, 8], [8, 8]], [0.5, 0.0])
    yield "a first token with p = 0", case([[0, 16], [0, 16]], [0.0, 0.5])
    tenths = np.array([[0.1] * 10 + [0.0, 0.0]])
    yield "a sum just below 1, and u above it", {"p": tenths, "u": np.array([LARGEST_U])}
    yield "random rows", {"p": rng.dirichlet(np.ones(5), 6), "u": rng.random(6)}
    yield "one row, many numbers", {"p": np.tile([0.5, 0.3, 0.2], (40, 1)), "u": rng.random(40)}


# ---- cases: the cache ----------------------------------------------------------------


def layer_params(rng, C, draw):
    return {name: draw(rng, (C, C) if name[0] == "w" else (C,)) for name in PARAMS}


def normal(rng, shape):
    return 0.7 * rng.normal(size=shape)


def halves(rng, shape):
    return rng.choice([-1.0, -0.5, 0.5, 1.0], shape)


def pieces(seed):
    rng = np.random.default_rng(seed)

    def case(B, C, H, sizes, draw=normal):
        x = draw(rng, (B, sum(sizes), C))
        return {
            **layer_params(rng, C, draw),
            "x": x,
            "n_heads": H,
            "tokens_per_read": np.array(sizes),
        }

    yield "one token", case(1, 2, 1, [1], halves)
    yield "one token, then one", case(1, 2, 1, [1, 1], halves)
    yield "two tokens at once", case(1, 2, 1, [2], halves)
    yield "three tokens, then two at once", case(1, 2, 2, [3, 2], halves)
    yield "one by one, two heads", case(1, 4, 2, [1, 1, 1, 1])
    yield "two texts", case(2, 6, 3, [4, 1, 1, 3])
    yield "large scores", case(2, 4, 2, [2, 3, 1], lambda rng, shape: 3 * rng.normal(size=shape))


def a_writer(rng, V, max_len, C, H, n_layers):
    layers = {
        f"{name}_{n}": value
        for n in range(n_layers)
        for name, value in layer_params(rng, C, normal).items()
    }
    shapes = {"tokens": (V, C), "positions": (max_len, C), "head": (C, V)}
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return {**layers, **params, "n_heads": H, "n_layers": n_layers}


def readings(seed):
    rng = np.random.default_rng(seed)

    def case(B, sizes, V=5, max_len=12, C=4, H=2, n_layers=2):
        ids = rng.integers(0, V, (B, sum(sizes)))
        return {
            **a_writer(rng, V, max_len, C, H, n_layers),
            "ids": ids,
            "tokens_per_read": np.array(sizes),
        }

    yield "one token", case(1, [1], n_layers=1)
    yield "three tokens, then one", case(1, [3, 1])
    yield "one by one", case(1, [1] * 5)
    yield "two at a time, two texts", case(2, [2, 2, 2], V=7)
    yield "three layers", case(3, [4, 1, 2, 1], C=6, H=3, n_layers=3)
    yield "up to the last place", case(2, [5, 3, 4])


def beginnings(seed):
    rng = np.random.default_rng(seed)

    def case(B, T, n, max_len=8, V=9, C=8, H=2, n_layers=2):
        model = a_writer(rng, V, max_len, C, H, n_layers)
        return {**model, "ids": rng.integers(0, V, (B, T)), "n": n, "max_len": max_len}

    yield "one more token", case(1, 3, 1)
    yield "it fits", case(1, 2, 4)
    yield "no more token", case(2, 3, 0)
    yield "to the last place and one more", case(1, 4, 5)
    yield "three texts, far past max_len", case(3, 5, 14, V=30)
    yield "a beginning longer than max_len", case(2, 11, 4, V=30)
    yield "two more", case(2, 6, 20, max_len=10, V=50, n_layers=3)


# ---- calls ---------------------------------------------------------------------------


def run_read(module, i):
    """Read the pieces of x one after the other."""
    layer = module.CachedAttention({name: i[name] for name in PARAMS}, i["n_heads"])
    parts = []
    for x in np.split(i["x"], i["tokens_per_read"].cumsum()[:-1], axis=1):
        y = layer.read(x)
        if y is None:
            raise WrongCount("`read` returned None. Is there a `return`?")
        if np.shape(y) != x.shape:
            raise WrongCount(
                f"`read` returned the shape {np.shape(y)} for x of the shape {x.shape}. It returns "
                "a vector for each new token, and none for the old ones."
            )
        parts.append(y)
    if layer.keys is None or layer.values is None:
        raise WrongCount("after `read`, self.keys or self.values is None: keep both there.")
    return {"y": np.concatenate(parts, axis=1), "keys": layer.keys, "values": layer.values}


def make_writer(module, i):
    layers = [
        module.CachedAttention({name: i[f"{name}_{n}"] for name in PARAMS}, i["n_heads"])
        for n in range(i["n_layers"])
    ]
    return module.MyWriter({name: i[name] for name in WRITER}, layers)


def run_reader(module, i):
    """Read a text, forget it, and read the pieces of another."""
    model = make_writer(module, i)
    model.read(i["ids"][:, :1])
    model.clear()
    parts = [
        model.read(ids) for ids in np.split(i["ids"], i["tokens_per_read"].cumsum()[:-1], axis=1)
    ]
    expected = (len(i["ids"]), len(i["tokens"]))
    for part in parts:
        if np.shape(part) != expected:
            raise WrongCount(
                f"`read` returned the shape {np.shape(part)}, expected {expected}: a row of V "
                "scores for each text, those after its last token."
            )
    return {"logits": np.stack(parts, axis=1), "length": model.length}


def run_write(module, i):
    """Write, with a cache that holds another text; count the tokens that the model reads."""
    model = make_writer(module, i)
    model.read(i["ids"][:, :2])
    counted = []

    def counting(method):
        def counts(ids):
            counted.append(np.shape(ids)[1])
            return method(ids)

        return counts

    model.read, model.forward = counting(model.read), counting(model.forward)
    ids = module.write(model, i["ids"], i["n"])
    length, needed = min(i["ids"].shape[1], i["max_len"]), 0
    for step in range(i["n"] + 1):  # reading the last token as well is right, too
        fits = length + step <= i["max_len"]
        needed += i["max_len"] if not fits else 1 if step else length
    return {"ids": ids, "cache_used": sum(counted) <= needed}


MEASURED = 192


def run_measure(module, i):
    """Measure with a model that is large enough to take its time."""
    ids = np.arange(8)[None] % 5
    names = ("without", "with_cache", "seconds_without", "seconds_with")
    results = module.measure(module.a_writer(), ids, MEASURED)
    if not isinstance(results, tuple) or len(results) != len(names):
        raise WrongCount(f"return {len(names)} results: {', '.join(names)}.")
    return dict(zip(names, results, strict=True))


def judge_measure(answer, seed):
    """Return None if the texts are equal and the cache is faster; else a sentence."""
    a, b = np.asarray(answer["without"]), np.asarray(answer["with_cache"])
    if a.shape != (1, 8 + MEASURED) or b.shape != a.shape:
        return (
            f"the texts have the shapes {a.shape} and {b.shape}, expected {(1, 8 + MEASURED)}, "
            "beginning included."
        )
    if not np.array_equal(a, b):
        at = int((a != b).any(axis=0).argmax())
        return (
            f"the two texts differ from token {at} on. With the cache and without it, the model "
            "must write the same. Do both get the same beginning, and the last max_len tokens?"
        )
    times = [answer["seconds_without"], answer["seconds_with"]]
    if not all(isinstance(t, int | float | np.ndarray) and np.ndim(t) == 0 for t in times):
        return "the last two results are numbers: seconds without the cache, and with it."
    slow, fast = map(float, times)
    if not (0 < fast < 3600 and 0 < slow < 3600):
        return (
            f"{slow:.4g} s and {fast:.4g} s cannot be times. Subtract two values of "
            "time.perf_counter()."
        )
    if slow < fast:
        return (
            f"without the cache it took {slow:.3f} s, with it {fast:.3f} s. Did you return them in "
            "the wrong order? Without comes first."
        )
    if slow < 1.5 * fast:
        return (
            f"with the cache {MEASURED} tokens took {fast:.3f} s, without it {slow:.3f} s. That is "
            "nearly the same. Does the slow way call model.forward on the whole text, and only "
            "the fast way `write`?"
        )
    return None


# ---- known mistakes --------------------------------------------------------------------

SCALED = "return softmax(logits / temperature)"
ZERO = "if temperature == 0:"
TEMPERATURE = (
    Mistake(
        "times",
        {SCALED: "return softmax(logits * temperature)"},
        "you multiplied by the temperature. The scores are divided by it: a low temperature makes "
        "differences larger.",
    ),
    Mistake(
        "after softmax",
        {SCALED: "return softmax(logits) / temperature"},
        "you divided probabilities. Then they no longer sum to 1. Divide the scores, before "
        "softmax.",
    ),
    Mistake(
        "softmax twice",
        {SCALED: "return softmax(softmax(logits) / temperature)"},
        "softmax was applied twice. Divide the scores, then apply it once.",
    ),
    Mistake(
        "not used",
        {SCALED: "return softmax(logits)"},
        "the temperature has no effect, except when it is 0.",
    ),
    Mistake(
        "division by zero",
        {ZERO: "if False:"},
        "at temperature 0 you divided by 0. It is a case of its own: the largest score gets 1.",
    ),
    Mistake(
        "ties share",
        {
            "return np.eye(logits.shape[-1])[best]": "t = logits == logits.max(-1, keepdims=True)"
            "; return t / t.sum(-1, keepdims=True)"
        },
        "at temperature 0, tokens with equal scores share the probability here. Only the first of "
        "them gets it, so that the same text always has the same continuation.",
    ),
    Mistake(
        "least likely",
        {"best = logits.argmax(axis=-1)": "best = logits.argmin(axis=-1)"},
        "at temperature 0 you chose the smallest score.",
    ),
)

KTH = "kth = np.sort(p, axis=-1)[:, -k, None]\n    kept = np.where(p >= kth, p, 0.0)"
K_SCALED = "return kept / kept.sum(axis=-1, keepdims=True)\n\n\ndef keep_top_p"
ORDER_K = "(np.argsort(np.argsort(-p, axis=-1, kind='stable'), axis=-1, kind='stable') < k)"
TOP_K = (
    Mistake(
        "not scaled",
        {
            K_SCALED: K_SCALED.replace(
                "return kept / kept.sum(axis=-1, keepdims=True)", "return kept"
            )
        },
        "the rows do not sum to 1. Divide by what was kept.",
    ),
    Mistake(
        "ties dropped",
        {KTH: f"kept = np.where({ORDER_K}, p, 0.0)"},
        "you kept exactly k tokens. A token that ties with the last one kept is kept, too: there "
        "is no reason to prefer one of them.",
    ),
    Mistake(
        "ties dropped, last kept",
        {
            KTH: "limit = np.argsort(np.argsort(p, axis=-1), axis=-1)\n    "
            "kept = np.where(limit >= p.shape[-1] - k, p, 0.0)"
        },
        "you kept exactly k tokens. A token that ties with the last one kept is kept, too: there "
        "is no reason to prefer one of them. Compare with the k-th largest number.",
    ),
    Mistake(
        "strictly larger",
        {KTH: KTH.replace("p >= kth", "p > kth")},
        "the k-th token itself is dropped: you compared with >, not with >=.",
    ),
    Mistake(
        "least likely",
        {KTH: KTH.replace("[:, -k, None]", "[:, k - 1, None]").replace("p >= kth", "p <= kth")},
        "you kept the k least likely tokens.",
    ),
    Mistake(
        "k-th from the wrong end",
        {KTH: KTH.replace("[:, -k, None]", "[:, k - 1, None]")},
        "you took the k-th smallest probability as the limit. np.sort goes upwards: the k-th "
        "largest is at -k.",
    ),
    Mistake(
        "one more",
        {KTH: KTH.replace("[:, -k, None]", "[:, -min(k + 1, p.shape[-1]), None]")},
        "one token too many is kept.",
    ),
    Mistake(
        "limit of everything",
        {KTH: KTH.replace("np.sort(p, axis=-1)[:, -k, None]", "np.sort(p, axis=None)[-k]")},
        "the limit is that of the whole array. Each row has a k-th token of its own.",
    ),
    Mistake(
        "k too large",
        {"k = min(k, p.shape[-1])": "pass"},
        "k may be larger than V. Then all tokens are kept.",
    ),
    Mistake(
        "softmax again",
        {K_SCALED: K_SCALED.replace("kept / kept.sum(axis=-1, keepdims=True)", "softmax(kept)")},
        "you applied softmax to probabilities: exp(0) is 1, so the dropped tokens come back. "
        "Divide by the sum.",
    ),
)

BEFORE = "before = in_order.cumsum(axis=-1) - in_order"
KEEP = "np.put_along_axis(keep, order, before < top_p, axis=-1)"
P_ORDER = 'order = np.argsort(-p, axis=-1, kind="stable")'
P_SCALED = "return kept / kept.sum(axis=-1, keepdims=True)\n\n\ndef next_probabilities"
TOP_P = (
    Mistake(
        "without the last",
        {BEFORE: "before = in_order.cumsum(axis=-1)", "before < top_p": "before <= top_p"},
        "the token that reaches top_p is dropped. So the kept ones sum to less than top_p, and "
        "sometimes none is left. Ask what the sum was *before* this token.",
    ),
    Mistake(
        "sum with itself",
        {BEFORE: "before = in_order.cumsum(axis=-1)"},
        "the sum you compare includes the token itself, so the one that reaches top_p is dropped. "
        "Ask what the sum was *before* this token.",
    ),
    Mistake(
        "one too many",
        {"before < top_p": "before <= top_p"},
        "when the sum of the kept tokens is exactly top_p, it is enough; you kept one more. "
        "Compare with <, not with <=.",
    ),
    Mistake(
        "each by itself",
        {KEEP: "keep = p >= top_p"},
        "you compared each probability with top_p. It is their sum, from the likeliest down, that "
        "must reach it.",
    ),
    Mistake(
        "upwards",
        {P_ORDER: P_ORDER.replace("-p", "p")},
        "you began with the least likely token. The sum begins with the likeliest.",
    ),
    Mistake(
        "unsorted",
        {P_ORDER: "order = np.tile(np.arange(p.shape[-1]), (len(p), 1))"},
        "you added up in the order of the ids. Sort each row first, the likeliest first.",
    ),
    Mistake(
        "not put back",
        {KEEP: "keep = before < top_p"},
        "what is kept is in the order of the sorted row. Put it back: place i of the sorted row is "
        "token order[i].",
    ),
    Mistake(
        "put back twice",
        {KEEP: "keep = np.take_along_axis(before < top_p, order, axis=-1)"},
        "you picked from the sorted row with `order` once more. To go back, write *to* the places "
        "in `order`: np.put_along_axis, or pick with np.argsort(order).",
    ),
    Mistake(
        "last of equals",
        {P_ORDER: "order = np.argsort(p, axis=-1, kind='stable')[:, ::-1]"},
        "of equal tokens you kept the larger id. A sorted row that is turned round has equal ones "
        "turned round, too: sort -p, with kind='stable'.",
    ),
    Mistake(
        "ties kept",
        {
            KEEP: "np.put_along_axis(keep, order, before < top_p, axis=-1)\n    "
            "keep = p >= np.where(keep, p, 2.0).min(axis=-1, keepdims=True)"
        },
        "tokens that tie with the last one are kept, too. That is the rule of top-k. For top-p, as "
        "few as reach the sum are kept, the smaller id first.",
    ),
    Mistake(
        "not scaled",
        {P_SCALED: P_SCALED.replace("kept / kept.sum(axis=-1, keepdims=True)", "kept")},
        "the rows do not sum to 1. Divide by what was kept.",
    ),
)

FIRST = "p = with_temperature(logits, temperature)\n"
LAST = "p = keep_top_p(p, top_p)"
BOTH = "if k is not None:\n        p = keep_top_k(p, k)\n    if top_p is not None:\n        " + LAST
ALL = (
    Mistake(
        "top-p first",
        {BOTH: "if top_p is not None:\n        p = keep_top_p(p, top_p)\n    "
         "if k is not None:\n        p = keep_top_k(p, k)"},
        "top-p comes before top-k here. After top-k the probabilities are larger, since they are "
        "divided by a smaller sum, and the sum reaches top_p earlier.",
    ),
    Mistake(
        "temperature last",
        {FIRST: "p = softmax(logits)\n", "    return p\n\n\ndef draw": "    p = with_temperature("
         "np.log(p), temperature)\n    return p\n\n\ndef draw"},
        "the temperature comes last here. It changes what top-p keeps, so it comes first.",
    ),
    Mistake(
        "temperature of probabilities",
        {FIRST: "p = softmax(logits)\n", "    return p\n\n\ndef draw": "    p = with_temperature("
         "p, temperature)\n    return p\n\n\ndef draw"},
        "the temperature comes last here, and it is given probabilities where it wants scores. It "
        "comes first, and gets the logits.",
    ),
    Mistake(
        "no temperature",
        {FIRST: "p = softmax(logits)\n"},
        "the temperature is missing.",
    ),
    Mistake(
        "k only",
        {"if top_p is not None:": "if k is None and top_p is not None:"},
        "with k given, top_p is ignored. Both may be given.",
    ),
    Mistake(
        "both of the same p",
        {LAST: "q = keep_top_p(with_temperature(logits, temperature), top_p)\n        "
         "p = np.where(q > 0, p, 0); p = p / p.sum(axis=-1, keepdims=True)"},
        "top-p was decided from the probabilities before top-k. Each step works on the result of "
        "the step before.",
    ),
    Mistake(
        "no top-k",
        {"p = keep_top_k(p, k)": "pass"},
        "top-k has no effect.",
    ),
)  # fmt: skip

ENDS = "ends = ends / ends[:, -1:]"
PICK = "return (u[:, None] < ends).argmax(axis=-1)"
DRAW = (
    Mistake(
        "end for beginning",
        {PICK: PICK.replace("<", "<=")},
        "a number at the border of two pieces belongs to the second one: compare with <, not with "
        "<=. Otherwise u = 0 draws a first token whose probability is 0.",
    ),
    Mistake(
        "falls off the end",
        {ENDS: "pass"},
        "rounding made the sum of a row a little less than 1, and u lies behind it: no piece "
        "holds it, and argmax of a row of False is 0. Divide the ends of the pieces by the last "
        "of them.",
    ),
    Mistake(
        "last token",
        {
            ENDS: "pass",
            PICK: "return np.minimum((u[:, None] >= ends).sum(axis=-1), p.shape[1] - 1)",
        },
        "u lies behind the end of all pieces, and you chose the last token, whose probability is "
        "0. Divide the ends of the pieces by the last of them.",
    ),
    Mistake(
        "behind the last token",
        {ENDS: "pass", PICK: "return (u[:, None] >= ends).sum(axis=-1)"},
        "rounding made the sum of a row a little less than 1, and u lies behind it: you returned "
        "V, which is not a token. Divide the ends of the pieces by the last of them.",
    ),
    Mistake(
        "one back",
        {PICK: "return np.maximum((u[:, None] < ends).argmax(axis=-1) - 1, 0)"},
        "you returned the token before. The piece that holds u is the first whose end is above u.",
    ),
    Mistake(
        "no sum",
        {"ends = p.cumsum(axis=-1)": "ends = p.copy()"},
        "you compared u with single probabilities. The end of a piece is the sum of all pieces up "
        "to it: cumsum.",
    ),
    Mistake(
        "likeliest",
        {PICK: "return p.argmax(axis=-1)"},
        "this is the likeliest token, whatever u is.",
    ),
    Mistake(
        "one number for all rows",
        {PICK: PICK.replace("u[:, None]", "u[0]")},
        "all rows use the same random number. Row n has u[n].",
    ),
    Mistake(
        "from the other end",
        {PICK: PICK.replace("u[:, None]", "1 - u[:, None]")},
        "the pieces are turned round: the first token begins at 0.",
    ),
)

ADD_K = "k = np.concatenate([self.keys, k], axis=2)"
ADD_V = "v = np.concatenate([self.values, v], axis=2)"
KEPT = "self.keys, self.values = k, v"
SEEN = "seen = np.tri(n_new, n_all, n_all - n_new, dtype=bool)"
OLD = "if self.keys is not None:"
OUT = 'return join_heads(weights @ v) @ p["w_o"] + p["b_o"]'
ROOT = "scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])"
CACHED = (
    Mistake(
        "nothing remembered",
        {OLD: "if False:"},
        "the new tokens see only each other. Put their keys and values behind the old ones first.",
    ),
    Mistake(
        "mask without the past",
        {SEEN: "seen = np.tri(n_new, n_all, dtype=bool)"},
        "the mask counts from the first key. New token i is token K − T + i of the text, and sees "
        "all keys up to that one: np.tri(T, K, K - T).",
    ),
    Mistake(
        "no mask",
        {SEEN: "seen = np.ones((n_new, n_all), dtype=bool)"},
        "there is no mask. It is needed when several tokens are read at once: the first of them "
        "must not see the second.",
    ),
    Mistake(
        "mask only at the beginning",
        {SEEN: "seen = np.tri(n_all, dtype=bool) if n_new == n_all else np.ones((n_new, n_all), "
         "dtype=bool)"},
        "the first call has a mask, the later ones have none. They need it, too, when several "
        "tokens are read at once: the first of them must not see the second.",
    ),
    Mistake(
        "behind the wrong axis",
        {ADD_K: ADD_K.replace("axis=2", "axis=1"), ADD_V: ADD_V.replace("axis=2", "axis=1")},
        "the new keys and values became more heads. Tokens are axis 2 of (B, H, K, D).",
    ),
    Mistake(
        "old tokens hidden",
        {SEEN: "seen = np.eye(n_new, n_all, n_all - n_new, dtype=bool)"},
        "each new token sees only itself.",
    ),
    Mistake(
        "new before old",
        {ADD_K: ADD_K.replace("[self.keys, k]", "[k, self.keys]"),
         ADD_V: ADD_V.replace("[self.values, v]", "[v, self.values]")},
        "the new keys stand before the old ones. They belong behind them, as in the text.",
    ),
    Mistake(
        "keys and values in different orders",
        {ADD_K: ADD_K.replace("[self.keys, k]", "[k, self.keys]")},
        "keys and values are in different orders, so a token gets the values of another.",
    ),
    Mistake(
        "only the latest kept",
        {KEPT: "self.keys, self.values = k[:, :, -q.shape[2] :], v[:, :, -q.shape[2] :]"},
        "only the keys and values of the latest call are kept. Keep those of all tokens.",
    ),
    Mistake(
        "no root",
        {ROOT: "scores = q @ np.swapaxes(k, -1, -2)"},
        "the scores are not divided by √D.",
    ),
    Mistake(
        "root of C",
        {ROOT: ROOT.replace("q.shape[-1]", "x.shape[-1]")},
        "you divided by √C. A head's vectors have the length D.",
    ),
    Mistake(
        "no w_o",
        {OUT: "return join_heads(weights @ v)"},
        "the last projection, w_o and b_o, is missing.",
    ),
    Mistake(
        "no biases",
        {'k = split_heads(x @ p["w_k"] + p["b_k"], self.n_heads)':
         'k = split_heads(x @ p["w_k"], self.n_heads)',
         'v = split_heads(x @ p["w_v"] + p["b_v"], self.n_heads)':
         'v = split_heads(x @ p["w_v"], self.n_heads)'},
        "b_k and b_v are missing.",
    ),
)  # fmt: skip

PLACES = 'x = self.params["tokens"][ids] + self.params["positions"][start : self.length]'
COUNT = "start, self.length = self.length, self.length + ids.shape[1]"
LAYER = "x = x + layer.read(x)"
HEAD = 'x = x + layer.read(x)\n        return x[:, -1] @ self.params["head"]'
READ = (
    Mistake(
        "from place 0",
        {PLACES: PLACES.replace("start : self.length", ": ids.shape[1]")},
        "the new tokens get the vectors of places 0, 1, … They continue a text: the first of them "
        "stands at place self.length, as it was before.",
    ),
    Mistake(
        "one place for all",
        {PLACES: PLACES.replace("start : self.length", "start")},
        "all new tokens get the vector of one place. Each has its own: self.length and the "
        "places after it.",
    ),
    Mistake(
        "one place further",
        {PLACES: PLACES.replace("start : self.length", "start + 1 : self.length + 1")},
        "each token stands one place too far. Places are counted from 0.",
    ),
    Mistake(
        "not counted",
        {COUNT: "start = self.length"},
        "self.length stays 0. `read` must add the number of new tokens to it.",
    ),
    Mistake(
        "counted by one",
        {COUNT: "start, self.length = self.length, self.length + 1",
         PLACES: PLACES.replace("start : self.length", "start : start + ids.shape[1]")},
        "self.length grows by 1 for each call. Several tokens may be read at once.",
    ),
    Mistake(
        "no residual",
        {LAYER: "x = layer.read(x)"},
        "the residual is missing: x + layer.read(x), as in `forward`.",
    ),
    Mistake(
        "without the cache",
        {LAYER: "x = x + layer.forward(x)"},
        "you called layer.forward, which sees only the new tokens. layer.read also sees the old "
        "ones.",
    ),
    Mistake(
        "first token",
        {HEAD: HEAD.replace("x[:, -1]", "x[:, 0]")},
        "these are the scores after the first new token. Asked are those after the last one.",
    ),
    Mistake(
        "no positions",
        {PLACES: 'x = self.params["tokens"][ids]'},
        "the vectors of the places are missing.",
    ),
)  # fmt: skip

CLEAR = "model.clear()\n    new = ids[:, -model.max_len :]"
FULL = "if model.length + new.shape[1] > model.max_len:"
AGAIN = "model.clear()\n            new = ids[:, -model.max_len :]"
NEXT = "new = logits.argmax(axis=-1)[:, None]"
WRITE = (
    Mistake(
        "old text remembered",
        {CLEAR: "new = ids[:, -model.max_len :]\n    n = n"},
        "the cache still held another text when you began. Call model.clear() first.",
    ),
    Mistake(
        "whole beginning",
        {CLEAR: CLEAR.replace("ids[:, -model.max_len :]", "ids"),
         FULL: FULL.replace("if ", "if model.length and ")},
        "the beginning may be longer than max_len. Read only its last max_len tokens.",
    ),
    Mistake(
        "goes on with another text",
        {CLEAR: "new = ids[:, -1:] if model.length else ids[:, -model.max_len :]"},
        "the cache still held another text when you began, and you went on with that. Call "
        "model.clear() first.",
    ),
    Mistake(
        "slides",
        {AGAIN: "model.length -= 1\n            for layer in model.layers:\n                "
         "layer.keys, layer.values = layer.keys[:, :, 1:], layer.values[:, :, 1:]"},
        "you dropped the oldest key and kept the others. They were made at places that have moved "
        "since. Clear the cache and read the last max_len tokens again.",
    ),
    Mistake(
        "never read again",
        {FULL: "if False:"},
        "after max_len tokens there is no place left. Clear the cache and read the last max_len "
        "tokens again.",
    ),
    Mistake(
        "forgets everything",
        {AGAIN: "model.clear()"},
        "when the text does not fit any more, you cleared the cache and went on with the new token "
        "alone. Read the last max_len tokens again.",
    ),
    Mistake(
        "first max_len",
        {AGAIN: AGAIN.replace("-model.max_len :", ": model.max_len")},
        "you read the first max_len tokens again. The last ones are wanted: they include what was "
        "just written.",
    ),
    Mistake(
        "half the window",
        {AGAIN: AGAIN.replace("-model.max_len :", "-(model.max_len // 2) :")},
        "you read only a part of the last max_len tokens again. That saves time, and it is done, "
        "but then the model sees less. Here it must see all max_len.",
    ),
    Mistake(
        "no cache",
        {FULL: "if True:"},
        "the text is right, but every token is read again each time. Read only the new token, as "
        "long as the text fits: the cache has the others.",
    ),
    Mistake(
        "read twice",
        {NEXT: "new = np.stack([ids[:, -1], logits.argmax(axis=-1)], axis=1)",
         "ids = np.concatenate([ids, new], axis=1)": "ids = np.concatenate([ids, new[:, -1:]], "
         "axis=1)"},
        "the token before the new one is read again. The cache has it already, so it is there "
        "twice.",
    ),
    Mistake(
        "only what is new",
        {"return ids\n\n\ndef measure": "return ids[:, len(ids[0]) - n :]\n\n\ndef measure"},
        "you returned only what was written. Return the beginnings, too.",
    ),
)  # fmt: skip

WHICH_ROWS = ("p", "k")
EXERCISES = [
    Exercise(
        "11.1", "with_temperature", "Temperature",
        hints=(
            "Two lines: one for temperature 0, one for all others.",
            "Divide the scores, not the probabilities. argmax returns the first of equal ones.",
            "softmax(logits / temperature); for 0, np.eye(V)[logits.argmax(axis=-1)].",
        ),
        idea="Dividing scores raises probabilities to the power 1/temperature, and scales the row "
        "to 1. p ** (1 / temperature), divided by its sum, is the same.",
        inputs=("logits", "temperature"), outputs=("p",), cases=with_logits,
        mistakes=TEMPERATURE,
    ),
    Exercise(
        "11.2", "keep_top_k", "The k likeliest",
        hints=(
            "Which number is the smallest probability that is kept?",
            "The k-th largest of the row. Keep what is at least as large: that keeps ties.",
            "kth = np.sort(p, axis=-1)[:, -k, None]; set the rest to 0, divide by the sum. And k "
            "may be larger than V.",
        ),
        idea="A limit instead of a list of places: with `>=`, ties need no care. np.partition "
        "finds the k-th largest without sorting everything; miniGPT does so.",
        inputs=("p", "k"), outputs=("kept",), cases=rows, mistakes=TOP_K,
    ),
    Exercise(
        "11.3", "keep_top_p", "As few as reach p",
        hints=(
            "Sort a row, the likeliest first. What must you know at each place of it?",
            "The sum of what stands before it. A token is kept if that sum is below top_p.",
            "order = np.argsort(-p, axis=-1, kind='stable'); before = cumsum − itself, in that "
            "order; np.put_along_axis(keep, order, before < top_p, axis=-1).",
        ),
        idea="The sum before a token decides. So the token that reaches top_p is kept, and the "
        "first one always is. A loop over rows and sorted tokens is right, too.",
        inputs=("p", "top_p"), outputs=("kept",), cases=rows, mistakes=TOP_P,
    ),
    Exercise(
        "11.4", "next_probabilities", "All three",
        hints=(
            "Three calls, two of them under an `if`.",
            "Each works on the result of the one before.",
            "p = with_temperature(…); if k is not None: p = keep_top_k(p, k); and so with top_p.",
        ),
        idea="The order is a convention, and the result depends on it. This one is that of "
        "Hugging Face transformers and of miniGPT. miniGPT sets scores to −inf instead of "
        "probabilities to 0; the numbers are the same.",
        inputs=("logits", "temperature", "k", "top_p"), outputs=("p",), cases=logits_of,
        mistakes=ALL, includes=("11.1", "11.2", "11.3"),
    ),
    Exercise(
        "11.5", "draw", "Drawing a token",
        hints=(
            "Where does the piece of each token end? One call of NumPy.",
            "cumsum. The token is the first whose end is above u. What if rounding made the last "
            "end a little less than 1?",
            "ends = p.cumsum(axis=-1); ends = ends / ends[:, -1:]; (u[:, None] < ends)"
            ".argmax(axis=-1).",
        ),
        idea="argmax of True and False is the place of the first True. Divided by the last end, "
        "the last token that can come ends at exactly 1, and u is below 1.",
        inputs=("p", "u"), outputs=("tokens",), cases=lines, mistakes=DRAW,
    ),
    Exercise(
        "11.6", "CachedAttention", "What can be kept",
        hints=(
            "Begin with your `forward`. Which of its arrays are about old tokens?",
            "Only k and v grow: np.concatenate along axis 2, the old ones first. Then which mask "
            "has T rows and K columns?",
            "np.tri(T, K, K - T): row i has ones up to column K − T + i. Everything else is as in "
            "`forward`.",
        ),
        idea="Without old tokens, K = T, and the mask is that of lesson 6: `forward` is `read` of "
        "a whole text. miniGPT writes into arrays for max_len tokens, made once, so that nothing "
        "is copied; concatenate copies the old keys each time.",
        inputs=("x", "tokens_per_read", "n_heads"), outputs=("y", "keys", "values"), cases=pieces,
        call=run_read, mistakes=CACHED, points=2,
    ),
    Exercise(
        "11.7", "MyWriter", "The whole model",
        hints=(
            "Copy `forward`. Two things are different.",
            "layer.read for layer.forward; and the new tokens do not stand at place 0.",
            "start = self.length before, positions[start : start + T], and self.length grows by T.",
        ),
        idea="Only attention and the places know that there is a past. Everything else in a model "
        "works on each token by itself, and needs no cache.",
        inputs=("ids", "tokens_per_read", "n_layers"), outputs=("logits", "length"), cases=readings,
        call=run_reader, mistakes=READ, includes=("11.6",),
    ),
    Exercise(
        "11.8", "write", "Writing, and the end of the places",
        hints=(
            "In the first round the whole beginning is new, afterwards one token.",
            "Before each `read`: does model.length with the new tokens exceed max_len?",
            "If it does: model.clear(), and new = ids[:, -model.max_len:]. Then logits = "
            "model.read(new), and argmax.",
        ),
        idea="A variable `new` holds what the model has not read: the beginning, then one token, "
        "and after clearing the whole window. So one loop does all three.",
        inputs=("ids", "n", "max_len"), outputs=("ids", "cache_used"), cases=beginnings,
        call=run_write, mistakes=WRITE, includes=("11.7",), points=2,
    ),
    Exercise(
        "11.9", "measure", "From T² to T",
        hints=(
            "Take time.perf_counter() before, between and after.",
            "The slow way: model.forward(ids[:, -max_len:]), argmax, concatenate, n times.",
            "start; n times forward; middle; write(model, ids, n); end. Return both texts, then "
            "middle − start and end − middle.",
        ),
        idea="Run `python lesson_11.py`: without the cache the time grows much faster than the "
        "text, with it about as fast. Both loops end with the same ids.",
        outputs=("without", "with_cache", "seconds_without", "seconds_with"),
        call=run_measure, judge=judge_measure, seconds=20.0,
    ),
]  # fmt: skip
