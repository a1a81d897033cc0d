"""GPT-2 as transformers saves it, opened by us: same numbers, same gradients, same text."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.activations import ACT2CLS
from transformers_gpt2 import NO_END, VOCAB_SIZE, small_gpt2

from minigpt import miniGPT
from minigpt.folders.gpt2 import to_gpt2
from minigpt.text.token_roles import end_ids

MAX_LEN = 80
NEW_TOKENS = 64


variants = pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation_function": "relu", "n_inner": 40},
        {"tie_word_embeddings": False, "layer_norm_epsilon": 1e-3},
    ],
    ids=["as GPT-2", "ReLU, n_inner", "untied"],
)


@variants
def test_gpt2_logits_loss_and_every_gradient(deviation, tmp_path, options):
    theirs = small_gpt2(n_layer=3, noise=0.3, **options)
    theirs.save_pretrained(tmp_path)
    ours = miniGPT.from_pretrained(tmp_path)
    for time in (2, 3, 17, MAX_LEN):
        ids = np.random.default_rng(time).integers(0, VOCAB_SIZE, (3, time))
        theirs.zero_grad()
        answer = theirs(torch.tensor(ids), labels=torch.tensor(ids))
        answer.loss.backward()
        logits, _ = ours.forward(ids)
        deviation("tiny GPT-2: logits, float32", logits, answer.logits.detach(), scale=1)

        _, loss = ours.forward(ids[:, :-1], targets=ids[:, 1:])
        ours.backward()
        deviation("tiny GPT-2: loss, float32", loss, answer.loss.item())
        named = dict(theirs.named_parameters())
        gradients = by_their_names(ours)
        assert gradients.keys() == named.keys()
        for name, gradient in gradients.items():
            deviation("tiny GPT-2: gradients, float32", gradient, named[name].grad)


def by_their_names(ours: miniGPT) -> dict[str, np.ndarray]:
    """Return the gradients of `ours` under GPT-2's names and in its shapes, as if weights."""
    weights = ours.flat.params.copy()
    ours.flat.params[...] = ours.flat.grads
    named = {name: array.copy() for name, array in to_gpt2(ours).items()}
    ours.flat.params[...] = weights
    return named


def greedy_without_cache(model: miniGPT, ids: np.ndarray) -> np.ndarray:
    """Continue `ids` by reading the whole text anew for each token."""
    for _ in range(NEW_TOKENS):
        logits, _ = model.forward(ids)
        ids = np.concatenate([ids, logits[:, -1:].argmax(axis=-1)], axis=1)
    return ids


@variants
def test_gpt2_greedy_generation(equal, tmp_path, options):
    theirs = small_gpt2(n_layer=3, noise=0.3, **options)
    theirs.save_pretrained(tmp_path)
    ours = miniGPT.from_pretrained(tmp_path)
    for batch, time in [(1, 1), (3, 5), (2, MAX_LEN - NEW_TOKENS)]:
        ids = np.random.default_rng(time).integers(0, VOCAB_SIZE, (batch, time))
        cached = ours.generate(ids, NEW_TOKENS, temperature=0).tolist()
        uncached = greedy_without_cache(ours, ids).tolist()
        assert max(len(set(row)) for row in cached) > 8  # a text, not one token repeated
        for use_cache in (True, False):
            expected = generated(theirs, ids, use_cache=use_cache)
            what = "tiny GPT-2: greedy ids, with{} the cache"
            equal(what.format(""), "transformers", cached, expected, batch * NEW_TOKENS)
            equal(what.format("out"), "transformers", uncached, expected, batch * NEW_TOKENS)


def generated(theirs: GPT2LMHeadModel, ids: np.ndarray, use_cache: bool) -> list[list[int]]:
    answer = theirs.generate(
        torch.tensor(ids),
        attention_mask=torch.ones(ids.shape, dtype=torch.long),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        use_cache=use_cache,
    )
    return answer.tolist()


KEYS = {
    "scale_attn_weights": [False],
    "scale_attn_by_inverse_layer_idx": [True],
    "reorder_and_upcast_attn": [True],
    "layer_norm_epsilon": [0.5, 1e-12],
    "n_inner": [None, 96, 32],
    "resid_pdrop": [0.9],
    "tie_word_embeddings": [False],
    "add_cross_attention": [True],
    "dtype": ["float16", None],
    "architectures": [["GPT2Model"], ["GPT2ForSequenceClassification"], None],
    "activation_function": [*ACT2CLS, None, "GELU_NEW"],
    "hidden_size": [24, 32],
    "num_attention_heads": [3, 4],
    "num_hidden_layers": [3, 2],
    "max_position_embeddings": [MAX_LEN, 16],
    "n_layer": [2, 4],
    "n_head": [4, 1, 5],
    "pruned_heads": [{}, {"0": [1]}],
    "layer_norm_eps": [0.5],
    "chunk_size_feed_forward": [4],
    "is_decoder": [True],
    "sliding_window": [2],
    "num_key_value_heads": [1],
    "attention_bias": [False],
}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in KEYS.items() for v in values])
def test_gpt2_config_key_gives_the_same_logits_or_is_refused(deviation, tmp_path, key, value):
    small_gpt2(n_layer=3, noise=0.3).save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    ids = np.random.default_rng(0).integers(0, VOCAB_SIZE, (3, 17))
    refusal, ours = "", None
    try:
        ours = miniGPT.from_pretrained(tmp_path)
    except ValueError as error:
        refusal = str(error)
    if ours is None:
        assert re.search(f"{key}|n_heads|has the shape", refusal)
        return
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).logits
    deviation("tiny GPT-2: logits, float32", ours.forward(ids)[0], expected, scale=10)


@pytest.mark.parametrize("layout", ["a head of its own", "only the head"])
def test_gpt2_head_of_a_tied_model(deviation, tmp_path, layout):
    theirs = small_gpt2(n_layer=3, noise=0.3)
    theirs.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    embedding = tensors["transformer.wte.weight"]
    if layout == "only the head":
        del tensors["transformer.wte.weight"]
    head = torch.randn(embedding.shape) if layout == "a head of its own" else embedding
    save_file(tensors | {"lm_head.weight": head}, file, {"format": "pt"})
    ids = np.random.default_rng(0).integers(0, VOCAB_SIZE, (3, 17))
    ours = miniGPT.from_pretrained(tmp_path)
    ours.save_pretrained(tmp_path / "again")
    for folder in (tmp_path, tmp_path / "again"):
        with torch.no_grad():
            expected = GPT2LMHeadModel.from_pretrained(folder)(torch.tensor(ids)).logits
        deviation("tiny GPT-2: logits, float32", ours.forward(ids)[0], expected, scale=1)


ENDS = [
    ({"eos_token_id": 7}, None),
    ({"eos_token_id": [3, 7]}, None),
    ({"eos_token_id": 3}, {"eos_token_id": 7}),
    ({"eos_token_id": 7}, {"eos_token_id": 3}),
    ({"eos_token_id": 7, "pad_token_id": 5}, {"eos_token_id": [3, 7], "bos_token_id": 1}),
    ({"eos_token_id": 7}, {"eos_token_id": None}),
    ({"eos_token_id": 7}, {}),
    ({"eos_token_id": 3}, {"eos_token_id": [7, -1]}),
    ({"eos_token_id": VOCAB_SIZE + 7}, None),
    ({"eos_token_id": None}, None),
]


@pytest.mark.parametrize(("config", "generation_config"), ENDS)
def test_gpt2_end_of_text_is_the_same_after_saving(equal, tmp_path, config, generation_config):
    theirs = small_gpt2(n_layer=3, noise=0.3)
    with torch.no_grad():  # always says 7
        for parameter in theirs.parameters():
            parameter.zero_()
        theirs.transformer.ln_f.bias += 1
        theirs.transformer.wte.weight[7] = 1
    theirs.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    (tmp_path / "generation_config.json").unlink()
    if generation_config is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation_config))
    ours = miniGPT.from_pretrained(tmp_path)
    ours.save_pretrained(tmp_path / "again")
    stop = end_ids(ours, None)
    for folder in (tmp_path, tmp_path / "again"):
        expected = GPT2LMHeadModel.from_pretrained(folder).generate(
            torch.tensor([[1, 2]]), max_new_tokens=4, do_sample=False
        )
        ids = ours.generate([[1, 2]], 4, temperature=0, stop=stop).tolist()
        equal("tokens that end a text: greedy ids", "transformers", ids, expected.tolist())


def test_gpt2_of_124_million(deviation, equal):
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(GPT2Config(initializer_range=0.06, **NO_END)).eval()
    ids = np.random.default_rng(0).integers(0, VOCAB_SIZE, (1, 32))
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).logits
    with tempfile.TemporaryDirectory() as folder:  # half a gigabyte, which pytest would keep
        theirs.save_pretrained(folder)
        size = Path(folder, "model.safetensors").stat().st_size
        deviation("GPT-2 124M: peak memory, size of the file", peak_memory(folder), size)
        ours = miniGPT.from_pretrained(folder)
        logits, _ = ours.forward(ids)
        cached = ours.generate(ids, NEW_TOKENS, temperature=0).tolist()
    assert sum(param.size for param in ours.params().values()) == 124_439_808
    deviation("GPT-2 124M: logits, float32", logits, expected, scale=1)
    assert len(set(cached[0][32:])) > 8
    equal(
        "GPT-2 124M: greedy ids", "transformers", cached, generated(theirs, ids, True), NEW_TOKENS
    )


def peak_memory(folder: str) -> int:
    """Give, in bytes, what a process takes at most that opens a model and generates (Linux)."""
    script = (
        "import re, sys, minigpt\n"
        "model = minigpt.miniGPT.from_pretrained(sys.argv[1])\n"
        "model.generate([[1, 2, 3]], 2, temperature=0)\n"
        "print(re.search(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    arguments = [sys.executable, "-c", script, folder]
    return 1024 * int(subprocess.run(arguments, capture_output=True, check=True).stdout)
