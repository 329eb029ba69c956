"""The benchmark runs on every backend, verifies what it measured, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.databases import Database, Place
from blaze import Engine
from tests.support.servers import mysql_database, postgres_database

ROOT = Path(__file__).parents[2]
ONLY = "insert_uow,get_pk,prefetch_o2m,delete_uow,async_get_pk"


def run_bench(target: Path, *arguments: str) -> dict[str, Any]:
    """Run raw and Blaze at a fifth of the size, one round; return what `--json` wrote."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", "--contenders", "raw,blaze"]
    done = subprocess.run(
        [*command, "--json", str(target), "--only", ONLY, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(target.read_text())  # type: ignore[no-any-return]


def check(facts: dict[str, Any], backend: str) -> None:
    """Both contenders took part in every scenario and handled the same data."""
    assert facts["backend"] == backend
    assert [entry["name"] for entry in facts["scenarios"]] == ONLY.split(",")
    for entry in facts["scenarios"]:
        assert set(entry["rounds_us"]) == {"raw", "blaze"}
        assert len(set(entry["digests"].values())) == 1
        assert entry["ratios"]["blaze"] > 0


def databases(dsn: str, sql: str) -> int:
    """Count the databases of benchmarks on a server."""
    with Engine(dsn, pool_size=1) as engine, engine.connection() as connection:
        return int(connection.execute(sql).rows[0][0])


def test_the_benchmark_runs_on_sqlite(tmp_path: Path) -> None:
    check(run_bench(tmp_path / "figures.json"), "sqlite")


def test_the_benchmark_runs_on_postgresql(tmp_path: Path) -> None:
    with postgres_database() as dsn:
        check(run_bench(tmp_path / "figures.json", "--backend", "postgresql", "--server", dsn), "postgresql")


def test_the_benchmark_runs_on_mysql(tmp_path: Path) -> None:
    with mysql_database() as dsn:
        check(run_bench(tmp_path / "figures.json", "--backend", "mysql", "--server", dsn), "mysql")


def test_a_failing_contender_leaves_no_database_behind() -> None:
    def fail(database: Database) -> None:
        names.append(database.name)
        raise RuntimeError

    names: list[str] = []
    with postgres_database() as dsn:
        with pytest.raises(RuntimeError), Place("postgresql", dsn).database("failing") as database:
            fail(database)
        assert databases(dsn, f"SELECT count(*) FROM pg_database WHERE datname = '{names[0]}'") == 0
