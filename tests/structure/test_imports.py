"""Imports go one way: layers, backends on top of the core, no circle of files, nothing loaded early."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import blaze
from tests.structure.imports import find_cycle, read_imports, upward_imports

PACKAGES = Path(__file__).parents[2] / "packages"
CORE = PACKAGES / "blaze-core" / "src"
BACKENDS = sorted(path for path in PACKAGES.glob("*/src") if path != CORE)

# Each name imports only from names further right.
LAYERS = (
    "testing",
    "persistence",
    "query",
    "schema",
    "core",
    "engine",
    "sql",
    "adapters",
    "plugins",
    "dialects",
    "plan",
    "hooks",
    "cache",
    "security",
    "validation",
    "utils",
    "errors",
)
DRIVERS = {
    "aiomysql",
    "aiosqlite",
    "asyncmy",
    "asyncpg",
    "MySQLdb",
    "psycopg",
    "psycopg2",
    "pymysql",
    "redis",
    "sqlite3",
}
CORE_DEPENDENCIES = {"importlib_metadata", "pluggy", "typing_extensions"}
# What a program that only declares models has no use for, each a millisecond or more.
EXPENSIVE = {
    "asyncio",
    "blaze.cache",
    "blaze.core.codec",
    "blaze.dialects.dialect",
    "blaze.engine",
    "blaze.hooks",
    "blaze.persistence",
    "blaze.plugins",
    "blaze.query.query",
    "blaze.schema",
    "concurrent.futures",
    "dataclasses",
    "difflib",
    "hashlib",
    "ipaddress",
    "json",
    "logging",
    "random",
    "socket",
    "ssl",
    "subprocess",
    "urllib.parse",
}
if sys.version_info >= (3, 11):  # before, typing_extensions is needed, which loads it
    EXPENSIVE |= {"inspect", "typing_extensions"}


def all_but_the_suite() -> list[Any]:
    """The compliance suite is written like tests of a user: it needs pytest and all of `blaze`."""
    return [each for each in read_imports(CORE) if not each.source.startswith("blaze.testing.suite")]


@pytest.mark.requirement("R108")
def test_the_core_imports_only_from_names_further_right() -> None:
    broken = upward_imports(all_but_the_suite(), "blaze", LAYERS)
    assert not broken, "\n".join(map(str, broken))


@pytest.mark.parametrize("source_root", [CORE, *BACKENDS], ids=lambda path: path.parent.name)
def test_no_circle_joins_files(source_root: Path) -> None:
    assert not find_cycle(read_imports(source_root))


if sys.version_info >= (3, 10):  # older ones do not list the standard library

    @pytest.mark.requirement("R108")
    def test_the_core_imports_nothing_but_its_dependencies() -> None:
        allowed = (set(sys.stdlib_module_names) - DRIVERS) | CORE_DEPENDENCIES | {"blaze"}
        foreign = [each for each in all_but_the_suite() if each.target.partition(".")[0] not in allowed]
        assert not foreign, "\n".join(map(str, foreign))


def test_import_blaze_loads_no_driver_and_no_plugin() -> None:
    loaded = set(run_fresh("import blaze, sys, json; print(json.dumps([*sys.modules]))"))
    assert not {name for name in loaded if name in DRIVERS or name.startswith("blaze_")}
    assert "pluggy" not in loaded, "plugins are found when one is needed"
    assert "importlib.metadata" not in loaded, "entry points are read when one is needed"


MODELS = """
from typing import Optional
from blaze import Field, ForeignKey, Model, field, foreign_key

class Author(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = "nobody"

class Book(Model):
    id: Field[int] = field(primary_key=True)
    author: ForeignKey[Optional[Author]] = foreign_key(related_name="books")

Author(name="Ada")
"""


@pytest.mark.parametrize("script", ["import blaze", MODELS], ids=["import", "models"])
def test_importing_and_declaring_models_loads_nothing_that_costs(script: str) -> None:
    tell = "import json, sys; print(json.dumps([*sys.modules]))"
    loaded = set(run_fresh(f"{script}\n{tell}"))
    # On older Pythons these two load inspect and subprocess themselves.
    dependency = set(run_fresh(f"import typing_extensions, uuid\n{tell}"))
    assert not (loaded - dependency) & EXPENSIVE, "import these in the functions that need them"


def test_what_is_loaded_late_is_a_name_of_blaze_like_the_others() -> None:
    script = (
        "import blaze, json, sys; listed = 'AsyncSession' in dir(blaze); before = 'asyncio' in sys.modules;"
        " from blaze import *; from blaze.persistence import async_session;"
        " same = AsyncSession is blaze.AsyncSession is async_session.AsyncSession;"
        " shadowed = not callable(blaze.sql) or not hasattr(blaze.hooks, 'registry');"
        " print(json.dumps([listed, before, same, shadowed, sorted(set(blaze.__all__) - set(dir()))]))"
    )
    assert run_fresh(script) == [True, False, True, False, []]


def test_hooks_know_the_plugins_however_they_are_imported() -> None:
    for script in ("import blaze; blaze.hooks", "from blaze import hooks", "from blaze import Session"):
        assert run_fresh(f"{script}; import json, sys; print(json.dumps('blaze.plugins' in sys.modules))")


def test_a_name_that_blaze_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'blaze' has no attribute 'Nonsense'"):
        blaze.Nonsense  # type: ignore[attr-defined]  # noqa: B018


def run_fresh(script: str) -> Any:
    """Run `script` in a new interpreter and read the JSON that it prints."""
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    return json.loads(output)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name, text in {
        "house/__init__.py": "from house.roof import tile\n",
        "house/roof.py": "from house.cellar import wine\nfrom typing import TYPE_CHECKING\n",
        "house/cellar/__init__.py": "",
        "house/cellar/wine.py": "import json\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_checker_accepts_a_layered_package(house: Path) -> None:
    imports = read_imports(house)
    assert ("house.roof", "house.cellar.wine") in {(each.source, each.target) for each in imports}
    assert not upward_imports(imports, "house", ("roof", "cellar"))
    assert not find_cycle(imports)


@pytest.mark.parametrize(
    "text",
    [
        "import house.roof\n",
        "from house import roof\n",
        "from ..roof import tile\n",
        "from .. import roof\n",
        "def pour():\n    from house.roof import tile\n",
        "try:\n    import house.roof\nexcept ImportError:\n    pass\n",
    ],
)
def test_the_checker_finds_an_upward_import_and_the_circle_it_closes(house: Path, text: str) -> None:
    (house / "house/cellar/wine.py").write_text(text)
    imports = read_imports(house)
    assert [each.source for each in upward_imports(imports, "house", ("roof", "cellar"))] == [
        "house.cellar.wine"
    ]
    assert {"house.roof", "house.cellar.wine"} <= set(find_cycle(imports))


def test_the_checker_leaves_imports_for_type_checkers_alone(house: Path) -> None:
    (house / "house/cellar/wine.py").write_text("if TYPE_CHECKING:\n    from house.roof import tile\n")
    imports = read_imports(house)
    assert not upward_imports(imports, "house", ("roof", "cellar"))
    assert not find_cycle(imports)


def test_the_checker_refuses_a_name_that_has_no_layer(house: Path) -> None:
    (house / "house/attic.py").write_text("import house.roof\n")
    with pytest.raises(ValueError, match=r"house\.attic belongs to no layer"):
        upward_imports(read_imports(house), "house", ("roof", "cellar"))
