"""The repository is laid out as documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "packages" / "blaze-core" / "src" / "blaze"
SUBPACKAGES = [
    "adapters",
    "cache",
    "core",
    "dialects",
    "hooks",
    "persistence",
    "query",
    "schema",
    "security",
    "sql",
    "utils",
]
# Where the tests of each area are.
AREAS = {
    "adapters": "backend",
    "execution": "query",
    "persistence": "persistence",
    "schema": "schema",
    "security": "backend/test_security.py",
    "caching": "cache",
    "hooks": "hooks",
    "performance": "utils/test_tracker.py",
    "examples": "examples",
}
MOST_LINES = 600
THIRD_PARTY = ROOT / "examples" / "third_party" / "blaze-duckdb"
DISTRIBUTIONS = [*sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml")), THIRD_PARTY]


@pytest.mark.requirement("R99")
def test_the_core_is_split_into_its_subpackages() -> None:
    assert not [name for name in SUBPACKAGES if not (CORE / name / "__init__.py").is_file()]
    assert (ROOT / "examples").is_dir()


@pytest.mark.requirement("R100")
def test_every_subpackage_has_a_readme() -> None:
    packages = sorted(path.parent for path in ROOT.glob("packages/*/src/**/__init__.py"))
    missing = [str(path.relative_to(ROOT)) for path in packages if not (path / "README.md").is_file()]
    assert missing == [str(CORE.relative_to(ROOT))]  # its README is that of the distribution


@pytest.mark.requirement("R100")
def test_every_readme_names_the_files_beside_it() -> None:
    missing = []
    for readme in [*ROOT.glob("packages/*/src/**/README.md"), *THIRD_PARTY.glob("src/**/README.md")]:
        text = readme.read_text(encoding="utf-8")
        if "| the other modules |" not in text:
            files = {path.name for path in readme.parent.glob("*.py")} - {"__init__.py"}
            missing += [f"{readme.parent.name}/{name}" for name in files if f"`{name}`" not in text]
    assert not missing


def test_every_source_file_can_be_read_at_one_sitting() -> None:
    sources = [*ROOT.glob("packages/*/src/**/*.py"), *ROOT.glob("examples/**/*.py")]
    assert len(sources) > 200
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    long = {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > MOST_LINES}
    assert not long, "split these along their nouns"


@pytest.mark.requirement("R107")
@pytest.mark.parametrize("module", ["session", "unit_of_work", "identity_map", "transaction"])
def test_persistence_has_a_module_for_each_role(module: str) -> None:
    assert (CORE / "persistence" / f"{module}.py").is_file()


@pytest.mark.requirement("R103")
def test_every_source_file_is_python_3_9() -> None:
    for path in ROOT.glob("packages/*/src/**/*.py"):
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))


@pytest.mark.requirement("R103")
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda path: path.name)
def test_every_distribution_is_complete(distribution: Path) -> None:
    metadata = (distribution / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.9"' in metadata
    for version in ("3.9", "3.10", "3.11", "3.12", "3.13"):
        assert f'"Programming Language :: Python :: {version}"' in metadata
    assert (distribution / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (distribution / "README.md").is_file()
    assert len(list(distribution.glob("src/*/py.typed"))) == 1


@pytest.mark.requirement("R108")
def test_a_backend_of_a_third_party_is_small_and_uses_public_names_only() -> None:
    files = sorted(THIRD_PARTY.rglob("*.py"))
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= 1300
    private = []
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                first, *others = name.split(".")
                of_blaze = first == "blaze" and any(part.startswith("_") for part in others)
                if of_blaze or (first.startswith("blaze_") and first != "blaze_duckdb"):
                    private.append(f"{path.name}: {name}")
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        private += [f"{path.name}: {name}" for name in _private_names_of_others(tree)]
    assert not private


def _private_names_of_others(tree: Iterable[ast.AST]) -> Iterator[str]:
    """Give the private names that are not of the object itself (`os._exit` is no private one)."""
    for node in tree:
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "os")):
                yield f"{ast.unparse(node)}"
        elif isinstance(node, ast.ClassDef) and any(
            "Dialect" in ast.unparse(base) or "Compiler" in ast.unparse(base) for base in node.bases
        ):
            for part in node.body:  # what such a class overrides must be public
                if isinstance(part, ast.FunctionDef) and re.fullmatch("_[^_].*", part.name):
                    yield f"{node.name}.{part.name}"


@pytest.mark.requirement("R105")
@pytest.mark.parametrize("area", AREAS)
def test_every_area_has_tests(area: str) -> None:
    place = ROOT / "tests" / AREAS[area]
    files = [place] if place.suffix else sorted(place.rglob("test_*.py"))
    tests = [
        node.name
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    ]
    assert len(tests) >= 5


@pytest.mark.requirement("R108")
def test_the_core_compares_nothing_with_the_name_of_a_backend() -> None:
    names = {"sqlite", "postgres", "postgresql", "mysql", "mariadb"}
    found = [
        f"{path.relative_to(CORE)}:{node.lineno}"
        for path in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Constant) and side.value in names
    ]
    assert not found


@pytest.mark.requirement("R113")
@pytest.mark.parametrize("warning", ["Threads", "Context variables", "Cache consistency", "Placeholders"])
def test_the_documentation_has_the_four_warnings(warning: str) -> None:
    assert f"\n## {warning}\n" in (ROOT / "docs" / "caveats.md").read_text(encoding="utf-8")
