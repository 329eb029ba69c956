"""The loggers, the slow-query limit, correlation ids and what is kept out of the log."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from typing import Any, Optional

import pytest

from blaze.errors import ConfigurationError
from blaze.security import Redactor
from blaze.utils.logging import JSONFormatter, StatementLog, correlation, correlation_id, slow_query_seconds


@pytest.mark.requirement("R94")
@pytest.mark.parametrize(
    ("environment", "argument", "expected"),
    [
        (None, None, 0.2),
        ("", None, 0.2),
        ("50", None, 0.05),
        ("50", 10, 0.01),
        (None, 0, 0.0),
        ("inf", None, float("inf")),
    ],
)
def test_the_slow_query_limit(
    monkeypatch: pytest.MonkeyPatch, environment: Optional[str], argument: Optional[float], expected: float
) -> None:
    monkeypatch.delenv("BLAZE_SLOW_QUERY_MS", raising=False)
    if environment is not None:
        monkeypatch.setenv("BLAZE_SLOW_QUERY_MS", environment)
    assert slow_query_seconds(argument) == expected
    assert StatementLog(argument).slow_seconds == expected


@pytest.mark.requirement("R94")
@pytest.mark.parametrize("value", ["fast", "-1", "nan"])
def test_a_wrong_limit_is_refused(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="slow_query_ms must be a number of milliseconds"):
        slow_query_seconds(value)
    monkeypatch.setenv("BLAZE_SLOW_QUERY_MS", value)
    with pytest.raises(ConfigurationError, match="variable BLAZE_SLOW_QUERY_MS must be"):
        slow_query_seconds()


@pytest.mark.requirement("R91", "R94")
def test_a_slow_query_is_logged_without_its_values(caplog: pytest.LogCaptureFixture) -> None:
    log = StatementLog(100, Redactor())
    sql = "SELECT * FROM t WHERE name = 'hunter2' AND tokenize = ? AND pin = ?"
    with correlation("request 1"):
        log.slow(sql, 0.25, 3, ("hunter2", 4711))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("blaze.slow", logging.WARNING)
    assert record.blaze == {  # type: ignore[attr-defined]
        "statement": "SELECT * FROM t WHERE name = ? AND tokenize = ? AND pin = ?",
        "duration_ms": 250.0,
        "rows": 3,
        "params": ["'hunter2'", "***"],  # "tokenize" only looks like a secret
        "correlation_id": "request 1",
        "threshold_ms": 100.0,
    }
    assert record.getMessage().startswith("slow query: 250.0 ms, 3 rows: SELECT * FROM t WHERE name = ?")


def test_without_names_or_redactor_only_types_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "blaze.sql")
    for redactor in (None, Redactor()):
        StatementLog(redactor=redactor).statement("SELECT ?", 0.001, None, ("hunter2", None), error=OSError())
    StatementLog().statement("SELECT :a", 0.001, 1, {"a": "hunter2"})
    assert "hunter2" not in caplog.text
    assert "<str>" in caplog.text
    assert "failed query: 1.0 ms, ? rows: SELECT ?" in caplog.text
    assert caplog.records[0].blaze["error"] == "OSError"  # type: ignore[attr-defined]


def test_a_quiet_logger_gets_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "blaze.sql")
    caplog.set_level(logging.ERROR, "blaze.slow")
    StatementLog().statement("SELECT 1", 0.001)
    StatementLog().slow("SELECT 1", 10)
    assert not caplog.records


@pytest.mark.requirement("R91")
def test_json_lines() -> None:
    formatter = JSONFormatter()
    logger = logging.Logger("app")
    record = logger.makeRecord(
        "app", logging.INFO, "file", 1, "hello %s", ("é",), None, extra={"blaze": {"rows": 3}}
    )
    with correlation("c"):
        line = json.loads(formatter.format(record))
    assert line["message"] == "hello é"
    assert line["rows"] == 3
    assert (line["level"], line["logger"], line["correlation_id"]) == ("INFO", "app", "c")
    try:
        raise ValueError("boom")
    except ValueError:
        failed = logger.makeRecord("app", logging.ERROR, "file", 1, "failed", (), sys.exc_info())
    assert "ValueError: boom" in json.loads(formatter.format(failed))["exception"]


@pytest.mark.requirement("R91")
async def test_correlation_ids_belong_to_threads_and_tasks() -> None:
    seen: dict[str, Optional[str]] = {}

    async def task(name: str) -> None:
        with correlation(name):
            await asyncio.sleep(0)
            seen[name] = correlation_id()

    assert correlation_id() is None
    await asyncio.gather(task("a"), task("b"))
    with correlation() as outer:
        with correlation("inner"):
            assert correlation_id() == "inner"
        assert correlation_id() == outer
        thread = threading.Thread(target=lambda: seen.update(thread=correlation_id()))
        thread.start()
        thread.join()
    assert len(outer) == 32
    assert seen == {"a": "a", "b": "b", "thread": None}
    assert correlation_id() is None


def test_importing_configures_nothing() -> None:
    script = (
        "import logging, blaze.utils.logging, blaze.plan;"
        " names = [logging.getLogger(n) for n in ('', 'blaze', 'blaze.sql', 'blaze.slow')];"
        " assert not any(logger.handlers or logger.filters for logger in names);"
        " assert all(logger.level == logging.NOTSET for logger in names[1:])"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
