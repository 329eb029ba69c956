"""Sessions that reach one database by several addresses share what a cache holds of it."""

from __future__ import annotations

import pytest

from blaze import AsyncSession, Engine, Field, MemoryCache, Model, Session, create_all, field
from tests.support.loops import run


class Shelf(Model):
    id: Field[int] = field(primary_key=True)
    books: Field[int] = field(default=0)

    class Meta:
        table = "cached_shelf"


@pytest.mark.requirement("R31")
@pytest.mark.parametrize("server", ["postgres", "mysql"])
def test_what_commits_by_one_address_leaves_the_cache_of_the_other(
    server: str, request: pytest.FixtureRequest
) -> None:
    dsn = request.getfixturevalue(server)
    assert "127.0.0.1" in dsn
    cache = MemoryCache()
    with Engine(dsn) as engine, Engine(dsn.replace("127.0.0.1", "LocalHost")) as other:
        create_all(engine, [Shelf])
        with Session(engine) as s:
            s.add(Shelf())
            s.commit()

        def books() -> int:
            with Session(engine, cache_backend=cache) as s:
                return s.get_one(Shelf, 1).books

        assert books() == 0
        with Session(other, cache_backend=cache) as s:
            s.get_one(Shelf, 1).books = 1
            s.commit()
        assert books() == 1

        async def write() -> None:
            async with AsyncSession(other, cache_backend=cache) as s:
                (await s.get_one(Shelf, 1)).books = 2
                await s.commit()
            await other.adispose()

        run(write())
        assert books() == 2
