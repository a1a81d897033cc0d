"""The same numbers give the same result, to the bit, in any memory layout."""

import copy

import numpy as np
import pytest
from layouts import LAYOUTS, read_only
from tiny import tiny_model

from minigpt import (
    GELU,
    AdamW,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    PositionalEncoding,
    ReLU,
    Sampling,
    TransformerBlock,
    clip_gradients,
    cross_entropy,
    evaluate,
    get_batch,
    softmax,
    trace,
)
from minigpt.core.cache import KVCache
from minigpt.core.functional import (
    attention,
    attention_backward,
    cross_entropy_backward,
    softmax_backward,
)
from minigpt.core.optim import gradient_norm
from minigpt.fast.attention import BLOCK_LENGTH, BlockedAttentionKept
from minigpt.fast.loss import head_loss
from minigpt.fast.replicas import Replicas
from minigpt.inside import most_selective, pca, relations, score_heads, strongest

V, C, T = 7, 12, 6
SHAPE = (3, T, C)
LAYERS = {
    "Linear": lambda: Linear(C, 5, seed=0),
    "Embedding": lambda: Embedding(V, 4, seed=0),
    "PositionalEncoding": lambda: PositionalEncoding(8, C, seed=0),
    "LayerNorm": lambda: LayerNorm(C),
    "GELU": GELU,
    "ReLU": ReLU,
    "Dropout": lambda: Dropout(0.4, seed=0),
    "MultiHeadAttention": lambda: MultiHeadAttention(C, 3, dropout=0.2, seed=0),
    "FeedForward": lambda: FeedForward(C, 20, dropout=0.2, seed=0),
    "FeedForward of ReLU": lambda: FeedForward(C, 20, "relu", seed=0),
    "TransformerBlock": lambda: TransformerBlock(C, 2, 20, dropout=0.2, seed=0),
}


def small(**options):
    return tiny_model(V, max_len=T, d_model=C, noise=0.3, **options)


def layer_subject(make):
    def run(x, ids, dy):
        layer = make()
        y = layer.forward(ids if isinstance(layer, Embedding) else x)
        dx = layer.backward(dy[..., : y.shape[-1]])
        return [y, dx, *layer.grads().values()]

    return run


def attended(x, ids, dy):
    q, k, v = (np.repeat(x[:, None], 40, axis=2)[..., i : i + 4].astype("f4") for i in (0, 4, 8))
    do = np.repeat(dy[:, None], 40, axis=2)[..., :4].astype("f4")
    o, kept = attention(*(LAYOUTS["first axes swapped"](each) for each in (q, k, v)))
    return [o, *attention_backward(do, kept), kept.weights]


def whole_model(x, ids, dy):
    model = small(tie_weights=True, dropout=0.2)
    logits, loss = model.forward(ids, targets=ids)
    model.backward()
    gradient = model.flat.grads.copy()
    model.forward(ids)
    model.backward(dy[..., :V])
    return [logits, loss, gradient, model.flat.grads]


def writable(x):
    other = np.empty_like(x)  # keeps the layout
    other[...] = x
    return other


def head(x, ids, dy):
    linear = Linear(C, V, bias=False, seed=0)
    return [*head_loss(linear, x, ids), linear.d_weight]


def replicas(x, ids, dy):
    model = small()
    with Replicas(model, 2) as both:
        return [both.learn(ids, ids), model.flat.grads]


def optimizer(x, ids, dy):
    model = small()
    adamw = AdamW(model)
    for name, gradient in model.grads().items():
        gradient[...] = np.resize(dy, gradient.shape) * (1 + len(name))
    adamw.step(0.1)
    return [model.flat.params]


def clipping(x, ids, dy):
    flat = writable(dy)[:, 0, 0]
    norm = gradient_norm(flat)
    return [norm, clip_gradients(flat, norm / 2), flat.astype("float32")]


def sampling(x, ids, dy):
    chosen = Sampling(0.8, top_k=5, top_p=0.9, min_p=0.01, repetition_penalty=1.2)
    seen = dy[:, 0] > 0
    rng = np.random.default_rng(0)
    probabilities = chosen.probabilities(x[:, 0], seen)
    return [probabilities, *chosen.choose(x[:, 0], rng, seen), np.exp(chosen.scores(x[:, 0]))]


def cached(x, ids, dy):
    cache = KVCache((3, T, 9, 4))
    first = cache.extend(x[..., None, :4], dy[..., None, :4])
    return [*first[:2], *cache.extend(x[..., None, 4:8], dy[..., None, 4:8])[:2]]


def texts(x, ids, dy):
    model, flat = small(), ids.reshape(-1)
    seen = trace(model, ids[0])
    batch = get_batch(flat, 4, 3, np.random.default_rng(0))
    written = model.generate(ids, 9, seed=0)
    return [written, evaluate(model, flat), *batch, seen.logits, seen.weights]


def analysis(x, ids, dy):
    weights = softmax(np.repeat(x[None, :, :1], T, axis=-2)[..., :T])
    return [
        *pca(x[0], 3),
        most_selective(x[0]),
        strongest(dy[:, 0, 0], apart=1),
        score_heads(weights, relations(ids[0])).values,
    ]


SUBJECTS = {
    **{name: layer_subject(make) for name, make in LAYERS.items()},
    "softmax": lambda x, ids, dy: [softmax(x), softmax(x, axis=0), softmax_backward(dy, x)],
    "cross_entropy": lambda x, ids, dy: [
        cross_entropy(x, ids),
        cross_entropy_backward(x, ids),
    ],
    "head_loss": head,
    "attention": attended,
    "miniGPT": whole_model,
    "Replicas": replicas,
    "AdamW": optimizer,
    "clip_gradients": clipping,
    "Sampling": sampling,
    "KVCache": cached,
    "generate, evaluate, get_batch, trace": texts,
    "analysis": analysis,
}


def arguments(dtype="float32"):
    rng = np.random.default_rng(3)
    x, dy = rng.normal(0, 2, (2, *SHAPE)).astype(dtype)
    return x, rng.integers(0, V, SHAPE[:2]), dy


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b, strict=isinstance(a, np.ndarray))
        assert np.isfinite(a).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_memory_layout_of_arguments_changes_no_result(subject, layout):
    lay = LAYOUTS[layout]
    others = [lay(each) for each in arguments()]
    plain = [np.array(each, each.dtype.newbyteorder("="), order="C") for each in others]
    before = copy.deepcopy(plain)
    same(SUBJECTS[subject](*others), SUBJECTS[subject](*plain))
    for left, given, laid in zip(plain, before, others, strict=True):
        np.testing.assert_array_equal(left, given)  # arguments do not change
        np.testing.assert_array_equal(laid, given)


@pytest.mark.parametrize("layout", ["Fortran", "strided", "backwards", "byte-swapped"])
@pytest.mark.parametrize("name", [name for name in LAYERS if LAYERS[name]().params()])
def test_memory_layout_of_parameters_changes_no_result(name, layout):
    x, ids, dy = arguments("float64")
    found = []
    for lay in (np.array, LAYOUTS[layout]):
        layer = LAYERS[name]()
        for _, owner, attribute in layer.slots():
            for each in (attribute, "d_" + attribute):
                setattr(owner, each, lay(getattr(owner, each)))
        y = layer.forward(ids if isinstance(layer, Embedding) else x)
        layer.backward(dy[..., : y.shape[-1]])
        found.append([y, *layer.grads().values()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


def test_blocked_attention_works_for_any_layout():
    x, _, dy = (
        np.random.default_rng(0).normal(size=(3, 2, 2 * BLOCK_LENGTH + 3, C)).astype("float32")
    )
    found = []
    for lay in (np.array, LAYOUTS["Fortran"], LAYOUTS["backwards"]):
        layer = MultiHeadAttention(C, 3, seed=0)
        found.append([layer.forward(lay(x)), layer.backward(lay(dy)), layer.qkv.d_weight])
        assert type(layer.kept) is BlockedAttentionKept
    same(found[0], found[1])
    same(found[0], found[2])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_ids_of_any_integer_type_are_accepted(dtype, layout):
    ids = LAYOUTS[layout](np.random.default_rng(0).integers(0, V, (3, T)).astype(dtype))
    plain = ids.astype(np.int64)
    data, plain_data = (each.reshape(-1) for each in (ids, plain))
    model = small()
    logits, loss = model.forward(ids, targets=ids)
    same([logits, loss], model.forward(plain, targets=plain))
    for context in (ids, list(ids), [ids[0], plain[1, :2]]):  # past the end of the context too
        written = model.generate(context, 2 * T, seed=0)
        assert written.dtype == np.int64
        same([written], [model.generate([row.astype(int) for row in context], 2 * T, seed=0)])
    same([evaluate(model, data, stride=2)], [evaluate(model, plain_data, stride=2)])
    for one, other in zip(
        get_batch(data, 3, 4, np.random.default_rng(0)),
        get_batch(plain_data, 3, 4, np.random.default_rng(0)),
        strict=True,
    ):
        same([one], [other])
    scores = np.random.default_rng(0).normal(size=(3, T, V))
    same([cross_entropy_backward(scores, ids)], [cross_entropy_backward(scores, plain)])


@pytest.mark.parametrize("ids", [np.ones((2, 3)), np.ones((2, 3), bool), [[0.0]], [["a"]]])
def test_ids_that_are_not_integers_are_refused(ids):
    model, logits = small(), np.zeros((2, 3, V), np.float32)
    for use in (
        lambda: model.forward(ids),
        lambda: model.generate(ids, 1),
        lambda: cross_entropy(logits, ids),
        lambda: cross_entropy_backward(logits, ids),
        lambda: Embedding(V, 2).forward(ids),
        lambda: evaluate(model, np.ravel(ids)),
        lambda: get_batch(np.ravel(ids), 1, 1),
    ):
        with pytest.raises(TypeError, match=r"must be (integers|token ids)"):
            use()


ELEMENTWISE = ["Linear", "LayerNorm", "GELU", "ReLU", "Dropout", "FeedForward"]


@pytest.mark.parametrize("shape", [(0, C), (2, 0, C), (0, 3, C)])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_layers_accept_zero_rows(name, shape):
    layer, x = LAYERS[name](), np.zeros(shape, np.float32)
    y = layer.forward(x)
    assert y.shape[:-1] == shape[:-1]
    assert layer.backward(y).shape == shape
    assert all((gradient == 0).all() for gradient in layer.grads().values())


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3, 0)])
@pytest.mark.parametrize("kind", [GELU, ReLU, lambda: Dropout(0.5)])
def test_functions_accept_rows_of_zero_length(kind, shape):
    layer = kind()
    assert layer.forward(np.zeros(shape)).shape == layer.backward(np.zeros(shape)).shape == shape


def test_empty_ids_and_scores_are_accepted():
    embedding = Embedding(V, 4)
    assert embedding.forward(np.zeros((2, 0), int)).shape == (2, 0, 4)
    embedding.d_weight[...] = 1
    embedding.backward(np.zeros((2, 0, 4), np.float32))
    assert not embedding.d_weight.any()
    assert softmax(np.zeros((0, 3))).shape == (0, 3)
    tokens, log_probs = Sampling(top_p=0.9).choose(np.zeros((0, V)), np.random.default_rng(0))
    assert tokens.shape == log_probs.shape == (0,)
    assert clip_gradients(np.zeros(0), 1.0) == 0


NOTHING = np.zeros((0, V), np.float32), np.zeros(0, int)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: softmax(np.zeros((3, 0))), "at least one number per row"),
        (lambda: softmax(np.zeros((0, 3)), axis=0), "at least one number per row"),
        (lambda: cross_entropy(*NOTHING), "targets must not be empty"),
        (lambda: cross_entropy_backward(*NOTHING), "targets must not be empty"),
        (
            lambda: head_loss(Linear(C, V, bias=False), np.zeros((0, C)), NOTHING[1]),
            "targets must not be empty",
        ),
        (lambda: MultiHeadAttention(C, 2).forward(np.zeros((2, 0, C))), "must have the shape"),
        (lambda: PositionalEncoding(2, C).forward(np.zeros((0, 2, C))), "must have the shape"),
        (lambda: small().forward(np.zeros((0, 3), int)), "ids must have the shape"),
        (lambda: small().forward(np.zeros((3, 0), int)), "ids must have the shape"),
        (lambda: small().generate(np.zeros((2, 0), int), 1), "at least one token in each row"),
        (lambda: evaluate(small(), NOTHING[1]), "at least 2 tokens"),
        (lambda: get_batch(NOTHING[1], 2, 2), "data has 0 tokens"),
        (lambda: trace(small(), NOTHING[1]), "at least one token"),
    ],
)
def test_empty_input_without_a_result_is_refused(use, message):
    with pytest.raises(ValueError, match=message):
        use()


def test_read_only_arrays_to_overwrite_are_refused():
    with pytest.raises(ValueError, match="grads must be writable"):
        clip_gradients(read_only(np.ones(3)), 0.1)


# --------------------------------------------------------------------------- other kinds of arrays


PUBLIC = [*LAYERS, "softmax", "cross_entropy", "head_loss", "miniGPT", "Replicas", "Sampling"]


@pytest.mark.parametrize("subject", [*PUBLIC, "generate, evaluate, get_batch, trace"])
def test_masked_arrays_with_masked_entries_are_refused(subject):
    masked = [np.ma.masked_array(x, np.arange(x.size) == 3) for x in arguments()]
    with pytest.raises(TypeError, match=r"1 masked entries, .*pass x.compressed"):
        SUBJECTS[subject](*masked)


def test_masked_arrays_without_masked_entries_are_accepted():
    x, ids, _ = arguments()
    whole = np.ma.masked_array(x, np.zeros(x.shape, bool))
    np.testing.assert_array_equal(softmax(whole), softmax(x))
    written = small().generate(np.ma.masked_array(ids), 2, seed=0)
    np.testing.assert_array_equal(written, small().generate(ids, 2, seed=0))


def test_float16_sums_do_not_overflow():
    zeros = np.zeros((2, 70_000), np.float16)
    assert cross_entropy(zeros, np.array([0, 1])) == pytest.approx(np.log(70_000))
    np.testing.assert_allclose(softmax(zeros).sum(axis=-1), 1, rtol=1e-5)
    gradient = cross_entropy_backward(zeros, np.array([0, 1]))
    np.testing.assert_allclose(gradient[0, :2], [-0.5, 0.5 / 70_000], rtol=1e-4)
    x = (np.arange(140_000).reshape(2, -1) % 601 - 300).astype(np.float16)
    layer = LayerNorm(70_000)
    np.testing.assert_array_equal(layer.forward(x), layer.forward(x.astype(np.float32)))


@pytest.mark.parametrize(
    ("dy", "y", "error", "message"),
    [
        (np.ones((2, 3)), np.ones(3), ValueError, "dy must have the shape of the latest y"),
        ([1.0], [1.0], TypeError, "y must be an array of numbers"),
        (np.ones((2, 3), bool), np.ones((2, 3)), TypeError, "dy must be an array of floats"),
        (np.array(1.0), np.array(1.0), ValueError, "at least one number per row"),
    ],
)
def test_softmax_backward_refuses_invalid_arguments(dy, y, error, message):
    with pytest.raises(error, match=message):
        softmax_backward(dy, y)
