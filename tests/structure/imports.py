"""Read which module imports which, without importing any of them.

Imports under `if TYPE_CHECKING:` are left out: they join no files at run time.
Imports inside functions count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Optional


@dataclass(frozen=True)
class Import:
    """One import: module `source` takes `target`, a module of the package or a dotted foreign name."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def read_imports(source_root: Path) -> list[Import]:
    """List the imports of every module below `source_root` (a `src` folder)."""
    files = {_module_name(path, source_root): path for path in sorted(source_root.rglob("*.py"))}
    return [
        Import(module, target, line)
        for module, path in files.items()
        for target, line in _targets(module, path, files.keys())
    ]


def upward_imports(imports: Iterable[Import], package: str, layers: tuple[str, ...]) -> list[Import]:
    """List the imports that break the order of `layers`, the top-level names of `package` from left to right.

    A name may import itself and names further right; only the package's `__init__` may import any of them.
    A name that `layers` does not have raises a ValueError.
    """

    def position(module: str) -> Optional[int]:
        root, _, rest = module.partition(".")
        name = rest.partition(".")[0]
        if root != package:
            return None
        if name and name not in layers:
            raise ValueError(f"{module} belongs to no layer; the layers are {', '.join(layers)}")
        return layers.index(name) if name else -1

    broken = []
    for each in imports:
        source, target = position(each.source), position(each.target)
        if source is not None and target is not None and target < source:
            broken.append(each)
    return broken


def find_cycle(imports: Iterable[Import]) -> list[str]:
    """Give one circle of modules that import each other, or an empty list."""
    graph: dict[str, set[str]] = {}
    imports = list(imports)
    modules = {each.source for each in imports}
    for each in imports:
        if each.target in modules and each.target != each.source:
            graph.setdefault(each.source, set()).add(each.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _module_name(path: Path, source_root: Path) -> str:
    parts = path.relative_to(source_root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _targets(module: str, path: Path, modules: Iterable[str]) -> Iterator[tuple[str, int]]:
    for node in _runtime_nodes(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, path.name == "__init__.py", node)
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield (submodule if submodule in modules else base), node.lineno


def _absolute(module: str, is_package: bool, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            for other in node.orelse:
                yield other
                yield from _runtime_nodes(other)
        else:
            yield node
            yield from _runtime_nodes(node)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
