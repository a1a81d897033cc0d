"""How the house is built: who may import whom, how long the textbook is, what names mean."""

import ast
import re
import subprocess
import sys
from collections import Counter

import house
import pytest

LIMIT = 1500  # lines of core/, docstrings included, error checks not counted
ERROR_CHECKS = {"checks.py", "checks_arrays.py", "checks_model.py", "checks_generation.py"}
COMMAND = "minigpt.commands."  # a file for each command, called by its name


def test_imports_go_one_way():
    assert house.upward_arrows() == []


def test_imports_form_no_circle():
    assert " -> ".join(house.circle()) == ""


def test_package_holds_only_its_rooms():
    beside = {path.name for path in house.ROOT.iterdir() if path.name != "__pycache__"}
    assert beside == {*house.ROOMS, "__init__.py", "__init__.pyi", "__main__.py", "py.typed"}


def test_core_imports_only_numpy_and_itself():
    for name, tree in house.modules().items():
        if house.room_of(name) != "core":
            continue
        for node in ast.walk(tree):
            wanted = []
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                wanted = [node.module]
            for each in wanted:
                top = each.split(".")[0]
                ours = each == "minigpt.core" or each.startswith("minigpt.core.")
                assert ours or top == "numpy" or top in sys.stdlib_module_names, (name, each)


def test_core_trains_where_every_other_package_is_blocked():
    code = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        top, *rest = name.split(".")
        ours = top == "minigpt" and rest[:1] in ([], ["core"])
        if not (ours or top in ("numpy", "_distutils_hack") or top in sys.stdlib_module_names):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
import numpy as np
from minigpt.core.model import miniGPT
from minigpt.core.optim import AdamW, clip_gradients
model = miniGPT(5, 8, 8, 2, 1, seed=0)
optimizer = AdamW(model)
x = np.array([[0, 1, 2, 3, 4, 0, 1, 2]])
losses = []
for _ in range(60):
    losses.append(model.learn(x[:, :-1], x[:, 1:]))
    clip_gradients(model.flat.grads, 1.0)
    optimizer.step(1e-2)
assert losses[-1] < 0.5 < losses[0], losses
assert model.generate([[0, 1]], 3, temperature=0).tolist() == [[0, 1, 2, 3, 4]]
print("learned")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "learned", done.stderr


def test_core_is_short():
    files = [path for path in (house.ROOT / "core").glob("*.py") if path.name not in ERROR_CHECKS]
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in files}
    assert sum(lines.values()) <= LIMIT, lines


@pytest.mark.parametrize("word", ["threading", "concurrent", r"\bout="])
def test_core_has_no_threads_and_no_scratch_arrays(word):
    for path in (house.ROOT / "core").glob("*.py"):
        assert not re.search(word, path.read_text("utf-8")), path


def test_module_names_are_unique():
    names = Counter(name.rpartition(".")[2] for name in house.modules() if COMMAND not in name)
    twice = {name for name, n in names.items() if n > 1}
    assert twice <= {"bpe"}  # the textbook's, and the one people use


def test_constant_names_are_unique():
    defined = house.top_level_names((ast.Assign, ast.AnnAssign))
    twice = {
        name: where
        for name, where in defined.items()
        if name.isupper() and len(name) > 1 < len(where)
    }
    assert twice == {}


FORBIDDEN = {"Give", "Gives", "Tell", "Tells", "Let", "Lets", "Take", "Make"}


def test_docstrings_begin_with_what_is_returned_or_computed():
    wrong = {
        place: text.splitlines()[0]
        for place, text in house.docstrings().items()
        if text.split()[0] in FORBIDDEN
    }
    assert wrong == {}


def test_tests_share_their_factories_and_no_generator():
    """A generator at module level makes each test depend on those that drew before it."""
    wrong = []
    for path in sorted(house.TESTS.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in tree.body:
            drawn = isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            if drawn and re.search(r"\b(default_rng|Random)\(", ast.unparse(node.value)):
                wrong.append(f"{path}:{node.lineno} draws numbers at import: use the fixture rng")
        for node in ast.walk(tree):
            own = isinstance(node, ast.FunctionDef) and node.name.startswith("tiny_")
            if own and path.name != "tiny.py":
                wrong.append(f"{path}:{node.lineno} has a factory: use tests/helpers/tiny.py")
    assert wrong == []


def test_helpers_of_tests_lie_in_one_folder():
    """A helper in a test module is found only if pytest has collected its folder before."""
    others = [
        str(path)
        for path in house.TESTS.rglob("*.py")
        if not (path.parent.name == "helpers" or re.fullmatch(r"test_\w+|conftest", path.stem))
    ]
    assert others == []
