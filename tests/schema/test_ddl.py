"""The text of DDL, for SQLite and for the standard."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Optional

import pytest

from blaze.core.constraints import Index, Unique
from blaze.core.fields import Field, field, foreign_key, many_to_many
from blaze.core.model import ModelBase as Model
from blaze.core.relation_types import ForeignKey, ManyToMany
from blaze.dialects.dialect import Dialect
from blaze.schema import SchemaBuilder, create_all_plan, drop_all_plan
from blaze_sqlite import SQLiteDialect
from tests.schema import models as m
from tests.schema.dialects import RICH, ansi

GOLDEN = Path(__file__).parent / "golden"
SQLITE = SchemaBuilder(SQLiteDialect())
ANSI = SchemaBuilder(RICH)


@pytest.mark.requirement("R48", "R86")
@pytest.mark.parametrize(("name", "builder"), [("sqlite", SQLITE), ("ansi", ANSI)])
def test_the_whole_schema_is_made_from_the_models(name: str, builder: SchemaBuilder) -> None:
    expected = (GOLDEN / f"{name}.sql").read_text(encoding="utf-8")
    assert "".join(f"{sql};\n\n" for sql in builder.create_sql(m.MODELS)).strip() == expected.strip()


@pytest.mark.requirement("R84")
def test_one_table_and_its_indexes() -> None:
    assert SQLITE.create_table_sql(m.Country) == (
        'CREATE TABLE "country" (\n  "code" VARCHAR(2) NOT NULL,\n'
        '  CONSTRAINT "pk_country" PRIMARY KEY ("code")\n)'
    )
    assert SQLITE.create_table_sql(m.Country, if_not_exists=True).startswith(
        'CREATE TABLE IF NOT EXISTS "country" ('
    )
    assert SQLITE.index_sql(m.Company) == ['CREATE INDEX "ix_company_owner_id" ON "company" ("owner_id")']
    assert SQLITE.index_sql(m.Company, if_not_exists=True) == [
        'CREATE INDEX IF NOT EXISTS "ix_company_owner_id" ON "company" ("owner_id")'
    ]


def test_a_table_alone_has_all_its_foreign_keys_on_every_database() -> None:
    for builder in (SQLITE, ANSI):
        assert 'CONSTRAINT "fk_company_owner_id" FOREIGN KEY' in builder.create_table_sql(m.Company)


def test_comments_only_where_the_database_has_them() -> None:
    assert SQLITE.comment_sql(m.Person) == []
    assert ANSI.comment_sql(m.Person) == [
        "COMMENT ON TABLE \"person\" IS 'Somebody'",
        "COMMENT ON COLUMN \"person\".\"name\" IS 'What people call them; it''s free text'",
    ]


def test_values_of_python_are_not_in_the_schema() -> None:
    sql = ANSI.create_table_sql(m.Everything)
    assert "DEFAULT" not in sql.replace("BY DEFAULT AS IDENTITY", "")
    sql = ANSI.create_table_sql(m.Defaults)
    assert "DEFAULT ('it''s new')" in sql
    assert "python" not in sql


def test_tables_come_after_those_they_refer_to_and_otherwise_as_given() -> None:
    def order(*models: type) -> list[str]:
        return [sql.split('"')[1] for sql in SQLITE.create_sql(models) if sql.startswith("CREATE TABLE")]

    assert order(m.Booking, m.Country, m.Room) == ["room", "booking", "country"]
    assert order(m.Country, m.Room, m.Booking) == ["country", "room", "booking"]
    assert order(m.Person, m.Company) == ["company", "person"]
    assert order(m.Company, m.Person) == ["person", "company"]


def test_a_circle_is_closed_afterwards_where_the_database_can() -> None:
    created = ANSI.create_sql([m.Person, m.Company])
    assert created[-3] == (
        'ALTER TABLE "company" ADD CONSTRAINT "fk_company_owner_id" FOREIGN KEY ("owner_id")'
        ' REFERENCES "person" ("id") ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED'
    )
    assert sum("fk_company_owner_id" in sql for sql in created) == 1
    assert ANSI.drop_sql([m.Person, m.Company])[0] == (
        'ALTER TABLE "company" DROP CONSTRAINT "fk_company_owner_id"'
    )
    assert ANSI.drop_sql([m.Person, m.Company], if_exists=True)[0] == (
        'ALTER TABLE IF EXISTS "company" DROP CONSTRAINT IF EXISTS "fk_company_owner_id"'
    )
    assert not any(sql.startswith("ALTER") for sql in SQLITE.create_sql([m.Person, m.Company]))


def test_dropping_goes_backwards() -> None:
    assert SQLITE.drop_sql([m.Room, m.Booking, m.Country]) == [
        'DROP TABLE "printed_in"',
        'DROP TABLE "article_rooms"',
        'DROP TABLE "country"',
        'DROP TABLE "booking"',
        'DROP TABLE "room"',
    ]
    assert SQLITE.drop_sql(m.Booking, if_exists=True) == ['DROP TABLE IF EXISTS "booking"']


def test_a_join_table_comes_with_the_model_that_declares_it() -> None:
    class Reader(Model):
        id: Field[int] = field(primary_key=True)
        shelves: ManyToMany[Shelf] = many_to_many(related_name="readers")

    class Shelf(Model):
        id: Field[int] = field(primary_key=True)

    def tables(*models: type) -> list[str]:
        return [sql.split('"')[1] for sql in SQLITE.create_sql(models) if sql.startswith("CREATE TABLE")]

    assert tables(Shelf) == ["shelf"]
    assert tables(Reader) == ["reader", "reader_shelves"]
    assert tables(Shelf, Reader) == ["shelf", "reader", "reader_shelves"]
    assert SQLITE.drop_sql(Shelf) == ['DROP TABLE "reader_shelves"', 'DROP TABLE "shelf"']


def test_a_model_given_twice_is_created_once() -> None:
    assert SQLITE.create_sql([m.Country, m.Country]) == SQLITE.create_sql(m.Country)
    assert SQLITE.create_sql(iter([m.Country])) == SQLITE.create_sql(m.Country)
    assert SQLITE.create_sql([]) == []


def test_a_view_is_not_created_and_not_referred_to() -> None:
    assert SQLITE.create_sql(m.Statistic) == SQLITE.drop_sql(m.Statistic) == []
    assert "REFERENCES" not in SQLITE.create_table_sql(m.Report)


def test_tables_of_a_schema() -> None:
    class Client(Model):
        id: Field[int] = field(primary_key=True)
        referrer: ForeignKey[Optional[Client]] = foreign_key(related_name="referred")
        friends: ManyToMany[Client] = many_to_many()

        class Meta:
            schema = "crm"
            comment = "Who pays"

    created = ANSI.create_sql(Client)
    assert [sql.partition(" (")[0] for sql in created] == [
        'CREATE TABLE "crm"."client"',
        'CREATE TABLE "crm"."client_friends"',
        'CREATE INDEX "ix_client_referrer_id" ON "crm"."client"',
        'CREATE INDEX "ix_client_friends_to_client_id" ON "crm"."client_friends"',
        'COMMENT ON TABLE "crm"."client" IS \'Who pays\'',
    ]
    assert 'REFERENCES "crm"."client" ("id")' in created[0]
    assert ANSI.drop_sql(Client)[-1] == 'DROP TABLE "crm"."client"'


def test_an_index_of_a_field_is_not_made_twice() -> None:
    class Twice(Model):
        id: Field[int] = field(primary_key=True, index=True)
        code: Field[str] = field(unique=True, index=True)
        name: Field[str] = field(index=True)

        class Meta:
            indexes = [Index("name")]
            constraints = [Unique("code", name="one_code")]

    assert SQLITE.index_sql(Twice) == ['CREATE INDEX "ix_twice_name" ON "twice" ("name")']
    assert SQLITE.create_table_sql(Twice).count("UNIQUE") == 1
    assert 'CONSTRAINT "one_code" UNIQUE ("code")' in SQLITE.create_table_sql(Twice)


def test_a_partial_index_without_its_condition_is_still_an_index() -> None:
    class Task(Model):
        id: Field[int] = field(primary_key=True)
        due: Field[int]

        class Meta:
            indexes = [Index("due", where="due > 0")]

    assert SQLITE.index_sql(Task) == ['CREATE INDEX "ix_task_due" ON "task" ("due") WHERE due > 0']
    assert SchemaBuilder(ansi()).index_sql(Task) == ['CREATE INDEX "ix_task_due" ON "task" ("due")']


def test_long_names_are_cut_and_stay_different() -> None:
    class Measurement(Model):
        id: Field[int] = field(primary_key=True)
        temperature_of_the_surrounding_water_in_the_morning: Field[int] = field(index=True)
        temperature_of_the_surrounding_water_in_the_evening: Field[int] = field(index=True)
        mean: Field[Decimal] = field(precision=6, scale=3)

    names = [sql.split('"')[1] for sql in SQLITE.index_sql(Measurement)]
    assert len({*names}) == 2
    assert {len(name) for name in names} == {63}


@pytest.mark.requirement("R84", "R86")
@pytest.mark.parametrize("dialect", [SQLiteDialect(), RICH], ids=["sqlite", "ansi"])
def test_the_plans_hold_the_statements_of_the_builder(dialect: Dialect) -> None:
    builder = SchemaBuilder(dialect)
    created = list(create_all_plan(dialect, m.MODELS))
    assert [command.sql for command in created] == builder.create_sql(m.MODELS, if_not_exists=True)
    dropped = list(drop_all_plan(dialect, m.MODELS))
    if dialect.referring_sql([]) is not None:  # what refers to the tables is asked first
        asked = dropped.pop(0)
        assert not asked.writes
        assert "sqlite_master" in asked.sql
    assert [command.sql for command in dropped] == builder.drop_sql(m.MODELS, if_exists=True)
    assert all(command.writes and command.params == () for command in [*created, *dropped])
