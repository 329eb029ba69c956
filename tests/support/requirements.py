"""Tie the tests to the requirements that they show.

    @pytest.mark.requirement("R29")

marks a test; `pytest --requirements` runs nothing, prints every requirement with its tests and fails
where one has none (`--requirements=report` never fails). The list is tests/requirements.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

LIST = Path(__file__).parent.parent / "requirements.md"
LINE = re.compile(r"^- \*\*(R\d+)\*\* (.+)$", re.MULTILINE)
TESTS = pytest.StashKey["dict[str, list[str]]"]()


def read_requirements(text: str) -> dict[str, str]:
    """Read the list: number to text, in the order of the file."""
    return dict(LINE.findall(text))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--requirements",
        nargs="?",
        const="strict",
        choices=["strict", "report"],
        help="print every requirement with its tests instead of running them; fail where one has none",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "requirement(*numbers): the requirements (R1, ...) that this test shows"
    )
    config.addinivalue_line(
        "markers", "long: takes more than a few seconds; only `hatch run test-long` runs it"
    )
    config.stash[TESTS] = {number: [] for number in read_requirements(LIST.read_text(encoding="utf-8"))}
    if config.option.requirements:
        config.option.collectonly = True
        config.option.markexpr = ""
        config.option.verbose = min(config.option.verbose, 0) - 2  # no tree of the collected tests


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    tests = config.stash[TESTS]
    for item in items:
        for marker in item.iter_markers("requirement"):
            if not marker.args:
                raise pytest.UsageError(f"{item.nodeid} is marked with a requirement that has no number")
            for number in marker.args:
                if number not in tests:
                    raise pytest.UsageError(
                        f"{item.nodeid} is marked with {number!r}, which {LIST.name} does not have"
                    )
                name = item.nodeid.partition("[")[0]  # the cases of one test are one line
                if name not in tests[number]:
                    tests[number].append(name)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    mode = session.config.option.requirements
    if (
        mode == "strict"
        and exitstatus == pytest.ExitCode.OK
        and not all(session.config.stash[TESTS].values())
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    mode = config.option.requirements
    if not mode:
        return
    tests = config.stash[TESTS]
    missing = [number for number, names in tests.items() if not names]
    if mode == "strict":
        for number, text in read_requirements(LIST.read_text(encoding="utf-8")).items():
            terminalreporter.write_line(f"{number} {text}", bold=True)
            for name in tests[number] or ["no test"]:
                terminalreporter.write_line(f"    {name}", red=number in missing)
    terminalreporter.write_line(f"{len(tests) - len(missing)} of {len(tests)} requirements have a test")
    if missing:
        terminalreporter.write_line(f"without one: {' '.join(missing)}", red=True)
