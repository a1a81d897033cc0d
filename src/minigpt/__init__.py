"""miniGPT: GPT from scratch in NumPy, every layer, gradient and tokenizer written by hand.

Read the source in this order: `functional`, `attention`, `layers`, `model`, `tokenizers`, `data`,
`optim`, `training`, `generation`.
"""

import ast as _ast
from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import Any as _Any

__version__ = "0.1.0"


def _addresses() -> dict[str, tuple[str, str]]:
    """Read in __init__.pyi where each name is: its module, and its name there ("" of a module)."""
    stub = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    found = {}
    for node in ast.parse(stub).body:
        if isinstance(node, ast.ImportFrom):
            room = f"minigpt.{node.module or ''}".rstrip(".")
            for alias in node.names:  # a module stands there as "name as name"
                module = f"{room}.{alias.name}" if alias.asname else room
                found[alias.name] = (module, "" if alias.asname else alias.name)
    return found


_ADDRESSES = _addresses()
__all__ = [name for name, (_, inside) in _ADDRESSES.items() if inside]


def __getattr__(name: str) -> Any:
    """Import what a name stands for when it is first used, so that starting takes no time."""
    if name not in _ADDRESSES:
        raise AttributeError(f"module 'minigpt' has no attribute {name!r}")
    module, inside = _ADDRESSES[name]
    found = getattr(import_module(module), inside) if inside else import_module(module)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_ADDRESSES})
