import numpy as np
import pytest
from tiny import tiny_model

from minigpt import CharTokenizer, Dataset
from minigpt.folders.pretrained import save_pretrained
from minigpt.runs import memorised as module
from minigpt.runs.memorised import describe_copying, longest_copied, memorised


def every_pair(written, text):
    return max(
        (written[i:j] for i in range(len(written)) for j in range(i, len(written) + 1)),
        key=lambda run: len(run) if run in text else -1,
    )


@pytest.mark.parametrize("seed", range(20))
def test_longest_copied_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    written, text = ("".join(rng.choice(list("ab熊"), n)) for n in (30, 200))
    assert longest_copied(written, text) == every_pair(written, text)


def test_longest_copied_of_texts_without_overlap():
    assert (
        longest_copied("abc", "xyz") == longest_copied("", "xyz") == longest_copied("a", "") == ""
    )


@pytest.mark.parametrize(
    ("copied", "usual", "said"), [(83, 20, True), (83, 60, False), (49, 3, False), (50, 3, True)]
)
def test_memorised_ignores_what_unseen_text_shares(copied, usual, said):
    sentence = describe_copying(copied, usual, 400, False, 400)
    assert ("memorised" in sentence) == said
    assert f"has {copied} characters" in sentence


def test_memorised_wording_of_one_character_and_a_cut_text():
    assert "has 1 character;" in describe_copying(1, 1, 9, False, 9)
    assert "its first 4,000,000 characters" in describe_copying(1, 1, 9, True, 9)


def test_memorised_reports_the_longest_copied_passage(tmp_path, monkeypatch):
    text = "my dear goose, take this lantern. " * 20
    tokenizer = CharTokenizer().train(text)
    ids = np.array(tokenizer.encode(text), np.uint8)
    model = tiny_model(tokenizer.vocab_size, max_len=16)
    save_pretrained(model, tmp_path, tokenizer)
    dataset = Dataset("text", ids[:500], ids[500:], 180)
    said = memorised(tmp_path, dataset, 1)
    assert said == memorised(tmp_path, dataset, 1)
    assert said.startswith("In 192 characters that the model wrote, the longest passage copied")
    assert said.endswith("; in 172 of the validation text, 172")

    def parrot(model, context, n, *rest):
        return iter(ids[8 : 8 + n, None])

    monkeypatch.setattr(module, "stream", parrot)
    other = Dataset("text", ids[:500], ids[::-1][:180], 180)
    assert "has 200 characters" in memorised(tmp_path, other, 1)
    assert memorised(tmp_path, other, 1).endswith("parts of the text are memorised")
