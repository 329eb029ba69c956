"""What is known of a raw text, read as the database reads it."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import SessionError, SQLSyntaxError
from blaze.persistence.raw_texts import read
from blaze_mysql import MySQLDialect
from blaze_postgres import PostgresDialect
from blaze_sqlite import SQLiteDialect

POSTGRES, MYSQL = PostgresDialect().features.lexis, MySQLDialect(version="8.4.0").features.lexis
SQLITE = SQLiteDialect().features.lexis


@pytest.mark.parametrize(
    ("lexis", "text"),
    [
        (POSTGRES, "/* /* x */ */ COMMIT"),
        (POSTGRES, "PREPARE TRANSACTION 'x'"),
        (POSTGRES, "((abort))"),
        (MYSQL, "# x\nCOMMIT"),
        (MYSQL, "/*! COMMIT */"),
        (SQLITE, "\ufeffEND"),
    ],
)
def test_the_end_of_a_transaction_is_seen(lexis: Any, text: str) -> None:
    with pytest.raises(SessionError, match="session's business"):
        read(text, lexis)


@pytest.mark.parametrize(
    ("lexis", "text"),
    [
        (POSTGRES, "SELECT '\\'; COMMIT; --'"),
        (POSTGRES, "SELECT $a$ ; $a$; DROP TABLE t"),
        (POSTGRES, "SELECT $a$ $b$ ; $a$; $b$"),
        (POSTGRES, "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; COMMIT"),
        (MYSQL, "SELECT 1 -- x\n; SELECT 2"),
        (MYSQL, "SELECT 1 --1; SELECT 2"),
        (MYSQL, "SELECT 1 /*!; COMMIT */"),
        (SQLITE, ";;SELECT 1"),
    ],
)
def test_several_statements_are_seen(lexis: Any, text: str) -> None:
    with pytest.raises(SQLSyntaxError, match="several statements"):
        read(text, lexis)


@pytest.mark.parametrize(
    ("lexis", "text", "writes"),
    [
        (POSTGRES, "SELECT $a$ ; COMMIT $a$;", False),
        (POSTGRES, "SELECT E'\\'; COMMIT' ;; -- ; x", False),
        (POSTGRES, "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;", True),
        (MYSQL, "SELECT '\\'; COMMIT'", False),
        (MYSQL, "SELECT 1 # ; COMMIT", False),
        (SQLITE, "CREATE TRIGGER a AFTER INSERT ON b BEGIN DELETE FROM c; UPDATE d SET e = 1; END", True),
        (SQLITE, "SELECT [a;b] FROM c", False),
        (POSTGRES, "WITH a AS (SELECT 'DELETE') SELECT * FROM a", False),
        (POSTGRES, "WITH a AS (DELETE FROM b RETURNING c) SELECT * FROM a", True),
        (POSTGRES, "", True),
    ],
)
def test_one_statement(lexis: Any, text: str, writes: bool) -> None:
    assert read(text, lexis).writes is writes
