"""The package itself: what `import minigpt` gives, and what it costs."""

import subprocess
import sys

import pytest

import minigpt


def test_a_module_is_imported_when_one_of_its_names_is_first_used():
    code = """
import sys
import minigpt
assert "numpy" not in sys.modules
minigpt.miniGPT
assert "minigpt.model" in sys.modules and "minigpt.training" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_an_unknown_one_is_not():
    assert set(minigpt.__all__) <= set(dir(minigpt))
    assert all(hasattr(minigpt, name) for name in minigpt.__all__)
    assert minigpt.layers.Linear is minigpt.Linear
    with pytest.raises(AttributeError, match="no attribute 'minGPT'"):
        minigpt.minGPT  # noqa: B018
