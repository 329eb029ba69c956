"""Make a skipped test a failed one where CI=true: what CI does not run, nobody runs.

Only the compliance suite may skip a case, for what a backend does not declare.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

ALLOWED = "Skipped: the backend declares no "
STRICT = os.environ.get("CI") == "true"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return refuse_skip((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return refuse_skip((yield))


def refuse_skip(report: Any, strict: bool = STRICT) -> Any:
    """Turn `report` into a failure if it is a skip (an expected failure is none) and skips are refused."""
    if strict and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if str(reason).startswith(ALLOWED):
            return report
        report.outcome = "failed"
        report.longrepr = f"A test may not be skipped where CI=true. {reason}"
    return report
