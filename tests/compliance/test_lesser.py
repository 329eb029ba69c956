"""A backend that honestly declares less than SQLite passes the suite: cases skip, or go another way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# SQLite without some of its capabilities.
SUITE = """
    from collections.abc import Iterator

    import pytest

    import blaze_sqlite.dialect as sqlite
    from blaze import Engine
    from blaze.testing.suite import *


    class LesserDialect(sqlite.SQLiteDialect):
        def __init__(self, *arguments, **named) -> None:
            super().__init__(*arguments, **named)
            self.features = self.features._replace(**dict.fromkeys({flags}, False))


    @pytest.fixture(scope="session")
    def blaze_engine(tmp_path_factory) -> Iterator[Engine]:
        import blaze_sqlite.adapter

        blaze_sqlite.adapter.SQLiteDialect = LesserDialect
        with Engine(f"sqlite:///{tmp_path_factory.mktemp('lesser') / 'suite.db'}") as engine:
            assert not any(getattr(engine.dialect.features, flag) for flag in {flags})
            yield engine
"""
RETURNING = ["returning", "update_returning", "delete_returning"]
LESSER = {
    "check constraints": ["check_constraints"],
    "returning": RETURNING,
    "row values": ["row_values"],
    "window functions": ["window_functions"],
    "transactional DDL": ["transactional_ddl"],
    "nearly everything": [
        *RETURNING, "check_constraints", "constraint_names", "deferrable_constraints", "expression_indexes",
        "filter_clause", "foreign_keys", "full_join", "generated_columns", "insert_default_values",
        "intersect_except", "json_paths", "nulls_order", "on_conflict", "partial_indexes",
        "read_only_transactions", "recursive_cte", "right_join", "row_value_in", "row_values", "savepoints",
        "transactional_ddl", "window_frames_exclude", "window_functions",
    ],
}  # fmt: skip


@pytest.mark.requirement("R90")
@pytest.mark.parametrize(
    "without",
    [pytest.param(each, marks=[] if each == "nearly everything" else pytest.mark.long) for each in LESSER],
)
def test_less_than_sqlite_passes(tmp_path: Path, without: str) -> None:
    from textwrap import dedent

    text = dedent(SUITE).replace("{flags}", repr(LESSER[without]))
    (tmp_path / "test_suite.py").write_text(text, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    # Cases of one kind of session are enough: what they ask for is the same for both.
    kind = "not async" if without != "nearly everything" else "async"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-k", kind, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-1_000:]
    assert " passed" in done.stdout
