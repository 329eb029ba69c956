"""A stored value that its type cannot read is a `DataError` that names model, column and row."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any, Optional

import pytest

from blaze import DataError, Engine, Field, ForeignKey, Model, Session, create_all, field, foreign_key, func


class Shade(enum.Enum):
    DARK = "dark"


class CorruptDoc(Model):
    price: Field[Optional[Decimal]] = field(default=None)
    data: Field[Optional[dict[str, Any]]] = field(default=None)
    items: Field[Optional[list[int]]] = field(default=None)
    mark: Field[Optional[uuid.UUID]] = field(default=None)
    shade: Field[Optional[Shade]] = field(default=None)
    at: Field[Optional[datetime]] = field(default=None)
    secret: Field[Optional[Shade]] = field(default=None)


class CorruptKey(Model):
    code: Field[uuid.UUID] = field(primary_key=True, init=True)
    doc: ForeignKey[CorruptDoc] = foreign_key(related_name="keys")


CASES = [
    ("price", "abc"), ("data", "{bad"), ("items", "["), ("mark", "zz"), ("shade", "grey"),
    ("data", "[1]"), ("data", '"x"'), ("items", "{}"), ("at", "2020-13-45"), ("secret", "hunter2"),
    ("data", "[1]"), ("data", '"x"'), ("items", "{}"),
]  # fmt: skip


@pytest.fixture
def engine() -> Any:
    with Engine("sqlite://") as engine:
        create_all(engine, [CorruptDoc, CorruptKey])
        with Session(engine) as s:
            docs = [CorruptDoc(), CorruptDoc(price=Decimal(1)), CorruptDoc()]
            s.add_all(docs)
            s.add(CorruptKey(code=uuid.UUID(int=1), doc=docs[1]))
            s.commit()
        yield engine


@pytest.mark.requirement("R29")
@pytest.mark.parametrize(("column", "value"), CASES)
def test_the_error_names_model_column_and_row(engine: Engine, column: str, value: str) -> None:
    with Session(engine) as s:
        s.execute(f"UPDATE corrupt_doc SET {column} = ? WHERE id = 2", [value])
        s.commit()
    asked: list[Any] = [
        lambda s: [getattr(doc, column) for doc in s.query(CorruptDoc)],
        lambda s: getattr(s.get_one(CorruptDoc, 2), column),
        lambda s: getattr(s.query(CorruptKey).select_related("doc").one().doc, column),
        lambda s: getattr(s.query(CorruptKey).include("doc").one().doc, column),
        lambda s: [getattr(doc, column) for doc in s.query(CorruptDoc).stream()],
    ]
    for ask in asked:
        with Session(engine) as s:
            with pytest.raises(DataError, match=rf"CorruptDoc\.{column} .*cannot be read") as raised:
                ask(s)
            assert "hunter2" not in str(raised.value)
            assert raised.value.columns == (column,)
            if column not in ("data", "items"):  # decoded when they are first read, from an object with a key
                assert "row with the key 2" in str(raised.value)
            assert s.get_one(CorruptDoc, 1).price is None  # the session works on
    refused = pytest.raises(DataError, match=f"the column '{column}' of the result cannot be read")
    with Session(engine) as s, refused:
        s.query(CorruptDoc.id, getattr(CorruptDoc, column)).all()


def test_a_key_that_cannot_be_read(engine: Engine) -> None:
    with Session(engine) as s:
        s.execute("UPDATE corrupt_key SET code = 'zz'")
        s.commit()
        with pytest.raises(DataError, match=r"CorruptKey\.code cannot be read as Uuid"):
            s.query(CorruptKey).all()
        with pytest.raises(DataError, match=r"CorruptKey\.code cannot be read as Uuid"):
            s.query(CorruptDoc).include(CorruptDoc.keys).all()


def test_what_cannot_be_read_does_not_stop_the_session(engine: Engine) -> None:
    with Session(engine) as s:
        s.execute("UPDATE corrupt_doc SET data = '[1]' WHERE id = 2")
        s.commit()
        doc = s.get_one(CorruptDoc, 2)
        with pytest.raises(DataError, match="JSON list, not a dict"):
            print(doc.data)
        assert s.query(CorruptDoc.id).count() == 3
        doc.price = Decimal(5)
        s.commit()
        assert s.exec_scalar("SELECT data FROM corrupt_doc WHERE id = 2 AND price = '5'") == "[1]"


@pytest.mark.parametrize("name", ["sum", "avg"])
def test_a_text_that_is_no_number_cannot_be_added_up(engine: Engine, name: str) -> None:
    with Session(engine) as s:
        s.execute("UPDATE corrupt_doc SET price = 'abc' WHERE id = 2")
        s.commit()
        with pytest.raises(DataError, match=r"is no number .*(?s:.)*corrupt_doc\".\"price\""):
            s.query(getattr(func, name)(CorruptDoc.price)).scalar()
