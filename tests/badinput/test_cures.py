"""The messages about refused changes and missing files say which it was and what to do."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Callable

import pytest

from blaze import Engine, Session, ValidationError
from blaze.errors import (
    CapabilityError,
    CheckError,
    DatabaseError,
    ForeignKeyError,
    NotNullError,
    QueryError,
    SQLSyntaxError,
    UniqueError,
)
from tests.badinput.models import Work, Writer
from tests.types.harness import Opener, m

Play = Callable[..., Any]


def _circle() -> dict[str, Any]:
    document: dict[str, Any] = {}
    document["a"] = document
    return document


CASES: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "insert without parent": (
        lambda s: s.execute("INSERT INTO work (title, price, meta, writer_id) VALUES ('x', 1, '{}', 99)"),
        ForeignKeyError,
        "a referenced row does not exist; save it first",
    ),
    "delete a parent": (
        lambda s: s.execute("DELETE FROM writer"),
        ForeignKeyError,
        "still referenced; delete or change the rows that refer to it first",
    ),
    "unique": (
        lambda s: s.execute("INSERT INTO writer (name, email) VALUES ('x', 'jane@example.org')"),
        UniqueError,
        r"writer\.email; change the value, or use upsert\(\)",
    ),
    "not null": (
        lambda s: s.execute("UPDATE writer SET name = NULL"),
        NotNullError,
        r"writer\.name must have a value and got NULL; give one",
    ),
    "check": (
        lambda s: s.execute("UPDATE work SET price = -1"),
        CheckError,
        "ck_price refuses.*; correct them",
    ),
    "no such table": (
        lambda s: s.execute("SELECT 1 FROM nil"),
        SQLSyntaxError,
        r"file .*shop\.db: check its path",
    ),
    "bulk_delete": (lambda s: s.bulk_delete(Writer, ["x"]), QueryError, "^Writer: the key 'id' does not fit"),
    "invalidate": (lambda s: s.invalidate(Writer, "x"), QueryError, "^Writer: the key 'id' does not fit"),
    "no feature": (
        lambda s: s.query(Work).for_update().all(),
        CapabilityError,
        r"dialect\.features\.\w+ tells",
    ),
}


@pytest.mark.requirement("R29")
@pytest.mark.parametrize("case", CASES)
def test_the_message_says_what_and_how_to_mend_it(play: Play, case: str) -> None:
    run, kind, words = CASES[case]

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            with pytest.raises(kind, match=words):
                await m(run(session))
            await m(session.rollback())

    play(scenario)


def test_the_key_of_a_saved_object_is_not_none(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            writer = await m(session.get_one(Writer, 1))
            writer.id = None
            writer.name = "Ann"
            with pytest.raises(ValidationError, match="id: must not be None"):
                await m(session.flush())
            writer.id = 1
            await m(session.commit())
            assert await m(session.exec_scalar("SELECT name FROM writer")) == "Ann"

    play(scenario)


def test_a_document_that_holds_itself(engine: Engine) -> None:
    with Session(engine) as session:
        work = Work(title="x", price=Decimal(1), writer_id=1, meta=_circle())
        session.add(work)
        with pytest.raises(ValidationError, match="or holds itself") as raised:
            session.flush()
        assert len(str(raised.value)) < 300
        session.rollback()


@pytest.mark.parametrize(
    ("place", "kind", "words"),
    [
        ("/gone.db?mode=ro", DatabaseError, r"no file .*gone\.db, and mode=ro makes none"),
        ("", DatabaseError, "is a folder"),
        (None, SQLSyntaxError, "in-memory database, of which each engine has one"),
    ],
)
def test_what_cannot_be_opened_says_why(tmp_path: Path, place: Any, kind: Any, words: str) -> None:
    dsn = "sqlite://" if place is None else f"sqlite:///{tmp_path}{place}"
    with Engine(dsn) as engine, Session(engine) as session, pytest.raises(kind, match=words):
        session.query(Work).all()
