"""How lesson 12 is marked: cases, known mistakes, and what answers are measured against."""

from functools import cache
from math import isfinite

import numpy as np

from minigpt import miniGPT, trace
from minigpt.course.exercise import Exercise, Mistake, WrongCount
from minigpt.course.lesson_folder import lessons

IMPORTS = ("minigpt", "sys")
TEXTS_SEED, N_TEXTS = 1000, 200

# ---- cases -----------------------------------------------------------------------


def attention(rng, H, T):
    e = np.exp(rng.normal(size=(H, T, T))) * np.tri(T)
    return e / e.sum(axis=-1, keepdims=True)


PAGE = [[[4, 0, 0, 0], [3, 1, 0, 0], [1, 3, 0, 0], [0, 2, 2, 0]]]


def maps(seed):
    rng = np.random.default_rng(seed)

    def case(H, T, distance):
        return {"weights": attention(rng, H, T), "distance": distance}

    yield "the example of the page", {"weights": np.array(PAGE) / 4, "distance": 1}
    yield "two tokens", case(1, 2, 1)
    yield "three heads", case(3, 5, 1)
    yield "two places back", case(2, 5, 2)
    yield "as far back as can be", case(2, 6, 5)
    yield "T = H", case(4, 4, 3)


def maps_of_ids(seed):
    rng = np.random.default_rng(seed)

    def case(H, ids):
        return {"weights": attention(rng, H, len(ids)), "ids": np.array(ids)}

    yield "the example of the page", {"weights": np.array(PAGE) / 4, "ids": np.array([5, 7, 6, 5])}
    yield "nothing repeats", case(2, [3, 1, 2])
    yield "one token", case(2, [0])
    yield "the same token twice, side by side", case(1, [4, 4, 1, 4])
    yield "a token three times", case(2, [0, 1, 0, 2, 0])
    yield "eight tokens, twice", case(3, [*range(8)] * 2)
    yield "random ids", case(2, [*rng.integers(0, 4, 9), 0, 0])


def models(seed):
    """Yield models that are no longer fresh: their numbers are large enough to matter."""
    rng = np.random.default_rng(seed)

    def case(B, T, first, layer=0, head=0, L=2, H=2, C=4, V=7):
        return {
            "seed": int(rng.integers(2**31)),
            "sizes": np.array([V, T, C, H, L]),
            "ids": rng.integers(0, V, (B, T)),
            "first": first,
            "layer": layer,
            "head": head,
        }

    yield "one layer, two heads", case(1, 4, 1, L=1)
    yield "the second head", case(2, 5, 2, head=1)
    yield "the second layer", case(2, 6, 3, layer=1, C=6)
    yield "three heads, the last", case(2, 6, 4, 1, 2, H=3, C=6)
    yield "three layers, C = 12", case(3, 7, 6, 2, 1, L=3, H=4, C=12, V=9)


def make_model(i):
    V, T, C, H, L = map(int, i["sizes"])
    model = miniGPT(V, T, C, H, L, seed=i["seed"], dtype="float64")
    rng = np.random.default_rng(i["seed"])
    for param in model.params().values():
        param += (0.6 if param.ndim == 2 else 0.3) * rng.normal(size=param.shape)
    return model


def run_lens(module, i):
    model = make_model(i)
    seen = trace(model, i["ids"][0])
    results = module.lens(model, seen)
    if not isinstance(results, tuple) or len(results) != 2:
        raise WrongCount("return 2 results: tokens, probabilities.")
    return dict(zip(("tokens", "probabilities"), results, strict=True))


def run_switch_off(module, i):
    model = make_model(i)
    other = module.switch_off(model, i["layer"], i["head"])
    if other is None:
        raise WrongCount("`switch_off` returned None. Return the copy that you changed.")
    if not isinstance(other, miniGPT):
        raise WrongCount(f"`switch_off` returns a model, but this is {type(other).__name__}.")
    after, _ = other.forward(i["ids"])
    before, _ = model.forward(i["ids"])
    return {"logits": after, "logits_of_the_model_itself": before}


def run_losses(module, i):
    results = module.losses_without(make_model(i), i["ids"], i["first"])
    if not isinstance(results, tuple) or len(results) != 2:
        raise WrongCount("return 2 results: base, losses.")
    return dict(zip(("base", "losses"), results, strict=True))


# ---- known mistakes ----------------------------------------------------------------

ALONG = "along = np.diagonal(weights, -distance, axis1=-2, axis2=-1)"
MEAN = "return along.mean(axis=-1)"
SHARE = (
    Mistake(
        "above the diagonal",
        {ALONG: ALONG.replace("-distance", "distance")},
        "these are the tokens after the query, which the mask hides. Query i looks at key i − "
        "distance: below the diagonal.",
    ),
    Mistake(
        "over all queries",
        {MEAN: "return along.sum(axis=-1) / weights.shape[-1]"},
        "you divided by T. The first `distance` queries have no such token, and do not count.",
    ),
    Mistake(
        "sum for mean",
        {MEAN: "return along.sum(axis=-1)"},
        "you added up over the queries. The share of a head is the mean.",
    ),
    Mistake(
        "one short",
        {ALONG: ALONG.replace("-distance", "1 - distance")},
        "this is one place too near. Distance 0 would be the token itself, the diagonal.",
    ),
    Mistake(
        "mean over heads",
        {ALONG: "along = np.diagonal(weights, -distance, axis1=-2, axis2=-1).mean(axis=0) + 0 * "
         "np.diagonal(weights, -distance, axis1=-2, axis2=-1)"},
        "all heads have the same share: you took the mean over heads, too.",
    ),
    Mistake(
        "a whole block",
        {ALONG: "along = weights[:, distance:, : weights.shape[-1] - distance].mean(axis=-1)"},
        "you took the mean of a whole block of the map. Each query has one such key: the cells "
        "are a diagonal.",
    ),
    Mistake(
        "a single head",
        {MEAN: "return along.mean()"},
        "you returned one number. There is one share for each head.",
    ),
)  # fmt: skip

AFTER = "after[:, 1:] = ids[:, None] == ids[None, :-1]"
EARLIER = "after &= np.tri(T, k=-1, dtype=bool)"
INDUCED = "return (weights * after).sum(axis=-1)[:, queries].mean(axis=-1)"
INDUCTION = (
    Mistake(
        "the same token",
        {AFTER: "after[:] = ids[:, None] == ids[None, :]"},
        "you looked for the same token. Wanted is the token that *followed* it: key k with "
        "ids[k − 1] == ids[i].",
    ),
    Mistake(
        "the token before it",
        {AFTER: "after[:, :-1] = ids[:, None] == ids[None, 1:]"},
        "you looked for the token before the same one. Wanted is the one that followed it.",
    ),
    Mistake(
        "over all queries",
        {INDUCED: "return (weights * after).sum(axis=-1).mean(axis=-1)"},
        "queries whose token comes for the first time count here, with a share of 0. They have "
        "nothing to find, so leave them out.",
    ),
    Mistake(
        "the query itself",
        {EARLIER: "after &= np.tri(T, dtype=bool)"},
        "where a token stands twice side by side, key k = i counts here. Only keys k < i do.",
    ),
    Mistake(
        "mean over pairs",
        {INDUCED: "return (weights * after).sum(axis=(-2, -1)) / after.sum()"},
        "you divided by the number of pairs (query, key). A query may have several keys; their "
        "weights add up, and the mean is over queries.",
    ),
    Mistake(
        "mean of the keys",
        {INDUCED: "return ((weights * after).sum(-1) / np.maximum(after.sum(-1), 1))[:, queries]"
         ".mean(axis=-1)"},
        "you took a mean over the keys of a query. Their weights add up.",
    ),
    Mistake(
        "only the latest",
        {EARLIER: "after &= np.tri(T, k=-1, dtype=bool)\n    "
         "after &= np.cumsum(after[:, ::-1], axis=1)[:, ::-1] == 1"},
        "only the latest key of each query counts here. Add up all of them.",
    ),
    Mistake(
        "nothing to find",
        {"if not queries.any():": "if False:"},
        "in a text without repeats no query has anything to find, and the mean of nothing is nan. "
        "Return zeros then.",
    ),
)  # fmt: skip

NORM = "normed = model.final_norm.forward(stream)"
P = "p = softmax(model.head.forward(normed))"
STREAMS = "streams = [seen.embedding, *(block.output for block in seen.blocks)]"
SURE = "probabilities.append(p.max(axis=-1))"
LENS = (
    Mistake(
        "no norm",
        {NORM: "normed = stream"},
        "the final norm is missing. The head has only ever seen normalised vectors.",
    ),
    Mistake(
        "after attention",
        {STREAMS: STREAMS.replace("block.output", "block.middle")},
        "you took the stream in the middle of each block, after attention. After the block it is "
        "block.output.",
    ),
    Mistake(
        "only what is added",
        {STREAMS: STREAMS.replace("block.output", "block.feed_forward")},
        "you read what the feed-forward layer adds. The stream is the sum of everything so far: "
        "block.output.",
    ),
    Mistake(
        "before each block",
        {STREAMS: "streams = [seen.embedding, *(block.input for block in seen.blocks)]"},
        "block.input is the stream before a block. So the start is there twice, and the end is "
        "missing.",
    ),
    Mistake(
        "no embedding",
        {STREAMS: "streams = [block.output for block in seen.blocks]"},
        "the stream at the start, seen.embedding, is missing: L blocks have L + 1 rows.",
    ),
    Mistake(
        "softmax over tokens",
        {P: "p = softmax(model.head.forward(normed).T).T"},
        "softmax ran along the text. The guesses stand along the last axis, V.",
    ),
    Mistake(
        "logits",
        {SURE: "probabilities.append(model.head.forward(normed).max(axis=-1))"},
        "you returned the largest score. Its probability comes after softmax.",
    ),
)

COPIED = "other = copy.deepcopy(model)"
ZERO = "attention.projection.weight[head * D : (head + 1) * D] = 0"
OFF = (
    Mistake(
        "the model itself",
        {COPIED: "other = model"},
        "you changed the model itself. Whoever calls your function still needs it: change a copy.",
    ),
    Mistake(
        "columns",
        {ZERO: ZERO.replace("[head", "[:, head")},
        "you set columns of W_o to 0. The columns are where all heads write to; head h goes in "
        "through the *rows* h D to (h + 1) D − 1.",
    ),
    Mistake(
        "every H-th row",
        {ZERO: "attention.projection.weight[head :: model.n_heads] = 0"},
        "you set every H-th row to 0. The numbers of a head stand side by side.",
    ),
    Mistake(
        "whole layer",
        {ZERO: "attention.projection.weight[:] = 0"},
        "you switched off all heads of the layer.",
    ),
    Mistake(
        "bias",
        {ZERO: f"{ZERO}; attention.projection.bias[:] = 0"},
        "you set the bias to 0, too. It belongs to the layer, not to a head.",
    ),
    Mistake(
        "first layer",
        {"other.blocks[layer]": "other.blocks[0]"},
        "it is always a head of layer 0.",
    ),
    Mistake(
        "only values",
        {ZERO: "C = model.d_model; attention.qkv.weight[:, 2 * C + head * D : 2 * C + (head + 1) "
         "* D] = 0"},
        "you set the weights of its values to 0, but their bias is still there, so the head adds "
        "a constant. W_o has no such gap.",
    ),
    Mistake(
        "one row",
        {ZERO: "attention.projection.weight[head] = 0"},
        "you set one row to 0. A head has D of them.",
    ),
)  # fmt: skip

GUESSES = "guesses, targets = logits[:, first - 1 :], ids[:, first:]"
OTHER = "other = switch_off(model, layer, head)"
BASE = "return loss_from(model, ids, first), losses"
LOSSES = (
    Mistake(
        "all tokens",
        {GUESSES: "guesses, targets = logits, ids[:, 1:]"},
        "all guesses count here. Only those of the tokens from `first` on do.",
    ),
    Mistake(
        "one too late",
        {GUESSES: "guesses, targets = logits[:, first - 1 :][:, 1:], ids[:, first + 1 :]"},
        "the guess of ids[:, first] is missing. It is made at the place before, first − 1.",
    ),
    Mistake(
        "guesses of themselves",
        {GUESSES: "guesses, targets = logits[:, first - 1 :], ids[:, first - 1 : -1]"},
        "you compared the guess at each place with the token at that place. It is a guess of the "
        "next one.",
    ),
    Mistake(
        "text cut off",
        {
            "model.forward(ids[:, :-1])": "model.forward(ids[:, first - 1 : -1])",
            GUESSES: "guesses, targets = logits, ids[:, first:]",
        },
        "the model was given only the end of the texts. It reads them from the beginning; only "
        "the guesses that count begin at `first`.",
    ),
    Mistake(
        "they stay off",
        {OTHER: "other = model = switch_off(model, layer, head)"},
        "each head that was switched off stays off. Begin with the whole model each time.",
    ),
    Mistake(
        "increase",
        {BASE: "base = loss_from(model, ids, first); return base, losses - base"},
        "these are the increases. Return the losses themselves.",
    ),
    Mistake(
        "layers and heads swapped",
        {OTHER: "other = switch_off(model, head % model.n_layers, layer % model.n_heads)"},
        "layer and head are swapped.",
    ),
)

# ---- answers -----------------------------------------------------------------------


@cache
def copier():
    """Return our solution, the trained model, its loss and those without each head."""
    ours = lessons()[12].module()
    model = ours.train_copier()
    texts = ours.copy_texts(np.random.default_rng(TEXTS_SEED), N_TEXTS)
    return ours, model, *ours.losses_without(model, texts, ours.DISTANCE)


def close(got, expected):
    """Return whether a number that was measured elsewhere and written down is the same."""
    return abs(float(got) - expected) <= 0.02 + 0.03 * expected


def is_number(value):
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf" and bool(np.isfinite(value))
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def judge_head(answer, seed):
    """Return None if the head matters and the losses are as measured here; else a sentence."""
    for name in ("layer", "head"):  # two layers with two heads each
        if not is_number(answer[name]) or answer[name] not in (0, 1):
            return f"{name} must be 0 or 1, but is {answer[name]!r}."
    for name in ("predicted", "before", "after"):
        if not is_number(answer[name]) or answer[name] < 0:
            return f"{name} must be a loss, a number of at least 0, but is {answer[name]!r}."
    _, _, base, losses = copier()
    layer, head = int(answer["layer"]), int(answer["head"])
    if not close(answer["before"], base):
        return (
            f"`before` is {float(answer['before']):.4g}. With all heads on, we measured another "
            "loss. Did you use train_copier() with seed 0, 200 texts with the seed 1000, and "
            "first = 8?"
        )
    if not close(answer["after"], losses[layer, head]):
        return (
            f"`after` is {float(answer['after']):.4g}. Without head {head} of layer {layer}, we "
            "measured another loss. Are layer and head in the right order?"
        )
    if losses[layer, head] - base < 0.5:
        return (
            f"the losses are right, but head {head} of layer {layer} does hardly anything here: "
            "without it the loss is nearly the same. Find one that matters."
        )
    if abs(float(answer["predicted"]) - losses[layer, head]) < 5e-3:
        return (
            "your prediction is the measured number to the last digit. Write down what you "
            "expected *before* you measured. It may be wrong: most are."
        )
    return _too_short("why", answer["why"], 15)


def judge_place(answer, seed):
    """Return None if it was found that the head goes by place; else a sentence."""
    for name in ("predicted", "found"):
        if answer[name] not in ("place", "content"):
            return f'{name} must be "place" or "content", but is {answer[name]!r}.'
    if not is_number(answer["loss"]):
        return f"loss must be a number, but is {answer['loss']!r}."
    ours, model, *_ = copier()
    expected = ours.loss_from(model, ours.copy_texts(np.random.default_rng(TEXTS_SEED), 200, 5), 5)
    if not close(answer["loss"], expected):
        return (
            f"the loss is {float(answer['loss']):.4g}, but we measured another one. It is that of "
            "train_copier(), on 200 texts with the seed 1000 and distance 5, with first = 5."
        )
    if answer["found"] != "place":
        return (
            f"the loss is right: {expected:.2f}. But think again: a model that guesses has "
            "ln 8 = 2.08. If the head had found the same token in the text, where would it have "
            "looked, and what would the loss be?"
        )
    return _too_short("why", answer["why"], 15)


def _too_short(name, text, n_words):
    if not isinstance(text, str):
        return f"{name} must be a text."
    if len(text.split()) < n_words:
        return f"{name} has {len(text.split())} words. Say more, at least {n_words} words."
    return None


def judge_project(answer, seed):
    """Return None if the form of the report is right; else a sentence."""
    report = answer["report"]
    if not isinstance(report, dict):
        return "return a dict, with the entries that the docstring names."
    entries = ("question", "change", "prediction", "seeds", "without", "with", "conclusion")
    if missing := [name for name in entries if name not in report]:
        return f"the report has no entry {', '.join(map(repr, missing))}."
    for name in ("question", "change", "prediction", "conclusion"):
        if sentence := _too_short(name, report[name], 25 if name == "conclusion" else 8):
            return sentence
    for name in ("seeds", "without", "with"):
        values = report[name]
        values = list(values) if isinstance(values, list | tuple | np.ndarray) else []
        if len(values) != 3 or not all(map(is_number, values)):
            return f"{name} must be a list of three numbers, one for each seed."
        if len({float(value) for value in values}) < (3 if name == "seeds" else 2):
            if name == "seeds":
                return "the three seeds must be different."
            return (
                f"the three numbers of {name!r} are the same. Did the seed reach the model? With "
                "another seed, some digit is different."
            )
    if [float(v) for v in report["with"]] == [float(v) for v in report["without"]]:
        return "`with` and `without` are the same numbers. Did your change have any effect?"
    if not any(letter.isdigit() for letter in report["conclusion"]):
        return "the conclusion has no number in it. Say what it rests on."
    return None


EXERCISES = [
    Exercise(
        "12.1", "distance_share", "An attention map",
        hints=(
            "Where in the map do the keys stand that are one place before their query?",
            "On a diagonal below the main one. np.diagonal has an offset, which may be negative.",
            "np.diagonal(weights, -distance, axis1=-2, axis2=-1), then the mean of the last axis.",
        ),
        idea="A relation between two places is a set of cells of the map. Here it is a diagonal, "
        "and its length is the number of queries that count. A loop over i ≥ distance is right, "
        "too.",
        inputs=("weights", "distance"), outputs=("shares",), cases=maps, mistakes=SHARE,
    ),
    Exercise(
        "12.2", "induction_share", "A head that looks for something",
        hints=(
            "Make a table (T, T) of True and False: which keys count for which query?",
            "Key k counts for query i if ids[k − 1] == ids[i] and k < i. Key 0 never does.",
            "after[:, 1:] = ids[:, None] == ids[None, :-1]; then `&` np.tri(T, k=-1, dtype=bool). "
            "Sum over the keys, mean over the queries with after.any(axis=1).",
        ),
        idea="miniGPT's own `relations` makes such a table for each relation with a name, and "
        "`score_heads` computes the shares of all heads.",
        inputs=("weights", "ids"), outputs=("shares",), cases=maps_of_ids, mistakes=INDUCTION,
    ),
    Exercise(
        "12.3", "lens", "The logit lens",
        hints=(
            "A list of L + 1 arrays (T, C), and the same three steps for each.",
            "The start is seen.embedding; after a block it is block.output.",
            "p = softmax(model.head.forward(model.final_norm.forward(stream))); then argmax and "
            "max along the last axis.",
        ),
        idea="The stream keeps its meaning from block to block, since each block only adds to it. "
        "So the last norm and the head can read it anywhere. miniGPT has it as `logit_lens`.",
        inputs=("ids", "sizes"), outputs=("tokens", "probabilities"), cases=models, call=run_lens,
        mistakes=LENS, shown=("ids",),
    ),
    Exercise(
        "12.4", "switch_off", "Switching a head off",
        hints=(
            "`joined` has the numbers of all heads side by side. Which part of W_o do those of "
            "head h meet?",
            "Row r of W_o is multiplied by number r of `joined`. Head h has D numbers.",
            "other = copy.deepcopy(model); set rows head * D to (head + 1) * D of its "
            "projection.weight to 0; return other.",
        ),
        idea="The head still attends, but nobody hears it. `minigpt.inside.without_heads` does "
        "the same without copying all weights: `return without_heads(model, [(layer, head)])`.",
        inputs=("layer", "head", "sizes", "ids"), cases=models, call=run_switch_off,
        outputs=("logits", "logits_of_the_model_itself"), mistakes=OFF, shown=("layer", "head"),
    ),
    Exercise(
        "12.5", "losses_without", "Switching a head off",
        hints=(
            "Write a function for the loss of one model first, then call it 1 + L H times.",
            "logits, _ = model.forward(ids[:, :-1]). The guess of ids[:, first] is at first − 1.",
            "cross_entropy wants (N, V) and (N,): reshape(-1, V) and reshape(-1).",
        ),
        idea="One head at a time: what a head does together with others is not seen. Two heads "
        "that do the same look useless one by one.",
        inputs=("ids", "first", "sizes"), outputs=("base", "losses"), cases=models,
        call=run_losses, mistakes=LOSSES, includes=("12.4",), shown=("ids", "first"),
    ),
    Exercise(
        "12.6", "my_head", "Predict, switch off, measure",
        hints=(
            "`python lesson_12.py look` prints where each head looks. Which has one clear place?",
            "Write your prediction down. Then `python lesson_12.py off` prints the losses.",
            "Return layer, head, your prediction, the loss with all heads, the loss without that "
            "one, and why. 2.08 is a guess; what would make it lower or higher?",
        ),
        idea="Without its head the model is not ignorant but wrong: what comes later still "
        "expects what the head used to bring. So the loss is above that of guessing.",
        outputs=("layer", "head", "predicted", "before", "after", "why"), judge=judge_head,
    ),
    Exercise(
        "12.7", "place_or_content", "A pattern is not a mechanism",
        hints=(
            "In training, the token to copy was always equally far back.",
            "What would each kind of head do on a text that repeats after 5 tokens?",
            "By content, the loss stays small. Measure it with `python lesson_12.py move`.",
        ),
        idea="Two mechanisms make nearly the same map on the texts of the training. Only a text on "
        "which they differ can tell them apart.",
        outputs=("predicted", "found", "loss", "why"), judge=judge_place,
    ),
    Exercise(
        "12.8", "project", "A project of your own",
        hints=(
            "Choose the smallest change that you can predict something about.",
            "Write the prediction into the file before the first run. Change one thing.",
            "train_copier(seed, …) for seeds 0, 1, 2, as it is and with your change, and the loss "
            "of each on the same texts.",
        ),
        idea="Ours asks for the number of layers, and its prediction was wrong. What makes it a "
        "good report is that one can see so.",
        outputs=("report",), judge=judge_project, judged="the form; a person reads the rest",
        points=2,
    ),
]  # fmt: skip
