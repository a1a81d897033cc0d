import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from minigpt import CharTokenizer, Settings
from minigpt.commands.parsing import typed_text
from minigpt.commands.what_next import few_words, what_next
from minigpt.runs.starting import check_length, check_place
from minigpt.support import wording
from minigpt.support.wording import for_shell

TEXTS = {
    "english": "rt of a line\nIt is the fox's lantern, my dear.\nAnd more\n",
    "chinese": "半行\n熊在花园里喝茶，鹅在唱歌，狐狸在睡觉，他们都很高兴因为今天是星期天\n又一行\n",
    "csv": '3,4\nberlin,3.5,"a b",$HOME,`ls`\n1,2\n',
    "python": "x\n    print(\"a\\n b\", 'c')\ny\n",
    "dashes": "x\n--out is a flag\ny\n",
    "one line": "no line ends here at all",
}


@dataclass
class FakeDataset:
    val: np.ndarray


@dataclass
class FakeRun:
    folder: Path
    settings: Settings
    tokenizer: CharTokenizer
    dataset: FakeDataset


def run_of(text, folder="runs/a", data=("x.txt",)):
    tokenizer = CharTokenizer().train(text)
    ids = np.array(tokenizer.encode(text))
    return FakeRun(Path(folder), Settings(data=data), tokenizer, FakeDataset(ids))


@pytest.mark.parametrize("kind", TEXTS)
def test_what_next_prompt_comes_from_the_text_and_is_quoted(kind):
    lines = what_next(run_of(TEXTS[kind])).splitlines()
    typed = shlex.split(lines[0].rpartition("      ")[0])
    assert typed[:4] == ["minigpt", "generate", "runs/a", "--prompt"]
    assert len(typed) == 5
    prompt = typed_text(typed[4])
    assert prompt in TEXTS[kind]
    assert 0 < len(prompt) <= 24
    assert not prompt.startswith("-")


def test_what_next_offers_the_commands_for_the_run():
    def commands(**about):
        return [
            line.split()[1] for line in what_next(run_of("a b c d\n" * 9, **about)).splitlines()
        ]

    usual = ["generate", "explain", "explore", "plot"]
    assert commands() == [*usual, "eval"]
    assert commands(data=("-",)) == usual
    assert commands(data=("plays",)) == [*usual, "eval", "train"]


def test_what_next_quotes_paths():
    typed = shlex.split(what_next(run_of("abc", folder="my run's/$a")).splitlines()[0])
    assert typed[2] == "my run's/$a"
    assert for_shell(Path("-x")) == "./-x"


def test_what_next_has_no_prompt_without_words():
    assert few_words("\n \n\t\n") == ""
    assert "--prompt" not in what_next(run_of("\n \n"))


def test_for_shell_quotes_for_windows(monkeypatch):
    monkeypatch.setattr(wording.os, "name", "nt")
    assert for_shell(r"C:\runs\a") == r"C:\runs\a"
    assert for_shell("my run's") == '"my run\'s"'
    assert for_shell('a"b') == r'"a\"b"'


def test_check_length_writes_one_token_in_the_singular():
    with pytest.raises(ValueError, match="has 1 token, but"):
        check_length("validation", 1, 8)


def test_check_place_quotes_the_folder_in_its_hint(tmp_path):
    run = tmp_path / "my run"
    run.mkdir()
    (run / "file").touch()
    with pytest.raises(FileExistsError) as error:
        check_place(run)
    assert str(error.value).endswith(f"--resume {for_shell(run)}")
    assert for_shell(run) != str(run)
