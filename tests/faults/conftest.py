"""The databases of the tests of faults: SQLite, PostgreSQL and MariaDB, each through both of its drivers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from blaze import Engine, Session, create_all
from tests.faults.models import MODELS, Item, Part
from tests.faults.own import OwnServer, own_mariadb, own_postgres
from tests.faults.places import Place
from tests.support.servers import mysql_database, postgres_database

SERVERS = [(backend, kind) for backend in ("postgresql", "mysql") for kind in ("sync", "async")]
EVERYWHERE = [("sqlite", "sync"), ("sqlite", "async"), *SERVERS]
Lend = Callable[[str], Any]


@pytest.fixture(scope="session")
def lend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lend]:
    """Lend a backend's database with the tables, as DSN and engine, or a server of its own (`own-...`)."""
    known: dict[str, Any] = {}
    with ExitStack() as stack:

        def lent(name: str) -> Any:
            if name not in known:
                known[name] = stack.enter_context(makers[name]())
                if isinstance(known[name], str):
                    engine = stack.enter_context(Engine(known[name]))
                    create_all(engine, MODELS)
                    known[name] = known[name], engine
            return known[name]

        makers: dict[str, Callable[[], Any]] = {
            "postgresql": postgres_database,
            "mysql": mysql_database,
            "own-postgresql": own_postgres,
            "own-mysql": own_mariadb,
        }
        yield lent


async def _place(request: Any, lend: Lend, path: Path) -> AsyncIterator[Place]:
    backend, kind = request.param
    if backend == "sqlite":
        dsn = f"sqlite:///{path / 'faults.db'}"
        with Engine(dsn) as engine:
            create_all(engine, MODELS)
    else:
        dsn, engine = lend(backend)
    place = Place(backend, kind, dsn)
    yield place
    await place.close()
    if backend == "sqlite":  # the file is the test's own
        return
    with Session(engine) as session:
        session.query(Part).all_rows().delete()
        session.query(Item).all_rows().delete()
        session.commit()


def _name(param: tuple[str, str]) -> str:
    return "-".join(param)


@pytest.fixture(params=EVERYWHERE, ids=_name)
async def place(request: Any, lend: Lend, tmp_path: Path) -> AsyncIterator[Place]:
    """Give a database through each driver."""
    async for each in _place(request, lend, tmp_path):
        yield each


@pytest.fixture(params=SERVERS, ids=_name)
async def server_place(request: Any, lend: Lend, tmp_path: Path) -> AsyncIterator[Place]:
    """Give a database of a server through each driver."""
    async for each in _place(request, lend, tmp_path):
        yield each


@pytest.fixture(params=SERVERS, ids=_name)
async def own_place(request: Any, lend: Lend) -> AsyncIterator[tuple[Place, OwnServer]]:
    """Give a database of a server that may be killed, and that server; without tables."""
    backend, kind = request.param
    server = lend(f"own-{backend}")
    place = Place(backend, kind, server.dsn())
    yield place, server
    await place.close()
