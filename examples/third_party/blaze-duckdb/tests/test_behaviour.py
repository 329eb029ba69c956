"""What is DuckDB's own: files, options, time-outs, conflicts, indexes, streams beside other statements."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from blaze import (
    AsyncSession,
    CapabilityError,
    ConfigurationError,
    DatabaseError,
    DataError,
    Engine,
    Field,
    ForeignKey,
    ForeignKeyError,
    Index,
    Migration,
    MigrationEngine,
    Model,
    SchemaBuilder,
    SerializationError,
    Session,
    TimeoutError,
    create_all,
    field,
    foreign_key,
    func,
)
from blaze.dialects.types import Integer, String
from blaze.schema import (
    AddColumn,
    AlterColumn,
    CreateIndex,
    CreateTable,
    DropColumn,
    RenameTable,
    TableColumn,
    table,
)
from blaze.testing.twin import done
from blaze_duckdb import DuckDBDialect

LONG = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"


class Stay(Model):
    id: Field[int] = field(primary_key=True)
    guest: Field[str] = field(max_length=20)
    price: Field[Decimal] = field(precision=8, scale=2, default=Decimal("1.50"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(f"duckdb:///{tmp_path}/inn.duckdb?threads=1") as engine:
        create_all(engine, [Stay])
        yield engine


def test_a_file_keeps_its_rows(tmp_path: Path) -> None:
    dsn = f"duckdb:///{tmp_path}/inn.duckdb"
    with Engine(dsn) as engine, Session(engine) as session:
        session.create_all(Stay)
        session.add_all([Stay(guest="a"), Stay(guest="b", price=Decimal("2.25"))])
        session.commit()
    with Engine(f"{dsn}?mode=ro") as engine, Session(engine) as session:
        assert session.query(Stay.guest).order_by(Stay.guest).scalars() == ["a", "b"]
        assert session.query(func.avg(Stay.price)).scalar() == Decimal("1.875")
        session.add(Stay(guest="c"))
        with pytest.raises(DatabaseError, match="read-only"):
            session.flush()
        session.rollback()


def test_each_engine_in_memory_has_a_database_of_its_own() -> None:
    with Engine("duckdb://") as one, Engine("duckdb://") as other:
        create_all(one, [Stay])
        with Session(other) as session, pytest.raises(DatabaseError, match="stay"):
            session.query(Stay).all()


@pytest.mark.parametrize(
    "dsn",
    [
        "duckdb://host/x",
        "duckdb://?sslmode=require",
        "duckdb://?isolation_level=SERIALIZABLE",
        "duckdb://?threads=x",
    ],
)
def test_what_means_nothing_to_duckdb_is_refused(dsn: str) -> None:
    with pytest.raises(ConfigurationError), Engine(dsn).connection():
        pass


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir, " * 1000)
    with pytest.raises(DatabaseError, match=r"letter\.txt"), Engine(f"duckdb:///{path}").connection():
        pass


def test_a_statement_stops_at_its_time_out() -> None:
    with Engine("duckdb://?threads=1&statement_timeout=0.1") as engine, Session(engine) as session:
        with pytest.raises(TimeoutError, match="statement_timeout"):
            session.exec_scalar(LONG)
        session.rollback()
        assert session.exec_scalar("SELECT 1") == 1


async def test_a_cancelled_statement_leaves_a_usable_connection() -> None:
    async with Engine("duckdb://?threads=1") as engine:
        async with AsyncSession(engine) as session:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.exec_scalar(LONG), 0.1)
            await session.rollback()
            assert await session.exec_scalar("SELECT 1") == 1
        assert engine.pool_stats().in_use == 0


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
async def test_a_process_forks_beside_idle_connections() -> None:
    async with Engine("duckdb://?threads=1") as engine:
        async with AsyncSession(engine) as session:
            assert await session.exec_scalar("SELECT 1") == 1
        assert engine.pool_stats().idle == 1
        child = os.fork()
        if child == 0:
            os._exit(engine.pool_stats().idle)
        assert os.waitpid(child, 0)[1] == 0
        async with AsyncSession(engine) as session:
            assert await session.exec_scalar("SELECT 2") == 2


def test_of_two_transactions_on_one_row_the_second_conflicts(engine: Engine) -> None:
    with Session(engine) as first, Session(engine) as second:
        first.add(Stay(guest="a"))
        first.commit()
        mine, theirs = first.query(Stay).one(), second.query(Stay).one()
        mine.guest, theirs.guest = "b", "c"
        first.flush()
        with pytest.raises(SerializationError) as caught:
            second.flush()
        assert caught.value.retryable
        second.rollback()
        first.commit()
        assert second.query(Stay.guest).scalar() == "b"


def test_a_stream_sees_its_rows_whatever_runs_beside_it(engine: Engine) -> None:
    with Session(engine) as session:
        session.bulk_insert([Stay(guest=f"g{n}") for n in range(50)])
        seen = []
        for stay in session.query(Stay).order_by(Stay.id).stream(size=7):
            seen.append(stay.guest)
            stay.price += 1
            session.flush()
        assert seen == [f"g{n}" for n in range(50)]
        assert session.query(func.min(Stay.price)).scalar() == Decimal("2.50")
        session.commit()


def test_a_decimal_that_duckdb_cannot_hold_is_refused(engine: Engine) -> None:
    dialect = DuckDBDialect()
    encode: Any = dialect.encoder(Stay.price.type)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="more than 2 digits"):
        encode(Decimal("0.001"))


def test_tables_change_though_they_have_indexes(engine: Engine) -> None:
    key = TableColumn("id", Integer(), primary_key=True, identity=True)
    shelf = table("shelf", [key, TableColumn("label", String(20)), TableColumn("size", Integer())])
    migrations = [
        Migration("01", [CreateTable(shelf), CreateIndex("shelf", Index("label", name="ix_label"))]),
        Migration("02", [AddColumn("shelf", TableColumn("depth", Integer(), nullable=True))]),
        Migration("03", [AlterColumn("shelf", TableColumn("size", Integer(), nullable=True))]),
        Migration("04", [RenameTable("shelf", "rack"), DropColumn("rack", "size")]),
    ]
    MigrationEngine(engine, migrations).apply(confirm_destructive=True)
    with Session(engine, auto_commit=True) as session:
        assert session.exec_one("SELECT index_name, table_name FROM duckdb_indexes()") == ("ix_label", "rack")
        session.execute("INSERT INTO rack (label, depth) VALUES ('x', 5)")
        assert session.exec_one("SELECT label, depth FROM rack") == ("x", 5)


def test_what_duckdb_cannot_change_is_said_before_anything_is_sent() -> None:
    builder = SchemaBuilder(DuckDBDialect())
    with pytest.raises(CapabilityError, match="nullable"):
        AddColumn("shelf", TableColumn("depth", Integer())).steps(builder)
    with pytest.raises(CapabilityError, match="constraints"):
        AddColumn("shelf", TableColumn("depth", Integer(), nullable=True, unique=True)).steps(builder)


class Guest(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]

    class Meta:
        discriminator = "kind"


class Poet(Guest):
    poems: Field[int] = field(default=0)

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
        joined = True


class Letter(Model):
    id: Field[int] = field(primary_key=True)
    guest: ForeignKey[Guest] = foreign_key(on_delete="CASCADE")


@pytest.mark.parametrize("kind", [Session, AsyncSession])
async def test_what_is_still_referred_to_is_not_deleted_but_joined_rows_go_together(
    engine: Engine, kind: Any
) -> None:
    create_all(engine, [Guest, Poet, Letter])
    session = kind(engine)
    poet, stranger = Poet(name="Matsuo", poems=980), Guest(name="Sora")
    letter = Letter(guest=poet)
    await done(session.add_all([poet, letter, stranger]))
    await done(session.commit())
    await done(session.delete(poet))
    with pytest.raises(ForeignKeyError, match=r"Letter.guest still refers to a Guest.*on_delete='CASCADE'"):
        await done(session.commit())
    await done(session.rollback())
    with pytest.raises(ForeignKeyError, match="duckdb has no foreign keys"):
        await done(session.bulk_delete(Guest, [stranger.id, poet.id]))
    await done(session.rollback())
    assert await done(session.query(Guest.name).order_by(Guest.name).scalars()) == ["Matsuo", "Sora"]
    await done(session.delete(poet))
    await done(session.delete(letter))
    await done(session.commit())
    assert await done(session.query(Guest.name).scalars()) == ["Sora"]
    assert await done(session.exec_scalar("SELECT count(*) FROM poet")) == 0
    assert await done(session.bulk_delete(Guest, [stranger.id])) == 1
    await done(session.commit())
    await done(session.close())


def test_foreign_keys_are_left_out_and_deferred_ones_refused() -> None:
    class Bill(Model):
        stay: ForeignKey[Stay] = foreign_key()

    class Debt(Model):
        stay: ForeignKey[Stay] = foreign_key(deferrable=True)

    builder = SchemaBuilder(DuckDBDialect())
    assert "REFERENCES" not in builder.create_table_sql(Bill)
    with pytest.raises(CapabilityError, match="foreign keys"):
        builder.create_table_sql(Debt)
