"""Every folder we write, opened by transformers with no code of ours: same ids, same numbers."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_with_transformers
import pytest
import torch
from tiny import tiny_model
from transformers import AutoModelForCausalLM

from minigpt import Settings, miniGPT
from minigpt.folders.gpt2 import to_gpt2
from minigpt.runs import Run

TEXT = "My dear goose, take this lantern.\nMy dear fox, where is my lantern? "
NEW_TOKENS = 8
KINDS = list(
    itertools.product(["bpe", "char", "word"], ["gelu", "relu"], [True, False], [True, False])
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Run]:
    """Train a little with each tokenizer and kind of model; each run leaves a folder."""
    folder = tmp_path_factory.mktemp("runs")
    file = folder / "text.txt"
    file.write_text(TEXT * 40, encoding="utf-8")
    shared = Settings(
        data=(str(file),), vocab_size=None, n_layers=2, n_heads=2, d_model=16, block_size=80,
        steps=2, batch_size=4, warmup=0, learning_rate=0.1, sample_every=1, sample_tokens=5,
        prompt="My", threads=1,
    )  # fmt: skip
    runs = []
    for tokenizer, activation, bias, tie_weights in KINDS:
        settings = shared.replace(
            {
                "tokenizer": tokenizer,
                "vocab_size": 280 if tokenizer == "bpe" else None,
                "activation": activation,
                "bias": bias,
                "tie_weights": tie_weights,
            }
        )
        run = Run.new(settings, folder / f"{len(runs)}")
        for _ in run.steps():
            pass
        run.model.eval()
        runs.append(run)
    return runs


@pytest.fixture(scope="module")
def opened(runs) -> dict:
    """Let a process that knows nothing of miniGPT open all folders."""
    script = Path(open_with_transformers.__file__)
    folders = [str(run.folder) for run in runs]
    done = subprocess.run(
        [sys.executable, str(script), TEXT, str(NEW_TOKENS), *folders],
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    return json.loads(done.stdout)


def test_run_folders_open_in_transformers_without_code_or_warnings(opened):
    assert opened["our_modules"] == []
    assert opened["warnings"] == []


@pytest.mark.parametrize("i", range(len(KINDS)), ids=["-".join(map(str, kind)) for kind in KINDS])
def test_run_folder_gives_the_same_results_in_transformers(deviation, equal, runs, opened, i):
    run, theirs = runs[i], opened["folders"][i]
    assert (run.folder / "samples.txt").exists()  # a real run's folder, with all it has
    assert not any(theirs["report"].values()), theirs["report"]
    assert theirs["model_max_length"] == run.model.max_len

    model = miniGPT.from_pretrained(run.folder)  # the best of the run, which is not the last
    ids = run.tokenizer.encode(TEXT)
    equal("run folders: ids of a text", "AutoTokenizer", ids, theirs["ids"], len(ids))
    equal("run folders: text of ids", "AutoTokenizer", TEXT, theirs["text"])
    logits, _ = model.forward([ids])
    deviation("run folders: logits, float32", logits[0], np.float32(theirs["logits"]), scale=1)
    stop = run.tokenizer.special_tokens.get("<|endoftext|>")
    continued = model.generate(
        [ids[: open_with_transformers.PROMPT]], NEW_TOKENS, temperature=0, stop=stop
    )
    what = "run folders: greedy ids"
    equal(what, "AutoModelForCausalLM", continued[0].tolist(), theirs["continued"], NEW_TOKENS)


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_run_folder_gradients_in_float64(deviation, tmp_path, tie_weights, bias, activation):
    options = {"tie_weights": tie_weights, "bias": bias, "activation": activation}
    ours = tiny_model(27, max_len=16, dtype="float64", noise=0.1, **options)
    ours.save_pretrained(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids, targets = np.random.default_rng(0).integers(0, 27, (2, 3, 16))
    logits, loss = ours.forward(ids, targets)
    ours.backward()
    their_logits = theirs(torch.tensor(ids)).logits
    their_loss = torch.nn.functional.cross_entropy(
        their_logits.flatten(0, 1), torch.tensor(targets).flatten()
    )
    their_loss.backward()

    deviation("model folders: logits, float64", logits, their_logits.detach())
    deviation("model folders: loss, float64", loss, their_loss.item())
    ours.flat.params[...] = ours.flat.grads  # so that the gradients go by GPT-2's names
    gradients = to_gpt2(ours)
    for name, parameter in theirs.named_parameters():
        if bias or not name.endswith(".bias"):  # there, biases we do not have are zeros
            deviation("model folders: gradients, float64", gradients[name], parameter.grad)
