"""What `add_all` takes, and how an asynchronous query is read."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import Field, Model, create_all
from blaze.errors import ModelError, QueryError
from tests.persistence.twins import Database


class Shelf(Model):
    name: Field[str]


async def test_what_add_all_does_not_take(db: Database) -> None:
    create_all(db.engine, [Shelf])
    async with db.session() as s:
        for wrong in (None, Shelf(name="x"), 5):
            with pytest.raises(ModelError, match=r"add_all\(\) takes a list of objects"):
                await s.add_all(wrong)
        assert s.new == []


async def test_an_asynchronous_query_says_how_it_is_read(db: Database) -> None:
    create_all(db.engine, [Shelf])
    if not db.asynchronous:
        return
    async with db.session() as s:
        query: Any = s.session.query(Shelf)
        for read in (lambda: list(query), lambda: dict.fromkeys(query)):
            with pytest.raises(QueryError, match=r"`async for .*`, or `await query\.all\(\)`"):
                read()
        assert [x async for x in query] == []
