"""The benchmark runs on every backend, verifies what it measured, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.databases import Database, Place
from blaze import Engine
from tests.support.servers import mysql_database, postgres_database

ROOT = Path(__file__).parents[2]
ONLY = "insert_uow,get_pk,prefetch_o2m,delete_uow,async_get_pk"
ON_SERVERS = "get_pk,async_get_pk"  # a database of its own for each contender takes seconds there


def start_bench(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start raw and Blaze at a fifth of the size, one round."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", "--contenders", "raw,blaze"]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def run_bench(target: Path, *arguments: str, only: str = ONLY) -> dict[str, Any]:
    """Run it to its end; return what `--json` wrote."""
    started = start_bench("--json", str(target), "--only", only, *arguments)
    output, errors = started.communicate(timeout=120)
    assert started.returncode == 0, errors + output
    return json.loads(target.read_text())  # type: ignore[no-any-return]


def check(facts: dict[str, Any], backend: str, only: str = ONLY) -> None:
    """Both contenders took part in every scenario and handled the same data."""
    assert facts["backend"] == backend
    assert [entry["name"] for entry in facts["scenarios"]] == only.split(",")
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
        arguments = "--backend", "postgresql", "--server", dsn
        facts = run_bench(tmp_path / "figures.json", *arguments, only=ON_SERVERS)
        check(facts, "postgresql", ON_SERVERS)


def test_the_benchmark_runs_on_mysql(tmp_path: Path) -> None:
    with mysql_database() as dsn:
        arguments = "--backend", "mysql", "--server", dsn
        check(run_bench(tmp_path / "figures.json", *arguments, only=ON_SERVERS), "mysql", ON_SERVERS)


@pytest.mark.parametrize("rounds", ["0", "-1", "x"])
def test_rounds_are_one_or_more(rounds: str) -> None:
    started = start_bench(f"--rounds={rounds}")
    output, errors = started.communicate(timeout=60)
    assert (started.returncode, output) == (2, "")
    assert f"argument --rounds: rounds must be 1 or more, not {rounds}" in errors


def test_a_failing_contender_leaves_no_database_behind() -> None:
    def fail(database: Database) -> None:
        names.append(database.name)
        raise RuntimeError

    names: list[str] = []
    with postgres_database() as dsn:
        with pytest.raises(RuntimeError), Place("postgresql", dsn).database("failing") as database:
            fail(database)
        assert databases(dsn, f"SELECT count(*) FROM pg_database WHERE datname = '{names[0]}'") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no signal reaches another process there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_keeps_what_it_measured(tmp_path: Path, number: int) -> None:
    target, table, folder = tmp_path / "figures.json", tmp_path / "table.md", tmp_path / "databases"
    folder.mkdir()
    started = start_bench("--json", str(target), "--markdown", str(table), TMPDIR=str(folder))
    until = time.monotonic() + 60
    while not table.exists() and started.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    started.send_signal(number)
    output, errors = started.communicate(timeout=60)
    assert started.returncode == 130, errors + output
    names = [entry["name"] for entry in json.loads(target.read_text())["scenarios"]]
    assert names[0] == "insert_one"
    assert len(names) < 20
    assert table.read_text().count("\n") == 2 + len(names)
    assert (
        output.index("insert_one (µs/object): raw ") < output.index("stopped") < output.rindex("insert_one")
    )
    assert sorted(tmp_path.iterdir()) == [folder, target, table]
    assert list(folder.iterdir()) == []


def test_a_run_refreshes_rows_of_an_earlier_one(tmp_path: Path) -> None:
    target, table = tmp_path / "figures.json", tmp_path / "table.md"
    before = run_bench(target, only="prefetch_o2m,constructor")["scenarios"]
    other = tmp_path / "other.json"
    both = ("--merge", str(target), "--markdown", str(table))
    after = run_bench(other, *both, only="get_pk,prefetch_o2m")["scenarios"]
    assert [entry["name"] for entry in after] == ["get_pk", "prefetch_o2m", "constructor"]
    assert after[1] != before[0]
    assert after[2] == before[1]
    assert table.read_text().count("\n") == 5
    assert [entry["name"] for entry in json.loads(target.read_text())["scenarios"]] == [
        "prefetch_o2m",
        "constructor",
    ]


def test_figures_of_another_size_are_not_merged(tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    facts = run_bench(target, only="constructor")
    target.write_text(json.dumps({**facts, "size_divided_by": 1}))
    started = start_bench("--merge", str(target), "--only", "constructor")
    _, errors = started.communicate(timeout=60)
    assert started.returncode == 1
    assert "size_divided_by 1, this run is of 5" in errors


def test_a_file_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Path, target: Path) -> None:
        assert target.read_text() == "old"
        raise KeyboardInterrupt

    target = tmp_path / "table.md"
    report.write(target, "old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        report.write(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
