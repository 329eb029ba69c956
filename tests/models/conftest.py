"""The databases of the model tests: a file each, with sessions of either kind; tests create their tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from blaze import Engine, create_all
from tests.models.zoo import zoo
from tests.persistence.conftest import database
from tests.persistence.twins import Database, Twin


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine on an empty file."""
    with Engine(f"sqlite:///{tmp_path / 'models.db'}") as engine:
        yield engine


@pytest.fixture(params=["sync", "async"])
async def db(request: Any, files: Engine) -> AsyncIterator[Database]:
    """Give a database with sessions of either kind."""
    async for found in database(files, request.param):
        yield found


class Zoo:
    """The models of a hierarchy and a database with their tables."""

    def __init__(self, models: Any, db: Database) -> None:
        self.models = models
        self.db = db
        self.joined: bool = models.joined

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Twin]:
        """Give a session whose last changes are rolled back."""
        async with self.db.session() as twin:
            yield twin
            await twin.rollback()


@pytest.fixture(params=["single", "joined"])
def zoo_models(request: Any) -> Any:
    models = zoo(request.param == "joined")
    models.joined = request.param == "joined"
    return models


@pytest.fixture(params=["sync", "async"])
async def z(request: Any, zoo_models: Any, files: Engine) -> AsyncIterator[Zoo]:
    """Give the hierarchy with its tables, for sessions of either kind."""
    create_all(files, zoo_models.models)
    async for found in database(files, request.param):
        yield Zoo(zoo_models, found)


async def filled(z: Zoo) -> Any:
    """Store a person with pets, and give the models."""
    m = z.models
    ann = m.Person(name="ann")
    rex = m.Dog(name="rex", bark="woof", owner=ann, facts={"a": [1]})
    tom = m.Cat(name="tom", lives=7, owner=ann, code="t")
    pup = m.Puppy(name="pip", bark="yip", mother=rex, weeks=5)
    rex.friend = tom
    plain = m.Animal(name="amoeba", tags=[m.Tag(name="small")])
    await z.db.save(ann, rex, tom, pup, plain)
    return m


async def named(s: Any, m: Any, name: str) -> Any:
    return (await s.all(m.Animal, m.Animal.name == name))[0]
