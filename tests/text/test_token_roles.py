"""Tokens that begin and end a text, as several files name them; ids that no token has."""

import dataclasses
import json

import numpy as np
import pytest
from tiny import tiny_model, tiny_run

from minigpt import (
    BPETokenizer,
    Dataset,
    Sampling,
    Settings,
    Trace,
    complete,
    generate,
    load_tokenizer,
    miniGPT,
    stream,
    trace,
    train,
)
from minigpt.commands.output import write
from minigpt.core.functional import softmax
from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.show.figures.next_token import next_token
from minigpt.text.token_roles import begin_id, drawable, end_ids
from minigpt.training.loop import write_sample
from minigpt.web.look.answers import Looker, Question

TEXT = "my dear friend, the cat ran home. " * 40
TOKENIZER = BPETokenizer(["<s>", "</s>", "<|endoftext|>"]).train(TEXT, vocab_size=270)
S, END, EOT = (TOKENIZER.special_tokens[name] for name in ("<s>", "</s>", "<|endoftext|>"))
ROLES = ("bos_token_id", "eos_token_id", "pad_token_id")


def always(token: int, vocab_size: int = 270) -> miniGPT:
    """Return a model that predicts `token` after every text."""
    model = miniGPT(vocab_size, 32, 16, 2, 1, seed=0).eval()
    model.final_norm.shift[...] = 1
    model.head.weight[:, token] = 1
    return model


def edit(folder, name="generation_config.json", **changes):
    content = json.loads((folder / name).read_text(encoding="utf-8")) | changes
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def read(folder, name="generation_config.json"):
    return json.loads((folder / name).read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path):
    always(END).save_pretrained(tmp_path, TOKENIZER)
    return tmp_path


@pytest.mark.parametrize("eos", [END, [S, END], [END, -1, 999_999]])
@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_end_of_text_comes_from_the_files(folder, eos, file):
    if file == "config.json":
        (folder / "generation_config.json").unlink()
    edit(folder, file, eos_token_id=eos)
    (done,) = complete(*load_model_and_tokenizer(folder), ["my dear"], 5)
    assert (done.ids, done.text, done.finish_reason) == ([END], "", "stop")
    assert "".join(write(folder, "my dear", 5, Sampling(), 0)) == ""
    looker = Looker(*load_model_and_tokenizer(folder))
    assert [token["id"] for token in looker.write(Question("my", (), ()), 5, Sampling(), 0)] == [
        END
    ]


def test_generation_config_json_overrides_config_json(folder):
    edit(folder, "config.json", eos_token_id=END)
    edit(folder, eos_token_id=S)
    (done,) = complete(*load_model_and_tokenizer(folder), ["my dear"], 3)
    assert (done.text, done.finish_reason) == ("</s>" * 3, "length")


@pytest.mark.parametrize("eos", [None, -1, 270, 10**12])
def test_end_of_text_defaults_to_the_tokenizers(tmp_path, eos):
    always(EOT).save_pretrained(tmp_path, TOKENIZER)
    edit(tmp_path, eos_token_id=eos)
    model, tokenizer = load_model_and_tokenizer(tmp_path)
    assert (end_ids(model, tokenizer), end_ids(model, None)) == ([EOT], [])
    assert complete(model, tokenizer, ["my"], 5)[0].ids == [EOT]


@pytest.mark.parametrize("key", ROLES)
@pytest.mark.parametrize("value", [True, "7", 7.0, [True], ["7"], {"a": 7}])
@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_invalid_token_id_is_refused_by_its_key(folder, file, key, value):
    edit(folder, file, **{key: value})
    with pytest.raises(ValueError, match=rf"{file}: {key} must be"):
        miniGPT.from_pretrained(folder)


def test_generation_config_survives_loading_and_saving(folder, tmp_path):
    edit(folder, bos_token_id=S, eos_token_id=[END, EOT], temperature=0.5, no_repeat_ngram_size=3)
    edit(folder, "config.json", pad_token_id=0)
    load_model = miniGPT.from_pretrained(folder)
    load_model.save_pretrained(tmp_path / "again", load_tokenizer(folder))
    expected = {"bos_token_id": S, "eos_token_id": [END, EOT], "pad_token_id": 0}
    assert read(tmp_path / "again") == expected | {"temperature": 0.5, "no_repeat_ngram_size": 3}
    config = read(tmp_path / "again", "config.json")
    assert {key: config[key] for key in ROLES} == expected


def test_fine_tuning_keeps_the_end_tokens(folder, tmp_path):
    edit(folder, bos_token_id=S, eos_token_id=[END, EOT])
    run = tiny_run(tmp_path, init_from=str(folder), tokenizer="bpe", steps=1, sample_every=0)
    assert read(run.folder)["eos_token_id"] == [END, EOT]
    assert begin_id(*load_model_and_tokenizer(run.folder)) == S


def test_generate_fills_a_row_with_the_token_that_ended_it():
    model = miniGPT(12, 8, 16, 2, 1, seed=0)
    rows = generate(model, [[1], [2], [3], [4]], 40, seed=1, stop=[5, 6])[:, 1:]
    ends = [int(row[np.isin(row, [5, 6]).argmax()]) for row in rows]
    assert set(ends) == {5, 6}  # else choose another seed
    for row, end in zip(rows, ends, strict=True):
        assert (row[list(row).index(end) :] == end).all()


# Ids that no token has.

PADDED = 384


@pytest.fixture(scope="module")
def padded() -> miniGPT:
    """Return a model with more rows than tokens; it predicts an id that no token has."""
    return always(300, PADDED)


def test_ids_without_a_token_are_never_drawn(padded):
    for sampling in (Sampling(), Sampling(temperature=0), Sampling(top_k=3, repetition_penalty=2)):
        done = complete(padded, TOKENIZER, ["my dear", "cat"], 20, sampling, 3, seed=0)
        assert max(max(each.ids) for each in done) < TOKENIZER.vocab_size
    assert "my" in write_sample(padded, TOKENIZER, "my dear", 30, seed=0)
    looker = Looker(padded, TOKENIZER)
    written = list(looker.write(Question("my", (), ()), 20, Sampling(), 0))
    assert max(token["id"] for token in written) < TOKENIZER.vocab_size


def test_drawable_probabilities_sum_to_one(padded):
    (done,) = complete(padded, TOKENIZER, ["my dear"], 1, seed=0)
    logits = padded.forward([TOKENIZER.encode("my dear")])[0][0, -1].astype(float)
    expected = softmax(logits[: TOKENIZER.vocab_size])
    assert np.exp(done.log_probs[0]) == pytest.approx(expected[done.ids[0]])
    seen = trace(padded, "my dear", TOKENIZER)
    np.testing.assert_allclose(seen.drawn(Sampling())[:270], expected)
    assert not seen.drawn(Sampling())[270:].any()


def test_ids_without_a_token_are_shown_as_numbers(padded, tmp_path):
    seen = trace(padded, [1, 300], TOKENIZER)
    assert seen.pieces[1] == next(seen.top(1))[1] == "[id 300]"
    assert "[id 300]" in str(next_token(seen).layout.yaxis.ticktext)
    assert "[id 300]" in seen._repr_html_()
    seen.save(tmp_path / "seen.npz")
    np.testing.assert_array_equal(Trace.load(tmp_path / "seen.npz").drawable, seen.drawable)
    looked = Looker(padded, TOKENIZER).look(Question("my", (300,), ()))
    assert looked["text"] == "my[id 300]"
    assert looked["next"]["candidates"][0] | {"before": 0} == {
        "id": 300, "piece": "[id 300]", "shown": "[id 300]", "before": 0, "drawn": 0.0,
        "probability": pytest.approx(1, abs=0.01),
    }  # fmt: skip


def test_ids_in_holes_of_the_vocabulary_are_never_drawn(tmp_path):
    holed = dataclasses.replace(
        TOKENIZER.vocabulary,
        tokens=[*TOKENIZER.vocabulary.tokens, b"", b"", b"<p>"],
        special_tokens=TOKENIZER.special_tokens | {"<p>": 272},
    )
    model = always(271, 273)
    model.save_pretrained(tmp_path, BPETokenizer.from_vocabulary(holed))
    done = complete(*load_model_and_tokenizer(tmp_path), ["my dear"], 20, seed=0, n_samples=9)
    drawn = {token for each in done for token in each.ids}
    assert len(drawn) > 99
    assert not drawn & {270, 271}


@pytest.mark.parametrize("allowed", [np.zeros(9, bool), np.ones(8, bool), [True], True])
def test_invalid_allowed_ids_are_refused(allowed):
    with pytest.raises(ValueError, match="allowed must have one entry for each of the 9 ids"):
        stream(tiny_model(9), [[1]], 2, allowed=allowed)


def test_tokenizer_with_more_tokens_than_rows_is_refused_everywhere(tmp_path):
    small = miniGPT(269, 32, 16, 2, 1)
    dataset = Dataset("zeros", *np.zeros((2, 50), int), 50)
    doors = [
        lambda: complete(small, TOKENIZER, ["my"], 1),
        lambda: write_sample(small, TOKENIZER, "my", 1, 0),
        lambda: list(train(small, dataset, Settings(steps=1, block_size=8), TOKENIZER)),
        lambda: trace(small, "my", TOKENIZER),
        lambda: Looker(small, TOKENIZER),
        lambda: small.save_pretrained(tmp_path, TOKENIZER),
        lambda: drawable(small, TOKENIZER),
    ]
    for door in doors:
        with pytest.raises(
            ValueError, match=r"has 270 tokens, but the model knows only 269.*id 269"
        ):
            door()
