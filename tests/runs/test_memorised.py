import numpy as np
import pytest

from minigpt import CharTokenizer, Dataset, miniGPT
from minigpt.folders.pretrained import save_pretrained
from minigpt.runs import memorised as module
from minigpt.runs.memorised import describe_copying, longest_copied, memorised


def every_pair(written, text):
    return max(
        (written[i:j] for i in range(len(written)) for j in range(i, len(written) + 1)),
        key=lambda run: len(run) if run in text else -1,
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_run_is_that_of_looking_at_every_pair(seed):
    rng = np.random.default_rng(seed)
    written, text = ("".join(rng.choice(list("ab熊"), n)) for n in (30, 200))
    assert longest_copied(written, text) == every_pair(written, text)


def test_nothing_in_common():
    assert (
        longest_copied("abc", "xyz") == longest_copied("", "xyz") == longest_copied("a", "") == ""
    )


@pytest.mark.parametrize(
    ("copied", "usual", "said"), [(83, 20, True), (83, 60, False), (49, 3, False), (50, 3, True)]
)
def test_what_unseen_text_shares_too_is_not_called_memorised(copied, usual, said):
    sentence = describe_copying(copied, usual, 400, False, 400)
    assert ("memorised" in sentence) == said
    assert f"has {copied} characters" in sentence


def test_a_run_of_one_and_a_text_that_is_cut():
    assert "has 1 character;" in describe_copying(1, 1, 9, False, 9)
    assert "its first 4,000,000 characters" in describe_copying(1, 1, 9, True, 9)


def test_the_report_of_a_model_on_its_text(tmp_path, monkeypatch):
    text = "my dear goose, take this lantern. " * 20
    tokenizer = CharTokenizer().train(text)
    ids = np.array(tokenizer.encode(text), np.uint8)
    model = miniGPT(tokenizer.vocab_size, 16, 8, 2, 1, seed=0)
    save_pretrained(model, tmp_path, tokenizer)
    dataset = Dataset("text", ids[:500], ids[500:], 180)
    said = memorised(tmp_path, dataset, 1)
    assert said == memorised(tmp_path, dataset, 1)
    assert said.startswith("In 192 characters that the model wrote, the longest run copied")
    assert said.endswith("; in 172 of the validation text, 172")

    def parrot(model, context, n, *rest):
        return iter(ids[8 : 8 + n, None])

    monkeypatch.setattr(module, "stream", parrot)
    other = Dataset("text", ids[:500], ids[::-1][:180], 180)
    assert "has 200 characters" in memorised(tmp_path, other, 1)
    assert memorised(tmp_path, other, 1).endswith("parts of the text are memorised")
