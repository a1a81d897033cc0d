"""Models by name, without a network; reference tests cover the download."""

import sys

import pytest

from minigpt import miniGPT
from minigpt.support.hub import HUB_MODELS, find_model, known_name
from minigpt.text.tokenizers.making import make_tokenizer


@pytest.fixture
def _no_downloader(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # makes its import fail


@pytest.mark.usefixtures("_no_downloader")
@pytest.mark.parametrize("name", HUB_MODELS)
def test_hub_without_the_downloader_says_what_to_install(name):
    with pytest.raises(FileNotFoundError, match=f"{name} is not on this machine") as caught:
        miniGPT.from_pretrained(name)
    for hint in (
        "pip install huggingface_hub",
        HUB_MODELS[name],
        "model.safetensors",
        "merges.txt",
    ):
        assert hint in str(caught.value)


def test_hub_prefers_a_folder_to_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    assert find_model("gpt2").resolve() == tmp_path / "gpt2"


@pytest.mark.parametrize("repository", HUB_MODELS.values())
def test_hub_accepts_the_full_name_of_a_repository(repository):
    assert HUB_MODELS[known_name(repository)] == repository


@pytest.mark.usefixtures("_no_downloader")
def test_hub_finds_a_repository_by_its_short_name():
    with pytest.raises(FileNotFoundError, match="gpt2-large is not on this machine"):
        find_model("openai-community/gpt2-large")
    with pytest.raises(FileNotFoundError, match="gpt2 is not on this machine"):
        make_tokenizer("gpt2", "")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        *(("GPT2", "gpt2"), ("gpt-2", "gpt2"), ("gpt2_medium", "gpt2-medium")),
        *(("distil-gpt2", "distilgpt2"), ("gpt2-smal", "gpt2-small")),
        ("openai-community/gpt2-larg", "gpt2-large"),
        *(
            (name, None)
            for name in ("gpt3", "gptj", "gpt2-base", "gpt2-mini", "gpt2-1.5b", "gpt-neo")
        ),
        *((name, None) for name in ("openai-community/openai-gpt", "distilbert/distilbert")),
    ],
)
def test_hub_suggests_the_intended_model_or_none(name, hint):
    with pytest.raises(FileNotFoundError, match="it does not exist; unknown model") as caught:
        find_model(name)
    found = str(caught.value)
    assert f"did you mean {hint!r}" in found if hint else "did you mean" not in found


def test_hub_does_not_request_unknown_names(tmp_path):
    with pytest.raises(FileNotFoundError, match="did you mean 'gpt2-medium'"):
        find_model("gpt2-medum")
    with pytest.raises(FileNotFoundError, match=r"it does not exist$"):
        find_model(tmp_path / "runs" / "gpt3")
