"""One sqlite3 connection: statements, transactions, errors."""

from __future__ import annotations

import pickle
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from blaze import errors as e
from blaze.adapters import ConnectionConfig, Outcome
from blaze_sqlite import SQLiteAdapter
from blaze_sqlite.connection import SQLiteConnection

SCHEMA = (
    "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, price INT,"
    " CONSTRAINT positive CHECK (price >= 0))",
    "CREATE TABLE page (id INTEGER PRIMARY KEY, book_id INT REFERENCES book (id))",
    "CREATE TABLE pair (a INT, b INT, PRIMARY KEY (a, b))",
    "CREATE UNIQUE INDEX ix_lower ON book (lower(title))",
    "INSERT INTO book VALUES (1, 'one', 1)",
)
Connect = Callable[..., SQLiteConnection]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    opened: list[SQLiteConnection] = []

    def make(name: str = "test.db", **options: Any) -> SQLiteConnection:
        config = ConnectionConfig("sqlite", database=str(tmp_path / name), options=options)
        opened.append(SQLiteAdapter().connect(config))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def connection(connect: Connect) -> SQLiteConnection:
    connection = connect()
    for statement in SCHEMA:
        connection.execute(statement)
    return connection


@pytest.mark.requirement("R81")
def test_execute_gives_an_outcome_or_what_consume_makes(connection: SQLiteConnection) -> None:
    outcome = connection.execute("SELECT id, title FROM book")
    assert isinstance(outcome, Outcome)
    assert (outcome.columns, outcome.rows) == (("id", "title"), [(1, "one")])
    outcome = connection.execute("INSERT INTO book (title) VALUES (?)", ("two",))
    assert (outcome.rowcount, outcome.lastrowid, outcome.columns, outcome.rows) == (1, 2, (), [])
    outcome = connection.execute("INSERT INTO book (title) VALUES (?), (?) RETURNING id, title", ("x", "y"))
    assert (outcome.rowcount, outcome.columns, outcome.rows) == (2, ("id", "title"), [(3, "x"), (4, "y")])
    assert connection.execute("SELECT id FROM book ORDER BY id", (), list) == [(1,), (2,), (3,), (4,)]
    assert connection.execute("UPDATE book SET price = 2").rowcount == 4
    assert connection.execute_many("INSERT INTO book (title) VALUES (?)", [("p",), ("q",)]) == 2


def test_rows_of_a_multi_row_insert_come_back_in_order(connection: SQLiteConnection) -> None:
    titles = [f"t{n}" for n in range(500, 0, -1)]
    sql = f"INSERT INTO book (title) VALUES {', '.join(['(?)'] * 500)} RETURNING id, title"
    rows = connection.execute(sql, titles, list)
    assert [row[1] for row in rows] == titles
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_streams_are_lazy_and_can_be_left(connection: SQLiteConnection) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c"
    stream = connection.stream(endless, (), 3)
    assert next(stream) == [(1,), (2,), (3,)]
    assert next(stream) == [(4,), (5,), (6,)]
    stream.close()
    assert [len(rows) for rows in connection.stream("SELECT 1 UNION SELECT 2 UNION SELECT 3", (), 2)] == [
        2,
        1,
    ]
    with pytest.raises(e.SQLSyntaxError):
        next(connection.stream("SELECT nope"))


@pytest.mark.parametrize(
    ("sql", "error", "columns", "constraint", "code"),
    [
        (
            "INSERT INTO book (title) VALUES ('one')",
            e.UniqueError,
            (),
            "ix_lower",
            "SQLITE_CONSTRAINT_UNIQUE",
        ),
        ("INSERT INTO pair VALUES (1, 2), (1, 2)", e.UniqueError, ("a", "b"), None, None),
        ("INSERT INTO book VALUES (1, 'x', 1)", e.UniqueError, ("id",), None, None),
        (
            "INSERT INTO book (title) VALUES (NULL)",
            e.NotNullError,
            ("title",),
            None,
            "SQLITE_CONSTRAINT_NOTNULL",
        ),
        ("INSERT INTO book VALUES (9, 'x', -1)", e.CheckError, (), "positive", "SQLITE_CONSTRAINT_CHECK"),
        ("INSERT INTO page VALUES (1, 99)", e.ForeignKeyError, (), None, "SQLITE_CONSTRAINT_FOREIGNKEY"),
        ("INSERT INTO book VALUES ('x', 'x', 1)", e.DataError, (), None, "SQLITE_MISMATCH"),
        ("SELECT * FROM nope", e.SQLSyntaxError, (), None, "SQLITE_ERROR"),
        ("SELECT nope FROM book", e.SQLSyntaxError, (), None, "SQLITE_ERROR"),
        ("SELEC 1", e.SQLSyntaxError, (), None, "SQLITE_ERROR"),
        ("SELECT 1; SELECT 2", e.SQLSyntaxError, (), None, None),
        ("SELECT 1\x00", e.SQLSyntaxError, (), None, None),
        ("SELECT abs(-9223372036854775808)", e.DataError, (), None, "SQLITE_ERROR"),
        ("SELECT json_extract('{', '$')", e.DataError, (), None, "SQLITE_ERROR"),
        ("SELECT decimal_add('x', '1')", e.DataError, (), None, "SQLITE_ERROR"),
        ("SELECT decimal_sum('x')", e.DataError, (), None, "SQLITE_ERROR"),
        ("SELECT zeroblob(2000000000)", e.DataError, (), None, "SQLITE_TOOBIG"),
        ("COMMIT", e.DatabaseError, (), None, "SQLITE_ERROR"),
        ("RELEASE nope", e.DatabaseError, (), None, "SQLITE_ERROR"),
    ],
)
def test_errors_are_translated_by_code(
    connection: SQLiteConnection, sql: str, error: Any, columns: Any, constraint: Any, code: Any
) -> None:
    with pytest.raises(e.DatabaseError) as caught:
        connection.execute(sql)
    assert type(caught.value) is error
    assert caught.value.columns == columns
    assert caught.value.constraint == constraint
    assert code is None or caught.value.code == code
    assert isinstance(caught.value.__cause__, (sqlite3.Error, sqlite3.Warning, ValueError))
    assert "statement: " in str(caught.value)
    assert "'one'" not in str(caught.value), "values do not belong into messages"
    assert connection.usable
    pickle.loads(pickle.dumps(caught.value))


@pytest.mark.parametrize("value", [object(), 2**63, "\ud800", {1}])
def test_values_that_cannot_be_bound(connection: SQLiteConnection, value: Any) -> None:
    with pytest.raises(e.DataError) as caught:
        connection.execute("SELECT ?", (value,))
    assert caught.value.__cause__ is not None


@pytest.mark.requirement("R81")
@pytest.mark.parametrize("params", [(), (1, 2)])
def test_the_number_of_placeholders_is_checked(connection: SQLiteConnection, params: Any) -> None:
    with pytest.raises(e.DataError, match="Incorrect number of bindings"):
        connection.execute("SELECT ?", params)


def test_errors_inside_consume(connection: SQLiteConnection) -> None:
    def bad_value(rows: Any) -> Any:
        return [int("x") for _ in rows]

    def bug(rows: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(e.DataError, match="cannot be read"):
        connection.execute("SELECT 1", (), bad_value)
    with pytest.raises(KeyError):
        connection.execute("SELECT 1", (), bug)


def test_a_failed_read_does_not_hold_the_snapshot(connect: Connect, connection: SQLiteConnection) -> None:
    def bug(rows: Any) -> Any:
        next(iter(rows))
        raise KeyError

    connection.execute_many("INSERT INTO book (title) VALUES (?)", [(str(n),) for n in range(100)])
    with pytest.raises(KeyError) as caught:
        connection.execute("SELECT * FROM book", (), bug)
    connect().execute("DELETE FROM book")
    assert connection.execute("SELECT count(*) FROM book").rows == [(0,)]
    assert caught.value.__traceback__ is not None


@pytest.mark.requirement("R10", "R81")
def test_nothing_begins_a_transaction_but_begin(connect: Connect, connection: SQLiteConnection) -> None:
    other = connect()
    connection.execute("INSERT INTO book (title) VALUES ('a')")
    assert not connection.in_transaction
    assert other.execute("SELECT count(*) FROM book").rows == [(2,)]
    connection.begin()
    assert connection.in_transaction
    connection.execute("DELETE FROM book")
    assert other.execute("SELECT count(*) FROM book").rows == [(2,)]
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM book").rows == [(2,)]
    connection.rollback()  # nothing open: nothing happens
    connection.begin()
    connection.execute("DELETE FROM book")
    connection.commit()
    assert other.execute("SELECT count(*) FROM book").rows == [(0,)]
    with pytest.raises(e.DatabaseError, match="no transaction to commit"):
        connection.commit()


@pytest.mark.requirement("R7", "R8")
def test_savepoints(connection: SQLiteConnection) -> None:
    connection.begin()
    connection.execute("INSERT INTO book (title) VALUES ('a')")
    connection.savepoint('s"1')
    connection.execute("INSERT INTO book (title) VALUES ('b')")
    connection.rollback_to('s"1')
    connection.execute("INSERT INTO book (title) VALUES ('c')")
    connection.release('s"1')
    connection.commit()
    assert connection.execute("SELECT title FROM book ORDER BY id", (), list) == [("one",), ("a",), ("c",)]


@pytest.mark.requirement("R10")
def test_a_read_only_transaction_refuses_writes_and_leaves_no_trace(connection: SQLiteConnection) -> None:
    for end in (connection.commit, connection.rollback, connection.reset):
        connection.begin(read_only=True)
        assert connection.needs_reset
        with pytest.raises(e.DatabaseError, match="read-only"):
            connection.execute("DELETE FROM book")
        end()
        assert not connection.needs_reset
    connection.execute("DELETE FROM book")


@pytest.mark.requirement("R10")
def test_isolation_level_and_kind_of_begin(connect: Connect) -> None:
    one, two = connect(isolation_level="DEFERRED", lock_timeout=0.05), connect(lock_timeout=0.05)
    one.begin()
    two.begin()  # a deferred transaction does not hold the write lock
    with pytest.raises(e.TimeoutError):
        connect(lock_timeout=0.05).begin("SERIALIZABLE")
    with pytest.raises(e.ConfigurationError, match="no isolation level"):
        connect().begin("SNAPSHOTTY")


@pytest.mark.requirement("R10")
def test_a_locked_database_is_a_retryable_timeout_after_lock_timeout(connect: Connect) -> None:
    one, two = connect(), connect(lock_timeout=0.2)
    one.begin()
    started = time.monotonic()
    with pytest.raises(e.TimeoutError, match="lock_timeout") as caught:
        two.begin()
    assert 0.15 < time.monotonic() - started < 2
    assert caught.value.retryable
    assert caught.value.code == "SQLITE_BUSY"
    assert not two.needs_reset
    threading.Timer(0.05, one.rollback).start()
    connect(lock_timeout=5).begin()


def test_a_snapshot_that_is_too_old_to_write_is_a_serialization_error(
    connect: Connect, connection: SQLiteConnection
) -> None:
    other = connect()
    connection.begin(immediate=False)
    connection.execute("SELECT * FROM book")
    other.execute("DELETE FROM book")
    with pytest.raises(e.DatabaseError) as caught:
        connection.execute("DELETE FROM book")
    assert caught.value.retryable
    if hasattr(caught.value.__cause__, "sqlite_errorname"):
        assert isinstance(caught.value, e.SerializationError)


@pytest.mark.requirement("R10")
def test_statement_timeout(connect: Connect) -> None:
    connection = connect(statement_timeout=0.1)
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
    started = time.monotonic()
    with pytest.raises(e.TimeoutError, match="statement_timeout"):
        connection.execute(endless)
    with pytest.raises(e.TimeoutError, match="statement_timeout"):
        next(connection.stream(endless))
    assert time.monotonic() - started < 2
    assert connection.usable
    connection.execute("CREATE TABLE t (x)")
    assert connection.execute_many("INSERT INTO t VALUES (?)", [(1,), (2,)]) == 2
    for _ in connection.stream("SELECT * FROM t", (), 1):
        time.sleep(0.15)  # the time of the consumer does not count
    assert connection.execute("SELECT count(*) FROM t").rows == [(2,)]


def test_settings_of_a_connection(connect: Connect) -> None:
    def pragma(connection: SQLiteConnection, name: str) -> Any:
        return connection.execute(f"PRAGMA {name}").rows[0][0]

    usual = connect()
    assert [
        pragma(usual, name) for name in ("foreign_keys", "journal_mode", "synchronous", "busy_timeout")
    ] == [
        1,
        "wal",
        1,
        5000,
    ]
    other = connect(
        "other.db", journal_mode="delete", synchronous="full", foreign_keys="off", lock_timeout=1.5
    )
    assert [
        pragma(other, name) for name in ("foreign_keys", "journal_mode", "synchronous", "busy_timeout")
    ] == [
        0,
        "delete",
        2,
        1500,
    ]


def test_a_journal_mode_that_cannot_be_had_is_told(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    holder = connect("other.db")
    holder.execute("CREATE TABLE t (x)")
    with caplog.at_level("WARNING", "blaze"):
        late = connect("other.db", journal_mode="delete", lock_timeout=0.1)
    assert late.execute("PRAGMA journal_mode").rows == [("wal",)]
    (message,) = caplog.messages
    assert message.startswith("journal_mode=delete did not take effect for sqlite:///")
    assert "locked" in message


def test_files_that_cannot_be_opened(connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(e.DatabaseError, match=r"the folder .* does not exist; create it"):
        connect("no/such/folder.db")
    (tmp_path / "text.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(e.DatabaseError, match="no SQLite database") as caught:
        connect("text.db")
    assert caught.value.code == "SQLITE_NOTADB"
    (tmp_path / "folder").mkdir()
    with pytest.raises(e.DatabaseError, match="cannot be opened"):
        connect("folder")
    with pytest.raises(e.DatabaseError, match="cannot be opened"):
        connect("missing.db", mode="rw")


def test_a_read_only_file(connect: Connect, connection: SQLiteConnection) -> None:
    reader = connect(mode="ro")
    assert reader.execute("SELECT count(*) FROM book").rows == [(1,)]
    with pytest.raises(e.DatabaseError, match="mode=ro") as caught:
        reader.execute("DELETE FROM book")
    assert caught.value.code == "SQLITE_READONLY"


def test_a_damaged_file_gives_up_the_connection(connect: Connect, tmp_path: Path) -> None:
    connection = connect("d.db", journal_mode="delete")
    connection.execute("CREATE TABLE t (x)")
    connection.execute_many("INSERT INTO t VALUES (?)", [("x" * 100,)] * 1000)
    connection.close()
    path = tmp_path / "d.db"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    connection = connect("d.db", journal_mode="delete")
    with pytest.raises(e.DatabaseError, match="damaged") as caught:
        connection.execute("SELECT * FROM t")
    assert caught.value.code is not None
    assert caught.value.code.startswith("SQLITE_CORRUPT")
    assert not connection.usable


def test_a_full_disk_ends_the_transaction_and_says_so(connection: SQLiteConnection) -> None:
    pages = connection.execute("PRAGMA page_count").rows[0][0]
    connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    connection.begin()
    with pytest.raises(e.DatabaseError, match="disk is full") as caught:
        connection.execute("INSERT INTO book (title) VALUES (?)", ("x" * 100_000,))
    assert caught.value.code == "SQLITE_FULL"
    connection.rollback()
    assert not connection.in_transaction


def test_a_closed_connection_says_so(connection: SQLiteConnection) -> None:
    stream = connection.stream("SELECT 1")
    connection.close()
    connection.close()
    assert not connection.usable
    assert not connection.in_transaction
    for call in (
        lambda: connection.execute("SELECT 1"),
        lambda: connection.execute_many("SELECT ?", [(1,)]),
        lambda: next(stream),
        connection.begin,
    ):
        with pytest.raises(e.ConnectionLostError, match="closed"):
            call()


def test_a_driver_connection_closed_behind_our_back_is_lost(connection: SQLiteConnection) -> None:
    connection.raw.close()
    with pytest.raises(e.ConnectionLostError):
        connection.execute("SELECT 1")
    assert not connection.usable
    connection.close()


def test_an_interrupted_statement_leaves_a_usable_connection(connection: SQLiteConnection) -> None:
    threading.Timer(0.1, connection.interrupt).start()
    with pytest.raises(e.DatabaseError, match="interrupted"):
        connection.execute(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
        )
    assert connection.execute("SELECT 1").rows == [(1,)]
