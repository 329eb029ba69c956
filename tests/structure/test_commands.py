"""The commands around the tests do what CI relies on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import run

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
