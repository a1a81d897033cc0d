"""Every public function with what it cannot take: the error names the argument and what it is."""

import math

import numpy as np
import pytest
from tiny import tiny_model

import minigpt
from minigpt import (
    GELU,
    SGD,
    AdamW,
    BPETokenizer,
    CharTokenizer,
    Corpus,
    Dataset,
    Dropout,
    Embedding,
    Evaluation,
    FeedForward,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    PositionalEncoding,
    ReLU,
    Sampling,
    Settings,
    TransformerBlock,
    check_gradients,
    clip_gradients,
    complete,
    cross_entropy,
    evaluate,
    generate,
    get_batch,
    load_corpus,
    preset,
    softmax,
    split_text,
    stream,
    stream_text,
    token_array,
    train,
    warmup_cosine,
)
from minigpt.core.cache import KVCache
from minigpt.core.generation import new_cache
from minigpt.fast.replicas import Replicas
from minigpt.training.freezing import freeze

NAN, INF = math.nan, math.inf
TOKENIZER = CharTokenizer().train("my dear")
DATA = np.arange(400) % 8
DATASET = Dataset("counting", DATA, DATA[:50], 50)
SETTINGS = Settings(steps=2, batch_size=2, block_size=4, threads=1, eval_tokens=20)


def small(**changes):
    return tiny_model(**{"vocab_size": 8, "d_model": 4, "n_heads": 2, **changes})


MODEL = small()


def broken():
    model = small()
    model.flat.params[...] = NAN
    return model


def draw(logits):
    return Sampling().choose(logits, np.random.default_rng(0))


def calls(function, *arguments, **cases):
    """Return (function, its arguments, one of them replaced by a bad one, its name) for each."""
    return [
        pytest.param(function, arguments, {name: value}, id=f"{function.__name__} {name}={value!r}")
        for name, values in cases.items()
        for value in values
    ]


BAD = [
    *calls(small, vocab_size=[0, -1, 1.5, "9", None, True], max_len=[0, "8"], n_layers=[0, "2"]),
    *calls(small, d_model=[0, 13, 1.0, NAN], n_heads=[0, 3, "3", 1.5], dtype=["int32", None, "xy"]),
    *calls(small, activation=["silu", None, ["gelu"]], dropout=[1, -0.1, NAN, "x", None]),
    *calls(small, seed=[-1, "a", 1.5, NAN]),
    *calls(generate, MODEL, [[1]], 2, temperature=[-1, NAN, INF, "x", None, True]),
    *calls(generate, MODEL, [[1]], 2, top_k=[0, 1.5, "x", NAN], top_p=[0, 2, NAN, "x"]),
    *calls(generate, MODEL, [[1]], 2, min_p=[-1, 2, NAN, "x"], repetition_penalty=[0, NAN, None]),
    *calls(generate, MODEL, [[1]], 2, seed=[-1, "a", 1.5], stop=[8, -1, "x", 1.5, [1, 8], [[1]]]),
    *calls(stream, MODEL, [[1]], 2, sampling=[3, {"temperature": 1}], seed=["x"]),
    *calls(complete, MODEL, TOKENIZER, ["my"], 2, n_samples=[0, "x"], stop=["x", [""], [3], 3]),
    *calls(complete, MODEL, TOKENIZER, ["my"], 2, seed=["a", -1], sampling=[3]),
    *calls(evaluate, MODEL, DATA, block_size=[0, -1, 9, 1.5, "x"], batch_size=[0, -1, "x", 1.5]),
    *calls(evaluate, MODEL, DATA, max_tokens=[0, -1, "x", 1.5], stride=[0, 8, 1.5, "x"]),
    *calls(lambda **bad: get_batch(DATA, batch_size=2, **bad), block_size=[0, -1, 1.5, 10**9]),
    *calls(get_batch, DATA, 4, batch_size=[0, -1, 1.5, "x", None]),
    *calls(get_batch, DATA, 4, 2, rng=[3, "x"]),
    *calls(token_array, [1, 2], vocab_size=[0, -1, "x", 2.5, None]),
    *calls(split_text, "abc", val_fraction=[0, 1, -1, NAN, "x", None]),
    *calls(AdamW, MODEL, beta1=[1, -1, NAN, "x"], beta2=[1, "x"], eps=[0, -1, NAN, "x"]),
    *calls(AdamW, MODEL, weight_decay=[-1, NAN, INF, "x"]),
    *calls(AdamW(small()).step, learning_rate=[NAN, INF, -1, "x", None]),
    *calls(SGD(small()).step, learning_rate=[NAN, INF, -1, "x", None]),
    *calls(clip_gradients, np.ones(3), max_norm=[0, -1, NAN, "x", None]),
    *calls(Linear, 3, d_out=[0, -1, "x", None, 1.5]),
    *calls(Linear, 3, 4, seed=["x", -1]),
    *calls(Embedding, 5, d_model=[0, "x", None]),
    *calls(PositionalEncoding, 5, d_model=[0, "x", None]),
    *calls(LayerNorm, d_model=[0, -1, "x", None, 1.5]),
    *calls(MultiHeadAttention, 4, n_heads=[0, 3, "x", None, 1.5, NAN]),
    *calls(FeedForward, 4, d_ff=[0, -1, "x", None, 1.5]),
    *calls(FeedForward, 4, 8, activation=["silu", None, ["x"]], dropout=[1, NAN, "x"]),
    *calls(TransformerBlock, 4, 2, d_ff=[0, "x"]),
    *calls(Sampling, temperature=[-1, NAN, "x", None], top_k=[0, "x"], top_p=[0, "x"]),
    *calls(
        Settings, steps=[0, -1, 1.5, "x", None, True, 2**63], batch_size=[0], block_size=[0, -1]
    ),
    *calls(Settings, n_layers=[0], n_heads=[0], d_model=[0, -1], d_ff=[0], vocab_size=[0, -1]),
    *calls(Settings, dropout=[1, -1, NAN], learning_rate=[0, NAN, INF, -1], clip=[0, NAN]),
    *calls(Settings, final_learning_rate=[-1, NAN, INF], weight_decay=[-1, NAN, INF], beta1=[1]),
    *calls(
        Settings, data=[(), "x", None, (1,)], seed=[-1, 2**63], threads=[-1, 10**9], warmup=[-1]
    ),
    *calls(Settings, prompt=[None, "\ud800"], tie_weights=[1], init_from=[3], freeze=[-1, 1]),
    *calls(train, MODEL, DATASET, SETTINGS, start=[-1, "x", 1.5], optimizer=[3, "adamw"]),
    *calls(train, MODEL, DATASET, SETTINGS, tokenizer=[3, "bpe"]),
    *calls(train, MODEL, DATASET, settings=[None, {}, 3]),
    *calls(Replicas, MODEL, n_threads=[-1, "x", 1.5, 10**9, None]),
    *calls(freeze, MODEL, n_blocks=[0, -1, 3, "x", 1.5, None, True]),
    *calls(KVCache, shape=[3, (1, 2, 3), "x"]),
    *calls(new_cache, MODEL, batch_size=[0, -1, "x", None]),
]


@pytest.mark.parametrize(("function", "arguments", "bad"), BAD)
def test_error_names_the_invalid_argument(function, arguments, bad):
    (name,) = bad
    with pytest.raises((TypeError, ValueError), match=name):
        list(function(*arguments, **bad) or [])


LAYERS = {
    Linear: ((4, 3), "x must"),
    PositionalEncoding: ((5, 4), "x must"),
    LayerNorm: ((4,), "x must"),
    GELU: ((), "x must be an array of floats"),
    ReLU: ((), "x must be an array of floats"),
    Dropout: ((0.5,), "x must be an array of floats"),
    MultiHeadAttention: ((4, 2), "x must"),
    FeedForward: ((4, 8), "x must"),
    TransformerBlock: ((4, 2, 8), "x must"),
}


@pytest.mark.parametrize(
    "x", [[[1.0, 2, 3, 4]], "x", None, 3, np.float32(3), np.array(2.0), np.ones((1, 2, 4), int)]
)
@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_layers_refuse_what_is_not_an_array_of_floats(kind, x):
    with pytest.raises(TypeError, match="x must be an array of floats, got"):
        kind(*LAYERS[kind][0]).forward(x)


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_layers_refuse_vectors_of_another_length(kind):
    if kind in (GELU, ReLU, Dropout):  # which take any
        assert kind(*LAYERS[kind][0]).forward(np.ones((2, 7))).shape == (2, 7)
        return
    with pytest.raises(ValueError, match=r"x must have the shape \(.*, 4\), got \(1, 2, 7\)"):
        kind(*LAYERS[kind][0]).forward(np.ones((1, 2, 7)))


@pytest.mark.parametrize("kind", [MultiHeadAttention, PositionalEncoding, TransformerBlock])
@pytest.mark.parametrize("shape", [(2, 4), (1, 0, 4), (0, 3, 4), (1, 1, 2, 4)])
def test_layers_over_time_require_three_axes(kind, shape):
    with pytest.raises(ValueError, match=r"x must have the shape \(batch, time, 4\)"):
        kind(*LAYERS[kind][0]).forward(np.ones(shape))


@pytest.mark.parametrize("kind", [Linear, FeedForward, LayerNorm, GELU])
def test_layers_of_single_tokens_accept_any_number_of_axes(kind):
    layer = kind(*LAYERS[kind][0])
    y = layer.forward(np.ones((0, 4)))
    assert y.shape[0] == 0
    assert layer.backward(np.ones(y.shape)).shape == (0, 4)


@pytest.mark.parametrize("kind", [*LAYERS, Embedding], ids=lambda kind: kind.__name__)
def test_backward_refuses_another_shape_than_y(kind):
    layer = kind(6, 4) if kind is Embedding else kind(*LAYERS[kind][0])
    y = layer.forward(np.array([[0, 1]]) if kind is Embedding else np.ones((1, 2, 4)))
    layer.backward(np.ones(y.shape))
    for shape in [(1, 3, 4), (1, 2, 5), (2, 2, y.shape[-1]), (2, y.shape[-1])]:
        with pytest.raises(ValueError, match="dy must have the shape of the latest y"):
            layer.backward(np.ones(shape))
    for dy in ("x", None, 3.0, np.ones(y.shape, int)):
        with pytest.raises(TypeError, match="dy must be an array of floats"):
            layer.backward(dy)


def over(model):
    with Replicas(model, 2) as replicas:
        return replicas.learn(np.ones((2, 3), int), np.ones((1, 3), int))


def backward_of(shape):
    model = small()
    model.forward([[1, 2, 3]])
    model.backward(np.ones(shape))


def extend(shape):
    return KVCache((1, 2, 4, 3)).extend(np.ones(shape), np.ones(shape))


def with_seen(seen):
    return Sampling(repetition_penalty=2).scores(np.zeros((1, 3)), seen)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        *((lambda f=f: f(3, [[1]], 2), TypeError, "model must be") for f in (generate, stream)),
        *((lambda d=d: list(train(MODEL, d, SETTINGS)), TypeError, "dataset must be a Dataset")
          for d in (None, 3, DATA)),
        *((lambda n=n: preset(n), ValueError, "unknown preset") for n in ("demmo", None, 3, [])),
        (lambda: complete(3, TOKENIZER, ["my"], 2), TypeError, "model must be a miniGPT"),
        (lambda: complete(MODEL, 3, ["my"], 2), TypeError, "tokenizer must be a Tokenizer"),
        (lambda: complete(MODEL, TOKENIZER, None, 2), TypeError, "prompts must be a list"),
        (lambda: complete(MODEL, TOKENIZER, [], 2), ValueError, "at least one text, got none"),
        (lambda: complete(MODEL, TOKENIZER, [3], 2), TypeError, "text must be a str"),
        (lambda: complete(MODEL, CharTokenizer(), ["m"], 2), RuntimeError, "knows no tokens"),
        (lambda: complete(small(vocab_size=3), TOKENIZER, ["dear"], 2), ValueError, "knows only 3"),
        (lambda: stream_text(TOKENIZER, None), TypeError, "tokens must be token ids"),
        (lambda: stream_text(3, [1]), TypeError, "tokenizer must be a Tokenizer"),
        (lambda: list(stream_text(TOKENIZER, [99])), ValueError, "99 is not in the vocabulary"),
        *((lambda c=c: generate(MODEL, c, 2), ValueError, "context must have the shape")
          for c in ([], [[]], "abc", None, 3, [1, 2], [[[1]]])),
        (lambda: generate(MODEL, [["a"]], 2), TypeError, "token ids must be integers"),
        (lambda: generate(MODEL, [[NAN]], 2), TypeError, "token ids must be integers"),
        (lambda: generate(MODEL, [[-1]], 2), ValueError, "token ids must be from 0 to 7, got -1"),
        *((lambda n=n: generate(MODEL, [[1]], n), (TypeError, ValueError), "max_new_tokens must")
          for n in (0, -1, 1.5, "3", None, True)),
        (lambda: generate(broken(), [[1]], 2), ValueError, "not all numbers: the weights"),
        (lambda: generate(broken(), [[1]], 2, temperature=0), ValueError, "not all numbers"),
        (lambda: draw(np.full((1, 3), -INF)), ValueError, "not all numbers"),
        (lambda: Sampling().choose(np.zeros((1, 3)), 3), TypeError, "rng must be a"),
        (lambda: draw("x"), TypeError, "logits must be an array of numbers"),
        (lambda: draw(np.zeros(3)), ValueError, "logits must have the shape"),
        (lambda: draw(np.zeros((2, 0))), ValueError, "at least one number"),
        (lambda: with_seen(np.zeros((1, 4), bool)), ValueError, "seen must have the shape"),
        (lambda: evaluate(3, DATA), TypeError, "model must be a miniGPT"),
        *((lambda d=d: evaluate(MODEL, d), (TypeError, ValueError), "data must|at least 2 tokens")
          for d in ([], [1], None, 3, "abc", [1.0, 2.0], [[1, 2], [3, 4]], ["a", "b"])),
        (lambda: evaluate(MODEL, [1, 8]), ValueError, "must be from 0 to 7, got 8"),
        *((lambda d=d: get_batch(d, 4, 2), (TypeError, ValueError), "data (must|has)")
          for d in ([], [1], None, 3, "abc", [1.0] * 9, np.zeros((9, 2), int), ["a"] * 9)),
        *((lambda d=d: token_array(d, 9), (TypeError, ValueError), "must")
          for d in ([9], [-1], ["a"], [1.5], 3, [[1, 2]], [2**40])),
        (lambda: split_text(3), TypeError, "text must be a str"),
        (lambda: load_corpus("plays"), TypeError, r"write \['plays'\]"),
        (lambda: load_corpus(None), TypeError, "sources must be a list"),
        (lambda: load_corpus([]), ValueError, "there is no text"),
        (lambda: Dataset.from_corpus(Corpus("x", "", ""), CharTokenizer()), RuntimeError, "train"),
        *((lambda f=f: f(3), TypeError, "model must be a miniGPT") for f in (AdamW, SGD, Replicas)),
        (lambda: freeze(3, 1), TypeError, "model must be a miniGPT"),
        (lambda: clip_gradients([1.0], 1), TypeError, "grads must be an array of floats"),
        (lambda: clip_gradients(np.ones(2, int), 1), TypeError, "grads must be an array of floats"),
        (lambda: clip_gradients(np.ones((2, 2)), 1), ValueError, "grads must be one flat array"),
        (lambda: warmup_cosine(-1, 10, 0, 1, 0), ValueError, "step must be from 0 to steps"),
        (lambda: warmup_cosine(11, 10, 0, 1, 0), ValueError, "step must be from 0 to steps"),
        (lambda: warmup_cosine("x", 10, 0, 1, 0), TypeError, "step must be a whole number"),
        (lambda: warmup_cosine(1, 10, -1, 1, 0), ValueError, "warmup at least 0"),
        (lambda: warmup_cosine(1, 10, 0, NAN, 0), ValueError, "peak must be 0 or more"),
        *((lambda x=x: softmax(x), TypeError, "x must be an array of numbers")
          for x in ("x", None, 3, [1.0, 2.0], np.array(["a"]))),
        *((lambda x=x: softmax(x), ValueError, "at least one number")
          for x in (np.zeros(0), np.zeros((3, 0)), np.array(1.0))),
        (lambda: cross_entropy("x", [1]), TypeError, "logits must be an array of numbers"),
        (lambda: cross_entropy(np.zeros((2, 0)), [0, 0]), ValueError, "at least one number"),
        (lambda: cross_entropy(np.zeros((2, 3)), [0.0, 1]), TypeError, "targets must be integers"),
        (lambda: cross_entropy(np.zeros((2, 3)), [0, 3]), ValueError, "from 0 to 2"),
        (lambda: cross_entropy(np.zeros((2, 3)), [0]), ValueError, "one id for each position"),
        (lambda: cross_entropy(np.zeros((0, 3)), np.zeros(0, int)), ValueError,
         "targets must not be empty"),
        (lambda: MODEL.forward("abc"), TypeError, "token ids must be integers"),
        (lambda: MODEL.forward([]), TypeError, "token ids must be integers"),
        (lambda: MODEL.forward([1, 2]), ValueError, r"shape \(batch, time\)"),
        (lambda: MODEL.forward([[0] * 9]), ValueError, "9 tokens do not fit into the context"),
        (lambda: MODEL.forward([[1]], cache=new_cache(MODEL, 2)), ValueError, "is for 2 texts"),
        (lambda: small().backward(), RuntimeError, "needs a loss: call forward"),
        (lambda: backward_of((1, 2, 8)), ValueError, r"latest y, \(1, 3, 8\), got \(1, 2, 8\)"),
        (lambda: extend((1, 2, 5, 3)), ValueError, "for 1 texts of 4 tokens"),
        (lambda: extend((1, 2, 1, 4)), ValueError, "2 heads of 3 numbers"),
        (lambda: list(train(3, DATASET, SETTINGS)), TypeError, "model must be a miniGPT"),
        (lambda: list(train(broken(), DATASET, SETTINGS)), ArithmeticError, "the loss is nan"),
        (lambda: over(small()), ValueError, "same number of rows, got 2 and 1"),
        (lambda: Replicas(small(), 2).learn(np.ones((2, 3), int), np.ones((2, 3), int)),
         RuntimeError, "within a `with` block"),
        (lambda: check_gradients(3, np.ones(3)), TypeError, "forward"),
        (lambda: Settings().replace({"stepps": 3}), ValueError, "did you mean 'steps'"),
        (lambda: BPETokenizer().encode("x"), RuntimeError, "knows no tokens yet"),
        (lambda: small().save_pretrained("x", 3), TypeError, "tokenizer must be a Tokenizer"),
    ],
)  # fmt: skip
def test_error_says_what_is_wrong(call, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        call()
    assert list(tmp_path.iterdir()) == []


def test_word_perplexity_of_a_text_without_words():
    empty = Evaluation.of(1.0, 3, "")
    assert math.isnan(empty.word_perplexity)
    assert math.isnan(empty.bits_per_byte)
    assert math.isnan(empty.bits_per_character)
    assert Evaluation.of(1.0, 3, "ab").bits_per_byte == pytest.approx(1.5 / math.log(2))


def test_public_names_exist():
    for name in minigpt.__all__:
        assert getattr(minigpt, name).__doc__
