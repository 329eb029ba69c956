"""Values that are decoded at the first read take part in everything before it."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import Field, Model, Session, create_all, field
from blaze.engine import Engine


class Sheet(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str]
    data: Field[dict[str, Any]] = field(default_factory=dict)


@pytest.mark.requirement("R70")
def test_a_bulk_update_of_all_columns_keeps_documents_that_were_never_read() -> None:
    with Engine("sqlite://") as engine:
        create_all(engine, [Sheet])
        with Session(engine, auto_commit=True) as session:
            session.add_all([Sheet(title=str(number), data={"n": number}) for number in range(3)])
        with Session(engine, auto_commit=True) as session:
            sheets = session.query(Sheet).order_by(Sheet.id).all()
            sheets[0].title = "changed"
            sheets[1].data["n"] = 10
            assert session.bulk_update(sheets) == 3
        with Session(engine) as session:
            found = session.query(Sheet).order_by(Sheet.id).all()
            assert [sheet.data for sheet in found] == [{"n": 0}, {"n": 10}, {"n": 2}]
            assert [sheet.title for sheet in found] == ["changed", "1", "2"]


def test_an_unread_document_is_not_decoded_to_be_left_alone() -> None:
    with Engine("sqlite://") as engine:
        create_all(engine, [Sheet])
        with Session(engine, auto_commit=True) as session:
            session.add(Sheet(title="a", data={"n": 1}))
        with Session(engine) as session:
            session.execute("UPDATE sheet SET data = 'no JSON'")
            sheet = session.query(Sheet).one()
            sheet.title = "b"
            session.flush()
            session.delete(sheet)
            session.flush()
            assert session.query(Sheet).count() == 0
            session.rollback()
