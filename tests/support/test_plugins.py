"""The plugins of the test run: requirement marks and the refusal to skip where CI=true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]


def run_pytest(
    folder: Path, test_file: str, *arguments: str, ci: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run pytest with our plugins on a folder that holds just `test_file`."""
    (folder / "test_it.py").write_text(dedent(test_file))
    (folder / "conftest.py").write_text(
        'pytest_plugins = ["tests.support.requirements", "tests.support.skips"]\n'
    )
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": "true" if ci else ""}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


ONE_MARKED = """
    import pytest

    @pytest.mark.requirement("R29", "R30")
    @pytest.mark.parametrize("n", [1, 2])
    def test_one(n):
        assert False, "is listed, not run"
"""


def test_requirements_are_listed_with_their_tests_and_fail_where_there_is_none(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, ONE_MARKED, "--requirements")
    assert run.returncode == 1
    assert run.stdout.count("test_it.py::test_one\n") == 2
    assert "R30 A row whose key is known" in run.stdout
    assert "2 of 113 requirements have a test" in run.stdout


def test_a_report_of_the_requirements_does_not_fail(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, ONE_MARKED, "--requirements=report")
    assert run.returncode == 0
    assert "without one: R1 R2 " in run.stdout


def test_an_unknown_requirement_is_refused(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, ONE_MARKED.replace("R30", "R999"))
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "'R999', which requirements.md does not have" in run.stderr


def test_a_mark_without_a_number_is_refused(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, ONE_MARKED.replace('"R29", "R30"', ""))
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "a requirement that has no number" in run.stderr


SKIPS = """
    import pytest

    def test_skipped():
        pytest.skip("no time")

    @pytest.mark.skip(reason="no mood")
    def test_marked():
        pass

    @pytest.mark.xfail(strict=True)
    def test_expected():
        assert False
"""


def test_skips_are_skips_on_a_developers_machine(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, SKIPS)
    assert run.returncode == 0
    assert "2 skipped, 1 xfailed" in run.stdout


def test_skips_fail_under_ci(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, SKIPS, ci=True)
    assert run.returncode == 1
    assert "1 failed, 1 xfailed, 1 error" in run.stdout  # a mark already speaks in the setup of its test
    assert "no time" in run.stdout
    assert "no mood" in run.stdout


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("the backend declares no arrays", "1 skipped"), ("NO PGBOUNCER: install it", "1 failed")],
)
def test_only_what_a_backend_does_not_declare_is_skipped_under_ci(
    tmp_path: Path, reason: str, outcome: str
) -> None:
    test = f"import pytest\n\ndef test_it():\n    pytest.skip({reason!r})\n"
    assert outcome in run_pytest(tmp_path, test, ci=True).stdout


def test_a_module_skip_fails_under_ci(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "import pytest\npytest.importorskip('no_such_module')\n", ci=True)
    assert run.returncode != 0
    assert "no_such_module" in run.stdout
