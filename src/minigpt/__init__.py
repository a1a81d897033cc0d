"""miniGPT: GPT from scratch in NumPy, every layer, gradient and tokenizer written by hand.

Each folder has one subject. It imports only from itself and from folders above it in this list:

    core       the textbook: every formula plain, beside its derivative; start reading here
    fast       the same arithmetic, faster: plugged into the textbook from above
    support    safe reading and writing of files, terminal output, short reprs
    text       tokenizers, corpora, token files, batches
    training   the loop, its settings, the evaluation
    folders    a model on disk: Hugging Face folders, safetensors, the hub
    runs       a run in its folder: checkpoints, metrics, exact resuming
    inside     every number of a pass, and what can be read from it
    check      proofs: gradients and properties, of our layers or yours
    show       figures, the page that explains a model, displays in a notebook
    web        the live page
    course     build each layer yourself; the tool marks it
    commands   the command line, a file for each command
"""

import ast as _ast
from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import Any as _Any

__version__ = "0.1.0"


def _addresses() -> dict[str, tuple[str, str]]:
    """Return name → (module, name in it) from __init__.pyi; the second is "" for a module."""
    stub = _Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    found = {}
    for node in _ast.parse(stub).body:
        if isinstance(node, _ast.ImportFrom):
            room = f"minigpt.{node.module or ''}".rstrip(".")
            for alias in node.names:  # modules are written as "name as name"
                module = f"{room}.{alias.name}" if alias.asname else room
                found[alias.name] = (module, "" if alias.asname else alias.name)
    return found


_ADDRESSES = _addresses()
__all__ = [name for name, (_, inside) in _ADDRESSES.items() if inside]


def __getattr__(name: str) -> _Any:
    """Import what a name stands for when it is first used, so that `import minigpt` is fast."""
    if name not in _ADDRESSES:
        raise AttributeError(f"module 'minigpt' has no attribute {name!r}{_hint(name)}")
    _assemble()
    module, inside = _ADDRESSES[name]
    found = getattr(_import_module(module), inside) if inside else _import_module(module)
    globals()[name] = found
    return found


def _assemble() -> None:
    """Plug the fast forms, better errors, folders and displays into the textbook."""
    for module in ("fast", "support.better_errors", "folders", "show"):
        _import_module(f"minigpt.{module}")


def _hint(name: str) -> str:
    from importlib.util import find_spec

    from minigpt.core.checks import nearest

    if name.isidentifier() and name[0] != "_" and find_spec(f"minigpt.{name}"):
        return f": write import minigpt.{name} first"
    guess = nearest(name, __all__, 0.75) if name[0] != "_" else None
    return f": did you mean {guess!r}?" if guess else ""


def __dir__() -> list[str]:
    return sorted({*globals(), *_ADDRESSES})
