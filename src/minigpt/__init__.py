"""miniGPT: GPT from scratch in NumPy, every layer, gradient and tokenizer written by hand.

Read the source in this order: `functional`, `attention`, `layers`, `model`, `tokenizers`, `data`,
`optim`, `training`, `generation`.
"""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def _modules() -> dict[str, str]:
    """Read in __init__.pyi which module each name comes from."""
    stub = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    imports = (node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom))
    return {alias.name: node.module or "" for node in imports for alias in node.names}


_MODULE_OF = _modules()
__all__ = [name for name, module in _MODULE_OF.items() if module]


def __getattr__(name: str) -> Any:
    """Import what a name stands for when it is first used, so that starting takes no time."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'minigpt' has no attribute {name!r}")
    module = import_module(f"minigpt.{_MODULE_OF[name] or name}")
    found = getattr(module, name) if _MODULE_OF[name] else module
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
