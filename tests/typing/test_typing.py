"""The checkers find no error in accept_*.py and in reject_*.py one on exactly the lines marked `# error`."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
ACCEPT = sorted(FOLDER.glob("accept_*.py"))
REJECT = sorted(FOLDER.glob("reject_*.py"))
MARKED = re.compile(r"# error$")
MYPY_ERROR = re.compile(r"^(?P<file>.+?):(?P<line>\d+): error: (?P<message>.*)$")

# The messages of a checker by file and line (from 1).
Errors = dict[Path, dict[int, list[str]]]


def run(*command: str) -> str:
    """Run a checker from the root of the repository; its exit code only says that there are errors."""
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="session")
def mypy() -> Errors:
    errors: Errors = defaultdict(lambda: defaultdict(list))
    names = [path.relative_to(ROOT).as_posix() for path in (*ACCEPT, *REJECT)]
    output = run("mypy", "--strict", "--no-error-summary", "--hide-error-context", "--no-pretty", *names)
    for line in output.splitlines():
        if found := MYPY_ERROR.match(line):
            errors[ROOT / found["file"]][int(found["line"])].append(found["message"])
    return errors


@pytest.fixture(scope="session")
def pyright() -> Errors:
    errors: Errors = defaultdict(lambda: defaultdict(list))
    report = json.loads(run("pyright", "--outputjson", *map(str, (*ACCEPT, *REJECT))))
    assert report["summary"]["filesAnalyzed"] >= len(ACCEPT) + len(REJECT)
    for each in report["generalDiagnostics"]:
        if each["severity"] == "error":
            line = each["range"]["start"]["line"] + 1
            errors[Path(each["file"])][line].append(each["message"])
    return errors


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
@pytest.mark.parametrize("path", ACCEPT, ids=lambda path: path.stem)
def test_right_code_has_no_error(request: pytest.FixtureRequest, checker: str, path: Path) -> None:
    errors: Errors = request.getfixturevalue(checker)
    assert not dict(errors[path])


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
@pytest.mark.parametrize("path", REJECT, ids=lambda path: path.stem)
def test_every_marked_line_is_an_error_and_no_other(
    request: pytest.FixtureRequest, checker: str, path: Path
) -> None:
    errors: Errors = request.getfixturevalue(checker)
    lines = path.read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if MARKED.search(line)}
    assert marked
    found = errors[path]
    assert not {number: lines[number - 1] for number in sorted(marked - set(found))}, "passed, but is wrong"
    assert not {number: found[number] for number in sorted(set(found) - marked)}, "refused, but is right"


def test_no_plugin_helps_the_checker() -> None:
    assert not re.search(r"^plugins\b", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_accepted_code_runs() -> None:
    for path in ACCEPT:
        importlib.import_module(f"tests.typing.{path.stem}")
    for name in ("models", "columns", "relations"):  # the others need a session
        module = importlib.import_module(f"tests.typing.accept_{name}")
        for _, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not inspect.signature(function).parameters:
                function()
