"""What the source says of itself: its modules, who imports whom, which names it defines."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2] / "src" / "minigpt"
TESTS = Path(__file__).parents[1]
ROOMS = (
    *("core", "support", "fast", "text", "training", "folders"),
    *("runs", "inside", "check", "show", "web", "course", "commands"),
)
"""From the lowest to the highest: a room imports itself and those before it."""


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of each module, by its dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        if path.is_relative_to(ROOT / "course" / "lessons"):
            continue  # what the learner writes, and how it is marked: data of the course
        name = ".".join(("minigpt", *path.relative_to(ROOT).with_suffix("").parts))
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


@cache
def imports() -> dict[str, set[str]]:
    """Return which of our modules each module imports: lazily and for types only, too."""
    found = {}
    for name, tree in modules().items():
        wanted = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name} imports relatively"
                wanted |= {f"{node.module}.{alias.name}" for alias in node.names}
        found[name] = {_module_of(each) for each in wanted if each.split(".")[0] == "minigpt"}
        found[name] -= {name}
    return found


def _module_of(name: str) -> str:
    while name not in modules():
        name = name.rpartition(".")[0]
    return name


def room_of(module: str) -> str:
    """Return the room of a module, "" for those that lie beside the rooms."""
    return [*module.split("."), ""][1]


def upward_arrows() -> list[str]:
    """Return the imports of a room by one that stands lower."""
    return [
        f"{name} -> {imported}"
        for name, wanted in imports().items()
        for imported in sorted(wanted)
        if room_of(name) in ROOMS
        and room_of(imported) in ROOMS
        and ROOMS.index(room_of(imported)) > ROOMS.index(room_of(name))
    ]


def circle() -> list[str]:
    """Return the modules of a circle of imports, in its order; empty if there is none."""
    done: set[str] = set()

    def follow(path: list[str]) -> list[str]:
        for imported in sorted(imports()[path[-1]] - done):
            if imported in path:
                return [*path[path.index(imported) :], imported]
            if found := follow([*path, imported]):
                return found
        done.add(path[-1])
        return []

    return next((found for name in imports() if name not in done and (found := follow([name]))), [])


def top_level_names(kind: type | tuple[type, ...]) -> dict[str, list[str]]:
    """Return the modules in which each name is defined by a statement of this kind."""
    found = defaultdict(list)
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, kind):
                for name in _names(node):
                    found[name].append(module)
    return found


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [
            name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
        ]
    return [node.name]


def docstrings() -> dict[str, str]:
    """Return the docstring of each module, class and function that has one, by its place."""
    found = {}
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                found[f"{module}:{getattr(node, 'name', '')}:{getattr(node, 'lineno', 1)}"] = text
    return found
