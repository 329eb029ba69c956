"""PostgreSQL's own ways of writing: COPY where nothing has to come back, BEGIN with the first statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from blaze import (
    AsyncSession,
    DataError,
    Engine,
    Field,
    Insert,
    Model,
    Session,
    SessionError,
    SQLSyntaxError,
    UniqueError,
    create_all,
    drop_all,
    excluded,
    field,
)
from tests.servers.wire import record_psycopg2
from tests.support.loops import run


class Crate(Model):
    id: Field[int] = field(primary_key=True)
    code: Field[str] = field(max_length=20, unique=True)
    note: Field[str] = field(default="")

    class Meta:
        table = 'crate % "x"'


class Guarded(Model):
    id: Field[int] = field(primary_key=True)
    tenant: Field[str]

    class Meta:
        table = "guarded_row"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_psycopg2(monkeypatch)


@pytest.fixture
def engine(postgres: str, sent: list[str]) -> Iterator[Engine]:
    with Engine(postgres) as engine:
        create_all(engine, [Crate, Guarded])
        del sent[:]
        yield engine
        drop_all(engine, [Crate, Guarded])


def crates(size: int) -> list[Crate]:
    return [Crate(code=f"c{n}", note="tab\tline\nback\\slash\r\\N é") for n in range(size)]


def test_bulk_inserts_copy(engine: Engine, sent: list[str]) -> None:
    with Session(engine, auto_commit=True) as session:
        assert session.bulk_insert(crates(500)) == 500
        rows = [{"code": f"i{n}"} for n in range(500)]
        assert session.exec(Insert(Crate).values(rows)).rowcount == 500
    assert sum(text.startswith("COPY") for text in sent) == 2
    assert not [text for text in sent if text.startswith("INSERT")]
    with Session(engine) as session:
        assert {crate.note for crate in session.query(Crate)} == {"tab\tline\nback\\slash\r\\N é", ""}


@pytest.mark.parametrize("size", [9, 500])  # as an INSERT, by COPY
def test_rows_that_a_trigger_leaves_out_are_not_counted(postgres: str, engine: Engine, size: int) -> None:
    async def awaiting() -> None:
        async with AsyncSession(postgres) as session:
            assert await session.bulk_insert(crates(size)) == len([n for n in range(size) if n % 10 != 7])
            await session.rollback()
            with pytest.raises(SessionError, match=f"{size} Crate objects returned"):
                await session.bulk_insert(crates(size), return_keys=True)

    with Session(engine, auto_commit=True) as session:
        session.execute(
            "CREATE OR REPLACE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN CASE WHEN NEW.code LIKE '%7' THEN NULL ELSE NEW END; END $$"
        )
        session.execute(
            'CREATE TRIGGER leave_out BEFORE INSERT ON "crate % ""x"""'
            " FOR EACH ROW EXECUTE PROCEDURE leave_out()"
        )
    with Session(engine) as session:
        assert session.bulk_insert(crates(size)) == len([n for n in range(size) if n % 10 != 7])
        session.rollback()
        with pytest.raises(SessionError, match=f"{size} Crate objects returned"):
            session.bulk_insert(crates(size), return_keys=True)
    run(awaiting())


def test_a_copy_that_fails_leaves_nothing(engine: Engine, postgres: str) -> None:
    with Session(engine) as session:
        session.add(Crate(code="c7"))
        session.flush()
        with pytest.raises(UniqueError) as caught:
            session.bulk_insert(crates(500))
        assert caught.value.columns == ("code",)
        assert session.query(Crate).count() == 1
        session.commit()

    async def waiting() -> None:
        async with AsyncSession(postgres) as session:
            with pytest.raises(UniqueError) as caught:
                await session.bulk_insert(crates(500))
            assert caught.value.columns == ("code",)
            assert await session.query(Crate).count() == 1

    run(waiting())


def test_policies_of_rows_are_kept(engine: Engine, postgres: str) -> None:
    """COPY is refused where rows have policies: they are inserted instead."""
    with Session(engine, auto_commit=True) as session:
        for text in (
            "ALTER TABLE guarded_row ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY own ON guarded_row USING (true) WITH CHECK (tenant = 'mine')",
            "DROP ROLE IF EXISTS blaze_test_tenant",
            "CREATE ROLE blaze_test_tenant",
            "GRANT ALL ON guarded_row TO blaze_test_tenant",
            "GRANT USAGE ON SEQUENCE guarded_row_id_seq TO blaze_test_tenant",
        ):
            session.execute(text)

    async def waiting() -> None:
        async with AsyncSession(postgres) as session:
            await session.execute("SET LOCAL ROLE blaze_test_tenant")
            assert await session.bulk_insert([Guarded(tenant="mine") for _ in range(300)]) == 300
            await session.rollback()

    try:
        with Session(engine) as session:
            session.execute("SET LOCAL ROLE blaze_test_tenant")
            assert session.bulk_insert([Guarded(tenant="mine") for _ in range(300)]) == 300
            session.rollback()
        run(waiting())
    finally:
        with Session(engine, auto_commit=True) as session:
            session.execute("DROP OWNED BY blaze_test_tenant")
            session.execute("DROP ROLE blaze_test_tenant")


def test_begin_goes_with_the_first_statement(engine: Engine, sent: list[str]) -> None:
    with Session(engine) as session:
        session.add(Crate(code="a"))
        session.flush()  # a commit that has one object to write sends its INSERT alone
        session.commit()
        assert len(sent) == 2, sent
        assert sent[0].startswith("BEGIN; INSERT")
        del sent[:]
        with session.transaction():
            pass
        session.begin()
        session.rollback()
        assert sent == [], "a transaction in which nothing happens is nothing to the server"


def test_a_waiting_begin_is_not_lost(engine: Engine, sent: list[str]) -> None:
    """Neither when the driver refuses the first statement, nor when others use its connection."""
    with Session(engine) as session:
        session.begin()
        with pytest.raises(DataError):
            session.execute("SELECT ?", ["\x00"])
        session.execute("SELECT 1")
        assert sent[-1] == "BEGIN; SELECT 1"
        session.rollback()
        session.begin()
        with session.connection.raw.cursor() as cursor:
            cursor.execute('INSERT INTO "crate % ""x""" (code, note) VALUES (\'raw\', \'\')')
        session.rollback()
        assert session.query(Crate).count() == 0


def test_flushes_in_a_transaction_take_one_round_trip(engine: Engine, sent: list[str]) -> None:
    """Their savepoints go with the statements; what fails is undone to them all the same."""
    with Session(engine) as session:
        session.begin()
        for number in range(5):
            session.add(Crate(code=f"c{number}"))
            session.flush()
        assert len(sent) == 5, sent
        assert sent[0].startswith('BEGIN; SAVEPOINT "blaze_flush"; INSERT')
        assert sent[1].startswith('RELEASE SAVEPOINT "blaze_flush"; SAVEPOINT "blaze_flush"; INSERT')
        session.add_all([Crate(code="c7"), Crate(code="c1")])
        with pytest.raises(UniqueError):
            session.flush()
        for crate in list(session.new):
            session.expunge(crate)
        session.add(Crate(code="c8"))
        session.flush()
        with session.transaction():
            with pytest.raises(DataError), session.transaction():
                session.execute("SELECT ?", ["\x00"])
            session.add(Crate(code="c9"))
            with pytest.raises(SQLSyntaxError), session.transaction():
                session.execute("SELEC 1")
        assert sent[-1] == "COMMIT"
    with Session(engine) as session:
        assert session.query(Crate).count() == 7


@pytest.mark.parametrize("size", [2, 700])
def test_conflicts_are_met_in_few_statements(engine: Engine, sent: list[str], size: int) -> None:
    rows: list[dict[str, Any]] = [{"code": f"c{n}", "note": f"n{n}"} for n in range(size)]
    update = {"note": excluded("note")}
    with Session(engine, auto_commit=True) as session:
        session.bulk_insert(crates(size // 2))
        del sent[:]
        statement = Insert(Crate).values(rows).on_conflict("code", update=update)
        assert session.exec(statement).rowcount == size
        assert len(sent) <= 2
        again = Insert(Crate).values([rows[0], {**rows[0], "note": "last"}])
        assert session.exec(again.on_conflict("code", update=update)).rowcount == 2
    with Session(engine) as session:
        notes = {crate.code: crate.note for crate in session.query(Crate)}
    assert notes == {**{row["code"]: row["note"] for row in rows}, "c0": "last"}
