"""Models by name, without a network; the download itself is among the reference tests."""

import sys

import pytest

from minigpt import miniGPT
from minigpt.hub import HUB_MODELS, find_model


@pytest.fixture
def _no_downloader(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # which makes its import fail


@pytest.mark.usefixtures("_no_downloader")
@pytest.mark.parametrize("name", HUB_MODELS)
def test_without_the_downloader_a_sentence_says_what_to_do(name):
    with pytest.raises(FileNotFoundError, match=f"{name} is not on this machine") as caught:
        miniGPT.from_pretrained(name)
    for hint in (
        "pip install huggingface_hub",
        HUB_MODELS[name],
        "model.safetensors",
        "merges.txt",
    ):
        assert hint in str(caught.value)


def test_a_folder_counts_more_than_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    assert find_model("gpt2").resolve() == tmp_path / "gpt2"


def test_a_name_nobody_knows_is_not_looked_for_on_the_network(tmp_path):
    with pytest.raises(FileNotFoundError, match="did you mean 'gpt2-medium'"):
        find_model("gpt2-medum")
    with pytest.raises(FileNotFoundError, match=r"it is not there$"):
        find_model(tmp_path / "runs" / "gpt3")
