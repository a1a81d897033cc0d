"""miniGPT: GPT from scratch in NumPy, every layer, gradient and tokenizer written by hand.

Read the source in this order: `functional`, `attention`, `layers`, `model`, `tokenizers`, `data`,
`optim`, `training`, `generation`.
"""

import ast as _ast
from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import Any as _Any

__version__ = "0.1.0"


def _modules() -> dict[str, str]:
    """Read in __init__.pyi which module each name comes from."""
    stub = _Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    imports = (node for node in _ast.parse(stub).body if isinstance(node, _ast.ImportFrom))
    return {alias.name: node.module or "" for node in imports for alias in node.names}


_MODULE_OF = _modules()
__all__ = [name for name, module in _MODULE_OF.items() if module]


def __getattr__(name: str) -> _Any:
    """Import what a name stands for when it is first used, so that starting takes no time."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'minigpt' has no attribute {name!r}{_hint(name)}")
    module = _import_module(f"minigpt.{_MODULE_OF[name] or name}")
    found = getattr(module, name) if _MODULE_OF[name] else module
    globals()[name] = found
    return found


def _hint(name: str) -> str:
    from importlib.util import find_spec

    from minigpt.checks import nearest

    if name.isidentifier() and name[0] != "_" and find_spec(f"minigpt.{name}"):
        return f": write import minigpt.{name} first"
    guess = nearest(name, __all__, 0.75) if name[0] != "_" else None
    return f": did you mean {guess!r}?" if guess else ""


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
