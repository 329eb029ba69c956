"""The compliance suite leaves no capability out, and is as large as promised."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import blaze
from blaze.dialects import Features
from blaze.testing import suite
from blaze.testing.suite.capabilities import SCHEMAS, STATEMENTS


def test_every_capability_without_which_something_raises_has_a_case() -> None:
    core = Path(blaze.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in core.rglob("*.py") if "testing" not in path.parts]
    required = {name for text in texts for name in re.findall(r'require\(\s*"(\w+)"', text)}
    assert len(required) > 20
    # What cannot be declared alone, or is tried by a module of its own.
    elsewhere = {"foreign_keys", "read_only_transactions"}
    assert required <= {*STATEMENTS, *SCHEMAS, *elsewhere}
    assert {*STATEMENTS, *SCHEMAS} <= set(Features._fields)


def test_there_are_at_least_400_cases() -> None:
    cases = [case for name, case in vars(suite).items() if name.startswith("test_")]
    assert sum(_variants(case) for case in cases) * 2 >= 400  # each runs blocking and asynchronously


def _variants(case: Any) -> int:
    found = 1
    for mark in getattr(case, "pytestmark", ()):
        if mark.name == "parametrize":
            found *= len(list(mark.args[1]))
    return found
