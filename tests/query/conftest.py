"""A filled database for every module, a fresh one for tests that write, and both kinds of session."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from blaze import AsyncSession, Engine, Session, create_all
from tests.query.models import MODELS, fill


def filled(path: Path) -> Engine:
    engine = Engine(f"sqlite:///{path}")
    create_all(engine, MODELS)
    with Session(engine) as session:
        fill(session)
    return engine


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A database that tests only read."""
    with filled(tmp_path_factory.mktemp("library") / "library.db") as engine:
        yield engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database of the test's own, to write to."""
    with filled(tmp_path / "own.db") as engine:
        yield engine


@pytest.fixture
def session(library: Engine) -> Iterator[Session]:
    with Session(library) as session:
        yield session


@pytest.fixture
def writer(engine: Engine) -> Iterator[Session]:
    """A session on a database of its own; what it leaves uncommitted is dropped without a warning."""
    with Session(engine) as session:
        yield session
        session.rollback()


class Both:
    """A session of either kind; `await both(x)` gives a plain value or awaits it."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.query = session.query

    async def __call__(self, result: Any) -> Any:
        return await result if inspect.isawaitable(result) else result

    @property
    def statements(self) -> int:
        return int(self.session.query_stats().total)


@pytest.fixture(params=["sync", "async"])
async def both(request: pytest.FixtureRequest, engine: Engine) -> AsyncIterator[Both]:
    if request.param == "sync":
        with Session(engine) as session:
            yield Both(session)
            session.rollback()
        return
    async with AsyncSession(engine) as asynchronous:
        yield Both(asynchronous)
        await asynchronous.rollback()
    await engine.adispose()
