"""What is known of a raw text, read as the database reads it."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import SessionError, SQLSyntaxError
from blaze.persistence.raw_texts import RawText, read
from blaze_mysql import MySQLDialect
from blaze_postgres import PostgresDialect
from blaze_sqlite import SQLiteDialect

POSTGRES, MYSQL = PostgresDialect().features, MySQLDialect(version="8.4.0").features
SQLITE = SQLiteDialect().features


def known(features: Any, text: str) -> RawText:
    return read(text, features.lexis, features.lasting)


@pytest.mark.parametrize(
    ("features", "text"),
    [
        (POSTGRES, "/* /* x */ */ COMMIT"),
        (POSTGRES, "PREPARE TRANSACTION 'x'"),
        (POSTGRES, "((abort))"),
        (MYSQL, "# x\nCOMMIT"),
        (MYSQL, "/*! COMMIT */"),
        (SQLITE, "\ufeffEND"),
    ],
)
def test_the_end_of_a_transaction_is_seen(features: Any, text: str) -> None:
    with pytest.raises(SessionError, match="session's business"):
        known(features, text)


@pytest.mark.parametrize(
    ("features", "text"),
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
def test_several_statements_are_seen(features: Any, text: str) -> None:
    with pytest.raises(SQLSyntaxError, match="several statements"):
        known(features, text)


@pytest.mark.parametrize(
    ("features", "text", "writes"),
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
def test_one_statement(features: Any, text: str, writes: bool) -> None:
    assert known(features, text).writes is writes


@pytest.mark.parametrize(
    ("features", "text", "lasts"),
    [
        (POSTGRES, "SET search_path = a", True),
        (POSTGRES, "/* x */ set session characteristics as transaction read only", True),
        (POSTGRES, "SET LOCAL search_path = a", False),
        (POSTGRES, "SET TRANSACTION READ ONLY", False),
        (POSTGRES, "SET", True),
        (POSTGRES, "RESET ALL", True),
        (POSTGRES, "PREPARE a AS SELECT 1", True),
        (POSTGRES, "LISTEN a", True),
        (POSTGRES, "LOCK TABLE a", False),
        (POSTGRES, "CREATE TEMP TABLE a (b int)", True),
        (POSTGRES, "CREATE LOCAL TEMPORARY TABLE a (b int)", True),
        (POSTGRES, "CREATE TEMP TABLE a (b int) ON COMMIT DROP", False),
        (POSTGRES, "CREATE OR REPLACE TEMP VIEW a AS SELECT 1", True),
        (POSTGRES, "SELECT 1 AS b INTO TEMP a", True),
        (POSTGRES, "CREATE TABLE temp (a int)", False),
        (POSTGRES, "SELECT temp FROM a", False),
        (POSTGRES, "SELECT pg_try_advisory_lock(1)", True),
        (POSTGRES, "SELECT pg_advisory_xact_lock(1)", False),
        (POSTGRES, "SELECT 'pg_advisory_lock(1)'", False),
        (POSTGRES, "SELECT set_config('a.b', %s, false)", True),
        (POSTGRES, "SELECT set_config('a.b', %s, true)", False),
        (MYSQL, "SET sql_mode = ''", True),
        (MYSQL, "SET @a = 1", True),
        (MYSQL, "SET @@session.sql_mode = ''", True),
        (MYSQL, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", False),
        (MYSQL, "USE other", True),
        (MYSQL, "LOCK TABLES a WRITE", True),
        (MYSQL, "SELECT GET_LOCK('a', 1)", True),
        (MYSQL, "SELECT release_lock('a')", False),
        (MYSQL, "CREATE TEMPORARY TABLE a (b int)", True),
        (MYSQL, "UPDATE a SET b = 1", False),
        (SQLITE, "PRAGMA foreign_keys = OFF", True),
        (SQLITE, "PRAGMA foreign_keys(0)", True),
        (SQLITE, "PRAGMA foreign_keys", False),
        (SQLITE, "PRAGMA main.table_info(a)", False),
        (SQLITE, "ATTACH 'a.db' AS a", True),
        (SQLITE, "CREATE TEMP TABLE a (b)", True),
        (SQLITE, "SET", False),
    ],
)
def test_what_stays_on_the_connection(features: Any, text: str, lasts: bool) -> None:
    assert known(features, text).lasts is lasts
