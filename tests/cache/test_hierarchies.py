"""Models of one hierarchy share their rows in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blaze import Engine, Field, MemoryCache, Model, Session, create_all, field
from blaze.testing import count_statements
from tests.persistence.twins import Database


class Beast(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]

    class Meta:
        table = "cached_beast"
        discriminator = "kind"


class Horse(Beast):
    height: Field[int] = field(default=150)


class Whale(Beast):
    depth: Field[int] = field(default=100)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(f"sqlite:///{tmp_path / 'test.db'}?synchronous=off") as engine:
        create_all(engine, [Beast, Horse, Whale])
        yield engine


@pytest.mark.requirement("R33", "R34")
async def test_whoever_changes_a_row_drops_it_for_all_classes(db: Database) -> None:
    cache = MemoryCache()
    await db.save(Horse(name="h"), Whale(name="w"))
    for kind, key in ((Beast, 1), (Beast, 2), (Horse, 1)):
        async with db.session(cache_backend=cache) as s:
            assert type(await s.get_one(kind, key)).__mapper__.model in (Horse, Whale)
    async with db.session(cache_backend=cache) as s:
        assert isinstance(await s.get(Horse, 1), Horse)
        assert s.statements == 0
    async with db.session(cache_backend=cache) as s:
        assert await s.get(Horse, 2) is None, "it is a whale"
    async with db.session(cache_backend=cache) as s:
        (await s.get(Horse, 1)).height = 99
        await s.commit()
    async with db.session(cache_backend=cache) as s:
        found: Any = await s.get(Beast, 1)
        assert found.height == 99
        await s.do(lambda s: s.query(Whale).where(Whale.depth > 0).update(depth=7))
        await s.commit()
    async with db.session(cache_backend=cache) as s:
        found = await s.get(Beast, 2)
        assert found.depth == 7
        assert s.statements == 1


def test_a_look_up_by_another_class_of_the_hierarchy_is_not_mistaken(engine: Engine) -> None:
    cache = MemoryCache()
    with Session(engine) as session:
        session.add(Horse(name="h"))
        session.commit()
    for kind in (Beast, Horse, Beast, Horse):
        with Session(engine, cache_backend=cache) as session, count_statements(session) as n:
            found: Any = session.get_one(kind, 1)
            assert isinstance(found, Horse)
            assert found.height == 150
            assert n == 1, "what another class has stored has other columns"
