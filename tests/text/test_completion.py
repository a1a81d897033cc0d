import copy

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import BPETokenizer, CharTokenizer, Sampling, complete, miniGPT, stream, stream_text
from minigpt.text.completion import TextWriter
from minigpt.text.token_roles import prompt_ids

TEXT = "my dear goose, take this lantern. my dear fox, where is my lantern? naïve 🦆 Straße" * 3
TOKENIZER = BPETokenizer().train(TEXT, vocab_size=290)


@pytest.fixture(scope="module")
def model() -> miniGPT:
    return tiny_model(TOKENIZER.vocab_size, max_len=32, noise=0.3)


def test_stream_text_yields_whole_characters():
    tokenizer = BPETokenizer().train("abc", vocab_size=257)
    text = "naïve 🦆 Straße"
    parts = list(stream_text(tokenizer, tokenizer.encode(text)))
    assert "".join(parts) == text
    assert "🦆" in parts
    broken = tokenizer.encode("🦆")[:2]
    assert "".join(stream_text(tokenizer, broken)) == "\ufffd"


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (["goose"], "my dear "),
        ([" goose, t"], "my dear"),
        (["lantern", "fox"], "my dear goose, take this "),
        (["fox", "lantern"], "my dear goose, take this "),
        (["m"], ""),
        (["🦆"], TEXT[: TEXT.index("🦆")]),
        (["geese"], TEXT),
        ([], TEXT),
    ],
)
def test_stop_string_ends_the_text_at_any_token_border(stop, expected):
    for tokenizer in (TOKENIZER, BPETokenizer().train("abc", vocab_size=257)):
        parts = list(stream_text(tokenizer, tokenizer.encode(TEXT), stop))
        assert "".join(parts) == expected


def test_text_writer_holds_back_only_a_possible_stop_string():
    tokenizer = BPETokenizer().train("abc", vocab_size=257)
    writer = TextWriter(tokenizer, ["lamp", "mp3"])
    shown = [writer.write(token) for token in tokenizer.encode("a lamb lamp")]
    assert shown == ["a", " ", "", "", "", "lamb", " ", "", "", "", ""]
    assert writer.ended
    writer = TextWriter(tokenizer, ["lamp"])
    shown = [writer.write(token) for token in tokenizer.encode("a la")]
    assert (shown, writer.close()) == (["a", " ", "", ""], "la")


def test_end_of_text_token_ends_the_text():
    end = TOKENIZER.special_tokens["<|endoftext|>"]
    ids = [*TOKENIZER.encode("my dear"), end, *TOKENIZER.encode(" goose")]
    assert "".join(stream_text(TOKENIZER, ids)) == "my dear"


def test_complete_treats_prompts_independently(model):
    prompts = ["my dear goose", "f", "my lantern is"]
    greedy = Sampling(temperature=0)
    together = complete(model, TOKENIZER, prompts, 12, greedy)
    for prompt, each in zip(prompts, together, strict=True):
        (alone,) = complete(model, TOKENIZER, [prompt], 12, greedy)
        np.testing.assert_allclose(each.log_probs, alone.log_probs, rtol=1e-4, atol=1e-6)
        ids = [int(t[0]) for t in stream(model, [TOKENIZER.encode(prompt)], 12, greedy)]
        assert (each.prompt, each.ids, each.finish_reason) == (prompt, ids, "length")
        assert each.text == TOKENIZER.decode(ids)


def test_complete_samples_differ_and_a_seed_repeats_them(model):
    one, again, other = (
        complete(model, TOKENIZER, ["my", "f"], 8, n_samples=3, seed=seed) for seed in (1, 1, 2)
    )
    assert [each.prompt for each in one] == ["my"] * 3 + ["f"] * 3
    assert one == again
    assert one != other
    assert len({each.text for each in one[:3]}) == 3


def test_completion_log_probs_are_those_of_its_tokens(model):
    sampling = Sampling(0.9, top_k=20)
    (each,) = complete(model, TOKENIZER, ["my dear"], 8, sampling, seed=3)
    ids = [*TOKENIZER.encode("my dear"), *each.ids]
    logits, _ = model.eval().forward([ids])
    start = len(ids) - 8
    probabilities = sampling.probabilities(logits[0, start - 1 : -1])
    np.testing.assert_allclose(
        np.exp(each.log_probs), probabilities[np.arange(8), each.ids], rtol=1e-4
    )


def test_completion_has_a_finish_reason(model):
    free = complete(model, TOKENIZER, ["my", "fox"], 30, seed=5)
    stop = free[0].text[4:6]
    stopped = complete(model, TOKENIZER, ["my", "fox"], 30, stop=[stop], seed=5)
    assert stopped[0].finish_reason == "stop"
    assert stopped[0].text == free[0].text[: free[0].text.index(stop)]
    assert len(stopped[0].ids) == len(stopped[0].log_probs) < 30
    assert stopped[0].ids == free[0].ids[: len(stopped[0].ids)]
    if stop not in free[1].text:
        assert stopped[1] == free[1]


def test_empty_prompt_begins_a_new_document(model):
    end = TOKENIZER.end_of_text
    assert prompt_ids(model, TOKENIZER, "") == [end]
    (begun,) = complete(model, TOKENIZER, [""], 5, seed=1)
    (named,) = complete(model, TOKENIZER, ["<|endoftext|>"], 5, seed=1, allow_special=True)
    assert begun.ids == named.ids
    assert begun.prompt == ""
    begins = copy.copy(model)
    begins.generation_config = {"bos_token_id": 7, "eos_token_id": end}
    assert prompt_ids(begins, TOKENIZER, "") == [7]
    characters = CharTokenizer().train(TEXT)
    small = tiny_model(characters.vocab_size)
    with pytest.raises(ValueError, match=r"an empty prompt has nothing to continue: .* no end-of"):
        complete(small, characters, [""], 3)


def test_prompt_names_special_tokens_only_if_allowed(model):
    ids = [TOKENIZER.end_of_text, *TOKENIZER.encode("my")]
    assert prompt_ids(model, TOKENIZER, "<|endoftext|>my", allow_special=True) == ids
    letters = prompt_ids(model, TOKENIZER, "<|endoftext|>my")
    assert TOKENIZER.end_of_text not in letters
    assert TOKENIZER.decode(letters) == "<|endoftext|>my"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (["one text", 3], {}, TypeError, r"prompts must be a list of texts.* \['one text'\]"),
        ([["a"], 0], {}, ValueError, "max_new_tokens must be at least 1"),
        ([["a"], 3], {"n_samples": 0}, ValueError, "n_samples must be at least 1"),
        ([["a"], 3], {"stop": "end"}, ValueError, "stop must be a list of texts"),
        ([["a"], 3], {"stop": [""]}, ValueError, "none of them empty"),
    ],
)
def test_complete_refuses_invalid_arguments(model, arguments, options, error, message):
    with pytest.raises(error, match=message):
        complete(model, TOKENIZER, *arguments, **options)
