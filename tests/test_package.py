"""The package itself: what `import minigpt` gives, and what it costs."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import minigpt


def test_modules_are_imported_when_first_used():
    code = """
import sys
import minigpt
assert "numpy" not in sys.modules
minigpt.miniGPT
assert "minigpt.core.model" in sys.modules and "minigpt.training.loop" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_exist_and_unknown_ones_do_not():
    assert set(minigpt.__all__) <= set(dir(minigpt))
    assert all(hasattr(minigpt, name) for name in minigpt.__all__)
    assert minigpt.core.layers.Linear is minigpt.Linear
    with pytest.raises(AttributeError, match="no attribute 'minGPT'"):
        minigpt.minGPT  # noqa: B018


ROOT = Path(__file__).parents[1]
SOMEBODY_ELSES = re.compile(
    # minigpt[plot], minigpt>=1, minigpt @ git+https://..., and any command that installs minigpt
    rb"(?<![\w./-])minigpt\\?(\[|\s*([=~<>!]=\s*\d|@\s))"
    rb"|\b(pip3?|pipx|uv|poetry|conda)\s+(pip\s+|tool\s+)?(install|add|download|run)\b"
    rb"[^\n;&|#]*[\s'\"`]minigpt(?![\w./-])"
    rb"|\buvx\s+minigpt\b(?!-)|pypi\.org/project/minigpt\b(?!-)",
    re.IGNORECASE,
)


def files_of_the_repository():
    folders = [ROOT, ROOT / ".ci", ROOT / ".github"]
    while folders:
        for path in folders.pop().iterdir():
            if path.is_file():
                yield path
            elif path.name[0] != "." and path.name not in {"runs", "build", "dist", "__pycache__"}:
                folders += [] if (path / "pyvenv.cfg").exists() else [path]


@pytest.mark.parametrize(
    "text",
    [
        "pip install minigpt",
        "pip install 'minigpt[plot]'",
        'test = ["minigpt[explore]"]',
        "miniGPT[mpi]",
        "minigpt\\[plot\\]",
        "python -m pip install --quiet minigpt",
        "minigpt>=0.1",
        "minigpt @ git+https://example.org/minigpt",
        "uv pip install minigpt",
        "uvx minigpt demo",
    ],
)
def test_search_for_the_foreign_package_name_finds_it(text):
    assert SOMEBODY_ELSES.search(text.encode())
    ours = re.sub("minigpt", "minigpt-numpy", text, count=1, flags=re.IGNORECASE)
    assert not SOMEBODY_ELSES.search(ours.encode())


def test_no_text_recommends_the_foreign_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "minigpt-numpy"
    files = [path for path in files_of_the_repository() if path != Path(__file__)]
    assert {path.name for path in files} >= {"README.md", "pyproject.toml", "machines.py"}
    found = {path: SOMEBODY_ELSES.search(path.read_bytes()) for path in files}
    assert {path: match for path, match in found.items() if match} == {}
