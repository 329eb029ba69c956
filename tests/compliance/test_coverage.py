"""The compliance suite leaves no capability out, and is as large as promised."""

from __future__ import annotations

from typing import Any

from blaze.dialects import Features
from blaze.testing import suite
from blaze.testing.suite.capabilities import ELSEWHERE, SCHEMAS, STATEMENTS


def test_every_capability_has_a_case() -> None:
    flags = {name for name, value in Features()._asdict().items() if isinstance(value, bool)}
    tried = {*STATEMENTS, *SCHEMAS}
    assert not tried & ELSEWHERE
    assert tried | ELSEWHERE == flags


def test_there_are_at_least_400_cases() -> None:
    cases = [case for name, case in vars(suite).items() if name.startswith("test_")]
    assert sum(_variants(case) for case in cases) * 2 >= 400  # each runs blocking and asynchronously


def _variants(case: Any) -> int:
    found = 1
    for mark in getattr(case, "pytestmark", ()):
        if mark.name == "parametrize":
            found *= len(list(mark.args[1]))
    return found
