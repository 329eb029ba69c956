"""Locked, read-only, missing, damaged and full databases: named, explained, and nothing is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Callable

import pytest

from blaze import DatabaseError, Engine, Session, SQLSyntaxError, TimeoutError
from tests.badinput.models import Label, Work, Writer
from tests.types.harness import Opener, m

Play = Callable[..., Any]


def titles(path: Path) -> list[Any]:
    with Engine(f"sqlite:///{path}") as engine, Session(engine) as session:
        return list(session.query(Work.title).scalars())


def test_a_locked_file_times_out_and_can_be_tried_again(play: Play, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            work = await m(session.query(Work).one())
            other.execute("BEGIN IMMEDIATE")
            label = Label(name="new")
            await m(session.add(label))
            work.title = "Persuasion"
            with pytest.raises(TimeoutError, match=r"locked by another connection.*lock_timeout") as caught:
                await m(session.flush())
            assert caught.value.retryable
            assert (label.name, work.title) == ("new", "Persuasion")
            assert session.new == [label]
            assert session.dirty == [work]
            other.execute("ROLLBACK")
            await m(session.commit())
        assert titles(path) == ["Persuasion"]

    play(scenario)
    other.close()


def test_reading_goes_on_while_another_connection_writes(play: Play, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE work SET title = 'x'")

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            assert await m(session.query(Work.title).scalars()) == ["Emma"]

    play(scenario)
    other.close()


@pytest.mark.parametrize("readonly", ["mode", "immutable", "transaction"])
def test_a_read_only_database_reads_and_refuses_to_write(play: Play, path: Path, readonly: str) -> None:
    if readonly == "immutable":
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA journal_mode = DELETE")
    dsn = {"mode": f"sqlite:///{path}?mode=ro", "immutable": f"sqlite:///file:{path}%3Fimmutable=1"}.get(
        readonly
    )

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            if readonly == "transaction":
                await m(session.begin(read_only=True))
            assert await m(session.query(Work.title).scalars()) == ["Emma"]
            label = Label(name="x")
            await m(session.add(label))
            with pytest.raises(DatabaseError, match=r"read-only.*mode=ro"):
                await m(session.flush())
            assert label.name == "x"
            await m(session.rollback())
            assert await m(session.query(Work.title).scalars()) == ["Emma"]

    play(scenario, None if dsn is None else Engine(dsn))


def test_a_missing_folder_is_named(play: Play, tmp_path: Path) -> None:
    async def scenario(open_session: Opener) -> None:
        for _ in range(2):
            async with open_session() as session:
                with pytest.raises(DatabaseError, match=r"nosuch does not exist; create it first") as caught:
                    await m(session.execute("SELECT 1"))
                assert "app.db" in str(caught.value)
        (tmp_path / "nosuch").mkdir()
        async with open_session() as session:
            assert (await m(session.execute("SELECT 1"))).scalar() == 1

    play(scenario, Engine(f"sqlite:///{tmp_path / 'nosuch' / 'app.db'}"))


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_a_missing_file_is_not_made_where_that_is_forbidden(play: Play, tmp_path: Path, mode: str) -> None:
    file = tmp_path / "missing.db"

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            with pytest.raises(DatabaseError, match=r"missing.db.*cannot be opened"):
                await m(session.execute("SELECT 1"))
        assert not file.exists()

    play(scenario, Engine(f"sqlite:///{file}?mode={mode}"))


def test_a_folder_is_no_database(play: Play, tmp_path: Path) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            with pytest.raises(DatabaseError, match="cannot be opened"):
                await m(session.execute("SELECT 1"))

    play(scenario, Engine(f"sqlite:///{tmp_path}"))


def test_garbage_is_no_database_and_stays_as_it_is(play: Play, tmp_path: Path) -> None:
    file = tmp_path / "garbage.db"
    file.write_bytes(b"this is no database at all\n" * 400)
    before = file.read_bytes()

    async def scenario(open_session: Opener) -> None:
        for _ in range(2):
            async with open_session() as session:
                with pytest.raises(DatabaseError, match=r"no SQLite database.*check the path"):
                    await m(session.query(Writer).all())
        assert file.read_bytes() == before

    play(scenario, Engine(f"sqlite:///{file}"))


def test_a_damaged_file_is_named_and_another_session_can_follow(play: Play, path: Path) -> None:
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode = DELETE")
    raw.executemany("INSERT INTO writer (name) VALUES (?)", [("x" * 20,)] * 2000)
    raw.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) // 2 - 8192) + whole[len(whole) // 2 :])

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            with pytest.raises(DatabaseError, match=r"damaged; restore a backup.*recover"):
                await m(session.execute("SELECT count(*), max(name), max(title) FROM writer, work"))
        path.write_bytes(whole)
        async with open_session() as session:
            assert await m(session.query(Writer).count()) == 2001

    play(scenario)


def test_a_full_disk_costs_the_transaction_and_nothing_else(play: Play, path: Path) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            pages = (await m(session.execute("PRAGMA page_count"))).scalar()
            await m(session.execute(f"PRAGMA max_page_count = {pages + 2}"))
            work = await m(session.query(Work).one())
            work.title = "Persuasion"
            labels = [Label(name=f"{number}" * 2000) for number in range(50)]
            await m(session.add_all(labels))
            with pytest.raises(DatabaseError, match=r"disk is full.*free some space"):
                await m(session.commit())
            assert labels[3].name == "3" * 2000
            await m(session.rollback())
            assert await m(session.query(Label).count()) == 0
            assert await m(session.query(Work.title).scalars()) == ["Emma"]
            await m(session.execute("PRAGMA max_page_count = 1073741823"))
            await m(session.add_all(labels))
            await m(session.commit())
            assert await m(session.query(Label).count()) == 50
            assert labels[0].id is not None

    play(scenario)


def test_what_sqlite_does_outside_of_transactions_only(tmp_path: Path) -> None:
    with Engine(f"sqlite:///{tmp_path / 'a.db'}") as engine:
        with Session(engine) as s:
            s.execute("CREATE TABLE t (x)")
            s.commit()
            with pytest.raises(DatabaseError, match=r"engine\.connection\(\)") as raised:
                s.execute("VACUUM")
            assert not isinstance(raised.value, SQLSyntaxError)
            s.rollback()
            with pytest.raises(SQLSyntaxError, match=r"having\(\)"):
                s.execute("SELECT x FROM t WHERE count(x) > 1")
            s.rollback()
        with engine.connection() as connection:
            connection.execute("VACUUM")
