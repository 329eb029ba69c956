"""Creating and dropping tables on a real SQLite, and what SQLite says about them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from blaze.core.constraints import Check, Index, Unique
from blaze.core.fields import Field, field, foreign_key, many_to_many
from blaze.core.model import ModelBase as Model
from blaze.core.relation_types import ForeignKey, ManyToMany
from blaze.engine import Engine
from blaze.errors import (
    CapabilityError,
    CheckError,
    DatabaseError,
    ForeignKeyError,
    SQLSyntaxError,
    UniqueError,
)
from blaze.persistence.session import Session
from blaze.schema import acreate_all, adrop_all, create_all, drop_all
from blaze_sqlite import AiosqliteAdapter, SQLiteAdapter
from tests.schema import models as m

TABLES = [
    "article",
    "article_rooms",
    "article_sources",
    "article_tags",
    "badge",
    "booking",
    "company",
    "contribution",
    "country",
    "defaults",
    "everything",
    "person",
    "printed_in",
    "report",
    "room",
    "tag",
]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with Engine(SQLiteAdapter(), config=database_url) as engine:
        yield engine


def rows(engine: Engine, sql: str, *params: Any) -> list[Any]:
    with engine.connection() as connection:
        return connection.execute(sql, params).rows


def names(engine: Engine, kind: str) -> list[str]:
    sql = "SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%' ORDER BY name"
    return [name for (name,) in rows(engine, sql, kind)]


@pytest.mark.requirement("R84", "R86")
def test_create_and_drop(engine: Engine) -> None:
    create_all(engine, m.MODELS)
    assert names(engine, "table") == TABLES
    rows(engine, "INSERT INTO country VALUES ('is')")
    create_all(engine, m.MODELS)
    assert rows(engine, "SELECT code FROM country") == [("is",)]
    drop_all(engine, m.MODELS)
    drop_all(engine, m.MODELS)
    assert names(engine, "table") == []
    assert engine.pool_stats().in_use == 0


@pytest.mark.requirement("R84", "R86")
async def test_create_and_drop_awaited(database_url: str, engine: Engine) -> None:
    async with Engine(AiosqliteAdapter(), config=database_url) as async_engine:
        await acreate_all(async_engine, m.MODELS)
        await acreate_all(async_engine, m.Country)
        assert names(engine, "table") == TABLES
        await adrop_all(async_engine, m.MODELS)
        await adrop_all(async_engine, m.Country)
        assert names(engine, "table") == []
        assert async_engine.pool_stats().in_use == 0


@pytest.mark.requirement("R48")
def test_the_columns_are_what_the_fields_say(engine: Engine) -> None:
    create_all(engine, m.MODELS)
    for model in m.MODELS:
        mapper = model.__mapper__
        if mapper.options.view:
            continue
        keys = [attribute.column.name for attribute in mapper.pk]
        expected = [
            (
                column.name,
                engine.dialect.type_ddl(column.type).partition(" COLLATE")[0],
                int(not column.nullable and not column.identity),
                keys.index(column.name) + 1 if column.name in keys else 0,
                3 if column.generated else 0,
            )
            for column in mapper.table.columns
        ]
        found = rows(
            engine, 'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', mapper.table.name
        )
        assert found == expected


@pytest.mark.requirement("R48")
def test_the_foreign_keys_are_what_the_relations_say(engine: Engine) -> None:
    create_all(engine, m.MODELS)

    def keys(table: str) -> set[tuple[str, ...]]:
        sql = 'SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list(?)'
        return {*rows(engine, sql, table)}

    assert keys("person") == {
        ("boss_id", "person", "id", "SET NULL"),
        ("employer_id", "company", "id", "RESTRICT"),
    }
    assert keys("booking") == {
        ("room_building", "room", "building", "CASCADE"),
        ("room_number", "room", "RoomNo", "CASCADE"),
        ("spare_building", "room", "building", "NO ACTION"),
        ("spare_number", "room", "RoomNo", "NO ACTION"),
    }
    assert keys("article_tags") == {
        ("article_id", "article", "id", "CASCADE"),
        ("tag_id", "tag", "id", "CASCADE"),
    }
    assert keys("report") == set()
    for table in TABLES:
        assert rows(engine, f'PRAGMA foreign_key_check("{table}")') == []  # every key finds its target


@pytest.mark.requirement("R48")
def test_the_indexes_are_what_the_models_say(engine: Engine) -> None:
    create_all(engine, m.MODELS)
    sql = (
        'SELECT list.name, list."unique", list.partial, group_concat(info.name)'
        " FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS info GROUP BY list.name"
    )

    def indexes(table: str) -> set[tuple[Any, ...]]:
        return {(*row[1:],) if row[0].startswith("sqlite_") else row for row in rows(engine, sql, table)}

    assert indexes("person") == {
        ("active_email", 1, 1, "email"),
        ("ix_person_boss_id", 0, 0, "boss_id"),
        ("ix_person_employer_id", 0, 0, "employer_id"),
        ("ix_person_name", 0, 0, "name"),
        ("ix_person_name_boss_id", 0, 0, "name,boss_id"),
        (1, 0, "email"),
        (1, 0, "name,employer_id"),
    }
    assert indexes("article_tags") == {
        ("ix_article_tags_tag_id", 0, 0, "tag_id"),
        (1, 0, "article_id,tag_id"),
    }
    assert indexes("company") == {("ix_company_owner_id", 0, 0, "owner_id"), (1, 0, "name")}


def test_a_generated_key_is_the_rowid(engine: Engine) -> None:
    create_all(engine, m.Tag)
    rows(engine, "INSERT INTO tag (name) VALUES ('a'), ('b')")
    assert rows(engine, "SELECT rowid, id FROM tag ORDER BY id") == [(1, 1), (2, 2)]
    rows(engine, "UPDATE tag SET id = 70 WHERE id = 2")
    assert rows(engine, "SELECT rowid FROM tag WHERE name = 'b'") == [(70,)]
    assert rows(engine, "SELECT count(*) FROM pragma_index_list('tag')") == [(0,)]


def test_the_database_fills_in_what_it_shall(engine: Engine) -> None:
    create_all(engine, m.Defaults)
    rows(engine, "INSERT INTO defaults DEFAULT VALUES")
    columns = m.Defaults.__mapper__.columns
    (row,) = rows(engine, "SELECT * FROM defaults")
    found: dict[str, Any] = {}
    for attribute, value in zip(columns, row):
        decode = engine.dialect.decoder(attribute.type)
        found[attribute.name] = value if decode is None else decode(value)
        assert attribute.type.check(found[attribute.name]) is None
    assert (found["state"], found["number"], found["double"]) == ("it's new", 42, 84)
    assert found["created"].date() == found["local"].date() == found["day"]
    encode = engine.dialect.encoder(columns[1].type)
    assert encode is not None
    assert encode(found["created"]) == row[1], "a default has the form of a stored value, so that both sort"


def test_the_constraints_hold(engine: Engine) -> None:
    create_all(engine, m.MODELS)
    rows(engine, "INSERT INTO person (name, email) VALUES ('Ada', 'ada@example.org')")
    rows(engine, "INSERT INTO article (title) VALUES ('Notes')")
    rows(engine, "INSERT INTO room VALUES ('North', 7, 20)")
    with pytest.raises(UniqueError):
        rows(engine, "INSERT INTO person (name, email) VALUES ('Eve', 'ada@example.org')")
    with pytest.raises(CheckError) as caught:
        rows(engine, "UPDATE person SET boss_id = id")
    assert caught.value.constraint == "nobody_is_his_own_boss"
    with pytest.raises(CheckError) as caught:
        rows(engine, "UPDATE room SET seats = 0")
    assert caught.value.constraint == "ck_room_seats"
    with pytest.raises(ForeignKeyError):
        rows(
            engine, "INSERT INTO booking (day, room_building, room_number) VALUES ('2024-01-01', 'North', 8)"
        )
    rows(engine, "INSERT INTO booking (day, room_building, room_number) VALUES ('2024-01-01', 'North', 7)")
    rows(engine, "DELETE FROM room")
    assert rows(engine, "SELECT * FROM booking") == []
    for share in ("100.01", "-1", "1000"):
        with pytest.raises(CheckError, match="share_is_percent"):
            rows(engine, "INSERT INTO contribution VALUES (1, 1, ?)", share)
    for share in ("0", "9", "99.5", "100", "100.00"):  # as numbers: as texts '9' is more than '100'
        rows(engine, "INSERT INTO contribution VALUES (1, 1, ?)", share)
        rows(engine, "DELETE FROM contribution")


def test_a_deferrable_key_waits_for_the_commit(engine: Engine) -> None:
    create_all(engine, m.MODELS)
    with engine.connection() as connection:
        connection.begin()
        connection.execute("INSERT INTO company (id, name, owner_id) VALUES (1, 'Acme', 1)")
        connection.execute("INSERT INTO person (id, name, employer_id) VALUES (1, 'Wile', 1)")
        connection.commit()
    assert rows(engine, "SELECT count(*) FROM company") == [(1,)]


def test_missing_indexes_and_join_tables_come_back(engine: Engine) -> None:
    create_all(engine, m.MODELS)
    rows(engine, "DROP INDEX ix_person_name")
    rows(engine, "DROP TABLE article_tags")
    create_all(engine, m.MODELS)
    assert "ix_person_name" in names(engine, "index")
    assert "article_tags" in names(engine, "table")


class Node(Model):
    """Rows that refer to each other in a ring, which nothing may break."""

    id: Field[int] = field(primary_key=True)
    next: ForeignKey[Node] = foreign_key(related_name="previous", on_delete="RESTRICT", deferrable=True)


class Chicken(Model):
    id: Field[int] = field(primary_key=True)
    egg: ForeignKey[Egg] = foreign_key(related_name="chickens", on_delete="RESTRICT", deferrable=True)


class Egg(Model):
    id: Field[int] = field(primary_key=True)
    chicken: ForeignKey[Chicken] = foreign_key(related_name="eggs", on_delete="RESTRICT", deferrable=True)
    nests: ManyToMany[Nest] = many_to_many()


class Nest(Model):
    id: Field[int] = field(primary_key=True)


def fill(engine: Engine) -> None:
    with engine.connection() as connection:
        connection.begin()
        connection.execute("INSERT INTO node VALUES (1, 2), (2, 1)")
        connection.execute("INSERT INTO chicken VALUES (1, 1)")
        connection.execute("INSERT INTO egg VALUES (1, 1)")
        connection.execute("INSERT INTO nest VALUES (1)")
        connection.execute("INSERT INTO egg_nests VALUES (1, 1)")
        connection.commit()


@pytest.mark.parametrize("models", [[Node, Chicken, Egg, Nest], [Nest, Egg, Chicken, Node]])
def test_circles_of_rows_do_not_stand_in_the_way(engine: Engine, models: list[type]) -> None:
    create_all(engine, models)
    fill(engine)
    drop_all(engine, models)
    assert names(engine, "table") == []


async def test_circles_of_rows_do_not_stand_in_the_way_awaited(database_url: str, engine: Engine) -> None:
    models = [Node, Chicken, Egg, Nest]
    create_all(engine, models)
    fill(engine)
    async with Engine(AiosqliteAdapter(), config=database_url) as async_engine:
        await adrop_all(async_engine, models)
    assert names(engine, "table") == []


def test_a_join_table_goes_with_either_side(engine: Engine) -> None:
    create_all(engine, [Chicken, Egg, Nest])
    rows(engine, "INSERT INTO nest VALUES (1)")
    drop_all(engine, Nest)
    assert names(engine, "table") == ["chicken", "egg"]


def test_a_table_outside_stands_in_the_way_and_nothing_is_dropped(engine: Engine) -> None:
    create_all(engine, [Node, Chicken, Egg, Nest])
    fill(engine)
    before = names(engine, "table")
    with pytest.raises(ForeignKeyError):
        drop_all(engine, [Node, Egg])
    assert names(engine, "table") == before
    assert rows(engine, "SELECT count(*) FROM node") == [(2,)]
    assert engine.pool_stats().in_use == 0


def test_an_error_names_the_statement_and_leaves_nothing(engine: Engine) -> None:
    class Fine(Model):
        id: Field[int] = field(primary_key=True)

    class Broken(Model):
        id: Field[int] = field(primary_key=True)

        class Meta:
            constraints = [Check("id >")]

    with pytest.raises(SQLSyntaxError) as caught:
        create_all(engine, [Fine, Broken])
    assert 'CREATE TABLE IF NOT EXISTS "broken"' in str(caught.value)
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert names(engine, "table") == []
    assert engine.pool_stats().in_use == 0


async def test_an_error_names_the_statement_and_leaves_nothing_awaited(
    database_url: str, engine: Engine
) -> None:
    rows(engine, 'CREATE TABLE "country" (other)')
    rows(engine, "CREATE TABLE ix_report_statistic_id (x)")
    async with Engine(AiosqliteAdapter(), config=database_url) as async_engine:
        with pytest.raises(DatabaseError, match='CREATE INDEX IF NOT EXISTS "ix_report_statistic_id"'):
            await acreate_all(async_engine, m.MODELS)
        assert async_engine.pool_stats().in_use == 0
    assert names(engine, "table") == ["country", "ix_report_statistic_id"]


EVIL = [
    'x"; DROP TABLE "keep"; --',
    "x'; DROP TABLE keep; --",
    "x`; DROP TABLE keep; --",
    "x]); DROP TABLE keep; --",
    "x\n) ; DROP TABLE keep; /*",
    '"',
    "select",
    "two words, and a comma",
    "имя \N{SNOWMAN}",
    "?1 %s :name $1",
]


@pytest.mark.requirement("R86")
@pytest.mark.parametrize("evil", EVIL)
def test_a_name_is_only_a_name(engine: Engine, evil: str) -> None:
    class Target(Model):
        id: Field[int] = field(primary_key=True, column=evil)

        class Meta:
            table = f"target {evil}"

    class Source(Model):
        id: Field[int] = field(primary_key=True)
        name: Field[str] = field(column=evil, unique=True, check="1")
        target: ForeignKey[Target] = foreign_key(column=f"to {evil}")
        targets: ManyToMany[Target] = many_to_many(through=f"link {evil}")

        class Meta:
            table = f"source {evil}"
            indexes = [Index("name", "target", name=f"index {evil}")]
            constraints = [Unique("target", name=f"unique {evil}"), Check("1", name=f"check {evil}")]

    rows(engine, "CREATE TABLE keep (x)")
    create_all(engine, [Target, Source])
    assert names(engine, "table") == sorted(["keep", f"link {evil}", f"source {evil}", f"target {evil}"])
    assert f"index {evil}" in names(engine, "index")
    columns = [name for (name,) in rows(engine, "SELECT name FROM pragma_table_info(?)", f"source {evil}")]
    assert columns == ["id", evil, f"to {evil}"]
    assert rows(engine, 'SELECT "table", "to" FROM pragma_foreign_key_list(?)', f"source {evil}") == [
        (f"target {evil}", evil)
    ]
    drop_all(engine, [Target, Source])
    assert names(engine, "table") == ["keep"]


@pytest.mark.requirement("R86")
def test_the_default_of_a_decimal_is_exact(engine: Engine) -> None:
    class Fee(Model):
        id: Field[int] = field(primary_key=True)
        large: Field[Decimal] = field(precision=20, scale=2, server_default="12345678901234567.89")
        held: Field[Decimal] = field(precision=20, scale=2, server_default="( (-12345678901234567.80))")
        small: Field[Decimal] = field(precision=5, scale=2, server_default=" -1.10")
        free: Field[Decimal] = field(server_default="1e3")
        sum: Field[Decimal] = field(precision=5, scale=2, server_default="1 + 1")

    create_all(engine, [Fee])
    with Session(engine) as session:
        session.add(Fee())
        session.flush()
        fee = session.query(Fee).one()
        assert [str(fee.large), str(fee.small), str(fee.free), str(fee.sum)] == [
            "12345678901234567.89",
            "-1.10",
            "1000",
            "2",
        ]
        assert str(fee.held) == "-12345678901234567.80"
        session.rollback()


@pytest.mark.requirement("R86")
@pytest.mark.parametrize(
    "expression",
    [
        "a * 2", "a - b", "a-1", "-a", "a + -1", "coalesce(a, 1) / 3",
        "CASE WHEN a > 1 THEN a ELSE a % 2 END", "round(a, 1)", "ABS (a)", '"a" + 1', "(a)+(b)",
    ],
)  # fmt: skip
def test_a_generated_decimal_that_would_lose_digits_is_refused(engine: Engine, expression: str) -> None:
    class Lossy(Model):
        a: Field[Decimal]
        b: Field[Decimal]
        c: Field[Decimal] = field(precision=10, scale=2, generated=expression)

    with pytest.raises(CapabilityError, match=r"Lossy\.c: .*SQLite calculates with floats.*decimal_mul\(\)"):
        create_all(engine, [Lossy])
    assert names(engine, "table") == []


@pytest.mark.requirement("R86")
async def test_a_generated_decimal_is_refused_by_an_asynchronous_engine() -> None:
    class Lossy(Model):
        a: Field[Decimal]
        c: Field[Decimal] = field(generated="a * 2")

    engine = Engine("sqlite+aiosqlite://")
    with pytest.raises(CapabilityError, match="SQLite calculates with floats"):
        await acreate_all(engine, [Lossy])
    await engine.adispose()


@pytest.mark.requirement("R86")
def test_generated_decimals_are_exact(engine: Engine) -> None:
    class Exact(Model):
        id: Field[int] = field(primary_key=True)
        a: Field[Decimal] = field(precision=24, scale=2)
        product: Field[Decimal] = field(precision=24, scale=2, generated="decimal_mul(a, 2)")
        difference: Field[Decimal] = field(precision=24, scale=2, generated="decimal_sub(a, '0.89')")
        chosen: Field[Decimal] = field(generated="CASE WHEN a > -1 THEN coalesce(a, -1) ELSE -1 END")
        counted: Field[int] = field(generated="length(a) * 2 - 1")

    create_all(engine, [Exact])
    with Session(engine) as session:
        exact = Exact(a=Decimal("12345678901234567.89"))
        session.add(exact)
        session.commit()
        assert [str(exact.product), str(exact.difference), str(exact.chosen), exact.counted] == [
            "24691357802469135.78",
            "12345678901234567.00",
            "12345678901234567.89",
            39,
        ]
