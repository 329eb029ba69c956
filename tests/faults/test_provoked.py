"""The important errors, provoked: the class, the place, the code, and a session that goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from blaze import (
    BlazeError,
    CheckError,
    DatabaseError,
    DataError,
    Engine,
    ForeignKeyError,
    NotNullError,
    SQLSyntaxError,
    UniqueError,
)
from tests.faults.models import Item, Part
from tests.faults.places import Place

COUNT = "SELECT count(*) FROM fault_item"
SECRET = "s3cret-value"

# The statement, the class, codes, constraints, columns (of either side, or none where a database tells none).
CASES: dict[str, tuple[str, type[DatabaseError], str, set[Any], set[tuple[str, ...]]]] = {
    "unique": (
        "INSERT INTO fault_item (name, size) VALUES ('taken', 1)",
        UniqueError,
        "23505 1062 SQLITE_CONSTRAINT_UNIQUE",
        {"uq_fault_item_name"},
        {("name",)},
    ),
    "unique of two": (
        "INSERT INTO fault_item (name, size, note) VALUES ('other', 7, 'seven')",
        UniqueError,
        "23505 1062 SQLITE_CONSTRAINT_UNIQUE",
        {"fault_size_note"},
        {("size", "note")},
    ),
    "key": (
        "INSERT INTO fault_item (id, name, size) SELECT id, 'other', 1 FROM fault_item",
        UniqueError,
        "23505 1062 SQLITE_CONSTRAINT_PRIMARYKEY SQLITE_CONSTRAINT_UNIQUE",  # the last before 3.11
        {None, "pk_fault_item", "fault_item_pkey"},
        {("id",)},
    ),
    "not null": (
        "INSERT INTO fault_item (name, size) VALUES (NULL, 1)",
        NotNullError,
        "23502 1048 SQLITE_CONSTRAINT_NOTNULL",
        {None},
        {("name",)},
    ),
    "check": (
        "INSERT INTO fault_item (name, size) VALUES ('other', -1)",
        CheckError,
        "23514 4025 3819 SQLITE_CONSTRAINT_CHECK",
        {"fault_size"},
        {()},
    ),
    "missing parent": (
        "INSERT INTO fault_part (item_id) VALUES (123456789)",
        ForeignKeyError,
        "23503 1452 SQLITE_CONSTRAINT_FOREIGNKEY",
        {None, "fk_fault_part_item_id"},
        {("item_id",), ()},
    ),
    "referenced": (
        "DELETE FROM fault_item",
        ForeignKeyError,
        "23503 23001 1451 SQLITE_CONSTRAINT_FOREIGNKEY",
        {None, "fk_fault_part_item_id"},
        {("item_id",), ()},
    ),
    "syntax": (f"SELEC '{SECRET}'", SQLSyntaxError, "42601 1064 SQLITE_ERROR", {None}, {()}),
    "table": ("SELECT * FROM fault_no_such", SQLSyntaxError, "42P01 1146 SQLITE_ERROR", {None}, {()}),
    "column": (
        "SELECT no_such FROM fault_item",
        SQLSyntaxError,
        "42703 1054 SQLITE_ERROR",
        {None},
        {(), ("no_such",)},
    ),
    "function": ("SELECT no_such_function(1)", SQLSyntaxError, "42883 1305 1630 SQLITE_ERROR", {None}, {()}),
}
# SQLite takes the first row.
ON_SERVERS: dict[str, tuple[str, type[DatabaseError], str, set[Any], set[tuple[str, ...]]]] = {
    "too many rows": ("SELECT (SELECT 1 UNION SELECT 2)", DataError, "21000 1242", {None}, {()}),
    "division": (
        "INSERT INTO fault_item (name, size) SELECT 'x', 1 / (size - 7) FROM fault_item",
        DataError,
        "22012 1365",
        {None},
        {()},
    ),
    "number": (
        "UPDATE fault_item SET size = 9223372036854775807 + size",
        DataError,
        "22003 1690",
        {None},
        {()},
    ),
}


async def _fill(place: Place) -> None:
    item = Item(name="taken", size=7, note="seven")
    await place.save(item, Part(item=item))


@pytest.mark.parametrize("case", CASES)
async def test_an_error_says_which_and_where(place: Place, case: str) -> None:
    await _provoke(place, *CASES[case])


@pytest.mark.parametrize("case", ON_SERVERS)
async def test_an_error_of_servers_says_which_and_where(server_place: Place, case: str) -> None:
    await _provoke(server_place, *ON_SERVERS[case])


async def _provoke(
    place: Place,
    statement: str,
    kind: type[DatabaseError],
    codes: str,
    constraints: set[Any],
    columns: set[tuple[str, ...]],
) -> None:
    await _fill(place)
    async with place.session() as session:
        await session.add(Item(name="lost", size=1))
        await session.flush()
        with pytest.raises(DatabaseError) as raised:
            await session.execute(statement)
        error = raised.value
        assert type(error) is kind
        assert error.code in codes.split()
        assert error.constraint in constraints
        assert error.columns in columns
        assert error.statement is not None
        assert not error.retryable
        assert isinstance(error.__cause__, Exception)
        assert not isinstance(error.__cause__, BlazeError)
        assert SECRET not in str(error)
        await session.rollback()
        assert await session.scalar(COUNT) == 1
        await session.add(Item(name="kept", size=1))
        await session.commit()
    assert await place.rows("SELECT name FROM fault_item ORDER BY name") == [("kept",), ("taken",)]


WRONG: dict[str, Callable[[Any], Any]] = {
    "too few parameters": lambda s: s.execute(
        "SELECT name FROM fault_item WHERE name = ? AND size = ?", ["a"]
    ),
    "too many parameters": lambda s: s.execute("SELECT name FROM fault_item WHERE name = ?", ["a", "b", "c"]),
    "an object": lambda s: s.execute("SELECT name FROM fault_item WHERE name = ?", [object()]),
    "a function": lambda s: s.execute("SELECT name FROM fault_item WHERE name = ?", [print]),
    "a huge number": lambda s: s.execute("SELECT name FROM fault_item WHERE id = ?", [10**40]),
    "two statements": lambda s: s.execute("SELECT 1; SELECT 2"),
    "nothing": lambda s: s.execute(""),
    "a comment": lambda s: s.execute("-- nothing"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_no_error_of_a_driver_escapes(place: Place, case: str) -> None:
    """What is wrong is a Blaze error, or works; the session goes on after a rollback in either case."""
    async with place.session() as session:
        with contextlib.suppress(BlazeError):
            await session.do(WRONG[case])
        await session.rollback()
        assert await session.scalar(COUNT) == 0
        await session.add(Item(name="kept"))
        await session.commit()


@pytest.mark.requirement("R45")
async def test_a_right_that_is_not_granted(server_place: Place) -> None:
    """A user of its own who may connect and read one table."""
    place = server_place
    name = place.engine.config.database
    user, password = f"u{place.kind[0]}_{str(name)[-8:]}", "only-f0r-tests"
    make = {
        "postgresql": [
            f"CREATE ROLE {user} LOGIN PASSWORD '{password}'",
            f"GRANT SELECT ON fault_item TO {user}",
        ],
        "mysql": [
            f"CREATE USER {user}@'%' IDENTIFIED BY '{password}'",
            f"GRANT SELECT ON {name}.fault_item TO {user}@'%'",
        ],
    }[place.backend]
    drop = {
        "postgresql": [f"DROP OWNED BY {user}", f"DROP ROLE {user}"],
        "mysql": [f"DROP USER {user}@'%'"],
    }[place.backend]
    with Engine(place.dsn) as engine, engine.connection() as connection:
        for text in make:
            connection.execute(text)
        try:
            host, port = place.address
            scheme = place.engine.config.scheme
            limited = place.make_engine(dsn=f"{scheme}://{user}:{password}@{host}:{port}/{name}")
            async with place.through(limited).session() as session:
                assert await session.all(Item) == []
                for attempt in (
                    lambda s: s.execute("INSERT INTO fault_item (name, size) VALUES ('x', 1)"),
                    lambda s: s.execute("SELECT * FROM fault_part"),
                    lambda s: s.execute("DROP TABLE fault_part"),
                ):
                    with pytest.raises(DatabaseError) as raised:
                        await session.do(attempt)
                    assert type(raised.value) is DatabaseError
                    assert raised.value.code in ("42501", "1142", "1044")
                    assert not raised.value.retryable
                    assert password not in str(raised.value)
                    await session.rollback()
                assert await session.all(Item) == []
            await limited.adispose()
        finally:
            for text in drop:
                connection.execute(text)


@pytest.mark.parametrize("place", [("mysql", "sync"), ("mysql", "async")], indirect=True, ids="-".join)
async def test_nothing_is_stored_that_does_not_fit(place: Place) -> None:
    """An empty sql_mode of the server would store 127 for 1000, and cut texts, in silence."""
    async with place.session() as session:
        await session.execute("CREATE TEMPORARY TABLE narrow (n TINYINT, t VARCHAR(3), d DATE)")
        for values in ("1000, 'abc', NULL", "1, 'abcd', NULL", "1, 'abc', '2026-02-30'", "'x', 'abc', NULL"):
            with pytest.raises(DataError) as raised:
                await session.execute(f"INSERT INTO narrow VALUES ({values})")
            assert raised.value.columns in (("n",), ("t",), ("d",))
        await session.execute("INSERT INTO narrow VALUES (127, 'abc', '2026-02-28')")
        assert await session.scalar("SELECT count(*) FROM narrow") == 1
        await session.rollback()


async def test_a_list_of_any_length_is_a_condition(place: Place) -> None:
    """Drivers and servers have limits of 32,767 or 65,535 parameters."""
    await place.save(Item(name="a"), Item(name="b", size=69_999))
    async with place.session() as session:
        found = await session.all(Item, Item.size.in_(range(1, 70_000)))
        assert [item.name for item in found] == ["b"]
        found = await session.all(Item, Item.name.in_([f"x{n}" for n in range(70_000)]))
        assert found == []
        found = await session.all(Item, Item.name.not_in([f"x{n}" for n in range(70_000)]))
        assert len(found) == 2
