"""The commands around the tests do what CI relies on."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import drivers, run

ROOT = Path(__file__).parents[2]
PASS, FAIL = ["timeit", "-n1", "pass"], ["no_such_module"]


@pytest.mark.requirement("R104")
def test_formatter_linter_both_type_checkers_and_pytest_are_run() -> None:
    commands = {" ".join(command) for command in run.STEPS.values()}
    assert {"ruff format --check .", "ruff check .", "mypy", "pyright"} <= commands
    assert run.STEPS["pytest"][0] == "pytest"


@pytest.mark.requirement("R104")
def test_one_failing_step_fails_the_run_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "STEPS", {"first": FAIL, "second": PASS})
    assert not run.run(["first", "second"])
    output = capfd.readouterr().out
    assert "first FAILED" in output
    assert "second ok" in output
    assert run.run(["second"])


def test_the_long_run_has_the_oldest_drivers_that_are_declared() -> None:
    """Each pin of hatch.toml is the lower bound of a distribution, and each driver has one."""
    pins = re.findall(
        r'"([\w-]+)==([\d.]+)", if = \["oldest"\]', (ROOT / "hatch.toml").read_text(encoding="utf-8")
    )
    declared: dict[str, str] = {}
    for path in [
        *ROOT.glob("packages/*/pyproject.toml"),
        *ROOT.glob("examples/third_party/*/pyproject.toml"),
    ]:
        declared.update(re.findall(r'"([\w-]+)>=([\d.]+)"', path.read_text(encoding="utf-8")))
    assert {name for name, _ in pins} == {each for names in drivers.DRIVERS.values() for each in names}
    assert dict(pins) == {name: declared[name] for name, _ in pins}
    assert set(drivers.DRIVERS) == set(drivers.TESTS)
    for arguments in drivers.TESTS.values():
        assert all((ROOT / each).exists() for each in arguments if "/" in each)


def test_ci_fails_where_a_python_of_the_matrix_is_missing(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash
    for name in ("dirname", "env"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [bash, ROOT / ".ci" / "run"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "python3.9 is missing" in done.stderr
