"""Wrong arguments of public functions end in an error that says what was expected."""

import contextlib
import inspect
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from tiny import tiny_model

import minigpt
import minigpt.runs
from minigpt import (
    SGD,
    AdamW,
    CharTokenizer,
    Linear,
    Sampling,
    Settings,
    complete,
    evaluate,
    get_batch,
    miniGPT,
    softmax,
    split_text,
    trace,
)
from minigpt import inside as analysis
from minigpt.inside import slow_step
from minigpt.inside.trace_in_words import walk
from minigpt.show.figures import attention_maps as attention
from minigpt.show.figures import attribution_bars as view_of_attribution
from minigpt.show.figures import embedding_map as embeddings
from minigpt.show.figures import head_table as heads
from minigpt.show.figures import layer_curves as layers
from minigpt.show.figures import lens_table as lens
from minigpt.show.figures import loss_curves as training
from minigpt.show.figures import loss_in_terminal as text
from minigpt.show.figures import neuron_texts as neurons
from minigpt.show.figures import next_token as probabilities
from minigpt.show.figures import over_time as checkpoints
from minigpt.show.figures import residual_stream as stream
from minigpt.show.figures import slow_motion as view_of_slow_step
from minigpt.show.figures import surprise_text as surprise
from minigpt.show.figures import token_cells as tokens

TEXT = "hello dear\nworld abc"
TOKENIZER = CharTokenizer().train(TEXT)
V = TOKENIZER.vocab_size
MODEL = tiny_model(V, max_len=16)
TRACE = trace(MODEL, "hello dear", TOKENIZER)
ACTIVATIONS = analysis.neuron_activations(MODEL, TRACE.ids, 0)
BATCH = np.arange(10).reshape(2, 5) % V
STEP = slow_step.slow_step(MODEL, BATCH, BATCH, AdamW(MODEL), 1e-3)
OF_ALL = {
    "model": MODEL,
    "trace": TRACE,
    "tokenizer": TOKENIZER,
    "position": -1,
    "layer": 0,
    "head": 1,
    "seed": 0,
    "text": "hello dear",
    "token": 1,
    "against": 2,
}
"""What most functions take, by name."""
CALLS = [
    (analysis.without_heads, {"heads": [(0, 0)]}),
    (analysis.attribute, {}),
    (analysis.relations, {"ids": TRACE.ids, "pieces": TRACE.pieces}),
    (analysis.score_heads, {"weights": TRACE.weights, "related": analysis.relations(TRACE.ids)}),
    (analysis.repeated_tokens, {}),
    (analysis.head_scores, {"n_texts": 1}),
    (analysis.logit_lens, {"last": 3}),
    (analysis.neuron_activations, {"ids": TRACE.ids}),
    (analysis.most_selective, {"activations": ACTIVATIONS, "n": 3}),
    (analysis.strongest, {"values": ACTIVATIONS[:, 0], "n": 3, "apart": 1}),
    (analysis.pca, {"vectors": ACTIVATIONS, "n": 2}),
    (analysis.play_relations, {"pieces": TRACE.pieces}),
    (analysis.surprise, {}),
    (attention.attention_matrix, {}),
    (attention.attention_arcs, {"threshold": 0.1}),
    (attention.attention_heads, {}),
    (view_of_attribution.attribution, {}),
    (embeddings.embeddings, {"n": 10}),
    (embeddings.positions, {}),
    (heads.heads, {"scores": analysis.head_scores(MODEL), "threshold": 0.5}),
    (lens.lens, {"last": 4}),
    (neurons.neurons, {"numbers": [1, 2], "n_contexts": 2}),
    (probabilities.next_token, {"sampling": Sampling(), "n": 3}),
    (stream.stream, {}),
    (surprise.surprise, {}),
    (tokens.tokens, {}),
    (tokens.showdown, {"tokenizers": {"a": TOKENIZER}}),
    (view_of_slow_step.slow_step, {"step": STEP, "row": 0}),
    (trace, {"target": None}),
    (walk, {"width": 80}),
    (TRACE.drawn, {"sampling": Sampling(), "penalise": False}),
    (TRACE.probabilities, {}),
    (complete, {"prompts": ["hello"], "max_new_tokens": 2, "n_samples": 1}),
    (evaluate, {"data": np.arange(60) % V, "block_size": 8, "batch_size": 2, "max_tokens": 20}),
    (get_batch, {"data": np.arange(60) % V, "block_size": 8, "batch_size": 2}),
    (split_text, {"val_fraction": 0.1}),
    (softmax, {"x": np.ones((2, 3)), "axis": -1}),
]
WRONG = {
    "str": "hi",
    "None": None,
    "int": -99,
    "large": 10**4,
    "float": 1.5,
    "list": [1, 2],
    "texts": ["a", "b"],
    "ragged": [[1], [2, [3]]],
    "dict": {},
    "object": object(),
    "array": np.zeros((2, 2, 2)),
    "number": np.array(3),
    "model": MODEL,
}
CLEAR = re.compile(
    "must|needs|cannot|unknown|at least|has no|is empty|not fit|there is|is more|need "
)
RAW = re.compile("object is not|NoneType|has no len|ufunc|broadcast|inhomogeneous|operand|indices")


def error_of(function, arguments):
    """Return what is said of wrong arguments; nothing where they are right too."""
    try:
        function(**arguments)
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("function", "own"), CALLS, ids=[each.__qualname__ for each, _ in CALLS])
def test_wrong_arguments_are_named(function, own, rng):
    names, usual = inspect.signature(function).parameters, OF_ALL | {"rng": rng}
    right = {name: usual[name] for name in names if name in usual} | own
    with contextlib.redirect_stdout(io.StringIO()):
        assert not error_of(function, right)
        for name in right:
            for wrong in WRONG.values():
                said = error_of(function, right | {name: wrong})
                assert not said or CLEAR.search(said), (name, wrong, said)
                assert not RAW.search(said), (name, wrong, said)


@pytest.mark.parametrize(
    "function", [training.loss_curves, training.curves, text.loss_text, layers.gradient_norms]
)
@pytest.mark.parametrize("wrong", ["hi", None, 3, [1], {}, np.zeros((3, 3))])
def test_run_figures_refuse_other_objects(function, wrong):
    with pytest.raises(TypeError, match="must be a"):
        function(wrong)
    with pytest.raises(TypeError, match=r"(each of )?stages must be a"):
        checkpoints.embeddings_over_time("x" if wrong is None else wrong, TOKENIZER)


def test_unknown_argument_gets_a_suggestion():
    for call, guess in [
        (lambda: Settings(learning_rat=1), "learning_rate"),
        (lambda: Settings(Steps=1), "steps"),
        (lambda: Sampling(temprature=1), "temperature"),
        (lambda: miniGPT(5, 4, 4, 2, n_layer=1), "n_layers"),
        (lambda: MODEL.generate([[1]], 2, topk=1), "top_k"),
        (lambda: attention.attention_matrix(TRACE, layr=0, head=0), "layer"),
    ]:
        with pytest.raises(TypeError, match=f"did you mean '{guess}'"):
            call()


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ([1, 2], r"got one row of ids.* as in generate\(\[ids\]"),
        (np.array([1, 2]), r"got one row of ids.* as in generate\(\[ids\]"),
        ("hi", r"got a text.* generate\(\[tokenizer.encode\(text\)\]"),
        (["hi", "you"], r"got a text.* generate\(\[tokenizer.encode\(text\)\]"),
        ([[1.5]], "must be integers"),
        ([[1], [2, [3]]], "the same length"),
        ([], "an empty prompt has nothing"),
        ([[]], "an empty prompt has nothing"),
        (3, r"got 3$"),
        (None, r"got None$"),
        (iter([[1]]), "must have the shape"),
    ],
)
def test_generate_refuses_what_it_cannot_continue(context, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MODEL.generate(context, 2)


@pytest.mark.parametrize(
    ("thing", "name", "hint"),
    [
        (MODEL, "save", "save_pretrained"),
        (MODEL, "load", "from_pretrained"),
        (MODEL, "fit", "minigpt.train"),
        (MODEL, "predict", "forward"),
        (MODEL, "state_dict", r"params\(\)"),
        (MODEL, "parameters", r"params\(\)"),
        (MODEL, "zero_grad", "nothing is needed"),
        (MODEL, "genrate", "did you mean 'generate'"),
        (MODEL.blocks[0], "zero_grad", "nothing is needed"),
        (MODEL.head, "backwards", "did you mean 'backward'"),
        (MODEL.head, "xyz", "Linear has no 'xyz'$"),
        (Linear(2, 2), "kept", "needs a forward"),
        (TOKENIZER, "save_pretrained", r"save\(path\)"),
        (TOKENIZER, "encod", "did you mean 'encode'"),
        (AdamW(MODEL), "zero_grad", "nothing is needed"),
        (minigpt, "minGPT", "did you mean 'miniGPT'"),
    ],
)
def test_names_of_other_libraries_suggest_ours(thing, name, hint):
    assert not hasattr(thing, name)
    with pytest.raises(AttributeError, match=hint):
        getattr(thing, name)


def test_suggested_names_exist():
    from minigpt.support.hints import HINTS

    owners = {
        "miniGPT": MODEL,
        "Tokenizer": TOKENIZER,
        "SGD": SGD(MODEL),
        "AdamW": AdamW(MODEL),
        "Layer": MODEL.head,
    }
    for kind, hints in HINTS.items():
        for name, hint in hints.items():
            assert not hasattr(owners[kind], name), (kind, name)
            called = re.match(r"(minigpt\.)?(\w+)\(", hint)
            if called and called[2] not in ("print", "miniGPT"):
                assert hasattr(minigpt if called[1] else owners[kind], called[2]), hint


def test_packages_export_only_their_own_names():
    shown = {name for name in dir(minigpt) if not name.startswith("_")}
    assert not shown & {"Any", "Path", "ast", "import_module"}
    assert dir(minigpt.runs) == ["Run", "RunNotWritten"]


def test_missing_attribute_suggests_a_module():
    code = "import minigpt; minigpt.web"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "write import minigpt.web first" in done.stderr
